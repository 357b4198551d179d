"""Everybody comes back at once after a restart, each for what only they have missed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from tests.integration.clients import Frame, Publisher, frames, run
from tests.integration.server import Server, ServerFactory

SESSIONS = 2000
MISSED = 10
TRANSPORTS = ("sse", "ws", "iframe", "longpoll", "poll")
BATCH = 100
ALL_S_MAX = 40.0

pytestmark = pytest.mark.slow


async def first_cursor(port: int) -> str:
    async with aclosing(frames(port, "poll", ["storm/0"])) as arriving:
        async for frame in arriving:
            return str(frame["cursor"])
    raise AssertionError("no answer")


async def publish_all(port: int) -> None:
    """Each topic gets its publications far apart in the log, as a real log has them."""
    publisher = Publisher(port)
    wanted = [(f"storm/{session}", n) for n in range(MISSED) for session in range(SESSIONS)]
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        await publisher.publish(*({"topic": topic, "data": n} for topic, n in batch))
    publisher.close()


async def resume(port: int, session: int, cursor: str, everybody: asyncio.Barrier) -> list[Frame]:
    """All that one session has missed. The connection stays until everybody has theirs."""
    transport = TRANSPORTS[session % len(TRANSPORTS)]
    came: list[Frame] = []
    async with aclosing(frames(port, transport, [f"storm/{session}"], cursor)) as arriving:
        async for frame in arriving:
            assert frame["type"] in ("sync", "publication", "heartbeat"), frame
            assert frame.get("complete", True), frame
            came += [frame] if frame["type"] == "publication" else []
            if len(came) == MISSED:
                await everybody.wait()
                return came
    raise AssertionError(f"{transport} ended after {len(came)}")


def check(came: Sequence[Sequence[Frame]]) -> None:
    for session, publications in enumerate(came):
        places = [(p["topic"], p["offset"], p["data"]) for p in publications]
        assert places == [(f"storm/{session}", n + 1, n) for n in range(MISSED)]


async def storm(server: Server) -> None:
    cursor = await first_cursor(server.port)
    await publish_all(server.port)
    # After a restart memory holds only the newest, so most have to be served by the store.
    await asyncio.to_thread(server.restart)
    everybody = asyncio.Barrier(SESSIONS)
    began = time.monotonic()
    async with asyncio.timeout(ALL_S_MAX):
        came = await asyncio.gather(
            *(resume(server.port, session, cursor, everybody) for session in range(SESSIONS))
        )
    sys.stdout.write(f"{SESSIONS} sessions resumed in {time.monotonic() - began:.2f} s\n")
    check(came)


def test_all_sessions_resume_at_once(server_factory: ServerFactory) -> None:
    server = server_factory(dev=True)
    run(storm(server))
    assert server.metric("reddot_catchup_store_total") > SESSIONS / 2
    assert server.metric("reddot_gaps_total") == 0
