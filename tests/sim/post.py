"""A post office in a box: a real store and the real dispatcher, a clock that moves when told.

Couriers answer as a script says. A crash drops the dispatcher and everything it has in hand, and
leaves what the store and the providers know.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import msgspec

from reddot.core.deliveries import DeliveryLimits, Dispatcher
from reddot.core.reach import judge
from reddot.counters import Counters
from reddot.delivery import Outcome, Parcel, Plan, State, Step, Verdict
from reddot.inbox import Mark, Note
from reddot.model import Draft, Retention
from reddot.outreach import Address, Which
from reddot.stores.memory import MemoryStore
from reddot.testing import FakeClock, SeededEntropy
from tests.contract.inboxes import Boxes

SENT = Outcome(verdict=Verdict.SENT)
BUSY = Outcome(verdict=Verdict.RETRY, reason="http_503", blame=True)
BAD = Outcome(verdict=Verdict.FAILED, reason="http_400", detail="no such number")
LOST = Outcome(verdict=Verdict.RETRY, reason="timeout", blame=True, unknown=True)
GONE = Outcome(verdict=Verdict.GONE, reason="http_410")

Answer = Callable[[Parcel], Outcome]


class ScriptedCourier:
    """`ports.Courier` whose provider remembers what it has accepted.

    Attributes:
        accepted: parcels in the order in which they were; doubles of an id included.
        gate: attempts wait for it, if it is there.
        running, most: attempts under way, and the most there were at once.
    """

    def __init__(self, answer: Answer = lambda parcel: SENT) -> None:
        self.answer = answer
        self.accepted: list[Parcel] = []
        self.asked: list[Parcel] = []
        self.gate: asyncio.Event | None = None
        self.running = self.most = 0

    async def send(self, parcel: Parcel) -> Outcome:
        self.asked.append(parcel)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            outcome = self.answer(parcel)
            if outcome.verdict is Verdict.SENT:
                self.accepted.append(parcel)
            await asyncio.sleep(0)
            return outcome
        finally:
            self.running -= 1

    def check(self, address: object) -> bytes:
        return msgspec.json.encode(address)

    async def aclose(self) -> None:
        """Nothing to close."""

    @property
    def reached(self) -> list[tuple[str, str]]:
        """Notification and user of what was accepted."""
        return [(parcel.message.id, parcel.user) for parcel in self.accepted]


class Post:
    """One store and its dispatcher."""

    def __init__(
        self, *couriers: str, seed: int = 0, once: Collection[str] = (), **limits: Any
    ) -> None:
        self.once = once
        self.clock = FakeClock()
        self.chance = random.Random(seed)
        self.store = MemoryStore(
            clock=self.clock, retention=lambda topic: Retention(1000, 10**9), epoch=1
        )
        self.boxes = Boxes(self.store, self.clock)
        self.couriers = {name: ScriptedCourier() for name in couriers or ("mail",)}
        self.limits = DeliveryLimits(**{"delivery_attempts_per_s": 0, **limits})
        self.counters = Counters()
        self.tasks: set[asyncio.Task[None]] = set()
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.start()

    def start(self) -> None:
        self.dispatcher = Dispatcher(
            queue=self.store.deliveries,
            couriers=self.couriers,
            once=self.once,
            judge=judge,
            warm=self._warm,
            unread=self._unread,
            clock=self.clock,
            entropy=SeededEntropy(self.chance.getrandbits(30)),
            counters=self.counters,
            spawn=self._spawn,
            later=self._call_later,
            limits=self.limits,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.timers.append((self.clock.monotonic() + seconds, call))

    def _fire(self) -> None:
        now_s = self.clock.monotonic()
        due = [call for at_s, call in self.timers if at_s <= now_s]
        self.timers = [timer for timer in self.timers if timer[0] > now_s]
        for call in due:
            call()

    async def _warm(self, users: Collection[str]) -> None:
        """Nothing has to come from anywhere."""

    async def _unread(self, user: str) -> int:
        return await self.boxes.unread(user)

    async def crash(self) -> None:
        """As `kill -9`: what is in the provider's and the store's hands stays there."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.timers.clear()
        self.start()

    # ---- what people do ----

    async def address(self, *users: str, courier: str = "mail", slot: str = "") -> None:
        for user in users:
            value = b'"%s"' % (user + slot).encode()
            one = Address(user=user, courier=courier, slot=slot, value=value)
            await self.store.deliveries.put_address(one)

    async def notify(
        self,
        id: str,
        *topics: str,
        plan: Plan,
        text: str = "",
        priority: str = "normal",
        **more: Any,
    ) -> None:
        ttl_s = more.pop("ttl_s", None)
        note = Note(
            topics=topics or ("everyone",),
            title=id,
            text=text,
            plan=msgspec.json.encode(plan).decode(),
            **more,
        )
        now = self.clock.wall_ms()
        data = {"title": id, "body": text, "priority": priority}
        draft = Draft(
            topic=note.topics[0],
            id=id,
            data=msgspec.json.encode(data),
            time_ms=now,
            expires_ms=None if ttl_s is None else now + int(ttl_s * 1000),
            inbox=note,
        )
        done = asyncio.get_running_loop().create_future()
        self.store.append([draft], done.set_result)
        await done
        self.dispatcher.hint()

    async def see(self, user: str, *ids: str, state: Any = "seen") -> None:
        await self.boxes.change(Mark(user=user, state=state, ids=ids))

    # ---- time ----

    async def settle_down(self) -> None:
        """Take turns until nothing is to be done at this moment."""
        quiet = 0
        while quiet < 2:
            more = await self.dispatcher.turn()
            for _ in range(3):
                await asyncio.sleep(0)
            gated = any(one.gate is not None for one in self.couriers.values())
            waits = bool(self.tasks) and not gated
            quiet = 0 if more or waits else quiet + 1

    async def advance(self, seconds: float, step_s: float = 1.0) -> None:
        """Let time pass in steps, with turns in between."""
        await self.settle_down()
        left = seconds
        while left > 0:
            self.clock.advance(min(step_s, left))
            self._fire()
            left -= step_s
            await self.settle_down()

    # ---- what has come of it ----

    async def states(self, **wanted: Any) -> dict[tuple[str, str, str], tuple[State, str]]:
        """Notification, user, courier → state and reason."""
        found = await self.store.deliveries.deliveries(Which(**wanted), limit=1_000_000)
        return {(one.notification, one.user, one.courier): (one.state, one.reason) for one in found}

    async def state(self, notification: str, user: str = "1", courier: str = "mail") -> str:
        state, reason = (await self.states())[notification, user, courier]
        return f"{state.value} {reason}"


def plan(*steps: str | tuple[str, int], **rest: Any) -> Plan:
    """A plan of couriers, each with or without how long to wait."""
    pairs = [(one, 0) if isinstance(one, str) else one for one in steps or ("mail",)]
    return Plan(steps=tuple(Step(courier=name, after_s=s) for name, s in pairs), **rest)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)
