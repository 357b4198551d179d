"""A client that does not read costs a bounded amount, slows nobody, and loses nothing.

The slow ones listen to a flood that nobody else hears, so that their sockets fill in any case.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.clients import (
    Frame,
    Http,
    Publisher,
    Reader,
    beside,
    check_complete,
    frames,
    query,
    run,
)
from tests.integration.server import Server, ServerFactory

HEALTHY = 200
TICKS = 60
TICK_S = 0.03
FLOOD_PER_TICK = 10
FLOOD_BYTES = 16_000
ROUNDS = 3
P99_RATIO_MAX = 5.0
RSS_GROWTH_MAX = 12 << 20
RECEIVE_BUFFER_BYTES = 4096

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


class Healthy:
    """Clients that read, and how long each publication took to reach them, seconds."""

    def __init__(self, port: int) -> None:
        self.delays: list[float] = []
        self.attached = 0
        self._port = port

    async def run(self, transport: str) -> None:
        async for frame in frames(self._port, transport, ["tick"]):
            if frame["type"] == "publication":
                self.delays.append(time.perf_counter() - frame["data"]["at"])
            elif frame["type"] == "sync":
                self.attached += 1

    async def until_attached(self) -> None:
        while self.attached < HEALTHY:
            await asyncio.sleep(0.01)

    async def p99(self) -> float:
        """Of one round, once everything of it has arrived."""
        async with asyncio.timeout(20):
            while len(self.delays) < TICKS * HEALTHY:
                await asyncio.sleep(0.01)
        delays, self.delays = self.delays, []
        return statistics.quantiles(delays, n=100)[98]


async def publish_round(publisher: Publisher, round_: int) -> None:
    """Ticks for the healthy ones, and the flood beside them."""
    pad = "x" * FLOOD_BYTES
    for tick in range(TICKS):
        flood = [{"topic": f"flood/{round_}", "data": pad} for _ in range(FLOOD_PER_TICK)]
        await publisher.publish({"topic": "tick", "data": {"at": time.perf_counter()}}, *flood)
        await asyncio.sleep(TICK_S)


async def open_unread(port: int, transport: str, topic: str) -> Http:
    """A connection that has asked for a stream and has read its beginning, no more."""
    http = await Http.open(port, receive_buffer_bytes=RECEIVE_BUFFER_BYTES)
    headers = {}
    if transport == "ws":
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
    status, _ = await http.send("GET", f"/v1/{transport}?{query([topic])}", headers)
    assert status in (101, 200)
    await http.reader.readuntil(b"complete")
    http.writer.transport.pause_reading()
    return http
