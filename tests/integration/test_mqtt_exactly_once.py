"""MQTT through `kill -9` of the server and cuts of the clients: QoS 2 once, QoS 1 at least once."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest

from tests.integration.clients import beside, run, until
from tests.integration.mqtt_device import Device
from tests.integration.server import Server

MESSAGES = 1000
UP_S = (0.3, 0.8)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def kill_while(server: Server, rng: random.Random, device: Device, count: int) -> int:
    """Kill and start the server until a device has what it wants; how often."""
    kills = 0
    while len(set(device.received)) < count:
        await asyncio.sleep(rng.uniform(*UP_S))
        if len(set(device.received)) < count:
            server.kill9()
            kills += 1
            await asyncio.to_thread(server.start)
    return kills


@pytest.mark.parametrize("qos", [1, 2])
def test_messages_through_kills_on_either_side(
    server: Server, rng: random.Random, qos: int
) -> None:
    run(exactly_once(server, rng, qos))


async def exactly_once(server: Server, rng: random.Random, qos: int) -> None:
    beginning = (await poll(server, None))["cursor"]
    publisher = Device(server.port, "publisher", topic="load", qos=qos, rng=rng)
    subscriber = Device(server.port, "subscriber", filters=("load",), qos=qos, rng=rng)
    async with beside(publisher.run(), subscriber.run()):
        await subscriber.attached.wait()
        payloads = [b"%d" % number for number in range(MESSAGES)]
        # In portions, so that there is something under way at every kill.
        filling = asyncio.create_task(fill(publisher, payloads))
        kills = await kill_while(server, rng, subscriber, MESSAGES)
        await filling
        await until(lambda: not publisher.unanswered and not publisher.unsent)
        await asyncio.sleep(0.3)
    assert kills > 2
    assert subscriber.starts == 1
    if qos == 2:
        assert subscriber.received == payloads
        assert await stored(server, beginning) == payloads
    else:
        assert list(dict.fromkeys(subscriber.received)) == payloads


async def fill(publisher: Device, payloads: list[bytes]) -> None:
    for start in range(0, len(payloads), 25):
        publisher.unsent += payloads[start : start + 25]
        await asyncio.sleep(0.1)


async def poll(server: Server, cursor: str | None) -> dict[str, Any]:
    """One answer of another transport."""
    params = {"topic": "load"} | ({"cursor": cursor} if cursor else {})
    answer = await asyncio.to_thread(httpx.get, f"{server.url}/v1/poll", params=params)
    assert answer.status_code in (200, 304)
    found: dict[str, Any] = {"publications": []} if answer.status_code == 304 else answer.json()
    return found


async def stored(server: Server, cursor: str) -> list[bytes]:
    """What another transport sees after a cursor."""
    found: list[bytes] = []
    while publications := (page := await poll(server, cursor))["publications"]:
        found += [b"%d" % one["data"] for one in publications]
        cursor = page["cursor"]
    return found
