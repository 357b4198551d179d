"""How many topics have a retained publication, and whose they are: the limits on both.

Core: pure, no I/O. A topic is counted for whoever retained it last. Stores keep the numbers, in the
transaction of what they count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from reddot.errors import ReddotError
from reddot.model import Actor, Draft, RetainedLimits

NOBODY: Final = ""
"""Of administrators and servers, who have no limit of their own."""
ANONYMOUS: Final = "#"
"""No user has this name; all who have none count as one."""

Change = tuple[str | None, str | None]
"""Whose a topic is before and after; None: nothing is retained."""


def retainer_of(actor: Actor) -> str:
    """For whom the topics are counted that an actor retains."""
    if actor.admin or actor.service:
        return NOBODY
    return ANONYMOUS if actor.user is None else actor.user


def clears(draft: Draft) -> bool:
    """Whether a retained draft means "no retained publication any more"."""
    return not draft.data or (draft.data == b"null" and not draft.binary)


class Retainers:
    """The counts. `total` is the number of topics.

    Args:
        counts: of topics, by whose they are.
    """

    def __init__(self, limits: RetainedLimits, counts: Mapping[str, int]) -> None:
        self._limits = limits
        self._counts = dict(counts)
        self.total = sum(counts.values())

    def check(self, changes: Iterable[Change]) -> ReddotError | None:
        """Why the changes, each of another topic, cannot be made together, if they cannot.

        What is beyond a limit already, because the limit was higher, may stay and be replaced.
        """
        grown: dict[str, int] = {}
        total = 0
        for before, after in changes:
            total += (after is not None) - (before is not None)
            if before is not None:
                grown[before] = grown.get(before, 0) - 1
            if after is not None:
                grown[after] = grown.get(after, 0) + 1
        limits = self._limits
        if total > 0 and self.total + total > limits.topics_max:
            return ReddotError("too_many_retained", f"{limits.topics_max} topics are allowed")
        for owner, more in grown.items():
            if owner != NOBODY and more > 0 and self.of(owner) + more > limits.per_user_max:
                detail = f"{limits.per_user_max} topics of one user are allowed"
                return ReddotError("too_many_retained", detail)
        return None

    def of(self, owner: str) -> int:
        return self._counts.get(owner, 0)

    def change(self, before: str | None, after: str | None) -> None:
        """A topic is retained by somebody else now, or by nobody."""
        if before == after:
            return
        if before is not None:
            self._add(before, -1)
        if after is not None:
            self._add(after, 1)

    def _add(self, owner: str, step: int) -> None:
        self.total += step
        count = self.of(owner) + step
        if count:
            self._counts[owner] = count
        else:
            self._counts.pop(owner, None)
