"""Keywords: case, width, invisible letters, words, and writing without spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.core.keywords import TEXTS_CACHED_MAX, found_keyword


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("casino", "A CASINO tonight"),
        ("Casino", "casino"),
        ("casino", "(casino)!"),
        ("casino", "Casino"),  # full width
        ("casino", "ca\u200bsi\u00adno"),  # zero-width space, soft hyphen
        ("office", "o\ufb03ce"),  # the ligature ffi
        ("strasse", "STRASSE und Straße"),
        ("straße", "STRASSE"),
        ("café", "cafe\u0301"),
        ("free  money", "free\n\tmoney now"),
        ("free money", "Free Money"),
        ("赌博", "网上赌博平台"),
        ("赌博", "赌\u200b博"),
        ("ｶｼﾞﾉ", "オンラインカジノ"),
        ("스팸", "스팸을 보내다"),
        ("iphone", "买iPhone吧"),
        ("18禁", "这是18禁内容"),
        ("c++", "I write C++."),
        ("$$$", "win $$$ now"),
        ("a|b", "x a|b"),
    ],
)
def test_found(keyword: str, text: str) -> None:
    assert found_keyword((keyword,), text) == keyword


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("ass", "a class of its own"),
        ("casino", "casinos"),
        ("18禁", "2018禁"),
        ("free money", "freemoney"),
        ("a|b", "a"),
        ("赌博", "赌 博"),
        ("", "anything"),
        ("\u200b", "anything"),
    ],
)
def test_not_found(keyword: str, text: str) -> None:
    assert found_keyword((keyword,), text) is None


def test_the_longest_at_the_first_place_is_said_as_it_was_written() -> None:
    assert found_keyword(("win", "Win Big"), "now WIN BIG") == "Win Big"
    assert found_keyword(("win big", "now"), "now win big") == "now"
    assert found_keyword((), "now") is None


@given(st.lists(st.text(min_size=1, max_size=5), max_size=5), st.text(max_size=40))
def test_any_keyword_and_any_text_can_be_asked(keywords: list[str], text: str) -> None:
    found = found_keyword(tuple(keywords), text)
    assert found is None or found in keywords


@given(st.text("赌博网 平台X", min_size=1, max_size=20), st.sampled_from(["赌", "赌博"]))
def test_without_spaces_it_is_a_plain_search(text: str, keyword: str) -> None:
    assert (found_keyword((keyword,), text) is not None) == (keyword in text)


def test_what_is_remembered_is_bounded() -> None:
    for number in range(TEXTS_CACHED_MAX + 1):
        found_keyword(("x",), str(number))
    assert found_keyword.cache_info().currsize == TEXTS_CACHED_MAX
