"""How what has come back from snoozes dies with its notification. Layer: stores.

In the writer's thread, inside a transaction. Very many people may have got one notification back,
each in a row of their own: these die in bounded steps, and `ending` says where to go on. What is
not dead yet is listed and counted as before, so every list and every badge agree at every step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

LIVE, EXPIRED, RETRACTED, REPLACED = range(4)

_LIVE_WOKEN: Final = """
SELECT topic.name, n.topic_id, n.pos, n.seq
FROM woken AS w CROSS JOIN note AS n JOIN topic ON topic.id = n.topic_id
WHERE w.num = ?1 AND (?2 = 0 OR w.origin = ?2) AND (w.topic_id, w.pos) > (?3, ?4)
  AND n.topic_id = w.topic_id AND n.pos = w.pos AND n.dead = 0
ORDER BY w.topic_id, w.pos LIMIT ?5
"""
_OPEN: Final = """
SELECT num, origin, ending.state, topic_id, pos, id FROM ending JOIN notification USING (num)
ORDER BY num, origin LIMIT 1
"""
_PUT: Final = "INSERT OR REPLACE INTO ending VALUES (?,?,?,?,?)"
KILL: Final = "UPDATE note SET dead = ? WHERE topic_id = ? AND pos = ?"
DIED: Final = """
INSERT INTO inbox_topic (topic_id, died_pos) VALUES (?, ?)
ON CONFLICT (topic_id) DO UPDATE SET died_pos = excluded.died_pos
"""


class Dying:
    """What dies in one step.

    Args:
        rows_max: rows that may die.

    Attributes:
        left: rows that still may.
        died, retracted: as in `inbox.Effect`.
        open: something is left to `go_on` with.
    """

    def __init__(self, cursor: sqlite3.Cursor, rows_max: int, position: int) -> None:
        self.died: dict[str, tuple[int, ...]] = {}
        self.retracted: dict[str, tuple[str, ...]] = {}
        self.left = rows_max
        self.open = False
        self._cursor = cursor
        self._position = position

    def kill(self, rows: Sequence[Any], state: int) -> None:
        """Let rows of inboxes die: name and id of the topic, position, seq of each."""
        self._cursor.executemany(KILL, [(state, topic_id, pos) for _, topic_id, pos, _ in rows])
        self._cursor.executemany(DIED, [(topic_id, self._position) for _, topic_id, _, _ in rows])
        for name, _, _, seq in rows:
            self.add(name, (seq,))
        self.left -= len(rows)

    def add(self, name: str, seqs: tuple[int, ...]) -> None:
        """Say that some have died, whose rows are gone."""
        self.died[name] = self.died.get(name, ()) + seqs

    def end(self, number: int, origin: int, state: int) -> None:
        """Let what has come back of one die, as far as it goes; the rest is for `go_on`.

        Args:
            origin: id of the topic that it was sent to; 0: whichever.
        """
        self._step(number, origin, state, (0, 0))

    def hasten(self, number: int, state: int) -> None:
        """Say of one that is dying already why it dies now."""
        update = "UPDATE ending SET state = ? WHERE num = ?"
        self.open = self._cursor.execute(update, (state, number)).rowcount > 0

    def go_on(self) -> bool:
        """Go on with one of those that were left; False: there is none, or nothing more may die."""
        if self.left <= 0:
            return False
        row = self._cursor.execute(_OPEN).fetchone()
        if row is None:
            return False
        number, origin, state, topic_id, pos, id = row
        names = self._step(number, origin, state, (topic_id, pos))
        if state == RETRACTED:
            self.retracted[id] = self.retracted.get(id, ()) + names
        return True

    def _step(
        self, number: int, origin: int, state: int, after: tuple[int, int]
    ) -> tuple[str, ...]:
        """The next rows die; in which topics."""
        most = max(1, self.left)
        rows = self._cursor.execute(_LIVE_WOKEN, (number, origin, *after, most)).fetchall()
        self.kill(rows, state)
        if len(rows) == most:
            self.open = True
            _, topic_id, pos, _ = rows[-1]
            self._cursor.execute(_PUT, (number, origin, state, topic_id, pos))
        elif after != (0, 0):
            delete = "DELETE FROM ending WHERE num = ? AND origin = ?"
            self._cursor.execute(delete, (number, origin))
        return tuple(dict.fromkeys(name for name, *_ in rows))
