"""A node in a process of its own whose couriers ask a provider beside it; to be killed.

Usage: python -m tests.integration.post_process STORE PORT UNKNOWN_OUTCOME [PEOPLE]. It speaks one
JSON line per attempt to the provider on a local port, who answers with a line. With a number of
people it makes their addresses and notifications first.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from reddot.delivery import Cap, Outcome, Parcel, Plan, Step, Verdict
from reddot.node import Reddot
from reddot.opening import open_store
from reddot.outreach import Address
from reddot.system import configure_logs
from reddot.testing import dev_settings

COURIERS: Final = ("mail", "push", "sms")
KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Of webhooks that the settings have: what is sent goes through a `LineCourier` instead."""
CAPPED: Final = 1 / 6
"""Of the people: they are sent two offers, and may have one."""
BATCH: Final = 500

EVERYBODY = Plan(categories=("news",), steps=tuple(Step(courier=name) for name in COURIERS))
OFFER = Plan(
    categories=("offer",),
    steps=(Step(courier="mail"), Step(courier="push")),
    caps=(Cap(count=1, window_s=86_400, category="offer"),),
)


class Line:
    """The connection to the provider; attempts share it and wait for their own answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._count = 0

    async def open(self) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            answer = json.loads(line)
            self._waiting.pop(answer["n"]).set_result(answer)

    async def ask(self, **fields: Any) -> dict[str, Any]:
        self._count += 1
        answer = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps(fields | {"n": self._count}).encode() + b"\n")
        found: dict[str, Any] = await answer
        return found


class LineCourier:
    """`ports.Courier` by way of a `Line`."""

    def __init__(self, name: str, line: Line) -> None:
        self._name = name
        self._line = line

    async def send(self, parcel: Parcel) -> Outcome:
        answer = await self._line.ask(
            id=parcel.id,
            user=parcel.user,
            courier=self._name,
            notification=parcel.message.id,
            attempt=parcel.attempt,
        )
        return Outcome(
            verdict=Verdict(answer["verdict"]), reason=answer["reason"], blame=answer["blame"]
        )

    def check(self, address: object) -> bytes:
        return msgspec.json.encode(address)

    async def aclose(self) -> None:
        """The process ends with it."""


async def fill(node: Reddot, people: int) -> None:
    queue = node.store.deliveries
    pairs = [(f"{n:05}", courier) for n in range(people) for courier in COURIERS]
    for start in range(0, len(pairs), BATCH):
        some: Sequence[tuple[str, str]] = pairs[start : start + BATCH]
        await asyncio.gather(
            *(
                queue.put_address(Address(user=user, courier=courier, value=b'"x"'))
                for user, courier in some
            )
        )
    users = [f"{n:05}" for n in range(int(people * CAPPED))]
    wanted: Mapping[str, object] = {"title": "Offer", "category": "offer", "ttl": 3_600}
    for start in range(0, len(users), BATCH):
        await node.notify({"to": {"users": users[start : start + BATCH]}, **wanted})
    await node.notify({"to": {"everyone": True}, "title": "News", "category": "news"})


async def main(store: str, port: int, unknown_outcome: str, people: int) -> None:
    table = {"type": "webhook", "keys": [KEY], "unknown_outcome": unknown_outcome}
    settings = dev_settings(
        couriers=dict.fromkeys(COURIERS, table),
        store_url=f"sqlite:///{store}",
        delivery_backoff_s=0.05,
        delivery_backoff_s_max=0.5,
        delivery_lease_s=3,
        breaker_failures_max=1_000,
        delivery_attempts_per_s=0,
    )
    settings = settings.model_copy(update={"deliveries": (EVERYBODY, OFFER)})
    line = Line(port)
    await line.open()
    couriers = {name: LineCourier(name, line) for name in COURIERS}
    node = Reddot(settings, store=open_store(settings), couriers=couriers)
    await node.start()
    if people:
        await fill(node, people)
    await asyncio.Event().wait()


if __name__ == "__main__":
    configure_logs("json", "warning")
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int("".join(sys.argv[4:]) or 0)))
