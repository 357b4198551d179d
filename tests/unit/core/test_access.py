"""The policy: a table of cases that people can read, and an oracle written another way."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reddot.core.access import Policy, inbox_filters, is_user_name
from reddot.core.rules import TopicRule, TopicRules
from reddot.errors import ReddotError
from reddot.model import ANONYMOUS, Actor

RULES = TopicRules(
    [
        TopicRule(filter="news/secret/#", subscribe="deny", publish="deny"),
        TopicRule(filter="news/#", subscribe="anyone"),
        TopicRule(filter="wall", publish="anyone"),
        TopicRule(filter="everyone", publish="anyone"),
        TopicRule(filter="users/+/typing", subscribe="anyone", publish="anyone"),
        TopicRule(filter="users/+/frozen", subscribe="deny"),
    ]
)
LIVE, DEV = Policy(RULES, dev=False), Policy(RULES, dev=True)

USER = Actor(user="42")
SERVICE = Actor(service=True, key="rk_1")
ADMIN = Actor(user="root", admin=True)
BOUND = Actor(admin=True, bound=True)


def subscriber(*grants: str) -> Actor:
    return Actor(user="42", subscribe=grants)


def publisher(*grants: str) -> Actor:
    return Actor(user="42", publish=grants)


Answer = Literal["yes", "unauthorized", "forbidden"]


def subscribing(policy: Policy, actor: Actor, text: str) -> Answer | str:
    try:
        policy.check_subscribe(actor, text)
    except ReddotError as error:
        return error.code
    return "yes"


def publishing(policy: Policy, actor: Actor, topic: str) -> Answer | str:
    try:
        policy.check_publish(actor, topic)
    except ReddotError as error:
        return error.code
    return "yes"


@pytest.mark.parametrize(
    ("actor", "text", "answer"),
    [
        # one's own topics, and what is for all
        (USER, "users/42", "yes"),
        (USER, "users/42/typing", "yes"),
        (USER, "users/42/#", "forbidden"),  # the rule for users/+/frozen denies a part of it
        (USER, "users/42/orders/#", "yes"),
        (USER, "users/42/frozen", "forbidden"),
        (USER, "everyone", "yes"),
        (USER, "everyone/#", "forbidden"),
        # other people's, whatever is granted
        (USER, "users/7", "forbidden"),
        (USER, "users/420", "forbidden"),
        (USER, "users/4", "forbidden"),
        (USER, "users", "forbidden"),
        (USER, "users/+", "forbidden"),
        (USER, "users/#", "forbidden"),
        (USER, "users/+/typing", "forbidden"),
        (subscriber("#"), "users/7", "forbidden"),
        (subscriber("users/#"), "users/7", "forbidden"),
        (subscriber("users/+"), "users/+", "forbidden"),
        (subscriber("users/7"), "users/7", "forbidden"),
        (USER, "users/7/typing", "forbidden"),
        # grants
        (subscriber("a/#"), "a/b", "yes"),
        (subscriber("a/#"), "a/+/c", "yes"),
        (subscriber("a/#"), "a", "yes"),
        (subscriber("a/+"), "a/#", "forbidden"),
        (subscriber("a/b", "a/c"), "a/+", "forbidden"),
        (subscriber("#"), "weather", "yes"),
        (subscriber("#"), "#", "forbidden"),  # news/secret is in it
        (subscriber("weather/#"), "weather/#", "yes"),
        (USER, "weather", "forbidden"),
        # rules
        (ANONYMOUS, "news/sport", "yes"),
        (ANONYMOUS, "news/sport/#", "yes"),
        (ANONYMOUS, "news/#", "unauthorized"),
        (subscriber("#"), "news/secret", "forbidden"),
        (ADMIN, "news/secret", "yes"),
        # nobody, servers, administrators
        (ANONYMOUS, "weather", "unauthorized"),
        (ANONYMOUS, "everyone", "unauthorized"),
        (ANONYMOUS, "users/42", "unauthorized"),
        (SERVICE, "weather", "forbidden"),
        (SERVICE, "users/42", "forbidden"),
        (SERVICE, "everyone", "forbidden"),
        (Actor(service=True, subscribe=("weather",)), "weather", "yes"),
        (ADMIN, "users/42", "yes"),
        (ADMIN, "users/#", "yes"),
        (ADMIN, "#", "yes"),
        # who is an administrator without proof
        (BOUND, "users/42", "yes"),
        (BOUND, "$SYS/#", "yes"),
        (BOUND, "news/secret", "forbidden"),
        (BOUND, "#", "forbidden"),
        # the server's own
        (ADMIN, "$SYS/#", "yes"),
        (subscriber("$SYS/#", "#"), "$SYS/#", "forbidden"),
        (ANONYMOUS, "$SYS/#", "unauthorized"),
        # a token without a user that grants something is known, if not enough
        (Actor(subscribe=("a",)), "a", "yes"),
        (Actor(subscribe=("a",)), "b", "forbidden"),
        (Actor(subscribe=("a",)), "everyone", "forbidden"),
    ],
)
def test_subscribing(actor: Actor, text: str, answer: Answer) -> None:
    assert subscribing(LIVE, actor, text) == answer


@pytest.mark.parametrize(
    ("actor", "topic", "answer"),
    [
        (SERVICE, "users/42", "yes"),
        (SERVICE, "everyone", "yes"),
        (SERVICE, "anything/at/all", "yes"),
        (SERVICE, "news/secret", "yes"),
        (SERVICE, "$SYS/x", "forbidden"),
        (ADMIN, "$SYS/x", "yes"),
        (ADMIN, "users/7", "yes"),
        (BOUND, "$SYS/x", "yes"),
        (BOUND, "users/7", "yes"),
        (BOUND, "news/secret", "forbidden"),
        (ADMIN, "news/secret", "yes"),
        (publisher("news/#"), "news/secret", "forbidden"),
        (USER, "users/42", "forbidden"),  # receiving is one thing, speaking as the server another
        (publisher("users/42"), "users/42", "yes"),
        (publisher("users/42"), "users/42/a", "forbidden"),
        (publisher("users/42/#"), "users/42/a", "yes"),
        (publisher("users/42/#"), "users/42", "yes"),
        (publisher("users/7/+"), "users/7/a", "yes"),
        (publisher("users/7/+"), "users/7/a/b", "forbidden"),
        (publisher("#"), "users/42", "forbidden"),
        (publisher("+/42"), "users/42", "forbidden"),
        (publisher("users/#"), "users/42", "forbidden"),
        (publisher("users/+"), "users/42", "forbidden"),
        (publisher("users/+/a"), "users/42/a", "forbidden"),
        (publisher("users/#"), "users", "forbidden"),
        (USER, "users/42/typing", "forbidden"),  # `anyone` does not open people's topics
        (publisher("#"), "everyone", "forbidden"),
        (publisher("+"), "everyone", "forbidden"),
        (publisher("everyone/#"), "everyone", "forbidden"),
        (publisher("everyone"), "everyone", "yes"),
        (ANONYMOUS, "everyone", "unauthorized"),  # nor this one
        (ANONYMOUS, "wall", "yes"),
        (USER, "wall", "yes"),
        (ANONYMOUS, "weather", "unauthorized"),
        (USER, "weather", "forbidden"),
        (publisher("weather"), "weather", "yes"),
        (publisher("#"), "weather", "yes"),
        (publisher("#"), "$SYS/x", "forbidden"),
        (subscriber("weather"), "weather", "forbidden"),
    ],
)
def test_publishing(actor: Actor, topic: str, answer: Answer) -> None:
    assert publishing(LIVE, actor, topic) == answer


@pytest.mark.parametrize(
    ("actor", "text", "answer"),
    [
        (ANONYMOUS, "weather", "yes"),
        (ANONYMOUS, "weather/#", "yes"),
        (ANONYMOUS, "everyone", "yes"),
        (USER, "weather", "yes"),
        (USER, "users/42", "yes"),
        (USER, "users/7", "forbidden"),
        (ANONYMOUS, "users/42", "unauthorized"),
        (ANONYMOUS, "users/#", "unauthorized"),
        (ANONYMOUS, "$SYS/#", "unauthorized"),
        (ANONYMOUS, "news/secret", "unauthorized"),
    ],
)
def test_subscribing_in_development(actor: Actor, text: str, answer: Answer) -> None:
    assert subscribing(DEV, actor, text) == answer


@pytest.mark.parametrize(
    ("actor", "topic", "answer"),
    [
        (ANONYMOUS, "weather", "yes"),
        (ANONYMOUS, "users/42", "yes"),
        (USER, "users/7", "yes"),
        (ANONYMOUS, "everyone", "yes"),
        (ANONYMOUS, "$SYS/x", "unauthorized"),
        (ANONYMOUS, "news/secret", "unauthorized"),
    ],
)
def test_publishing_in_development(actor: Actor, topic: str, answer: Answer) -> None:
    assert publishing(DEV, actor, topic) == answer


def test_a_wildcard_is_open_in_development_without_rules() -> None:
    assert subscribing(Policy(TopicRules([]), dev=True), ANONYMOUS, "#") == "yes"


def test_inbox_filters() -> None:
    assert inbox_filters(USER) == ("users/42", "everyone")
    assert inbox_filters(ANONYMOUS) == inbox_filters(SERVICE) == ()


@pytest.mark.parametrize("name", ["42", "alice@example.com", "é", "a b", "$x", "x" * 256])
def test_user_names(name: str) -> None:
    assert is_user_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "a/b", "/", "+", "#", "a+b", "a#", "\0", "a\n", "\x7f", "\x9f", "\ud800"),
        "x" * 257,
        "é" * 129,
    ],
)
def test_names_that_are_not(name: str) -> None:
    assert not is_user_name(name)


# ---- the oracle: sets of topics, and no notion of covering ----

LEVELS = ("a", "users", "everyone", "$x", "42", "7")
UNIVERSE = [
    (a, *rest)
    for a in LEVELS
    for rest in [(), *((b,) for b in LEVELS), *((b, c) for b in ("a", "42", "7") for c in "ab")]
]


def selects(pattern: tuple[str, ...], topic: tuple[str, ...]) -> bool:
    if not pattern:
        return not topic
    if pattern == ("#",):
        return True
    return bool(topic) and pattern[0] in ("+", topic[0]) and selects(pattern[1:], topic[1:])


def reaches(text: str, topic: tuple[str, ...]) -> bool:
    """Matching with the guard, on the whole universe: a wildcard begins in no guarded level."""
    pattern = tuple(text.split("/"))
    guarded = topic[0] == "users" or topic[0].startswith("$")
    return selects(pattern, topic) and not (guarded and pattern[0] in ("+", "#"))


def ruling(rules: list[TopicRule], topic: tuple[str, ...], action: str) -> str:
    fitting = [getattr(rule, action) for rule in rules if reaches(rule.filter, topic)]
    return fitting[0] if fitting else "grant"


def may_receive(rules: list[TopicRule], dev: bool, actor: Actor, topic: tuple[str, ...]) -> bool:
    said = ruling(rules, topic, "subscribe")
    granted = any(reaches(grant, topic) for grant in actor.subscribe)
    match topic:
        case _ if actor.admin:
            return not (actor.bound and said == "deny")
        case ("$x", *_):
            return False
        case ("users", person, *_):
            return said != "deny" and person == actor.user
        case ("users",):
            return False
        case ("everyone",) if actor.user:
            return said != "deny"
        case _:
            return said == "anyone" or (said == "grant" and (granted or dev))


def may_send(rules: list[TopicRule], dev: bool, actor: Actor, topic: tuple[str, ...]) -> bool:
    said = ruling(rules, topic, "publish")
    granted = [tuple(grant.split("/")) for grant in actor.publish if reaches(grant, topic)]
    if actor.admin and not (actor.bound and said == "deny"):
        return True
    if topic[0] == "$x" or actor.service:
        return topic[0] != "$x"
    if said == "deny" or dev:
        return said != "deny"
    match topic:
        case ("everyone",):
            return ("everyone",) in granted
        case ("users", *_):
            return any(grant[:2] == topic[:2] for grant in granted)
        case _:
            return said == "anyone" or bool(granted)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.sampled_from([*LEVELS, "+", "+"]), min_size=1, max_size=3))
    if draw(st.booleans()):
        levels = [*levels[: draw(st.integers(0, 2))], "#"]
    return "/".join(levels)


verdicts = st.sampled_from(["grant", "anyone", "deny"])
rule_lists = st.lists(
    st.builds(TopicRule, filter=filters(), subscribe=verdicts, publish=verdicts), max_size=3
)
grants = st.lists(filters(), max_size=3).map(tuple)
actors = st.builds(
    Actor,
    user=st.sampled_from([None, "42", "7", "users"]),
    subscribe=grants,
    publish=grants,
    admin=st.sampled_from([False, False, False, True]),
    bound=st.booleans(),
    service=st.sampled_from([False, False, True]),
)


@settings(max_examples=1000)
@given(rule_lists, st.booleans(), actors, filters())
def test_a_subscription_reaches_only_what_the_oracle_gives(
    rules: list[TopicRule], dev: bool, actor: Actor, text: str
) -> None:
    if subscribing(Policy(TopicRules(rules), dev), actor, text) == "yes":
        for topic in UNIVERSE:
            assert not reaches(text, topic) or may_receive(rules, dev, actor, topic), topic


@settings(max_examples=1000)
@given(rule_lists, st.booleans(), actors, st.sampled_from(UNIVERSE))
def test_single_topics_are_judged_as_by_the_oracle(
    rules: list[TopicRule], dev: bool, actor: Actor, topic: tuple[str, ...]
) -> None:
    policy, text = Policy(TopicRules(rules), dev), "/".join(topic)
    assert (subscribing(policy, actor, text) == "yes") == may_receive(rules, dev, actor, topic)
    assert (publishing(policy, actor, text) == "yes") == may_send(rules, dev, actor, topic)


@given(grants, filters())
def test_what_is_granted_is_given(granted: tuple[str, ...], text: str) -> None:
    """Without rules, a grant in the same words is enough, outside `users/…` and `$…`."""
    actor = Actor(user="1", subscribe=(*granted, text))
    usual = text.split("/")[0] not in ("users", "$x")
    assert (subscribing(Policy(TopicRules([]), False), actor, text) == "yes") == usual
