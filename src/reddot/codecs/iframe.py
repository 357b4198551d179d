"""The iframe stream: an endless HTML document whose scripts hand frames to the parent window.

Each chunk is `<script nonce=N>p({…})</script>`. `p` posts the frame to one exact origin and takes
its own script out of the document. Nothing that was published can end the script: `<`, `>`, `&`,
`'` and the two JavaScript line separators are escaped, and outside of strings JSON has none of
them. At least 512 bytes must come before Safari runs anything; we send 1 KiB.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from reddot.codecs import frames
from reddot.inbox import Badge
from reddot.model import Cursor, Publication

_PADDING: Final = b"<!--" + b" " * 1024 + b"-->"
_ESCAPES: Final = (
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
    (b"&", rb"\u0026"),
    (b"'", rb"\u0027"),
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)
# `__proto__`, or a letter of it written as an escape.
_PROTO: Final = re.compile(rb"__proto__|\\u00(?:5f|6f|7[024])", re.IGNORECASE)


def escape_script(data: bytes) -> bytes:
    """JSON that may stand inside a script element."""
    for raw, escaped in _ESCAPES:
        if raw in data:
            data = data.replace(raw, escaped)
    return data


def encode_document(nonce: str, origin: str | None) -> bytes:
    """The beginning of the document.

    Args:
        nonce: the one of the Content-Security-Policy.
        origin: the only origin that may receive frames; None: the stream's own.
    """
    target = "location.origin" if origin is None else msgspec.json.encode(origin).decode()
    script = (
        f"var o={escape_script(target.encode()).decode()};"
        "function p(m){parent.postMessage(m,o);var s=document.currentScript;s&&s.remove()}"
    )
    return (
        b"<!doctype html><meta charset=utf-8><title>stream</title>"
        + _PADDING
        + f"<script nonce={nonce}>{script}</script>\n".encode()
    )


def encode_chunk(nonce: str, frame: bytes) -> bytes:
    if _PROTO.search(frame):
        # In an object literal this name sets the prototype, and twice it is a syntax error.
        frame = b"JSON.parse(%b)" % msgspec.json.encode(frame.decode())
    return b"<script nonce=%b>p(%b)</script>\n" % (nonce.encode(), escape_script(frame))


def encoder_json(nonce: str) -> Callable[[Publication, Cursor | None], bytes]:
    def encode(publication: Publication, cursor: Cursor | None) -> bytes:
        return encode_chunk(nonce, frames.encode_publication(publication, cursor))

    return encode


def encoder_raw(nonce: str) -> Callable[[Publication, Cursor | None], bytes]:
    """The parent gets what was published, without an envelope."""

    def encode(publication: Publication, cursor: Cursor | None) -> bytes:
        return encode_chunk(nonce, frames.data_json(publication))

    return encode


def encoder_badge(nonce: str) -> Callable[[Badge, Cursor], bytes]:
    def encode(badge: Badge, _cursor: Cursor) -> bytes:
        return encode_chunk(nonce, frames.encode_badge(badge))

    return encode
