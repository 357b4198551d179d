"""What is asked of inboxes, on one snapshot of the SQLite database. Layer: stores.

Runs in a reader's thread. As in `sqlite_reader`, SQLite packs the rows of an answer into one JSON
text, because sqlite3 gives up the interpreter's lock once per row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

import msgspec

from reddot.core import badge
from reddot.inbox import (
    UNMARKED,
    Audit,
    Due,
    InboxPage,
    Item,
    Marks,
    Notes,
    Person,
    Schedule,
    Scheduled,
    Sent,
    View,
    Warm,
)
from reddot.model import EVERYONE, USERS_ROOT
from reddot.stores.sqlite_inbox import MARKS_COLUMNS, marks_in, topic_ids
from reddot.stores.sqlite_preferences import preferences_in
from reddot.stores.sqlite_topics import json_text

CHUNK_ROWS: Final = 256
MATCHES_MAX: Final = 2_000
STATES: Final = ("live", "expired", "retracted", "replaced")

_words = re.compile(r"\w+").findall

_POSITION: Final = "SELECT max(head, ifnull((SELECT max(pos) FROM log), 0)) FROM meta"
_PEOPLE: Final = """
SELECT id, name, rev, preferences, since_ms FROM person
WHERE name IN (SELECT value FROM json_each(?))
"""
_MARKS: Final = f"""
SELECT person_id, topic.name, {MARKS_COLUMNS}
FROM marks JOIN topic ON topic.id = topic_id WHERE person_id IN (SELECT value FROM json_each(?))
"""  # noqa: S608 - ours
_TOPICS: Final = """
SELECT id, name, ifnull(base, 0), ifnull(died_pos, 0),
  (SELECT seq FROM note WHERE topic_id = id ORDER BY pos DESC LIMIT 1),
  (SELECT pos FROM note WHERE topic_id = id ORDER BY pos DESC LIMIT 1)
FROM topic LEFT JOIN inbox_topic ON topic_id = id WHERE name IN (SELECT value FROM json_each(?))
"""
_LIVE: Final = """
SELECT category.name, json_group_array(seq) FROM note JOIN category ON category.id = note.category
WHERE topic_id = ? AND dead = 0 GROUP BY note.category
"""
_DUES: Final = """
SELECT json_group_array(json_array(expires_ms, seq)) FROM note
WHERE topic_id = ? AND dead = 0 AND expires_ms IS NOT NULL
"""
_SHOWN: Final = """
SELECT json_group_array(json_array(pos, seq, num, category)) FROM (
  SELECT pos, seq, num, category FROM note WHERE topic_id = ? AND pos < ? AND dead = 0
    AND (expires_ms IS NULL OR expires_ms > ?) {} ORDER BY pos DESC LIMIT ?)
"""
_SHOWN_ANY: Final = _SHOWN.format("")
_SHOWN_CATEGORY: Final = _SHOWN.format("AND category = (SELECT id FROM category WHERE name = ?)")
_BODIES: Final = """
SELECT num, notification.id, time_ms, expires_ms, category.name, CAST(data AS TEXT)
FROM notification JOIN category ON category.id = category
WHERE num IN (SELECT value FROM json_each(?))
"""
_FOUND: Final = """
SELECT num, topics FROM notification WHERE num IN (
  SELECT rowid FROM notification_text WHERE notification_text MATCH ? AND rowid < ?
  ORDER BY rowid DESC LIMIT ?)
ORDER BY num DESC
"""
_NOTE: Final = """
SELECT pos, seq, num, category FROM note WHERE topic_id = ? AND pos = ? AND dead = 0
  AND (expires_ms IS NULL OR expires_ms > ?)
"""
_DUE: Final = """
SELECT EXISTS (SELECT 1 FROM notification
    WHERE expires_ms IS NOT NULL AND state = 0 AND expires_ms <= ?1)
  OR EXISTS (SELECT 1 FROM notification WHERE keep_ms <= ?1)
  OR EXISTS (SELECT 1 FROM ending WHERE num > 0)
  OR EXISTS (SELECT 1 FROM person WHERE mute_ms IS NOT NULL AND mute_ms <= ?1)
"""
_READY: Final = """
SELECT id, data, schedule FROM scheduled WHERE publish_ms <= ? ORDER BY publish_ms, id LIMIT ?
"""
_SENT: Final = """
SELECT notification.id, num, state, time_ms, expires_ms, category.name, topics, collapse_key,
  CAST(data AS TEXT) FROM notification JOIN category ON category.id = category
WHERE {} ORDER BY num DESC LIMIT ?
"""
_SENT_ID: Final = _SENT.format("notification.id = ?")
_SENT_BEFORE: Final = _SENT.format("num < ?")
_ALL_WAITING: Final = """
SELECT id, publish_ms, data, schedule FROM scheduled WHERE publish_ms >= 0
  ORDER BY publish_ms, id LIMIT ?
"""
_WAITING: Final = "SELECT publish_ms, data, schedule FROM scheduled WHERE id = ?"
_TOPIC_MARKS: Final = f"""
SELECT person_id, {MARKS_COLUMNS} FROM marks
WHERE topic_id = ? AND person_id > ? ORDER BY person_id LIMIT ?
"""  # noqa: S608 - ours
_WOKEN: Final = """
SELECT topic_id, max(pos), seq, person.id FROM woken JOIN note USING (topic_id, pos)
JOIN topic ON topic.id = topic_id LEFT JOIN person ON person.name = substr(topic.name, 7)
WHERE woken.num = ? GROUP BY topic_id
"""
_WOKEN_OF: Final = """
SELECT topic_id, pos FROM woken
WHERE num IN (SELECT value FROM json_each(?)) AND topic_id IN (SELECT value FROM json_each(?))
"""
_WAKING: Final = """
SELECT name FROM person WHERE id IN
  (SELECT person_id FROM marks WHERE wake_ms IS NOT NULL AND wake_ms <= ? ORDER BY wake_ms LIMIT ?)
"""
_ALL_NOTES: Final = """
SELECT seq, category.name, dead FROM note JOIN category ON category.id = category
WHERE topic_id = ? ORDER BY pos
"""
_USERS: Final = """
SELECT name FROM person WHERE name > ?1
UNION SELECT substr(name, 7) FROM topic
WHERE name > 'users/' || ?1 AND name < 'users0' AND instr(substr(name, 7), '/') = 0
  AND EXISTS (SELECT 1 FROM note WHERE topic_id = topic.id)
ORDER BY 1 LIMIT ?2
"""
_INT_MAX: Final = 2**63 - 1

# One row of `note`: position, seq, number of its notification, category.
_Note = tuple[int, int, int, int]


class _Topic(msgspec.Struct, gc=False):
    id: int
    name: str
    base: int
    died: int
    top: int
    newest: int


class InboxSnapshot:
    """Args:
    connection: in a transaction, so that all statements see the same state.
    now_ms: what has expired is not shown.
    locked: categories that nobody can mute.
    """

    def __init__(self, connection: sqlite3.Connection, now_ms: int, locked: frozenset[str]) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._locked = locked

    def _all(self, statement: str, *values: Any) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def _packed(self, statement: str, *values: Any) -> list[Any]:
        """The rows of a statement that packs them into one JSON text."""
        rows: list[Any] = msgspec.json.decode(
            self._connection.execute(statement, values).fetchone()[0]
        )
        return rows

    def _position(self) -> int:
        return int(self._all(_POSITION)[0][0])

    # ---- what badges are derived from ----

    def warm(self, users: Collection[str], topics: Collection[str]) -> Warm:
        """As `ports.Inbox.warm`."""
        return Warm(
            self._position(),
            self._people(users) if users else {},
            {topic.name: self._notes(topic) for topic in self._topics(topics)} if topics else {},
        )

    def _people(self, users: Collection[str]) -> dict[str, Person]:
        found: dict[int, tuple[str, Person]] = {}
        for number, name, rev, text, since_ms in self._all(_PEOPLE, json_text(users)):
            found[number] = name, Person(rev, {}, preferences_in(text), since_ms)
        for number, topic, *rest in self._all(_MARKS, json_text(found)):
            found[number][1].marks[topic] = marks_in(tuple(rest))
        return dict(found.values())

    def _topics(self, names: Collection[str]) -> list[_Topic]:
        return [
            _Topic(number, name, base, died, max(base, top or 0), newest or 0)
            for number, name, base, died, top, newest in self._all(_TOPICS, json_text(names))
        ]

    def _notes(self, topic: _Topic) -> Notes:
        categories = {
            name: _bits(msgspec.json.decode(seqs, type=list[int]), topic.base)
            for name, seqs in self._all(_LIVE, topic.id)
        }
        live = 0
        for bits in categories.values():
            live |= bits
        return Notes(
            base=topic.base,
            top=topic.top,
            rev=max(topic.died, topic.newest),
            live=live,
            categories=categories,
            due=tuple((ms, seq) for ms, seq in self._packed(_DUES, topic.id)) if live else (),
        )

    # ---- the inbox ----

    def _inbox(self, user: str) -> list[tuple[_Topic, Marks]]:
        """The topics of an inbox that exist, with the user's marks."""
        marks = {f"{USERS_ROOT}/{user}": UNMARKED, EVERYONE: UNMARKED}
        marks.update(self._people([user]).get(user, Person(0, {})).marks)
        return [
            (topic, badge.raised(marks[topic.name], topic.base)) for topic in self._topics(marks)
        ]

    def page(
        self,
        user: str,
        *,
        view: View,
        category: str | None,
        before: int | None,
        limit: int,
        text: str | None,
    ) -> InboxPage:
        """As `ports.Inbox.page`."""
        inbox = self._inbox(user)
        below = _INT_MAX if before is None else before
        if text is None:
            scan = self._scan if view != "snoozed" else self._snoozed
            streams = [scan(*one, view, category, below) for one in inbox]
            newest_first: Iterator[tuple[_Note, _Topic, Marks]]
            newest_first = merge(*streams, key=lambda one: -one[0][0])
        else:
            newest_first = self._search(inbox, view, category, below, text)
        chosen = list(islice(newest_first, limit + 1))
        more = len(chosen) > limit
        return InboxPage(
            items=self._items(chosen[:limit]),
            position=self._position(),
            before=chosen[limit - 1][0][0] if more else None,
        )

    def _scan(
        self, topic: _Topic, marks: Marks, view: View, category: str | None, before: int
    ) -> Iterator[tuple[_Note, _Topic, Marks]]:
        """What is shown of one topic, newest first; in chunks, since a view may skip most."""
        while True:
            values: tuple[Any, ...] = (topic.id, before, self._now_ms)
            if category is None:
                rows = self._packed(_SHOWN_ANY, *values, CHUNK_ROWS)
            else:
                rows = self._packed(_SHOWN_CATEGORY, *values, category, CHUNK_ROWS)
            rows.sort(reverse=True)
            for pos, seq, number, kind in rows:
                if seq <= marks.join:
                    return
                if badge.is_shown(marks, seq, view):
                    yield (pos, seq, number, kind), topic, marks
            if len(rows) < CHUNK_ROWS:
                return
            before = rows[-1][0]

    def _snoozed(
        self, topic: _Topic, marks: Marks, view: View, category: str | None, before: int
    ) -> Iterator[tuple[_Note, _Topic, Marks]]:
        """As `_scan`, of what is snoozed: a few, whose positions are known."""
        wanted = self._all("SELECT id FROM category WHERE name = ?", category)
        for one in sorted(marks.snoozed, key=lambda one: -one.position):
            if one.position < before:
                for row in self._all(_NOTE, topic.id, one.position, self._now_ms):
                    if category is None or [(row[3],)] == wanted:
                        yield tuple(row), topic, marks

    def _search(
        self,
        inbox: list[tuple[_Topic, Marks]],
        view: View,
        category: str | None,
        before: int,
        text: str,
    ) -> Iterator[tuple[_Note, _Topic, Marks]]:
        """What is found by text; looks at the newest `MATCHES_MAX` matches of everybody."""
        words = _words(text)
        if not words:
            return
        mine = {topic.id: (topic, marks) for topic, marks in inbox}
        found: list[tuple[_Note, _Topic, Marks]] = []
        query = " ".join(f'"{word}"*' for word in words)
        matches = self._all(_FOUND, query, before, MATCHES_MAX)
        places = [
            (topic_id, number + index)
            for number, topics in matches
            for index, topic_id in enumerate(topic_ids(topics))
            if topic_id in mine
        ]
        numbers = json_text([number for number, _ in matches])
        for topic_id, pos in places + self._all(_WOKEN_OF, numbers, json_text(mine)):
            rows = self._all(_NOTE, topic_id, pos, self._now_ms)
            found += [(tuple(row), *mine[topic_id]) for row in rows]
        wanted = self._all("SELECT id FROM category WHERE name = ?", category)
        for row, topic, marks in sorted(found, key=lambda one: -one[0][0]):
            right = category is None or [(row[3],)] == wanted
            if right and row[0] < before and badge.is_shown(marks, row[1], view):
                yield row, topic, marks

    def _items(self, chosen: Sequence[tuple[_Note, _Topic, Marks]]) -> tuple[Item, ...]:
        numbers = json_text({row[2] for row, _, _ in chosen})
        bodies = {number: rest for number, *rest in self._all(_BODIES, numbers)}
        return tuple(
            _item(row, topic.name, marks, bodies[row[2]])
            for row, topic, marks in chosen
            if row[2] in bodies
        )

    # ---- what waits, what was sent ----

    def due(self, limit: int) -> Due:
        """As `ports.Inbox.due`."""
        settle = bool(self._all(_DUE, self._now_ms)[0][0])
        ready = self._all(_READY, self._now_ms, limit)
        waking = self._all(_WAKING, self._now_ms, limit)
        scheduled = tuple(Scheduled(id, data, _schedule(t)) for id, data, t in ready)
        return Due(settle, scheduled, tuple(name for (name,) in waking))

    def sent(self, id: str | None, before: int | None, limit: int) -> list[Sent]:
        """As `ports.Inbox.sent`."""
        if id is None:
            rows = self._all(_SENT_BEFORE, _INT_MAX if before is None else before, limit)
            return [self._sent(row, counts=False) for row in rows]
        waiting = self._all(_WAITING, id)
        if waiting:
            return [_waiting(id, *waiting[0])]
        return [self._sent(row, counts=True) for row in self._all(_SENT_ID, id, 1)]

    def scheduled(self, limit: int) -> list[Sent]:
        """As `ports.Inbox.scheduled`."""
        return [_waiting(*row) for row in self._all(_ALL_WAITING, limit)]

    def _sent(self, row: tuple[Any, ...], *, counts: bool) -> Sent:
        id, number, state, time_ms, expires_ms, category, topics, collapse_key, data = row
        ids = topic_ids(topics)
        found = self._all(
            "SELECT id, name FROM topic WHERE id IN (SELECT value FROM json_each(?))",
            json_text(ids),
        )
        names = dict(found)
        seen, read = self._count_marks(number, ids) if counts else (None, None)
        reached = self._all("SELECT people FROM reached WHERE num = ?", number) if counts else None
        return Sent(
            id=id,
            state=STATES[state],
            time_ms=time_ms,
            category=category,
            topics=tuple(names[one] for one in ids if one in names),
            data=data.encode(),
            position=number,
            expires_ms=expires_ms,
            collapse_key=collapse_key,
            seen=seen,
            read=read,
            reached=None if reached is None else reached[0][0] if reached else 0,
        )

    def _count_marks(self, number: int, ids: list[int]) -> tuple[int, int]:
        """How many people have seen and read a notification.

        Who snoozes has seen it, and has read it when they have read what came back.
        """
        seen = read = 0
        back = {person: (topic, seq) for topic, _, seq, person in self._all(_WOKEN, number)}
        for topic_id, at in back.values():
            own = dict(self._marks_of(topic_id))
            seen += 1
            read += any(badge.is_read_now(marks, at) for marks in own.values())
        for index, topic_id in enumerate(ids):
            rows = self._all(
                "SELECT seq FROM note WHERE topic_id = ? AND pos = ?", topic_id, number + index
            )
            for (seq,) in rows:
                for person, marks in self._marks_of(topic_id):
                    if seq > marks.join and person not in back:
                        read += badge.is_read_now(marks, seq)
                        seen += badge.is_read(marks, seq) or badge.is_seen(marks, seq)
        return seen, read

    def _marks_of(self, topic_id: int) -> Iterator[tuple[int, Marks]]:
        after = 0
        while rows := self._all(_TOPIC_MARKS, topic_id, after, 1_000):
            for row in rows:
                yield row[0], marks_in(row[1:])
            after = rows[-1][0]

    # ---- the slow way ----

    def audit(self, user: str) -> list[Audit]:
        """As `ports.Inbox.audit`: every row is asked for itself."""
        person = self._people([user]).get(user, Person(0, {}))
        marks = {f"{USERS_ROOT}/{user}": UNMARKED, EVERYONE: UNMARKED} | person.marks
        numbers = {topic.name: topic.id for topic in self._topics(marks)}
        audits = []
        for name, own in marks.items():
            tally = badge.Tally(name, own, person.preferences, self._locked)
            for seq, category, dead in self._all(_ALL_NOTES, numbers.get(name, 0)):
                tally.add(seq, category, not dead)
            audits.append(tally.audit())
        return sorted(audits, key=lambda one: one.topic)

    def users(self, after: str, limit: int) -> list[str]:
        """As `ports.Inbox.users`."""
        return [name for (name,) in self._all(_USERS, after, limit)]


def _bits(seqs: list[int], base: int) -> int:
    """As `badge.bits_of`, in one pass for the many of a cold topic."""
    if not seqs:
        return 0
    octets = bytearray((max(seqs) - base + 7) // 8)
    for seq in seqs:
        at = seq - base - 1
        octets[at >> 3] |= 1 << (at & 7)
    return int.from_bytes(octets, "little")


def _schedule(text: str) -> Schedule:
    return msgspec.json.decode(text, type=Schedule)


def _waiting(id: str, publish_ms: int, data: bytes, text: str) -> Sent:
    note = _schedule(text).note
    return Sent(
        id=id,
        state="scheduled",
        time_ms=publish_ms,
        category=note.category,
        topics=note.topics,
        data=data,
        publish_ms=publish_ms,
        collapse_key=note.collapse_key,
    )


def _item(row: _Note, topic: str, marks: Marks, body: Sequence[Any]) -> Item:
    position, seq, _, _ = row
    id, time_ms, expires_ms, category, data = body
    read = badge.is_read_now(marks, seq)
    return Item(
        id=id,
        topic=topic,
        position=position,
        time_ms=time_ms,
        category=category,
        data=data.encode(),
        seen=badge.is_read(marks, seq) or badge.is_seen(marks, seq),
        read=read,
        archived=badge.is_archived(marks, seq),
        expires_ms=expires_ms,
        snoozed_ms=badge.snoozed_until(marks, seq),
    )
