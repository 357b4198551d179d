"""Inboxes in memory: what they hold, and what is asked of them. Layer: stores.

Part of `stores.memory`; `memory_inbox` is what changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Final

from reddot.core import badge
from reddot.core.muting import ends_ms
from reddot.inbox import (
    UNMARKED,
    Audit,
    Due,
    InboxPage,
    Item,
    Keep,
    Marks,
    Notes,
    Person,
    Preferences,
    Schedule,
    Scheduled,
    Sent,
    View,
    Warm,
)
from reddot.model import EVERYONE, USERS_ROOT
from reddot.ports import Clock
from reddot.stores.memory_notes import (
    LIVE,
    Record,
    Sending,
    Topic,
    has_words,
    is_expired,
    item_of,
    waiting_one,
    words_of,
)

NOBODY: Final = Person(0, {})


class MemoryInboxReader:
    """The reading half of `ports.Inbox`.

    Args:
        last: the newest position.
    """

    def __init__(self, *, clock: Clock, keep: Keep, last: Callable[[], int]) -> None:
        self._clock = clock
        self._keep = keep
        self._last = last
        self._topics: dict[str, Topic] = {}
        self._people: dict[str, Person] = {}
        self._sent: dict[str, Sending] = {}
        self._scheduled: list[tuple[int, str, bytes, Schedule]] = []
        # What of notifications has come back and is to die: position and origin → it, and why.
        self._ending: dict[tuple[int, str], tuple[Sending, str]] = {}
        self.locked = keep.locked

    def _marks(self, user: str) -> dict[str, Marks]:
        """The user's marks on every topic of the inbox."""
        own = {f"{USERS_ROOT}/{user}": UNMARKED, EVERYONE: UNMARKED}
        return own | self._people.get(user, NOBODY).marks

    def _unmuted(self, now_ms: int) -> list[str]:
        """Who has a mute whose time has come."""
        ends = {user: ends_ms(person.preferences) for user, person in self._people.items()}
        return [user for user, end in ends.items() if 0 < end <= now_ms]

    # ---- for deliveries ----

    def receivers(self, sending: Sending) -> list[tuple[str, str]]:
        """In whose inbox a notification is, by which topic; of everyone nobody's name."""
        if (names := sending.note.topics) == (EVERYONE,):
            return [("", EVERYONE)]
        own = [name for name in names if name.startswith(f"{USERS_ROOT}/") and name.count("/") == 1]
        seq = next((r.seq for r in self._records(sending, names[0])), 0)
        return [(name.partition("/")[2], name) for name in own] or [
            (user, names[0])
            for user, person in sorted(self._people.items())
            if (marks := person.marks.get(names[0])) and marks.followed and marks.join < seq
        ]

    def followers(self, topic: str) -> int:
        """How many follow a topic."""
        marks = (person.marks.get(topic) for person in self._people.values())
        return sum(one is not None and one.followed for one in marks)

    def _records(self, sending: Sending, topic: str) -> Iterator[Record]:
        return (r for r in self._topics.get(topic, Topic()).records if r.sending is sending)

    def standing(self, sending: Sending, topic: str, user: str) -> tuple[bool, int | None, Marks]:
        """Whether it is live in an inbox, its seq there, and the user's marks."""
        marks = self._marks(user).get(topic, UNMARKED)
        if (record := next(self._records(sending, topic), None)) is None:
            return False, None, marks
        live = record.state == sending.state == LIVE
        return live and not is_expired(sending.draft, self._clock.wall_ms()), record.seq, marks

    def preferences(self, user: str) -> Preferences:
        return self._people.get(user, NOBODY).preferences

    # ---- reading ----

    async def warm(self, users: Collection[str], topics: Collection[str]) -> Warm:
        """As `ports.Inbox.warm`."""
        people = {user: self._people[user] for user in users if user in self._people}
        notes = {name: self._notes(name) for name in topics if name in self._topics}
        return Warm(self._last(), people, notes)

    def _notes(self, name: str) -> Notes:
        topic = self._topics[name]
        live = [record for record in topic.records if record.state == LIVE]
        base = topic.base
        categories: dict[str, int] = {}
        for record in live:
            category = record.sending.note.category
            bit = badge.bits_of([record.seq], base)
            categories[category] = categories.get(category, 0) | bit
        due = ((record.sending.draft.expires_ms, record.seq) for record in live)
        return Notes(
            base=base,
            top=topic.top,
            rev=topic.rev,
            live=badge.bits_of([record.seq for record in live], base),
            categories=categories,
            due=tuple((ms, seq) for ms, seq in due if ms is not None),
        )

    async def page(
        self,
        user: str,
        *,
        view: View,
        category: str | None,
        before: int | None,
        limit: int,
        text: str | None = None,
    ) -> InboxPage:
        """As `ports.Inbox.page`."""
        words = None if text is None else [word.casefold() for word in words_of(text)]
        streams = [
            self._shown(name, marks, view, category, before, words)
            for name, marks in self._marks(user).items()
            if name in self._topics
        ]
        newest_first = merge(*streams, key=lambda item: -item.position)
        items = tuple(islice(newest_first, limit + 1))
        return InboxPage(
            items=items[:limit],
            position=self._last(),
            before=items[limit - 1].position if len(items) > limit else None,
        )

    def _shown(
        self,
        name: str,
        marks: Marks,
        view: View,
        category: str | None,
        before: int | None,
        words: list[str] | None,
    ) -> Iterator[Item]:
        topic, now_ms = self._topics[name], self._clock.wall_ms()
        for record in reversed(topic.records[: topic.below(before)]):
            note, draft, seq = record.sending.note, record.sending.draft, record.seq
            if (
                record.state != LIVE
                or is_expired(draft, now_ms)
                or (category is not None and note.category != category)
                or not badge.is_shown(marks, seq, view)
                or not has_words(note, words)
            ):
                continue
            yield item_of(marks, seq, note.category, record.position, name, draft)

    async def due(self, *, limit: int) -> Due:
        """As `ports.Inbox.due`."""
        now_ms = self._clock.wall_ms()
        settle = any(
            (s.state == LIVE and is_expired(s.draft, now_ms)) or s.keep_ms <= now_ms
            for s in self._sent.values()
        ) or any(len(topic.records) > self._keep.count for topic in self._topics.values())
        settle = settle or bool(self._unmuted(now_ms) or self._ending)
        ready = [one for one in self._scheduled if one[0] <= now_ms][:limit]
        waking = [
            user
            for user, person in self._people.items()
            if 0 < badge.wake_ms(person.marks.values()) <= now_ms
        ]
        scheduled = tuple(Scheduled(id, data, s) for _, id, data, s in ready)
        return Due(settle, scheduled, tuple(waking[:limit]))

    async def sent(self, *, id: str | None, before: int | None, limit: int) -> Sequence[Sent]:
        """As `ports.Inbox.sent`."""
        if id is not None:
            waiting = [waiting_one(*one) for one in self._scheduled if one[1] == id]
            found = self._sent.get(id)
            return waiting or ([self._sent_one(found, counts=True)] if found else [])
        newest = [
            self._sent_one(sending, counts=False)
            for sending in reversed(self._sent.values())
            if before is None or sending.position < before
        ]
        return newest[:limit]

    async def scheduled(self, *, limit: int) -> Sequence[Sent]:
        """As `ports.Inbox.scheduled`."""
        return [waiting_one(*one) for one in self._scheduled[:limit]]

    def _sent_one(self, sending: Sending, *, counts: bool) -> Sent:
        draft, note = sending.draft, sending.note
        seen = read = 0
        if counts:
            for user in self._people:
                some = [self._standing_of(sending, *one) for one in self._marks(user).items()]
                # What has come back is what counts: it is in the own topic, the first.
                if places := [place for one in some for place in one]:
                    seen += places[0][0]
                    read += places[0][1]
        return Sent(
            id=draft.id,
            state=sending.state,
            time_ms=draft.time_ms,
            category=note.category,
            topics=note.topics,
            data=draft.data,
            position=sending.position,
            expires_ms=draft.expires_ms,
            collapse_key=note.collapse_key,
            seen=seen if counts else None,
            read=read if counts else None,
            reached=sending.reached if counts else None,
        )

    def _standing_of(
        self, sending: Sending, name: str, marks: Marks
    ) -> Iterator[tuple[bool, bool]]:
        """Whether a user has seen and read it, at each of its places in a topic, newest first.

        Who snoozes has seen it, and has read it when they have read what came back.
        """
        for record in reversed(list(self._records(sending, name))):
            if record.seq > marks.join:
                seen = badge.is_read(marks, record.seq) or badge.is_seen(marks, record.seq)
                yield seen or bool(record.origin), badge.is_read_now(marks, record.seq)

    async def reached(self, counts: Mapping[str, int]) -> None:
        """As `ports.Inbox.reached`."""
        for id, people in counts.items():
            if (sending := self._sent.get(id)) is not None:
                sending.reached += people

    async def audit(self, user: str) -> Sequence[Audit]:
        """As `ports.Inbox.audit`."""
        preferences = self._people.get(user, NOBODY).preferences
        found = []
        for name, marks in self._marks(user).items():
            tally = badge.Tally(name, marks, preferences, self.locked)
            for record in self._topics.get(name, Topic()).records:
                tally.add(record.seq, record.sending.note.category, record.state == LIVE)
            found.append(tally.audit())
        return sorted(found, key=lambda one: one.topic)

    async def verify(self, *, repair: bool) -> Sequence[str]:
        """As `ports.Inbox.verify`. Nothing is kept twice here."""
        return ()

    async def users(self, *, after: str, limit: int) -> Sequence[str]:
        """As `ports.Inbox.users`."""
        prefix = f"{USERS_ROOT}/"
        held = (name for name, topic in self._topics.items() if topic.records)
        noted = {name.removeprefix(prefix) for name in held if name.startswith(prefix)}
        noted = {name for name in noted if "/" not in name}
        return sorted(name for name in noted | self._people.keys() if name > after)[:limit]
