"""The loop's side of the SQLite store: what it says of itself and what it sets."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.stores.opening import append, draft, new_store, opened, start


@pytest.fixture
def switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield
    sys.setswitchinterval(before)


def test_the_version_of_sqlite_is_told(tmp_path: Path) -> None:
    store = new_store(tmp_path / "log.db")
    assert store.sqlite_version == sqlite3.sqlite_version
    assert sqlite3.sqlite_version in store.describe()
    assert "synchronous=FULL" in store.describe()


@pytest.mark.usefixtures("switch_interval")
def test_threads_do_not_wait_long_for_the_interpreter(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "a.db"):
            assert sys.getswitchinterval() == pytest.approx(0.0001)
        sys.setswitchinterval(0.00005)
        async with opened(tmp_path / "b.db"):
            # Somebody has chosen less already.
            assert sys.getswitchinterval() == pytest.approx(0.00005)

    asyncio.run(run())


def test_a_refusal_uses_up_no_place(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db", queue_drafts_max=2) as store:
            for _ in range(3):
                answers = [start(store, draft()) for _ in range(5)]
                await asyncio.gather(*answers)
            assert store._waiting == 0
            assert store.head == 6

    asyncio.run(run())


def test_a_trim_that_nobody_waits_for_any_more(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            trim = asyncio.ensure_future(store.trim(rows_max=1))
            await asyncio.sleep(0)
            trim.cancel()
            assert await append(store, draft()) == [(1, 1)]

    asyncio.run(run())


def test_closing_a_store_that_was_never_opened(tmp_path: Path) -> None:
    async def run() -> None:
        store = new_store(tmp_path / "log.db")
        await store.aclose()

    asyncio.run(run())
    assert not list(tmp_path.iterdir())
