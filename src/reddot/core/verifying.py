"""Every badge counted again the slow way, and compared with the derived one: `reddot verify`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from reddot.core.badge import Mask, badge_counts
from reddot.inbox import UNMARKED, Person
from reddot.model import EVERYONE, USERS_ROOT
from reddot.ports import Inbox, Store

PAGE: Final = 500
_NOBODY: Final = Person(0, {})


class Verdict(msgspec.Struct):
    """What was found.

    Attributes:
        users: how many were counted.
        faults: what is wrong, in words.
        drifted: users whose badge is not what a count says, and both numbers.
    """

    users: int
    faults: list[str]
    drifted: list[tuple[str, int, int]]


async def verify(store: Store, *, user: str | None = None, repair: bool = False) -> Verdict:
    """Check the tables, then every user's badge, or one user's.

    Args:
        repair: make the tables right before the badges are looked at.
    """
    faults = list(await store.inbox.verify(repair=repair))
    verdict = Verdict(0, faults, [])
    async for name in _users(store.inbox, user):
        derived, counted = await _count(store.inbox, name)
        verdict.users += 1
        if derived != counted:
            verdict.drifted.append((name, derived[0], counted[0]))
    return verdict


async def _users(inbox: Inbox, user: str | None) -> AsyncIterator[str]:
    if user is not None:
        yield user
        return
    after = ""
    while page := await inbox.users(after=after, limit=PAGE):
        for name in page:
            yield name
        after = page[-1]


Counts = tuple[int, int, dict[str, int]]


async def _count(inbox: Inbox, user: str) -> tuple[Counts, Counts]:
    """The badge as the server derives it, and as a count of every notification has it."""
    person = (await inbox.warm([user], [])).people.get(user, _NOBODY)
    marks = {f"{USERS_ROOT}/{user}": UNMARKED, EVERYONE: UNMARKED} | person.marks
    notes = (await inbox.warm([], list(marks))).notes
    derived = badge_counts(
        {topic: Mask(one) for topic, one in notes.items()},
        {topic: one for topic, one in marks.items() if topic in notes},
        person.preferences,
        inbox.locked,
    )
    unread = unseen = 0
    by_category: dict[str, int] = {}
    for audit in await inbox.audit(user):
        unread += audit.unread
        unseen += audit.unseen
        for category, count in audit.by_category.items():
            by_category[category] = by_category.get(category, 0) + count
    return derived, (unread, unseen, by_category)
