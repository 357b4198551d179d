"""The default store: one SQLite file, one writer's thread, two readers' threads. Layer: stores.

This module is the loop's side: it counts what waits, hands work to the threads and calls back.
The writer is in `sqlite_writer`, reading in `sqlite_reader`, the file and its schema in
`sqlite_file`.

Invariants: `head`, `retained_count` and the number of waiting drafts change in the loop's thread
only, `head` before the appends of that commit are answered; answers come in the order of appends.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec
import structlog

from reddot.errors import ReddotError, StoreError
from reddot.inbox import Audit, Due, InboxPage, Keep, Sent, View, Warm
from reddot.model import (
    ClientRow,
    Draft,
    Page,
    Publication,
    RetainedLimits,
    Retention,
    TopicState,
)
from reddot.outreach import DeliveryKeep
from reddot.ports import AppendDone, ClientRows, Clock, Deliveries, Inbox
from reddot.stores import sqlite_file
from reddot.stores.sqlite_outreach import OutreachWriter
from reddot.stores.sqlite_queue import SqliteDeliveries
from reddot.stores.sqlite_reader import Snapshot
from reddot.stores.sqlite_topics import TOPICS_CACHED_MAX
from reddot.stores.sqlite_writer import Answer, Writer

READERS: Final = 2
QUEUE_DRAFTS_MAX: Final = 10_000
IDEMPOTENCY_MS: Final = 86_400_000
KEEP_DEFAULT: Final = Keep()
DELIVERY_KEEP_DEFAULT: Final = DeliveryKeep()
RETAINED_DEFAULT: Final = RetainedLimits()
INDEX_ROWS: Final = 500
SWITCH_INTERVAL_S: Final = 0.0001

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class SqliteStore:
    """`ports.Store` and `ports.Inbox` in one file. What it acknowledges is on the disk.

    Args:
        path: the database; a lock file and SQLite's own files appear beside it. Its folder must
            exist, on a local file system.
        retention: how much of a topic is kept. Called from several threads; must always answer
            the same.
        new_epoch: asked once in the life of the file.
        call_soon: runs a callable in the loop's thread, in order; by default that of the loop
            that runs `open`.
        queue_drafts_max: drafts that may wait for their answer; one more is `overloaded`.
        idempotency_ms: how long the id of a keyed draft is remembered.
        keep: how much is kept for inboxes.
        keep_deliveries: how much is kept of deliveries.
        retained: how many topics may be retained.
        topics_cached_max: topics whose newest offset is kept in memory, 300 bytes each.
        switch_interval_s: upper limit set on `sys.setswitchinterval`, for the whole process. With
            Python's 5 ms a thread that wants the interpreter back from a busy loop may wait for
            seconds, because the loop lets go and takes it again before the thread has woken up.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Clock,
        retention: Callable[[str], Retention],
        new_epoch: Callable[[], int],
        call_soon: Callable[[Callable[[], None]], object] | None = None,
        queue_drafts_max: int = QUEUE_DRAFTS_MAX,
        idempotency_ms: int = IDEMPOTENCY_MS,
        keep: Keep = KEEP_DEFAULT,
        keep_deliveries: DeliveryKeep = DELIVERY_KEEP_DEFAULT,
        retained: RetainedLimits = RETAINED_DEFAULT,
        topics_cached_max: int = TOPICS_CACHED_MAX,
        switch_interval_s: float = SWITCH_INTERVAL_S,
    ) -> None:
        self.sqlite_version: Final = sqlite3.sqlite_version
        self._path = Path(path)
        self._clock = clock
        self._retention = retention
        self._new_epoch = new_epoch
        self._call_soon = call_soon
        self._queue_drafts_max = queue_drafts_max
        self._idempotency_ms = idempotency_ms
        self._keep = keep
        self.locked = keep.locked
        self._retained = retained
        self._deliveries = SqliteDeliveries(
            clock=clock, keep=keep_deliveries, ask=self._read, change=self._change
        )
        self._topics_cached_max = topics_cached_max
        self._switch_interval_s = switch_interval_s
        self._epoch = 0
        self._head = 0
        self._retained_count = 0
        self._waiting = 0
        self._lock: int | None = None
        self._writer: Writer | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._connections: deque[sqlite3.Connection] = deque()
        self._closing: asyncio.Future[None] | None = None

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def head(self) -> int:
        return self._head

    @property
    def retained_count(self) -> int:
        return self._retained_count

    @property
    def inbox(self) -> Inbox:
        return self

    @property
    def clients(self) -> ClientRows:
        return self

    @property
    def deliveries(self) -> Deliveries:
        return self._deliveries

    def describe(self) -> str:
        """One line for the start-up log. SQLite's version matters: see `sqlite_file`."""
        return f"sqlite {self.sqlite_version}, synchronous=FULL, {self._path}"

    # ---- open and close ----

    async def open(self) -> None:
        """Lock, open or create, migrate, start the threads.

        Raises:
            StoreError: in use by another process, newer schema, not a database, no such folder.
        """
        assert self._lock is None, "a store is opened once"
        loop = asyncio.get_running_loop()
        if self._call_soon is None:
            self._call_soon = loop.call_soon_threadsafe
        await loop.run_in_executor(None, self._open)
        if sys.getswitchinterval() > self._switch_interval_s:
            sys.setswitchinterval(self._switch_interval_s)

    def _open(self) -> None:
        sqlite_file.check_version()
        # Two names for one file must meet at one lock.
        self._path = self._path.resolve()
        self._lock = sqlite_file.take_lock(self._path)
        try:
            self._open_database()
        except (OSError, sqlite3.Error, StoreError) as error:
            raise StoreError(f"{self._path}: {error}") from error
        finally:
            if self._writer is None:
                self._release()

    def _open_database(self) -> None:
        assert self._call_soon is not None
        connection = sqlite_file.connect_writer(self._path)
        try:
            taken = sqlite_file.migrate(connection, now_ms=self._clock.wall_ms())
            self._epoch, self._head = sqlite_file.load_meta(connection, new_epoch=self._new_epoch)
            for _ in range(READERS):
                self._connections.append(sqlite_file.connect_reader(self._path))
            writer = Writer(
                connection,
                head=self._head,
                clock=self._clock,
                retention=self._retention,
                call_soon=self._call_soon,
                answered=self._answer,
                idempotency_ms=self._idempotency_ms,
                topics_cached_max=self._topics_cached_max,
                keep=self._keep,
                retained=self._retained,
            )
        except BaseException:
            connection.close()
            raise
        self._retained_count = writer.retained_count
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reddot-sqlite-reader")
        self._writer = writer
        writer.start()
        if taken:
            _log.info("store_migrated", path=str(self._path), steps=taken)

    async def aclose(self) -> None:
        """Store and answer what was appended, then close. Safe to call twice, also at once."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().run_in_executor(None, self._close)
        await asyncio.shield(self._closing)

    def _close(self) -> None:
        if self._readers is not None:
            self._readers.shutdown()
        while self._connections:
            # The readers first: the last connection to go is the writer, which checkpoints.
            self._connections.pop().close()
        if self._writer is not None:
            self._writer.stop()
        self._release()

    def _release(self) -> None:
        while self._connections:
            self._connections.pop().close()
        if self._lock is not None:
            sqlite_file.release_lock(self._lock)
            self._lock = None

    # ---- writing ----

    def append(
        self, drafts: Sequence[Draft], done: AppendDone, clients: Sequence[ClientRow] = ()
    ) -> None:
        """As `ports.Store.append`. Appends that wait together share one sync of the disk."""
        writer = self._writer
        if writer is None or self._closing is not None:
            closed = ReddotError("store_unavailable", "the store is closed")
            asyncio.get_running_loop().call_soon(done, closed)
        elif self._waiting + len(drafts) > self._queue_drafts_max:
            # Answered in its turn, after those that wait: answers keep the order of appends.
            writer.append(None, done)
        else:
            self._waiting += len(drafts)
            writer.append(drafts, done, clients)

    def _answer(self, answers: Sequence[Answer], head: int, retained_count: int) -> None:
        self._head = head
        self._retained_count = retained_count
        for done, result, drafts in answers:
            self._waiting -= drafts
            try:
                done(result)
            except Exception:  # noqa: BLE001 - the boundary: logged, and the others go on
                _log.exception("store_done_failed")

    async def trim(self, *, rows_max: int) -> int:
        """As `ports.Store.trim`. Runs between two commits, so `rows_max` is what a publish waits.

        Expired retained publications count as rows. So does finding that a topic has nothing to
        delete yet, because its rule has changed.
        """
        rows: int = await self._between(lambda writer, done: writer.trim(rows_max, done))
        return rows

    async def _index(self) -> int:
        rows: int = await self._between(lambda writer, done: writer.index(INDEX_ROWS, done))
        return rows

    async def _between(self, ask: Callable[[Writer, Callable[[Any], None]], None]) -> Any:
        """What the writer answers to a job between two groups."""
        if self._writer is None or self._closing is not None:
            raise ReddotError("store_unavailable", "the store is closed")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ask(self._writer, partial(_resolve, answer))
        result = await answer
        if isinstance(result, ReddotError):
            raise result
        return result

    # ---- reading ----

    async def read(
        self, filters: Sequence[str] | None, *, after: int, upto: int, limit: int
    ) -> Page:
        """As `ports.Store.read`; nothing beyond `head` is ever called complete.

        Gaps of `filters` None are told as those of the filter `#`.
        """
        assert limit > 0
        upto = min(upto, self._head)
        if upto <= after:
            return Page(publications=(), upto=after)
        return await self._read(
            lambda snapshot: snapshot.read(filters, after=after, upto=upto, limit=limit)
        )

    async def at(self, position: int) -> Publication | None:
        """As `ports.Store.at`."""
        return await self._read(lambda snapshot: snapshot.at(position))

    async def history(self, topic: str, *, before: int | None, limit: int) -> Sequence[Publication]:
        """As `ports.Store.history`."""
        return await self._read(
            lambda snapshot: snapshot.history(topic, before=before, limit=limit)
        )

    async def topics(self, *, prefix: str, after: str, limit: int) -> Sequence[TopicState]:
        """As `ports.Store.topics`."""
        return await self._read(
            lambda snapshot: snapshot.topics(prefix=prefix, after=after, limit=limit)
        )

    async def retained(
        self, filters: Sequence[str], *, after: int, upto: int, limit: int
    ) -> Sequence[Publication]:
        """As `ports.Store.retained`."""
        if not self._retained_count or upto <= after:
            return ()
        return await self._read(
            lambda snapshot: snapshot.retained(filters, after=after, upto=upto, limit=limit)
        )

    # ---- inboxes: `ports.Inbox` ----

    async def warm(self, users: Collection[str], topics: Collection[str]) -> Warm:
        return await self._read(lambda snapshot: snapshot.inbox().warm(users, topics))

    async def page(
        self,
        user: str,
        *,
        view: View,
        category: str | None,
        before: int | None,
        limit: int,
        text: str | None = None,
    ) -> InboxPage:
        if text is not None:
            # Texts are indexed behind the log; a search waits for the newest.
            while await self._index() >= INDEX_ROWS:
                pass
        return await self._read(
            lambda snapshot: snapshot.inbox().page(
                user, view=view, category=category, before=before, limit=limit, text=text
            )
        )

    async def due(self, *, limit: int) -> Due:
        due = await self._read(lambda snapshot: snapshot.inbox().due(limit))
        crowded = self._writer is not None and self._writer.inbox.crowded
        return msgspec.structs.replace(due, settle=True) if crowded else due

    async def sent(self, *, id: str | None, before: int | None, limit: int) -> Sequence[Sent]:
        return await self._read(lambda snapshot: snapshot.inbox().sent(id, before, limit))

    async def scheduled(self, *, limit: int) -> Sequence[Sent]:
        """As `ports.Inbox.scheduled`."""
        return await self._read(lambda snapshot: snapshot.inbox().scheduled(limit))

    async def audit(self, user: str) -> Sequence[Audit]:
        return await self._read(lambda snapshot: snapshot.inbox().audit(user))

    async def verify(self, *, repair: bool) -> Sequence[str]:
        faults = await self._between(lambda writer, done: writer.verify(repair, done))
        return list(faults)

    async def reached(self, counts: Mapping[str, int]) -> None:
        await self._between(lambda writer, done: writer.reached(counts, done))

    async def users(self, *, after: str, limit: int) -> Sequence[str]:
        return await self._read(lambda snapshot: snapshot.inbox().users(after, limit))

    # ---- rows of clients: `ports.ClientRows` ----

    async def load(self, owner: str, client: str) -> ClientRow | None:
        """As `ports.ClientRows.load`."""
        return await self._read(lambda snapshot: snapshot.client(owner, client))

    async def woken(self, *, first_ms: int, last_ms: int, limit: int) -> Sequence[ClientRow]:
        """As `ports.ClientRows.woken`."""
        return await self._read(lambda snapshot: snapshot.woken(first_ms, last_ms, limit))

    async def _change(self, change: Callable[[OutreachWriter], T]) -> T:
        """What a change of deliveries returns, once it is durable."""
        if self._writer is None or self._closing is not None:
            raise ReddotError("store_unavailable", "the store is closed")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.change(change, partial(_resolve, answer))
        result = await answer
        if isinstance(result, ReddotError):
            raise result
        return cast("T", result)

    async def _read(self, ask: Callable[[Snapshot], T]) -> T:
        if self._readers is None or self._closing is not None:
            raise ReddotError("store_unavailable", "the store is closed")
        job = partial(self._ask, ask, self._clock.wall_ms())
        return await asyncio.get_running_loop().run_in_executor(self._readers, job)

    def _ask(self, ask: Callable[[Snapshot], T], now_ms: int) -> T:
        """In a reader's thread: there are as many connections as threads."""
        connection = self._connections.pop()
        try:
            connection.execute("BEGIN")
            return ask(
                Snapshot(connection, now_ms=now_ms, retention=self._retention, locked=self.locked)
            )
        except sqlite3.Error as error:
            raise ReddotError("store_unavailable", "the store cannot be read") from error
        finally:
            if connection.in_transaction:
                connection.rollback()
            self._connections.append(connection)


def _resolve(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():  # Whoever asked may have been cancelled.
        answer.set_result(result)
