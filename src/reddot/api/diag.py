"""The server part of the transport doctor: a small probe of every way to a client, and its page.

Layer: api. Everything lies under `/v1/diag`. A probe writes a few stamped beats and ends; who
measures when they arrive knows whether the way is open and whether something on it holds back.

Invariants:
- No credential is asked for, nothing stored is read or changed, no topic is touched.
- A probe lives for about a second and writes less than 3 KiB; no more than `probes_max` run at a
  time, and the next one is answered 429.
- A page sees an answer only if its origin may use the server at all.
- Addresses and host names of others than the asking host are not told.

The streams are hot routes and go out as those of the transports do, byte for byte delimited alike:
an nginx that buffers holds back an answer of unknown length, and passes on one in chunks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from reddot.api.pages import Pages
from reddot.codecs.credentials import COOKIE, Credential, credential_of
from reddot.codecs.iframe import encode_chunk, encode_document
from reddot.codecs.problem import FIELDS, encode_problem
from reddot.core.gate import Gate
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.net import chunked
from reddot.net.exchange import Exchange, Handler
from reddot.net.framing import Head
from reddot.net.stream import OneWayPeer

BEATS: Final = 5
BEAT_S: Final = 0.2
HELD_S: Final = 1.0
HEADER_CHARS_MAX: Final = 200

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "img-src data:; frame-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_FRESH: Final = {
    "cache-control": "no-store, no-cache, no-transform",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "vary": "origin",
}
_EXPOSED: Final = "content-encoding, via, x-cache, age, retry-after"
# What proxies add. Of `via` the protocols are told and no names, of addresses how many there are.
_HEADERS: Final = (
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "cdn-loop",
    "connection",
    "accept-encoding",
)
_ADDRESSES: Final = ("x-forwarded-for", "x-real-ip", "forwarded", "cdn-loop", "x-forwarded-host")
_VIA: Final = re.compile(r"\s*(?:[A-Za-z]{1,10}/)?[0-9]{1,2}(?:\.[0-9]{1,2})?(?=\s)")

Sleep = Callable[[float], Awaitable[None]]
Endpoint = Callable[[Request], Awaitable[Response]]
Stream = tuple[dict[str, str], bytes, Callable[[bytes], bytes], bytes]
"""Header fields, what comes before the first beat, how a beat is written, what comes at the end."""


def told(name: str, value: str) -> str:
    """A header field as it may be repeated to whoever asks: short, printable, without names."""
    if name in _ADDRESSES:
        count = value.count(",") + 1
        return f"{count} {'entry' if count == 1 else 'entries'}"
    if name == "via":
        hops = (_VIA.match(hop) for hop in value.split(",")[:10])
        return ", ".join(f"{found[0].strip()} *" if found else "*" for found in hops)
    return "".join(c if " " <= c <= "~" else "?" for c in value[:HEADER_CHARS_MAX])


class _Nobody:
    """Who listens to a probe's connection: what it cannot take now, it need not take."""

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def lost(self) -> None: ...


class Probes:
    """The endpoints; one object a server, so that they share the count of what runs.

    Args:
        wall_ms: the clock of the stamps.
        nonce: makes one of an iframe's scripts; unguessable.
        probes_max: at a time; 0: there are none.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        counters: Counters,
        wall_ms: Callable[[], int],
        nonce: Callable[[], str],
        probes_max: int,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.running = 0
        self._gate = gate
        self._counters = counters
        self._wall_ms = wall_ms
        self._nonce = nonce
        self._probes_max = probes_max
        self._spawn = spawn
        self._sleep = sleep
        self._pages = Pages({"": "diag", "look/": "look"}, _POLICY)

    def hot_routes(self) -> dict[str, Mapping[str, Handler]]:
        """The streams, by path and method."""
        return {
            "/v1/diag/sse": {"GET": self._stream(self._open_sse)},
            "/v1/diag/iframe": {"GET": self._stream(self._open_iframe)},
        }

    def routes(self) -> list[BaseRoute]:
        """The page, and what is no stream."""

        def route(path: str, endpoint: Endpoint) -> Route:
            return Route(path, self._answering(endpoint), methods=["GET"], include_in_schema=False)

        return [
            route("/v1/diag", self._page),
            route("/v1/diag/seen", self._seen),
            route("/v1/diag/longpoll", self._held),
            route("/v1/diag/ws", self._no_upgrade),
            WebSocketRoute("/v1/diag/ws", self._websocket),
            route("/v1/diag/{name:path}", self._file),
        ]

    # ---- before every route ----

    def _answering(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            fields: dict[str, str] = {}
            try:
                fields = self._fields(_credential(request))
                response = await endpoint(request)
            except ReddotError as error:
                self._counters.reject(error.code)
                again = {"retry-after": "2"} if error.row.retry else {}
                response = Response(
                    encode_problem(error),
                    error.row.status,
                    _FRESH | again,
                    media_type="application/problem+json",
                )
            for name, value in fields.items():
                response.headers[name] = value
            return response

        return answer

    def _fields(self, credential: Credential) -> dict[str, str]:
        """The CORS fields of the answer; raises `origin_forbidden`."""
        origin = self._gate.allow_origin(credential.origin, credential.host)
        if origin is None:
            if credential.origin is not None:
                raise ReddotError("origin_forbidden", "this origin is not on the list")
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": _EXPOSED,
            "timing-allow-origin": origin,
        }

    def _check_room(self) -> None:
        if self.running >= self._probes_max:
            raise ReddotError("rate_limited", f"{self._probes_max} probes are allowed at a time")

    # ---- the page ----

    async def _page(self, request: Request) -> Response:
        return self._pages.answer(request, "index.html")

    async def _file(self, request: Request) -> Response:
        return self._pages.answer(request, request.path_params["name"])

    # ---- the probes ----

    async def _seen(self, request: Request) -> Response:
        """What arrives here of a request."""
        credential = _credential(request)
        found = {n: told(n, request.headers[n]) for n in _HEADERS if n in request.headers}
        answer = {
            "now_ms": self._wall_ms(),
            "http_version": request.scope["http_version"],
            "scheme": request.url.scheme,
            "host": told("host", credential.host or ""),
            "cookie": COOKIE in request.cookies,
            "headers": found,
        }
        return JSONResponse(answer, headers=_FRESH)

    async def _held(self, request: Request) -> Response:
        """An answer that is held, as a long poll's is."""
        self._check_room()
        asked_ms = self._wall_ms()
        self.running += 1
        try:
            await self._sleep(HELD_S)
        finally:
            self.running -= 1
        return JSONResponse({"asked_ms": asked_ms, "sent_ms": self._wall_ms()}, headers=_FRESH)

    async def _beats(self) -> AsyncIterator[bytes]:
        for number in range(BEATS):
            if number:
                await self._sleep(BEAT_S)
            beat = {"type": "beat", "n": number, "of": BEATS, "sent_ms": self._wall_ms()}
            yield msgspec.json.encode(beat)

    def _stream(self, open_: Callable[[Head], Stream]) -> Handler:
        def handle(head: Head, body: bytes, exchange: Exchange) -> None:
            try:
                fields = _FRESH | self._fields(credential_of(head.headers, None))
                self._check_room()
            except ReddotError as error:
                self._counters.reject(error.code)
                exchange.respond(error.row.status, FIELDS, encode_problem(error))
                return
            own, begin, encode, end = open_(head)
            lines = "".join(f"{name}: {value}\r\n" for name, value in (fields | own).items())
            answer = lines.encode("latin-1") + b"connection: close\r\n"
            transport = exchange.stream(200, answer, OneWayPeer(_Nobody()))
            transport.write(begin)
            self._spawn(self._write(transport, encode, end))

        return handle

    async def _write(
        self, transport: asyncio.Transport, encode: Callable[[bytes], bytes], end: bytes
    ) -> None:
        self.running += 1
        try:
            async for beat in self._beats():
                if transport.is_closing():
                    return
                transport.write(encode(beat))
            transport.write(end)
        finally:
            self.running -= 1
            transport.close()

    def _open_sse(self, head: Head) -> Stream:
        fields = {"content-type": "text/event-stream; charset=utf-8"}

        def encode(beat: bytes) -> bytes:
            return b"event: beat\ndata: %b\n\n" % beat

        if not head.chunks:
            return fields, b"", encode, b""
        fields["transfer-encoding"] = "chunked"
        return fields, b"", lambda beat: chunked.encode_chunk(encode(beat)), chunked.LAST_CHUNK

    def _open_iframe(self, head: Head) -> Stream:
        origin, nonce = self._embedder(head), self._nonce()
        ancestors = "'self'" if origin is None else f"'self' {origin}"
        fields = {
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": (
                f"default-src 'none'; script-src 'nonce-{nonce}'; base-uri 'none'; "
                f"form-action 'none'; frame-ancestors {ancestors}"
            ),
            "cross-origin-embedder-policy": "require-corp",
            "cross-origin-resource-policy": "cross-origin",
        }
        begin = encode_document(nonce, origin)
        return fields, begin, lambda beat: encode_chunk(nonce, beat), b""

    def _embedder(self, head: Head) -> str | None:
        """The embedding page's origin if it is on the list (a navigation carries no `Origin`)."""
        parts = head.headers.get(b"referer", b"").decode("latin-1").split("/", 3)
        host = head.headers.get(b"host", b"").decode("latin-1")
        if len(parts) < 3 or parts[2] == host:
            return None
        return self._gate.allow_origin(f"{parts[0]}//{parts[2]}", host)

    async def _no_upgrade(self, request: Request) -> Response:
        """Whatever asked for it, the upgrade has not arrived."""
        raise ReddotError("upgrade_required")

    async def _websocket(self, socket: WebSocket) -> None:
        try:
            self._fields(_credential(socket))
            self._check_room()
        except ReddotError as error:
            self._counters.reject(error.code)
            await socket.close(1008)  # Before it is accepted: 403.
            return
        self.running += 1
        try:
            await socket.accept()
            async for beat in self._beats():
                await socket.send_text(beat.decode())
            await socket.close()
        except WebSocketDisconnect:
            return
        finally:
            self.running -= 1


def _credential(request: HTTPConnection) -> Credential:
    headers: Mapping[bytes, bytes] = dict(request.headers.raw)
    return credential_of(headers, None)
