"""Ready-made clients get the same publications, in order, over a crash of the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.clients import Frame, Frames, Publisher, beside, run, until
from tests.integration.ready_clients import CLIENTS
from tests.integration.server import Server

FILTERS = ("news/+", "other/#")
TOPICS = ("news/a", "other", "news/b", "other/c/d", "news/a")
NOT_SELECTED = ("news", "news/a/b", "another")
ARRIVE_S = 15.0

pytestmark = [pytest.mark.slow, pytest.mark.service]


class Taken:
    """What a client got."""

    def __init__(self) -> None:
        self.publications: list[Frame] = []
        self.others: list[Frame] = []
        self.attached = asyncio.Event()

    async def take(self, arriving: Frames) -> None:
        async for frame in arriving:
            kind = self.publications if frame["type"] == "publication" else self.others
            kind.append(frame)
            self.attached.set()

    async def until(self, count: int) -> None:
        await until(lambda: len(self.publications) >= count, ARRIVE_S)

    async def until_unchanged(self) -> None:
        """Until a poll has been answered 304."""
        await until(lambda: {"type": "status", "status": "304"} in self.others, ARRIVE_S)

    @property
    def data(self) -> list[object]:
        return [frame["data"] for frame in self.publications]


async def publish(server: Server, numbers: range) -> None:
    """One publication per number; among them some that nobody asked for."""
    publisher = Publisher(server.port)
    for number in numbers:
        unwanted = {"topic": NOT_SELECTED[number % len(NOT_SELECTED)], "data": "unwanted"}
        wanted = {"topic": TOPICS[number % len(TOPICS)], "data": {"number": number, "text": "é<"}}
        await publisher.publish(unwanted, wanted)
    publisher.close()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_ready_client_misses_nothing_over_a_crash(
    name: str, server: Server, tmp_path: Path
) -> None:
    run(over_a_crash(name, server, tmp_path))


async def over_a_crash(name: str, server: Server, folder: Path) -> None:
    taken = Taken()
    async with beside(taken.take(CLIENTS[name](server, FILTERS, folder))):
        await asyncio.wait_for(taken.attached.wait(), ARRIVE_S)
        await publish(server, range(5))
        await taken.until(5)
        await publish(server, range(5, 10))
        await taken.until(10)
        server.kill9()
        await asyncio.to_thread(server.start)
        await publish(server, range(10, 20))
        await taken.until(20)
        await publish(server, range(20, 25))
        await taken.until(25)
        if "poll" in name:
            await taken.until_unchanged()
    assert taken.data == [{"number": number, "text": "é<"} for number in range(25)]
    assert [frame["topic"] for frame in taken.publications] == [*TOPICS] * 5
    offsets: dict[str, int] = {}
    for frame in taken.publications:
        offsets[frame["topic"]] = offsets.get(frame["topic"], 0) + 1
        assert frame["offset"] == offsets[frame["topic"]]
    assert not [frame for frame in taken.others if frame["type"] in ("gap", "error")]
