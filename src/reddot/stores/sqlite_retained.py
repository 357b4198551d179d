"""Retained publications, for the writer's thread of the SQLite store.

Layer: stores. Called inside a transaction. Invariants: after a commit the counts are what the table
says; after a failed one they are forgotten and read again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Sequence
from typing import Any, Final

from reddot.core.retaining import NOBODY, Retainers, clears
from reddot.errors import ReddotError
from reddot.model import USERS_ROOT, Draft, RetainedLimits
from reddot.stores.sqlite_rows import Rows
from reddot.stores.sqlite_topics import Topic, Topics, json_text

_INTO: Final = Rows("INSERT OR REPLACE INTO retained", 11)
_CLEAR: Final = "DELETE FROM retained WHERE topic_id IN (SELECT value FROM json_each(?))"
_COUNTS: Final = "SELECT retainer, count(*) FROM retained GROUP BY retainer"
_STALE: Final = """
SELECT pos, name, retainer FROM retained JOIN topic ON topic.id = topic_id
WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?
"""
_DISOWN: Final = "UPDATE retained SET retainer = '' WHERE retainer = ?"


class Retained:
    """`count`: topics with a retained publication, as of the last commit."""

    def __init__(self, cursor: sqlite3.Cursor, topics: Topics, limits: RetainedLimits) -> None:
        self._cursor = cursor
        self._topics = topics
        self._limits = limits
        # The last word per topic: a row, or None if it was cleared.
        self._staged: dict[Topic, tuple[Any, ...] | None] = {}
        self._known: Retainers | None = None
        self.count = self._retainers.total

    @property
    def _retainers(self) -> Retainers:
        if self._known is None:
            self._known = Retainers(self._limits, dict(self._cursor.execute(_COUNTS).fetchall()))
        return self._known

    def committed(self) -> None:
        if self._known is not None:
            self.count = self._known.total

    def forget(self) -> None:
        """The transaction has failed."""
        self._known = None
        self._staged.clear()

    def check(self, batch: Sequence[Draft], known: Container[str]) -> ReddotError | None:
        """The error if a batch would retain more topics than are allowed. `known`: ids that are
        stored already."""
        last = {
            draft.topic: draft
            for draft in batch
            if draft.retain and not (draft.keyed and draft.id in known)
        }
        if not last:
            return None
        by_name = self._topics.by_name
        return self._retainers.check(
            (
                topic.retainer if (topic := by_name.get(name)) else None,
                None if clears(draft) else draft.retainer,
            )
            for name, draft in last.items()
        )

    def stage(self, topic: Topic, draft: Draft, row: tuple[Any, ...]) -> None:
        """A retained draft has its row of the log."""
        retainer = None if clears(draft) else draft.retainer
        self._staged[topic] = None if retainer is None else (*row, retainer)
        self._move(topic, retainer)

    def _move(self, topic: Topic, retainer: str | None) -> None:
        self._retainers.change(topic.retainer, retainer)
        topic.retainer = retainer

    def write(self) -> None:
        """Hand what is staged to SQLite."""
        if not self._staged:
            return
        cleared = [topic.id for topic, row in self._staged.items() if row is None]
        if cleared:
            self._cursor.execute(_CLEAR, (json_text(cleared),))
        _INTO.insert(self._cursor, [v for row in self._staged.values() if row for v in row])
        self._staged.clear()

    def trim(self, now_ms: int, rows_max: int) -> int:
        """Delete at most `rows_max` that have expired; how many there were."""
        rows = self._cursor.execute(_STALE, (now_ms, rows_max)).fetchall()
        for pos, name, retainer in rows:
            self._cursor.execute("DELETE FROM retained WHERE pos = ?", (pos,))
            self._retainers.change(retainer, None)
            if (topic := self._topics.by_name.get(name)) is not None:
                topic.retainer = None
        return len(rows)

    def erase(self, user: str) -> None:
        """Forget a person; what they have retained for others stays, and is nobody's."""
        self.write()
        own = f"{USERS_ROOT}/{user}"
        self._topics.load({own}.difference(self._topics.by_name))
        if (topic := self._topics.by_name.get(own)) is not None:
            self._cursor.execute(_CLEAR, (json_text([topic.id]),))
            self._move(topic, None)
        self._cursor.execute(_DISOWN, (user,))
        for _ in range(self._retainers.of(user)):
            self._retainers.change(user, NOBODY)
        for topic in self._topics.by_name.values():
            if topic.retainer == user:
                topic.retainer = NOBODY
