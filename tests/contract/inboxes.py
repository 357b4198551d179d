"""Asking inboxes of a store: the drafts that tests append, and what comes back."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from reddot.core.badge import Mask, badge_counts
from reddot.inbox import (
    INBOX_TOPIC,
    UNMARKED,
    Change,
    Effect,
    Mark,
    Note,
    Noted,
    Person,
    Settle,
)
from reddot.model import EVERYONE, Appended, Draft
from reddot.ports import Store
from reddot.testing import FakeClock
from tests.contract.conftest import append

NOBODY: Final = Person(0, {})


class Boxes:
    """A store and short words for what is done with it."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self._changes = 0

    async def send(
        self,
        id: str,
        *topics: str,
        ttl_s: float | None = None,
        keyed: bool = False,
        **note: Any,
    ) -> Appended:
        """Send a notification; its title is its id."""
        now = self.clock.wall_ms()
        wanted = Note(
            topics=topics, **({"title": id, "identity": repr((topics, note)).encode()} | note)
        )
        draft = Draft(
            topic=topics[0],
            id=id,
            data=msgspec.json.encode({"title": wanted.title, "body": wanted.text}),
            time_ms=now,
            event="notification",
            keyed=keyed,
            expires_ms=None if ttl_s is None else now + int(ttl_s * 1000),
            inbox=wanted,
        )
        (appended,) = await append(self.store, draft)
        return appended

    async def change(self, change: Change, *, id: str | None = None) -> Appended:
        self._changes += 1
        draft = Draft(
            topic=INBOX_TOPIC,
            id=id or f"change-{self._changes}",
            data=b"",
            time_ms=self.clock.wall_ms(),
            event="change",
            keyed=id is not None,
            inbox=change,
        )
        (appended,) = await append(self.store, draft)
        return appended

    async def effect(self, change: Change) -> Effect:
        effect = (await self.change(change)).publication.inbox
        assert isinstance(effect, Effect)
        return effect

    async def mark(self, user: str, state: Any, *ids: str, **more: Any) -> Effect:
        return await self.effect(Mark(user=user, state=state, ids=ids, **more))

    async def settle(self) -> Effect:
        return await self.effect(Settle(rows_max=1_000))

    async def counts(self, user: str) -> tuple[int, int, dict[str, int]]:
        """Unread, unseen and by category; derived, and counted the slow way."""
        own = f"users/{user}"
        person = (await self.store.inbox.warm([user], [])).people.get(user, NOBODY)
        marks = {own: UNMARKED, EVERYONE: UNMARKED} | person.marks
        notes = (await self.store.inbox.warm([], list(marks))).notes
        marks = {name: one for name, one in marks.items() if name in notes}
        masks = {name: Mask(one) for name, one in notes.items()}
        derived = badge_counts(masks, marks, person.preferences, self.store.inbox.locked)
        audits = await self.store.inbox.audit(user)
        by_category: dict[str, int] = {}
        for audit in audits:
            for category, count in audit.by_category.items():
                by_category[category] = by_category.get(category, 0) + count
        unread = sum(audit.unread for audit in audits)
        assert derived == (unread, sum(audit.unseen for audit in audits), by_category)
        return derived

    async def unread(self, user: str) -> int:
        return (await self.counts(user))[0]

    async def ids(self, user: str, view: Any = "all", **more: Any) -> list[str]:
        """The ids on the first page."""
        wanted = {"category": None, "before": None, "limit": 100} | more
        page = await self.store.inbox.page(user, view=view, **wanted)
        return [item.id for item in page.items]


def noted(appended: Appended) -> Noted:
    assert isinstance(appended.publication.inbox, Noted)
    return appended.publication.inbox
