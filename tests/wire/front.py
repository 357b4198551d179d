"""A front door without a node behind it: the real edge, routes that a test can watch, a fake clock.

Hot: `/hot` answers at once, `/echo` answers what it was sent, `/later` when the test says so,
`/stream` becomes a stream. Everything else is cold and goes to an ASGI application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from reddot.counters import Counters
from reddot.net.edge import Door, Edge, EdgeLimits
from reddot.net.exchange import Exchange, Handler, StreamPeer
from reddot.net.framing import Head, HeadLimits
from tests.wire.answers import Answer, read_answers
from tests.wire.transport import FakeTransport, settle

TEXT: Final = b"content-type: text/plain\r\n"
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Peer(StreamPeer):
    """A stream's protocol that remembers what it is told."""

    def __init__(self) -> None:
        self.received = b""
        self.told: list[str] = []

    def attach(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


async def _read_body(receive: Receive) -> bytes | None:
    """The request's body; None if the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


class Front:
    """Attributes:
    waiting: exchanges of `/later` that are not answered yet, and `gone` those whose client went.
    seen: what was asked, in order: hot or cold, method, path, body.
    now_s: monotonic seconds; `advance` moves them and lets the door look at its deadlines.
    """

    def __init__(
        self, *, head_limits: HeadLimits | None = None, limits: EdgeLimits | None = None
    ) -> None:
        self.now_s = 1000.0
        self.waiting: list[Exchange] = []
        self.gone: list[Exchange] = []
        self.peers: list[Peer] = []
        self.seen: list[tuple[str, str, str, bytes]] = []
        self.transports: list[FakeTransport] = []
        self.cold_may_answer = asyncio.Event()
        self.cold_may_answer.set()
        self.counters = Counters()
        self.door = Door(
            routes=self._routes(),
            counters=self.counters,
            head_limits=head_limits or HeadLimits(),
            limits=limits or EdgeLimits(),
            now=lambda: self.now_s,
            wall=lambda: 1_767_225_600.0,
        )
        self.state = ServerState()
        self.config = uvicorn.Config(
            self._cold,
            interface="asgi3",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )

    def _routes(self) -> Mapping[str, Mapping[str, Handler]]:
        def route(handler: Handler) -> Mapping[str, Handler]:
            def seeing(head: Head, body: bytes, exchange: Exchange) -> None:
                self.seen.append(("hot", head.method, head.path, body))
                handler(head, body, exchange)

            return {"GET": seeing, "POST": seeing, "*": seeing}

        return {
            "/hot": route(lambda head, body, exchange: _respond(exchange, head.query)),
            "/echo": route(lambda head, body, exchange: _respond(exchange, body)),
            "/later": route(self._later),
            "/stream": route(self._stream),
        }

    def _later(self, head: Head, body: bytes, exchange: Exchange) -> None:
        self.waiting.append(exchange)
        exchange.on_gone(lambda: self.gone.append(exchange))

    def _stream(self, head: Head, body: bytes, exchange: Exchange) -> None:
        peer = Peer()
        exchange.stream(200, b"connection: close\r\n", peer)
        self.peers.append(peer)

    async def _cold(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4404})
            return
        if scope["path"] == "/deaf":  # answers without looking at the body
            body: bytes | None = b""
        else:
            body = await _read_body(receive)
        if body is None:
            self.seen.append(("gone", scope["method"], scope["path"], b""))
            return
        self.seen.append(("cold", scope["method"], scope["path"], body))
        await self.cold_may_answer.wait()
        answer = b"cold %b %b" % (scope["path"].encode(), body)
        headers = [(b"content-length", b"%d" % len(answer))] if scope["path"] != "/chunked" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def connect(self, *, encrypted: bool = False) -> FakeTransport:
        """A new connection."""
        edge = Edge(door=self.door, config=self.config, server_state=self.state, app_state={})
        transport = FakeTransport(edge, encrypted=encrypted)
        self.transports.append(transport)
        edge.connection_made(transport)
        return transport

    def advance(self, seconds: float) -> None:
        """Let time pass, a second at a time, as the ticker does."""
        while seconds > 0:
            self.now_s += min(1.0, seconds)
            seconds -= 1.0
            self.door.tick()

    async def ask(self, request: bytes, *methods: str) -> list[Answer]:
        """All answers to what is sent on a connection of its own."""
        transport = self.connect()
        transport.feed(request)
        await settle()
        return read_answers(bytes(transport.sent), methods)


def _respond(exchange: Exchange, body: bytes) -> None:
    exchange.respond(200, TEXT, body)
