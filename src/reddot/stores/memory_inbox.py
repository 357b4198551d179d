"""Inboxes in memory, the reference for the others. Layer: stores; part of `stores.memory`.

Written to be read: it keeps one record per notification and topic, and asks every one of them.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

import msgspec

from reddot.codecs.inbox import describe
from reddot.core import badge
from reddot.core.muting import ends_ms, in_force
from reddot.errors import ReddotError
from reddot.inbox import (
    INBOX_TOPIC,
    UNMARKED,
    Audit,
    Due,
    Effect,
    Erase,
    Follow,
    InboxPage,
    Item,
    Join,
    Keep,
    Mark,
    Marks,
    Note,
    Noted,
    Notes,
    Person,
    Prefer,
    Preferences,
    Retract,
    Schedule,
    Scheduled,
    Sent,
    Settle,
    Snooze,
    Unfollow,
    View,
    Wake,
    Warm,
)
from reddot.model import EVERYONE, USERS_ROOT, Appended, Draft, Publication, Retention
from reddot.ports import Clock
from reddot.stores import memory_snooze
from reddot.stores.memory_notes import (
    EXPIRED,
    LIVE,
    REPLACED,
    RETRACTED,
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


class MemoryInbox:
    """`ports.Inbox`, and what `MemoryStore.append` does with drafts that have an `inbox`.

    Args:
        place: puts a publication of a topic into the log.
        silence: takes the content of publications out of the log: topic, and id or all.
        last: the newest position.
        deliver: told of each notification that is to be delivered beside the inbox.
        erased: told whom to forget.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        keep: Keep,
        retention: Callable[[str], Retention],
        place: Callable[[str, Draft], Publication],
        silence: Callable[[str, str | None], None],
        last: Callable[[], int],
        deliver: Callable[[Sending], None],
        erased: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._keep = keep
        self._retention = retention
        self._place = place
        self._silence = silence
        self._last = last
        self._deliver = deliver
        self._erased = erased
        self._topics: dict[str, Topic] = {}
        self._people: dict[str, Person] = {}
        self._sent: dict[str, Sending] = {}
        self._scheduled: list[tuple[int, str, bytes, Schedule]] = []
        self._categories: set[str] = set()
        self.locked = keep.locked

    # ---- writing ----

    def store(self, draft: Draft) -> Appended:
        """Apply one draft; raises `ReddotError` before anything has changed."""
        change = draft.inbox
        if isinstance(change, Note):
            return self._send(draft, change)
        if isinstance(change, Wake):
            return self._wake(draft, change)
        effect = self._apply(draft, change, self._last() + 1)
        return Appended(self._changed(draft, effect), False)

    def _changed(self, draft: Draft, effect: Effect) -> Publication:
        """What the log says of a change."""
        data = describe(draft.inbox, effect)
        stored = self._place(INBOX_TOPIC, msgspec.structs.replace(draft, data=data))
        return msgspec.structs.replace(stored, inbox=effect)

    def _send(self, draft: Draft, note: Note) -> Appended:
        if note.scheduled and not self._unschedule(draft.id):
            raise ReddotError("not_found", "it was retracted, or has gone out already")
        self._count_category(note.category)
        ages = [self._retention(topic).age_ms for topic in note.topics]
        keep_ms = draft.time_ms + max(self._keep.age_ms, *ages)
        sending = Sending(draft, note, self._last() + 1, keep_ms)
        self._sent[draft.id] = sending
        publications = []
        died: dict[str, tuple[int, ...]] = {}
        for name in note.topics:
            stored = self._place(name, draft)
            topic = self._topics.setdefault(name, Topic())
            replaced = self._replaced(name, topic, note, died)
            topic.top += 1
            topic.rev = stored.position
            topic.records.append(Record(topic.top, stored.position, sending))
            noted = Noted(topic.top, note.category, draft.expires_ms, replaced)
            publications.append(msgspec.structs.replace(stored, inbox=noted))
        if note.plan:
            self._deliver(sending)
        if died:
            for name in died:
                self._topics[name].rev = self._last() + 1
            told = msgspec.structs.replace(draft, event="note", expires_ms=None)
            publications.append(self._changed(told, Effect(died=died)))
        return Appended(publications[0], False, tuple(publications[1:]))

    def _replaced(
        self, name: str, topic: Topic, note: Note, died: dict[str, tuple[int, ...]]
    ) -> int:
        """The seq that a notification replaces; adds what has come back of that to `died`."""
        if note.collapse_key is None:
            return 0
        for record in reversed(topic.records):
            same = record.sending.note.collapse_key == note.collapse_key
            if same and record.state == LIVE and not record.origin:
                record.state = REPLACED
                for own in record.sending.woken:
                    for one in self._records(record.sending, own):
                        if one.state == LIVE and one.origin == name:
                            one.state = REPLACED
                            died[own] = (*died.get(own, ()), one.seq)
                if len(note.topics) == 1:
                    record.sending.state = REPLACED
                return record.seq
        return 0

    def _count_category(self, category: str) -> None:
        if category not in self._categories:
            if len(self._categories) >= self._keep.categories_max:
                most = self._keep.categories_max
                raise ReddotError("too_many_categories", f"{most} categories are allowed")
            self._categories.add(category)

    def _unschedule(self, id: str) -> bool:
        before = len(self._scheduled)
        self._scheduled = [one for one in self._scheduled if one[1] != id]
        return len(self._scheduled) < before

    def _apply(self, draft: Draft, change: Any, position: int) -> Effect:
        if isinstance(change, Mark):
            return self._mark(change, position)
        if isinstance(change, Snooze):
            inbox, now_ms = self._kept_marks(change.user), self._clock.wall_ms()
            altered = memory_snooze.snooze(change, inbox, self._topics, self._keep, now_ms)
            return self._alter(change.user, altered, position)
        if isinstance(change, Follow):
            return self._follow(change, position)
        if isinstance(change, Unfollow):
            return self._unfollow(change, position)
        if isinstance(change, Prefer):
            return self._prefer(change, position)
        if isinstance(change, Join):
            return self._join(change, position)
        if isinstance(change, Retract):
            return self._retract(change, position)
        if isinstance(change, Settle):
            return self._settle(change, position)
        if isinstance(change, Erase):
            return self._erase(change, position)
        assert isinstance(change, Schedule)
        self._count_category(change.note.category)
        insort(self._scheduled, (change.publish_ms, draft.id, draft.data, change), key=_first)
        return Effect()

    def _marks(self, user: str) -> dict[str, Marks]:
        """The user's marks on every topic of the inbox."""
        own = {f"{USERS_ROOT}/{user}": UNMARKED, EVERYONE: UNMARKED}
        return own | self._people.get(user, NOBODY).marks

    def _kept_marks(self, user: str) -> dict[str, Marks]:
        """The same, without marks of what is not kept any more."""
        bases = {name: topic.base for name, topic in self._topics.items()}
        marks = self._marks(user)
        return {name: badge.raised(own, bases.get(name, 0)) for name, own in marks.items()}

    def _wake(self, draft: Draft, change: Wake) -> Appended:
        """What leaves its old place gets one in the user's own topic."""
        inbox, now_ms = self._kept_marks(change.user), self._clock.wall_ms()
        leaving = memory_snooze.leaving(change, inbox, self._topics, now_ms)
        before = self._marks(change.user)
        altered: dict[str, Marks | None] = {}
        for name, marks in inbox.items():
            new = badge.mark(marks, "deleted", [one.seq for one in leaving.get(name, ())])
            if new != before[name]:
                altered[name] = new
        effect = self._alter(change.user, altered, self._last() + 1)
        first = self._changed(draft, effect)
        back = memory_snooze.back(leaving, self._topics, now_ms)
        others = [self._bring_back(change.user, *one, draft.time_ms) for one in back]
        return Appended(first, False, tuple(others))

    def _bring_back(self, user: str, record: Record, origin: str, now_ms: int) -> Publication:
        name, sending = f"{USERS_ROOT}/{user}", record.sending
        draft = msgspec.structs.replace(sending.draft, topic=name, time_ms=now_ms)
        stored = self._place(name, draft)
        topic = self._topics.setdefault(name, Topic())
        topic.top += 1
        topic.rev = stored.position
        topic.records.append(Record(topic.top, stored.position, sending, origin=origin))
        sending.woken[name] = None
        noted = Noted(topic.top, sending.note.category, draft.expires_ms, again=True)
        return msgspec.structs.replace(stored, inbox=noted)

    def _mark(self, change: Mark, position: int) -> Effect:
        altered: dict[str, Marks | None] = {}
        for name, marks in self._marks(change.user).items():
            topic = self._topics.get(name)
            if topic is not None:
                new = self._marked(topic, badge.raised(marks, topic.base), change)
                if new != marks:
                    altered[name] = new
        return self._alter(change.user, altered, position)

    def _marked(self, topic: Topic, marks: Marks, change: Mark) -> Marks:
        if change.upto is None:
            seqs = [r.seq for r in topic.records if r.sending.draft.id in change.ids]
            return badge.mark(marks, change.state, seqs)
        some = topic.records[: topic.below(change.upto + 1)]
        if change.category is None:
            return badge.mark_upto(marks, change.state, some[-1].seq) if some else marks
        seqs = [r.seq for r in some if r.sending.note.category == change.category]
        return badge.mark_listed(marks, change.state, seqs)

    def _alter(self, user: str, altered: dict[str, Marks | None], position: int) -> Effect:
        if altered:
            person = self._people.get(user, NOBODY)
            marks = {name: one for name, one in (person.marks | altered).items() if one is not None}
            self._people[user] = msgspec.structs.replace(person, rev=position, marks=marks)
        return Effect(user=user, marks=altered)

    def _follow(self, change: Follow, position: int) -> Effect:
        followed = self._people.get(change.user, NOBODY).marks
        before = followed.get(change.topic)
        if before is not None:
            return Effect(user=change.user)
        if sum(one.followed for one in followed.values()) >= self._keep.follows_max:
            raise ReddotError("too_many_follows", f"{self._keep.follows_max} topics are allowed")
        top = self._topics.get(change.topic, Topic()).top
        marks = badge.joined(None, top=top, backfill=change.backfill)
        return self._alter(change.user, {change.topic: marks}, position)

    def _unfollow(self, change: Unfollow, position: int) -> Effect:
        marks = self._people.get(change.user, NOBODY).marks.get(change.topic)
        if marks is None or not marks.followed:
            return Effect(user=change.user)
        return self._alter(change.user, {change.topic: None}, position)

    def _prefer(self, change: Prefer, position: int) -> Effect:
        person = self._people.get(change.user, NOBODY)
        self._people[change.user] = msgspec.structs.replace(
            person, rev=position, preferences=change.preferences
        )
        return Effect(user=change.user, preferences=change.preferences)

    def _join(self, change: Join, position: int) -> Effect:
        person = self._people.get(change.user, NOBODY)
        if person.since_ms >= change.since_ms:
            return Effect(user=change.user)
        self._people[change.user] = msgspec.structs.replace(person, since_ms=change.since_ms)
        records = self._topics.get(EVERYONE, Topic()).records
        before = [r.seq for r in records if r.sending.draft.time_ms < change.since_ms]
        marks = self._marks(change.user)[EVERYONE]
        new = badge.raised(marks, max(before, default=0))
        altered: dict[str, Marks | None] = {EVERYONE: new} if new != marks else {}
        effect = self._alter(change.user, altered, position)
        return msgspec.structs.replace(effect, since_ms=change.since_ms)

    def _retract(self, change: Retract, position: int) -> Effect:
        if self._unschedule(change.id):
            return Effect()
        sending = self._sent.get(change.id)
        if sending is None:
            raise ReddotError("not_found", "no such notification")
        sending.state = RETRACTED
        for name in (*sending.note.topics, *sending.woken):
            self._silence(name, change.id)
        return Effect(died=self._kill(sending, RETRACTED, position))

    def _kill(self, sending: Sending, state: str, position: int) -> dict[str, tuple[int, ...]]:
        died: dict[str, tuple[int, ...]] = {}
        for name in dict.fromkeys((*sending.note.topics, *sending.woken)):
            topic = self._topics[name]
            for record in topic.records:
                if record.sending is sending and record.state == LIVE:
                    record.state = state
                    topic.rev = position
                    died[name] = (*died.get(name, ()), record.seq)
        return died

    def _settle(self, change: Settle, position: int) -> Effect:
        now_ms = self._clock.wall_ms()
        died: dict[str, tuple[int, ...]] = {}
        expired = [
            s for s in self._sent.values() if s.state == LIVE and is_expired(s.draft, now_ms)
        ]
        for sending in expired[: change.rows_max]:
            sending.state = EXPIRED
            for name, seqs in self._kill(sending, EXPIRED, position).items():
                died[name] = died.get(name, ()) + seqs
        for name, topic in self._topics.items():
            for seq in self._trim(topic, now_ms, position):
                died[name] = (*died.get(name, ()), seq)
        for id in [s.draft.id for s in self._sent.values() if s.keep_ms <= now_ms]:
            del self._sent[id]
        unmuted = self._unmuted(now_ms)[: change.rows_max]
        left = {user: in_force(self._people[user].preferences, now_ms) for user in unmuted}
        for user, preferences in left.items():
            self._people[user] = msgspec.structs.replace(
                self._people[user], rev=position, preferences=preferences
            )
        more = len(expired) > change.rows_max or len(unmuted) == change.rows_max
        return Effect(died=died, unmuted=left, more=more)

    def _unmuted(self, now_ms: int) -> list[str]:
        """Who has a mute whose time has come."""
        ends = {user: ends_ms(person.preferences) for user, person in self._people.items()}
        return [user for user, end in ends.items() if 0 < end <= now_ms]

    def _trim(self, topic: Topic, now_ms: int, position: int) -> list[int]:
        """Delete what is beyond retention; the seqs of live ones."""
        least = topic.top - self._keep.count
        gone = [r for r in topic.records if r.seq <= least or r.sending.keep_ms <= now_ms]
        if gone:
            topic.records = [r for r in topic.records if r not in gone]
        live = [record.seq for record in gone if record.state == LIVE]
        if live:
            topic.rev = position
        return live

    def _erase(self, change: Erase, position: int) -> Effect:
        own = f"{USERS_ROOT}/{change.user}"
        self._people.pop(change.user, None)
        self._erased(change.user)
        self._silence(own, None)
        self._silence(INBOX_TOPIC, None)
        topic = self._topics.get(own)
        for record in topic.records if topic else ():
            note = record.sending.note
            record.sending.woken.pop(own, None)
            left = tuple(name for name in note.topics if name != own)
            if left:
                record.sending.note = msgspec.structs.replace(note, topics=left)
            else:
                self._sent.pop(record.sending.draft.id, None)
        if topic is None:
            return Effect(user=change.user, erased=True)
        live = tuple(record.seq for record in topic.records if record.state == LIVE)
        topic.records = []
        topic.rev = position
        return Effect(user=change.user, erased=True, died={own: live})

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
        settle = settle or bool(self._unmuted(now_ms))
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


def _first(one: tuple[Any, ...]) -> Any:
    return one[:2]
