"""Claim: a delivery of a campaign passes a node in fewer than 300 calls and 4 SQL statements.

Counted, not timed, so that it is nearly the same on a busy machine: calls of functions in the
loop's thread, those of C included, SQL statements, and transactions that write, at the default pace
and as fast as it goes; and the CPU of loop, writer and readers. A whole node in this process, the
queue in SQLite, a courier that answers after 2 ms; what sends is not in it, nor is publishing.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.campaign import KEY, PACE, fill
from bench.laboratory import Laboratory, Line
from bench.peers import API_KEY
from bench.processes import SERVER_CORE, on_core
from reddot.codecs.deliveries import campaign_of
from reddot.delivery import Outcome, Parcel, Verdict
from reddot.node import Reddot
from reddot.settings import Settings

CALLS_MAX: Final = 300
STATEMENTS_MAX: Final = 4
ANSWER_S: Final = 0.002
COUNTED: Final = {PACE: 200, 0: 2_000}
"""Deliveries, by attempts a second; 0: no limit. Half of them go before anything is counted."""
BODY: Final = b'{"to":{"everyone":true},"title":"Sale","category":"offer"}'
SENT: Final = Outcome(verdict=Verdict.SENT, reason="http_204")


class Provider:
    """A courier that reaches everybody, and says when so many more have been."""

    def __init__(self) -> None:
        self.sent = 0
        self._goal = 0
        self._reached = asyncio.Event()

    async def send(self, parcel: Parcel) -> Outcome:
        await asyncio.sleep(ANSWER_S)
        self.sent += 1
        if self.sent == self._goal:
            self._reached.set()
        return SENT

    async def more(self, count: int) -> int:
        """Return when so many more have been sent: how many there were."""
        before, self._goal = self.sent, self.sent + count
        self._reached.clear()
        await self._reached.wait()
        return self.sent - before

    def check(self, address: object) -> bytes:
        return b'"x"'

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass
class Counts:
    """What was counted while it was looked at."""

    calls: int = 0
    statements: int = 0
    transactions: int = 0
    cpu_us: dict[str, float] = field(default_factory=dict)

    def called(self, _frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            self.calls += 1

    def executed(self, statement: str) -> None:
        self.statements += 1
        self.transactions += statement.startswith("COMMIT")


def run(lab: Laboratory) -> list[Line]:
    lines: list[Line] = []
    with on_core(SERVER_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for per_s, count in COUNTED.items():
            counted = count // 4 if lab.quick else count
            counts, us = runner.run(_measure(lab.folder() / "bench.db", per_s, counted))
            result = {"per_delivery": counts, "cpu_us": us}
            lab.runs.append({"row": "campaign_path", "case": per_s, "turn": 0, "result": result})
            lines += _lines(per_s, counts, us)
    return lines


def _lines(per_s: int, each: dict[str, float], us: dict[str, float]) -> Iterator[Line]:
    what = f"one delivery through a node, {per_s or 'as many as can be'} a second"
    for name, most in (("calls", CALLS_MAX), ("statements", STATEMENTS_MAX), ("transactions", 0)):
        value = each[name]
        target = f"< {most}" if most else ""
        met = value < most if most else None
        yield Line(f"{what}: {name}", f"{value:.3g}", target, "", met)
    parts = " + ".join(f"{name} {value:.0f}" for name, value in us.items())
    yield Line(f"{what}: CPU", f"{sum(us.values()):.0f} µs", "", parts)


async def _measure(path: Path, per_s: int, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """Each count of a delivery, and the CPU of each kind of thread without counting."""
    await fill(path, 3 * count)
    with _connections() as connections:
        node = Reddot(_settings(path, per_s))
        await node.start()
    provider = Provider()
    node.dispatcher.outlets["hook"].courier = provider
    await node.campaigns.create(campaign_of(BODY, id="bench", now_ms=node.clock.wall_ms()))
    await provider.more(count // 2)
    before = _cpu_s()
    sent = await provider.more(count)
    after = _cpu_s()
    us = {name: (after[name] - before[name]) / sent * 1e6 for name in before}
    counts = Counts()
    with _watched(connections, counts):
        sent = await provider.more(count)
    await node.stop()
    names = ("calls", "statements", "transactions")
    return {name: getattr(counts, name) / sent for name in names}, us


def _settings(path: Path, per_s: int) -> Settings:
    courier = {"type": "webhook", "keys": [KEY], "url": "https://hooks.example.com/"}
    settings: dict[str, Any] = {
        "api_key": (API_KEY,),
        "log_level": "warning",
        "store_url": f"sqlite:///{path}",
        "couriers": {"hook": courier},
        "deliveries": ({"categories": ["offer"], "couriers": [{"courier": "hook"}]},),
        "delivery_attempts_per_s": per_s,
    }
    return Settings(**settings)


@contextmanager
def _connections() -> Iterator[list[sqlite3.Connection]]:
    """Those that are opened meanwhile."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    sqlite3.connect = connected  # type: ignore[assignment]
    try:
        yield opened
    finally:
        sqlite3.connect = connect


@contextmanager
def _watched(connections: Sequence[sqlite3.Connection], counts: Counts) -> Iterator[None]:
    """Count what SQLite executes, and what this thread calls."""
    for connection in connections:
        connection.set_trace_callback(counts.executed)
    sys.setprofile(counts.called)
    try:
        yield
    finally:
        sys.setprofile(None)
        for connection in connections:
            connection.set_trace_callback(None)


def _cpu_s() -> dict[str, float]:
    """Of the threads so far, by what they are for."""
    used = {"loop": 0.0, "writer": 0.0, "readers": 0.0}
    for thread in threading.enumerate():
        if thread is threading.main_thread():
            kind = "loop"
        elif thread.name.startswith("reddot-sqlite"):
            kind = "readers" if "reader" in thread.name else "writer"
        else:
            continue
        assert thread.ident is not None
        used[kind] += time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return used
