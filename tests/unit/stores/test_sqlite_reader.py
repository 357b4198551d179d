"""Readers: every statement uses an index, and the search for an offset is short."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reddot.errors import ReddotError
from reddot.model import Retention
from reddot.stores import (
    sqlite_ending,
    sqlite_inbox,
    sqlite_inbox_reader,
    sqlite_inbox_settle,
    sqlite_reader,
    sqlite_topics,
    sqlite_trim,
    sqlite_writer,
)
from reddot.stores.sqlite_reader import Snapshot
from tests.unit.stores.opening import append, draft, opened, writer_connection

# Rows that a statement has made itself, and the index of texts, which finds by its own means.
DERIVED = (
    "SCAN packed",
    "SCAN CONSTANT",
    "SCAN inbox_meta",
    "SCAN j VIRTUAL",
    "SCAN notification_text VIRTUAL",
)
NOW_MS = 1_767_225_600_000


def statements() -> Iterator[tuple[str, str]]:
    for module in (
        sqlite_ending,
        sqlite_inbox,
        sqlite_inbox_reader,
        sqlite_inbox_settle,
        sqlite_reader,
        sqlite_topics,
        sqlite_trim,
        sqlite_writer,
    ):
        for name, value in vars(module).items():
            complete = isinstance(value, str) and "?" in value and "{}" not in value
            if complete and name.startswith("_") and not name.startswith("__"):
                yield name, value


def test_no_statement_scans_a_table(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            connection = writer_connection(store)
            seen = 0
            for name, statement in statements():
                numbered = set(re.findall(r"\?\d+", statement))
                nothing = (None,) * (len(numbered) or statement.count("?"))
                plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", nothing).fetchall()
                for *_, step in plan:
                    seen += 1
                    scans = step.startswith("SCAN") and "json_each" not in step
                    derived = "subquery" in step or step.startswith(DERIVED)
                    assert not scans or derived, (name, step)
            assert seen > 20

    asyncio.run(run())


def test_an_offset_is_found_in_few_steps(tmp_path: Path) -> None:
    async def run() -> None:
        chance = random.Random(1)
        async with opened(
            tmp_path / "log.db", retention=lambda topic: Retention(4_000, 1 << 42)
        ) as store:
            for _ in range(10):
                noise = chance.choice([0.1, 0.5, 0.99])
                topics = ["noise" if chance.random() < noise else "a" for _ in range(2_000)]
                await append(store, *[draft(topic) for topic in topics])
            await store.trim(rows_max=3_000)
            connection = writer_connection(store)
            where = dict(
                connection.execute(
                    "SELECT off, pos FROM log JOIN topic ON topic.id = topic_id WHERE name = 'a'"
                )
            )
            snapshot = Snapshot(
                connection, now_ms=NOW_MS, retention=lambda topic: Retention(4_000, 1 << 42)
            )
            (topic,) = snapshot._list(sqlite_reader._TOPIC_ROWS, sqlite_reader._NAMED, '["a"]')
            steps: list[str] = []
            connection.set_trace_callback(steps.append)
            for offset, position in where.items():
                assert snapshot._position_at(topic, offset) == position
            assert len(where) > 2_000
            assert len(steps) <= 15 * len(where)
            assert snapshot._position_at(topic, min(where) - 1) < where[min(where)]
            assert snapshot._position_at(topic, max(where) + 9) == where[max(where)]

    asyncio.run(run())


def test_one_read_looks_at_a_bounded_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_reader, "SCAN_ROWS_MAX", 10)

    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, *[draft("noise") for _ in range(20)], draft("rare"), draft("x/y"))
            uptos = []
            after = 0
            while after < store.head:
                page = await store.read(["rare/#", "x/y"], after=after, upto=22, limit=9)
                uptos.append((page.upto, [p.position for p in page.publications]))
                after = page.upto
            assert uptos == [(10, []), (20, []), (22, [21, 22])]

    asyncio.run(run())


def test_names_are_searched_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_reader, "NAMES_CHUNK", 3)

    async def run() -> None:
        rule = Retention(count=0, age_ms=1 << 42)
        async with opened(tmp_path / "log.db", retention=lambda topic: rule) as store:
            await append(store, *[draft(f"n/{n}", retain=True) for n in range(10)], draft("z"))
            while await store.trim(rows_max=4):
                pass
            for filters, gaps in ((["+/9"], ["+/9"]), (["+/x", "z/#"], ["z/#"])):
                page = await store.read(filters, after=0, upto=11, limit=9)
                assert [gap.topic for gap in page.gaps] == gaps
            assert (await store.read(["+/9"], after=10, upto=11, limit=9)).gaps == ()
            found = await store.retained(["+/7", "n/+"], after=2, upto=9, limit=99)
            assert [p.position for p in found] == [3, 4, 5, 6, 7, 8, 9]

    asyncio.run(run())


def test_after_the_close_nothing_can_be_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft(retain=True))
        for ask in (
            store.read(["a"], after=0, upto=1, limit=1),
            store.history("a", before=None, limit=1),
            store.retained(["a"], after=0, upto=1, limit=1),
            store.trim(rows_max=1),
        ):
            with pytest.raises(ReddotError, match="store_unavailable"):
                await ask

    asyncio.run(run())


def test_a_database_that_cannot_be_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            writer_connection(store).execute("ALTER TABLE log RENAME TO elsewhere")
            with pytest.raises(ReddotError, match="store_unavailable"):
                await store.read(["a"], after=0, upto=1, limit=1)
            writer_connection(store).execute("ALTER TABLE elsewhere RENAME TO log")
            # The connection went back, without a transaction.
            for _ in range(3):
                page = await store.read(["a"], after=0, upto=1, limit=1)
                assert len(page.publications) == 1

    asyncio.run(run())
