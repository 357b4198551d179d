"""One client hops between the transports with one cursor, under load, and misses nothing."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from tests.integration.clients import ALL_TRANSPORTS, Publisher, Reader, beside, check_complete, run
from tests.integration.server import Server

SECONDS = 8.0
PER_S = 250
SWITCHES_MIN = 40
BATCH_MAX = 100
STAY_S = (0.01, 0.2)

pytestmark = pytest.mark.slow


async def publish_steadily(publisher: Publisher, rng: random.Random) -> float:
    """Publish `PER_S` a second for `SECONDS`; returns the rate that was reached."""
    began = time.monotonic()
    count = 0
    while (passed := time.monotonic() - began) < SECONDS:
        due = min(int(passed * PER_S) - count, BATCH_MAX)
        if due > 0:
            batch = [{"topic": rng.choice(("hop/a", "hop/b")), "data": n} for n in range(due)]
            await publisher.publish(*batch)
            count += due
        await asyncio.sleep(0.002)
    publisher.close()
    return count / (time.monotonic() - began)


async def hop(reader: Reader, rng: random.Random, *, while_running: asyncio.Task[float]) -> None:
    """Leave the transport in the middle of whatever it does, and go on with another one."""
    while not while_running.done():
        others = [name for name in ALL_TRANSPORTS if name != reader.transport]
        reader.transport = rng.choice(others)
        try:
            async with asyncio.timeout(rng.uniform(*STAY_S)):
                await reader.read_once()
        except TimeoutError:
            pass


def test_hopping_between_transports_loses_nothing(server: Server, rng: random.Random) -> None:
    run(hopping_test(server, rng))


async def hopping_test(server: Server, rng: random.Random) -> None:
    reader = Reader(server.port, "poll", ["hop/+"])
    async with beside(reader.read_once()):
        await reader.attached.wait()
    publisher = Publisher(server.port)
    publishing = asyncio.create_task(publish_steadily(publisher, rng))
    await hop(reader, rng, while_running=publishing)
    assert publishing.result() >= 200, "the load was not reached"
    assert reader.connections >= SWITCHES_MIN
    reader.transport = "sse"
    async with beside(reader.run()):
        await reader.until(len(publisher.acknowledged))
    assert not reader.others
    check_complete(reader.publications, publisher.acknowledged)
