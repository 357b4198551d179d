"""Check a publication's `data` once, so that nobody has to look into it again.

RFC 8259 grammar, valid UTF-8, no lone surrogates, no number beyond a double, nesting bounded.
The bytes are stored and forwarded as they came: a poison value must be stopped here.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final

import msgspec

from reddot.errors import ReddotError

_decode = msgspec.json.Decoder().decode

# The greatest double has 309 digits before its point.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{309}")


def check_data(data: bytes, *, bytes_max: int, depth_max: int) -> bytes:
    """Return `data` if it is one JSON value within the limits.

    Raises:
        ReddotError: `data_too_large` above `bytes_max`, `json_invalid` for anything else.
    """
    if len(data) > bytes_max:
        raise ReddotError("data_too_large", f"data is {len(data)} bytes, {bytes_max} are allowed")
    try:
        _decode(data)
        if len(data) >= 309 and _LONG_NUMBER.search(data):
            json.loads(data, parse_int=_check_integer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReddotError("json_invalid", str(error)) from None
    if data.count(b"[") + data.count(b"{") > depth_max and _depth(data) > depth_max:
        raise ReddotError("json_invalid", f"nested deeper than {depth_max} levels")
    return data


def _check_integer(digits: str) -> None:
    """msgspec reads integers of any length; in a browser a long one would become Infinity."""
    if math.isinf(float(digits)):
        raise msgspec.DecodeError("Number out of range")


def _depth(data: bytes) -> int:
    """The deepest nesting of valid JSON; only asked when there are enough brackets to matter."""
    deepest = depth = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
