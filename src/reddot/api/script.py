"""`GET /reddot.js`: the browser client, as `make js` has built it and the wheel ships it.

Any page may load it, so it is public and the same for everybody. Its ETag is its digest in the form
that a page's `integrity` attribute wants (W3C Subresource Integrity section 3.1).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reddot.codecs.problem import encode_problem
from reddot.errors import ReddotError

PATH: Final = "/reddot.js"
_HEADERS: Final = {
    # A module from another origin is fetched with CORS, and without credentials.
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "etag",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}
_AGAIN: Final = "no-cache"
_FOREVER: Final = "public, max-age=31536000, immutable"


class Script(msgspec.Struct, frozen=True):
    """A built file.

    Attributes:
        integrity: `sha384-` and the digest in base64.
    """

    content: bytes
    integrity: str


def make_script(content: bytes) -> Script:
    digest = b64encode(hashlib.sha384(content).digest()).decode()
    return Script(content, f"sha384-{digest}")


def load_script() -> Script | None:
    """The shipped file; None in a working copy where `make js` has not been run."""
    built = files("reddot").joinpath("static", "reddot.js")
    return make_script(built.read_bytes()) if built.is_file() else None


def script_routes(script: Script | None) -> list[Route]:
    """The route. With `?v=` and the digest in the address, the answer may be kept for ever."""

    async def answer(request: Request) -> Response:
        if script is None:
            error = ReddotError("not_found", "the client is not built here; run `make js`")
            body = encode_problem(error)
            return Response(body, error.row.status, media_type="application/problem+json")
        etag = f'"{script.integrity}"'
        forever = request.query_params.get("v") == script.integrity
        headers = _HEADERS | {"etag": etag, "cache-control": _FOREVER if forever else _AGAIN}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(script.content, media_type="text/javascript", headers=headers)

    return [Route(PATH, answer, methods=["GET"], include_in_schema=False)]
