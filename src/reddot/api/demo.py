"""The server part of the demo page: its files, its clock, its figures, its fault buttons.

Layer: api. `GET /demo` and what lies under `/v1/demo`; the page's transports are the real ones.

Invariants:
- No path on disk comes from a client: the files are read once into a dict.
- What changes the server is a POST, and only a page of this very host may send one.
- The publisher is bounded, and stops by itself once nobody watches the figures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Protocol
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reddot.api.pages import Pages
from reddot.codecs.problem import encode_problem
from reddot.counters import Counters, TransportCounters
from reddot.errors import ReddotError

TOPIC: Final = "demo"
EVENT: Final = "tick"
RATE_PER_MINUTE_MAX: Final = 50 * 60
SIZE_BYTES_MAX: Final = 16 * 1024
BODY_BYTES_MAX: Final = 1024
WATCH_SECONDS: Final = 30.0
CUT_SECONDS: Final = 5.0

_PADDING: Final = "the same message over six transports, " * (SIZE_BYTES_MAX // 38 + 1)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "img-src 'self' data:; frame-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_FOLDERS: Final = {"": "demo", "vendor/": "vendor", "look/": "look"}
_FRESH: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Endpoint = Callable[[Request], Awaitable[Response]]


class DemoSite(Protocol):
    """What the demo needs from the running server."""

    @property
    def counters(self) -> Counters:
        """The counters of this process."""
        ...

    async def publish(
        self, topic: str, data: bytes, *, event: str, ephemeral: bool = False
    ) -> object:
        """Publish JSON bytes in-process; returns when durable, raises `ReddotError`."""
        ...

    def cut_connections(self, seconds: float) -> None:
        """Abort every client's stream and refuse the hot routes for so many seconds."""
        ...

    def restart_hub(self) -> None:
        """Drop every session as a crash of the fan-out would; the log stays."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch, by the clock that stamps publications."""
        ...


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page asks of the publisher.

    Attributes:
        per_minute: publications a minute, at most 50 a second; 0 stops.
        size: bytes of each publication's `data`, padding included; a smaller `data` is not cut.
    """

    per_minute: Annotated[float, msgspec.Meta(ge=0, le=RATE_PER_MINUTE_MAX)]
    size: Annotated[int, msgspec.Meta(ge=0, le=SIZE_BYTES_MAX)]


_STOPPED: Final = Rate(0, 0)


def demo_data(number: int, size: int) -> bytes:
    """`{"n": number, "text": padding}` as JSON of `size` bytes, or as little more as it needs."""
    bare = f'{{"n":{number},"text":""}}'
    return f'{bare[:-2]}{_PADDING[: max(0, size - len(bare))]}"}}'.encode()


class Publisher:
    """Publishes numbered messages on the topic `demo` at a steady rate while a page watches.

    Late ticks are dropped, not caught up: a stall must not end in a burst that no slider asked for.
    """

    def __init__(
        self,
        site: DemoSite,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._site = site
        self._monotonic = monotonic
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._watched_at = monotonic()
        self._rate = _STOPPED
        self.published = 0
        self.refused = 0

    @property
    def rate(self) -> Rate:
        """The rate in force; 0 a minute once stopped, whoever stopped it."""
        return self._rate

    def watched(self) -> None:
        """A page has asked for the figures: go on for another `WATCH_SECONDS`."""
        self._watched_at = self._monotonic()

    def set_rate(self, rate: Rate) -> None:
        """Replace the rate. The first publication goes out at once, so 1 a minute shows life."""
        self.watched()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._rate = rate
        if rate.per_minute:
            self._task = asyncio.create_task(self.run(), name="demo publisher")

    async def run(self) -> None:
        """Publish until nobody has watched for `WATCH_SECONDS`."""
        interval = 60 / self._rate.per_minute
        due = self._monotonic()
        while self._monotonic() - self._watched_at < WATCH_SECONDS:
            await self._publish_next()
            due = max(due + interval, self._monotonic())
            await self._sleep(due - self._monotonic())
        self._rate = _STOPPED

    async def _publish_next(self) -> None:
        self.published += 1
        data = demo_data(self.published, self._rate.size)
        try:
            await self._site.publish(TOPIC, data, event=EVENT)
        except ReddotError:
            # A full or draining server refuses; the next tick asks again and the page shows it.
            self.refused += 1


def _problem(error: ReddotError) -> Response:
    return Response(
        encode_problem(error), error.row.status, _FRESH, media_type="application/problem+json"
    )


def _answering(endpoint: Endpoint) -> Endpoint:
    """Translate `ReddotError` into RFC 9457, once, at the edge."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ReddotError as error:
            return _problem(error)

    return answer


def _require_same_origin(request: Request) -> None:
    """Refuse what another site's page sends (RFC 6454 section 7): `Origin` must name this host."""
    origin = request.headers.get("origin", "")
    if not origin or urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise ReddotError("origin_forbidden", "only the demo page of this host may do this")


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ReddotError("body_too_large", f"more than {BODY_BYTES_MAX} bytes")
    return bytes(body)


def _parse_rate(body: bytes) -> Rate:
    try:
        return msgspec.json.decode(body, type=Rate)
    except msgspec.ValidationError as error:
        raise ReddotError("field_invalid", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReddotError("json_invalid", str(error)) from None


def _transport_figures(counters: TransportCounters) -> dict[str, int]:
    return {
        "sessions": counters.sessions,
        "requests": counters.requests,
        "deliveries": counters.deliveries,
        "bytes_in": counters.bytes_in,
        "bytes_out": counters.bytes_out,
    }


class _Routes:
    """The endpoints; one object a server, so that they share the publisher and the files."""

    def __init__(self, site: DemoSite) -> None:
        self._site = site
        self._pages = Pages(_FOLDERS, _POLICY)
        self._publisher = Publisher(site)

    async def page(self, request: Request) -> Response:
        return self._pages.answer(request, "index.html")

    async def file(self, request: Request) -> Response:
        return self._pages.answer(request, request.path_params["name"])

    async def now(self, request: Request) -> Response:
        return JSONResponse({"now_ms": self._site.wall_ms()}, headers=_FRESH)

    async def counters(self, request: Request) -> Response:
        self._publisher.watched()
        return JSONResponse(self._figures(), headers=_FRESH)

    async def rate(self, request: Request) -> Response:
        _require_same_origin(request)
        self._publisher.set_rate(_parse_rate(await _read_body(request)))
        return JSONResponse(self._publisher_figures(), headers=_FRESH)

    async def cut(self, request: Request) -> Response:
        _require_same_origin(request)
        self._site.cut_connections(CUT_SECONDS)
        return JSONResponse({"seconds": CUT_SECONDS}, headers=_FRESH)

    async def restart(self, request: Request) -> Response:
        _require_same_origin(request)
        self._site.restart_hub()
        return JSONResponse({}, headers=_FRESH)

    def _publisher_figures(self) -> dict[str, float]:
        publisher = self._publisher
        return {
            "per_minute": publisher.rate.per_minute,
            "size": publisher.rate.size,
            "published": publisher.published,
            "refused": publisher.refused,
        }

    def _figures(self) -> dict[str, object]:
        transports = self._site.counters.transports.items()
        return {
            "publisher": self._publisher_figures(),
            "transports": {name: _transport_figures(each) for name, each in transports},
        }


def demo_routes(site: DemoSite) -> list[Route]:
    """The demo's routes, to be mounted at the root of the application."""
    routes = _Routes(site)

    def route(method: str, path: str, endpoint: Endpoint) -> Route:
        return Route(path, _answering(endpoint), methods=[method], include_in_schema=False)

    return [
        route("GET", "/demo", routes.page),
        route("GET", "/demo/{name:path}", routes.file),
        route("GET", "/v1/demo/now", routes.now),
        route("GET", "/v1/demo/counters", routes.counters),
        route("POST", "/v1/demo/rate", routes.rate),
        route("POST", "/v1/demo/cut", routes.cut),
        route("POST", "/v1/demo/restart", routes.restart),
    ]
