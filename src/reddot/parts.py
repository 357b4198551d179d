"""All parts of one node, made and wired. Nothing runs yet, and nothing can be reached.

`node.py` brings them to life, `routes.py` makes them reachable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
import structlog

from reddot.api.readings import Readings
from reddot.api.recent_errors import RecentErrors
from reddot.buses.local import LocalBus
from reddot.core.access import Policy
from reddot.core.boxes import Boxes, BoxLimits
from reddot.core.campaigns import CampaignLimits, Campaigns
from reddot.core.console import ConsoleAccess, ConsoleLimits
from reddot.core.counting import Counting
from reddot.core.deliveries import DeliveryLimits, Dispatcher
from reddot.core.dots import Dots
from reddot.core.feed import Feed
from reddot.core.gate import Gate, Origins
from reddot.core.hub import Hub
from reddot.core.inbox import Inboxes, InboxLimits
from reddot.core.plans import Plans
from reddot.core.publishing import Publishing, PublishLimits
from reddot.core.reach import judge
from reddot.core.reached import Reached
from reddot.core.recent import Recent
from reddot.core.session import SessionLimits
from reddot.core.subscribing import Subscribing
from reddot.core.tickets import Tickets
from reddot.core.tokens import KeyRing, KeyRings, StaticKeys, TokenVerifier
from reddot.counters import Counters
from reddot.courier_opening import given_once, open_couriers
from reddot.courier_process import CourierProcess
from reddot.net.jwks import JwksKeys
from reddot.opening import delivery_plans, open_store, topic_rules
from reddot.ports import Clock, Courier, Entropy, Store
from reddot.settings import Settings
from reddot.system import SystemClock, SystemEntropy
from reddot.transports.mqtt import Mqtt, MqttLimits

_log = structlog.get_logger("reddot")

T = TypeVar("T", bound=msgspec.Struct)


class Parts:
    """What a node is made of, under the names by which everything else knows it."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        store: Store | None = None,
        couriers: Mapping[str, Courier] | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.entropy: Entropy = entropy or SystemEntropy()
        self.counters = Counters()
        self.recent_errors = RecentErrors(self.clock)
        self.counters.watch = self.recent_errors.refused
        self.readings = Readings(self.counters, self.clock)
        self.rules = topic_rules(settings)
        self.policy = Policy(self.rules, settings.dev)
        self.store: Store = store or open_store(settings, clock=self.clock)
        self.reached = Reached(inbox=self.store.inbox, counters=self.counters)
        self.bus = LocalBus()
        self.couriers: Mapping[str, Courier] = (
            open_couriers(settings, clock=self.clock) if couriers is None else couriers
        )
        self.away: CourierProcess | None = None
        if couriers is None and self.couriers:
            self.away = CourierProcess(
                settings, self.couriers, clock=self.clock, counters=self.counters
            )
        self.plans = Plans(delivery_plans(settings, self.couriers), couriers=self.couriers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._jwks: JwksKeys | None = None

    def describe_store(self) -> str:
        """What and where the log is, in one line."""
        describe = getattr(self.store, "describe", None)
        return describe() if describe else type(self.store).__name__

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run in the background; owned here, so that nothing is lost and no error is silent."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", exc_info=error)

    def assemble(self, recent: Recent) -> None:
        """Make and wire what lives above the store, which is open.

        Args:
            recent: what memory knows of the log, up to the store's head.
        """
        self._make_fan_out(recent)
        self._make_inboxes()
        self._make_deliveries()
        self._make_gate()
        self.mqtt = self._make_mqtt()

    def _make_fan_out(self, recent: Recent) -> None:
        loop = asyncio.get_running_loop()
        self.recent = recent
        self.hub = Hub(
            epoch=self.store.epoch,
            position=self.store.head,
            recent=recent,
            counters=self.counters,
            schedule=loop.call_soon,
        )
        self.feed = Feed(
            start=self.store.head,
            store=self.store,
            dispatch=self.hub.dispatch,
            lost=lambda upto: self.subscribing.lost(upto),
            spawn=self.spawn,
            counters=self.counters,
        )
        self.bus.listen(self.feed.hint)
        self.boxes = Boxes(
            inbox=self.store.inbox,
            clock=self.clock,
            position=lambda: self.hub.position,
            spawn=self.spawn,
            limits=pick(BoxLimits, self.settings),
        )
        self.dots = Dots(
            boxes=self.boxes,
            policy=self.policy,
            reached=self.reached,
            clock=self.clock,
            counters=self.counters,
            cursor=lambda: self.hub.cursor,
            later=asyncio.get_running_loop().call_later,
            spawn=self.spawn,
            interval_s=self.settings.badge_interval_s,
        )
        self.hub.observe = self.dots.observe
        self.subscribing = Subscribing(
            hub=self.hub,
            recent=self.recent,
            store=self.store,
            policy=self.policy,
            clock=self.clock,
            entropy=self.entropy,
            counters=self.counters,
            spawn=self.spawn,
            limits=pick(SessionLimits, self.settings),
            dots=self.dots,
        )

    def _make_inboxes(self) -> None:
        self.publishing = Publishing(
            store=self.store,
            bus=self.bus,
            policy=self.policy,
            rules=self.rules,
            clock=self.clock,
            entropy=self.entropy,
            counters=self.counters,
            limits=pick(PublishLimits, self.settings),
        )
        self.inboxes = Inboxes(
            publishing=self.publishing,
            inbox=self.store.inbox,
            boxes=self.boxes,
            recent=self.recent,
            policy=self.policy,
            clock=self.clock,
            entropy=self.entropy,
            counters=self.counters,
            limits=pick(InboxLimits, self.settings),
            plans=self.plans,
        )

    def _make_deliveries(self) -> None:
        self.dispatcher = Dispatcher(
            queue=self.store.deliveries,
            couriers=self.couriers if self.away is None else self.away.couriers,
            once=given_once(self.settings),
            judge=judge,
            warm=self.boxes.prepare_all,
            unread=self._unread,
            clock=self.clock,
            entropy=self.entropy,
            counters=self.counters,
            spawn=self.spawn,
            later=asyncio.get_running_loop().call_later,
            limits=pick(DeliveryLimits, self.settings),
        )
        self.inboxes.to_deliver = self.dispatcher.hint
        self.campaigns = Campaigns(
            queue=self.store.deliveries,
            inboxes=self.inboxes,
            clock=self.clock,
            hint=self.dispatcher.hint,
            limits=pick(CampaignLimits, self.settings),
        )
        self.counting = Counting(
            campaigns=self.campaigns,
            queue=self.store.deliveries,
            inbox=self.store.inbox,
            reached=self.reached,
            clock=self.clock,
        )

    async def _unread(self, user: str) -> int:
        return (await self.inboxes.badge(user)).unread

    def _make_gate(self) -> None:
        settings = self.settings
        self.tickets = Tickets(
            clock=self.clock,
            entropy=self.entropy,
            lifetime_s=settings.ticket_lifetime_s,
            tickets_max=settings.tickets_max,
        )
        self.console = ConsoleAccess(
            clock=self.clock,
            entropy=self.entropy,
            limits=pick(ConsoleLimits, settings),
        )
        self.gate = Gate(
            verifier=self._verifier(),
            api_keys=settings.api_key,
            tickets=self.tickets,
            origins=Origins(settings.allowed_origins),
            dev=settings.dev,
            console=self.console if settings.console else None,
        )

    def _make_mqtt(self) -> Mqtt:
        return Mqtt(
            subscribing=self.subscribing,
            publishing=self.publishing,
            gate=self.gate,
            store=self.store,
            clock=self.clock,
            entropy=self.entropy,
            counters=self.counters,
            spawn=self.spawn,
            limits=pick(MqttLimits, self.settings),
            data_depth_max=self.settings.data_depth_max,
            dev=self.settings.dev,
        )

    def _verifier(self) -> TokenVerifier | None:
        settings = self.settings
        rings: list[KeyRing] = []
        if settings.jwt_secret or settings.jwt_public_key:
            rings.append(StaticKeys(secret=settings.jwt_secret, public_key=settings.jwt_public_key))
        if settings.jwt_jwks_url:
            self._jwks = JwksKeys(settings.jwt_jwks_url, clock=self.clock)
            rings.append(self._jwks)
        if not rings:
            return None
        return TokenVerifier(
            keys=KeyRings(*rings),
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            clock=self.clock,
            leeway_s=settings.jwt_leeway_s,
            lifetime_s_max=settings.token_lifetime_s_max,
        )


def pick(kind: type[T], settings: Settings) -> T:
    """The limits of one part: the settings with the same names."""
    names = (field.name for field in msgspec.structs.fields(kind))
    return kind(**{name: getattr(settings, name) for name in names if hasattr(settings, name)})
