"""Sockets that carry a stream of bytes and no HTTP: MQTT on its own ports, or on the HTTP port.

A peer knows no packet. It hands bytes to its listener, and ends a connection so that what was
written last is read: half-close, then a short time for the client to close too.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol, cast

from reddot.net.exchange import StreamPeer

MQTT_FIRST: Final = 0x10
"""The first byte of a CONNECT packet, which no HTTP request begins with."""
ALPN: Final = ("mqtt", "x-amzn-mqtt-ca")
LINGER_S: Final = 2.0

TakeSocket = Callable[[asyncio.Transport, bytes], None]
"""Takes a socket and what has been read from it."""


class ByteListener(Protocol):
    """Who is told what happens on the connection."""

    def message(self, data: bytes) -> None:
        """The next bytes, in pieces that mean nothing."""
        ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def lost(self) -> None: ...


class BytePeer(Protocol):
    """What a listener needs of its connection: `TcpPeer`, or a binary `WebSocketPeer`."""

    listener: ByteListener
    transport: asyncio.Transport

    def send(self, data: bytes) -> None: ...

    def end(self) -> None:
        """Write nothing more, and close when the client has, or soon."""
        ...


class TcpPeer(StreamPeer):
    """The protocol of a plain or encrypted socket. `listener` is set before the first byte."""

    __slots__ = ("_ended", "listener", "transport")

    listener: ByteListener

    def __init__(self) -> None:
        self._ended = False

    def attach(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def end(self) -> None:
        """Closing a socket with unread data resets it, and the last words would be lost."""
        if self._ended or self.transport.is_closing():
            return
        self._ended = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self.transport.abort)
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if not self._ended:
            self.listener.message(data)

    def eof_received(self) -> bool:
        self.transport.close()
        return False

    def pause_writing(self) -> None:
        self.listener.pause_writing()

    def resume_writing(self) -> None:
        self.listener.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.listener.lost()


class Accepted(asyncio.Protocol):
    """A connection to a port of our own, up to the moment it is made."""

    def __init__(self, take: TakeSocket, write_buffer_bytes_max: int) -> None:
        self._take = take
        self._write_buffer_bytes_max = write_buffer_bytes_max

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses.
        transport.set_write_buffer_limits(high=self._write_buffer_bytes_max)
        self._take(transport, b"")


def tls_context(certfile: str, keyfile: str) -> ssl.SSLContext:
    """For a port that speaks MQTT alone. Most clients offer no ALPN, which is accepted too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certfile, keyfile)
    context.set_alpn_protocols(list(ALPN))
    return context


async def listen(
    listener: socket.socket,
    accepted: Callable[[], asyncio.Protocol],
    *,
    backlog: int,
    tls: ssl.SSLContext | None = None,
) -> asyncio.Server:
    """Take connections of a listening socket; `accepted` makes their first protocol."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(accepted, sock=listener, backlog=backlog, ssl=tls)
