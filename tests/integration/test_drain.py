"""SIGTERM under load: clients are asked to come back, publishers are answered, nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import httpx
import pytest

from tests.integration.clients import (
    GONE,
    STREAMS,
    Publisher,
    Reader,
    beside,
    check_complete,
    run,
)
from tests.integration.server import Server, ServerFactory

READERS_EACH = 20
PUBLISHERS = 16
EXIT_S_MAX = 15.0
RECONNECTS_PER_S = 10
LOADED_S = 0.5
STILL_SERVED_S = 0.5

pytestmark = pytest.mark.slow


async def publish_until_gone(publisher: Publisher, name: int) -> None:
    """Publish without a pause for as long as there is a server."""
    count = 0
    try:
        while True:
            await publisher.publish({"topic": f"drain/{name}", "data": count})
            count += 1
    except GONE:
        pass


async def until_unready(url: str) -> str:
    async with httpx.AsyncClient() as client, asyncio.timeout(5):
        while True:
            answer = await client.get(f"{url}/readyz")
            if answer.status_code == 503:
                return str(answer.json()["reason"])


def test_sigterm_sends_everybody_away_and_loses_nothing(server_factory: ServerFactory) -> None:
    server = server_factory(
        dev=True, drain_delay_s=STILL_SERVED_S, reconnects_per_s=RECONNECTS_PER_S
    )
    run(drain_test(server))


async def drain_test(server: Server) -> None:
    loaded = [
        Reader(server.port, transport, ["drain/+"])
        for transport in STREAMS
        for _ in range(READERS_EACH)
    ]
    # A long poll between two answers is not there to be told, so these get nothing to answer.
    waiting = [Reader(server.port, "longpoll", ["quiet"]) for _ in range(READERS_EACH)]
    publishers = [Publisher(server.port) for _ in range(PUBLISHERS)]
    reading = asyncio.gather(*(reader.read_once() for reader in (*loaded, *waiting)))
    await asyncio.gather(*(reader.attached.wait() for reader in (*loaded, *waiting)))
    publishing = asyncio.gather(
        *(publish_until_gone(publisher, name) for name, publisher in enumerate(publishers))
    )
    await asyncio.sleep(LOADED_S)
    began = time.monotonic()
    server.terminate()
    assert await until_unready(server.url) == "draining"
    assert await asyncio.to_thread(server.wait, EXIT_S_MAX) == 0
    assert time.monotonic() - began < EXIT_S_MAX
    await asyncio.gather(reading, publishing)
    check_sent_away([*loaded, *waiting])
    await check_nothing_lost(server, loaded, publishers)


def check_sent_away(readers: list[Reader]) -> None:
    """Everybody was told to come back, not all at once: no faster than they can be welcomed."""
    spread_ms = len(readers) * 1000 // RECONNECTS_PER_S
    delays = []
    for reader in readers:
        said = [frame for frame in reader.others if frame["type"] == "reconnect"]
        assert [frame["reason"] for frame in said] == ["drain"], reader.transport
        delays.append(said[0]["retry_ms"])
    assert all(0 <= delay <= spread_ms for delay in delays)
    for third in range(3):
        share = sum(delay * 3 // (spread_ms + 1) == third for delay in delays) / len(delays)
        assert share > 0.1, f"too few come back in third {third}: {sorted(delays)}"


async def until_complete(reader: Reader, acknowledged: Mapping[tuple[str, int], str]) -> None:
    """Wait until everything has come; says what has not if it does not."""
    try:
        await reader.until(len(acknowledged))
    except TimeoutError:
        missing = sorted(acknowledged.keys() - reader.places)
        raise AssertionError(
            f"{reader.transport} misses {len(missing)}, first {missing[:5]}; "
            f"cursor {reader.cursor}, connections {reader.connections}, told {reader.others[-3:]}"
        ) from None


async def check_nothing_lost(
    server: Server, readers: list[Reader], publishers: list[Publisher]
) -> None:
    acknowledged = {
        place: id_ for publisher in publishers for place, id_ in publisher.acknowledged.items()
    }
    assert len(acknowledged) > PUBLISHERS * 10, "hardly any load"
    await asyncio.to_thread(server.start)
    async with beside(*(reader.run() for reader in readers)):
        await asyncio.gather(*(until_complete(reader, acknowledged) for reader in readers))
    for reader in readers:
        # Nothing was stored whose publisher was not answered.
        check_complete(reader.publications, acknowledged)
