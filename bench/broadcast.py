"""Claim: telling everyone costs a row per table, and those who are here hear at once.

A store in which 1,000,000 people have marks of their own; 1,000 of them are connected, half over
SSE and half over WebSocket. One notification to everyone: what it writes, when the last one has
it, and when the last one's badge is right. And the badge alone, in one process: over 20 topics
with a long history, and of somebody with 200,000 notifications.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from bench import wire
from bench.laboratory import Laboratory, Line
from bench.peers import API_KEY, Reddot
from reddot.core.badge import Mask, badge_counts, mark, mark_upto
from reddot.core.tokens import issue_token
from reddot.inbox import NO_PREFERENCES, UNMARKED, Notes
from reddot.system import SystemClock

PEOPLE: Final = 1_000_000
HERE: Final = 1_000
LAST_MS_MAX: Final = 50
BADGE_MS_MAX: Final = 1_000
BADGE_US_MAX: Final = 20
SECRET: Final = "a secret of the benchmark, 32 bytes long"
BODY: Final = '{"to":{"everyone":true},"title":"Maintenance at noon"}'
_UNREAD: Final = re.compile(rb'"type":"badge","as_of":\d+,"unread":(\d+)')


class _Client(asyncio.Protocol):
    """One connected user: notes when the notification and the badge have come."""

    def __init__(self, hello: bytes, ready: asyncio.Event, waiting: list[int]) -> None:
        self._hello = hello
        self._ready = ready
        self._waiting = waiting
        self._synced = False
        self.expected = 0
        self.told_at = self.right_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self._synced and b'"sync"' in data:
            self._synced = True
            self._waiting[0] -= 1
            if not self._waiting[0]:
                self._ready.set()
        if b'"publication"' in data:
            self.told_at = now
        for found in _UNREAD.finditer(data):
            if int(found[1]) == self.expected:
                self.right_at = now


def _fill(path: Path, people: int) -> None:
    """Marks of so many people on `everyone`, as they are after each has read something."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO topic (id, name) VALUES (1, 'everyone')")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO person (id, name, rev) SELECT i, 'u' || i, 0 FROM n",
            (people,),
        )
        connection.execute(
            "INSERT INTO marks (person_id, topic_id, join_seq, read_upto, seen_upto, followed)"
            " SELECT id, 1, 0, 0, 0, 0 FROM person"
        )
        connection.commit()


def _hello(number: int) -> bytes:
    token = issue_token(SECRET, user=f"u{number}", lifetime_s=3600, clock=SystemClock())
    bearer = f"Authorization: Bearer {token}"
    if number % 2:
        return wire.get("/v1/sse", bearer)
    request = wire.upgrade("/v1/ws")
    return request.replace(b"\r\n\r\n", f"\r\n{bearer}\r\n\r\n".encode())


async def _post(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    key = f"Authorization: Bearer {API_KEY}"
    writer.write(wire.post("/v1/notifications", BODY, key, "Content-Type: application/json"))
    answer = await reader.readuntil(b"}")
    assert b" 201 " in answer, answer
    writer.close()


async def _broadcasts(port: int, here: int, times: int) -> list[tuple[float, float]]:
    """Milliseconds until the last one was told, and until the last badge was right."""
    loop = asyncio.get_running_loop()
    ready, waiting = asyncio.Event(), [here]
    clients = [_Client(_hello(number), ready, waiting) for number in range(1, here + 1)]
    for client in clients:
        await loop.create_connection(lambda one=client: one, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.wait_for(ready.wait(), 60)
    found = []
    for count in range(1, times + 1):
        for client in clients:
            client.expected, client.told_at, client.right_at = count, 0.0, 0.0
        start = time.monotonic()
        await _post(port)
        while not all(client.right_at and client.told_at for client in clients):
            await asyncio.sleep(0.005)
            assert time.monotonic() < start + 20, "a badge is missing"
        told = max(client.told_at for client in clients) - start
        right = max(client.right_at for client in clients) - start
        found.append((told * 1000, right * 1000))
        await asyncio.sleep(0.3)
    for client in clients:
        client.transport.close()
    return found


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        tables = ("note", "notification", "log", "marks")
        return sum(
            int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in tables
        )


def _badge_us(topics: int, history: int, *, read: bool) -> float:
    notes = Notes(
        base=0,
        top=history,
        rev=1,
        live=(1 << history) - 1,
        categories={"a": int("01" * (history // 2), 2), "b": int("10" * (history // 2), 2)},
    )
    masks = {f"t{number}": Mask(notes) for number in range(topics)}
    own = mark(mark_upto(UNMARKED, "read", history - 10), "read", [history - 3])
    marks = dict.fromkeys(masks, own if read else UNMARKED)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        badge_counts(masks, marks, NO_PREFERENCES)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def run(lab: Laboratory) -> list[Line]:
    people = 10_000 if lab.quick else PEOPLE
    here = 200 if lab.quick else HERE
    folder = lab.folder()
    with Reddot(folder, store_url="sqlite:///bench.db"):
        pass  # Makes the tables.
    path = folder / "bench.db"
    _fill(path, people)
    before = _rows(path)
    with Reddot(folder, store_url="sqlite:///bench.db", jwt_secret=SECRET) as peer:
        found = asyncio.run(_broadcasts(peer.port, here, lab.turns))
    rows = (_rows(path) - before) / len(found)
    told = statistics.median(one for one, _ in found)
    right = statistics.median(one for _, one in found)
    lab.runs.append({"row": "broadcast", "case": "ms", "turn": 0, "result": json.dumps(found)})
    warm, large = _badge_us(20, 100_000, read=True), _badge_us(1, 200_000, read=False)
    return [
        Line(
            f"notification to everyone, {people:,} people in the store, {here:,} connected",
            f"{rows:.0f} rows written; last one told {told:.0f} ms, right {right:.0f} ms after",
            f"last < {LAST_MS_MAX} ms, badges < {BADGE_MS_MAX} ms",
            "",
            told < LAST_MS_MAX and right < BADGE_MS_MAX,
            told / lab.slowness < LAST_MS_MAX and right / lab.slowness < BADGE_MS_MAX,
        ),
        Line(
            "badge over 20 topics with 100,000 notifications each",
            f"{warm:.1f} µs",
            f"≤ {BADGE_US_MAX} µs",
            "",
            warm <= BADGE_US_MAX,
            warm / lab.slowness <= BADGE_US_MAX,
        ),
        Line("badge of 200,000 unread notifications", f"{large:.1f} µs"),
    ]
