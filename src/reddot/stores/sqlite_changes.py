"""Changes of deliveries in the writer's thread: publications go first. Layer: stores.

Changes are committed behind the publications that wait, and end when others have come: those wait
for a millisecond of changes, and for the end of the one that is being made. While publications come
one after the other they do not wait for the disk either: such a transaction is not synced, and is
answered when the next group of publications has synced all that is before it in the write-ahead
log. Where none comes, after `SHARE_S` or twice that, it is synced by itself. So what is answered is
on the disk, whoever had it written there; and `kill -9` takes nothing that is committed.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import msgspec
import structlog

from reddot.errors import ReddotError
from reddot.ports import Clock
from reddot.stores.sqlite_outreach import OutreachWriter

SHARE_S: Final = 0.02
"""So long a change waits for publications to be synced with, when some have just been."""
HOLD_S: Final = 0.001
"""After this time in one transaction no further change begins, if something has come."""

Change = Callable[[OutreachWriter], Any]
Answers = list[tuple[Callable[[Any], None], Any, int]]
"""Whom to tell what; as the writer has them, with no drafts that waited."""

_log = structlog.get_logger(__name__)


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A change, and whom to tell what it returns."""

    change: Change
    done: Callable[[Any], None]


class Changes:
    """Those that wait, and those that are committed and not on the disk yet.

    Args:
        transaction: all or nothing, synced or not; raises `store_unavailable`.
        hurry: whether something has come that may go first.
    """

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        outreach: OutreachWriter,
        *,
        clock: Clock,
        transaction: Callable[..., AbstractContextManager[None]],
        hurry: Callable[[], bool],
    ) -> None:
        self._cursor = cursor
        self._outreach = outreach
        self._clock = clock
        self._transaction = transaction
        self._hurry = hurry
        self.waiting: deque[Waiting] = deque()
        self._owed: Answers = []
        self._published_s = -SHARE_S

    @property
    def patience_s(self) -> float | None:
        """How long may be waited for other work; None: for ever, nobody is owed anything."""
        if self.waiting:
            return 0.0
        return SHARE_S if self._owed else None

    def published(self) -> Answers:
        """A group of publications is on the disk, and with it what is owed."""
        self._published_s = self._clock.monotonic()
        answers, self._owed = self._owed, []
        return answers

    def run(self, *, idle: bool) -> Answers:
        """Commit what waits, until something comes that may go first.

        Args:
            idle: no publication has come, for so long as there was patience.
        """
        if self.waiting:
            since_s = self._clock.monotonic() - self._published_s
            return self._commit(synced=since_s >= SHARE_S)
        return self._sync() if idle and self._owed else []

    def _commit(self, *, synced: bool) -> Answers:
        taken: list[Waiting] = []
        results: list[Any] = []
        begun_s = self._clock.monotonic()
        try:
            with self._transaction(synced=synced):
                while self.waiting and not (taken and self._is_up(begun_s)):
                    taken.append(self.waiting.popleft())
                    results.append(self._result(taken[-1].change))
        except ReddotError as error:
            failed = [*taken, *self.waiting]
            self.waiting.clear()
            return [(one.done, ReddotError(error.code, error.detail), 0) for one in failed]
        self._owed += [(one.done, result, 0) for one, result in zip(taken, results, strict=True)]
        if not synced:
            return []
        answers, self._owed = self._owed, []
        return answers

    def _is_up(self, begun_s: float) -> bool:
        return self._hurry() and self._clock.monotonic() - begun_s >= HOLD_S

    def _sync(self) -> Answers:
        """Have on the disk what is committed: a transaction that is synced syncs all before it.

        It has to write something, or SQLite leaves the disk alone; this it writes in any case.
        """
        owed, self._owed = self._owed, []
        try:
            with self._transaction():
                self._cursor.execute("PRAGMA user_version = 0")
        except ReddotError as error:
            return [(done, ReddotError(error.code, error.detail), 0) for done, _, _ in owed]
        return owed

    def _result(self, change: Change) -> Any:
        """What a change returns. One that fails takes nothing else of the transaction with it."""
        self._cursor.execute("SAVEPOINT change")
        try:
            result = change(self._outreach)
        except ReddotError as error:
            result = error
        except Exception as error:  # noqa: BLE001 - the boundary: logged and answered
            self._cursor.execute("ROLLBACK TO change")
            self._outreach.forget()
            _log.exception("store_change_failed")
            result = ReddotError("store_unavailable", f"{type(error).__name__}")
        self._cursor.execute("RELEASE change")
        return result
