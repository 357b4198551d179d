"""`ports.Deliveries` of the SQLite store: the loop's side. Layer: stores; part of `stores.sqlite`.

What changes something rides in the writer's transactions, what asks goes to a reader's thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from reddot.outreach import (
    ANY,
    Address,
    Campaign,
    Case,
    Delivery,
    DeliveryKeep,
    Figures,
    Lease,
    Progress,
    Settled,
    Which,
)
from reddot.ports import Clock
from reddot.stores import sqlite_people
from reddot.stores.sqlite_deliveries import DeliveryWriter
from reddot.stores.sqlite_deliveries_reader import DeliverySnapshot
from reddot.stores.sqlite_outreach import OutreachWriter

T = TypeVar("T")


class Ask(Protocol):
    """Asks one snapshot."""

    def __call__(self, ask: Callable[[Any], T], /) -> Awaitable[T]: ...


class Change(Protocol):
    """Runs a change in the next transaction; what it returns, once that is durable."""

    def __call__(self, change: Callable[[OutreachWriter], T], /) -> Awaitable[T]: ...


class SqliteDeliveries:
    """See `ports.Deliveries`."""

    def __init__(self, *, clock: Clock, keep: DeliveryKeep, ask: Ask, change: Change) -> None:
        self._clock = clock
        self._keep = keep
        self._ask = ask
        self._change = change

    # ---- the queue ----

    async def expand(self, *, rows_max: int) -> bool:
        return await self._change(lambda writer: writer.expand(rows_max))

    async def lease(self, courier: str, *, limit: int, until_ms: int) -> Sequence[Lease]:
        return await self._deliver(lambda one: one.lease(courier, limit, until_ms))

    async def lease_digest(
        self, user: str, courier: str, *, limit: int, until_ms: int
    ) -> Sequence[Lease]:
        return await self._deliver(lambda one: one.lease_digest(user, courier, limit, until_ms))

    async def cases(self, leases: Sequence[Lease], *, since_ms: int) -> Sequence[Case]:
        return await self._look(lambda snapshot: snapshot.cases(leases, since_ms))

    async def grant(self, leases: Sequence[Lease]) -> None:
        await self._deliver(lambda one: one.grant(leases))

    async def hand_over(self, unknown: Mapping[int, Sequence[str]]) -> Collection[int]:
        return await self._deliver(lambda one: one.hand_over(unknown))

    async def settle(
        self, results: Sequence[Settled], holds: Mapping[int, int] | None = None
    ) -> None:
        await self._deliver(lambda one: one.settle(results, holds))

    async def next_ms(self, couriers: Collection[str]) -> int | None:
        return await self._look(lambda snapshot: snapshot.next_ms(couriers))

    async def couriers(self) -> Sequence[str]:
        return await self._look(lambda snapshot: snapshot.couriers())

    async def upkeep(self, *, rows_max: int) -> int:
        kept_ms = self._clock.wall_ms() - self._keep.age_ms
        return await self._deliver(lambda one: one.upkeep(rows_max, kept_ms))

    # ---- people ----

    async def put_address(self, address: Address) -> None:
        most = self._keep.addresses_max
        await self._put(partial(sqlite_people.put_address, address=address, most=most))

    async def drop_address(self, user: str, courier: str, slot: str | None = None) -> bool:
        drop = partial(sqlite_people.drop_address, user=user, courier=courier, slot=slot)
        return await self._put(drop)

    async def addresses(self, user: str) -> Sequence[Address]:
        return await self._get(partial(sqlite_people.addresses, user=user))

    async def put_attributes(self, user: str, attributes: bytes) -> None:
        await self._put(partial(sqlite_people.put_attributes, user=user, data=attributes))

    async def attributes(self, user: str) -> bytes:
        return await self._get(partial(sqlite_people.attributes, user=user))

    async def audience(self, topic: str | None) -> int:
        return await self._get(partial(sqlite_people.audience, topic=topic))

    async def people(self, *, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        return await self._get(partial(sqlite_people.people, after=after, limit=limit))

    # ---- operators ----

    async def deliveries(
        self, which: Which = ANY, *, before: int | None = None, limit: int
    ) -> Sequence[Delivery]:
        return await self._look(lambda snapshot: snapshot.deliveries(which, before, limit))

    async def retry(self, id: int) -> None:
        await self._deliver(lambda one: one.retry(id))

    async def retry_all(self, ids: Collection[int]) -> int:
        return await self._deliver(lambda one: one.retry_all(ids))

    async def click(self, user: str, courier: str, notifications: Collection[str]) -> None:
        await self._deliver(lambda one: one.click(user, courier, notifications))

    async def lane(self, notification: str) -> int:
        return await self._look(lambda snapshot: snapshot.lane(notification))

    async def control(
        self,
        lane: int,
        *,
        paused: bool | None = None,
        cancelled: bool | None = None,
        approved: bool | None = None,
    ) -> None:
        await self._deliver(lambda one: one.control(lane, paused, cancelled, approved))

    async def progress(self, lane: int) -> Sequence[Progress]:
        return await self._look(lambda snapshot: snapshot.progress(lane))

    async def waiting(self, lane: int) -> bool:
        return await self._look(lambda snapshot: snapshot.waiting(lane))

    async def plans(self) -> bytes | None:
        return await self._get(sqlite_people.plans)

    async def put_plans(self, plans: bytes | None) -> None:
        await self._put(partial(sqlite_people.put_plans, data=plans))

    # ---- campaigns ----

    async def put_campaign(
        self,
        campaign: Campaign,
        part: Sequence[str] | None = None,
        figures: Sequence[Figures] | None = None,
    ) -> Campaign:
        put = partial(
            sqlite_people.put_campaign,
            campaign=campaign,
            part=None if part is None else list(part),
            figures=None if figures is None else list(figures),
        )
        return await self._put(put)

    async def campaign(self, id: str) -> Campaign | None:
        return await self._get(partial(sqlite_people.campaign, id=id))

    async def campaigns(self, *, before: int | None, limit: int) -> Sequence[Campaign]:
        below = 2**63 - 1 if before is None else before
        return await self._get(partial(sqlite_people.campaigns, before=below, limit=limit))

    async def due_campaigns(self, *, limit: int) -> Sequence[Campaign]:
        now_ms = self._clock.wall_ms()
        return await self._get(partial(sqlite_people.due_campaigns, now_ms=now_ms, limit=limit))

    async def due_counts(self, *, limit: int) -> Sequence[Campaign]:
        now_ms = self._clock.wall_ms()
        return await self._get(partial(sqlite_people.due_counts, now_ms=now_ms, limit=limit))

    async def figures(self, campaign: Campaign) -> Sequence[Figures]:
        return await self._get(partial(sqlite_people.figures, number=campaign.number))

    async def part(self, campaign: Campaign, index: int) -> Sequence[str]:
        return await self._get(partial(sqlite_people.part, number=campaign.number, index=index))

    # ---- where it runs ----

    async def _deliver(self, change: Callable[[DeliveryWriter], T]) -> T:
        return await self._change(lambda writer: change(writer.deliveries))

    async def _look(self, ask: Callable[[DeliverySnapshot], T]) -> T:
        return await self._ask(lambda snapshot: ask(snapshot.deliveries()))

    async def _put(self, change: Callable[[Any], T]) -> T:
        return await self._change(lambda writer: change(writer.cursor))

    async def _get(self, ask: Callable[[Any], T]) -> T:
        return await self._ask(lambda snapshot: ask(snapshot.connection))
