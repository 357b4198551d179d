"""Names, filters and the index, against an oracle that walks every topic of a small world."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reddot.core.topics import (
    TOPIC_BYTES_MAX,
    TOPIC_LEVELS_MAX,
    TopicIndex,
    check_filter,
    check_topic,
    covers,
    is_exact,
    matches,
    overlaps,
)
from tests.sim.truth import selects
from tests.unit.core.rig import code_of

# "z" stands for every name that no filter mentions; one level more than filters have is enough.
# The empty name is no valid topic. It is here because filters are compared as if it were one:
# "/#" selects it and "/+/#" does not.
LEVELS = ("a", "b", "", "users", "$s", "z")
TOPICS = [
    "/".join(levels)
    for depth in (1, 2, 3, 4)
    for levels in product(*[LEVELS, LEVELS, LEVELS, "z"][:depth])
]


def _filters() -> st.SearchStrategy[str]:
    level = st.sampled_from(("a", "b", "", "users", "$s", "+", "+"))
    levels = st.lists(level, min_size=1, max_size=3)
    ends = st.sampled_from(("", "", "/#"))
    texts = st.builds(lambda parts, end: "/".join(parts) + end, levels, ends)
    return st.one_of(texts.filter(bool), st.just("#"))


filters = _filters()
topics = st.sampled_from(TOPICS)


# ---- names ----


@pytest.mark.parametrize("name", ["a", "a/b", "/", "//", "a/", "/a", "ü/日本", "$SYS/x", "a b"])
def test_names_that_are_valid(name: str) -> None:
    assert check_topic(name) == name
    assert check_filter(name) == name


@pytest.mark.parametrize(
    "name", ["", "a\0", "a\n", "a\x1f", "\x7f", "a\x80b", "\x9f", "\ud800", "a/\udfff"]
)
def test_what_is_valid_in_neither(name: str) -> None:
    assert code_of(lambda: check_topic(name)) == "topic_invalid"
    assert code_of(lambda: check_filter(name)) == "filter_invalid"


@pytest.mark.parametrize("name", ["+", "#", "a/+", "a+", "a#b"])
def test_wildcards_are_not_in_names(name: str) -> None:
    assert code_of(lambda: check_topic(name)) == "topic_invalid"


@pytest.mark.parametrize("text", ["+", "#", "+/+", "a/#", "+/a/#", "/+", "a/+/b"])
def test_filters_that_are_valid(text: str) -> None:
    assert check_filter(text) == text


@pytest.mark.parametrize("text", ["#/a", "a#", "a/#/b", "a+", "+a", "a/b+/c", "##", "++", "a/+#"])
def test_filters_that_are_not(text: str) -> None:
    assert code_of(lambda: check_filter(text)) == "filter_invalid"


def test_bytes_at_the_limit_and_one_more() -> None:
    check_topic("x" * TOPIC_BYTES_MAX)
    check_filter("ü" * (TOPIC_BYTES_MAX // 2))
    assert code_of(lambda: check_topic("x" * (TOPIC_BYTES_MAX + 1))) == "topic_invalid"
    assert code_of(lambda: check_topic("ü" * (TOPIC_BYTES_MAX // 2) + "x")) == "topic_invalid"
    assert code_of(lambda: check_filter("x" * (TOPIC_BYTES_MAX + 1))) == "filter_invalid"
    assert code_of(lambda: check_topic("abcd", bytes_max=3)) == "topic_invalid"


def test_levels_at_the_limit_and_one_more() -> None:
    check_topic("/".join("a" * TOPIC_LEVELS_MAX))
    check_filter("/".join("+" * TOPIC_LEVELS_MAX))
    assert code_of(lambda: check_topic("/" * TOPIC_LEVELS_MAX)) == "topic_invalid"
    assert code_of(lambda: check_filter("+/" * TOPIC_LEVELS_MAX + "#")) == "filter_invalid"
    assert code_of(lambda: check_topic("a/b/c", levels_max=2)) == "topic_invalid"


# ---- matching ----


@pytest.mark.parametrize(
    ("text", "topic", "answer"),
    [
        # the examples of MQTT 5.0 section 4.7.1
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        # section 4.7.2
        ("#", "$SYS/x", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        # people's topics
        ("#", "users/42", False),
        ("+/42", "users/42", False),
        ("users/+", "users/42", True),
        ("users/#", "users", True),
        ("+", "users", False),
        ("#", "userspace", True),
    ],
)
def test_a_filter_selects(text: str, topic: str, answer: bool) -> None:
    assert matches(text, topic) is answer
    assert selects(text, topic) is answer


@given(filters, topics)
def test_matches_is_what_the_oracle_says(text: str, topic: str) -> None:
    assert matches(text, topic) is selects(text, topic)


@given(filters)
def test_an_exact_filter_selects_itself_only(text: str) -> None:
    selected = [topic for topic in TOPICS if matches(text, topic)]
    assert is_exact(text) == (selected in ([text], []))


@given(filters, filters)
def test_covers_is_what_walking_all_topics_says(broad: str, narrow: str) -> None:
    truth = all(selects(broad, topic) for topic in TOPICS if selects(narrow, topic))
    if (broad, narrow) == ("+/#", "#"):
        # The one case where it says less: the two mean the same, and nobody writes the longer.
        truth = False
    assert covers(broad, narrow) is truth


@given(filters, filters)
def test_overlaps_is_what_walking_all_topics_says(one: str, two: str) -> None:
    truth = any(selects(one, topic) and selects(two, topic) for topic in TOPICS)
    assert overlaps(one, two) is overlaps(two, one) is truth


# ---- the index ----


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), filters, st.integers(0, 3)), max_size=30))
def test_the_index_is_a_list_that_is_quick(steps: list[tuple[bool, str, int]]) -> None:
    index: TopicIndex[int] = TopicIndex()
    entries: dict[tuple[str, int], None] = {}
    for add, text, value in steps:
        if add:
            index.add(text, value)
            entries[text, value] = None
        else:
            index.remove(text, value)
            entries.pop((text, value), None)
    for topic in ("a", "a/b", "a/b/a", "/", "b/", "users", "users/a", "$s/a", "z/z/z/z"):
        found = list(index.match(topic))
        assert len(found) == len(set(found))
        assert set(found) == {value for text, value in entries if selects(text, topic)}


@given(st.lists(st.tuples(filters, st.integers(0, 3)), unique=True))
def test_an_index_that_has_been_emptied_keeps_nothing(entries: list[tuple[str, int]]) -> None:
    index: TopicIndex[int] = TopicIndex()
    for text, value in entries:
        index.add(text, value)
    for text, value in reversed(entries):
        index.remove(text, value)
    assert (index._exact, index._wild) == ({}, 0)
    assert index._root.empty()


def test_what_is_added_twice_is_removed_once() -> None:
    index: TopicIndex[str] = TopicIndex()
    for text in ("a/+", "a/+", "a/b", "a/b"):
        index.add(text, "x")
    assert list(index.match("a/b")) == ["x"]
    index.remove("a/+", "x")
    index.remove("a/b", "x")
    assert not list(index.match("a/b"))
    index.remove("a/b", "x")
    index.remove("never/+/there", "x")
