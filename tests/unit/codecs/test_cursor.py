"""The cursor's token: what goes out comes back, and nothing else is taken for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs.cursor import TOKEN_BYTES_MAX, decode_cursor, encode_cursor
from reddot.errors import ReddotError
from reddot.model import Cursor

EPOCH_MAX = (1 << 32) - 1
POSITION_MAX = (1 << 63) - 1
GOOD = "1AAAABw.7ps"

# What a token may become on its way: cut, padded, decoded twice, guessed, or of somebody else.
STRUCTURE = [
    *("", "1", "1.", ".", "..", "0", "latest", "null", "undefined", "None", "-1", "1e9", "[]"),
    "{}",
    *("1AAAABw", "1AAAABw.", ".7ps", "AAAABw.7ps", "7ps", "1AAAAB.7ps", "1AAAABwA.7ps"),
    *("1AAAABw=.7ps", "1AAAABw==.7ps", "1AAAABw.7ps=", "1AAAABw..7ps", "1AAAABw.7ps.7ps"),
    *("1AAAABw,7ps", "1AAAABw 7ps", "1AAAABw-7ps", "1AAAABw/7ps", "1AAAABw~7ps", "1AAAABw7ps"),
    *("0AAAABw.7ps", "2AAAABw.7ps", "9AAAABw.7ps", "vAAAABw.7ps", "01AAAABw.7ps", "11AAAABw.7ps"),
    *("1AAAA+w.7ps", "1AAAA/w.7ps", "1AAAA~w.7ps", "1AAAA.w.7ps", "1AAAA%w.7ps", "1AAA ABw.7ps"),
]
POSITION = [
    *("1AAAABw.-1", "1AAAABw.+1", "1AAAABw.7PS", "1AAAABw.7_s", "1AAAABw.0X7", "1AAAABw.7.5"),
    *("1AAAABw.1e5!", "1AAAABw.7é", "1AAAABw.\uff17", "1AAAABw.\u0667", "1AAAABw.²", "1AAAABw.ⅷ"),
    *("1AAAABw.1y2p0ij32e8e8", "1AAAABw.zzzzzzzzzzzzz", "1AAAABw.10000000000000"),
    *("1AAAABw." + "0" * 14, "1AAAABw." + "0" * 117, "1AAAABw." + "z" * 100_000),
]
AROUND = [
    *(" " + GOOD, GOOD + " ", "\t" + GOOD, GOOD + "\t", "\n" + GOOD, GOOD + "\n", GOOD + "\r"),
    *(GOOD + "\r\n", GOOD + "\0", "\0" + GOOD, "\ufeff" + GOOD, GOOD + "\u200b", GOOD + "\u2028"),
    *(f'"{GOOD}"', f"'{GOOD}'", f'W/"{GOOD}"', f"<{GOOD}>", f"({GOOD})", f"{GOOD},{GOOD}"),
    *(f"{GOOD};{GOOD}", f"{GOOD} {GOOD}", GOOD + GOOD, GOOD[::-1], GOOD.upper()),
    GOOD.encode().hex(),
    *("1%41AAABw.7ps", "1AAAABw%2E7ps", "1AAAABw.7ps%00", "1AAAABw\ud800.7ps", "1AAAABw.7ps\udfff"),
    *("cursor=" + GOOD, "id: " + GOOD, "Bearer " + GOOD, GOOD + "-gzip", GOOD + "--gzip"),
    GOOD + "\v",
    *("../1AAAABw.7ps", "1AAAABw.7ps#", "1AAAABw.7ps?x", "1AAAABw.7ps&x=1", "*", '"*"', "a" * 128),
]
MALFORMED = [*STRUCTURE, *POSITION, *AROUND]


@given(st.integers(0, EPOCH_MAX), st.integers(0, POSITION_MAX))
def test_a_cursor_comes_back(epoch: int, position: int) -> None:
    token = encode_cursor(Cursor(epoch, position))
    assert decode_cursor(token) == Cursor(epoch, position)


@given(st.integers(0, EPOCH_MAX), st.integers(0, POSITION_MAX))
def test_a_token_needs_no_escape_anywhere(epoch: int, position: int) -> None:
    token = encode_cursor(Cursor(epoch, position))
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", token)
    assert len(token) <= TOKEN_BYTES_MAX


def test_the_form_is_stable() -> None:
    """Clients keep tokens for days; another form would need another version digit."""
    assert encode_cursor(Cursor(7, 10_000)) == GOOD
    assert encode_cursor(Cursor(0, 0)) == "1AAAAAA.0"
    assert encode_cursor(Cursor(EPOCH_MAX, POSITION_MAX)) == "1_____w.1y2p0ij32e8e7"


@pytest.mark.parametrize("position", [0, 1, 35, 36, 37, 36**2 - 1, 36**2, POSITION_MAX])
def test_digits_carry(position: int) -> None:
    assert decode_cursor(encode_cursor(Cursor(1, position))).position == position


def test_there_are_enough_malformed_ones() -> None:
    assert len(set(MALFORMED)) >= 100


@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
def test_anything_else_is_refused(token: str) -> None:
    with pytest.raises(ReddotError) as caught:
        decode_cursor(token)
    assert caught.value.code == "cursor_invalid"


@given(st.text(max_size=40) | st.from_regex(r"1[A-Za-z0-9_-]{5,7}\.[0-9a-z]{1,14}", fullmatch=True))
def test_any_text_is_a_cursor_or_is_refused(token: str) -> None:
    try:
        assert decode_cursor(token).position <= POSITION_MAX
    except ReddotError as error:
        code = error.code
    else:
        code = "cursor_invalid"
    assert code == "cursor_invalid"
