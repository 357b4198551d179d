"""`GET /reddot.js` and what belongs to it, as `make js` has built it and the wheel ships it.

The client with the bell, what panel and toasts show, the doors to MQTT, the doctor and Web Push,
and the service worker. Any page may load them, so they are public and the same for everybody. The
ETag is the digest in the form that the attribute `integrity` of a page wants (W3C Subresource
Integrity section 3.1).
"""

from __future__ import annotations

import gzip
import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reddot.codecs.problem import encode_problem
from reddot.errors import ReddotError

FILES: Final = (
    "reddot.js",
    "reddot-inbox.js",
    "reddot-mqtt.js",
    "reddot-diagnose.js",
    "reddot-push.js",
    "reddot-sw.js",
)
WORKER: Final = "reddot-sw.js"
_HEADERS: Final = {
    # A module from another origin is fetched with CORS, and without credentials.
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "etag",
    "cross-origin-resource-policy": "cross-origin",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}
# A service worker may be for the whole site, wherever a proxy puts its file.
_WORKER_HEADERS: Final = {"service-worker-allowed": "/"}
_AGAIN: Final = "no-cache"
_FOREVER: Final = "public, max-age=31536000, immutable"


# Named, and not with a weight of 0 (RFC 9110 section 12.5.3).
_GZIP: Final = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)


class Script(msgspec.Struct, frozen=True):
    """A built file.

    Attributes:
        integrity: `sha384-` and the digest of the content in base64.
    """

    content: bytes
    integrity: str

    @property
    def compressed(self) -> bytes:
        """The content as gzip (RFC 1952), a third of it, made when it is asked first."""
        return _compressed(self.content)


@cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def make_script(content: bytes) -> Script:
    digest = b64encode(hashlib.sha384(content).digest()).decode()
    return Script(content, f"sha384-{digest}")


def load_scripts() -> dict[str, Script]:
    """The shipped files by name; none in a working copy where `make js` has not been run."""
    folder = files("reddot").joinpath("static")
    built = {name: folder.joinpath(name) for name in FILES}
    return {name: make_script(one.read_bytes()) for name, one in built.items() if one.is_file()}


def script_routes(scripts: Mapping[str, Script]) -> list[Route]:
    """A route each. With `?v=` and the digest in the address, the answer may be kept for ever."""
    return [_route(name, scripts.get(name)) for name in FILES]


def _route(name: str, script: Script | None) -> Route:
    extra = _WORKER_HEADERS if name == WORKER else {}

    async def answer(request: Request) -> Response:
        if script is None:
            error = ReddotError("not_found", "the client is not built here; run `make js`")
            body = encode_problem(error)
            return Response(body, error.row.status, media_type="application/problem+json")
        etag = f'"{script.integrity}"'
        forever = request.query_params.get("v") == script.integrity
        headers = (
            _HEADERS | extra | {"etag": etag, "cache-control": _FOREVER if forever else _AGAIN}
        )
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = script.content
        if _GZIP.search(request.headers.get("accept-encoding", "")):
            # The same script, but other bytes: so says a weak ETag (RFC 9110 section 8.8.1).
            headers |= {"content-encoding": "gzip", "etag": f"W/{etag}"}
            content = script.compressed
        return Response(content, media_type="text/javascript", headers=headers)

    return Route(f"/{name}", answer, methods=["GET"], include_in_schema=False)
