"""What the delivery rules have to say, worked out the plain way: one step of the clock at a time.

Nothing here is shared with the code under test but the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hypothesis import assume
from hypothesis import strategies as st

from reddot.delivery import Action, Cap, Facts, Plan
from reddot.inbox import Quiet

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
ZONES: Final = (
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Asuncion",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tehran",
    "Asia/Gaza",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Pacific/Chatham",
)
"""Turned by half an hour or two, at midnight, over a whole day, for Ramadan, and not at all."""


def wall(zone: str, moment: int) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).astimezone(
        ZoneInfo(zone)
    )


def _turns(zone: str) -> Iterator[int]:
    """Moments within a day after which the clock of a zone has been turned, 1985 to 2037."""
    days = [day * DAY_MS for day in range(5480, 24800)]
    offsets = [wall(zone, day).utcoffset() for day in days]
    return (day for day, one, two in zip(days, offsets, offsets[1:], strict=False) if one != two)


TURNS: Final = {zone: tuple(_turns(zone)) or (1_700_000_000_000,) for zone in ZONES}
minutes = st.integers(0, 1439)


Night = tuple[list[Quiet], str, int]


@st.composite
def nights(draw: st.DrawFn) -> Night:
    """Quiet hours, a zone, and a moment about a day around a turn of its clock.

    A plan's, and sometimes a person's beside them, which together leave something of the day.
    """
    zone = draw(st.sampled_from(ZONES))
    turn = draw(st.sampled_from(TURNS[zone]))
    moment = turn + draw(st.integers(-DAY_MS, 2 * DAY_MS))
    if draw(st.booleans()):  # quiet hours that begin or end about the time of most turns
        edges = st.integers(0, 240)
        start, end = draw(st.tuples(edges, minutes)), draw(st.tuples(minutes, edges))
        first = Quiet(start_minute=start[0], end_minute=end[draw(st.integers(0, 1))])
    else:
        first = Quiet(start_minute=draw(minutes), end_minute=draw(minutes))
    if draw(st.booleans()):
        return [first], zone, moment
    second = Quiet(start_minute=draw(minutes), end_minute=draw(minutes))
    assume(not all(_covers(first, at) or _covers(second, at) for at in range(1440)))
    return [first, second], zone, moment


def _covers(quiet: Quiet, minute: int) -> bool:
    start, end = quiet.start_minute, quiet.end_minute
    return start <= minute < end if start <= end else minute >= start or minute < end


def is_quiet(hours: Sequence[Quiet], zone: str, moment: int) -> bool:
    at = wall(zone, moment)
    return any(_covers(quiet, at.hour * 60 + at.minute) for quiet in hours)


def walked(hours: Sequence[Quiet], zone: str, moment: int) -> int | None:
    """The end of the quiet, found minute by minute; None: there is none to wait for."""
    if not is_quiet(hours, zone, moment):
        return None
    minute = moment // MINUTE_MS + 1
    while is_quiet(hours, zone, minute * MINUTE_MS):
        minute += 1
    return minute * MINUTE_MS


# ---- all rules ----


def reasons(plan: Plan, facts: Facts) -> list[str]:
    """Everything that speaks against sending at this moment, the strongest first."""
    expires = facts.expires_ms
    urgent = facts.priority == "urgent"
    held = facts.approved is None and any(word in facts.text for word in plan.keywords)
    night = not urgent and is_quiet(_hours(plan, facts), facts.timezone, facts.now_ms)
    against = {
        "seen": facts.seen,
        "dead": not facts.live or (expires is not None and facts.now_ms >= expires),
        "rejected": facts.approved is False,
        "denied": facts.user in plan.deny,
        "not_allowed": bool(plan.allow) and facts.user not in plan.allow,
        "muted": facts.muted,
        "no_address": not facts.addressed,
        "total_reached": plan.total_max is not None and facts.total >= plan.total_max,
        "keyword": held,
        "paused": facts.paused,
        "digest": plan.digest_s > 0 and not urgent and not facts.carries,
        "quiet_hours": night,
        "capped": any(
            _is_full(cap, facts, sent) for cap, sent in zip(plan.caps, facts.sent_ms, strict=True)
        ),
        "rate": plan.per_s_max is not None and facts.second >= plan.per_s_max,
    }
    return [reason for reason, speaks in against.items() if speaks]


def _hours(plan: Plan, facts: Facts) -> list[Quiet]:
    return [quiet for quiet in (plan.quiet, facts.quiet) if quiet is not None]


def _is_full(cap: Cap, facts: Facts, sent_ms: tuple[int, ...]) -> bool:
    concerned = (cap.courier is None or cap.courier == facts.courier) and (
        cap.category is None or cap.category == facts.category
    )
    since = facts.now_ms - cap.window_s * 1000
    return concerned and sum(since < at for at in sent_ms) >= cap.count


FINAL: Final = {
    "seen",
    "dead",
    "rejected",
    "denied",
    "not_allowed",
    "muted",
    "no_address",
    "total_reached",
}


def action(plan: Plan, facts: Facts, reason: str, until_ms: int) -> Action:
    """What follows from the strongest reason; `until_ms` is when it ends."""
    if reason in FINAL:
        return Action.SKIP
    if reason in ("keyword", "paused"):
        return Action.HOLD
    if facts.expires_ms is not None and until_ms >= facts.expires_ms:
        return Action.SKIP
    folds = facts.digest_ms is not None and facts.digest_ms > facts.now_ms
    return Action.FOLD if reason == "digest" and folds else Action.WAIT


def ends(plan: Plan, facts: Facts, reason: str) -> int:
    """When a waiting reason ends, by trying every moment at which it could."""
    now = facts.now_ms
    if reason == "quiet_hours":
        return walked(_hours(plan, facts), facts.timezone, now) or now
    if reason == "rate":
        return next(at for at in range(now + 1, now + 1001) if at % 1000 == 0)
    if reason == "digest":
        open_ms = facts.digest_ms
        return now + plan.digest_s * 1000 if open_ms is None or open_ms <= now else open_ms
    frees = sorted(
        at + cap.window_s * 1000
        for cap, sent in zip(plan.caps, facts.sent_ms, strict=True)
        for at in sent
        if at + cap.window_s * 1000 > now
    )
    for moment in frees:
        later = replaced(facts, moment)
        if not any(_is_full(c, later, s) for c, s in zip(plan.caps, facts.sent_ms, strict=True)):
            return moment
    raise AssertionError("a cap that never ends")


def replaced(facts: Facts, now_ms: int) -> Facts:
    fields = {name: getattr(facts, name) for name in facts.__struct_fields__}
    return Facts(**fields | {"now_ms": now_ms})


NOBODY: Final = frozenset[str]()
ANN: Final = frozenset({"ann"})


@st.composite
def cases(draw: st.DrawFn) -> tuple[Plan, Facts]:
    """A plan and facts in which a few things, never most, speak against sending."""
    (quiet, *others), zone, now = draw(nights())
    rarely = st.integers(0, 19).map(lambda number: number == 0)
    often = st.booleans()
    caps = tuple(draw(st.lists(_caps, max_size=3)))
    sent = tuple(
        tuple(sorted(now - ago for ago in draw(st.lists(st.integers(0, 200_000), max_size=5))))
        for _ in caps
    )
    plan = Plan(
        quiet=quiet if draw(often) else None,
        caps=caps,
        digest_s=draw(st.sampled_from((0, 0, 600))),
        allow=draw(st.sampled_from((NOBODY, NOBODY, ANN, ANN, frozenset({"bob"})))),
        deny=draw(st.sampled_from((NOBODY, frozenset({"bob"})))),
        keywords=draw(st.sampled_from(((), ("casino",), ("news", "casino")))),
        total_max=draw(st.sampled_from((None, None, 10))),
        per_s_max=draw(st.sampled_from((None, 2))),
    )
    facts = Facts(
        now_ms=now,
        user=draw(st.sampled_from(("ann", "ann", "ann", "bob"))),
        courier=draw(st.sampled_from(("mail", "push"))),
        category=draw(st.sampled_from(("offer", "chat"))),
        priority=draw(st.sampled_from(("low", "normal", "high", "urgent"))),
        timezone=zone,
        seen=draw(rarely),
        live=not draw(rarely),
        expires_ms=now + draw(st.integers(-1000, DAY_MS)) if draw(often) else None,
        muted=draw(rarely),
        quiet=next(iter(others), None),
        addressed=not draw(rarely),
        paused=draw(rarely),
        text=draw(st.sampled_from(("no offers", "no offers", "good news", "casino tonight"))),
        approved=draw(st.sampled_from((None, None, None, None, True, False))),
        sent_ms=sent,
        total=draw(st.sampled_from((0, 9, 10))),
        second=draw(st.sampled_from((0, 1, 2))),
        digest_ms=draw(st.sampled_from((None, now - 1, now, now + 1, now + 300_000))),
        carries=draw(often),
    )
    return plan, facts


_names = st.sampled_from((None, "mail", "push"))
_caps = st.builds(
    Cap,
    count=st.integers(1, 3),
    window_s=st.sampled_from((1, 60, 120)),
    courier=_names,
    category=st.sampled_from((None, "offer", "chat")),
)
