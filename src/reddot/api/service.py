"""The ASGI application for everything cold, with a user's own application behind it.

What begins with one of `PREFIXES` is ours; all other addresses, lifespan and WebSockets included,
go to the user's application, or are answered 404.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

import structlog
from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

import reddot
from reddot.api.openapi import STYLE, describe_hot_routes, render_errors, render_page
from reddot.codecs import problem
from reddot.errors import ReddotError

_log = structlog.get_logger("reddot.api")

PREFIXES: Final = (
    "/v1/",
    "/livez",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/demo",
    "/console",
    "/reddot.js",
    "/reddot-",
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADERS: Final = {"referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}
_PAGE_POLICY: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
}
_CODES: Final = {404: "not_found", 405: "method_not_allowed"}


def _problem(error: ReddotError, headers: Mapping[str, str] | None = None) -> Response:
    body = problem.encode_problem(error)
    media_type = "application/problem+json"
    all_headers = _HEADERS | dict(headers or {})
    return Response(body, error.row.status, media_type=media_type, headers=all_headers)


async def _on_reddot_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ReddotError)
    return _problem(error)


async def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(ReddotError(_CODES.get(error.status_code, "http_invalid")), error.headers)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    """The client went while it was sending: nobody's mistake, and nobody reads the answer."""
    return _problem(ReddotError("request_timeout"))


async def _on_mistake(request: Request, error: Exception) -> Response:
    _log.error("route_failed", path=request.url.path, exc_info=error)
    return _problem(ReddotError("internal"))


def build_service(routes: Sequence[BaseRoute], router: APIRouter | None = None) -> FastAPI:
    """Our cold routes; errors are problem documents here too.

    Args:
        router: routes that are described.
    """
    service = FastAPI(title="Reddot", version=reddot.__version__, docs_url=None, redoc_url=None)
    service.add_exception_handler(ReddotError, _on_reddot_error)
    service.add_exception_handler(HTTPException, _on_http_error)
    service.add_exception_handler(ClientDisconnect, _on_disconnect)
    service.add_exception_handler(Exception, _on_mistake)
    describe_hot_routes(service)
    service.router.routes.extend(routes)
    if router is not None:
        service.include_router(router)

    def page(html: str) -> Response:
        return Response(html, media_type="text/html", headers=_HEADERS | _PAGE_POLICY)

    @service.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return page(render_page(service.openapi()))

    @service.get("/docs/errors", include_in_schema=False)
    async def errors() -> Response:
        return page(render_errors())

    @service.get("/docs/style.css", include_in_schema=False)
    async def style() -> Response:
        return Response(STYLE, media_type="text/css", headers=_HEADERS)

    return service


def with_application(service: Asgi, application: Asgi | None) -> Asgi:
    """`service` for our addresses, `application` for all others."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] != "lifespan" and scope["path"].startswith(PREFIXES)
        if application is not None and not ours:
            await application(scope, receive, send)
        else:
            await service(scope, receive, send)

    return dispatch
