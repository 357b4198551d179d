"""Changes of deliveries in the writer: publications go first, and share their sync."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from reddot.errors import ReddotError
from reddot.stores import sqlite_changes
from reddot.stores.sqlite import SqliteStore
from reddot.stores.sqlite_outreach import OutreachWriter
from reddot.testing import FakeClock
from tests.unit.stores.opening import NOW_MS, append, draft, opened, start, writer_connection

SYNC = "PRAGMA user_version = 0"


def change(store: SqliteStore, what: Callable[[OutreachWriter], Any]) -> asyncio.Future[Any]:
    return asyncio.ensure_future(store._change(what))


def note(name: str) -> Callable[[OutreachWriter], str]:
    """A change that writes something."""

    def write(writer: OutreachWriter) -> str:
        writer.cursor.execute("INSERT INTO plan (text) VALUES (?)", (name,))
        return name

    return write


def notes(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [text for (text,) in connection.execute("SELECT text FROM plan ORDER BY id")]
    finally:
        connection.close()


def transactions(statements: list[str]) -> list[str]:
    """What was committed, one word each: was it synced, and what was in it."""
    found, mode, what = [], "synced", ""
    for one in statements:
        if one.startswith("PRAGMA synchronous"):
            mode = "synced" if one.endswith("FULL") else "unsynced"
        elif one.startswith("INSERT INTO log"):
            what = "log"
        elif one.startswith("INSERT INTO plan"):
            what = "change"
        elif one == SYNC:
            what = "nothing"
        elif one == "COMMIT":
            found.append(f"{mode} {what}")
    return found


def test_a_publication_waits_for_the_change_that_is_being_made(tmp_path: Path) -> None:
    clock = FakeClock(NOW_MS)

    async def run() -> None:
        async with opened(tmp_path / "log.db", clock=clock) as store:
            order: list[str] = []
            begun, go_on = threading.Event(), threading.Event()

            def slow(writer: OutreachWriter) -> str:
                begun.set()
                go_on.wait(10)
                clock.advance(2 * sqlite_changes.HOLD_S)
                return note("slow")(writer)

            changes = [change(store, slow), *[change(store, note(str(n))) for n in range(20)]]
            for done in changes:
                done.add_done_callback(lambda one: order.append(one.result()))
            await asyncio.to_thread(begun.wait, 10)
            published = start(store, draft())
            published.add_done_callback(lambda _: order.append("published"))
            go_on.set()
            await asyncio.gather(published, *changes)
            assert order.index("published") <= 1
            assert sorted(order) == sorted(["slow", "published", *map(str, range(20))])

    asyncio.run(run())


def test_while_publications_come_a_change_is_synced_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_changes, "SHARE_S", 10.0)

    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            statements: list[str] = []
            writer_connection(store).set_trace_callback(statements.append)
            changed = change(store, note("a"))
            while "COMMIT" not in statements:
                await asyncio.sleep(0)
            assert notes(tmp_path / "log.db") == ["a"]
            assert not changed.done()
            await append(store, draft())
            assert await changed == "a"
            assert transactions(statements) == ["unsynced change", "synced log"]

    asyncio.run(run())


def test_what_is_not_synced_with_others_is_synced_by_itself(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            statements: list[str] = []
            writer_connection(store).set_trace_callback(statements.append)
            assert await change(store, note("a")) == "a"
            assert transactions(statements) == ["unsynced change", "synced nothing"]

    asyncio.run(run())


def test_where_nobody_publishes_a_change_is_synced_at_once(tmp_path: Path) -> None:
    clock = FakeClock(NOW_MS)

    async def run() -> None:
        async with opened(tmp_path / "log.db", clock=clock) as store:
            await append(store, draft())
            clock.advance(2 * sqlite_changes.SHARE_S)
            statements: list[str] = []
            writer_connection(store).set_trace_callback(statements.append)
            assert await change(store, note("a")) == "a"
            assert transactions(statements) == ["synced change"]

    asyncio.run(run())


def test_changes_that_wait_together_are_one_transaction(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            statements: list[str] = []
            writer_connection(store).set_trace_callback(statements.append)
            names = [str(n) for n in range(1_000)]
            assert await asyncio.gather(*[change(store, note(n)) for n in names]) == names
            assert statements.count("COMMIT") < 200
            assert notes(tmp_path / "log.db") == names

    asyncio.run(run())


def test_a_disk_that_is_full_is_said_to_all_who_wait(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            connection = writer_connection(store)
            connection.execute("PRAGMA query_only = 1")
            with capture_logs():
                results = await asyncio.gather(
                    *[change(store, note(str(n))) for n in range(3)], return_exceptions=True
                )
            assert all(isinstance(one, ReddotError) for one in results)
            connection.execute("PRAGMA query_only = 0")
            assert await change(store, note("a")) == "a"
            assert notes(tmp_path / "log.db") == ["a"]

    asyncio.run(run())


def test_no_transaction_can_begin_and_all_who_wait_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
            writer_connection(store).execute("PRAGMA busy_timeout = 0")
            other.execute("BEGIN IMMEDIATE")
            with capture_logs():
                results = await asyncio.gather(
                    *[change(store, note(str(n))) for n in range(3)], return_exceptions=True
                )
            assert all(isinstance(one, ReddotError) for one in results)
            other.execute("ROLLBACK")
            other.close()
            assert await change(store, note("a")) == "a"

    asyncio.run(run())


def test_a_change_that_fails_takes_nothing_with_it(tmp_path: Path) -> None:
    def fail(writer: OutreachWriter) -> None:
        note("lost")(writer)
        raise ValueError

    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            with capture_logs() as logs:
                results = await asyncio.gather(
                    *[change(store, one) for one in (note("a"), fail, note("b"))],
                    return_exceptions=True,
                )
            assert [results[0], results[2]] == ["a", "b"]
            assert isinstance(results[1], ReddotError)
            assert [entry["event"] for entry in logs] == ["store_change_failed"]
            assert notes(tmp_path / "log.db") == ["a", "b"]

    asyncio.run(run())


def test_a_sync_that_fails_is_answered_as_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(changes: sqlite_changes.Changes) -> sqlite_changes.Answers:
        """As if the disk were full just then."""
        changes._cursor.connection.execute("PRAGMA query_only = 1")
        try:
            return sync(changes)
        finally:
            changes._cursor.connection.execute("PRAGMA query_only = 0")

    sync = sqlite_changes.Changes._sync
    monkeypatch.setattr(sqlite_changes.Changes, "_sync", refuse)

    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            with capture_logs(), pytest.raises(ReddotError, match="nothing was stored"):
                await change(store, note("a"))
            assert await append(store, draft()) == [(2, 2)]

    asyncio.run(run())


def test_what_was_asked_for_is_done_and_answered_before_the_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            changes = [change(store, note(str(n))) for n in range(10)]
            await asyncio.sleep(0)
            await store.aclose()
            assert await asyncio.gather(*changes) == [str(n) for n in range(10)]
        assert len(notes(tmp_path / "log.db")) == 10

    asyncio.run(run())
