"""The two ways bytes reach the broker: a TCP connection, and binary frames of a WebSocket.

On the WebSocket whatever is sent is split over many frames, one byte each if it is short, so that
frames and packets never meet at their borders (MQTT 5.0 section 6).
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import Final, Protocol

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN
from websockets.protocol import Protocol as Core

from tests.integration.server import Server
from tests.wire.wsclient import frame, handshake

TIMEOUT_S: Final = 5.0
READ_BYTES: Final = 65_536
SHORT_BYTES: Final = 128
LONG_PIECE_BYTES: Final = 401


class Connection(Protocol):
    """A connection whose bytes are MQTT's."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """What comes next; nothing is the end. Raises TimeoutError, ConnectionResetError."""
        ...

    def close(self) -> None: ...


class Tcp:
    """MQTT on TCP."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        return self._socket.recv(READ_BYTES)

    def close(self) -> None:
        self._socket.close()


class WebSocket:
    """MQTT on WebSocket.

    Attributes:
        head: the answer to the upgrade, as text.
    """

    def __init__(self, port: int, *, path: str = "/mqtt", subprotocols: str = "mqtt") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._core = Core(CLIENT, state=OPEN, max_size=None)
        self._closing = False
        offer = f"Sec-WebSocket-Protocol: {subprotocols}"
        self._socket.sendall(handshake(path, offer, host=f"127.0.0.1:{port}"))
        head, rest, more = b"", b"", b""
        while not rest:
            data = self._socket.recv(READ_BYTES)
            assert data, f"the upgrade was not answered: {head!r}"
            head, rest, more = (head + data).partition(b"\r\n\r\n")
        self.head = head.decode()
        assert self.head.startswith("HTTP/1.1 101 "), self.head
        if more:
            self._core.receive_data(more)

    def send(self, data: bytes) -> None:
        size = 1 if len(data) <= SHORT_BYTES else LONG_PIECE_BYTES
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        self.send_raw(b"".join(frame(piece, Opcode.BINARY) for piece in pieces))

    def send_raw(self, data: bytes) -> None:
        """Bytes of the WebSocket itself, frames made by the caller."""
        self._socket.sendall(data)

    def receive(self) -> bytes:
        while True:
            found = self._core.events_received()
            assert self._core.parser_exc is None, self._core.parser_exc
            frames = [event for event in found if isinstance(event, Frame)]
            assert not [each for each in frames if each.opcode is Opcode.TEXT]
            got = b"".join(bytes(f.data) for f in frames if f.opcode is Opcode.BINARY)
            if got:
                return got
            self._closing = self._closing or any(f.opcode is Opcode.CLOSE for f in frames)
            data = self._read()
            if not data:
                return b""
            self._core.receive_data(data)

    def _read(self) -> bytes:
        try:
            self._answer()
            return self._socket.recv(READ_BYTES)
        except ConnectionError:
            if self._closing:
                return b""  # It did not wait for the answer to its closing frame.
            raise

    def _answer(self) -> None:
        """Pongs, and the closing handshake."""
        for data in self._core.data_to_send():
            if data:
                self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


class Wire(Enum):
    """How a test's clients connect."""

    TCP = "tcp"
    WEBSOCKET = "websocket"

    def connect(self, server: Server) -> Connection:
        if self is Wire.TCP:
            return Tcp(server.mqtt_port)
        return WebSocket(server.port)


TCP_ONLY: Final = pytest.mark.parametrize("wire", [Wire.TCP], indirect=True, ids=["tcp"])
"""For tests that have to let seconds pass, which has nothing to do with frames."""
