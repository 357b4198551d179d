"""WebSocket on the `websockets` package's Sans-I/O core (RFC 6455).

The core parses what comes in and answers pings and closes. What goes out was encoded by the
codec and is written to the transport by whoever owns the session. While a connection is silent it
has no parser: one is made for the first byte and let go when nothing is half received.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol as Core
from websockets.protocol import Side, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from reddot.codecs.websocket import encode_binary
from reddot.errors import ReddotError
from reddot.net.exchange import StreamPeer
from reddot.net.framing import Head

SUBPROTOCOL: Final = Subprotocol("reddot.v1")
SUBPROTOCOLS_MQTT: Final = (Subprotocol("mqtt"), Subprotocol("mqttv3.1"))
_CLOSE_WAIT_S: Final = 2.0

# Its own logger, silent: the package logs each frame at DEBUG and each bad client as an error.
_logger = logging.getLogger("reddot.websocket")
_logger.addHandler(logging.NullHandler())
_logger.propagate = False
_logger.setLevel(logging.CRITICAL)


class WebSocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Inbound limits; over them the connection is closed with 1009, 1008 or 4429."""

    message_bytes_max: int = 65_536
    fragments_max: int = 128
    messages_per_s: int = 50
    controls_per_s: int = 20


def handshake(head: Head) -> bytes:
    """The header fields of the 101 answer.

    Raises:
        ReddotError: `upgrade_required` if this is no WebSocket handshake, `http_invalid` if it is
            a wrong one (RFC 6455 section 4.2.1).
    """
    if not head.upgrade or b"websocket" not in head.headers[b"upgrade"].lower():
        raise ReddotError("upgrade_required", "ask with 'Upgrade: websocket'")
    headers = Headers()
    for name, value in head.headers.items():
        headers[name.decode("latin-1")] = value.decode("latin-1")
    core = ServerProtocol(select_subprotocol=_select, logger=_logger)
    response = core.accept(Request(head.path, headers))
    if response.status_code != 101:
        raise ReddotError("http_invalid", "the WebSocket handshake is not valid")
    skipped = ("Date", "Server")
    lines = [f"{k}: {v}\r\n" for k, v in response.headers.raw_items() if k not in skipped]
    return "".join(lines).encode("latin-1")


def _select(_core: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """MQTT or ours if it is offered; a client that offers none, or others, is served without."""
    known = (*SUBPROTOCOLS_MQTT, SUBPROTOCOL)
    return next((name for name in offered if name in known), None)


def offers_mqtt(head: Head) -> bool:
    """Whether an upgrade offers MQTT among its subprotocols, on whatever path."""
    offered = head.headers.get(b"sec-websocket-protocol", b"")
    names = {name.strip() for name in offered.decode("latin-1").split(",")}
    return not names.isdisjoint(SUBPROTOCOLS_MQTT)


class WebSocketListener(Protocol):
    """Who is told what happens on the connection."""

    def message(self, text: bytes) -> None:
        """A whole text message; or, if the connection is binary, the next bytes."""
        ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def lost(self) -> None: ...


def _wire_bytes(frame: Frame) -> int:
    """What a client's frame takes, its length in the shortest form; so it is never too much."""
    size = len(frame.data)
    return 6 + size + (0 if size < 126 else 2 if size < 65_536 else 8)


class WebSocketPeer(StreamPeer):
    """The protocol of a socket after the handshake. `listener` is set before the first byte.

    Args:
        binary: it carries a stream of bytes in binary frames, whose bounds mean nothing (MQTT 5.0
            section 6); else text messages. The other kind of frame closes it.
    """

    __slots__ = (
        "_binary",
        "_closing",
        "_controls",
        "_core",
        "_fragments",
        "_limits",
        "_message",
        "_messages",
        "_second",
        "_unread",
        "listener",
        "transport",
    )

    def __init__(self, limits: WebSocketLimits, *, binary: bool = False) -> None:
        self.listener: WebSocketListener
        self._binary = binary
        self._limits = limits
        self._core: Core | None = None
        self._message: bytearray | None = None
        self._fragments = 0
        self._closing = False
        self._unread = 0
        self._second = 0
        self._messages = 0
        self._controls = 0

    def attach(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def send(self, data: bytes) -> None:
        """Write bytes of a binary connection."""
        self.transport.write(encode_binary(data))

    def end(self) -> None:
        """Say that this was all, and wait a moment for the client."""
        self.close(CloseCode.NORMAL_CLOSURE)

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame, then wait a moment for the client's."""
        if not self._closing:
            core = self._open_core()
            if core.state is State.OPEN:
                core.send_close(code, reason)
            self._pump(core)
            self._start_closing()

    def _start_closing(self) -> None:
        self._closing = True
        loop = asyncio.get_running_loop()
        loop.call_later(_CLOSE_WAIT_S, self.transport.abort)

    def _open_core(self) -> Core:
        if self._core is None:
            self._core = Core(
                Side.SERVER,
                state=State.OPEN,
                max_size=self._limits.message_bytes_max,
                logger=_logger,
            )
        return self._core

    def data_received(self, data: bytes) -> None:
        core = self._open_core()
        core.receive_data(data)
        self._unread += len(data)
        for event in core.events_received():
            if isinstance(event, Frame) and not self._closing:
                self._unread -= _wire_bytes(event)
                self._take(core, event)
        self._pump(core)
        if core.state is not State.OPEN:
            if not self._closing:
                self._start_closing()
        elif not self._unread and self._message is None:
            self._core = None

    def eof_received(self) -> None:
        self.transport.close()

    def _pump(self, core: Core) -> None:
        for data in core.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()

    def _take(self, core: Core, frame: Frame) -> None:
        limits = self._limits
        if frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
            self._controls = self._count(self._controls)
            if self._controls > limits.controls_per_s:
                self._fail(core, CloseCode.POLICY_VIOLATION, "too many control frames")
            return
        if frame.opcode is (Opcode.TEXT if self._binary else Opcode.BINARY):
            kind = "MQTT is binary" if self._binary else "commands are JSON text"
            self._fail(core, CloseCode.UNSUPPORTED_DATA, kind)
            return
        if self._binary:
            self._message = None if frame.fin else bytearray()
            self.listener.message(bytes(frame.data))
            return
        if frame.opcode is Opcode.TEXT:
            self._message, self._fragments = bytearray(), 0
        assert self._message is not None
        self._message += frame.data
        self._fragments += 1
        if self._fragments > limits.fragments_max:
            self._fail(core, CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        elif frame.fin:
            text, self._message = bytes(self._message), None
            self._deliver(core, text)

    def _deliver(self, core: Core, text: bytes) -> None:
        self._messages = self._count(self._messages)
        if self._messages > 2 * self._limits.messages_per_s:
            self._fail(core, 4429, "too many messages")
            return
        try:
            text.decode()
        except UnicodeDecodeError:
            self._fail(core, CloseCode.INVALID_DATA, "not valid UTF-8")
            return
        self.listener.message(text)

    def _fail(self, core: Core, code: int, reason: str) -> None:
        """End the connection; what the client sent behind its mistake is not looked at."""
        core.fail(code, reason)
        self._start_closing()

    def _count(self, count: int) -> int:
        """A bucket that leaks `messages_per_s` a second (controls share the clock)."""
        now = int(asyncio.get_running_loop().time())
        if now != self._second:
            past = min(now - self._second, 3600)
            self._second = now
            self._messages = max(0, self._messages - past * self._limits.messages_per_s)
            self._controls = max(0, self._controls - past * self._limits.controls_per_s)
            return max(0, count - past * self._limits.messages_per_s) + 1
        return count + 1

    def pause_writing(self) -> None:
        self.listener.pause_writing()

    def resume_writing(self) -> None:
        self.listener.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._core = None
        self.listener.lost()
