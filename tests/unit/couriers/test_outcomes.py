"""What a provider says becomes one short, printable line without secrets, and a time to wait."""

from __future__ import annotations

import pytest

from reddot.couriers.outcomes import DETAIL_CHARS_MAX, Words, cut, one_line, retry_after
from reddot.testing import FakeClock

NOW_MS = 1_767_225_600_000  # Thu, 01 Jan 2026 00:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("86401", 86_400),
        ("9" * 13, None),
        ("1.5", None),
        ("Thu, 01 Jan 2026 00:01:40 GMT", 100),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400),
        ("Thursday, 01-Jan-26 00:01:40 GMT", 100),
        ("Thu, 01 Jan 2026 00:01:40 -0000", 100),
        ("Thu, 99 Jan 2026 00:01:40 GMT", None),
        ("Thu, 01 Jan 99999999 00:01:40 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, FakeClock(NOW_MS)) == seconds


def test_words_are_cut_printable_and_without_secrets() -> None:
    words = Words(["hunter2", "hunter2-longer", "a b/c", "x"])
    assert words(b"hunter2-longer and hunter2") == "*** and ***"
    assert words(b"a+b%2Fc a%20b%2Fc a b/c") == "*** *** ***"
    assert (
        words(b"x stays, it is too short to be a secret")
        == "x stays, it is too short to be a secret"
    )
    assert words("one\r\n\x1b[2Jtwo\u2028three") == "one [2Jtwo three"
    assert words(b"\xff\xfe" + b"y" * 1000) == "\ufffd\ufffd" + "y" * (DETAIL_CHARS_MAX - 2)
    assert words(b"call +491234", ("+491234",)) == "call ***"


def test_a_cut_leaves_no_half_character() -> None:
    assert cut("磁盘", 6) == "磁盘"
    assert cut("磁盘", 5) == "磁"
    assert cut("磁盘", 0) == ""
    assert one_line("a\tb\x85c") == "a b c"
