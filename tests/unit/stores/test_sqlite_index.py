"""The index of texts is written behind the log: publishers first, and a search waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from reddot.errors import ReddotError
from reddot.stores import sqlite_inbox, sqlite_writer
from reddot.stores.sqlite import SqliteStore
from reddot.testing import FakeClock
from tests.contract.inboxes import Boxes
from tests.unit.stores.opening import NOW_MS, opened, writer_connection

Steps = Callable[[SqliteStore, Boxes], Awaitable[None]]


def run(path: Path, steps: Steps) -> None:
    async def go() -> None:
        clock = FakeClock(NOW_MS)
        async with opened(path, clock=clock) as store:
            box = Boxes(store, clock)
            for n in range(8):
                await box.send(f"{n}", "users/1", text="disk")
            await steps(store, box)

    asyncio.run(go())


def indexed(store: SqliteStore) -> int:
    row = writer_connection(store).execute("SELECT indexed FROM inbox_meta").fetchone()
    return int(row[0])


def test_what_is_at_rest_is_indexed(tmp_path: Path) -> None:
    async def steps(store: SqliteStore, _box: Boxes) -> None:
        assert [await store.trim(rows_max=5) for _ in range(3)] == [5, 3, 0]
        assert indexed(store) == 8

    run(tmp_path / "log.db", steps)


def test_publishers_that_wait_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "BUSY_DRAFTS", 1)

    async def steps(store: SqliteStore, box: Boxes) -> None:
        assert await store.trim(rows_max=5) == 0
        await box.send("8", "users/1", text="disk")
        assert await store.trim(rows_max=5) == 0
        assert indexed(store) == 0
        assert [await store.trim(rows_max=5) for _ in range(3)] == [5, 4, 0]

    run(tmp_path / "log.db", steps)


def test_a_search_finds_what_was_not_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "BUSY_DRAFTS", 1)

    async def steps(store: SqliteStore, box: Boxes) -> None:
        assert await store.trim(rows_max=5) == 0
        assert len(await box.ids("1", text="disk")) == 8

    run(tmp_path / "log.db", steps)


@pytest.mark.parametrize(("most", "rows"), [(7, 5), (8, 0)])
def test_what_waits_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, rows: int
) -> None:
    monkeypatch.setattr(sqlite_writer, "BUSY_DRAFTS", 1)
    monkeypatch.setattr(sqlite_inbox, "INDEX_LAG_MAX", most)

    async def steps(store: SqliteStore, _box: Boxes) -> None:
        assert await store.trim(rows_max=5) == rows

    run(tmp_path / "log.db", steps)


def test_an_index_that_fails_says_so(tmp_path: Path) -> None:
    async def steps(store: SqliteStore, box: Boxes) -> None:
        writer_connection(store).execute("DROP TABLE notification_text")
        with pytest.raises(ReddotError, match="nothing was stored"):
            await box.ids("1", text="disk")

    run(tmp_path / "log.db", steps)
