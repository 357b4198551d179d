"""Couriers that are to be given nothing twice: what of a delivery may still be sent. Core.

What is about to be handed over is noted before (`Deliveries.hand_over`), and the note goes when the
delivery is settled. Where it is still there, nobody knows what came of it: such an address has no
further attempt, and a delivery without another one is a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reddot.core.ruling import Job
from reddot.delivery import Outcome, Verdict
from reddot.outreach import Case, Lease

UNKNOWN_OUTCOME: Final = "unknown_outcome"
NO_WORD: Final = "nobody has said what came of it"


def over(lease: Lease, *, once: bool) -> tuple[str, ...]:
    """Slots of addresses that have no further attempt."""
    return (*lease.done, *lease.unknown) if once else lease.done


def at_risk(job: Job) -> tuple[str, ...]:
    """Slots of addresses of which nobody will know what came of them, if this node ends now."""
    lease = job.case.lease
    past = over(lease, once=True)
    return (*lease.unknown, *(one.slot for one in job.case.addresses if one.slot not in past))


def is_lost(case: Case) -> bool:
    """Whether nothing more may be sent of it, since nobody knows what came of it."""
    past = over(case.lease, once=True)
    return bool(case.lease.unknown) and all(one.slot in past for one in case.addresses)


def nobody_knows(outcomes: Sequence[Outcome]) -> Outcome:
    """Why it is dead: what couriers could say of the attempts; none: there was nobody to say it."""
    words = [f"{one.reason} {one.detail}".strip() for one in outcomes] or [NO_WORD]
    return Outcome(verdict=Verdict.FAILED, reason=UNKNOWN_OUTCOME, detail="; ".join(words))
