"""What every bus does on one node. What may be lost, doubled or reordered is not asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from reddot.model import Publication
from reddot.ports import Bus

DURABLE = Publication(topic="a", id="1", data=b"1", time_ms=1, offset=7, position=9)
EPHEMERAL = Publication(topic="b", id="2", data=b"2", time_ms=1)


def test_the_node_itself_hears_what_it_announces(new_bus: Callable[[], Bus]) -> None:
    async def run() -> None:
        bus = new_bus()
        heard: list[Sequence[Publication]] = []
        bus.listen(heard.append)
        await bus.watch(["a", "b"], [])
        bus.announce([DURABLE, EPHEMERAL])
        bus.announce([EPHEMERAL])
        await asyncio.sleep(0)
        assert [p for batch in heard for p in batch] == [DURABLE, EPHEMERAL, EPHEMERAL]
        await bus.aclose()

    asyncio.run(run())


def test_nobody_is_called_after_the_close(new_bus: Callable[[], Bus]) -> None:
    async def run() -> None:
        bus = new_bus()
        heard: list[Sequence[Publication]] = []
        bus.listen(heard.append)
        await bus.aclose()
        await bus.aclose()
        bus.announce([DURABLE])
        await asyncio.sleep(0)
        assert not heard

    asyncio.run(run())


def test_announcing_without_a_listener_is_no_error(new_bus: Callable[[], Bus]) -> None:
    async def run() -> None:
        bus = new_bus()
        bus.announce([DURABLE])
        await bus.aclose()

    asyncio.run(run())


def test_watching_and_unwatching_is_no_error(new_bus: Callable[[], Bus]) -> None:
    async def run() -> None:
        bus = new_bus()
        bus.listen(lambda publications: None)
        await bus.watch(["a", "b/#"], [])
        await bus.watch([], ["a", "never/watched"])
        await bus.aclose()

    asyncio.run(run())
