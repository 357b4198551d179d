"""The seam between history and live: thousands of clients attach while something is published.

Each client comes with the cursor it left with, reads on past what was live when it attached, and
leaves. A publication that falls between the two reads would be a hole in its offsets.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from tests.integration.clients import ALL_TRANSPORTS, Publisher, beside, frames, run
from tests.integration.server import ServerFactory

CLIENTS_EACH = 2
SEAMS = 1500
"""Per case; three cases make 4,500."""
BOTH_MIN = SEAMS / 10
"""How often a way must have been taken for the case to mean something."""
TOPICS = ("seam/a", "seam/b")
FILTERS = (TOPICS, ("seam/+",))
"""Exact filters and wildcards take different ways through memory."""

pytestmark = pytest.mark.slow


@dataclass
class Oracle:
    """What has been published, and how many seams have been crossed."""

    publisher: Publisher
    newest: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))
    seams: int = 0

    async def publish(self, rng: random.Random) -> None:
        """Publish until cancelled."""
        while True:
            batch = [{"topic": rng.choice(TOPICS), "data": n} for n in range(rng.randint(1, 3))]
            await self.publisher.publish(*batch)
            for topic, offset in list(self.publisher.acknowledged)[-len(batch) :]:
                self.newest[topic] = offset
            await asyncio.sleep(rng.uniform(0, 0.004))


class Crosser:
    """One client that attaches again and again, always on the same transport."""

    def __init__(self, port: int, transport: str, topics: Sequence[str], oracle: Oracle) -> None:
        self._port = port
        self._transport = transport
        self._topics = topics
        self._oracle = oracle
        self._cursor: str | None = None
        self._seen: dict[str, int] = {}

    async def run(self, rng: random.Random) -> None:
        await self._attach_first()
        while self._oracle.seams < SEAMS:
            await asyncio.sleep(rng.choice((0, 0, 0.01, 0.06)))
            async with asyncio.timeout(20):
                await self._cross()
            # A poll without waiting never goes live; its answers are checked all the same.
            self._oracle.seams += self._transport != "poll"

    async def _attach_first(self) -> None:
        async with aclosing(frames(self._port, self._transport, self._topics)) as arriving:
            async for frame in arriving:
                self._take(frame)
                return

    async def _cross(self) -> None:
        """Attach, and read until something came that was published after that."""
        at_attach = dict(self._oracle.newest)
        arriving = frames(self._port, self._transport, self._topics, self._cursor)
        async with aclosing(arriving):
            async for frame in arriving:
                assert frame["type"] != "gap" and frame.get("complete", True), frame
                topic = self._take(frame)
                if topic is not None and self._seen[topic] > at_attach[topic]:
                    return

    def _take(self, frame: dict[str, object]) -> str | None:
        """Check that a publication is the next one of its topic; returns the topic."""
        self._cursor = str(frame.get("cursor", self._cursor))
        if frame["type"] != "publication":
            return None
        topic, offset = str(frame["topic"]), int(str(frame["offset"]))
        expected = self._seen.get(topic, offset - 1) + 1
        assert offset == expected, f"{self._transport}: {topic} {offset} instead of {expected}"
        self._seen[topic] = offset
        return topic


@pytest.mark.parametrize("recent_publications_max", [20_000, 8, 0], ids=["memory", "both", "store"])
def test_nothing_falls_into_the_seam(
    server_factory: ServerFactory, rng: random.Random, recent_publications_max: int
) -> None:
    server = server_factory(dev=True, recent_publications_max=recent_publications_max)
    run(seam_test(server.port, rng))
    by_memory = server.metric("reddot_catchup_memory_total")
    by_store = server.metric("reddot_catchup_store_total")
    if recent_publications_max != 0:
        assert by_memory > BOTH_MIN
    if recent_publications_max != 20_000:
        assert by_store > BOTH_MIN


async def seam_test(port: int, rng: random.Random) -> None:
    oracle = Oracle(Publisher(port))
    crossers = [
        Crosser(port, transport, filters, oracle)
        for transport in ALL_TRANSPORTS
        for filters in FILTERS
        for _ in range(CLIENTS_EACH)
    ]
    async with beside(oracle.publish(rng)):
        await asyncio.gather(*(crosser.run(rng) for crosser in crossers))
    oracle.publisher.close()
