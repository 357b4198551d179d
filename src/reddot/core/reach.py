"""The rules of reaching people who are not there: what is to be done with a delivery, and why.

Core: pure. `RULES` is the table, in the order of precedence; the first rule that has something to
say decides, and if none has, the delivery goes out. First comes what is final, then what waits
for an administrator, then what waits for a moment. So nothing waits that will not go out anyway.
docs/concepts/deliveries.md shows the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from reddot.core.keywords import found_keyword
from reddot.core.quiet import quiet_until
from reddot.delivery import ANY_CATEGORY, Action, Cap, Facts, Plan, Reason, Ruling

Rule = Callable[[Plan, Facts], Ruling | None]

URGENT: Final = "urgent"
TOO_LATE: Final = "it would have expired by then"


def plan_for(plans: Sequence[Plan], category: str) -> Plan | None:
    """The first plan whose categories name this one or any; None: nobody is to be reached."""
    for plan in plans:
        if category in plan.categories or ANY_CATEGORY in plan.categories:
            return plan
    return None


def judge(plan: Plan, facts: Facts) -> Ruling:
    """What is to be done with a delivery that has fallen due.

    A wait ends at the first moment at which the rule that asked for it is content, always after
    `now_ms`; ask again then, another rule may have something to say. A wait beyond the
    notification's expiry is a skip for the same reason.
    """
    for rule in RULES.values():
        if (ruling := rule(plan, facts)) is not None:
            return ruling
    return Ruling(action=Action.SEND, reason="due")


# ---- final: it will never go out ----


def _skip(reason: Reason, detail: str = "") -> Ruling:
    return Ruling(action=Action.SKIP, reason=reason, detail=detail)


def _seen(_plan: Plan, facts: Facts) -> Ruling | None:
    return _skip("seen") if facts.seen else None


def _dead(_plan: Plan, facts: Facts) -> Ruling | None:
    expired = facts.expires_ms is not None and facts.expires_ms <= facts.now_ms
    return _skip("dead") if expired or not facts.live else None


def _rejected(_plan: Plan, facts: Facts) -> Ruling | None:
    return _skip("rejected") if facts.approved is False else None


def _denied(plan: Plan, facts: Facts) -> Ruling | None:
    return _skip("denied") if facts.user in plan.deny else None


def _not_allowed(plan: Plan, facts: Facts) -> Ruling | None:
    return _skip("not_allowed") if plan.allow and facts.user not in plan.allow else None


def _muted(_plan: Plan, facts: Facts) -> Ruling | None:
    return _skip("muted") if facts.muted else None


def _no_address(_plan: Plan, facts: Facts) -> Ruling | None:
    return None if facts.addressed else _skip("no_address")


def _total_reached(plan: Plan, facts: Facts) -> Ruling | None:
    if plan.total_max is None or facts.total < plan.total_max:
        return None
    return _skip("total_reached", f"{plan.total_max} were sent")


# ---- until an administrator says something ----


def _hold(reason: Reason, detail: str = "") -> Ruling:
    return Ruling(action=Action.HOLD, reason=reason, detail=detail)


def _keyword(plan: Plan, facts: Facts) -> Ruling | None:
    """Before `paused`, so that texts can be reviewed while a campaign stands still."""
    if facts.approved is not None or not plan.keywords:
        return None
    found = found_keyword(plan.keywords, facts.text)
    return None if found is None else _hold("keyword", found)


def _paused(_plan: Plan, facts: Facts) -> Ruling | None:
    return _hold("paused") if facts.paused else None


# ---- until a moment ----


def _wait(facts: Facts, until_ms: int, reason: Reason, detail: str = "") -> Ruling:
    if facts.expires_ms is not None and until_ms >= facts.expires_ms:
        return _skip(reason, f"{detail}; {TOO_LATE}" if detail else TOO_LATE)
    return Ruling(action=Action.WAIT, reason=reason, until_ms=until_ms, detail=detail)


def _digest(plan: Plan, facts: Facts) -> Ruling | None:
    """Before `quiet_hours`, so that what a night brings is one delivery in the morning."""
    if not plan.digest_s or facts.priority == URGENT or facts.carries:
        return None
    if facts.digest_ms is None or facts.digest_ms <= facts.now_ms:
        return _wait(facts, facts.now_ms + plan.digest_s * 1000, "digest")
    if facts.expires_ms is not None and facts.digest_ms >= facts.expires_ms:
        return _skip("digest", TOO_LATE)
    return Ruling(action=Action.FOLD, reason="digest")


def _quiet_hours(plan: Plan, facts: Facts) -> Ruling | None:
    """The plan's and the person's: it waits until both have ended."""
    hours = [quiet for quiet in (plan.quiet, facts.quiet) if quiet is not None]
    if not hours or facts.priority == URGENT:
        return None
    until_ms = quiet_until(hours, facts.timezone, facts.now_ms)
    return None if until_ms is None else _wait(facts, until_ms, "quiet_hours")


def _capped(plan: Plan, facts: Facts) -> Ruling | None:
    """Of several caps the one that lasts longest."""
    until_ms, latest = facts.now_ms, None
    for cap, sent_ms in zip(plan.caps, facts.sent_ms, strict=False):
        if _concerns(cap, facts) and len(sent_ms) >= cap.count:
            free_ms = sent_ms[-cap.count] + cap.window_s * 1000
            if free_ms > until_ms:
                until_ms, latest = free_ms, cap
    return None if latest is None else _wait(facts, until_ms, "capped", _said(latest))


def _concerns(cap: Cap, facts: Facts) -> bool:
    return cap.courier in (None, facts.courier) and cap.category in (None, facts.category)


def _said(cap: Cap) -> str:
    what = " ".join(one for one in (cap.category, cap.courier) if one is not None)
    return f"{cap.count} {what} in {cap.window_s} s".replace("  ", " ")


def _rate(plan: Plan, facts: Facts) -> Ruling | None:
    if plan.per_s_max is None or facts.second < plan.per_s_max:
        return None
    return _wait(facts, (facts.now_ms // 1000 + 1) * 1000, "rate", f"{plan.per_s_max} per second")


RULES: Final[dict[Reason, Rule]] = {
    "seen": _seen,
    "dead": _dead,
    "rejected": _rejected,
    "denied": _denied,
    "not_allowed": _not_allowed,
    "muted": _muted,
    "no_address": _no_address,
    "total_reached": _total_reached,
    "keyword": _keyword,
    "paused": _paused,
    "digest": _digest,
    "quiet_hours": _quiet_hours,
    "capped": _capped,
    "rate": _rate,
}
