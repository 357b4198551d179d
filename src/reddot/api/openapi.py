"""The OpenAPI description of the hot routes, which FastAPI never sees, and the page that shows it.

The page is our own few lines: the usual ones load their scripts from another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from reddot.api import bodies
from reddot.errors import ERRORS

Json = dict[str, Any]


def _parameter(name: str, where: str, text: str, schema: Json | None = None) -> Json:
    schema = schema or {"type": "string"}
    return {"name": name, "in": where, "description": text, "schema": schema}


_TOPIC: Final = _parameter(
    "topic",
    "query",
    "Topic or filter (`+` one level, `#` the rest); repeatable.",
    {"type": "array", "items": {"type": "string"}},
)
_SUBSCRIBE: Final = [
    _TOPIC,
    _parameter("cursor", "query", "Where to resume; from now on without it."),
    _parameter("ticket", "query", "One-time ticket, for what cannot set header fields."),
    _parameter(
        "format",
        "query",
        "`raw`: exactly what was published, without an envelope.",
        {"type": "string", "enum": ["json", "raw"], "default": "json"},
    ),
    _parameter(
        "inbox",
        "query",
        "`false` keeps a signed-in user's own topics out.",
        {"type": "boolean", "default": True},
    ),
]
_IF_NONE_MATCH: Final = _parameter("If-None-Match", "header", "The cursor as an ETag.")
_LAST_EVENT_ID: Final = _parameter("Last-Event-ID", "header", "The cursor; wins over `cursor`.")
_WAIT: Final = _parameter(
    "wait", "query", "Seconds to be held at most.", {"type": "number", "default": 25}
)

_ANY: Final[Json] = {}
_PUBLICATION: Final[Json] = {
    "type": "object",
    "required": ["topic", "data"],
    "additionalProperties": False,
    "properties": {
        "topic": {"type": "string"},
        "data": _ANY,
        "event": {"type": "string", "default": "message"},
        "id": {"type": "string", "description": "Idempotency key, 24 h."},
        "ephemeral": {"type": "boolean"},
        "ttl": {"type": "number", "description": "Seconds until it is not delivered any more."},
        "retain": {"type": "boolean", "description": "New subscribers get the latest one."},
    },
}
_ANSWER: Final[Json] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "topic": {"type": "string"},
        "offset": {"type": "integer"},
        "cursor": {"type": "string"},
        "duplicate": {"type": "boolean"},
    },
}
_POLLED: Final[Json] = {
    "type": "object",
    "properties": {
        "cursor": {"type": "string"},
        "complete": {"type": "boolean"},
        "gaps": {"type": "array", "items": {"type": "object"}},
        "publications": {"type": "array", "items": {"type": "object"}},
        "badge": {"type": "object", "description": "Of a signed-in user."},
    },
}
_PROBLEM: Final[Json] = {
    "type": "object",
    "description": "RFC 9457 problem document.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "enum": sorted(ERRORS)},
        "retry": {"type": "boolean"},
    },
}


def _content(kind: str, schema: Json) -> Json:
    return {"content": {kind: {"schema": schema}}}


_REFUSED: Final[Json] = {"description": "Refused."} | _content("application/problem+json", _PROBLEM)


def _responses(answers: Mapping[str, Json]) -> Json:
    return {**answers, "default": _REFUSED}


def _stream(summary: str, kind: str, extra: list[Json]) -> Json:
    answer = {"description": "The stream."} | _content(kind, {"type": "string"})
    return {
        "get": {
            "summary": summary,
            "tags": ["subscribe"],
            "parameters": [*_SUBSCRIBE, *extra],
            "responses": _responses({"200": answer}),
        }
    }


def _poll(summary: str, extra: list[Json]) -> Json:
    answer = {"description": "What is new."} | _content("application/json", _POLLED)
    return {
        "get": {
            "summary": summary,
            "tags": ["subscribe"],
            "parameters": [*_SUBSCRIBE, _IF_NONE_MATCH, *extra],
            "responses": _responses(
                {"200": answer, "304": {"description": "Nothing new; the ETag is the cursor."}}
            ),
        }
    }


def _post(summary: str, tag: str, body: Json, answers: Mapping[str, Json]) -> Json:
    return {
        "post": {
            "summary": summary,
            "tags": [tag],
            "requestBody": {"required": True, "content": body},
            "responses": _responses(answers),
        }
    }


_JSON_TEXT: Final[Json] = {"schema": {"type": "string"}}
PATHS: Final[Mapping[str, Json]] = {
    "/v1/publish": _post(
        "Publish one publication, an array of them, or NDJSON",
        "publish",
        {
            "application/json": {
                "schema": {"oneOf": [_PUBLICATION, {"type": "array", "items": _PUBLICATION}]}
            },
            "application/x-ndjson": _JSON_TEXT,
        },
        {
            "200": {"description": "Durable."} | _content("application/json", _ANSWER),
            "202": {"description": "Dispatched; ephemeral."},
        },
    ),
    "/v1/poll": _poll("Short polling", []),
    "/v1/longpoll": _poll("Long polling: held until something arrives", [_WAIT]),
    "/v1/sse": _stream("Server-sent events", "text/event-stream", [_LAST_EVENT_ID]),
    "/v1/iframe": _stream("Iframe stream", "text/html", []),
    "/v1/ws": {
        "get": {
            "summary": "WebSocket (subprotocol reddot.v1 offered, optional)",
            "tags": ["subscribe"],
            "parameters": _SUBSCRIBE,
            "responses": _responses({"101": {"description": "JSON text frames both ways."}}),
        }
    },
    "/v1/notifications": _post(
        "Notify users, the followers of a topic, or everyone",
        "notify",
        {},
        {
            "201": {"description": "Durable and live."},
            "200": {"description": "It was sent before."},
            "202": {"description": "Waits for its time."},
        },
    ),
    "/v1/badge": {
        "get": {
            "summary": "One's own red dot",
            "tags": ["inbox"],
            "parameters": [_IF_NONE_MATCH],
            "responses": _responses(
                {
                    "200": {"description": "The badge."},
                    "304": {"description": "It is the one of the ETag."},
                }
            ),
        }
    },
    "/v1/tickets": _post(
        "A one-time ticket for EventSource and iframes",
        "access",
        {"application/json": {"schema": {"type": "object"}}},
        {
            "200": {"description": "Good once, for a short time."}
            | _content(
                "application/json",
                {
                    "type": "object",
                    "properties": {
                        "ticket": {"type": "string"},
                        "expires_in": {"type": "integer"},
                    },
                },
            )
        },
    ),
}


def describe_hot_routes(service: FastAPI) -> None:
    """Make `service` describe the hot routes beside its own."""

    def openapi() -> Json:
        if service.openapi_schema is None:
            schema = get_openapi(
                title=service.title, version=service.version, routes=service.routes
            )
            cold = schema["paths"]
            hot = {path: {**cold.pop(path, {}), **deepcopy(one)} for path, one in PATHS.items()}
            schema["paths"] = {**hot, **cold}
            schema["components"] = {
                "schemas": schema.get("components", {}).get("schemas", {})
                | bodies.describe(schema["paths"], _REFUSED),
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            }
            schema["security"] = [{"bearer": []}]
            service.openapi_schema = schema
        return service.openapi_schema

    service.openapi = openapi  # type: ignore[method-assign]


def render_page(schema: Json) -> str:
    """The description as one plain HTML page."""
    rows = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parameters = "".join(
                f"<li><code>{escape(p['name'])}</code> {escape(p.get('description', ''))}</li>"
                for p in operation.get("parameters", ())
            )
            rows.append(
                f"<section><h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2>"
                f"<p>{escape(operation.get('summary', ''))}</p><ul>{parameters}</ul></section>"
            )
    title = f"{escape(schema['info']['title'])} {escape(schema['info']['version'])}"
    return _PAGE.replace("{title}", title).replace("{rows}", "".join(rows))


def render_errors() -> str:
    """The error table as a page; where the `type` of a problem document points to."""
    rows = "".join(
        f"<section id={row.code}><h2><b>{row.status}</b> <code>{row.code}</code></h2>"
        f"<p>{escape(row.title)} Fault: {row.fault.value}. "
        f"{'May be retried unchanged.' if row.retry else 'Not to be retried unchanged.'} "
        f"WebSocket close {row.close}.</p></section>"
        for row in ERRORS.values()
    )
    return _ERRORS.replace("{rows}", rows)


_ERRORS: Final = """<!doctype html><html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>Reddot: errors</title><link rel=stylesheet href=/docs/style.css>
<main><h1>Errors</h1>{rows}</main></html>
"""
_PAGE: Final = """<!doctype html><html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>{title}</title><link rel=stylesheet href=/docs/style.css>
<main><h1>{title}: HTTP interface</h1>
<p>Machine-readable: <a href=/openapi.json>openapi.json</a>. <a href=/docs/errors>Errors</a>.</p>
{rows}</main></html>
"""

STYLE: Final = """:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:Canvas;color:CanvasText}
main{max-width:46rem;margin:0 auto;padding:2rem 1rem}
h1{font-size:1.5rem}h2{font-size:1.05rem;margin:0}
h2 b{color:#d1242f;font-size:.8rem;letter-spacing:.04em}
section{border-top:1px solid color-mix(in srgb,CanvasText 20%,Canvas);padding:1rem 0}
p{margin:.3rem 0}ul{margin:.3rem 0;padding-left:1.2rem}
code{font:.92em ui-monospace,monospace}
"""
