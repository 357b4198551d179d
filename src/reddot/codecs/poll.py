"""The answer of a poll: `{"cursor","complete","publications":[…]}`, its ETag being the cursor.

The shared part of the answer (from the ETag field to the end of the body) is built once for all
long-pollers that wait for the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from reddot.codecs import frames
from reddot.codecs.cursor import encode_cursor
from reddot.model import Cursor, Gap, Publication

FIELDS: Final = b"content-type: application/json\r\ncache-control: no-store, no-transform\r\n"


def encode_json(publication: Publication, cursor: Cursor | None) -> bytes:
    return frames.encode_publication(publication, cursor)


def encode_raw(publication: Publication, cursor: Cursor | None) -> bytes:
    """Only what was published; the answer's cursor covers all of it."""
    return frames.data_json(publication)


def encode_answer(items: Sequence[bytes], cursor: Cursor, gaps: Sequence[Gap] = ()) -> bytes:
    """Everything of a 200 after the status line and the fields that differ between clients."""
    token = encode_cursor(cursor).encode()
    missing = b',"gaps":' + frames.encode_gaps(gaps) if gaps else b""
    body = b'{"cursor":"%b","complete":%b%b,"publications":[%b]}' % (
        token,
        b"false" if gaps else b"true",
        missing,
        b",".join(items),
    )
    return b'etag: "%b"\r\n%bcontent-length: %d\r\n\r\n%b' % (token, FIELDS, len(body), body)


def encode_result(
    publications: Sequence[Publication],
    cursor: Cursor,
    gaps: Sequence[Gap],
    *,
    encode: Callable[[Publication, Cursor | None], bytes],
    asked: Cursor | None,
) -> tuple[int, bytes]:
    """Status and rest of the answer: 304 if a client that came with a cursor missed nothing."""
    if asked is not None and not publications and not gaps:
        return 304, encode_unchanged(cursor)
    items = [encode(p, Cursor(cursor.epoch, p.position)) for p in publications]
    return 200, encode_answer(items, cursor, gaps)


def encode_unchanged(cursor: Cursor) -> bytes:
    """Everything of a 304 after the status line.

    The ETag is the newest cursor at which the poll would have been empty, so that a client that
    stores it never falls behind what is kept in memory.
    """
    return b'etag: "%b"\r\ncache-control: no-store, no-transform\r\n\r\n' % (
        encode_cursor(cursor).encode()
    )
