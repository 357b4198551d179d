"""The slim protocol of a one-way stream (SSE, iframe): all that is left of a connection."""

from __future__ import annotations

import asyncio
from typing import Protocol

from reddot.net.exchange import StreamPeer


class Listener(Protocol):
    """Who is told what happens to the connection."""

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def lost(self) -> None: ...


class OneWayPeer(StreamPeer):
    """Passes flow control on; what the client sends is of no interest and is dropped.

    `listener` is set before the first write.
    """

    __slots__ = ("listener", "transport")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def attach(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def pause_writing(self) -> None:
        self.listener.pause_writing()

    def resume_writing(self) -> None:
        self.listener.resume_writing()

    def data_received(self, data: bytes) -> None:
        pass

    def connection_lost(self, exc: Exception | None) -> None:
        self.listener.lost()
