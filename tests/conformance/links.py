"""Where a case is run: on bytes alone, on a live server's TCP port, and on its WebSocket.

On bytes there is a whole node and no socket; its clock is moved by waiting. On the WebSocket
whatever is sent is split over many frames, one byte each if it is short, so that frames and packets
never meet at their borders (MQTT 5.0 section 6).
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any, Final, Protocol, TypeVar

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN
from websockets.protocol import Protocol as Core

from reddot.net.tcp import Accepted
from tests.wire.fakeloop import FakeTimeLoop
from tests.wire.node import WireNode
from tests.wire.transport import FakeTransport, settle
from tests.wire.wsclient import frame, handshake

TIMEOUT_S: Final = 20.0
"""For what must come on a live server, however busy the machine is."""
FAKE_TIMEOUT_S: Final = 5.0
STEP_S: Final = 0.1
WRITE_BUFFER_BYTES: Final = 65_536
READ_BYTES: Final = 65_536
SHORT_BYTES: Final = 128
LONG_PIECE_BYTES: Final = 401
T = TypeVar("T")


class Link(Protocol):
    """A connection whose bytes are MQTT's."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """What comes next; nothing is the end. Fails if nothing comes in time, or on a reset."""
        ...

    def abort(self) -> None:
        """Be gone without a word."""
        ...


class Place(Protocol):
    """A server, and one way to its bytes."""

    def link(self) -> Link: ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Bytes:
    """A node of its own in this process. Nothing here depends on how busy the machine is."""

    def __init__(self, **settings: object) -> None:
        self._runner = asyncio.Runner(loop_factory=FakeTimeLoop)
        self._node = self._run(_made(settings))
        # Tokens are made by the clock on the wall.
        self._node.clock.advance(time.time() - self._node.clock.wall_ms() / 1000)
        self._run(self._node.start())

    def link(self) -> BytesLink:
        return BytesLink(self, self._run(_connected(self._node)))

    def now(self) -> float:
        return self._node.clock.monotonic()

    def wait(self, seconds: float) -> None:
        self._run(self._node.advance(seconds))

    def call(self, what: Any, *args: object) -> None:
        """Call what belongs to the node's loop, and let everything happen that follows from it."""
        self._run(_called(what, args))

    def close(self) -> None:
        self._run(self._node.stop())
        self._runner.close()

    def _run(self, what: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(what)


async def _made(settings: dict[str, object]) -> WireNode:
    return WireNode(**settings)  # type: ignore[arg-type]


async def _connected(node: WireNode) -> FakeTransport:
    protocol = Accepted(node.node.mqtt.take, WRITE_BUFFER_BYTES)
    transport = FakeTransport(protocol)
    protocol.connection_made(transport)
    return transport


async def _called(what: Any, args: tuple[object, ...]) -> None:
    what(*args)
    await settle()


class BytesLink:
    """A connection to the port of MQTT."""

    def __init__(self, place: Bytes, transport: FakeTransport) -> None:
        self._place = place
        self._transport = transport
        self._read = 0

    def send(self, data: bytes) -> None:
        self._place.call(self._transport.feed, data)

    def receive(self) -> bytes:
        until = self._place.now() + FAKE_TIMEOUT_S
        while len(self._transport.sent) == self._read:
            if self._transport.ended or self._transport.closed:
                assert self._transport.ended or not self._transport.aborted, "a reset"
                return b""
            assert self._place.now() < until, "nothing came"
            self._place.wait(STEP_S)
        data = bytes(self._transport.sent[self._read :])
        self._read += len(data)
        return data

    def abort(self) -> None:
        self._place.call(self._transport.reset)


class TcpPlace:
    """A live server, or another broker."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    def link(self) -> Link:
        return Tcp(*self._address)

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class WebSocketPlace(TcpPlace):
    """The same, by its WebSocket."""

    def link(self) -> Link:
        return WebSocket(*self._address)


class Tcp:
    """MQTT on TCP."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = _opened(host, port)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        try:
            return self._socket.recv(READ_BYTES)
        except ConnectionResetError as error:
            raise AssertionError("the connection was reset, and a reason may be lost") from error

    def abort(self) -> None:
        self._socket.close()


def _opened(host: str, port: int) -> socket.socket:
    made = socket.create_connection((host, port), TIMEOUT_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class WebSocket:
    """MQTT on WebSocket.

    Attributes:
        head: the answer to the upgrade, as text.
    """

    def __init__(
        self, host: str, port: int, *, path: str = "/mqtt", subprotocols: str = "mqtt"
    ) -> None:
        self._socket = _opened(host, port)
        self._core = Core(CLIENT, state=OPEN, max_size=None)
        self._closing = False
        offer = [f"Sec-WebSocket-Protocol: {subprotocols}"] if subprotocols else []
        self._socket.sendall(handshake(path, *offer, host=f"{host}:{port}"))
        head, rest, more = b"", b"", b""
        while not rest:
            data = self._socket.recv(READ_BYTES)
            assert data, f"the upgrade was not answered: {head!r}"
            head, rest, more = (head + data).partition(b"\r\n\r\n")
        self.head = head.decode() + "\r\n"
        assert self.head.startswith("HTTP/1.1 101 "), self.head
        if more:
            self._core.receive_data(more)

    def send(self, data: bytes) -> None:
        size = 1 if len(data) <= SHORT_BYTES else LONG_PIECE_BYTES
        self.send_in(size, data)

    def send_in(self, size: int, data: bytes) -> None:
        """Frames of this many bytes each."""
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

    def abort(self) -> None:
        self._socket.close()
