"""Deletion of what is beyond retention, for the writer's thread of the SQLite store.

Layer: stores. Called inside a transaction. Invariants: of each topic only the oldest rows are
deleted, so the offsets that are left have no hole; readers get the same answers before and after.
"""

from __future__ import annotations

import sqlite3

from reddot.stores.sqlite_retained import Retained
from reddot.stores.sqlite_topics import Topic, Topics, due_ms, json_text

_DUE = "SELECT name FROM topic WHERE due_ms <= ? ORDER BY due_ms LIMIT ?"
_OLDEST = """
SELECT pos, off, time_ms FROM topic_log
WHERE topic_id = ?1 AND pos > (SELECT trimmed_pos FROM topic WHERE id = ?1) ORDER BY pos LIMIT ?2
"""
_DELETE = "DELETE FROM log WHERE pos IN (SELECT value FROM json_each(?))"
_TRIMMED = "UPDATE topic SET trimmed_pos = ?, trimmed_off = ?, due_ms = ? WHERE id = ?"
_STALE_KEYS = """
DELETE FROM idem WHERE id IN (SELECT id FROM idem WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)
"""


class Trimmer:
    """Attributes:
    over: topics that hold more than their count. Kept in memory only: what a restart forgets
        is still hidden from readers, and goes with the next append or with its age.
    """

    def __init__(self, cursor: sqlite3.Cursor, topics: Topics, retained: Retained) -> None:
        self.over: dict[str, None] = {}
        self._retained = retained
        self._cursor = cursor
        self._topics = topics

    def trim(self, *, now_ms: int, rows_max: int, head: int) -> int:
        """Delete at most `rows_max` rows.

        Returns how many rows were used up. Finding that an aged topic has nothing to delete,
        because its rule has changed, uses one up too, so that a call is always bounded.
        """
        left = rows_max
        while left and self.over:
            left -= self._trim_named(list(self.over)[:left], now_ms, left)
        while left and (due := self._cursor.execute(_DUE, (now_ms, left)).fetchall()):
            left -= self._trim_named([name for (name,) in due], now_ms, left)
        if left < rows_max:
            self._cursor.execute("UPDATE meta SET head = ?", (head,))
        left -= self._cursor.execute(_STALE_KEYS, (now_ms, left)).rowcount
        left -= self._retained.trim(now_ms, left)
        return rows_max - left

    def _trim_named(self, names: list[str], now_ms: int, rows_max: int) -> int:
        """Trim topics until `rows_max` is used up; return how much was."""
        missing = [name for name in names if name not in self._topics.by_name]
        self._topics.load(missing)
        left = rows_max
        for name in names:
            topic = self._topics.by_name.get(name)
            if topic is None:  # Created by a transaction that failed.
                self.over.pop(name, None)
            elif left:
                left -= self._trim_topic(name, topic, now_ms, left)
        return rows_max - left

    def _trim_topic(self, name: str, topic: Topic, now_ms: int, rows_max: int) -> int:
        rows = self._cursor.execute(_OLDEST, (topic.id, rows_max + 1)).fetchall()
        beyond = 0
        while beyond < min(len(rows), rows_max) and (
            rows[beyond][1] <= topic.top - topic.count
            or due_ms(rows[beyond][2], topic.age_ms) <= now_ms
        ):
            beyond += 1
        following = due_ms(rows[beyond][2], topic.age_ms) if beyond < len(rows) else None
        if beyond:
            pos, topic.trimmed, _ = rows[beyond - 1]
            self._cursor.execute(_DELETE, (json_text([row[0] for row in rows[:beyond]]),))
            self._cursor.execute(_TRIMMED, (pos, topic.trimmed, following, topic.id))
        else:
            self._cursor.execute("UPDATE topic SET due_ms = ? WHERE id = ?", (following, topic.id))
        if topic.top - topic.trimmed <= topic.count:
            self.over.pop(name, None)
        return max(beyond, 1)
