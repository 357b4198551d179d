"""The cursor's token: what a client carries and never looks into.

ASCII `[A-Za-z0-9._~-]`, at most 128 bytes, so that browsers send it back untouched in
`Last-Event-ID` and no CORS preflight is asked for (WHATWG HTML section 9.2.3).
Form: `1` (version) + base64url of the epoch's four bytes + `.` + the position in base 36, say
`1q83vEw.k7`. It carries no rights, so it is not signed.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import Final

from reddot.errors import ReddotError
from reddot.model import Cursor

TOKEN_BYTES_MAX: Final = 128
_TOKEN: Final = re.compile(r"1([A-Za-z0-9_-]{6})\.([0-9a-z]{1,13})")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@lru_cache(maxsize=8)
def _prefix(epoch: int) -> str:
    return "1" + urlsafe_b64encode(epoch.to_bytes(4, "big")).decode().rstrip("=") + "."


def _base36(number: int) -> str:
    if number < 36:
        return _DIGITS[number]
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text


@lru_cache(maxsize=64)
def encode_cursor(cursor: Cursor) -> str:
    """The token of a cursor; about 1 µs, and shared by the encoders of one publication."""
    return _prefix(cursor.epoch) + _base36(cursor.position)


def decode_cursor(token: str) -> Cursor:
    """The cursor of a token; raises `cursor_invalid` for anything that is not one."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ReddotError("cursor_invalid", "not a cursor of this server")
    epoch = int.from_bytes(urlsafe_b64decode(found[1] + "=="), "big")
    position = int(found[2], 36)
    if position >= 1 << 63:
        raise ReddotError("cursor_invalid", "position out of range")
    return Cursor(epoch, position)
