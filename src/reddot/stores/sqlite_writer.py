"""The writer's thread of the SQLite store: everything that waits becomes one transaction.

Layer: stores. Group commit without a timer: while one commit waits for the disk, the next group
gathers. The loop's thread only puts work into a queue and is called back once per commit.

Invariants: positions are contiguous in commit order; a group that fails leaves nothing behind and
uses no number; `answered` is called for every append, in order. Changes of deliveries come behind
what is published: see `sqlite_changes`.

sqlite3 gives up the interpreter's lock once per step, so rows are written many to a statement:
with a busy loop a statement per row makes a commit ten times slower.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgspec
import structlog

from reddot.errors import ReddotError
from reddot.inbox import Erase, Keep, Note
from reddot.model import (
    EVENT_DEFAULT,
    Appended,
    ClientRow,
    Draft,
    Publication,
    RetainedLimits,
    Retention,
)
from reddot.ports import AppendDone, Clock
from reddot.stores.sqlite_changes import Change, Changes, Waiting
from reddot.stores.sqlite_inbox import InboxWriter
from reddot.stores.sqlite_inbox_verify import verify
from reddot.stores.sqlite_mqtt import encode_extra, write_clients
from reddot.stores.sqlite_outreach import OutreachWriter
from reddot.stores.sqlite_retained import Retained
from reddot.stores.sqlite_rows import Rows
from reddot.stores.sqlite_topics import Topic, Topics, due_ms, json_text
from reddot.stores.sqlite_trim import Trimmer

COMMIT_DRAFTS_MAX: Final = 2_000
# A group this large says that publishers wait for the writer: texts are not indexed meanwhile.
BUSY_DRAFTS: Final = 32

Job = Callable[[], None]
# One append: its drafts, or None if it was refused and is only answered in its turn; whom to tell;
# rows of clients.
Work = tuple[Sequence[Draft] | None, Callable[[Any], None], Sequence[ClientRow]]
# What became of one append, and how many drafts no longer wait.
Answer = tuple[AppendDone, Sequence[Appended] | ReddotError, int]
Answered = Callable[[Sequence[Answer], int, int], None]

_log = structlog.get_logger(__name__)

_KEYS: Final = """
SELECT id, digest, pos, off, time_ms FROM idem
WHERE id IN (SELECT value FROM json_each(?)) AND expires_ms > ?
"""
# The newest notification of an id is meant; `WHERE` keeps `ON CONFLICT` from being read as a join.
_REACHED: Final = """
INSERT INTO reached (num, people)
SELECT (SELECT max(num) FROM notification WHERE id = j.key) AS n, j.value FROM json_each(?) AS j
WHERE n IS NOT NULL ON CONFLICT (num) DO UPDATE SET people = people + excluded.people
"""

_INTO_LOG: Final = Rows("INSERT INTO log", 10)
_INTO_TOPIC: Final = Rows("INSERT INTO topic (id, name, due_ms)", 3)
_INTO_IDEM: Final = Rows("INSERT OR REPLACE INTO idem", 6)


class _Key(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a keyed publication."""

    digest: bytes
    position: int
    offset: int
    time_ms: int


class _Staged:
    """What one transaction will write. Thrown away when it fails."""

    __slots__ = (
        "clients",
        "dues",
        "head",
        "keys",
        "keys_new",
        "log",
        "now_ms",
        "topics",
    )

    def __init__(self, head: int, now_ms: int) -> None:
        self.head = head
        self.now_ms = now_ms
        self.keys: dict[str, _Key] = {}
        self.written()

    def written(self) -> None:
        """Begin with empty lists."""
        self.log: list[Any] = []
        self.topics: list[Any] = []
        self.dues: list[tuple[int, int]] = []
        self.clients: list[ClientRow] = []
        self.keys_new: list[Any] = []


def _digest(draft: Draft) -> bytes:
    """What has to be equal for a retry to be one. The lengths keep the parts apart."""
    if draft.inbox is not None:
        return blake2b(b"inbox\0" + draft.inbox.identity, digest_size=16).digest()
    ttl = None if draft.expires_ms is None else draft.expires_ms - draft.time_ms
    event = draft.event
    head = f"{draft.topic}\0{len(event)}\0{event}{draft.retain:d}{draft.binary:d}{ttl}\0"
    if draft.properties:
        head += f"{len(draft.properties)}\0{draft.properties.hex()}\0"
    return blake2b(head.encode() + draft.data, digest_size=16).digest()


def _publication(draft: Draft, *, position: int, offset: int) -> Publication:
    return Publication(
        topic=draft.topic,
        id=draft.id,
        data=draft.data,
        time_ms=draft.time_ms,
        event=draft.event,
        offset=offset,
        position=position,
        expires_ms=draft.expires_ms,
        retain=draft.retain,
        binary=draft.binary,
        qos=draft.qos,
        properties=draft.properties,
        source=draft.source,
    )


def _as_first(draft: Draft, key: _Key) -> Appended:
    """The publication that was stored first under the draft's id; its content is the same."""
    ttl = None if draft.expires_ms is None else draft.expires_ms - draft.time_ms
    first = msgspec.structs.replace(
        draft, time_ms=key.time_ms, expires_ms=None if ttl is None else key.time_ms + ttl
    )
    return Appended(_publication(first, position=key.position, offset=key.offset), True)


class Writer:
    """Args:
    connection: the only one that writes; it belongs to this writer from now on.
    head: the newest position in the database.
    retention: called in the writer's thread, once per topic that is loaded.
    call_soon: runs a callable in the loop's thread, in order.
    answered: called in the loop's thread after each group, with its answers, the newest
        position and the number of retained publications.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        head: int,
        clock: Clock,
        retention: Callable[[str], Retention],
        call_soon: Callable[[Callable[[], None]], object],
        answered: Answered,
        idempotency_ms: int,
        topics_cached_max: int,
        keep: Keep,
        retained: RetainedLimits,
    ) -> None:
        self.head = head
        self._connection = connection
        self._cursor = connection.cursor()
        self._clock = clock
        self._call_soon = call_soon
        self._answered = answered
        self._idempotency_ms = idempotency_ms
        self._topics = Topics(self._cursor, retention=retention, cached_max=topics_cached_max)
        self._retained = Retained(self._cursor, self._topics, retained)
        self._trimmer = Trimmer(self._cursor, self._topics, self._retained)
        self._outreach = OutreachWriter(self._cursor, clock=clock)
        self.inbox = InboxWriter(
            self._cursor,
            self._topics,
            clock=clock,
            keep=keep,
            place=self._place,
            flush=self._write,
            deliver=self._outreach.stage,
        )
        self._queue: SimpleQueue[Work | Waiting | Job | None] = SimpleQueue()
        self._changes = Changes(
            self._cursor,
            self._outreach,
            clock=clock,
            transaction=self._transaction,
            hurry=lambda: not self._queue.empty(),
        )
        self._is_synced = True
        self._failures = 0
        self._drafts_last = 0
        self._thread = threading.Thread(target=self._run, name="reddot-sqlite", daemon=True)

    @property
    def retained_count(self) -> int:
        return self._retained.count

    # ---- called from outside ----

    def start(self) -> None:
        self._thread.start()

    def append(
        self,
        drafts: Sequence[Draft] | None,
        done: AppendDone,
        clients: Sequence[ClientRow] = (),
    ) -> None:
        """Store drafts; None only answers that the append was refused, in its turn."""
        self._queue.put((drafts, done, clients))

    def change(self, change: Change, done: Callable[[Any], None]) -> None:
        """Change deliveries behind what waits; `done` is called with what it returns."""
        self._queue.put(Waiting(change, done))

    def trim(self, rows_max: int, done: Callable[[int | ReddotError], None]) -> None:
        """Delete up to `rows_max` rows between two groups; `done` is called in the loop.

        Makes as many texts findable, unless publishers wait and few texts do.
        """
        self._queue.put(partial(self._trim, rows_max, done))

    def index(self, rows_max: int, done: Callable[[int | ReddotError], None]) -> None:
        """Make up to `rows_max` notifications findable, busy or not; `done` gets how many."""
        self._queue.put(partial(self._job, partial(self.inbox.index, rows_max), done))

    def verify(self, repair: bool, done: Callable[[Sequence[str] | ReddotError], None]) -> None:
        """Look for what is wrong with inboxes between two groups; `done` is called in the loop."""
        self._queue.put(partial(self._job, partial(self._verify, repair), done))

    def reached(
        self, counts: Mapping[str, int], done: Callable[[ReddotError | None], None]
    ) -> None:
        """Count people that notifications have reached, between two groups."""
        self._queue.put(partial(self._job, partial(self._reached, counts), done))

    def stop(self) -> None:
        """Finish what is in the queue, checkpoint and close. Blocks; call it in a thread."""
        self._queue.put(None)
        self._thread.join()

    # ---- the thread ----

    def _run(self) -> None:
        running = True
        while running or self._changes.patience_s is not None:
            group, then = self._gather()
            if group:
                self._commit(group)
            if then is None:
                running = False
            else:
                then()
            self._change(idle=not group)
        self._close()

    def _gather(self) -> tuple[list[Work], Job | None]:
        """Wait for work, then take all that waits, and what is to be done after it.

        Changes of deliveries are laid aside, and let nobody wait.
        """
        group: list[Work] = []
        drafts = 0
        try:
            item = self._queue.get(timeout=self._changes.patience_s)
            while isinstance(item, Waiting | tuple):
                if isinstance(item, Waiting):
                    self._changes.waiting.append(item)
                else:
                    group.append(item)
                    drafts += _rows(item[0] or ())
                    if drafts >= COMMIT_DRAFTS_MAX:
                        return group, _nothing
                item = self._queue.get_nowait()
        except Empty:
            return group, _nothing
        return group, item

    def _commit(self, group: list[Work]) -> None:
        results: list[Any]
        answers: list[Answer] = []
        try:
            with self._transaction():
                results = self._store(group)
        except ReddotError as error:
            results = [ReddotError(error.code, error.detail) for _ in group]
        else:
            answers += self._changes.published()
        for (drafts, done, _), result in zip(group, results, strict=True):
            if drafts is None:
                answers.append((done, ReddotError("overloaded", "too many appends wait"), 0))
            else:
                answers.append((done, result, len(drafts)))
        self._tell(partial(self._answered, answers, self.head, self.retained_count))

    def _change(self, *, idle: bool) -> None:
        """Change deliveries, as far as nothing has come that goes first."""
        if answers := self._changes.run(idle=idle):
            self._tell(partial(self._answered, answers, self.head, self.retained_count))

    def _trim(self, rows_max: int, done: Callable[[int | ReddotError], None]) -> None:
        result: int | ReddotError
        try:
            with self._transaction():
                now_ms = self._clock.wall_ms()
                result = self._trimmer.trim(now_ms=now_ms, rows_max=rows_max, head=self.head)
                if self._drafts_last < BUSY_DRAFTS or self.inbox.index_lags(self.head):
                    result = max(result, self.inbox.index(rows_max))
                self._drafts_last = 0
        except ReddotError as error:
            result = error
        self._tell(partial(self._answered, (), self.head, self.retained_count))
        self._tell(partial(done, result))

    def _job(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Work in a transaction of its own; `done` gets what it returns, or the error."""
        result: Any
        try:
            with self._transaction():
                result = work()
        except ReddotError as error:
            result = error
        self._tell(partial(done, result))

    def _verify(self, repair: bool) -> Sequence[str]:
        found = verify(self._cursor, repair=repair)
        if repair:
            self._topics.forget()
        return found

    def _reached(self, counts: Mapping[str, int]) -> None:
        self._cursor.execute(_REACHED, (msgspec.json.encode(counts).decode(),))

    @contextmanager
    def _transaction(self, *, synced: bool = True) -> Iterator[None]:
        """All or nothing, on disk and in memory. The boundary at which an error is answered.

        Args:
            synced: it is on the disk, with all before it, when it is committed; otherwise it
                survives the process only.

        Raises:
            ReddotError: `store_unavailable`, whatever went wrong.
        """
        before = self.head
        try:
            if self._connection.in_transaction:  # An earlier roll-back has failed.
                self._connection.rollback()
            if synced is not self._is_synced:
                self._cursor.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
                self._is_synced = synced
            self._cursor.execute("BEGIN IMMEDIATE")
            yield
            self._cursor.execute("COMMIT")
        except Exception as error:
            self.head = before
            self._roll_back(error)
            raise ReddotError("store_unavailable", "nothing was stored") from error
        self._topics.shrink()
        self._retained.committed()
        if self._failures:
            _log.info("store_writes_again", failures=self._failures)
            self._failures = 0

    def _roll_back(self, error: Exception) -> None:
        """Undo, and say so once for a run of failures: a full disk fails at every commit."""
        self._topics.forget()
        self._retained.forget()
        self.inbox.forget()
        self._outreach.forget()
        self._failures += 1
        if self._failures == 1:
            _log.error("store_write_failed", error=f"{type(error).__name__}: {error}")
        try:
            self._connection.rollback()
        except sqlite3.Error as again:
            _log.error("store_rollback_failed", error=str(again))

    def _tell(self, news: Callable[[], None]) -> None:
        try:
            self._call_soon(news)
        except RuntimeError as error:  # The loop was closed before the store.
            _log.warning("store_answer_lost", error=str(error))

    def _close(self) -> None:
        try:
            self._cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:  # What is in the write-ahead log is durable all the same.
            _log.warning("store_checkpoint_failed", error=str(error))
        self._cursor.close()
        self._connection.close()

    # ---- one transaction ----

    def _store(self, group: list[Work]) -> list[Any]:
        """Number and write all drafts of the group; one result per piece of work."""
        drafts = [draft for batch, _, _ in group if batch is not None for draft in batch]
        self._drafts_last = len(drafts)
        missing = {draft.topic for draft in drafts}.difference(self._topics.by_name)
        if missing:
            self._topics.load(missing)
        staged = _Staged(self.head, self._clock.wall_ms())
        if keyed := [draft.id for draft in drafts if draft.keyed]:
            found = self._cursor.execute(_KEYS, (json_text(keyed), staged.now_ms))
            staged.keys = {name: _Key(*rest) for name, *rest in found}
        results: list[Any] = []
        for batch, _, clients in group:
            digests = _digests(batch or (), staged.keys) if keyed else {}
            if isinstance(digests, ReddotError):
                results.append(digests)
            elif batch and batch[0].inbox is not None:
                results.append(self._stage_inbox(staged, batch[0], digests))
            elif (full := self._retained.check(batch or (), staged.keys)) is not None:
                results.append(full)
            else:
                results.append(self._stage(staged, batch or (), digests))
                staged.clients += clients
        self._write(staged)
        return results

    def _stage(
        self, staged: _Staged, batch: Sequence[Draft], digests: dict[str, bytes]
    ) -> list[Appended]:
        """Give a batch its numbers and its rows. The hot path of the writer."""
        answers = []
        position = staged.head
        by_name, over = self._topics.by_name, self._trimmer.over
        for draft in batch:
            if draft.keyed and (key := staged.keys.get(draft.id)) is not None:
                answers.append(_as_first(draft, key))
                continue
            topic = by_name.get(draft.topic)
            if topic is None:
                topic = self._topics.create(draft.topic)
                staged.topics += (topic.id, draft.topic, due_ms(draft.time_ms, topic.age_ms))
            elif topic.top == topic.trimmed:
                staged.dues.append((due_ms(draft.time_ms, topic.age_ms), topic.id))
            position += 1
            offset = topic.top = topic.top + 1
            if offset - topic.trimmed > topic.count:
                over[draft.topic] = None
            row = (
                position,
                topic.id,
                offset,
                draft.time_ms,
                draft.expires_ms,
                draft.id,
                None if draft.event == EVENT_DEFAULT else draft.event,
                draft.retain | draft.binary << 1,
                draft.data,
                encode_extra(draft),
            )
            staged.log += row
            if draft.keyed:
                self._stage_key(staged, draft, digests[draft.id], position, offset)
            if draft.retain:
                self._retained.stage(topic, draft, row)
            answers.append(Appended(_publication(draft, position=position, offset=offset), False))
        staged.head = position
        return answers

    def _stage_inbox(
        self, staged: _Staged, draft: Draft, digests: dict[str, bytes]
    ) -> list[Appended] | ReddotError:
        """A notification, or a change of an inbox. Refused before it has changed anything."""
        if draft.keyed and (key := staged.keys.get(draft.id)) is not None:
            return [_as_first(draft, key)]
        try:
            appended = self.inbox.store(staged, draft)
        except ReddotError as error:
            return error
        if isinstance(draft.inbox, Erase):
            self._retained.erase(draft.inbox.user)
        if draft.keyed:
            first = appended.publication
            self._stage_key(staged, draft, digests[draft.id], first.position, first.offset)
        return [appended]

    def _place(self, staged: _Staged, name: str, draft: Draft, data: Any) -> tuple[Topic, int, int]:
        """Stage one row of the log for a topic; its topic, position and offset."""
        topic = self._topics.by_name.get(name)
        if topic is None:
            topic = self._topics.create(name)
            staged.topics += (topic.id, name, due_ms(draft.time_ms, topic.age_ms))
        elif topic.top == topic.trimmed:
            staged.dues.append((due_ms(draft.time_ms, topic.age_ms), topic.id))
        staged.head += 1
        topic.top += 1
        if topic.top - topic.trimmed > topic.count:
            self._trimmer.over[name] = None
        staged.log += (
            staged.head,
            topic.id,
            topic.top,
            draft.time_ms,
            draft.expires_ms,
            draft.id,
            None if draft.event == EVENT_DEFAULT else draft.event,
            0,
            data,
            None,
        )
        return topic, staged.head, topic.top

    def _stage_key(
        self, staged: _Staged, draft: Draft, digest: bytes, position: int, offset: int
    ) -> None:
        staged.keys[draft.id] = _Key(digest, position, offset, draft.time_ms)
        until = staged.now_ms + self._idempotency_ms
        staged.keys_new += (draft.id, digest, position, offset, draft.time_ms, until)

    def _write(self, staged: _Staged) -> None:
        """Hand everything to SQLite, few steps at a time."""
        cursor = self._cursor
        _INTO_TOPIC.insert(cursor, staged.topics)
        _INTO_LOG.insert(cursor, staged.log)
        _INTO_IDEM.insert(cursor, staged.keys_new)
        if staged.dues:
            cursor.executemany("UPDATE topic SET due_ms = ? WHERE id = ?", staged.dues)
        self._retained.write()
        if staged.clients:
            write_clients(cursor, staged.clients)
        self.inbox.write()
        self._outreach.write()
        self.head = staged.head
        staged.written()


def _rows(drafts: Sequence[Draft]) -> int:
    """How many rows drafts bring to the log."""
    first = drafts[0].inbox if drafts else None
    return len(first.topics) if isinstance(first, Note) else len(drafts)


def _nothing() -> None:
    """What follows a group when no other job waits."""


def _digests(batch: Sequence[Draft], keys: Mapping[str, _Key]) -> dict[str, bytes] | ReddotError:
    """The digest of each keyed draft; the error if an id stands for other content already."""
    digests: dict[str, bytes] = {}
    for draft in batch:
        if draft.keyed:
            digest = _digest(draft)
            key = keys.get(draft.id)
            if digest != (key.digest if key else digests.setdefault(draft.id, digest)):
                return ReddotError("id_conflict", f"the id {draft.id!r} has other content")
    return digests
