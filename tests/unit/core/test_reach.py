"""The delivery rules: every reason, their order, and what they promise over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Final, TypeVar, get_args

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from reddot.core import reach
from reddot.core.quiet import quiet_until
from reddot.core.reach import RULES, TOO_LATE, judge, plan_for
from reddot.delivery import Action, Cap, Facts, Plan, Reason, Ruling
from reddot.inbox import Quiet
from tests.unit.core.reach_oracle import (
    action,
    cases,
    ends,
    is_quiet,
    nights,
    reasons,
    replaced,
    walked,
    wall,
)

T = TypeVar("T")

NOW: Final = 1_800_000_000_500
SEND: Final = Ruling(action=Action.SEND, reason="due")
ALWAYS: Final = Quiet(start_minute=0, end_minute=1439)


def facts(**fields: Any) -> Facts:
    plain: dict[str, Any] = {"now_ms": NOW, "user": "ann", "courier": "push", "category": "chat"}
    return Facts(**plain | fields)


# ---- which plan ----


def test_the_first_plan_that_names_the_category_or_any_holds() -> None:
    chat, rest = Plan(categories=("chat", "mention"), digest_s=1), Plan()
    assert plan_for((chat, rest), "mention") is chat
    assert plan_for((chat, rest), "offer") is rest
    assert plan_for((rest, chat), "chat") is rest
    assert plan_for((chat,), "offer") is None
    assert plan_for((), "chat") is None


# ---- every reason ----

EVERY: Final[list[tuple[Plan, Facts, Ruling]]] = [
    (Plan(), facts(), SEND),
    (Plan(), facts(seen=True), Ruling(action=Action.SKIP, reason="seen")),
    (Plan(), facts(live=False), Ruling(action=Action.SKIP, reason="dead")),
    (Plan(), facts(expires_ms=NOW), Ruling(action=Action.SKIP, reason="dead")),
    (Plan(), facts(approved=False), Ruling(action=Action.SKIP, reason="rejected")),
    (Plan(deny=frozenset({"ann"})), facts(), Ruling(action=Action.SKIP, reason="denied")),
    (Plan(allow=frozenset({"bob"})), facts(), Ruling(action=Action.SKIP, reason="not_allowed")),
    (Plan(allow=frozenset({"ann"})), facts(), SEND),
    (Plan(), facts(muted=True), Ruling(action=Action.SKIP, reason="muted")),
    (Plan(), facts(addressed=False), Ruling(action=Action.SKIP, reason="no_address")),
    (
        Plan(total_max=3),
        facts(total=3),
        Ruling(action=Action.SKIP, reason="total_reached", detail="3 were sent"),
    ),
    (Plan(total_max=3), facts(total=2), SEND),
    (
        Plan(keywords=("Casino",)),
        facts(text="a CASINO"),
        Ruling(action=Action.HOLD, reason="keyword", detail="Casino"),
    ),
    (Plan(keywords=("Casino",)), facts(text="a CASINO", approved=True), SEND),
    (Plan(), facts(paused=True), Ruling(action=Action.HOLD, reason="paused")),
    (
        Plan(digest_s=60),
        facts(),
        Ruling(action=Action.WAIT, reason="digest", until_ms=NOW + 60_000),
    ),
    (Plan(digest_s=60), facts(digest_ms=NOW + 1), Ruling(action=Action.FOLD, reason="digest")),
    (Plan(digest_s=60), facts(digest_ms=NOW, carries=True), SEND),
    (Plan(digest_s=60), facts(digest_ms=NOW + 1, carries=True), SEND),
    (Plan(digest_s=60), facts(priority="urgent"), SEND),
    (
        Plan(quiet=ALWAYS),
        facts(now_ms=86_400_000),
        Ruling(action=Action.WAIT, reason="quiet_hours", until_ms=2 * 86_400_000 - 60_000),
    ),
    (Plan(quiet=ALWAYS), facts(priority="urgent"), SEND),
    (
        Plan(),
        facts(now_ms=86_400_000, quiet=ALWAYS),
        Ruling(action=Action.WAIT, reason="quiet_hours", until_ms=2 * 86_400_000 - 60_000),
    ),
    (
        Plan(quiet=Quiet(start_minute=0, end_minute=60)),
        facts(now_ms=86_400_000, quiet=Quiet(start_minute=30, end_minute=90)),
        Ruling(action=Action.WAIT, reason="quiet_hours", until_ms=86_400_000 + 90 * 60_000),
    ),
    (Plan(), facts(quiet=ALWAYS, priority="urgent"), SEND),
    (
        Plan(caps=(Cap(count=2, window_s=60),)),
        facts(sent_ms=((NOW - 59_999, NOW - 5),)),
        Ruling(action=Action.WAIT, reason="capped", until_ms=NOW + 1, detail="2 in 60 s"),
    ),
    (Plan(caps=(Cap(count=2, window_s=60),)), facts(sent_ms=((NOW - 60_000, NOW - 5),)), SEND),
    (
        Plan(caps=(Cap(count=1, window_s=60), Cap(count=1, window_s=90, courier="push"))),
        facts(sent_ms=((NOW,), (NOW - 1,))),
        Ruling(action=Action.WAIT, reason="capped", until_ms=NOW + 89_999, detail="1 push in 90 s"),
    ),
    (Plan(caps=(Cap(count=1, window_s=60, courier="mail"),)), facts(sent_ms=((NOW,),)), SEND),
    (Plan(caps=(Cap(count=1, window_s=60, category="offer"),)), facts(sent_ms=((NOW,),)), SEND),
    (
        Plan(per_s_max=5),
        facts(second=5),
        Ruling(action=Action.WAIT, reason="rate", until_ms=NOW + 500, detail="5 per second"),
    ),
    (Plan(per_s_max=5), facts(second=4), SEND),
]


@pytest.mark.parametrize(("plan", "known", "ruling"), EVERY)
def test_a_rule(plan: Plan, known: Facts, ruling: Ruling) -> None:
    assert judge(plan, known) == ruling


def test_every_reason_is_reached() -> None:
    """All but `cancelled`: that is said by whoever cancels, and no rule is asked."""
    assert {ruling.reason for _, _, ruling in EVERY} == set(get_args(Reason)) - {"cancelled"}
    assert {"due", *RULES} == set(get_args(Reason)) - {"cancelled"}


@pytest.mark.parametrize(
    ("plan", "fields", "reason", "lasts_ms"),
    [
        (Plan(digest_s=60), {}, "digest", 60_000),
        (Plan(digest_s=60), {"digest_ms": NOW + 9}, "digest", 9),
        (Plan(quiet=Quiet(start_minute=0, end_minute=1)), {"now_ms": 0}, "quiet_hours", 60_000),
        (Plan(caps=(Cap(count=1, window_s=1),)), {"sent_ms": ((NOW,),)}, "capped", 1000),
        (Plan(per_s_max=1), {"second": 1}, "rate", 500),
    ],
)
def test_a_wait_beyond_the_expiry_is_a_skip_for_the_same_reason(
    plan: Plan, fields: dict[str, Any], reason: str, lasts_ms: int
) -> None:
    known = facts(**fields)
    later = judge(plan, facts(**fields, expires_ms=known.now_ms + lasts_ms + 1))
    assert (later.action is not Action.SKIP, later.reason) == (True, reason)
    too_late = judge(plan, facts(**fields, expires_ms=known.now_ms + lasts_ms))
    assert (too_late.action, too_late.reason) == (Action.SKIP, reason)
    assert too_late.detail.endswith(TOO_LATE)


# ---- the order ----

AGAINST: Final[dict[Reason, tuple[dict[str, Any], dict[str, Any]]]] = {
    "seen": ({}, {"seen": True}),
    "dead": ({}, {"live": False}),
    "rejected": ({}, {"approved": False}),
    "denied": ({"deny": frozenset({"ann"})}, {}),
    "not_allowed": ({"allow": frozenset({"bob"})}, {}),
    "muted": ({}, {"muted": True}),
    "no_address": ({}, {"addressed": False}),
    "total_reached": ({"total_max": 1}, {"total": 1}),
    "keyword": ({"keywords": ("x",)}, {"text": "x"}),
    "paused": ({}, {"paused": True}),
    "digest": ({"digest_s": 60}, {}),
    "quiet_hours": ({"quiet": ALWAYS}, {}),
    "capped": ({"caps": (Cap(count=1, window_s=60),)}, {"sent_ms": ((NOW,),)}),
    "rate": ({"per_s_max": 1}, {"second": 1}),
}
"""What speaks against sending, in the order of docs/concepts/deliveries.md."""


@pytest.mark.parametrize(("first", "second"), list(combinations(AGAINST, 2)))
def test_of_two_reasons_the_first_is_said(first: Reason, second: Reason) -> None:
    plan = Plan(**AGAINST[first][0] | AGAINST[second][0])
    known = facts(**AGAINST[second][1] | AGAINST[first][1])
    alone = judge(Plan(**AGAINST[second][0]), facts(**AGAINST[second][1]))
    assert (alone.reason, judge(plan, known).reason) == (second, first)


# ---- against the oracle ----


def agrees(case: tuple[Plan, Facts]) -> bool:
    """Whether `judge` says what the oracle says."""
    plan, known = case
    ruling = judge(plan, known)
    expected = reasons(plan, known)
    if not expected:
        return ruling == SEND
    until = ends(plan, known, expected[0]) if expected[0] in WAITS else 0
    act = action(plan, known, expected[0], until)
    return (
        (ruling.action, ruling.reason) == (act, expected[0])
        and (ruling.until_ms == until if act is Action.WAIT else ruling.until_ms is None)
        and (act is not Action.WAIT or until > known.now_ms)
    )


WAITS: Final = ("digest", "quiet_hours", "capped", "rate")


@settings(max_examples=300, deadline=None)
@given(cases())
def test_the_rules_say_what_the_oracle_says(case: tuple[Plan, Facts]) -> None:
    assert agrees(case), judge(*case)


def _silent(_plan: Plan, _facts: Facts) -> None:
    """A rule that has nothing to say."""


def _delayed(minutes: int) -> Callable[..., int | None]:
    def delayed(quiet: Sequence[Quiet], timezone: str, now_ms: int) -> int | None:
        until = quiet_until(quiet, timezone, now_ms)
        return None if until is None else until + minutes * 60_000

    return delayed


def _in_utc(quiet: Sequence[Quiet], _timezone: str, now_ms: int) -> int | None:
    return quiet_until(quiet, "UTC", now_ms)


def _by_offset_of_now(quiet: Sequence[Quiet], timezone: str, now_ms: int) -> int | None:
    """Quiet hours by somebody who thinks that a day always has 24 hours."""
    at = wall(timezone, now_ms)
    offset = at.utcoffset()
    assert offset is not None
    shift = round(offset.total_seconds() * 1000)
    until = quiet_until(quiet, "UTC", now_ms + shift)
    return None if until is None else until - shift


def _first_alone(quiet: Sequence[Quiet], timezone: str, now_ms: int) -> int | None:
    return quiet_until(quiet[:1], timezone, now_ms)


Plant = Callable[[pytest.MonkeyPatch], None]


def forget(reason: Reason) -> Plant:
    return lambda patch: patch.setitem(RULES, reason, _silent)


RULES_WRONG: Final[dict[str, Plant]] = {
    **{f"no {reason}": forget(reason) for reason in RULES},
    "urgent is nothing": lambda patch: patch.setattr(reach, "URGENT", ""),
    "urgent is high": lambda patch: patch.setattr(reach, "URGENT", "high"),
    "caps concern all": lambda patch: patch.setattr(reach, "_concerns", lambda *_: True),
}
NIGHTS_WRONG: Final[dict[str, Callable[..., int | None]]] = {
    "in UTC": _in_utc,
    "a minute too long": _delayed(1),
    "a minute too short": _delayed(-1),
    "by the offset of now": _by_offset_of_now,
    "the plan's alone": _first_alone,
}


@pytest.mark.parametrize("plant", RULES_WRONG.values(), ids=RULES_WRONG)
def test_a_planted_mistake_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert finds(cases(), lambda case: not agrees(case))


@pytest.mark.parametrize("wrong", NIGHTS_WRONG.values(), ids=NIGHTS_WRONG)
def test_a_wrong_night_is_found(wrong: Callable[..., int | None]) -> None:
    assert finds(nights(), lambda night: wrong(*night) != walked(*night))
    assert not finds(nights(), lambda night: quiet_until(*night) != walked(*night), tries=200)


def finds(
    strategy: st.SearchStrategy[T], condition: Callable[[T], bool], *, tries: int = 20_000
) -> bool:
    """Whether an example turns up; any will do, so none is made small."""
    try:
        find(
            strategy,
            condition,
            settings=settings(
                max_examples=tries,
                deadline=None,
                phases=(Phase.generate,),
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except NoSuchExample:
        return False
    return True


# ---- over time ----


@settings(max_examples=150, deadline=None)
@given(cases())
def test_waits_go_forward_and_come_to_an_end(case: tuple[Plan, Facts]) -> None:
    """Asked again at each `until_ms`, a delivery goes out or not after a few questions."""
    plan, known = case
    for _ in range(12):
        ruling = judge(plan, known)
        if ruling.action is not Action.WAIT:
            break
        assert ruling.until_ms is not None
        assert ruling.until_ms > known.now_ms
        opened = ruling.reason == "digest"
        known = _later(known, ruling.until_ms, carries=known.carries or opened)
    assert ruling.action is not Action.WAIT
    if ruling.action is Action.SEND and known.priority != "urgent":
        hours = [quiet for quiet in (plan.quiet, known.quiet) if quiet is not None]
        assert not is_quiet(hours, known.timezone, known.now_ms)


def _later(known: Facts, now_ms: int, *, carries: bool) -> Facts:
    fields = {name: getattr(known, name) for name in known.__struct_fields__}
    return Facts(**fields | {"now_ms": now_ms, "carries": carries, "second": 0})


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 5_000), min_size=1, max_size=25),
    st.lists(
        st.builds(
            Cap,
            count=st.integers(1, 4),
            window_s=st.integers(1, 20),
            courier=st.sampled_from((None, "push", "mail")),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_no_window_ever_holds_more_than_its_cap(gaps: list[int], caps: list[Cap]) -> None:
    """One delivery after the other, each sent as soon as it may be."""
    plan, now, sent = Plan(caps=tuple(caps)), NOW, list[tuple[int, str]]()
    for number, gap in enumerate(gaps):
        courier = ("push", "mail")[number % 2]
        now += gap
        while (ruling := judge(plan, _history(plan, sent, now, courier))).action is Action.WAIT:
            assert ruling.until_ms is not None
            now = ruling.until_ms
        sent.append((now, courier))
    for cap in caps:
        times = [at for at, courier in sent if cap.courier in (None, courier)]
        for at in times:
            assert sum(at - cap.window_s * 1000 < one <= at for one in times) <= cap.count


def _history(plan: Plan, sent: list[tuple[int, str]], now: int, courier: str) -> Facts:
    counted = tuple(
        tuple(at for at, one in sent if cap.courier in (None, one))[-cap.count :]
        for cap in plan.caps
    )
    return facts(now_ms=now, courier=courier, sent_ms=counted)


def test_a_night_brings_one_digest_in_the_morning() -> None:
    """The first opens it, the others fold into it, and it waits for the quiet to end."""
    hour = 3_600_000
    plan = Plan(quiet=Quiet(start_minute=22 * 60, end_minute=8 * 60), digest_s=600)
    evening = 20_000 * 24 * hour + 23 * hour
    first = judge(plan, facts(now_ms=evening))
    assert (first.action, first.until_ms) == (Action.WAIT, evening + 600_000)
    morning = judge(
        plan, facts(now_ms=evening + 600_000, digest_ms=evening + 600_000, carries=True)
    )
    assert (morning.reason, morning.until_ms) == ("quiet_hours", evening + 9 * hour)
    second = judge(plan, facts(now_ms=evening + 2 * hour, digest_ms=morning.until_ms))
    assert second.action is Action.FOLD
    out = judge(plan, facts(now_ms=evening + 9 * hour, digest_ms=morning.until_ms, carries=True))
    assert out == SEND


def test_the_same_question_has_the_same_answer() -> None:
    plan = Plan(quiet=ALWAYS, keywords=("x",))
    known = facts(text="y", timezone="Europe/Berlin")
    assert judge(plan, known) == judge(plan, replaced(known, known.now_ms))
