"""The files of a page that the server ships: read once, served with an ETag and a strict policy.

Invariant: no path on disk comes from a client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from reddot.errors import ReddotError

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


class _File(msgspec.Struct, frozen=True):
    content: bytes
    media_type: str
    etag: str


class Pages:
    """Args:
    folders: of the package's `static`, by what their files' addresses begin with.
    policy: the page's Content-Security-Policy.
    """

    def __init__(self, folders: Mapping[str, str], policy: str) -> None:
        self._files = _load(folders)
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            # For browsers that do not know `frame-ancestors`; and nobody else's window or page.
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }

    def answer(self, request: Request, name: str) -> Response:
        """The file, or 304; raises `not_found`."""
        file = self._files.get(name)
        if file is None:
            raise ReddotError("not_found")
        headers = {**self._headers, "ETag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)


def _load(folders: Mapping[str, str]) -> dict[str, _File]:
    found = {}
    for prefix, folder in folders.items():
        for entry in files("reddot").joinpath("static", folder).iterdir():
            media_type = _TYPES.get(entry.name.rpartition(".")[2])
            if media_type is not None:
                content = entry.read_bytes()
                etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
                found[prefix + entry.name] = _File(content, media_type, etag)
    return found
