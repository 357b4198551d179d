"""What the writer of the SQLite store knows about topics, so that an append asks no table.

Layer: stores. Used by the writer's thread alone. Invariants: after a commit, every cached state
is what the database says; after a failed one, everything is forgotten and read again.

Memory: about 300 bytes per cached topic, name included; 20 MB at the default of 65,536.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from itertools import islice
from typing import Final

import msgspec

from reddot.model import Retention

TOPICS_CACHED_MAX: Final = 65_536
_INT_MAX: Final = 2**63 - 1

# An appended row changes nothing in `topic`: the newest offset is that of the last row of the
# topic, or the last trimmed one. That saves a page write per append.
_LOAD: Final = """
SELECT name, id, trimmed_off,
  (SELECT off FROM log WHERE pos = (SELECT pos FROM topic_log WHERE topic_id = topic.id
    AND pos > trimmed_pos ORDER BY pos DESC LIMIT 1)),
  (SELECT retainer FROM retained WHERE topic_id = topic.id),
  (SELECT seq FROM note WHERE topic_id = topic.id ORDER BY pos DESC LIMIT 1),
  (SELECT base FROM inbox_topic WHERE topic_id = topic.id)
FROM topic WHERE name IN (SELECT value FROM json_each(?))
"""


def json_text(values: Collection[str] | Collection[int]) -> str:
    """The values as a JSON array: a list of any length as one parameter for `json_each`."""
    return msgspec.json.encode(list(values)).decode()


def due_ms(time_ms: int, age_ms: int) -> int:
    """The first millisecond at which a row of `time_ms` is beyond the age limit."""
    return min(time_ms + age_ms + 1, _INT_MAX)


class Topic:
    """One topic as the writer needs it.

    Attributes:
        top: offset of its newest publication; 0 if there was never one.
        trimmed: offset of the newest deleted one. `top == trimmed`: it has no rows.
        count, age_ms: its retention.
        retainer: for whom its retained publication is counted; None: it has none.
        notes: seq of its newest notification; 0 if there was never one.
        notes_base: its notifications up to this seq are deleted.
    """

    __slots__ = ("age_ms", "count", "id", "notes", "notes_base", "retainer", "top", "trimmed")

    def __init__(self, number: int, retention: Retention) -> None:
        self.id = number
        self.top = 0
        self.trimmed = 0
        self.count = retention.count
        self.age_ms = retention.age_ms
        self.retainer: str | None = None
        self.notes = 0
        self.notes_base = 0


class Topics:
    """The cache. The oldest entries go first, whether used or not: a miss costs 10 µs."""

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        *,
        retention: Callable[[str], Retention],
        cached_max: int,
    ) -> None:
        self.by_name: dict[str, Topic] = {}
        self._cursor = cursor
        self._retention = retention
        self._cached_max = cached_max
        self._last_id: int | None = None

    def forget(self) -> None:
        """Drop everything; call after a transaction that failed. Its new ids stay unused."""
        self.by_name.clear()

    def load(self, names: Collection[str]) -> None:
        """Read those of the names that exist and are not cached, in one statement."""
        if not names:
            return
        for name, number, trimmed, top, retainer, notes, base in self._cursor.execute(
            _LOAD, (json_text(names),)
        ):
            topic = Topic(number, self._retention(name))
            topic.trimmed = trimmed
            topic.top = max(trimmed, top or 0)
            topic.retainer = retainer
            topic.notes_base = base or 0
            topic.notes = max(topic.notes_base, notes or 0)
            self.by_name[name] = topic

    def create(self, name: str) -> Topic:
        """A topic that `load` did not find; the caller writes its row."""
        if self._last_id is None:
            row = self._cursor.execute("SELECT ifnull(max(id), 0) FROM topic").fetchone()
            self._last_id = int(row[0])
        self._last_id += 1
        topic = self.by_name[name] = Topic(self._last_id, self._retention(name))
        return topic

    def shrink(self) -> None:
        """Keep within the limit; call between transactions."""
        excess = len(self.by_name) - self._cached_max
        if excess > 0:
            # An eighth more than needed, so that this is not asked for again at once.
            for name in list(islice(self.by_name, excess + self._cached_max // 8)):
                del self.by_name[name]
