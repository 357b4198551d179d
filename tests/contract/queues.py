"""Asking the delivery queue of a store: short words for what tests do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from reddot.delivery import Plan, State, Step
from reddot.inbox import Keep
from reddot.model import Appended, Retention
from reddot.outreach import Address, Case, DeliveryKeep, Lease, Settled, Which
from reddot.ports import Deliveries
from reddot.testing import FakeClock
from tests.contract.conftest import Backend, Settings, opened
from tests.contract.inboxes import Boxes

MAIL = (Step(courier="mail"),)
TWO = (Step(courier="push", after_s=60), Step(courier="mail", after_s=600))
LEASE_MS = 30_000
DAY_S = 86_400


def plan(steps: tuple[Step, ...] = MAIL, **rest: Any) -> str:
    return msgspec.json.encode(Plan(steps=steps, **rest)).decode()


class Queue(Boxes):
    """Boxes, and the queue of the same store."""

    @property
    def queue(self) -> Deliveries:
        return self.store.deliveries

    async def notify(self, id: str, *topics: str, plan: str = plan(), **rest: Any) -> Appended:
        return await self.send(id, *topics, plan=plan, **rest)

    async def address(self, user: str, *couriers: str, slot: str = "") -> None:
        for courier in couriers or ("mail",):
            await self.queue.put_address(
                Address(user=user, courier=courier, slot=slot, value=b'"%s"' % user.encode())
            )

    async def expand(self, rows_max: int = 1_000) -> int:
        """Until nothing is left to work out; how many steps that took."""
        steps = 1
        while await self.queue.expand(rows_max=rows_max):
            steps += 1
        return steps

    async def lease(self, courier: str = "mail", limit: int = 100) -> list[Lease]:
        until_ms = self.clock.wall_ms() + LEASE_MS
        return list(await self.queue.lease(courier, limit=limit, until_ms=until_ms))

    async def who(self, courier: str = "mail", limit: int = 100) -> list[tuple[str, str]]:
        """What is leased: notification and user."""
        found = await self.lease(courier, limit)
        return [(one.notification, one.user) for one in found]

    async def case(self, lease: Lease, *, since_ms: int = 0) -> Case:
        (found,) = await self.queue.cases([lease], since_ms=since_ms)
        return found

    async def end(self, lease: Lease, state: State, **rest: Any) -> None:
        await self.queue.settle([Settled(lease=lease, state=state, **rest)])

    async def states(self, notification: str) -> dict[str, str]:
        """User → state, of one courier's deliveries."""
        found = await self.queue.deliveries(Which(notification=notification), limit=100)
        return {one.user: one.state.value for one in found}


Test = Callable[[Queue], Awaitable[None]]


def run(backend: Backend, folder: Path, test: Test, **keep: Any) -> None:
    """Run a test on a new store; `keep` is that of deliveries."""
    settings = Settings(
        folder=folder,
        clock=FakeClock(),
        retention=lambda topic: Retention(1000, 1000),
        keep=Keep(locked=frozenset({"alarm"})),
        keep_deliveries=DeliveryKeep(**keep),
    )

    async def main() -> None:
        async with opened(backend, settings) as store:
            await test(Queue(store, settings.clock))

    asyncio.run(main())
