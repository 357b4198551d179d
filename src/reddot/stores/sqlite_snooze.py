"""What people snooze in the SQLite store, and where it comes back. Layer: stores.

In the writer's thread, inside a transaction. What is snoozed is kept with a user's marks
(`inbox.Marks.snoozed`), so that whatever ends those ends it too. What comes back is one more row of
`note`, in the user's own topic, of the same notification: `woken` says which rows those are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from reddot.core import badge
from reddot.errors import ReddotError
from reddot.inbox import Keep, Marks, Snooze, Snoozed, Wake
from reddot.ports import Clock
from reddot.stores.sqlite_topics import Topic, json_text

_LIVE: Final = "note.dead = 0 AND (note.expires_ms IS NULL OR note.expires_ms > ?)"
# `topics` is an integer or a JSON array, and json_each takes both; `key` of an integer is NULL.
_PLACES: Final = """
SELECT n.id, n.num, note.topic_id, note.pos, note.seq
FROM notification AS n CROSS JOIN json_each(n.topics) AS j CROSS JOIN note
WHERE n.id IN (SELECT value FROM json_each(?1)) AND j.value IN (SELECT value FROM json_each(?2))
  AND note.topic_id = j.value AND note.pos = n.num + ifnull(j.key, 0)
UNION ALL SELECT n.id, n.num, note.topic_id, note.pos, note.seq
FROM notification AS n CROSS JOIN woken AS w ON w.num = n.num
CROSS JOIN note ON note.topic_id = w.topic_id AND note.pos = w.pos
WHERE n.id IN (SELECT value FROM json_each(?1)) AND w.topic_id IN (SELECT value FROM json_each(?2))
"""
_LIVE_OF: Final = f"""
SELECT pos FROM note WHERE topic_id = ? AND pos IN (SELECT value FROM json_each(?)) AND {_LIVE}
"""  # noqa: S608 - ours
# Of the newest notifications of a topic, those that have come back in another: the seqs in both.
_BACK_IN: Final = """
SELECT n.seq, back.seq
FROM (SELECT num, seq FROM note WHERE topic_id = ? ORDER BY pos DESC LIMIT ?) AS n
CROSS JOIN woken AS w ON w.num = n.num AND w.topic_id = ?
CROSS JOIN note AS back ON back.topic_id = w.topic_id AND back.pos = w.pos
"""
_KEEP: Final = """
UPDATE notification SET keep_ms = max(keep_ms, ?)
WHERE num IN (SELECT value FROM json_each(?))
"""
_BACK: Final = f"""
SELECT n.id, n.num, n.category, category.name, n.expires_ms, n.data,
  ifnull((SELECT origin FROM woken AS w WHERE w.topic_id = note.topic_id AND w.pos = note.pos),
    note.topic_id)
FROM note CROSS JOIN notification AS n ON n.num = note.num
JOIN category ON category.id = n.category
WHERE note.topic_id = ? AND note.pos = ? AND n.state = 0 AND {_LIVE}
"""  # noqa: S608 - ours

# The topics of an inbox that exist, with the user's marks.
Box = Mapping[str, tuple[Topic, Marks]]


@dataclass(frozen=True, slots=True)
class Place:
    """One notification in one topic of an inbox."""

    id: str
    number: int
    position: int
    seq: int


@dataclass(frozen=True, slots=True)
class Back:
    """A notification that comes back.

    Attributes:
        category: its number; `category_name` its name.
        origin: number of the topic that it was sent to.
    """

    id: str
    number: int
    category: int
    category_name: str
    expires_ms: int | None
    data: bytes
    origin: int


class Snoozing:
    """One per writer."""

    def __init__(self, cursor: sqlite3.Cursor, *, clock: Clock, keep: Keep) -> None:
        self._cursor = cursor
        self._clock = clock
        self._keep = keep

    def places(self, ids: Collection[str], inbox: Box) -> dict[str, list[Place]]:
        """Where notifications are in an inbox, by topic; dead and deleted ones too."""
        names = {topic.id: name for name, (topic, _) in inbox.items()}
        found: dict[str, list[Place]] = {}
        values = json_text(ids), json_text(names)
        for id, number, topic_id, position, seq in self._cursor.execute(_PLACES, values):
            found.setdefault(names[topic_id], []).append(Place(id, number, position, seq))
        return found

    def snooze(self, change: Snooze, inbox: Box) -> dict[str, Marks | None]:
        """The new marks, by topic; what is dead leaves them.

        Raises:
            ReddotError: `field_invalid`, `not_found`, `too_many_snoozed`.
        """
        if change.until_ms <= self._clock.wall_ms():
            raise ReddotError("field_invalid", "'until' is over")
        chosen = self.places(change.ids, inbox)
        altered: dict[str, Marks | None] = {}
        found: dict[str, int] = {}
        count = 0
        for name, (topic, marks) in inbox.items():
            some = chosen.get(name, ())
            alive = self._alive(topic, [*(p.position for p in some), *_positions(marks)])
            there = [p for p in some if p.position in alive and not badge.is_deleted(marks, p.seq)]
            found.update({place.id: place.number for place in there})
            left = tuple(one for one in marks.snoozed if one.position in alive)
            hidden = [Snoozed(p.seq, p.position, change.until_ms) for p in there]
            new = badge.snooze(msgspec.structs.replace(marks, snoozed=left), hidden)
            count += len(new.snoozed)
            if new != marks:
                altered[name] = new
        if missing := [id for id in change.ids if id not in found]:
            raise ReddotError("not_found", f"{missing[0]!r:.80} is not in the inbox")
        if count > (most := self._keep.snoozed_max):
            raise ReddotError("too_many_snoozed", f"{most} notifications are allowed")
        # Retention waits until it has been back for as long as others are kept.
        keep_ms = change.until_ms + self._keep.age_ms
        self._cursor.execute(_KEEP, (keep_ms, json_text(list(found.values()))))
        return altered

    def _alive(self, topic: Topic, positions: list[int]) -> set[int]:
        """Those of the positions at which something live is."""
        if not positions:
            return set()
        values = topic.id, json_text(positions), self._clock.wall_ms()
        return {position for (position,) in self._cursor.execute(_LIVE_OF, values)}

    def leaving(self, change: Wake, inbox: Box) -> dict[str, list[Snoozed]]:
        """What a change brings back, by topic, whether it is live or not."""
        marks = {name: own for name, (_, own) in inbox.items()}
        if change.ids is None:
            return badge.due(marks, self._clock.wall_ms())
        places = self.places(change.ids, inbox)
        seqs = {name: {place.seq for place in some} for name, some in places.items()}
        return {
            name: [one for one in marks[name].snoozed if one.seq in some]
            for name, some in seqs.items()
        }

    def back(self, leaving: Mapping[str, list[Snoozed]], inbox: Box) -> list[Back]:
        """Those that are live, in the order in which they were to come back."""
        ordered = sorted(
            (one.until_ms, one.position, inbox[name][0].id)
            for name, some in leaving.items()
            for one in some
        )
        now_ms = self._clock.wall_ms()
        rows = (
            self._cursor.execute(_BACK, (topic_id, position, now_ms)).fetchone()
            for _, position, topic_id in ordered
        )
        return [Back(*row) for row in rows if row is not None]

    def back_already(self, topic: Topic, newest: int, own: tuple[Topic, Marks] | None) -> list[int]:
        """Of the newest of a topic, the seqs of what is in the inbox as the user's own."""
        if own is None:
            return []
        rows = self._cursor.execute(_BACK_IN, (topic.id, newest, own[0].id)).fetchall()
        return [seq for seq, there in rows if not badge.is_deleted(own[1], there)]

    def place(self, back: Back, topic_id: int, position: int) -> None:
        """Say that a row of `note` is one that has come back."""
        row = (topic_id, position, back.number, back.origin)
        self._cursor.execute("INSERT INTO woken VALUES (?,?,?,?)", row)


def _positions(marks: Marks) -> list[int]:
    return [one.position for one in marks.snoozed]


def snoozed_text(marks: Marks) -> str | None:
    """As the table has them."""
    return msgspec.json.encode(marks.snoozed).decode() if marks.snoozed else None


def snoozed_in(text: str | None) -> tuple[Snoozed, ...]:
    return msgspec.json.decode(text, type=tuple[Snoozed, ...]) if text else ()
