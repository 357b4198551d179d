"""Errors over HTTP: RFC 9457 `application/problem+json`, from the one error table."""

from __future__ import annotations

from typing import Final

import msgspec

from reddot.errors import ReddotError

FIELDS: Final = b"content-type: application/problem+json\r\ncache-control: no-store\r\n"


def encode_problem(error: ReddotError) -> bytes:
    """The body. `type` is a stable relative reference into the documentation."""
    row = error.row
    return msgspec.json.encode(
        {
            "type": f"/docs/errors#{row.code}",
            "title": row.title,
            "status": row.status,
            "detail": error.detail or row.title,
            "code": row.code,
            "retry": row.retry,
        }
    )
