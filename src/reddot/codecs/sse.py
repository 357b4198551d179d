"""Server-sent events (WHATWG HTML section 9.2.5), so written that a strict parser agrees.

`event:` is the frame's type, `id:` the cursor, `data:` the frame. Ephemeral publications carry no
id and so leave the browser's last event id alone. With `format=raw` the data is what was
published and the event its own name; control frames keep their names, which are reserved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from reddot.codecs import frames
from reddot.codecs.cursor import encode_cursor
from reddot.inbox import Badge
from reddot.model import EVENT_DEFAULT, Cursor, Gap, Publication

RETRY_MS_MIN: Final = 250
"""A plain EventSource asks again after so long until the server is back."""
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


def encode_event(event: str, data: bytes, cursor: Cursor | None) -> bytes:
    """One event. `data` may hold line ends: each line becomes a `data:` field of its own."""
    name = b"" if event == EVENT_DEFAULT else b"event: %b\n" % event.encode()
    place = b"" if cursor is None else b"id: %b\n" % encode_cursor(cursor).encode()
    if b"\n" in data or b"\r" in data:
        data = _LINE_END.sub(b"\ndata: ", data)
    return b"%b%bdata: %b\n\n" % (name, place, data)


def encode_json(publication: Publication, cursor: Cursor | None) -> bytes:
    frame = frames.encode_publication(publication, cursor)
    return encode_event("publication", frame, cursor)


def encode_raw(publication: Publication, cursor: Cursor | None) -> bytes:
    return encode_event(publication.event, frames.data_text(publication), cursor)


def encode_sync(
    cursor: Cursor,
    gaps: Sequence[Gap],
    session: str,
    spread_ms: int,
    badge: Badge | None = None,
) -> bytes:
    """Also tells a plain EventSource when to come back if the stream breaks: it waits as long each
    time, so not too short, and each session, whose id is random, another while."""
    wait_ms = (spread_ms + int.from_bytes(session.encode()) % spread_ms) // 2
    frame = frames.encode_sync(cursor, gaps, session, spread_ms, badge)
    return b"retry: %d\n" % wait_ms + encode_event("sync", frame, cursor)


def encode_badge(badge: Badge, _cursor: Cursor) -> bytes:
    """Without an id: a badge moves no cursor."""
    return encode_event("badge", frames.encode_badge(badge), None)


def encode_gap(gap: Gap) -> bytes:
    return encode_event("gap", frames.encode_gap(gap), None)


def encode_reconnect(retry_ms: int, reason: str) -> bytes:
    """Also tells a plain EventSource how long to wait, by its `retry` field."""
    event = encode_event("reconnect", frames.encode_reconnect(retry_ms, reason), None)
    return b"retry: %d\n" % max(retry_ms, RETRY_MS_MIN) + event


def encode_heartbeat(cursor: Cursor) -> bytes:
    """With data: Firefox ignores an id that comes without."""
    return b"event: heartbeat\nid: %b\ndata: {}\n\n" % encode_cursor(cursor).encode()
