"""The composition root: the only place that knows all names. Start and stop happen here, in order.

Start: store, memory, feed, timer, listener. Stop: not ready, clients asked to come back, publishes
answered, listener closed, store closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec
import structlog

import reddot
from reddot.api.demo import demo_routes
from reddot.api.service import Asgi, with_application
from reddot.codecs.json_data import check_data
from reddot.core.inbox import Receipt
from reddot.core.recent import Recent
from reddot.errors import ReddotError
from reddot.model import Actor, Appended
from reddot.net.edge import Door, EdgeLimits
from reddot.net.exchange import Exchange, Handler
from reddot.net.framing import Head, HeadLimits
from reddot.parts import Parts, pick
from reddot.ports import Clock, Courier, Entropy, Store
from reddot.routes import (
    Routes,
    admission,
    attaching_routes,
    cold_service,
    command_routes,
    notifier,
    probes,
)
from reddot.settings import Settings

_log = structlog.get_logger("reddot")

T = TypeVar("T", bound=msgspec.Struct)

TICK_S: Final = 0.5
INBOX_UPKEEP_S: Final = 1.0
TRIM_ROWS: Final = 500
SWEEP_ROWS: Final = 100
"""Of deliveries, each of which is in more indexes: a publication waits for so many at most."""
DRAIN_PUBLISHES_S: Final = 0.5
"""Publishers that never pause must not put off the end: a connection is closed behind its answer,
so what is still under way after this is answered all the same."""
DRAIN_ATTEMPTS_S: Final = 3.0
"""Attempts at deliveries may come to their end; those that do not are made again, with their id.
Those that are not made again have all the time but this."""
WARM_PAGE: Final = 5000
SERVER: Final = Actor(admin=True)
"""Who publishes in-process: the program itself."""


class Reddot(Parts):
    """One node: everything between the store and the routes, alive.

    Usable without a listener (tests, embedding): `await start()`, `await publish(…)`,
    `await stop()`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        store: Store | None = None,
        couriers: Mapping[str, Courier] | None = None,
    ) -> None:
        super().__init__(settings, clock=clock, entropy=entropy, store=store, couriers=couriers)
        self.draining = False
        self._cut_until = 0.0

    async def start(self) -> None:
        """Open the store and begin to listen to the bus."""
        await self.store.open()
        self.assemble(await self._warm(self.store.head))
        await self.plans.load(self.store.deliveries)
        await self.mqtt.start()
        self._notify = notifier(self)
        self.campaigns.wanted = partial(self._notify.wanted, key=None)
        self._probes = probes(self)
        self.routes = self._hot_routes()
        self.spawn(self._tick())
        self.spawn(self._trim())
        self.spawn(self._keep_inboxes())
        self.spawn(self.dispatcher.run())
        self.spawn(self._keep_deliveries())
        self.spawn(self._count_campaigns())
        reddot.running.append(self)
        head = self.store.head
        _log.info("started", version=reddot.__version__, store=self.describe_store(), head=head)

    async def _warm(self, head: int) -> Recent:
        """Memory with the newest publications, so that a restart's resumes are cheap.

        It must be without holes: what was trimmed in between has to be told as a gap.
        """
        settings = self.settings
        recent = Recent(
            floor=head,
            publications_max=settings.recent_publications_max,
            bytes_max=settings.recent_bytes_max,
        )
        start = max(0, head - min(settings.recent_publications_max, WARM_PAGE))
        if start < head:
            page = await self.store.read(None, after=start, upto=head, limit=WARM_PAGE)
            if not page.gaps and page.upto >= head:
                recent.floor = start
                for publication in page.publications:
                    recent.add(publication)
        return recent

    def _hot_routes(self) -> Routes:
        door = admission(self)
        attaching = attaching_routes(self, door)
        if self.settings.dev:
            attaching = {path: self._cuttable(methods) for path, methods in attaching.items()}
        commands = command_routes(self, door, self._notify)
        return {**attaching, **commands, **self._probes.hot_routes()}

    # The demo's faults

    def _cuttable(self, methods: Mapping[str, Handler]) -> Mapping[str, Handler]:
        def wrap(handler: Handler) -> Handler:
            def handle(head: Head, body: bytes, exchange: Exchange) -> None:
                if self.clock.monotonic() < self._cut_until:
                    exchange.abort()
                else:
                    handler(head, body, exchange)

            return handle

        return {method: wrap(handler) for method, handler in methods.items()}

    def cut_connections(self, seconds: float) -> None:
        """Abort every client and refuse them for a while, as a broken network would."""
        self._cut_until = self.clock.monotonic() + seconds
        for session in list(self.subscribing.sessions.values()):
            self.subscribing.close(session, abort=True)

    def restart_hub(self) -> None:
        """Lose everybody and everything in memory, as a crash of the fan-out would."""
        for session in list(self.subscribing.sessions.values()):
            self.subscribing.close(session, abort=True)
        self.recent.clear(floor=self.hub.position)

    # Publishing in-process

    async def publish(
        self,
        topic: str,
        data: object,
        *,
        event: str | None = None,
        id: str | None = None,
        ephemeral: bool | None = None,
        ttl_s: float | None = None,
        retain: bool = False,
    ) -> Appended:
        """Publish from this program, with an administrator's rights; returns when it is durable.

        Args:
            data: any JSON value, or `bytes` that are JSON already.

        Raises:
            ReddotError: as over HTTP.
        """
        raw = data if isinstance(data, bytes) else msgspec.json.encode(data)
        limits = self.publishing.limits
        check_data(raw, bytes_max=limits.data_bytes_max, depth_max=self.settings.data_depth_max)
        draft = self.publishing.draft(
            SERVER,
            topic=topic,
            data=raw,
            event=event,
            id=id,
            ephemeral=ephemeral,
            ttl_s=ttl_s,
            retain=retain,
        )
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()

        def done(result: Sequence[Appended] | ReddotError) -> None:
            if answer.cancelled():
                return
            if isinstance(result, ReddotError):
                answer.set_exception(result)
            else:
                answer.set_result(result[0])

        self.publishing.publish((draft,), done)
        return await answer

    async def notify(self, fields: Mapping[str, object]) -> str:
        """Notify from this program, with an administrator's rights; the id, when it is durable.

        Args:
            fields: those of `POST /v1/notifications`.

        Raises:
            ReddotError: as over HTTP.
        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def done(result: Receipt | ReddotError) -> None:
            if answer.cancelled():
                return
            if isinstance(result, ReddotError):
                answer.set_exception(result)
            else:
                answer.set_result(result.id)

        wanted = self._notify.wanted(msgspec.json.encode(fields), None)
        self.inboxes.send(SERVER, wanted, done)
        return await answer

    # Life

    def door(self) -> Door:
        """What the listener needs of this node."""
        return Door(
            routes=self.routes,
            counters=self.counters,
            head_limits=pick(HeadLimits, self.settings),
            limits=pick(EdgeLimits, self.settings),
            now=self.clock.monotonic,
            wall=lambda: self.clock.wall_ms() / 1000,
            mqtt=self.mqtt.take,
        )

    def asgi(self, application: Asgi | None = None) -> Asgi:
        """Everything that is not hot, with a user's own application behind it."""
        pages = [*self._probes.routes(), *(demo_routes(self) if self.settings.dev else [])]
        return with_application(cold_service(self, self.unready, pages, self._notify), application)

    def unready(self) -> str | None:
        """Why no new client is welcome, or None."""
        return "draining" if self.draining else None

    def wall_ms(self) -> int:
        return self.clock.wall_ms()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.subscribing.tick()
            self.mqtt.tick()
            self.feed.check()
            self.readings.take()

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(self.settings.trim_interval_s)
            while await self.store.trim(rows_max=TRIM_ROWS) == TRIM_ROWS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _keep_inboxes(self) -> None:
        """Send what was scheduled, and let die what has expired."""
        while True:
            await asyncio.sleep(INBOX_UPKEEP_S)
            try:
                await self.inboxes.upkeep()
                await self.reached.write()
            except ReddotError as error:
                _log.warning("inbox_upkeep_failed", error=str(error))

    async def _keep_deliveries(self) -> None:
        """Begin and end campaigns, and move what has been decided, in small steps."""
        while True:
            await asyncio.sleep(INBOX_UPKEEP_S)
            try:
                await self.campaigns.upkeep()
                await self.dispatcher.adopt()
                while await self.store.deliveries.upkeep(rows_max=SWEEP_ROWS):
                    self.dispatcher.hint()
                    await asyncio.sleep(0.01)
            except ReddotError as error:
                _log.warning("delivery_upkeep_failed", error=str(error))

    async def _count_campaigns(self) -> None:
        """Write down whom campaigns have reached, without haste."""
        rest_s = 0.0
        while True:
            await asyncio.sleep(max(INBOX_UPKEEP_S, rest_s))
            try:
                rest_s = await self.counting.upkeep()
            except ReddotError as error:
                _log.warning("campaigns_not_counted", error=str(error))

    async def drain(self) -> None:
        """Ask all clients to come back, and let publishes under way be answered."""
        self.draining = True
        self.dispatcher.drain()
        await asyncio.sleep(self.settings.drain_delay_s)
        self.subscribing.drain()
        began = self.clock.monotonic()
        while self._busy(self.clock.monotonic() - began):  # noqa: ASYNC110 - once a life
            await asyncio.sleep(0.01)

    def _busy(self, for_s: float) -> bool:
        """Whether there is something to wait for, after having waited for so long."""
        publishing = self.publishing.busy and for_s < DRAIN_PUBLISHES_S
        attempts_s = DRAIN_ATTEMPTS_S
        if self.dispatcher.busy_once:
            attempts_s = max(attempts_s, self.settings.drain_timeout_s - DRAIN_ATTEMPTS_S)
        return bool(publishing or (self.dispatcher.busy and for_s < attempts_s))

    async def stop(self) -> None:
        """Close what `start` opened. Safe after a start that failed half-way."""
        if self in reddot.running:
            reddot.running.remove(self)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.away is not None:
            await self.away.aclose()
        for courier in self.couriers.values():
            await courier.aclose()
        if self._jwks is not None:
            await self._jwks.aclose()
        await self.bus.aclose()
        try:
            await self.reached.write()
        except ReddotError as error:
            _log.warning("reached_not_written", error=str(error))
        await self.store.aclose()
        _log.info("stopped")
