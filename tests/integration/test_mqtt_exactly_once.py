"""MQTT through `kill -9` of the server and of the clients: QoS 2 once, QoS 1 at least once."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.clients import beside, run, until
from tests.integration.mqtt_device import Device, read_journal
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


def test_at_least_once_through_kills_of_the_server_and_cuts(
    server: Server, rng: random.Random
) -> None:
    run(at_least_once(server, rng))


async def at_least_once(server: Server, rng: random.Random) -> None:
    publisher = Device(server.port, "publisher", topic="load", qos=1, rng=rng)
    subscriber = Device(server.port, "subscriber", filters=("load",), qos=1, rng=rng)
    async with beside(publisher.run(), subscriber.run()):
        await subscriber.attached.wait()
        payloads = [b"%d" % number for number in range(MESSAGES)]
        # In portions, so that there is something under way at every kill.
        filling = asyncio.create_task(fill(publisher, payloads))
        kills = await kill_while(server, rng, subscriber, MESSAGES)
        await filling
        await until(lambda: not publisher.unanswered and not publisher.unsent)
    assert kills > 2
    assert subscriber.starts == 1
    assert list(dict.fromkeys(subscriber.received)) == payloads


class Process:
    """A device in a process of its own, with a disk of its own."""

    def __init__(self, journal: Path, **plan: object) -> None:
        self.journal = journal
        self._plan = json.dumps({"journal": str(journal), **plan})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.integration.mqtt_device", self._plan]
        self._process = subprocess.Popen(command)

    def kill9(self) -> None:
        """As the kernel would; it must not have ended by itself."""
        assert self._process is not None and self._process.poll() is None
        self._process.kill()
        self._process.wait()

    def events(self, name: str) -> list[str]:
        """Payloads of what has happened."""
        lines = read_journal(self.journal) if self.journal.exists() else []
        return [payload for event, _, payload in lines if event == name]


def test_exactly_once_through_kills_of_all_three(
    server: Server, rng: random.Random, tmp_path: Path
) -> None:
    """The server, the publisher and the subscriber are killed in turn, each with SIGKILL."""
    beginning = asyncio.run(poll(server, None))["cursor"]
    publisher = Process(
        tmp_path / "publisher", port=server.port, name="publisher", topic="load", count=MESSAGES
    )
    subscriber = Process(
        tmp_path / "subscriber", port=server.port, name="subscriber", filters=["load"]
    )
    victims: list[Server | Process] = [server, publisher, subscriber]
    subscriber.start()
    try:
        wait_until(lambda: subscriber.events("subscribed"))
        publisher.start()
        kills = 0
        while len(set(subscriber.events("got"))) < MESSAGES:
            time.sleep(rng.uniform(*UP_S))
            victim = victims[kills % 3]
            victim.kill9()
            victim.start()
            kills += 1
        wait_until(lambda: len(publisher.events("finished")) >= MESSAGES)
        time.sleep(0.5)
    finally:
        publisher.kill9()
        subscriber.kill9()
    assert kills >= 6, "each of the three was to be killed twice"
    assert len(subscriber.events("started")) == len(publisher.events("started")) == 1
    expected = [str(number) for number in range(MESSAGES)]
    assert subscriber.events("got") == expected
    assert [one.decode() for one in asyncio.run(stored(server, beginning))] == expected


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


async def fill(publisher: Device, payloads: list[bytes]) -> None:
    for start in range(0, len(payloads), 25):
        publisher.unsent += payloads[start : start + 25]
        await asyncio.sleep(0.2)


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
