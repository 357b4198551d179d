"""Claim: a durable append costs the CPU about 10 µs, because what waits shares one fsync.

`python -m bench.append [--busy] [--keyed] [--data FOLDER]`: the SQLite store alone, in this
process: 200 bytes to one of 1,000 topics, so many at once, each awaited through a future.
`--busy` keeps the loop at work all the while, half a millisecond at a time, as a large fan-out
does: it shows what an append waits when its thread has to fight for the interpreter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import uvloop

from reddot.model import Draft, Retention
from reddot.stores.sqlite import SqliteStore
from reddot.system import SystemClock

DATA: Final = b'{"title":"' + b"x" * 188 + b'"}'
TOPICS: Final = 1_000
IN_FLIGHT: Final = (1, 16, 128, 1024)
SECONDS: Final = 3.0
BUSY_S: Final = 0.0005
PLENTY: Final = Retention(count=1_000_000, age_ms=86_400_000)


@dataclass(frozen=True)
class Row:
    """One line of the table; CPU is of the whole process, both threads."""

    in_flight: int
    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


class Load:
    """Publishers that wait for their answer before they go on."""

    def __init__(self, store: SqliteStore, *, keyed: bool) -> None:
        self._store = store
        self._keyed = keyed
        self._until = time.perf_counter() + SECONDS
        self.waits: list[float] = []

    async def publish(self, publisher: int) -> None:
        loop = asyncio.get_running_loop()
        number = publisher * 7919
        while (began := time.perf_counter()) < self._until:
            number += 1
            answer = loop.create_future()
            draft = Draft(
                topic=f"users/{number % TOPICS}",
                id=f"01890a5d-ac96-774b-{publisher:04x}-{number:012x}",
                keyed=self._keyed,
                data=DATA,
                time_ms=1_767_225_600_000,
            )
            self._store.append((draft,), answer.set_result)
            await answer
            self.waits.append(time.perf_counter() - began)

    async def keep_busy(self) -> None:
        while (began := time.perf_counter()) < self._until:
            while time.perf_counter() < began + BUSY_S:
                pass
            await asyncio.sleep(0)


async def measure(folder: Path, in_flight: int, *, busy: bool, keyed: bool) -> Row:
    store = SqliteStore(
        folder / f"{in_flight}.db",
        clock=SystemClock(),
        retention=lambda topic: PLENTY,
        new_epoch=lambda: secrets.randbits(32),
    )
    await store.open()
    load = Load(store, keyed=keyed)
    began, cpu = time.perf_counter(), sum(os.times()[:2])
    work = [load.publish(publisher) for publisher in range(in_flight)]
    await asyncio.gather(*work, *([load.keep_busy()] if busy else []))
    seconds, cpu = time.perf_counter() - began, sum(os.times()[:2]) - cpu
    await store.aclose()
    waits = statistics.quantiles(load.waits, n=100)
    count = len(load.waits)
    return Row(in_flight, count / seconds, cpu / count * 1e6, waits[49] * 1e3, waits[98] * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.append")
    parser.add_argument("--busy", action="store_true", help="keep the loop at work")
    parser.add_argument("--keyed", action="store_true", help="every draft has an idempotency key")
    parser.add_argument("--data", type=Path, help="folder on the disk to measure")
    options = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    print(f"SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}, {options}")
    print("| in flight | appends/s | CPU µs each | p50 ms | p99 ms |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.data) as folder:
        for in_flight in IN_FLIGHT:
            work = measure(Path(folder), in_flight, busy=options.busy, keyed=options.keyed)
            row = uvloop.run(work)
            print(
                f"| {row.in_flight} | {row.per_s:,.0f} | {row.cpu_us:.1f}"
                f" | {row.p50_ms:.2f} | {row.p99_ms:.2f} |"
            )


if __name__ == "__main__":
    main()
