"""The query parameters and header fields that every HTTP transport takes (DESIGN 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote_to_bytes

import msgspec

from reddot.codecs.cursor import decode_cursor
from reddot.errors import ReddotError
from reddot.model import Cursor


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber asks for.

    Attributes:
        filters: as given, in order, not checked yet.
        cursor: where to resume; None: from now on.
        ticket: a one-time ticket, if the URL carries one.
        format: `json` frames or `raw` data.
        inbox: False keeps a signed-in user's inbox out of the stream.
        wait_s: how long a long poll may be held; None: the default.
    """

    filters: tuple[str, ...] = ()
    cursor: Cursor | None = None
    ticket: str | None = None
    format: Literal["json", "raw"] = "json"
    inbox: bool = True
    wait_s: float | None = None


def _level(raw: bytes) -> str:
    """Form-decode a piece of a value. `+` alone is a wildcard, not a level of one space."""
    return "+" if raw == b"+" else unquote_to_bytes(raw.replace(b"+", b" ")).decode()


def _fields(query: bytes) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for pair in query.split(b"&", 256):
        name, _, value = pair.partition(b"=")
        try:
            text = "/".join(map(_level, value.split(b"/")))
            fields.setdefault(name.decode(), []).append(text)
        except UnicodeDecodeError:
            raise ReddotError("field_invalid", "the query is not valid UTF-8") from None
    return fields


def _one(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise ReddotError("field_invalid", f"'{name}' was given twice")
    return values[0]


def _wait(text: str | None) -> float | None:
    if not text:
        return None
    if not text.isascii() or not text.replace(".", "", 1).isdigit() or len(text) > 9:
        raise ReddotError("field_invalid", "'wait' must be a number of seconds")
    return float(text)


def parse_params(query: bytes, headers: Mapping[bytes, bytes]) -> Params:
    """The parameters of a request.

    A browser's EventSource repeats its URL when it reconnects, so `Last-Event-ID` is newer than a
    `cursor` parameter and wins over it; so does `If-None-Match`, which only polls send.

    Raises:
        ReddotError: `field_invalid`, `cursor_invalid`.
    """
    fields = _fields(query)
    etag = headers.get(b"if-none-match", b"").strip().removeprefix(b"W/").strip(b'"')
    header = headers.get(b"last-event-id") or etag
    token = header.decode("latin-1") or _one(fields, "cursor")
    form = _one(fields, "format") or "json"
    inbox = _one(fields, "inbox") or "true"
    if form not in ("json", "raw"):
        raise ReddotError("field_invalid", "'format' must be json or raw")
    if inbox not in ("true", "false"):
        raise ReddotError("field_invalid", "'inbox' must be true or false")
    return Params(
        filters=tuple(dict.fromkeys(fields.get("topic", ()))),
        cursor=decode_cursor(token) if token else None,
        ticket=_one(fields, "ticket"),
        format="raw" if form == "raw" else "json",
        inbox=inbox == "true",
        wait_s=_wait(_one(fields, "wait")),
    )
