"""`kill -9` again and again, under load: what was acknowledged is there, once, in order."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.integration.clients import (
    TRANSPORTS,
    Publisher,
    Reader,
    beside,
    check_complete,
    run,
)
from tests.integration.server import Server

KILLS = 6
PUBLISHERS = 4
TOPICS = ("load/a", "load/b", "load/c")
UP_S = (0.3, 1.0)
"""How long the server may run between two kills."""

pytestmark = pytest.mark.slow


async def publish_until(
    stopped: asyncio.Event, publisher: Publisher, name: int, rng: random.Random
) -> int:
    """Publish as fast as it is acknowledged, each with an id, until told to stop."""
    count = 0
    while not stopped.is_set():
        size = rng.choice((1, 1, 3))
        batch = [
            {"topic": rng.choice(TOPICS), "data": [name, count + n], "id": f"{name}-{count + n}"}
            for n in range(size)
        ]
        await publisher.publish_surely(*batch)
        count += size
    publisher.close()
    return count


async def kill_again_and_again(server: Server, rng: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(rng.uniform(*UP_S))
        server.kill9()
        await asyncio.to_thread(server.start)
    await asyncio.sleep(UP_S[0])


def test_what_was_acknowledged_survives_kill_9(server: Server, rng: random.Random) -> None:
    run(crash_test(server, rng))


async def crash_test(server: Server, rng: random.Random) -> None:
    readers = [Reader(server.port, transport, ["load/+"]) for transport in TRANSPORTS]
    publishers = [Publisher(server.port) for _ in range(PUBLISHERS)]
    stopped = asyncio.Event()
    async with beside(*(reader.run() for reader in readers)):
        await asyncio.gather(*(reader.attached.wait() for reader in readers))
        killing = asyncio.create_task(kill_again_and_again(server, rng))
        killing.add_done_callback(lambda _: stopped.set())
        publishing = [
            publish_until(stopped, publisher, name, rng)
            for name, publisher in enumerate(publishers)
        ]
        published = sum(await asyncio.gather(*publishing))
        await killing
        await asyncio.gather(*(reader.until(published) for reader in readers))
    acknowledged = {
        place: id_ for publisher in publishers for place, id_ in publisher.acknowledged.items()
    }
    assert published > KILLS * PUBLISHERS, "hardly any load"
    assert len(acknowledged) == published, "two ids were acknowledged for one place"
    assert len(set(acknowledged.values())) == published, "an id was acknowledged for two places"
    for reader in readers:
        # An iframe stream that has carried a megabyte is asked to come back.
        told = [frame for frame in reader.others if frame["type"] != "reconnect"]
        assert not told, f"{reader.transport} was told {told[:3]}"
        assert reader.connections > KILLS
        # Exactly the acknowledged ones: what a retry repeated was not stored twice.
        check_complete(reader.publications, acknowledged)
