"""Inboxes in the writer's thread of the SQLite store: notifications, and what people do with them.

Layer: stores. Called inside the transaction that writes the log, so a notification, its rows in
inboxes and its place in the log are there together or not at all. The rules are `core.badge`.

A notification is staged like any publication and written with the group. A change first has
everything staged written, and then works on the tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final

import msgspec

from reddot.codecs.inbox import describe
from reddot.core import badge
from reddot.errors import ReddotError
from reddot.inbox import (
    EVENT_NOTIFICATION,
    INBOX_TOPIC,
    UNMARKED,
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
from reddot.model import EVERYONE, USERS_ROOT, Appended, Draft, Publication
from reddot.ports import Clock
from reddot.stores.sqlite_inbox_settle import Settling
from reddot.stores.sqlite_preferences import put_preferences
from reddot.stores.sqlite_rows import Rows
from reddot.stores.sqlite_snooze import Back, Snoozing, snoozed_in, snoozed_text
from reddot.stores.sqlite_topics import Topic, Topics, json_text

# Rows that a search indexes first in a few seconds: more do not wait, however busy the writer is.
INDEX_LAG_MAX: Final = 500_000

_INTO_NOTE: Final = Rows("INSERT INTO note (topic_id, pos, seq, num, category, expires_ms)", 6)
_INTO_NOTIFICATION: Final = Rows(
    "INSERT INTO notification"
    " (num, id, category, time_ms, expires_ms, keep_ms, topics, collapse_key, data)",
    9,
)
_SEQ_UPTO: Final = "SELECT seq FROM note WHERE topic_id = ? AND pos <= ? ORDER BY pos DESC LIMIT 1"
_SEQS_UPTO: Final = """
SELECT json_group_array(seq) FROM note WHERE topic_id = ? AND pos <= ? AND category = ?
"""
_SENT_AT: Final = """
SELECT pos, seq, time_ms FROM note JOIN notification USING (num)
WHERE topic_id = ? AND pos <= ? ORDER BY pos DESC LIMIT 1
"""
MARKS_COLUMNS: Final = "join_seq, read_upto, read, archived, deleted, seen_upto, followed, snoozed"
_MARKS: Final = f"""
SELECT topic.name, {MARKS_COLUMNS}
FROM marks JOIN topic ON topic.id = topic_id WHERE person_id = ?
"""  # noqa: S608 - ours
_PUT_MARKS: Final = f"""
INSERT OR REPLACE INTO marks (person_id, topic_id, {MARKS_COLUMNS}, wake_ms)
VALUES (?,?,?,?,?,?,?,?,?,?,?)
"""  # noqa: S608 - ours
_SCHEDULE: Final = "INSERT OR REPLACE INTO scheduled VALUES (?,?,?,?,?)"

# Stages one row of the log for a topic: its topic, position and offset.
Place = Callable[[Any, str, Draft, Any], tuple[Topic, int, int]]


def bytes_of(bits: int) -> bytes | None:
    """Bits as the tables have them."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little") if bits else None


def bits_in(blob: bytes | None) -> int:
    return int.from_bytes(blob, "little") if blob else 0


def marks_in(row: tuple[Any, ...]) -> Marks:
    """Marks from `MARKS_COLUMNS`."""
    join, read_upto, read, archived, deleted, seen_upto, followed, snoozed = row
    return Marks(
        join=join,
        read_upto=read_upto,
        read=bits_in(read),
        archived=bits_in(archived),
        deleted=bits_in(deleted),
        seen_upto=seen_upto,
        snoozed=snoozed_in(snoozed),
        followed=bool(followed),
    )


class InboxWriter:
    """Args:
    place: see `Place`; with the number of a notification in place of data.
    flush: writes what has been staged so far.
    deliver: stages that a notification is to be delivered beside the inbox.
    """

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        topics: Topics,
        *,
        clock: Clock,
        keep: Keep,
        place: Place,
        flush: Callable[[Any], None],
        deliver: Callable[[int, Note], None],
    ) -> None:
        self._cursor = cursor
        self._topics = topics
        self._keep = keep
        self._place = place
        self._flush = flush
        self._deliver = deliver
        self._settling = Settling(cursor, topics, clock=clock, keep=keep)
        self._snoozing = Snoozing(cursor, clock=clock, keep=keep)
        self._categories: dict[str, int] | None = None
        self._notes: list[Any] = []
        self._notifications: list[Any] = []

    @property
    def crowded(self) -> bool:
        """Whether some topic holds more than its count. May be asked from any thread."""
        return bool(self._settling.over)

    def forget(self) -> None:
        """Drop everything that a failed transaction may have made untrue."""
        self._categories = None
        self._notes.clear()
        self._notifications.clear()

    def write(self) -> None:
        """Write what is staged."""
        if self._notes:  # Of what comes back there is no new notification.
            _INTO_NOTIFICATION.insert(self._cursor, self._notifications)
            _INTO_NOTE.insert(self._cursor, self._notes)
            self._notes.clear()
            self._notifications.clear()

    def index(self, rows_max: int) -> int:
        """Make up to `rows_max` notifications findable by text; how many there were."""
        return self._settling.index(rows_max)

    def index_lags(self, head: int) -> bool:
        """Whether so much waits for the index that a search would wait for seconds."""
        return self._settling.index_lag(head) > INDEX_LAG_MAX

    def store(self, staged: Any, draft: Draft) -> Appended:
        """Apply one draft; raises `ReddotError` before anything has changed."""
        change = draft.inbox
        if isinstance(change, Note):
            return self._send(staged, draft, change)
        self._flush(staged)
        if isinstance(change, Wake):
            return self._wake(staged, draft, change)
        effect = self._apply(staged, draft, change)
        return Appended(self._changed(staged, draft, effect), False)

    def _changed(self, staged: Any, draft: Draft, effect: Effect) -> Publication:
        """What the log says of a change."""
        data = describe(draft.inbox, effect)
        self._topic(INBOX_TOPIC)
        _, position, offset = self._place(staged, INBOX_TOPIC, draft, data)
        return Publication(
            topic=INBOX_TOPIC,
            id=draft.id,
            data=data,
            time_ms=draft.time_ms,
            event=draft.event,
            offset=offset,
            position=position,
            inbox=effect,
        )

    # ---- notifications ----

    def _send(self, staged: Any, draft: Draft, note: Note) -> Appended:
        if len(note.topics) > 1:
            self._topics.load([t for t in note.topics if t not in self._topics.by_name])
        category = self._category(note.category)
        if note.scheduled and not self._unschedule(draft.id):
            raise ReddotError("not_found", "it was retracted, or has gone out already")
        if note.collapse_key is not None:
            self._flush(staged)
        number = staged.head + 1
        publications: list[Publication] = []
        ids: list[int] = []
        gone: list[tuple[int, int]] = []
        age_ms = self._keep.age_ms
        for name in note.topics:
            topic, position, offset = self._place(staged, name, draft, number)
            replaced = 0
            if note.collapse_key is not None:
                replaced, old = self._settling.replace(topic.id, note.collapse_key, position)
                if replaced:
                    gone.append((old, topic.id))
            seq = topic.notes = topic.notes + 1
            if seq - topic.notes_base > self._keep.count:
                self._settling.over[name] = None
            age_ms = max(age_ms, topic.age_ms)
            ids.append(topic.id)
            self._notes += (topic.id, position, seq, number, category, draft.expires_ms)
            noted = Noted(seq, note.category, draft.expires_ms, replaced)
            publications.append(_publication(name, draft, position, offset, noted))
        self._notifications += (
            number,
            draft.id,
            category,
            draft.time_ms,
            draft.expires_ms,
            draft.time_ms + age_ms,
            ids[0] if len(ids) == 1 else json_text(ids),
            note.collapse_key,
            draft.data,
        )
        if note.plan:
            self._deliver(number, note)
        if gone and (effect := self._settling.replace_woken(gone, staged.head + 1)).died:
            told = msgspec.structs.replace(draft, event="note", expires_ms=None)
            publications.append(self._changed(staged, told, effect))
        return Appended(publications[0], False, tuple(publications[1:]))

    def _category(self, name: str) -> int:
        if self._categories is None:
            rows = self._cursor.execute("SELECT name, id FROM category")
            self._categories = dict(rows.fetchall())
        number = self._categories.get(name)
        if number is None:
            most = self._keep.categories_max
            if len(self._categories) >= most:
                raise ReddotError("too_many_categories", f"{most} categories are allowed")
            number = len(self._categories) + 1
            self._cursor.execute("INSERT INTO category VALUES (?,?)", (number, name))
            self._categories[name] = number
        return number

    def _unschedule(self, id: str) -> bool:
        return self._cursor.execute("DELETE FROM scheduled WHERE id = ?", (id,)).rowcount > 0

    # ---- changes ----

    def _apply(self, staged: Any, draft: Draft, change: Any) -> Effect:
        position = staged.head + 1
        if isinstance(change, Mark):
            return self._mark(change, position)
        if isinstance(change, Snooze):
            return self._snooze(change, position)
        if isinstance(change, Follow):
            return self._follow(staged, change, position)
        if isinstance(change, Unfollow):
            return self._unfollow(change, position)
        if isinstance(change, Prefer):
            return self._prefer(change, position)
        if isinstance(change, Join):
            return self._join(change, position)
        if isinstance(change, Retract):
            return self._retract(change, position)
        if isinstance(change, Settle):
            return self._settling.settle(change.rows_max, position)
        if isinstance(change, Erase):
            return self._settling.erase(change.user, position)
        assert isinstance(change, Schedule)
        self._category(change.note.category)
        text = msgspec.json.encode(change).decode()
        row = (draft.id, change.publish_ms, draft.time_ms, text, draft.data)
        self._cursor.execute(_SCHEDULE, row)
        return Effect()

    def _person(self, user: str, *, make: bool) -> int | None:
        """The number of a person; None if there is none and none is to be made."""
        row = self._cursor.execute("SELECT id FROM person WHERE name = ?", (user,)).fetchone()
        if row is not None:
            return int(row[0])
        if not make:
            return None
        insert = "INSERT INTO person (name, rev) VALUES (?, 0)"
        return self._cursor.execute(insert, (user,)).lastrowid

    def _topic(self, name: str) -> Topic | None:
        if name not in self._topics.by_name:
            self._topics.load([name])
        return self._topics.by_name.get(name)

    def _inbox(self, user: str, person: int | None) -> dict[str, tuple[Topic, Marks]]:
        """The topics of an inbox that exist, with the user's marks."""
        marks = {f"{USERS_ROOT}/{user}": UNMARKED, EVERYONE: UNMARKED}
        if person is not None:
            for name, *rest in self._cursor.execute(_MARKS, (person,)).fetchall():
                marks[name] = marks_in(tuple(rest))
        self._topics.load([name for name in marks if name not in self._topics.by_name])
        found = ((name, self._topics.by_name.get(name), own) for name, own in marks.items())
        return {name: (topic, own) for name, topic, own in found if topic is not None}

    def _mark(self, change: Mark, position: int) -> Effect:
        inbox = self._inbox(change.user, self._person(change.user, make=False))
        chosen = self._snoozing.places(change.ids, inbox) if change.ids else {}
        altered: dict[str, Marks | None] = {}
        for name, (topic, marks) in inbox.items():
            new = badge.raised(marks, topic.notes_base)
            if change.upto is None:
                new = badge.mark(new, change.state, [one.seq for one in chosen.get(name, ())])
            else:
                new = self._marked_upto(new, topic, change, change.upto)
            if new != marks:
                altered[name] = new
        return self._alter(change.user, altered, position)

    def _marked_upto(self, marks: Marks, topic: Topic, change: Mark, upto: int) -> Marks:
        if change.category is None:
            row = self._cursor.execute(_SEQ_UPTO, (topic.id, upto)).fetchone()
            return badge.mark_upto(marks, change.state, row[0]) if row else marks
        known = "SELECT id FROM category WHERE name = ?"
        category = self._cursor.execute(known, (change.category,)).fetchone()
        if category is None:
            return marks
        row = self._cursor.execute(_SEQS_UPTO, (topic.id, upto, category[0])).fetchone()
        return badge.mark_listed(marks, change.state, msgspec.json.decode(row[0]))

    # ---- what is snoozed ----

    def _snooze(self, change: Snooze, position: int) -> Effect:
        inbox = _kept(self._inbox(change.user, self._person(change.user, make=False)))
        altered = self._snoozing.snooze(change, inbox)
        return self._alter(change.user, altered, position)

    def _wake(self, staged: Any, draft: Draft, change: Wake) -> Appended:
        """What leaves its old place gets one in the user's own topic."""
        before = self._inbox(change.user, self._person(change.user, make=False))
        inbox = _kept(before)
        leaving = self._snoozing.leaving(change, inbox)
        altered: dict[str, Marks | None] = {}
        for name, (_, marks) in inbox.items():
            new = badge.mark(marks, "deleted", [one.seq for one in leaving.get(name, ())])
            if new != before[name][1]:
                altered[name] = new
        effect = self._alter(change.user, altered, staged.head + 1)
        first = self._changed(staged, draft, effect)
        back = self._snoozing.back(leaving, inbox)
        others = [self._bring_back(staged, change.user, one, draft.time_ms) for one in back]
        return Appended(first, False, tuple(others))

    def _bring_back(self, staged: Any, user: str, back: Back, now_ms: int) -> Publication:
        name = f"{USERS_ROOT}/{user}"
        self._topic(name)
        draft = Draft(
            topic=name,
            id=back.id,
            data=back.data,
            time_ms=now_ms,
            event=EVENT_NOTIFICATION,
            expires_ms=back.expires_ms,
        )
        topic, position, offset = self._place(staged, name, draft, back.number)
        seq = self._count_note(name, topic)
        row = (topic.id, position, seq, back.number, back.category, back.expires_ms)
        self._notes += row
        self._snoozing.place(back, topic.id, position)
        noted = Noted(seq, back.category_name, back.expires_ms, again=True)
        return _publication(name, draft, position, offset, noted)

    def _count_note(self, name: str, topic: Topic) -> int:
        """The seq of a topic's next notification."""
        topic.notes += 1
        if topic.notes - topic.notes_base > self._keep.count:
            self._settling.over[name] = None
        return topic.notes

    def _alter(self, user: str, altered: dict[str, Marks | None], position: int) -> Effect:
        """Write new marks; None takes a topic out of the inbox."""
        if altered:
            person = self._person(user, make=True)
            for name, marks in altered.items():
                topic = self._topics.by_name[name]
                if marks is None:
                    delete = "DELETE FROM marks WHERE person_id = ? AND topic_id = ?"
                    self._cursor.execute(delete, (person, topic.id))
                else:
                    self._cursor.execute(_PUT_MARKS, (person, topic.id, *_columns(marks)))
            self._cursor.execute("UPDATE person SET rev = ? WHERE id = ?", (position, person))
        return Effect(user=user, marks=altered)

    def _follow(self, staged: Any, change: Follow, position: int) -> Effect:
        person = self._person(change.user, make=True)
        rows = self._cursor.execute(_MARKS, (person,)).fetchall()
        if any(row[0] == change.topic for row in rows):
            return Effect(user=change.user)
        most = self._keep.follows_max
        if sum(marks_in(row[1:]).followed for row in rows) >= most:
            raise ReddotError("too_many_follows", f"{most} topics are allowed")
        topic = self._topic(change.topic)
        if topic is None:
            topic = self._topics.create(change.topic)
            row = (topic.id, change.topic)
            self._cursor.execute("INSERT INTO topic (id, name) VALUES (?,?)", row)
        marks = badge.joined(None, top=topic.notes, backfill=change.backfill)
        own = self._inbox(change.user, person).get(f"{USERS_ROOT}/{change.user}")
        there = self._snoozing.back_already(topic, change.backfill, own)
        marks = badge.mark(marks, "deleted", there)
        return self._alter(change.user, {change.topic: marks}, position)

    def _unfollow(self, change: Unfollow, position: int) -> Effect:
        inbox = self._inbox(change.user, self._person(change.user, make=False))
        if change.topic not in inbox or not inbox[change.topic][1].followed:
            return Effect(user=change.user)
        return self._alter(change.user, {change.topic: None}, position)

    def _join(self, change: Join, position: int) -> Effect:
        person = self._person(change.user, make=True)
        select = "SELECT since_ms FROM person WHERE id = ?"
        if self._cursor.execute(select, (person,)).fetchone()[0] >= change.since_ms:
            return Effect(user=change.user)
        update = "UPDATE person SET since_ms = ? WHERE id = ?"
        self._cursor.execute(update, (change.since_ms, person))
        altered: dict[str, Marks | None] = {}
        topic, marks = self._inbox(change.user, person).get(EVERYONE, (None, UNMARKED))
        if topic is not None:
            new = badge.raised(marks, self._seq_before(topic, change.since_ms, position))
            altered = {EVERYONE: new} if new != marks else {}
        effect = self._alter(change.user, altered, position)
        return msgspec.structs.replace(effect, since_ms=change.since_ms)

    def _seq_before(self, topic: Topic, time_ms: int, head: int) -> int:
        """The last notification of a topic that was sent before a time; 0 if there is none.

        Times are not indexed, but grow with positions.
        """
        seq, low, high = 0, 0, head
        while low < high:
            middle = (low + high + 1) // 2
            row = self._cursor.execute(_SENT_AT, (topic.id, middle)).fetchone()
            if row is not None and row[2] >= time_ms:
                high = row[0] - 1
            else:
                seq, low = seq if row is None else row[1], middle
        return seq

    def _prefer(self, change: Prefer, position: int) -> Effect:
        person = self._person(change.user, make=True)
        put_preferences(self._cursor, person, change.preferences, position)
        return Effect(user=change.user, preferences=change.preferences)

    def _retract(self, change: Retract, position: int) -> Effect:
        if self._unschedule(change.id):
            return Effect()
        return self._settling.retract(change.id, change.rows_max, position)


def _kept(inbox: dict[str, tuple[Topic, Marks]]) -> dict[str, tuple[Topic, Marks]]:
    """An inbox without marks of what is not kept any more."""
    return {
        name: (topic, badge.raised(marks, topic.notes_base))
        for name, (topic, marks) in inbox.items()
    }


def topic_ids(topics: int | str) -> list[int]:
    """The column `notification.topics`."""
    if isinstance(topics, int):
        return [topics]
    ids: list[int] = msgspec.json.decode(topics)
    return ids


def _columns(marks: Marks) -> tuple[Any, ...]:
    return (
        marks.join,
        marks.read_upto,
        bytes_of(marks.read),
        bytes_of(marks.archived),
        bytes_of(marks.deleted),
        marks.seen_upto,
        marks.followed,
        snoozed_text(marks),
        badge.wake_ms([marks]) or None,
    )


def _publication(name: str, draft: Draft, position: int, offset: int, noted: Noted) -> Publication:
    return Publication(
        topic=name,
        id=draft.id,
        data=draft.data,
        time_ms=draft.time_ms,
        event=draft.event,
        offset=offset,
        position=position,
        expires_ms=draft.expires_ms,
        inbox=noted,
    )
