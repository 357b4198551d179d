"""The answer of a poll: `{"cursor","complete","publications":[…],"badge"}`, its ETag the cursor.

The shared part of the answer (from the ETag field to the end of the body) is built once for all
long-pollers that wait for the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from reddot.codecs import frames
from reddot.codecs.cursor import encode_cursor
from reddot.inbox import Badge
from reddot.model import Cursor, Gap, Publication

_json = msgspec.json.Encoder().encode

FIELDS: Final = b"content-type: application/json\r\ncache-control: no-store, no-transform\r\n"


def encode_json(publication: Publication, cursor: Cursor | None) -> bytes:
    return frames.encode_publication(publication, cursor)


def encode_raw(publication: Publication, cursor: Cursor | None) -> bytes:
    """Only what was published; the answer's cursor covers all of it."""
    return frames.data_json(publication)


def encode_items(items: Sequence[bytes]) -> bytes:
    """The publications of an answer, ready to be put into it."""
    return b",".join(items)


@lru_cache(maxsize=8)
def encode_shared(items: bytes, cursor: Cursor) -> bytes:
    """`encode_answer` of what `encode_items` made; equals share one."""
    return _encode(items, cursor, (), None)


def encode_own(items: bytes, cursor: Cursor, badge: Badge) -> bytes:
    """The same with a user's badge."""
    return _encode(items, cursor, (), badge)


def encode_answer(
    items: Sequence[bytes], cursor: Cursor, gaps: Sequence[Gap] = (), badge: Badge | None = None
) -> bytes:
    """Everything of a 200 after the status line and the fields that differ between clients."""
    return _encode(encode_items(items), cursor, gaps, badge)


def _encode(items: bytes, cursor: Cursor, gaps: Sequence[Gap], badge: Badge | None) -> bytes:
    token = encode_cursor(cursor).encode()
    body = b'{"cursor":"%b","complete":%b%b,"publications":[%b]%b}' % (
        token,
        b"false" if gaps else b"true",
        b',"gaps":' + frames.encode_gaps(gaps) if gaps else b"",
        items,
        b"" if badge is None else b',"badge":' + _json(badge),
    )
    return b'etag: "%b"\r\n%bcontent-length: %d\r\n\r\n%b' % (token, FIELDS, len(body), body)


def encode_result(
    publications: Sequence[Publication],
    cursor: Cursor,
    gaps: Sequence[Gap],
    *,
    encode: Callable[[Publication, Cursor | None], bytes],
    asked: Cursor | None,
    badge: Badge | None = None,
) -> tuple[int, bytes]:
    """Status and rest of the answer: 304 if a client that came with a cursor missed nothing."""
    if asked is not None and not publications and not gaps and not is_news(badge, asked):
        return 304, encode_unchanged(cursor)
    items = [encode(p, Cursor(cursor.epoch, p.position)) for p in publications]
    return 200, encode_answer(items, cursor, gaps, badge)


def is_news(badge: Badge | None, asked: Cursor) -> bool:
    """Whether a badge has changed since a cursor."""
    return badge is not None and badge.as_of > asked.position


def encode_unchanged(cursor: Cursor) -> bytes:
    """Everything of a 304 after the status line.

    The ETag is the newest cursor at which the poll would have been empty, so that a client that
    stores it never falls behind what is kept in memory.
    """
    return b'etag: "%b"\r\ncache-control: no-store, no-transform\r\n\r\n' % (
        encode_cursor(cursor).encode()
    )
