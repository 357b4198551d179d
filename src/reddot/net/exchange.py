"""What a hot route sees of a connection: one request, one answer, or a stream.

`net/edge.py` implements it on the socket; on plain ASGI another file can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from reddot.net.framing import Head


class Exchange(Protocol):
    """One request being answered. Exactly one of `respond`, `finish`, `stream` is called, once;
    after the client has gone they do nothing."""

    @property
    def head(self) -> Head: ...

    @property
    def bytes_in(self) -> int:
        """Size of the request, head and body."""
        ...

    def respond(self, status: int, fields: bytes, body: bytes = b"") -> int:
        """Answer. `fields` are complete lines with CRLF; Content-Length and Date are added.

        Returns the number of bytes written.
        """
        ...

    def finish(self, status: int, rest: bytes) -> int:
        """Answer with everything after the status line and Date already encoded."""
        ...

    def stream(self, status: int, fields: bytes, peer: StreamPeer) -> asyncio.Transport:
        """Answer with a head and keep the socket: `peer` becomes its protocol.

        The parser is let go, which is where the small memory of a stream comes from. Unless
        `fields` say that it is chunked, which is the caller's to write, the answer is delimited by
        the end of the connection (RFC 9112 section 6.3).
        """
        ...

    def abort(self) -> None:
        """Drop the connection without an answer."""
        ...

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` if the client goes before it is answered."""
        ...


class StreamPeer(asyncio.Protocol):
    """The protocol of a connection that has become a stream."""

    __slots__ = ()

    def attach(self, transport: asyncio.Transport) -> None:
        """The socket is this peer's from now on; stands for `connection_made`."""
        raise NotImplementedError


Handler = Callable[[Head, bytes, Exchange], None]
