"""The front door: uvicorn's HTTP protocol class with Reddot's hot routes answered in place.

One message at a time per connection. A complete head is looked up by its bytes (a keep-alive
client repeats itself) or parsed; a hot route is called at once with its body and answers on the
transport. Everything else is fed to uvicorn's own parser and takes its ASGI path, on the same
connection. What a client pipelines waits in a bounded buffer, so answers keep their order.

The edge also owns what uvicorn does not: limits and deadlines on header, body and idle time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from email.utils import formatdate
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from reddot.codecs import problem
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.net.exchange import Handler, StreamPeer
from reddot.net.framing import (
    HEAD_END,
    ChunkedBody,
    Head,
    HeadLimits,
    check_partial,
    parse_head,
)
from reddot.net.tcp import MQTT_FIRST, TakeSocket
from reddot.net.websocket import offers_mqtt

# RFC 9110's names of these two came into Python's table with 3.13.
_PHRASES: Final = {413: "Content Too Large", 414: "URI Too Long"}
_STATUS: Final = {
    s.value: f"HTTP/1.1 {s.value} {_PHRASES.get(s.value, s.phrase)}\r\n".encode()
    for s in HTTPStatus
}
_HEADS_MAX: Final = 2048
_HEAD_SHARED_BYTES_MAX: Final = 1024
_BUFFER_BYTES_MAX: Final = 65_536
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class EdgeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines, each in total and not per byte; and how much a stream may leave unsent."""

    header_timeout_s: int = 10
    body_timeout_s: int = 20
    idle_timeout_s: int = 30
    write_buffer_bytes_max: int = 65_536


class Door:
    """What all edges of a process share.

    Args:
        routes: hot handlers by path and method; a path that is here never enters ASGI. An upgrade
            that offers MQTT has the handlers of `/mqtt`, whatever its path.
        mqtt: gets the sockets whose first byte is that of MQTT; None: they are malformed HTTP.
        now: monotonic seconds; wall: Unix seconds, for the Date field.
    """

    def __init__(
        self,
        *,
        routes: Mapping[str, Mapping[str, Handler]],
        counters: Counters,
        head_limits: HeadLimits,
        limits: EdgeLimits,
        now: Callable[[], float],
        wall: Callable[[], float],
        mqtt: TakeSocket | None = None,
    ) -> None:
        self.mqtt = mqtt
        self.routes = routes
        self.counters = counters
        self.head_limits = head_limits
        self.limits = limits
        self.edges: set[Edge] = set()
        self.heads: dict[bytes, Head] = {}
        self._now = now
        self._wall = wall
        self.tick()

    def tick(self) -> None:
        """Once a second: renew the Date field and close what is over its deadline."""
        self.second = int(self._now())
        self.date = b"date: " + formatdate(self._wall(), usegmt=True).encode() + b"\r\n"
        for edge in [edge for edge in self.edges if edge.deadline <= self.second]:
            edge.overdue()

    def head_of(self, raw: bytes) -> Head:
        """The head of these bytes; heads of POST requests are kept, others are too various."""
        head = self.heads.get(raw)
        if head is None:
            head = parse_head(raw, self.head_limits)
            if head.method == "POST" and len(raw) <= _HEAD_SHARED_BYTES_MAX:
                if len(self.heads) >= _HEADS_MAX:
                    self.heads.clear()
                self.heads[raw] = head
        return head


class _Phase(Enum):
    HEAD = 1
    """Waiting for a head, or for the rest of one."""
    BODY = 2
    """A hot request's body is coming."""
    BUSY = 3
    """A hot request is being answered."""
    COLD = 4
    """uvicorn has the request."""
    STALLED = 5
    """The client does not read its answers, so its next requests wait."""
    GONE = 6
    """Closed, or the socket belongs to somebody else."""


_NO_HEAD: Final = Head(
    raw=b"",
    method="",
    path="",
    query=b"",
    headers={},
    length=0,
    keep_alive=False,
    chunks=False,
    upgrade=False,
)
_NEVER: Final = 1 << 62
_LINGER_S: Final = 2
_MQTT_PATH: Final = "/mqtt"


class Edge(HttpToolsProtocol):
    """One HTTP connection, and the `Exchange` of its current hot request."""

    def __init__(
        self,
        *,
        door: Door,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door = door
        self._phase = _Phase.HEAD
        self._buffer = b""
        self._body: bytearray | ChunkedBody | None = None
        self._cold_left = 0
        self._cold_chunks: ChunkedBody | None = None
        self._taking = False
        self._begun = False
        self._last = False
        self._gone: Callable[[], None] | None = None
        self.head: Head = _NO_HEAD
        self.bytes_in = 0
        self.deadline = door.second + door.limits.header_timeout_s + 1

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._door.edges.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.edges.discard(self)
        self._phase = _Phase.GONE
        self._buffer = b""
        gone, self._gone = self._gone, None
        super().connection_lost(exc)
        if gone is not None:
            gone()

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        if phase is _Phase.HEAD:
            self._take(self._buffer + data if self._buffer else data)
        elif phase is _Phase.COLD:
            self._take_cold(data)
        elif phase is _Phase.BODY:
            self._take_body(data)
        elif phase is _Phase.BUSY or phase is _Phase.STALLED:
            self._buffer += data
            if len(self._buffer) > _BUFFER_BYTES_MAX:
                self.flow.pause_reading()

    # Messages

    def _take(self, data: bytes) -> None:
        """Take as many whole messages as there are, each after the answer to the one before."""
        self._buffer = b""
        if data[0] == MQTT_FIRST and self.head is _NO_HEAD and self._door.mqtt is not None:
            self._door.mqtt(self._hand_over(), data)
            return
        self._taking = True
        try:
            while data and self._phase is _Phase.HEAD:
                data = self._take_message(data)
        except ReddotError as error:
            self._refuse(error)
        finally:
            self._taking = False

    def _take_message(self, data: bytes) -> bytes:
        """Take one message; returns what is left for the next."""
        end = data.find(HEAD_END)
        if end <= 0:
            if data[:2] == b"\r\n":
                return data.lstrip(b"\r\n")
            check_partial(data, self._door.head_limits)
            if not self._begun:
                self._begun = True
                self.deadline = self._door.second + self._door.limits.header_timeout_s + 1
            self._buffer = data
            return b""
        end += 4
        raw = data[:end]
        head = self.head
        if head.raw != raw:
            self.head = head = self._door.head_of(raw)
        mqtt = head.upgrade and not head.length and offers_mqtt(head)
        methods = self._door.routes.get(_MQTT_PATH if mqtt else head.path)
        if methods is None or (head.method not in methods and "*" not in methods):
            self._begin_cold(head, data[end:])
            return b""
        length = head.length
        if 0 <= length <= len(data) - end:
            stop = end + length
            self.bytes_in = stop
            self._buffer = data[stop:]
            self._call(methods, head, data[end:stop])
        else:
            self._begin_body(head, data[end:])
        if self._phase is not _Phase.HEAD:
            return b""
        rest, self._buffer = self._buffer, b""
        return rest

    def _call(self, methods: Mapping[str, Handler], head: Head, body: bytes) -> None:
        self._phase = _Phase.BUSY
        self.deadline = _NEVER
        handler = methods.get(head.method) or methods["*"]
        handler(head, body, self)

    def _begin_body(self, head: Head, data: bytes) -> None:
        self._phase = _Phase.BODY
        self.deadline = self._door.second + self._door.limits.body_timeout_s + 1
        limit = self._door.head_limits.body_bytes_max
        self._body = ChunkedBody(limit) if head.length < 0 else bytearray()
        if head.headers.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.bytes_in = len(head.raw)
        if data:
            self._take_body(data)

    def _take_body(self, data: bytes) -> None:
        head, body = self.head, self._body
        if isinstance(body, ChunkedBody):
            try:
                taken = body.feed(data)
            except ReddotError as error:
                self._refuse(error)
                return
            content, complete = body.content, body.complete
        else:
            assert body is not None
            taken = min(len(data), head.length - len(body))
            body += data[:taken]
            content, complete = body, len(body) == head.length
        self.bytes_in += taken
        if complete:
            self._body = None
            self._buffer = data[taken:]
            self._call(self._door.routes[head.path], head, bytes(content))
            self._go_on()

    def _go_on(self) -> None:
        """Take what was pipelined behind an answer, unless somebody up the stack does."""
        if self._phase is _Phase.HEAD and self._buffer and not self._taking:
            self._take(self._buffer)

    # Cold requests: uvicorn's own path

    def _begin_cold(self, head: Head, data: bytes) -> None:
        self._phase = _Phase.COLD
        self.deadline = self._door.second + self._door.limits.body_timeout_s + 1
        raw = head.raw
        if head.upgrade:
            if head.headers[b"upgrade"].lower() == b"websocket":
                self._leave()
                super().data_received(raw + data)
                return
            # We speak nothing else (say h2c), so it is as if it had not been offered.
            raw = _UPGRADE.sub(b"", raw)
        self._cold_left = max(head.length, 0)
        chunked = head.length < 0
        self._cold_chunks = ChunkedBody(self._door.head_limits.body_bytes_max) if chunked else None
        self._answered = False
        super().data_received(raw)
        self._take_cold(data)

    def _take_cold(self, data: bytes) -> None:
        chunks = self._cold_chunks
        if chunks is not None and not chunks.complete:
            try:
                taken = chunks.feed(data)
            except ReddotError as error:
                self._refuse(error)
                return
            chunks.content.clear()
        else:
            taken = min(len(data), self._cold_left)
            self._cold_left -= taken
        if taken:
            super().data_received(data[:taken])
        self._buffer += data[taken:]
        if len(self._buffer) > _BUFFER_BYTES_MAX:
            self.flow.pause_reading()
        self._end_cold()

    def _end_cold(self) -> None:
        """Go on when both the request and the answer are complete."""
        received = not self._cold_left and (self._cold_chunks is None or self._cold_chunks.complete)
        if self._phase is not _Phase.COLD or not received:
            return
        self.deadline = _NEVER
        if self._answered:
            self._rest()
            self._go_on()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's parser has found something that `ChunkedBody` has not seen yet."""
        self._refuse(ReddotError("http_invalid", "the body is malformed"))

    def on_response_complete(self) -> None:
        """uvicorn has written a whole answer."""
        self.server_state.total_requests += 1
        if self._phase is not _Phase.COLD or self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._answered = True
        self._end_cold()

    # Exchange

    def respond(self, status: int, fields: bytes, body: bytes = b"") -> int:
        if status == 204:  # Has no length (RFC 9110 section 8.6).
            return self.finish(status, fields + b"\r\n")
        length = len(body)
        if self.head.method == "HEAD":
            body = b""
        return self.finish(status, b"%bcontent-length: %d\r\n\r\n%b" % (fields, length, body))

    def finish(self, status: int, rest: bytes) -> int:
        if self._phase is not _Phase.BUSY:
            return 0
        self._gone = None
        closing = self._last or not self.head.keep_alive
        more = b"connection: close\r\n" if closing else b""
        data = b"".join((_STATUS[status], self._door.date, more, rest))
        self.transport.write(data)
        if closing:
            self._leave()
            self.transport.close()
        else:
            self._rest()
            if self._buffer and not self._taking:
                self.flow.resume_reading()
                self._go_on()
        return len(data)

    def stream(self, status: int, fields: bytes, peer: StreamPeer) -> asyncio.Transport:
        if self._phase is not _Phase.BUSY:
            raise ConnectionResetError("the client has gone")
        rest = self._buffer
        transport = self._hand_over()
        transport.write(b"".join((_STATUS[status], self._door.date, fields, b"\r\n")))
        transport.set_protocol(peer)
        peer.attach(transport)
        if rest:
            self.loop.call_soon(peer.data_received, rest)
        return transport

    def _hand_over(self) -> asyncio.Transport:
        """The socket, of which nothing here keeps anything alive: no parser, no flow control."""
        transport = self.transport
        self._leave()
        self._gone = None
        self.parser = self.flow = self.scope = None  # type: ignore[assignment]
        self.head = _NO_HEAD
        transport.set_write_buffer_limits(high=self._door.limits.write_buffer_bytes_max)
        return transport

    def abort(self) -> None:
        self._leave()
        self.transport.abort()

    def on_gone(self, callback: Callable[[], None]) -> None:
        if self._phase is _Phase.GONE:
            callback()
        else:
            self._gone = callback

    # Ends

    def _rest(self) -> None:
        self._phase = _Phase.STALLED if self.flow.write_paused else _Phase.HEAD
        self._begun = False
        self.deadline = self._door.second + self._door.limits.idle_timeout_s + 1

    def _leave(self) -> None:
        self._phase = _Phase.GONE
        self._buffer = b""
        self._door.edges.discard(self)
        self.connections.discard(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._phase is _Phase.STALLED:
            self._phase = _Phase.HEAD
            self.flow.resume_reading()
            self._go_on()

    def _refuse(self, error: ReddotError) -> None:
        """Answer what is wrong with the message itself, and close: its end is not known."""
        self._door.counters.reject(error.code, "http", error.detail)
        body = problem.encode_problem(error)
        if self._phase is not _Phase.COLD or not self._drop_cold():
            self.transport.write(
                b"%b%b%bconnection: close\r\ncontent-length: %d\r\n\r\n%b"
                % (_STATUS[error.row.status], self._door.date, problem.FIELDS, len(body), body)
            )
        self._linger()

    def _drop_cold(self) -> bool:
        """Tell the application that its client has gone; whether it had begun to answer."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        return self.cycle.response_started

    def _linger(self) -> None:
        """Say that nothing more comes, and read on for a moment: closing a socket with unread
        data resets it, and the answer would be lost (RFC 9112 section 9.6)."""
        self._leave()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._door.edges.add(self)
            self.deadline = self._door.second + _LINGER_S
        else:
            self.transport.close()

    def overdue(self) -> None:
        """The deadline has passed: 408 if a message has begun, else just the end of idleness."""
        if self._phase is _Phase.GONE or self._phase is _Phase.STALLED:
            self._door.edges.discard(self)
            self.transport.abort()
        elif self._phase is _Phase.HEAD and not self._buffer:
            self._leave()
            self.transport.close()
        else:
            self._refuse(ReddotError("request_timeout"))

    def shutdown(self) -> None:
        """uvicorn drains: close when the answer that is under way has been written."""
        if self._phase is _Phase.BUSY:
            self._last = True
        else:
            super().shutdown()
