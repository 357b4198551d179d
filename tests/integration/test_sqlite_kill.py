"""Promise 1: an acknowledged durable publication survives `kill -9`, at any moment.

This file is also the program that is killed: it appends from many tasks and writes a line for
every acknowledgement. The test reads a random number of lines, kills it, and asks the log.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from reddot.errors import ReddotError
from reddot.model import Appended, Draft, Publication, Retention
from reddot.stores.sqlite import SqliteStore
from reddot.system import SystemClock

KILLS = 6
PUBLISHERS = 64
TOPICS = 20
PLENTY = Retention(count=10_000_000, age_ms=1 << 42)


def new_store(path: Path) -> SqliteStore:
    return SqliteStore(
        path, clock=SystemClock(), retention=lambda topic: PLENTY, new_epoch=lambda: 7
    )


def draft(name: str) -> Draft:
    """The draft that belongs to an id, so that whoever knows the id can retry it."""
    topic = f"topics/{hash_of(name) % TOPICS}"
    return Draft(topic=topic, id=name, keyed=True, data=f'"{name}"'.encode(), time_ms=1)


def hash_of(name: str) -> int:
    return sum(name.encode())


# ---- the program ----


async def publish(store: SqliteStore, life: str, publisher: int) -> None:
    number = 0
    while True:
        names = [f"{life}-{publisher}-{number + n}" for n in range(1 + number % 3)]
        number += len(names)
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        store.append([draft(name) for name in names], answer.set_result)
        results = await answer
        assert isinstance(results, list)
        lines = [acknowledgement(result) for result in results]
        os.write(1, "".join(lines).encode())


def acknowledgement(result: Appended) -> str:
    publication = result.publication
    return f"{publication.id} {publication.topic} {publication.position} {publication.offset}\n"


async def run(path: str, life: str) -> None:
    store = new_store(Path(path))
    await store.open()
    await asyncio.gather(*[publish(store, life, publisher) for publisher in range(PUBLISHERS)])


# ---- the test ----


@dataclass(frozen=True)
class Acknowledged:
    id: str
    topic: str
    position: int
    offset: int


def live_and_die(path: Path, life: int, lines: int) -> list[Acknowledged]:
    """Run the program, kill it after a number of acknowledgements, return all it has written."""
    command = [sys.executable, __file__, str(path), str(life)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    assert process.returncode == -9
    words = [line.decode().split() for line in said if line.endswith(b"\n")]
    return [Acknowledged(w[0], w[1], int(w[2]), int(w[3])) for w in words]


async def read_log(store: SqliteStore) -> list[Publication]:
    found: list[Publication] = []
    after = 0
    while after < store.head:
        page = await store.read(None, after=after, upto=store.head, limit=1_000)
        assert not page.gaps
        found += page.publications
        after = page.upto
    return found


async def retry(store: SqliteStore, name: str) -> Appended:
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    store.append([draft(name)], answer.set_result)
    results = await answer
    assert not isinstance(results, ReddotError)
    assert isinstance(results, list)
    result: Appended = results[0]
    return result


async def check(path: Path, acknowledged: list[Acknowledged]) -> None:
    store = new_store(path)
    await store.open()
    log = await read_log(store)
    assert [p.position for p in log] == list(range(1, store.head + 1))
    by_id = {p.id: p for p in log}
    assert len(by_id) == len(log), "an id was stored twice"
    for ack in acknowledged:
        stored = by_id[ack.id]
        assert (stored.topic, stored.position, stored.offset) == (
            ack.topic,
            ack.position,
            ack.offset,
        )
        assert stored.data == draft(ack.id).data
    for number in range(TOPICS):
        offsets = [p.offset for p in log if p.topic == f"topics/{number}"]
        assert offsets == list(range(1, len(offsets) + 1))
    # The last ones, acknowledged or not: a retry is stored once.
    for publication in log[-50:]:
        assert await retry(store, publication.id) == Appended(publication, True)
    await store.aclose()


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    seed = random.randrange(1 << 32)
    print("seed", seed)  # noqa: T201 - pytest shows it when the test fails
    chance = random.Random(seed)
    acknowledged: list[Acknowledged] = []
    for life in range(KILLS):
        new = live_and_die(path, life, chance.randint(1, 3_000))
        assert new
        acknowledged += new
        asyncio.run(check(path, acknowledged))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(run(sys.argv[1], sys.argv[2]))
