"""Blocks of bytes between two processes of ours, over a socket pair.

Net: no idea of what is in a block. Each goes with its length in front; who is at the other end is
trusted, as the same program by the same user.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import Final, cast

_LENGTH: Final = Struct("!I")


class Pipe(asyncio.Protocol):
    """One end.

    Args:
        received: called with each block.
        ended: called once, when the other end is gone.
    """

    def __init__(self, received: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._received: Final = received
        self._ended: Final = ended
        self._buffer: Final = bytearray()
        self._transport: asyncio.Transport | None = None

    def send(self, block: bytes) -> None:
        """Hand over a block. It is lost if the other end goes meanwhile; callers bound how many."""
        if self._transport is not None:
            self._transport.write(_LENGTH.pack(len(block)) + block)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # ---- called by the loop ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            block = bytes(memoryview(buffer)[start + _LENGTH.size : end])
            start = end
            self._received(block)
        del buffer[:start]

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._ended()
