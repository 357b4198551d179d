"""Inserts of many rows per statement, for the writer of the SQLite store. Layer: stores.

sqlite3 gives up the interpreter's lock once per step, and a busy loop is slow to give it back.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final


class Rows:
    """Inserts into one table. `into` is the statement up to its column names."""

    SIZES: Final = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)

    def __init__(self, into: str, columns: int) -> None:
        self._columns = columns
        row = f"({','.join('?' * columns)})"
        self._statements = [(n, f"{into} VALUES {','.join([row] * n)}") for n in self.SIZES]

    def insert(self, cursor: sqlite3.Cursor, values: list[Any]) -> None:
        """Insert rows whose values follow each other in one list."""
        at, left = 0, len(values) // self._columns
        for size, statement in self._statements:
            while left >= size:
                end = at + size * self._columns
                cursor.execute(statement, values[at:end])
                at, left = end, left - size
