"""A whole node behind fake sockets: real edge, real routes, memory store; time and chance are fake.

Run it in a `FakeTimeLoop`. Two runs of the same steps give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from reddot.api.service import Asgi
from reddot.inbox import Keep
from reddot.model import RetainedLimits
from reddot.net.edge import Edge
from reddot.node import Reddot
from reddot.opening import topic_rules
from reddot.outreach import DeliveryKeep
from reddot.ports import Courier
from reddot.stores.memory import MemoryStore
from reddot.testing import FakeClock, SeededEntropy, dev_settings
from tests.wire.answers import Answer, read_answers
from tests.wire.fakeloop import fake_loop, run_in_fake_time
from tests.wire.transport import FakeTransport, settle

EPOCH: Final = 7
STEP_S: Final = 0.5


class WireNode:
    """Settings are those of a development node, with `changes`."""

    def __init__(self, couriers: Mapping[str, Courier] | None = None, **changes: object) -> None:
        settings = dev_settings(**changes)
        self.clock = FakeClock()
        retention = topic_rules(settings).retention
        store = MemoryStore(
            clock=self.clock,
            retention=retention,
            epoch=EPOCH,
            keep=Keep(
                locked=frozenset(settings.locked_categories), snoozed_max=settings.snoozed_max
            ),
            keep_deliveries=DeliveryKeep(addresses_max=settings.addresses_max),
            retained=RetainedLimits(
                topics_max=settings.retained_topics_max,
                per_user_max=settings.retained_topics_per_user_max,
            ),
        )
        self.node = Reddot(
            settings, clock=self.clock, entropy=SeededEntropy(), store=store, couriers=couriers
        )
        self.state = ServerState()
        self._asgi: Asgi | None = None

    async def start(self) -> None:
        await self.node.start()
        self.door = self.node.door()
        self.config = uvicorn.Config(
            self._cold,
            interface="asgi3",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self._tick()

    async def stop(self) -> None:
        await self.node.stop()

    async def _cold(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The service, made when it is asked first: it takes longer to make than all the rest."""
        if self._asgi is None:
            self._asgi = self.node.asgi()
        await self._asgi(scope, receive, send)

    def _tick(self) -> None:
        self.door.tick()
        name, _, value = self.door.date.rstrip().partition(b": ")
        self.state.default_headers = [(name, value)]

    def connect(self) -> FakeTransport:
        edge = Edge(door=self.door, config=self.config, server_state=self.state, app_state={})
        transport = FakeTransport(edge)
        edge.connection_made(transport)
        return transport

    async def ask(self, request: bytes, *methods: str) -> list[Answer]:
        """All answers to what is sent on a connection of its own."""
        transport = self.connect()
        transport.feed(request)
        await settle()
        return read_answers(bytes(transport.sent), methods)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due."""
        while seconds > 0:
            step = min(STEP_S, seconds)
            seconds -= step
            self.clock.advance(step)
            await fake_loop().advance(step)
            self._tick()
        await settle()


def run_node(test: Callable[[WireNode], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Run a test against a started node."""

    async def main() -> None:
        node = WireNode(**settings)
        await node.start()
        try:
            await test(node)
        finally:
            await node.stop()

    run_in_fake_time(main())
