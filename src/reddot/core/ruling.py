"""From what a store knows of leased deliveries to what is done with each. Core.

One round at a time, in one task: what a round grants is durable before the next one asks, so caps
and totals hold however many attempts are under way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from reddot.delivery import Action, Cap, Facts, Message, Plan, Ruling, State
from reddot.outreach import Case, Lease, Past, Settled

Judge = Callable[[Plan, Facts], Ruling]

LINES_MAX: Final = 20
LANES_COUNTED_MAX: Final = 10_000
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_plan = msgspec.json.Decoder(Plan).decode


class Job(msgspec.Struct):
    """One delivery that goes out, and what of a digest goes with it."""

    case: Case
    reason: str
    folded: list[Case]

    @property
    def leases(self) -> list[Lease]:
        return [self.case.lease, *(case.lease for case in self.folded)]


class Round(msgspec.Struct):
    """What a round has decided.

    Attributes:
        jobs: what goes out.
        settled: what does not.
        holds: lane → until when it rests.
    """

    jobs: list[Job]
    settled: list[Settled]
    holds: dict[int, int]


class Bench:
    """Judges rounds; remembers what went out of a lane in this second."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._plans: dict[str, Plan] = {}
        self._seconds: dict[int, tuple[int, int]] = {}

    def plan(self, text: str) -> Plan:
        plan = self._plans.get(text)
        if plan is None:
            if len(self._plans) > 1_000:
                self._plans.clear()
            plan = self._plans[text] = _plan(text)
        return plan

    def window_ms(self, leases: Sequence[Lease]) -> int:
        """How far back caps look that concern these."""
        plans = (self.plan(text) for text in {lease.plan for lease in leases})
        return 1000 * max((cap.window_s for plan in plans for cap in plan.caps), default=0)

    def judge(self, cases: Sequence[Case], now_ms: int) -> Round:
        """Decide on each case; what goes out counts for those that come after it.

        First come those that count already, so that the head of a digest stays its head.
        """
        found = Round([], [], {})
        fresh: dict[str, list[Past]] = {}
        totals: Counter[int] = Counter()
        digests: dict[tuple[str, str], Job] = {}
        for case in sorted(cases, key=lambda one: not one.lease.granted):
            lease = case.lease
            plan = self.plan(lease.plan)
            key = (lease.user, lease.courier)
            head = digests.get(key) if lease.digest else None
            if head is not None:  # It goes with the first one, and costs nothing.
                plan = msgspec.structs.replace(plan, caps=(), total_max=None, per_s_max=None)
            past = (*case.past, *fresh.get(lease.user, ()))
            facts = self._facts(plan, case, past, case.total + totals[lease.lane], now_ms)
            ruling = self._judge(plan, facts)
            if ruling.action is not Action.SEND:
                found.settled.append(_waiting(case, ruling, now_ms))
                if ruling.reason == "rate" and ruling.until_ms is not None:
                    found.holds[lease.lane] = ruling.until_ms
                continue
            if head is not None:
                head.folded.append(case)
                continue
            job = Job(case, ruling.reason, [])
            found.jobs.append(job)
            if lease.digest:
                digests[key] = job
            sent = Past(now_ms, lease.courier, facts.category)
            fresh.setdefault(lease.user, []).append(sent)
            totals[lease.lane] += not lease.granted
            self._count(lease.lane, now_ms)
        return found

    def fold(self, job: Job, cases: Sequence[Case], now_ms: int) -> list[Settled]:
        """Let the rest of a digest go with its first one; what does not go with it."""
        settled = []
        for case in cases:
            plan = msgspec.structs.replace(
                self.plan(case.lease.plan), caps=(), total_max=None, per_s_max=None
            )
            ruling = self._judge(plan, self._facts(plan, case, (), 0, now_ms))
            if ruling.action is Action.SEND:
                job.folded.append(case)
            else:
                settled.append(_waiting(case, ruling, now_ms))
        return settled

    def _count(self, lane: int, now_ms: int) -> None:
        if len(self._seconds) > LANES_COUNTED_MAX:
            self._seconds.clear()
        self._seconds[lane] = (now_ms // 1000, 1 + self._in_second(lane, now_ms))

    def _in_second(self, lane: int, now_ms: int) -> int:
        second, count = self._seconds.get(lane, (0, 0))
        return count if second == now_ms // 1000 else 0

    def _facts(
        self, plan: Plan, case: Case, past: Sequence[Past], total: int, now_ms: int
    ) -> Facts:
        lease, message = case.lease, case.message or Message(id="", title="")
        return Facts(
            now_ms=now_ms,
            user=lease.user,
            courier=lease.courier,
            category=message.category,
            priority=message.priority,
            timezone=case.timezone or timezone_of(case.attributes),
            seen=case.seen,
            live=case.live,
            expires_ms=case.expires_ms,
            muted=case.muted,
            quiet=case.quiet,
            addressed=bool(case.addresses),
            paused=case.paused,
            text=f"{message.title}\n{message.body}",
            approved=case.approved,
            sent_ms=tuple(_counted(cap, past) for cap in plan.caps),
            total=total,
            second=self._in_second(lease.lane, now_ms),
            digest_ms=case.digest_ms,
            carries=lease.digest,
        )


def timezone_of(attributes: bytes) -> str:
    """The attribute `timezone` of a person; UTC if there is no text of this name."""
    try:
        return _text(_object(attributes)["timezone"])
    except (KeyError, msgspec.MsgspecError):
        return "UTC"


def _counted(cap: Cap, past: Sequence[Past]) -> tuple[int, ...]:
    return tuple(
        one.time_ms
        for one in past
        if cap.courier in (None, one.courier) and cap.category in (None, one.category)
    )


def _waiting(case: Case, ruling: Ruling, now_ms: int) -> Settled:
    """What becomes of a delivery that does not go out now."""
    state, due_ms, digest = State.PENDING, ruling.until_ms or now_ms, ruling.reason == "digest"
    if ruling.action is Action.SKIP:
        state = State.SKIPPED
    elif ruling.action is Action.HOLD and ruling.reason != "paused":  # Its lane rests anyway.
        state = State.HELD
    elif ruling.action is Action.FOLD:
        due_ms = case.digest_ms or now_ms
    return Settled(
        lease=case.lease,
        state=state,
        reason=ruling.reason,
        detail=ruling.detail,
        due_ms=due_ms,
        attempts=case.lease.attempts,
        done=case.lease.done,
        digest=digest,
        unknown=case.lease.unknown,
    )


def message_of(job: Job) -> Message:
    """What is said; of a digest the newest title, and every one on a line."""
    folded = sorted(job.folded, key=lambda case: case.lease.id)
    messages = [case.message for case in (job.case, *folded) if case.message is not None]
    first = messages[0]
    if len(messages) == 1:
        return first
    newest = sorted(messages, key=lambda one: -one.time_ms)
    return msgspec.structs.replace(
        first,
        title=f"{newest[0].title} (+{len(messages) - 1})",
        body="\n".join(one.title for one in newest[:LINES_MAX]),
        url="",
        actions=b"[]",
        data=b"null",
        collapse_key=None,
        count=len(messages),
    )
