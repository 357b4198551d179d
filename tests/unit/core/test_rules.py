"""Topic rules: first match, and filters that are judged by the strictest of their topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.core.rules import DEFAULT_RULE, TOPICS_CACHED_MAX, TopicRule, TopicRules, Verdict
from reddot.core.topics import matches
from reddot.errors import SettingsError
from reddot.model import Retention


def test_the_first_match_wins() -> None:
    narrow = TopicRule(filter="sensors/kitchen/#", history_count=5)
    broad = TopicRule(filter="sensors/#", durable=False)
    rules = TopicRules([narrow, broad])
    assert rules.of("sensors/kitchen/t") is narrow
    assert rules.of("sensors/cellar") is broad
    assert rules.of("news") is DEFAULT_RULE
    assert TopicRules([broad, narrow]).of("sensors/kitchen/t") is broad


@pytest.mark.parametrize("topic", ["news", "users/42", "$SYS/x", "", "/"])
def test_the_default_rule_holds_for_every_topic(topic: str) -> None:
    rules = TopicRules([])
    assert rules.of(topic) == TopicRule(filter="#")
    assert rules.retention(topic) == Retention(1000, 7 * 86_400_000)


def test_a_wildcard_rule_does_not_reach_people() -> None:
    rules = TopicRules([TopicRule(filter="#", history_count=1, subscribe="deny")])
    assert rules.of("news").history_count == 1
    assert rules.of("users/42").history_count == 1000
    assert rules.verdict("users/42/#", "subscribe") == "grant"


def test_retention_is_the_rules() -> None:
    rules = TopicRules([TopicRule(filter="a", history_count=0, history_age_s=60)])
    assert rules.retention("a") == Retention(0, 60_000)


def test_the_cache_of_topics_is_bounded() -> None:
    rules = TopicRules([])
    for number in range(TOPICS_CACHED_MAX + 1):
        rules.of(str(number))
    assert rules._cached.cache_info().currsize == TOPICS_CACHED_MAX


SECRET = TopicRule(filter="news/secret/#", subscribe="deny")
OPEN = TopicRule(filter="news/#", subscribe="anyone", publish="deny")


@pytest.mark.parametrize(
    ("rules", "text", "verdict"),
    [
        ([SECRET, OPEN], "news/sport", "anyone"),
        ([SECRET, OPEN], "news/secret/x", "deny"),
        ([SECRET, OPEN], "news/secret/#", "deny"),
        ([SECRET, OPEN], "news/#", "deny"),
        ([SECRET, OPEN], "news/+", "deny"),  # news/secret is in both
        ([SECRET, OPEN], "news/+/x", "deny"),
        ([SECRET, OPEN], "news/sport/#", "anyone"),
        ([SECRET, OPEN], "#", "deny"),
        ([SECRET, OPEN], "+/sport", "grant"),  # only a part of it is open
        ([OPEN, SECRET], "news/#", "anyone"),  # the second rule never gets a say
        ([OPEN, SECRET], "news/secret/x", "anyone"),
        ([SECRET], "weather", "grant"),
        ([TopicRule(filter="a/+", subscribe="grant"), OPEN], "+/b", "grant"),
        ([TopicRule(filter="#", subscribe="anyone")], "#", "anyone"),
        ([TopicRule(filter="#", subscribe="anyone")], "$SYS/#", "grant"),
    ],
)
def test_a_filter_is_judged_by_its_strictest_part(
    rules: list[TopicRule], text: str, verdict: Verdict
) -> None:
    assert TopicRules(rules).verdict(text, "subscribe") == verdict


def test_the_verdict_is_per_action() -> None:
    rules = TopicRules([OPEN])
    assert rules.verdict("news/x", "subscribe") == "anyone"
    assert rules.verdict("news/x", "publish") == "deny"


@pytest.mark.parametrize(
    "rule",
    [
        TopicRule(filter=""),
        TopicRule(filter="a/#/b"),
        TopicRule(filter="a", history_count=-1),
        TopicRule(filter="a", history_age_s=-1),
        TopicRule(filter="a", subscribe="everyone"),  # type: ignore[arg-type]
        TopicRule(filter="a", publish=""),  # type: ignore[arg-type]
    ],
)
def test_a_rule_that_cannot_be_right_stops_the_start(rule: TopicRule) -> None:
    with pytest.raises(SettingsError) as caught:
        TopicRules([rule])
    assert "\n" not in str(caught.value)


LEVELS = ("a", "b", "users", "$x", "42")
TOPICS = [
    "/".join(levels)
    for levels in [
        *((a,) for a in LEVELS),
        *((a, b) for a in LEVELS for b in LEVELS),
        *((a, b, c) for a in LEVELS for b in ("a", "42") for c in ("a", "b")),
    ]
]
STRICTNESS = {"anyone": 0, "grant": 1, "deny": 2}


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.sampled_from([*LEVELS, "+"]), min_size=1, max_size=3))
    if draw(st.booleans()):
        levels = [*levels[:-1], "#"]
    return "/".join(levels)


rule_lists = st.lists(
    st.builds(
        TopicRule,
        filter=filters(),
        subscribe=st.sampled_from(["grant", "anyone", "deny"]),
        publish=st.sampled_from(["grant", "anyone", "deny"]),
    ),
    max_size=5,
)


@given(rule_lists, filters())
def test_no_filter_is_judged_laxer_than_a_topic_in_it(rules: list[TopicRule], text: str) -> None:
    table = TopicRules(rules)
    verdict = table.verdict(text, "subscribe")
    for topic in TOPICS:
        if matches(text, topic):
            assert STRICTNESS[verdict] >= STRICTNESS[table.of(topic).subscribe], topic


@given(rule_lists, st.sampled_from(TOPICS))
def test_a_topic_as_filter_is_judged_as_the_topic(rules: list[TopicRule], topic: str) -> None:
    table = TopicRules(rules)
    assert table.verdict(topic, "subscribe") == table.of(topic).subscribe
    assert table.verdict(topic, "publish") == table.of(topic).publish
