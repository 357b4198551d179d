"""Query parameters and resume fields: the same for every HTTP transport."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs.cursor import encode_cursor
from reddot.codecs.params import Params, parse_params
from reddot.errors import ReddotError
from reddot.model import Cursor

OLD, NEW = Cursor(7, 100), Cursor(7, 10_000)
OLD_TOKEN, NEW_TOKEN = encode_cursor(OLD), encode_cursor(NEW)


def parse(query: bytes, **headers: bytes) -> Params:
    return parse_params(query, {k.replace("_", "-").encode(): v for k, v in headers.items()})


def code_of(query: bytes, **headers: bytes) -> str:
    with pytest.raises(ReddotError) as caught:
        parse(query, **headers)
    return caught.value.code


def test_nothing_is_the_default() -> None:
    assert parse(b"") == Params()
    assert parse(b"&&=&x") == Params()


def test_everything_is_read() -> None:
    query = f"topic=a&topic=b/%23&cursor={OLD_TOKEN}&ticket=t1&format=raw&inbox=false&wait=2.5"
    assert parse(query.encode()) == Params(
        filters=("a", "b/#"), cursor=OLD, ticket="t1", format="raw", inbox=False, wait_s=2.5
    )


@pytest.mark.parametrize(
    ("query", "topic"),
    [
        (b"topic=a%2Fb", "a/b"),
        (b"topic=a/b", "a/b"),
        (b"topic=a%20b", "a b"),
        (b"topic=a+b", "a b"),
        (b"topic=a%2Bb", "a+b"),
        (b"topic=%C3%A9", "é"),
        (b"topic=\xc3\xa9", "é"),
        (b"topic=%23", "#"),
        (b"topic=a=b", "a=b"),
        (b"topic=a%26b", "a&b"),
        (b"topic=100%", "100%"),
        (b"topic=%zz", "%zz"),
        (b"topic=%00", "\0"),
        # A lone plus is the wildcard, however it is written.
        (b"topic=+", "+"),
        (b"topic=%2B", "+"),
        (b"topic=a/+/b", "a/+/b"),
        (b"topic=a/%2B/b", "a/+/b"),
        (b"topic=+/%23", "+/#"),
        (b"topic=a%2F%2B", "a/+"),
        (b"topic=", ""),
        (b"topic", ""),
        (b"topic=//", "//"),
    ],
)
def test_a_filter_in_a_query(query: bytes, topic: str) -> None:
    assert parse(query).filters == (topic,)


def _has_lone_space(text: str) -> bool:
    """A form writes a level of one space as `+`, which is the wildcard; `%20` says the space."""
    return " " in text.split("/")


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="+")).filter(
            lambda text: not _has_lone_space(text)
        ),
        max_size=9,
    )
)
def test_any_filter_comes_through_a_form(filters: list[str]) -> None:
    query = urlencode([("topic", text) for text in filters]).encode()
    assert parse(query).filters == tuple(dict.fromkeys(filters))


@given(st.lists(st.sampled_from(["+", "#", "a", "b c", ""]), min_size=1, max_size=5))
def test_wildcards_come_through_percent_encoding(levels: list[str]) -> None:
    text = "/".join(levels)
    for query in (quote(text, safe=""), quote(text, safe="/"), quote(text, safe="/+")):
        assert parse(b"topic=" + query.encode()).filters == (text,)


def test_filters_keep_their_order_and_are_told_once() -> None:
    assert parse(b"topic=b&topic=a&topic=b").filters == ("b", "a")


def test_names_are_exact() -> None:
    assert parse(b"Topic=a&topics=b&to%70ic=c&%74opic=d&topic[]=e&+topic=f") == Params()


@pytest.mark.parametrize(
    "query", [b"topic=%ff", b"topic=\xff", b"\xff=1", b"x=%C3", b"x=%ED%A0%80"]
)
def test_bad_utf8_is_refused(query: bytes) -> None:
    assert code_of(query) == "field_invalid"


@pytest.mark.parametrize(
    "query",
    [
        *(b"format=xml", b"format=JSON", b"format=json&format=json", b"inbox=yes", b"inbox=1"),
        *(b"wait=abc", b"wait=-1", b"wait=1e3", b"wait=.", b"wait=1.2.3", b"wait=inf", b"wait=nan"),
        *(b"wait=1234567890", b"wait=%D9%A1", b"wait=1_0", b"wait=+1", b"wait=1&wait=1"),
        b"wait=%201",
        *(b"ticket=a&ticket=b", b"cursor=1&cursor=2"),
    ],
)
def test_a_wrong_field_is_refused(query: bytes) -> None:
    assert code_of(query) == "field_invalid"


@pytest.mark.parametrize("query", [b"format=&inbox=&wait=&cursor=", b"format&inbox&wait&cursor"])
def test_an_empty_field_is_none(query: bytes) -> None:
    assert parse(query) == Params()


def test_an_empty_ticket_is_a_bad_ticket() -> None:
    """A page that has lost its ticket must hear of it, and not go on as nobody."""
    assert parse(b"ticket=").ticket == ""
    assert parse(b"ticket").ticket == ""


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(b"0", 0), (b"25", 25), (b"0.5", 0.5), (b"60.", 60), (b"1" * 9, 111111111)],
)
def test_a_wait(wait: bytes, seconds: float) -> None:
    assert parse(b"wait=" + wait).wait_s == seconds


@pytest.mark.parametrize("header", ["last_event_id", "if_none_match"])
def test_a_resume_field_is_newer_than_the_address(header: str) -> None:
    """An EventSource repeats its first URL for ever."""
    query = b"cursor=" + OLD_TOKEN.encode()
    assert parse(query).cursor == OLD
    assert parse(query, **{header: NEW_TOKEN.encode()}).cursor == NEW
    assert parse(query, **{header: b""}).cursor == OLD


@pytest.mark.parametrize("form", ['"{}"', "{}", ' "{}" ', 'W/"{}"'])
def test_an_etag_as_it_came_or_weakened_on_its_way(form: str) -> None:
    """nginx weakens the ETags of what it compresses; for polls both compare as equal."""
    assert parse(b"", if_none_match=form.format(NEW_TOKEN).encode()).cursor == NEW


@pytest.mark.parametrize(
    "value", [b"*", b'"a", "b"', b"\xff", b"x" * 500, b"W/x", '"é"'.encode(), b'"1AAAABw.7PS"']
)
def test_a_foreign_etag_is_refused(value: bytes) -> None:
    assert code_of(b"", if_none_match=value) == "cursor_invalid"
    assert code_of(b"", last_event_id=value) == "cursor_invalid"


def test_a_wrong_field_wins_over_a_good_cursor_elsewhere() -> None:
    good = b"cursor=" + OLD_TOKEN.encode()
    assert code_of(good, last_event_id=b"nonsense") == "cursor_invalid"


def test_more_fields_than_anybody_needs_cost_little() -> None:
    """Splitting stops; what is left is one long value, and a filter that is refused later."""
    filters = parse(b"&".join(b"topic=%d" % n for n in range(2000))).filters
    assert len(filters) == 257


@given(st.binary(max_size=50), st.binary(max_size=20), st.binary(max_size=20))
def test_any_bytes_are_parsed_or_refused(query: bytes, event_id: bytes, etag: bytes) -> None:
    codes = {"field_invalid", "cursor_invalid"}
    try:
        parse(query, last_event_id=event_id, if_none_match=etag)
    except ReddotError as error:
        codes.remove(error.code)
    assert codes
