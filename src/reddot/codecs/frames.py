"""The JSON frames of DESIGN 2.1: one function per frame, the same bytes on every JSON transport.

Written by hand around the stored `data` bytes, which are never decoded or encoded again.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from reddot.codecs.cursor import encode_cursor
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Cursor, Gap, Publication

_json = msgspec.json.Encoder().encode


@lru_cache(maxsize=64)
def encode_time(time_ms: int) -> bytes:
    """RFC 3339, UTC, milliseconds: `2026-11-24T08:00:00.123Z`."""
    seconds, millis = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z".encode()


def data_json(publication: Publication) -> bytes:
    """What was published, as JSON: its own bytes, or `{"base64": …}` for what is not JSON."""
    if publication.binary:
        return b'{"base64":"' + b64encode(publication.data) + b'"}'
    return publication.data


def data_text(publication: Publication) -> bytes:
    """What was published, as text, for `format=raw`: a JSON string without its quotes.

    So `"<li>hi</li>"` reaches an htmx page as HTML; any other JSON value stays as it is.
    """
    data = publication.data
    if publication.binary or not data.lstrip().startswith(b'"'):
        return data_json(publication)
    return str(msgspec.json.decode(data)).encode()


def encode_publication(publication: Publication, cursor: Cursor | None) -> bytes:
    """A `publication` frame. Without a cursor for ephemeral ones, which move none."""
    place = b"" if cursor is None else b'"cursor":"%b",' % encode_cursor(cursor).encode()
    offset = b',"offset":%d' % publication.offset if publication.offset else b""
    return b'{"type":"publication",%b"topic":%b,"id":%b%b,"event":%b,"time":"%b","data":%b}' % (
        place,
        _json(publication.topic),
        _json(publication.id),
        offset,
        _json(publication.event),
        encode_time(publication.time_ms),
        data_json(publication),
    )


def encode_gaps(gaps: Sequence[Gap]) -> bytes:
    return _json([{"topic": gap.topic, "reason": gap.reason} for gap in gaps])


def encode_sync(
    cursor: Cursor,
    gaps: Sequence[Gap],
    session: str,
    spread_ms: int,
    badge: Badge | None = None,
) -> bytes:
    """The first frame of every stream: where it begins and whether anything is missing."""
    dot = {} if badge is None else {"badge": badge}
    return _json(
        {
            "type": "sync",
            "cursor": encode_cursor(cursor),
            "complete": not gaps,
            "gaps": [{"topic": gap.topic, "reason": gap.reason} for gap in gaps],
            **dot,
            "session": session,
            "spread_ms": spread_ms,
        }
    )


def encode_badge(badge: Badge) -> bytes:
    """A `badge` frame; the one with the greatest `as_of` wins."""
    return b'{"type":"badge",' + _json(badge)[1:]


def encode_gap(gap: Gap) -> bytes:
    return _json({"type": "gap", "topic": gap.topic, "reason": gap.reason})


def encode_reconnect(retry_ms: int, reason: str) -> bytes:
    return _json({"type": "reconnect", "retry_ms": retry_ms, "reason": reason})


@lru_cache(maxsize=8)
def encode_heartbeat(cursor: Cursor) -> bytes:
    """Shared by all sessions of one timer tick, hence the cache."""
    return b'{"type":"heartbeat","cursor":"%b"}' % encode_cursor(cursor).encode()


def encode_ok(ref: Any, **fields: object) -> bytes:
    """The answer to a WebSocket command; `ref` is echoed when the command had one."""
    answer: dict[str, object] = {"type": "ok"}
    if ref is not None:
        answer["ref"] = ref
    return _json(answer | fields)


def encode_error(error: ReddotError, ref: Any = None) -> bytes:
    """The refusal of a WebSocket command, or an iframe stream's only frame."""
    answer: dict[str, object] = {"type": "error"}
    if ref is not None:
        answer["ref"] = ref
    row = error.row
    answer |= {"code": row.code, "status": row.status, "title": row.title, "retry": row.retry}
    return _json(answer | ({"detail": error.detail} if error.detail else {}))
