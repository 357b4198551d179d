"""A load generator that acknowledges: QoS 1 to one of many MQTT 3.1.1 clients.

Reads what to do as JSON on standard input, prints the result as JSON: run by `bench.mqtt`. One
publisher keeps a few messages under way, each for the next client; every client acknowledges.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from bench import wire

UNDER_WAY: Final = 8
WARM_S: Final = 0.5
PUBACK: Final = b"\x40\x02"


def cpu_s(pids: Sequence[int]) -> float:
    """CPU of all threads of the processes, seconds, by the scheduler's own clock."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Client(asyncio.Protocol):
    """A connection that takes whole packets of fewer than 16 KiB and answers QoS 1.

    Attributes:
        ready: its subscription, or connection, has been answered.
        acknowledged: called for each PUBACK.
    """

    received = 0

    def __init__(self, hello: bytes, answers: int) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.acknowledged = lambda: None
        self._hello = hello
        self._answers = answers
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        data, at = self._buffer + data, 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size >= 0x80:
                if len(data) - at < 3:
                    break
                size, start = size & 0x7F | data[at + 2] << 7, at + 3
            if start + size > len(data):
                break
            self._take(data[at], data, start)
            at = start + size
        self._buffer = data[at:]

    def _take(self, first: int, data: bytes, start: int) -> None:
        kind = first >> 4
        if kind == 3:
            place = start + 2 + (data[start] << 8 | data[start + 1])
            self.transport.write(PUBACK + data[place : place + 2])
            Client.received += 1
        elif kind == 4:
            self.acknowledged()
        else:
            self._answers -= 1
            if not self._answers and not self.ready.done():
                self.ready.set_result(None)


async def open_client(port: int, hello: bytes, answers: int) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(hello, answers), "127.0.0.1", port)
    await client.ready
    return client


async def measure(plan: dict[str, Any]) -> dict[str, Any]:
    connect, port, sessions = bytes.fromhex(plan["connect"]), plan["port"], plan["sessions"]
    clients = []
    for user in range(sessions):
        hello = connect + wire.mqtt_subscribe(f"bench/user/{user}", 1)
        clients.append(await open_client(port, hello, 2))
    publisher = await open_client(port, connect, 1)
    count = answered = 0

    def publish() -> None:
        nonlocal count
        topic, packet_id = f"bench/user/{count * 7 % sessions}", count % 60_000 + 1
        publisher.transport.write(wire.mqtt_publish(topic, wire.DATA, packet_id))
        count += 1

    def again() -> None:
        nonlocal answered
        answered += 1
        publish()

    publisher.acknowledged = again
    for _ in range(UNDER_WAY):
        publish()
    await asyncio.sleep(WARM_S)
    before = cpu_s(plan["pids"]), time.monotonic(), answered, Client.received
    await asyncio.sleep(plan["seconds"])
    after = cpu_s(plan["pids"]), time.monotonic(), answered, Client.received
    used, seconds, requests, delivered = (b - a for a, b in zip(before, after, strict=True))
    publisher.acknowledged = lambda: None
    await asyncio.sleep(WARM_S)
    return {
        "server_cpu_s": used,
        "answer_seconds": seconds,
        "requests": requests,
        "answered": requests,
        "delivered": delivered,
        "lost": max(0, count - Client.received),
    }


def main() -> None:
    plan = json.load(sys.stdin)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(plan))))


if __name__ == "__main__":
    main()
