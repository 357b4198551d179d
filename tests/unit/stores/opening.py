"""How the tests of the SQLite store open one, and look at what is behind it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from reddot.errors import ReddotError
from reddot.model import Appended, Draft, Retention
from reddot.stores.sqlite import SqliteStore
from reddot.testing import FakeClock

NOW_MS = 1_767_225_600_000
PLENTY = Retention(count=1_000_000, age_ms=86_400_000)

Result = Sequence[Appended] | ReddotError


def new_store(path: Path, **changes: Any) -> SqliteStore:
    values: dict[str, Any] = {
        "clock": FakeClock(NOW_MS),
        "retention": lambda topic: PLENTY,
        "new_epoch": lambda: 7,
    }
    return SqliteStore(path, **values | changes)


@asynccontextmanager
async def opened(path: Path, **changes: Any) -> AsyncIterator[SqliteStore]:
    store = new_store(path, **changes)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def writer_connection(store: SqliteStore) -> sqlite3.Connection:
    """The writer's own connection. Only to be used while the writer has nothing to do."""
    assert store._writer is not None
    return store._writer._connection


def draft(topic: str = "a", data: bytes = b"1", **rest: Any) -> Draft:
    values: dict[str, Any] = {"id": "made-up", "time_ms": NOW_MS} | rest
    return Draft(topic=topic, data=data, **values)


def start(store: SqliteStore, *drafts: Draft) -> asyncio.Future[Result]:
    answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    store.append(drafts, answer.set_result)
    return answer


async def append(store: SqliteStore, *drafts: Draft) -> list[tuple[int, int]]:
    """Append and wait; (position, offset) of each, or what was raised."""
    result = await start(store, *drafts)
    if isinstance(result, ReddotError):
        raise result
    return [(r.publication.position, r.publication.offset) for r in result]
