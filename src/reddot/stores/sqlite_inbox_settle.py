"""How notifications of the SQLite store die, and how they are forgotten. Layer: stores.

In the writer's thread, inside a transaction, in bounded steps. A notification dies when it
expires, is retracted or replaced: its rows stay, marked, until retention takes them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from reddot.core.muting import in_force
from reddot.errors import ReddotError
from reddot.inbox import INBOX_TOPIC, STEP_ROWS, Effect, Keep, Preferences
from reddot.model import USERS_ROOT
from reddot.ports import Clock
from reddot.stores import sqlite_people
from reddot.stores.sqlite_ending import (
    DIED,
    EXPIRED,
    KILL,
    LIVE,
    REPLACED,
    RETRACTED,
    Dying,
)
from reddot.stores.sqlite_preferences import preferences_in, put_preferences
from reddot.stores.sqlite_topics import Topics, json_text

# `topics` is an integer or a JSON array, and json_each takes both; `key` of an integer is NULL.
_LIVE_NOTES: Final = """
SELECT topic.name, n.topic_id, n.pos, n.seq
FROM json_each(?1) AS j CROSS JOIN note AS n JOIN topic ON topic.id = n.topic_id
WHERE n.topic_id = j.value AND n.pos = ?2 + ifnull(j.key, 0) AND n.dead = 0
"""
_NEWEST: Final = """
SELECT num, topics, state FROM notification WHERE id = ? ORDER BY num DESC LIMIT 1
"""
_STATE: Final = "UPDATE notification SET state = ? WHERE num = ?"
_EXPIRED: Final = """
SELECT num, topics, state FROM notification
WHERE expires_ms IS NOT NULL AND state = 0 AND expires_ms <= ? ORDER BY expires_ms LIMIT ?
"""
_STALE: Final = """
SELECT num, topics, state FROM notification WHERE keep_ms <= ? ORDER BY keep_ms LIMIT ?
"""
_UNMUTED: Final = """
SELECT id, name, preferences FROM person
WHERE mute_ms IS NOT NULL AND mute_ms <= ? ORDER BY mute_ms LIMIT ?
"""
_LIVE_SEQS: Final = "SELECT seq FROM note WHERE topic_id = ? AND dead = 0 ORDER BY pos"
_DELETE_NOTES: Final = """
DELETE FROM note WHERE (topic_id, pos) IN
  (SELECT value, ?2 + ifnull(key, 0) FROM json_each(?1))
"""
_BASE: Final = """
INSERT INTO inbox_topic (topic_id, base) VALUES (?, ?)
ON CONFLICT (topic_id) DO UPDATE SET base = excluded.base
"""
# Rows of the log that outlive their row of `note`, through which they are found, get data of their
# own; what is not to be seen any more has expired.
_RELEASE: Final = """
UPDATE log SET (data, expires_ms) = (SELECT n.data, log.expires_ms FROM notification AS n
    WHERE n.num = log.data AND n.state <> 2 UNION ALL SELECT x'6e756c6c', 0 LIMIT 1)
WHERE typeof(data) = 'integer' AND pos IN (SELECT value FROM json_each(?))
"""
_BLANK: Final = """
UPDATE log SET data = x'6e756c6c', expires_ms = 0
WHERE pos IN (SELECT pos FROM topic_log WHERE topic_id = ?)
"""
_FIRST: Final = "SELECT seq FROM note WHERE topic_id = ? ORDER BY pos LIMIT 1"
_OLDEST: Final = (
    "SELECT pos, seq, dead FROM note WHERE topic_id = ? AND seq <= ? ORDER BY pos LIMIT ?"
)
_INDEX: Final = """
INSERT INTO notification_text (rowid, title, text)
SELECT num, json_extract(CAST(data AS TEXT), '$.title'), json_extract(CAST(data AS TEXT), '$.body')
FROM notification WHERE num > ? AND num <= ?
"""
_UNINDEX: Final = """
INSERT INTO notification_text (notification_text, rowid, title, text)
SELECT 'delete', num, json_extract(CAST(data AS TEXT), '$.title'),
  json_extract(CAST(data AS TEXT), '$.body') FROM notification
WHERE num = ? AND num <= (SELECT indexed FROM inbox_meta)
"""
_INDEXED_UPTO: Final = """
SELECT max(num), count(*) FROM
  (SELECT num FROM notification WHERE num > ? ORDER BY num LIMIT ?)
"""


class Settling:
    """Attributes:
    over: topics that hold more than their count of notifications. Kept in memory only; what a
        restart forgets goes with the next one on the topic.
    """

    def __init__(self, cursor: sqlite3.Cursor, topics: Topics, *, clock: Clock, keep: Keep) -> None:
        self.over: dict[str, None] = {}
        self._cursor = cursor
        self._topics = topics
        self._clock = clock
        self._keep = keep

    # ---- dying ----

    def retract(self, id: str, rows_max: int, position: int) -> Effect:
        """Take one notification back, from the inboxes and from what is replayed.

        Raises:
            ReddotError: `not_found`.
        """
        row = self._cursor.execute(_NEWEST, (id,)).fetchone()
        if row is None:
            raise ReddotError("not_found", "no such notification")
        number, topics, before = row
        dying = Dying(self._cursor, rows_max, position)
        self._kill(number, topics, before, RETRACTED, dying)
        retracted = {id: tuple(dying.died)}
        return Effect(died=dying.died, retracted=retracted, more=dying.open)

    def _kill(self, number: int, topics: Any, before: int, state: int, dying: Dying) -> None:
        """Let what is live of one notification die; what was dead before changes its state.

        What goes beyond the step is left to `settle`.
        """
        most = dying.left - 1  # Finding nothing costs, too.
        dying.kill(self._cursor.execute(_LIVE_NOTES, (_json(topics), number)).fetchall(), state)
        self._cursor.execute(_STATE, (state, number))
        if before == LIVE:
            dying.end(number, 0, state)
        else:
            dying.hasten(number, state)
        dying.left = min(dying.left, most)

    def replace_woken(self, replaced: Iterable[tuple[int, int]], position: int) -> Effect:
        """Let what has come back of those die that were replaced: number and topic of each."""
        dying = Dying(self._cursor, STEP_ROWS, position)
        for number, topic_id in replaced:
            dying.end(number, topic_id, REPLACED)
        return Effect(died=dying.died, more=dying.open)

    def replace(self, topic_id: int, key: str, position: int) -> tuple[int, int]:
        """Make the notification at `position` the live one of a collapse key.

        Returns the replaced seq and the number of its notification; 0 and 0 if there is none.
        """
        select = "SELECT pos FROM collapse WHERE topic_id = ? AND name = ?"
        row = self._cursor.execute(select, (topic_id, key)).fetchone()
        put = "INSERT OR REPLACE INTO collapse VALUES (?,?,?)"
        self._cursor.execute(put, (topic_id, key, position))
        if row is None:
            return 0, 0
        select = "SELECT seq, num FROM note WHERE topic_id = ? AND pos = ? AND dead = 0"
        found = self._cursor.execute(select, (topic_id, row[0])).fetchone()
        if found is None:
            return 0, 0
        self._cursor.execute(KILL, (REPLACED, topic_id, row[0]))
        whole = "UPDATE notification SET state = ? WHERE num = ? AND typeof(topics) = 'integer'"
        self._cursor.execute(whole, (REPLACED, found[1]))
        return int(found[0]), int(found[1])

    # ---- settling ----

    def settle(self, rows_max: int, position: int) -> Effect:
        """Let due ones die, and delete old ones: at most about `rows_max` rows of inboxes."""
        now_ms = self._clock.wall_ms()
        dying = Dying(self._cursor, rows_max, position)
        while dying.go_on():
            pass
        due = self._cursor.execute(_EXPIRED, (now_ms, rows_max)).fetchall()
        for number, topics, state in due:
            if dying.left > 0:
                self._kill(number, topics, state, EXPIRED, dying)
        stale = self._cursor.execute(_STALE, (now_ms, rows_max)).fetchall()
        for number, topics, state in stale:
            if dying.left > 0:
                self._bury(number, topics, state, dying)
        for name in list(self.over):
            if dying.left > 0:
                self._shorten(name, position, dying)
        left = dying.left
        unmuted = self._unmute(left, now_ms, position) if left > 0 else {}
        return Effect(
            died=dying.died,
            retracted=dying.retracted,
            unmuted=unmuted,
            more=left <= len(unmuted),
        )

    def _unmute(self, rows_max: int, now_ms: int, position: int) -> dict[str, Preferences]:
        """End the mutes whose time has come; the preferences of those whose they were."""
        unmuted: dict[str, Preferences] = {}
        rows = self._cursor.execute(_UNMUTED, (now_ms, rows_max)).fetchall()
        for person, user, text in rows:
            unmuted[user] = left = in_force(preferences_in(text), now_ms)
            put_preferences(self._cursor, person, left, position)
        return unmuted

    def _bury(self, number: int, topics: Any, state: int, dying: Dying) -> None:
        """Let one notification die that is too old, and delete it as far as the step goes."""
        if state == LIVE:
            self._kill(number, topics, state, EXPIRED, dying)
            if dying.left <= 0:
                return
        most = dying.left
        ids = self._delete_woken(number, most)
        dying.left -= max(state != LIVE, len(ids))
        if len(ids) < most:
            ids += self._delete(number, topics)
        for topic_id in ids:
            self._rebase(topic_id)

    def _delete(self, number: int, topics: Any) -> list[int]:
        """Delete one notification and its rows; in which topics they were."""
        ids: list[int] = [topics] if isinstance(topics, int) else msgspec.json.decode(topics)
        self._release(range(number, number + len(ids)))
        self._cursor.execute(_DELETE_NOTES, (_json(topics), number))
        self._forget(number)
        return ids

    def _delete_woken(self, number: int, rows_max: int) -> list[int]:
        """Delete rows of one notification that has come back; in which topics they were."""
        select = "SELECT topic_id, pos FROM woken WHERE num = ? LIMIT ?"
        rows = self._cursor.execute(select, (number, rows_max)).fetchall()
        if rows:
            self._release(pos for _, pos in rows)
            for table in ("note", "woken"):
                delete = f"DELETE FROM {table} WHERE topic_id = ? AND pos = ?"  # noqa: S608 - ours
                self._cursor.executemany(delete, rows)
        return [topic_id for topic_id, _ in rows]

    def _forget(self, number: int) -> None:
        """Delete what was sent, once for all it was sent to."""
        self._cursor.execute(_UNINDEX, (number,))
        self._cursor.execute("DELETE FROM notification WHERE num = ?", (number,))
        self._cursor.execute("DELETE FROM reached WHERE num = ?", (number,))
        self._cursor.execute("DELETE FROM ending WHERE num = ?", (number,))

    def _release(self, positions: Iterable[int]) -> None:
        """Let rows of the log be found without their rows of inboxes, which are to be deleted."""
        self._cursor.execute(_RELEASE, (json_text(list(positions)),))

    def _rebase(self, topic_id: int) -> None:
        """Set the base of a topic to below its first row that is left."""
        name = self._cursor.execute("SELECT name FROM topic WHERE id = ?", (topic_id,)).fetchone()
        if name is None:  # Erased.
            return
        if name[0] not in self._topics.by_name:
            self._topics.load([name[0]])
        topic = self._topics.by_name[name[0]]
        first = self._cursor.execute(_FIRST, (topic_id,)).fetchone()
        base = topic.notes if first is None else first[0] - 1
        if base > topic.notes_base:
            topic.notes_base = base
            self._cursor.execute(_BASE, (topic_id, base))

    def _shorten(self, name: str, position: int, dying: Dying) -> None:
        """Delete what a topic has beyond its count, as far as the step goes."""
        if name not in self._topics.by_name:
            self._topics.load([name])
        topic = self._topics.by_name[name]
        upto, rows_max = topic.notes - self._keep.count, dying.left
        rows = self._cursor.execute(_OLDEST, (topic.id, upto, rows_max)).fetchall()
        if len(rows) < rows_max:
            self.over.pop(name, None)
        if not rows:
            return
        dying.left -= len(rows)
        self._release(pos for pos, _, _ in rows)
        for table in ("note", "woken"):
            delete = f"DELETE FROM {table} WHERE topic_id = ? AND pos <= ?"  # noqa: S608 - ours
            self._cursor.execute(delete, (topic.id, rows[-1][0]))
        live = tuple(seq for _, seq, dead in rows if not dead)
        if live:
            self._cursor.execute(DIED, (topic.id, position))
            dying.add(name, live)
        self._rebase(topic.id)

    # ---- finding ----

    def index(self, rows_max: int) -> int:
        """As `InboxWriter.index`."""
        after = self._cursor.execute("SELECT indexed FROM inbox_meta").fetchone()[0]
        upto, rows = self._cursor.execute(_INDEXED_UPTO, (after, rows_max)).fetchone()
        if rows:
            self._cursor.execute(_INDEX, (after, upto))
            self._cursor.execute("UPDATE inbox_meta SET indexed = ?", (upto,))
        return int(rows)

    def index_lag(self, head: int) -> int:
        """How many positions there are that the index has not looked at."""
        after: int = self._cursor.execute("SELECT indexed FROM inbox_meta").fetchone()[0]
        return head - after

    # ---- forgetting a person ----

    def erase(self, user: str, position: int) -> Effect:
        """Delete everything that is kept of one person; seqs and offsets stay used."""
        own = f"{USERS_ROOT}/{user}"
        person = "(SELECT id FROM person WHERE name = ?)"
        self._cursor.execute(f"DELETE FROM marks WHERE person_id = {person}", (user,))  # noqa: S608
        self._cursor.execute("DELETE FROM person WHERE name = ?", (user,))
        sqlite_people.erase(self._cursor, user)
        self._topics.load([name for name in (own, INBOX_TOPIC) if name not in self._topics.by_name])
        for name in (own, INBOX_TOPIC):
            if (found := self._topics.by_name.get(name)) is not None:
                self._cursor.execute(_BLANK, (found.id,))
        topic = self._topics.by_name.get(own)
        live: tuple[int, ...] = ()
        if topic is not None:
            rows = self._cursor.execute(_LIVE_SEQS, (topic.id,)).fetchall()
            live = tuple(seq for (seq,) in rows)
            self._cursor.execute(DIED, (topic.id, position))
            self._erase_notes(topic.id)
            self._cursor.execute("DELETE FROM note WHERE topic_id = ?", (topic.id,))
            self._cursor.execute("DELETE FROM woken WHERE topic_id = ?", (topic.id,))
            self._cursor.execute("DELETE FROM collapse WHERE topic_id = ?", (topic.id,))
            self._rebase(topic.id)
        return Effect(user=user, erased=True, died={own: live} if topic else {})

    def _erase_notes(self, topic_id: int) -> None:
        """Delete what was sent to one person only, and their place among the receivers of more."""
        numbers = "SELECT DISTINCT num FROM note WHERE topic_id = ?"
        for (number,) in self._cursor.execute(numbers, (topic_id,)).fetchall():
            select = "SELECT topics FROM notification WHERE num = ?"
            row = self._cursor.execute(select, (number,)).fetchone()
            if row is None:
                continue
            if isinstance(row[0], int):
                if row[0] == topic_id:  # Else it was sent to a topic, and has come back here.
                    self._forget(number)
            else:
                ids: list[int] = msgspec.json.decode(row[0])
                left = json_text([0 if one == topic_id else one for one in ids])
                update = "UPDATE notification SET topics = ? WHERE num = ?"
                self._cursor.execute(update, (left, number))


def _json(topics: int | str) -> str:
    return str(topics)
