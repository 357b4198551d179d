"""The composition root: the only place that knows all names. Start and stop happen here, in order.

Start: store, memory, feed, timer, listener. Stop: not ready, clients asked to come back, publishes
answered, listener closed, store closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

import reddot
from reddot.api.admission import Admission
from reddot.api.credentials import DevTokenRequest, IssueDevToken, IssueTicket
from reddot.api.demo import demo_routes
from reddot.api.inbox import InboxRoutes
from reddot.api.notifications import Notify, ShowBadge
from reddot.api.ops import CountersCollector, ops_routes
from reddot.api.publish import Publish
from reddot.api.reception import Reception
from reddot.api.script import load_script, script_routes
from reddot.api.service import Asgi, build_service, with_application
from reddot.buses.local import LocalBus
from reddot.codecs.json_data import check_data
from reddot.core.access import Policy
from reddot.core.boxes import Boxes, BoxLimits
from reddot.core.dots import Dots
from reddot.core.feed import Feed
from reddot.core.gate import Gate, Origins
from reddot.core.hub import Hub
from reddot.core.inbox import Inboxes, InboxLimits, Receipt
from reddot.core.polling import Polling
from reddot.core.publishing import Publishing, PublishLimits
from reddot.core.recent import Recent
from reddot.core.session import SessionLimits
from reddot.core.subscribing import Subscribing
from reddot.core.tickets import Tickets
from reddot.core.tokens import KeyRing, KeyRings, StaticKeys, TokenVerifier, issue_token
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Actor, Appended
from reddot.net.edge import Door, EdgeLimits
from reddot.net.exchange import Exchange, Handler
from reddot.net.framing import Head, HeadLimits
from reddot.net.jwks import JwksKeys
from reddot.net.websocket import WebSocketLimits
from reddot.opening import open_store, topic_rules
from reddot.ports import Clock, Entropy, Store
from reddot.settings import Settings
from reddot.system import SystemClock, SystemEntropy
from reddot.transports.iframe import Iframe
from reddot.transports.long_poll import LongPoll
from reddot.transports.mqtt import Mqtt, MqttLimits
from reddot.transports.short_poll import ShortPoll
from reddot.transports.sse import Sse
from reddot.transports.websocket import WebSocket

_log = structlog.get_logger("reddot")

T = TypeVar("T", bound=msgspec.Struct)

TICK_S: Final = 0.5
INBOX_UPKEEP_S: Final = 1.0
TRIM_ROWS: Final = 500
DRAIN_PUBLISHES_S: Final = 0.5
"""Publishers that never pause must not put off the end: a connection is closed behind its answer,
so what is still under way after this is answered all the same."""
WARM_PAGE: Final = 5000
SERVER: Final = Actor(admin=True)
"""Who publishes in-process: the program itself."""


class Reddot:
    """One node: everything between the store and the routes.

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
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.entropy: Entropy = entropy or SystemEntropy()
        self.counters = Counters()
        self.rules = topic_rules(settings)
        self.policy = Policy(self.rules, settings.dev)
        self.store: Store = store or open_store(settings, clock=self.clock)
        self.bus = LocalBus()
        self.draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut_until = 0.0
        self._jwks: JwksKeys | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run in the background; owned here, so that nothing is lost and no error is silent."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_failed", exc_info=error)

    async def start(self) -> None:
        """Open the store and begin to listen to the bus."""
        settings = self.settings
        await self.store.open()
        head = self.store.head
        self.recent = Recent(
            floor=head,
            publications_max=settings.recent_publications_max,
            bytes_max=settings.recent_bytes_max,
        )
        await self._warm(head)
        loop = asyncio.get_running_loop()
        self.hub = Hub(
            epoch=self.store.epoch,
            position=head,
            recent=self.recent,
            counters=self.counters,
            schedule=loop.call_soon,
        )
        self.feed = Feed(
            start=head,
            store=self.store,
            dispatch=self.hub.dispatch,
            lost=lambda upto: self.subscribing.lost(upto),
            spawn=self.spawn,
            counters=self.counters,
        )
        self.bus.listen(self.feed.hint)
        self._build_core()
        self.mqtt = self._build_mqtt()
        await self.mqtt.start()
        self._build_routes()
        self.spawn(self._tick())
        self.spawn(self._trim())
        self.spawn(self._keep_inboxes())
        reddot.running.append(self)
        _log.info("started", version=reddot.__version__, store=_describe(self.store), head=head)

    async def _warm(self, head: int) -> None:
        """Fill memory with the newest publications, so that a restart's resumes are cheap.

        Memory must be without holes: what was trimmed in between has to be told as a gap.
        """
        start = max(0, head - min(self.settings.recent_publications_max, WARM_PAGE))
        if start == head:
            return
        page = await self.store.read(None, after=start, upto=head, limit=WARM_PAGE)
        if page.gaps or page.upto < head:
            return
        self.recent.floor = start
        for publication in page.publications:
            self.recent.add(publication)

    def _build_core(self) -> None:
        settings, clock, entropy = self.settings, self.clock, self.entropy
        self.boxes = Boxes(
            inbox=self.store.inbox,
            clock=clock,
            position=lambda: self.hub.position,
            spawn=self.spawn,
            limits=_pick(BoxLimits, settings),
        )
        self.dots = Dots(
            boxes=self.boxes,
            clock=clock,
            counters=self.counters,
            cursor=lambda: self.hub.cursor,
            later=asyncio.get_running_loop().call_later,
            spawn=self.spawn,
            interval_s=settings.badge_interval_s,
        )
        self.hub.observe = self.dots.observe
        self.subscribing = Subscribing(
            hub=self.hub,
            recent=self.recent,
            store=self.store,
            policy=self.policy,
            clock=clock,
            entropy=entropy,
            counters=self.counters,
            spawn=self.spawn,
            limits=_pick(SessionLimits, settings),
            dots=self.dots,
        )
        self.publishing = Publishing(
            store=self.store,
            bus=self.bus,
            policy=self.policy,
            rules=self.rules,
            clock=clock,
            entropy=entropy,
            counters=self.counters,
            limits=_pick(PublishLimits, settings),
        )
        self.inboxes = Inboxes(
            publishing=self.publishing,
            inbox=self.store.inbox,
            boxes=self.boxes,
            recent=self.recent,
            policy=self.policy,
            clock=clock,
            entropy=entropy,
            counters=self.counters,
            limits=_pick(InboxLimits, settings),
        )
        self.tickets = Tickets(
            clock=clock,
            entropy=entropy,
            lifetime_s=settings.ticket_lifetime_s,
            tickets_max=settings.tickets_max,
        )
        self.gate = Gate(
            verifier=self._verifier(),
            api_keys=settings.api_key,
            tickets=self.tickets,
            origins=Origins(settings.allowed_origins),
            dev=settings.dev,
        )

    def _build_mqtt(self) -> Mqtt:
        return Mqtt(
            subscribing=self.subscribing,
            publishing=self.publishing,
            gate=self.gate,
            store=self.store,
            clock=self.clock,
            entropy=self.entropy,
            counters=self.counters,
            spawn=self.spawn,
            limits=_pick(MqttLimits, self.settings),
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

    def _build_routes(self) -> None:
        admission = Admission(
            gate=self.gate,
            clock=self.clock,
            counters=self.counters,
            spawn=self.spawn,
            boxes=self.boxes,
        )
        attaching = {**self._poll_routes(admission), **self._stream_routes(admission)}
        if self.settings.dev:
            attaching = {path: self._cuttable(methods) for path, methods in attaching.items()}
        self.routes: dict[str, Mapping[str, Handler]] = {
            **attaching,
            **self._command_routes(admission),
        }

    def _poll_routes(self, admission: Admission) -> dict[str, Mapping[str, Handler]]:
        settings, subscribing, counters = self.settings, self.subscribing, self.counters
        polling = Polling(
            hub=self.hub,
            recent=self.recent,
            store=self.store,
            clock=self.clock,
            publications_max=settings.poll_publications_max,
        )
        short_poll = ShortPoll(
            subscribing=subscribing, counters=counters, polling=polling, spawn=self.spawn
        )
        long_poll = LongPoll(
            subscribing=subscribing,
            counters=counters,
            polling=polling,
            spawn=self.spawn,
            wait_s_max=settings.longpoll_wait_s_max,
            now=self.clock.monotonic,
        )
        return {
            "/v1/poll": admission.get(short_poll.open),
            "/v1/longpoll": admission.get(long_poll.open),
        }

    def _stream_routes(self, admission: Admission) -> dict[str, Mapping[str, Handler]]:
        settings, subscribing, counters = self.settings, self.subscribing, self.counters
        sse = Sse(subscribing=subscribing, counters=counters, heartbeat_s=settings.heartbeat_sse_s)
        iframe = Iframe(
            subscribing=subscribing,
            counters=counters,
            heartbeat_s=settings.heartbeat_sse_s,
            nonce=self.entropy.secret(),
            rotate_bytes=settings.iframe_rotate_bytes,
            rotate_s=settings.iframe_rotate_s,
            allow_origin=self.gate.allow_origin,
        )
        websocket = WebSocket(
            subscribing=subscribing,
            counters=counters,
            publishing=self.publishing,
            gate=self.gate,
            spawn=self.spawn,
            heartbeat_s=settings.heartbeat_websocket_s,
            limits=WebSocketLimits(
                message_bytes_max=settings.ws_message_bytes_max,
                fragments_max=settings.ws_fragments_max,
                messages_per_s=settings.ws_commands_per_s,
            ),
            data_depth_max=settings.data_depth_max,
            auth_timeout_s=settings.ws_auth_timeout_s,
            inboxes=self.inboxes,
        )
        return {
            "/v1/sse": admission.get(sse.open),
            "/v1/iframe": admission.get(iframe.open, refuse=iframe.refuse),
            "/v1/ws": admission.get(websocket.open),
            "/mqtt": admission.get(self.mqtt.open),
        }

    def _command_routes(self, admission: Admission) -> dict[str, Mapping[str, Handler]]:
        settings, epoch = self.settings, self.store.epoch
        publish = Publish(
            publishing=self.publishing,
            counters=self.counters,
            epoch=epoch,
            data_depth_max=settings.data_depth_max,
        )
        self._notify = notify = Notify(
            inboxes=self.inboxes,
            counters=self.counters,
            epoch=epoch,
            data_bytes_max=settings.data_bytes_max,
            data_depth_max=settings.data_depth_max,
        )
        badge = ShowBadge(boxes=self.boxes, epoch=epoch)
        tickets = IssueTicket(tickets=self.tickets, lifetime_s=settings.ticket_lifetime_s)
        routes = {
            "/v1/publish": admission.post(publish.open),
            "/v1/tickets": admission.post(tickets.open),
            "/v1/notifications": admission.post(notify.open, alone=False),
            "/v1/badge": admission.get(badge.open),
        }
        if settings.dev:
            dev_token = IssueDevToken(issue=self._dev_token)
            routes["/v1/dev/token"] = admission.post(dev_token.open)
        return routes

    def _dev_token(self, request: DevTokenRequest) -> str:
        secret = self.settings.jwt_secret
        assert secret is not None, "development always has a secret"
        return issue_token(
            secret,
            user=request.user,
            subscribe=request.subscribe,
            publish=request.publish,
            admin=request.admin,
            lifetime_s=min(86_400, self.settings.token_lifetime_s_max),
            clock=self.clock,
            issuer=self.settings.jwt_issuer,
            audience=self.settings.jwt_audience,
        )

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
            head_limits=_pick(HeadLimits, self.settings),
            limits=_pick(EdgeLimits, self.settings),
            now=self.clock.monotonic,
            wall=lambda: self.clock.wall_ms() / 1000,
            mqtt=self.mqtt.take,
        )

    def asgi(self, application: Asgi | None = None) -> Asgi:
        """Everything that is not hot."""
        gauges = {"head": ("Newest durable position.", lambda: float(self.store.head))}
        routes = ops_routes(CountersCollector(self.counters, gauges), self.unready)
        routes += script_routes(load_script())
        if self.settings.dev:
            routes += demo_routes(self)
        reception = Reception(gate=self.gate, counters=self.counters)
        InboxRoutes(
            inboxes=self.inboxes,
            store=self.store,
            subscribing=self.subscribing,
            dots=self.dots,
            policy=self.policy,
            clock=self.clock,
        ).register(reception)
        return with_application(build_service(routes, reception.router), application)

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
            except ReddotError as error:
                _log.warning("inbox_upkeep_failed", error=str(error))

    async def drain(self) -> None:
        """Ask all clients to come back, and let publishes under way be answered."""
        self.draining = True
        await asyncio.sleep(self.settings.drain_delay_s)
        self.subscribing.drain()
        until = self.clock.monotonic() + DRAIN_PUBLISHES_S
        while self.publishing.busy and self.clock.monotonic() < until:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Close what `start` opened. Safe after a start that failed half-way."""
        if self in reddot.running:
            reddot.running.remove(self)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._jwks is not None:
            await self._jwks.aclose()
        await self.bus.aclose()
        await self.store.aclose()
        _log.info("stopped")


def _pick(kind: type[T], settings: Settings) -> T:
    """The limits of one part: the settings with the same names."""
    names = (field.name for field in msgspec.structs.fields(kind))
    return kind(**{name: getattr(settings, name) for name in names if hasattr(settings, name)})


def _describe(store: Store) -> str:
    describe = getattr(store, "describe", None)
    return describe() if describe else type(store).__name__
