"""Inboxes in memory: what changes them. Layer: stores; part of `stores.memory`.

The reference for the others, written to be read: it keeps one record per notification and topic,
and asks every one of them.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Any

import msgspec

from reddot.codecs.inbox import describe
from reddot.core import badge
from reddot.core.muting import in_force
from reddot.errors import ReddotError
from reddot.inbox import (
    INBOX_TOPIC,
    STEP_ROWS,
    Effect,
    Erase,
    Follow,
    Join,
    Keep,
    Mark,
    Marks,
    Note,
    Noted,
    Prefer,
    Retract,
    Schedule,
    Settle,
    Snooze,
    Unfollow,
    Wake,
)
from reddot.model import EVERYONE, USERS_ROOT, Appended, Draft, Publication, Retention
from reddot.ports import Clock
from reddot.stores import memory_snooze
from reddot.stores.memory_inbox_reader import NOBODY, MemoryInboxReader
from reddot.stores.memory_notes import (
    EXPIRED,
    LIVE,
    REPLACED,
    RETRACTED,
    Dying,
    Record,
    Sending,
    Topic,
    is_expired,
)


class MemoryInbox(MemoryInboxReader):
    """`ports.Inbox`, and what `MemoryStore.append` does with drafts that have an `inbox`.

    Args:
        place: puts a publication of a topic into the log.
        silence: takes the content of publications out of the log: topic, and id or all.
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
        super().__init__(clock=clock, keep=keep, last=last)
        self._retention = retention
        self._place = place
        self._silence = silence
        self._deliver = deliver
        self._erased = erased
        self._categories: set[str] = set()

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
        dying = Dying(STEP_ROWS, 0)
        for name in note.topics:
            stored = self._place(name, draft)
            topic = self._topics.setdefault(name, Topic())
            replaced = self._replaced(name, topic, note, dying)
            topic.top += 1
            topic.rev = stored.position
            topic.records.append(Record(topic.top, stored.position, sending))
            noted = Noted(topic.top, note.category, draft.expires_ms, replaced)
            publications.append(msgspec.structs.replace(stored, inbox=noted))
        if note.plan:
            self._deliver(sending)
        if dying.died:
            for name in dying.died:
                self._topics[name].rev = self._last() + 1
            told = msgspec.structs.replace(draft, event="note", expires_ms=None)
            effect = Effect(died=dying.died, more=dying.open)
            publications.append(self._changed(told, effect))
        return Appended(publications[0], False, tuple(publications[1:]))

    def _replaced(self, name: str, topic: Topic, note: Note, dying: Dying) -> int:
        """The seq that a notification replaces; what has come back of that dies."""
        if note.collapse_key is None:
            return 0
        for record in reversed(topic.records):
            same = record.sending.note.collapse_key == note.collapse_key
            if same and record.state == LIVE and not record.origin:
                record.state = REPLACED
                self._end(record.sending, name, REPLACED, dying)
                if len(record.sending.note.topics) == 1:
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
        topic = self._topics.get(change.topic, Topic())
        marks = badge.joined(None, top=topic.top, backfill=change.backfill)
        there = memory_snooze.back_already(
            topic, change.user, self._marks(change.user), self._topics
        )
        marks = badge.mark(marks, "deleted", there)
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
        for name in (*sending.note.topics, *sending.woken):
            self._silence(name, change.id)
        dying = Dying(change.rows_max, position)
        self._kill(sending, RETRACTED, dying)
        retracted = {change.id: tuple(dying.died)}
        return Effect(died=dying.died, retracted=retracted, more=dying.open)

    def _kill(self, sending: Sending, state: str, dying: Dying) -> None:
        """Let what is live of one die; what goes beyond the step is left to `_settle`."""
        before, sending.state = sending.state, state
        for name in sending.note.topics:
            for record in self._records(sending, name):
                if record.state == LIVE and not record.origin:
                    dying.kill(name, self._topics[name], record, state)
        if before == LIVE:
            self._end(sending, "", state, dying)
        for key in [key for key in self._ending if key[0] == sending.position]:
            self._ending[key] = sending, state
            dying.open = True

    def _end(self, sending: Sending, origin: str, state: str, dying: Dying) -> None:
        """Let what has come back of one from a topic die, as far as the step goes; "": from any."""
        most = max(1, dying.left)
        live = [
            (name, record)
            for name in sending.woken
            for record in self._records(sending, name)
            if record.state == LIVE and record.origin and origin in ("", record.origin)
        ]
        for name, record in live[:most]:
            dying.kill(name, self._topics[name], record, state)
        if state == RETRACTED:
            names = dict.fromkeys(name for name, _ in live[:most])
            dying.retracted[sending.draft.id] = tuple(names)
        self._ending.pop((sending.position, origin), None)
        if len(live) >= most:
            self._ending[sending.position, origin] = sending, state
            dying.open = True

    def _settle(self, change: Settle, position: int) -> Effect:
        now_ms = self._clock.wall_ms()
        dying = Dying(change.rows_max, position)
        for (_, origin), (sending, state) in list(self._ending.items()):
            if dying.left > 0:
                self._end(sending, origin, state, dying)
        expired = [
            s for s in self._sent.values() if s.state == LIVE and is_expired(s.draft, now_ms)
        ]
        for sending in expired:
            if dying.left > 0:
                self._kill(sending, EXPIRED, dying)
        died = dying.died
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
        more = dying.left <= 0 or len(unmuted) == change.rows_max
        return Effect(died=died, retracted=dying.retracted, unmuted=left, more=more)

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


def _first(one: tuple[Any, ...]) -> Any:
    return one[:2]
