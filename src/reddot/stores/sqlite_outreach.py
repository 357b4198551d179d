"""Whom notifications of the SQLite store are to reach beside inboxes. Layer: stores.

In the writer's thread. A notification with a plan brings one row into its own transaction; later,
in small steps, that becomes deliveries: for people in whose inbox it is and who have an address.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from reddot.delivery import Plan
from reddot.inbox import Note
from reddot.model import EVERYONE, USERS_ROOT
from reddot.ports import Clock
from reddot.stores.sqlite_deliveries import MADE, DeliveryWriter
from reddot.stores.sqlite_rows import Rows

_INTO_OUTREACH: Final = Rows("INSERT INTO outreach (num, plan, lane)", 3)
FRESH_MAX: Final = 50
"""Outreaches begun in one call; most are for one person and take one step."""

_FRESH: Final = """
SELECT num, plan, lane, place FROM outreach WHERE place IS NOT NULL AND steps = 0
ORDER BY num LIMIT ?
"""
_BEGUN: Final = """
SELECT num, plan, lane, place FROM outreach WHERE place IS NOT NULL AND steps > 0
ORDER BY steps, num LIMIT 1
"""
_SENT: Final = "SELECT topics, time_ms FROM notification WHERE num = ?"
_NAMES: Final = """
SELECT j.key, t.id, t.name FROM json_each(?) AS j JOIN topic AS t ON t.id = j.value ORDER BY j.key
"""
_EVERYONE: Final = """
SELECT DISTINCT user FROM address WHERE user > ? ORDER BY user LIMIT ?
"""
_FOLLOWERS: Final = """
SELECT person.id, person.name FROM marks JOIN person ON person.id = person_id
WHERE topic_id = ? AND person_id > ? AND followed = 1 AND join_seq < ?
ORDER BY person_id LIMIT ?
"""
_SEQ: Final = "SELECT seq FROM note WHERE topic_id = ? AND pos = ?"
_DELIVER: Final = """
INSERT OR IGNORE INTO delivery (num, user, courier, lane, topic_id, pos, due_ms, changed_ms)
SELECT ?1, json_extract(j.value, '$[0]'), ?2, ?3, json_extract(j.value, '$[1]'),
  json_extract(j.value, '$[2]'), ?4, ?5
FROM json_each(?6) AS j WHERE EXISTS
  (SELECT 1 FROM address WHERE user = json_extract(j.value, '$[0]') AND courier = ?2)
"""
_LANE: Final = """
INSERT INTO lane (id, plan) VALUES (?, ?)
ON CONFLICT DO UPDATE SET plan = excluded.plan WHERE plan = 0
"""
_READY: Final = """
INSERT INTO lane_due (lane, courier, ready_ms) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET ready_ms = min(ifnull(ready_ms, excluded.ready_ms), excluded.ready_ms)
"""
_PLACE: Final = "UPDATE outreach SET place = ?, steps = steps + 1 WHERE num = ?"

# A person, the id of the topic by which the notification is in their inbox, and its position there.
Receiver = tuple[str, int, int]


class OutreachWriter:
    """Attributes:
    cursor: the writer's.
    deliveries: what changes them once they are made.
    """

    def __init__(self, cursor: sqlite3.Cursor, *, clock: Clock) -> None:
        self.cursor = cursor
        self.deliveries = DeliveryWriter(cursor, clock=clock)
        self._clock = clock
        self._plans: dict[str, int] = {}
        self._staged: list[Any] = []

    # ---- in the transaction of the notification ----

    def stage(self, number: int, note: Note) -> None:
        """Remember that a notification is to be delivered; `write` writes it."""
        self._staged += (number, self._plan(note.plan), note.lane or None)

    def write(self) -> None:
        if self._staged:
            _INTO_OUTREACH.insert(self.cursor, self._staged)
            self._staged.clear()

    def forget(self) -> None:
        """Drop everything that a failed transaction may have made untrue."""
        self._plans.clear()
        self._staged.clear()

    def _plan(self, text: str) -> int:
        number = self._plans.get(text)
        if number is None:
            self.cursor.execute("INSERT OR IGNORE INTO plan (text) VALUES (?)", (text,))
            row = self.cursor.execute("SELECT id FROM plan WHERE text = ?", (text,)).fetchone()
            number = self._plans[text] = int(row[0])
        return number

    # ---- in steps ----

    def expand(self, rows_max: int) -> bool:
        """As `ports.Deliveries.expand`."""
        begun = self.cursor.execute(_BEGUN).fetchall()
        fresh = self.cursor.execute(_FRESH, (FRESH_MAX,)).fetchall()
        share = max(1, rows_max // (1 + bool(begun and fresh)))
        for row in begun:
            self._step(share, *row)
        left = share
        for row in fresh:
            if left <= 0:
                break
            left -= self._step(left, *row)
        open_ones = "SELECT EXISTS (SELECT 1 FROM outreach WHERE place IS NOT NULL)"
        return bool(self.cursor.execute(open_ones).fetchone()[0])

    def _step(self, rows_max: int, num: int, plan: int, lane: int | None, place: Any) -> int:
        """One step of one outreach; about how many rows it has looked at."""
        sent = self.cursor.execute(_SENT, (num,)).fetchone()
        text = self.cursor.execute("SELECT text FROM plan WHERE id = ?", (plan,)).fetchone()[0]
        steps = msgspec.json.decode(text, type=Plan).steps
        most = max(1, rows_max // max(1, len(steps)))
        people, after = ([], None) if sent is None else self._receivers(num, sent[0], place, most)
        made = 0
        if people:
            self.cursor.execute(_LANE, (num if lane is None else lane, plan))
            for step in {one.courier: one for one in reversed(steps)}.values():
                due_ms = sent[1] + step.after_s * 1000
                made += self._deliver(num, lane or num, step.courier, due_ms, people)
        if after is None and not made and place == "" and lane is None:
            self.cursor.execute("DELETE FROM outreach WHERE num = ?", (num,))
            self.cursor.execute("DELETE FROM lane WHERE id = ?", (num,))
        else:
            self.cursor.execute(_PLACE, (after, num))
        return max(1, len(people))

    def _receivers(
        self, num: int, topics: Any, place: Any, most: int
    ) -> tuple[list[Receiver], Any]:
        """The next people in whose inbox a notification is, and where to go on; None: no more."""
        names = self.cursor.execute(_NAMES, (str(topics),)).fetchall()
        first = names[0][2] if names else ""
        if first == EVERYONE:
            rows = self.cursor.execute(_EVERYONE, (place, most)).fetchall()
            everyone = [(user, names[0][1], num) for (user,) in rows]
            return everyone, everyone[-1][0] if len(rows) == most else None
        people = [
            (name.partition("/")[2], topic_id, num + (index or 0))
            for index, topic_id, name in names
            if name.startswith(f"{USERS_ROOT}/") and name.count("/") == 1
        ]
        if people:
            start = place or 0
            rest = start + most < len(people)
            return people[start : start + most], start + most if rest else None
        return self._followers(num, names[0][1], place, most) if names else ([], None)

    def _followers(
        self, num: int, topic_id: int, place: Any, most: int
    ) -> tuple[list[Receiver], Any]:
        row = self.cursor.execute(_SEQ, (topic_id, num)).fetchone()
        if row is None:
            return [], None
        values = (topic_id, place or 0, row[0], most)
        rows = self.cursor.execute(_FOLLOWERS, values).fetchall()
        people = [(name, topic_id, num) for _, name in rows]
        return people, rows[-1][0] if len(rows) == most else None

    def _deliver(
        self, num: int, lane: int, courier: str, due_ms: int, people: list[Receiver]
    ) -> int:
        """Make the deliveries of one courier; how many are new."""
        now_ms = self._clock.wall_ms()
        text = msgspec.json.encode(people).decode()
        values = (num, courier, lane, due_ms, now_ms, text)
        made = self.cursor.execute(_DELIVER, values).rowcount
        if made > 0:
            self.cursor.execute(_READY, (lane, courier, max(due_ms, now_ms)))
            if lane < 0:
                self.deliveries.note({(lane, courier, MADE): made}, now_ms)
        return made
