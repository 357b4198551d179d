"""The writer: one transaction for what waits, and what it does when a transaction fails."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from reddot.errors import ReddotError
from reddot.model import Retention
from reddot.stores import sqlite_writer
from reddot.stores.sqlite import SqliteStore
from tests.unit.stores.opening import Result, append, draft, opened, start, writer_connection


def fill_disk(store: SqliteStore, *, spare_pages: int = 4) -> None:
    """As if the disk were nearly full: SQLite then fails as it does with a full one."""
    connection = writer_connection(store)
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + spare_pages}")


def free_disk(store: SqliteStore) -> None:
    writer_connection(store).execute("PRAGMA max_page_count = 1000000")


async def offsets(store: SqliteStore, topic: str) -> list[int]:
    page = await store.read([topic], after=0, upto=store.head, limit=10_000)
    return [p.offset for p in page.publications]


def test_what_waits_becomes_one_transaction(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            statements: list[str] = []
            writer_connection(store).set_trace_callback(statements.append)
            await asyncio.gather(*[start(store, draft()) for _ in range(1_000)])
            commits = statements.count("COMMIT")
            assert 1 <= commits <= 200
            inserts = [s for s in statements if s.startswith("INSERT INTO log")]
            assert len(inserts) <= 10 * commits
            assert store.head == 1_001

    asyncio.run(run())


@pytest.mark.parametrize("batch", [1, 7])
def test_a_group_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """A group is full with the piece of work that reaches the limit, not before and not after."""
    monkeypatch.setattr(sqlite_writer, "COMMIT_DRAFTS_MAX", 10)
    sizes: list[int] = []
    stored = sqlite_writer.Writer._store

    def note(writer: sqlite_writer.Writer, group: list[sqlite_writer.Work]) -> Any:
        sizes.append(sum(len(drafts or ()) for drafts, *_ in group))
        return stored(writer, group)

    monkeypatch.setattr(sqlite_writer.Writer, "_store", note)

    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await asyncio.gather(*[start(store, *[draft()] * batch) for _ in range(100)])

    asyncio.run(run())
    assert sum(sizes) == 100 * batch
    assert max(sizes) < 10 + batch


@pytest.mark.parametrize("count", [1, 2, 3, 511, 512, 513, 1023, 1500])
def test_any_number_of_rows_is_written(tmp_path: Path, count: int) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, *[draft() for _ in range(count)])
            assert await offsets(store, "a") == list(range(1, count + 1))

    asyncio.run(run())


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft(), draft("b", retain=True), draft(id="k", keyed=True))
            fill_disk(store)
            large = b'"' + b"x" * 60_000 + b'"'
            with capture_logs() as logs:
                for _ in range(3):
                    with pytest.raises(ReddotError, match="store_unavailable"):
                        await append(
                            store,
                            draft("b", b"null", retain=True),
                            draft("new", large, retain=True),
                            draft(id="k2", keyed=True),
                        )
            assert [line["event"] for line in logs] == ["store_write_failed"]
            assert "full" in logs[0]["error"]
            assert not writer_connection(store).in_transaction
            assert (store.head, store.retained_count) == (3, 1)
            # What is there can be read, and what still fits can be written.
            assert await offsets(store, "a") == [1, 2]
            assert await append(store, draft()) == [(4, 3)]
            free_disk(store)
            # No number was used up, no topic, no id.
            assert await append(store, draft("new", large), draft()) == [(5, 1), (6, 4)]
            assert await append(store, draft(data=b"2", id="k2", keyed=True)) == [(7, 5)]
            assert await append(store, draft(id="k", keyed=True)) == [(3, 2)]
            assert store.retained_count == 1
            found = await store.retained(["#"], after=0, upto=99, limit=9)
            assert [p.data for p in found] == [b"1"]
            assert writer_connection(store).execute("PRAGMA integrity_check").fetchone() == ("ok",)
        async with opened(tmp_path / "log.db") as store:
            assert store.head == 7
            assert await offsets(store, "a") == [1, 2, 3, 4, 5]

    asyncio.run(run())


def forbid(store: SqliteStore, *commands: str) -> None:
    """Let SQLite refuse these commands, as a disk that does not answer would."""

    def judge(action: int, argument: str | None, *rest: object) -> int:
        return sqlite3.SQLITE_DENY if argument in commands else sqlite3.SQLITE_OK

    writer_connection(store).set_authorizer(judge if commands else None)


@pytest.mark.parametrize("commands", [["COMMIT"], ["COMMIT", "ROLLBACK"]])
def test_a_commit_that_fails(tmp_path: Path, commands: list[str]) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft("a", retain=True))
            forbid(store, *commands)
            with capture_logs():
                answers = [start(store, draft("a"), draft("b", retain=True)) for _ in range(3)]
                for answer in await asyncio.gather(*answers):
                    assert isinstance(answer, ReddotError)
            assert (store.head, store.retained_count) == (1, 1)
            forbid(store)
            assert await append(store, draft("b"), draft("a")) == [(2, 1), (3, 2)]
            assert (store.head, store.retained_count) == (3, 1)
        async with opened(tmp_path / "log.db") as store:
            assert (store.head, store.retained_count) == (3, 1)
            assert await offsets(store, "a") == [1, 2]

    asyncio.run(run())


def test_the_end_of_a_failure_is_said_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            fill_disk(store, spare_pages=0)
            large = draft(data=b'"' + b"x" * 60_000 + b'"')
            with capture_logs() as logs:
                for _ in range(2):
                    assert isinstance(await start(store, large), ReddotError)
                free_disk(store)
                await append(store, large)
                await append(store, large)
            assert [(line["event"], line.get("failures")) for line in logs] == [
                ("store_write_failed", None),
                ("store_writes_again", 2),
            ]

    asyncio.run(run())


def test_a_failure_that_is_not_sqlites_is_answered_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            too_large = draft(expires_ms=1 << 64)
            with capture_logs():
                assert isinstance(await start(store, too_large), ReddotError)
            assert await append(store, draft()) == [(2, 2)]

    asyncio.run(run())


def test_a_trim_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retention = Retention(count=1, age_ms=1 << 42)

    async def run() -> None:
        async with opened(tmp_path / "log.db", retention=lambda topic: retention) as store:
            await append(store, *[draft() for _ in range(3)])
            connection = writer_connection(store)
            connection.execute("PRAGMA query_only = 1")
            with capture_logs(), pytest.raises(ReddotError, match="store_unavailable"):
                await store.trim(rows_max=9)
            connection.execute("PRAGMA query_only = 0")
            assert await append(store, draft()) == [(4, 4)]
            assert await store.trim(rows_max=9) == 3
            assert await append(store, draft()) == [(5, 5)]

    asyncio.run(run())


def test_a_loop_that_is_gone_does_not_stop_the_writer(tmp_path: Path) -> None:
    async def run() -> None:
        gone = False
        loop = asyncio.get_running_loop()

        def call_soon(news: Callable[[], None]) -> None:
            if gone:
                raise RuntimeError("Event loop is closed")
            loop.call_soon_threadsafe(news)

        async with opened(tmp_path / "log.db", call_soon=call_soon) as store:
            await append(store, draft())
            with capture_logs() as logs:
                gone = True
                lost: list[Result] = []
                store.append([draft()], lost.append)
                await store.aclose()
            assert not lost
            assert [line["event"] for line in logs] == ["store_answer_lost"]
        async with opened(tmp_path / "log.db") as store:
            assert store.head == 2

    asyncio.run(run())


def test_offsets_survive_being_pushed_out_of_the_cache(tmp_path: Path) -> None:
    retention = Retention(count=2, age_ms=1 << 42)

    async def run() -> None:
        rule = {"retention": lambda topic: retention, "topics_cached_max": 3}
        async with opened(tmp_path / "log.db", **rule) as store:
            for turn in range(1, 6):
                for topic in range(10):
                    ((_, offset),) = await append(store, draft(f"t{topic}", retain=turn == 2))
                    assert offset == turn
                assert store._writer is not None
                assert len(store._writer._topics.by_name) <= 3
            assert store.retained_count == 10
            assert await store.trim(rows_max=1_000) == 30
            for topic in range(10):
                assert await offsets(store, f"t{topic}") == [4, 5]

    asyncio.run(run())


def test_a_rule_that_has_become_laxer_ends_the_trimming(tmp_path: Path) -> None:
    """Topics are due by the rule of the last start; looking at them again takes turns too."""
    soon, late = Retention(count=9, age_ms=0), Retention(count=9, age_ms=1 << 42)

    async def run() -> None:
        path = tmp_path / "log.db"
        async with opened(path, retention=lambda topic: soon) as store:
            await append(store, *[draft(f"t{n}", time_ms=1) for n in range(5)])
        async with opened(path, retention=lambda topic: late) as store:
            used = [await store.trim(rows_max=2) for _ in range(4)]
            assert used == [2, 2, 1, 0]
            assert await offsets(store, "t3") == [1]

    asyncio.run(run())


def test_keys_are_one_row_each(tmp_path: Path) -> None:
    """Only ids that a publisher chose are remembered."""

    async def run() -> None:
        path = tmp_path / "log.db"
        async with opened(path) as store:
            await append(store, draft(id="x"), draft(id="y", keyed=True), draft(id="z"))
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT id FROM idem").fetchall() == [("y",)]
        connection.close()

    asyncio.run(run())
