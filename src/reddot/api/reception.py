"""What stands before every cold route: origin, credential, errors. As `admission` before hot ones.

A route is a function from a `Caller` to an answer; Starlette's request stays here, except for its
body and query.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from reddot.codecs.credentials import Credential, credential_of
from reddot.codecs.problem import encode_problem
from reddot.core.access import require_admin
from reddot.core.gate import Gate, Identified
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import ANONYMOUS, Actor

_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "vary": "origin",
    "x-content-type-options": "nosniff",
}
_SAFE: Final = ("GET", "HEAD")
METHODS: Final = "GET, POST, PUT, DELETE"

T = TypeVar("T")


class Caller(msgspec.Struct, frozen=True):
    """Who asks, and what with.

    Attributes:
        body: of the request, within the limit of the front door.
        place: what the address says, by the name in the route's path.
        query: first value by name.
        credential: what the request has said of its sender, and where it is from.
    """

    actor: Actor
    body: bytes
    place: Mapping[str, str]
    query: Mapping[str, str]
    credential: Credential

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A number of the query; raises `field_invalid`."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not low <= int(text[:19]) <= high:
            raise ReddotError("field_invalid", f"{name!r} is a number between {low} and {high}")
        return int(text)

    def place_before(self, name: str = "before") -> int | None:
        """Where a page begins, as the one before has said it."""
        if name not in self.query:
            return None
        return self.number(name, 0, 1, 2**63 - 1)

    def wanted(self, kind: type[T]) -> T:
        """The body as a `kind`; raises `field_invalid` and `json_invalid`."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.ValidationError as error:
            raise ReddotError("field_invalid", str(error)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ReddotError("json_invalid", str(error)) from None

    def require_admin(self) -> None:
        """Raises `unauthorized` or `forbidden` unless it is the operator, or a server's key."""
        require_admin(self.actor)

    def require_operator(self) -> None:
        """Raises `unauthorized` or `forbidden` unless it is the operator: no server's key."""
        self.require_admin()
        if not self.actor.admin:
            raise ReddotError("forbidden", "an API key is not enough here")


class Answer(msgspec.Struct, frozen=True):
    """An answer with header fields of its own."""

    content: object
    fields: Mapping[str, str]


Route = Callable[[Caller], Awaitable[Any]]


class Reception:
    """Makes routes of one router."""

    def __init__(self, *, gate: Gate, counters: Counters) -> None:
        self.router = APIRouter()
        self._gate = gate
        self._counters = counters

    def add(
        self,
        method: str,
        path: str,
        tag: str,
        summary: str,
        route: Route,
        *,
        description: str = "",
        identify: bool = True,
    ) -> None:
        """Answer `method` at `path` with what `route` returns, as JSON; None: 204.

        Args:
            identify: False: whoever asks is anonymous, whatever the request carries.
        """

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, route, identify)

        self.router.add_api_route(
            path,
            endpoint,
            methods=[method],
            tags=[tag],
            summary=summary,
            description=description,
            name=f"{method.lower()} {path}",
            operation_id=f"{method.lower()}{path}".replace("/", "_").replace(":path", ""),
        )

    def add_preflight(self, path: str) -> None:
        async def endpoint(request: Request) -> Response:
            fields = self._cors_fields(_credential(request))
            if "access-control-allow-origin" in fields:
                fields |= {
                    "access-control-allow-methods": METHODS,
                    "access-control-allow-headers": "authorization, content-type, idempotency-key",
                    "access-control-max-age": "600",
                }
            return Response(None, 204, headers=_HEADERS | fields)

        self.router.add_api_route(path, endpoint, methods=["OPTIONS"], include_in_schema=False)

    async def _identified(self, credential: Credential, identify: bool) -> Identified:
        if not identify:
            return Identified(actor=ANONYMOUS)
        return await self._gate.identify_fetching(**msgspec.structs.asdict(credential))

    async def _answer(self, request: Request, route: Route, identify: bool) -> Response:
        credential = _credential(request)
        fields = self._cors_fields(credential)
        try:
            identified = await self._identified(credential, identify)
            if request.method not in _SAFE and not identified.origin_allowed:
                raise ReddotError("origin_forbidden")
            caller = Caller(
                actor=identified.actor,
                body=await request.body(),
                place=request.path_params,
                query=dict(request.query_params),
                credential=credential,
            )
            answer = await route(caller)
        except ReddotError as error:
            return self._refuse(error, fields, request.url.path)
        headers = _HEADERS | fields
        if isinstance(answer, Answer):
            headers |= answer.fields
            answer = answer.content
        if answer is None:
            return Response(None, 204, headers=headers)
        body = msgspec.json.encode(answer)
        return Response(body, 200, media_type="application/json", headers=headers)

    def _refuse(self, error: ReddotError, fields: dict[str, str], path: str) -> Response:
        self._counters.reject(error.code, path, error.detail)
        if error.row.status == 401:
            fields = fields | {"www-authenticate": "Bearer"}
        elif error.row.retry:
            fields = fields | {"retry-after": "5"}
        return Response(
            encode_problem(error),
            error.row.status,
            media_type="application/problem+json",
            headers=_HEADERS | fields,
        )

    def _cors_fields(self, credential: Credential) -> dict[str, str]:
        origin = self._gate.allow_origin(credential.origin, credential.host)
        if origin is None:
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
        }


def _credential(request: Request) -> Credential:
    return credential_of(dict(request.headers.raw), None)
