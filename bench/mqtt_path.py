"""Claim: a QoS 1 message passes a node in fewer than fifty Python calls.

Counted, not timed, so that it is the same on a busy machine: Python calls and bytecode instructions
for one message published at QoS 1 to one of 1,000 clients and acknowledged both ways, with eight
under way as in `mqtt`; and CPU. A whole node in this process, the log in memory, sockets that only
collect; what uvloop and the kernel do is not in it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final, cast

import uvloop

from bench import wire
from bench.laboratory import SESSIONS, Laboratory, Line
from bench.peers import API_KEY
from bench.processes import SERVER_CORE, on_core
from reddot.node import Reddot
from reddot.settings import Settings

UNDER_WAY: Final = 8
TURNS: Final = 10
"""Loop turns in which everything has happened that a read has set going."""
WARM: Final = 4 * SESSIONS
COUNTED: Final = 50 * UNDER_WAY
RULE: Final[Any] = ({"filter": "bench/#", "subscribe": "anyone"},)
CALLS_MAX: Final = 50

Step = tuple[bytes, list[tuple[Callable[[bytes], None], bytes]]]
"""What the publisher sends, and then what each client that has got something."""


class Socket(asyncio.Transport):
    """What is written is kept in `written`."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.write = self.written.append  # type: ignore[assignment,method-assign]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.feed = cast("asyncio.Protocol", protocol).data_received

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Nothing comes unasked."""

    resume_reading = pause_reading


class Counts:
    """Calls of Python functions of ours, and their bytecode instructions, while it is traced."""

    def __init__(self) -> None:
        self.calls = 0
        self.instructions = 0

    def trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "call":
            if not _is_ours(frame.f_code):
                return None
            self.calls += 1
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            self.instructions += 1
        return self.trace


def _is_ours(code: CodeType) -> bool:
    return "reddot" in code.co_filename and "bench" not in code.co_filename


def run(lab: Laboratory) -> list[Line]:
    with on_core(SERVER_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        counts, us = runner.run(_measure(4000 if lab.quick else 40_000))
    result = {"calls": counts.calls, "instructions": counts.instructions, "us": us}
    lab.runs.append({"row": "mqtt_path", "case": "QoS 1", "turn": 0, "result": result})
    calls, instructions = counts.calls / COUNTED, counts.instructions / COUNTED
    what = "MQTT QoS 1, one message through a node without sockets"
    return [
        Line(f"{what}: Python calls", f"{calls:.0f}", f"< {CALLS_MAX}", "", calls < CALLS_MAX),
        Line(f"{what}: bytecode instructions", f"{instructions:,.0f}"),
        Line(f"{what}: CPU", f"{us:.1f} µs"),
    ]


async def _measure(timed: int) -> tuple[Counts, float]:
    settings = Settings(api_key=(API_KEY,), log_level="warning", store_url="memory://", topics=RULE)
    node = Reddot(settings)
    await node.start()
    clients = []
    for user in range(SESSIONS):
        clients.append(await _join(node, wire.mqtt_subscribe(f"bench/user/{user}", 1)))
    publisher = await _join(node, b"")
    steps = [_step(first, clients) for first in range(0, WARM + COUNTED + timed, UNDER_WAY)]
    warm, counted = WARM // UNDER_WAY, COUNTED // UNDER_WAY
    await _go(publisher, steps[:warm])
    counts = Counts()
    sys.settrace(counts.trace)
    await _go(publisher, steps[warm : warm + counted])
    sys.settrace(None)
    before = time.thread_time()
    await _go(publisher, steps[warm + counted :])
    us = (time.thread_time() - before) / timed * 1e6
    delivered = sum(len(client.written) for client in clients) - 2 * SESSIONS
    assert delivered == WARM + COUNTED + timed, f"{delivered} were delivered"
    await node.stop()
    return counts, us


async def _join(node: Reddot, behind: bytes) -> Socket:
    socket = Socket()
    node.mqtt.take(socket, b"")
    socket.feed(wire.mqtt_connect(f"c{id(socket)}", API_KEY) + behind)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    return socket


def _step(first: int, clients: list[Socket]) -> Step:
    numbers = range(first, first + UNDER_WAY)
    published = [
        wire.mqtt_publish(f"bench/user/{n % SESSIONS}", wire.DATA, n % 60_000 + 1) for n in numbers
    ]
    answers = [
        (clients[n % SESSIONS].feed, b"\x40\x02" + (n // SESSIONS + 1).to_bytes(2, "big"))
        for n in numbers
    ]
    return b"".join(published), answers


async def _go(publisher: Socket, steps: list[Step]) -> None:
    for published, answers in steps:
        publisher.feed(published)
        for _ in range(3):
            await asyncio.sleep(0)
        for feed, answer in answers:
            feed(answer)
