"""A simulated node: the real core over a slow store and a bus that cannot be trusted.

The real `MemoryStore` is the log; what is simulated is when it answers, and that it may fail.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from reddot.core.access import Policy
from reddot.core.feed import Feed
from reddot.core.hub import Hub
from reddot.core.polling import Polling
from reddot.core.publishing import Publishing, PublishLimits
from reddot.core.recent import Recent
from reddot.core.rules import TopicRules
from reddot.core.session import SessionLimits
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Appended, ClientRow, Draft, Page, Publication, Retention, TopicState
from reddot.ports import AppendDone, Bus, ClientRows, Deliveries, Inbox
from reddot.stores.memory import MemoryStore
from reddot.testing import FakeClock, SeededEntropy
from reddot.transports.long_poll import LongPoll
from reddot.transports.short_poll import ShortPoll
from tests.sim.inboxes import quiet_dots
from tests.sim.schedule import Process, Schedule, Turn, deferred, finished
from tests.sim.truth import Log


@dataclass(kw_only=True)
class Faults:
    """How bad the world is; probabilities. All are healed before the final judgement.

    Attributes:
        answers_late: whether a commit can be seen by reading before it is answered.
    """

    hint_lost: float = 0.0
    hint_doubled: float = 0.0
    read_fails: float = 0.0
    append_fails: float = 0.0
    answers_late: bool = True

    def heal(self) -> None:
        self.hint_lost = self.hint_doubled = self.read_fails = self.append_fails = 0.0


class Disk:
    """One log, shared by all nodes, and the truth about it."""

    def __init__(self, epoch: int, clock: FakeClock, retention: Callable[[str], Retention]) -> None:
        self.truth = Log(epoch, retention)
        self.log = MemoryStore(clock=clock, retention=retention, epoch=epoch)

    def commit(self, drafts: Sequence[Draft]) -> Sequence[Appended] | ReddotError:
        results: list[Sequence[Appended] | ReddotError] = []
        for call in deferred(lambda: self.log.append(drafts, results.append)):
            call()
        if not isinstance(results[0], ReddotError):
            for draft, result in zip(drafts, results[0], strict=True):
                if not result.duplicate:
                    self.truth.commit(result.publication, draft)
        return results[0]

    def trim(self, rows_max: int) -> None:
        finished(self.log.trim(rows_max=rows_max))


class SlowStore:
    """`ports.Store` as one node sees it: answers come late, and reads may fail."""

    def __init__(
        self,
        *,
        disk: Disk,
        process: Process,
        schedule: Schedule,
        chance: random.Random,
        faults: Faults,
    ) -> None:
        self._disk = disk
        self._process = process
        self._schedule = schedule
        self._chance = chance
        self._faults = faults
        self._appends: deque[tuple[Sequence[Draft], AppendDone]] = deque()
        self._answers: deque[tuple[Sequence[Appended] | ReddotError, AppendDone]] = deque()

    @property
    def epoch(self) -> int:
        return self._disk.log.epoch

    @property
    def head(self) -> int:
        return self._disk.log.head

    @property
    def retained_count(self) -> int:
        return self._disk.log.retained_count

    async def topics(self, *, prefix: str, after: str, limit: int) -> Sequence[TopicState]:
        return await self._disk.log.topics(prefix=prefix, after=after, limit=limit)

    @property
    def inbox(self) -> Inbox:
        return self._disk.log.inbox

    @property
    def deliveries(self) -> Deliveries:
        return self._disk.log.deliveries

    @property
    def clients(self) -> ClientRows:
        return self._disk.log.clients

    async def open(self) -> None:
        """Nothing to open."""

    def append(
        self, drafts: Sequence[Draft], done: AppendDone, clients: Sequence[ClientRow] = ()
    ) -> None:
        assert not clients, "no client of the simulation leaves anything behind"
        self._appends.append((drafts, done))
        self._schedule.add(self._process, self._commit)

    def _commit(self) -> None:
        drafts, done = self._appends.popleft()
        if self._chance.random() < self._faults.append_fails:
            self._answers.append((ReddotError("store_unavailable"), done))
        else:
            self._answers.append((self._disk.commit(drafts), done))
        if self._faults.answers_late:
            self._schedule.add(self._process, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        results, done = self._answers.popleft()
        done(results)

    async def _pass_time(self) -> None:
        """None, one or two turns: a store may answer without a pause."""
        for _ in range(self._chance.randrange(3)):
            await Turn()

    async def read(
        self, filters: Sequence[str] | None, *, after: int, upto: int, limit: int
    ) -> Page:
        await self._pass_time()
        if self._chance.random() < self._faults.read_fails:
            raise ReddotError("store_unavailable")
        page = await self._disk.log.read(filters, after=after, upto=upto, limit=limit)
        await self._pass_time()
        return page

    async def at(self, position: int) -> Publication | None:
        await self._pass_time()
        if self._chance.random() < self._faults.read_fails:
            raise ReddotError("store_unavailable")
        return await self._disk.log.at(position)

    async def history(self, topic: str, *, before: int | None, limit: int) -> Sequence[Publication]:
        return await self._disk.log.history(topic, before=before, limit=limit)

    async def retained(
        self, filters: Sequence[str], *, after: int, upto: int, limit: int
    ) -> Sequence[Publication]:
        await self._pass_time()
        if self._chance.random() < self._faults.read_fails:
            raise ReddotError("store_unavailable")
        found = await self._disk.log.retained(filters, after=after, upto=upto, limit=limit)
        await self._pass_time()
        return found

    async def trim(self, *, rows_max: int) -> int:
        return await self._disk.log.trim(rows_max=rows_max)

    async def aclose(self) -> None:
        """Nothing to close."""


class LossyBus:
    """`ports.Bus`: hints come late, in any order, twice or not at all, to every node."""

    def __init__(
        self,
        *,
        nodes: Sequence[Node],
        schedule: Schedule,
        chance: random.Random,
        faults: Faults,
    ) -> None:
        self._nodes = nodes
        self._schedule = schedule
        self._chance = chance
        self._faults = faults

    def listen(self, hint: Callable[[Sequence[Publication]], None]) -> None:
        """Nothing to do: all nodes are known."""

    def announce(self, publications: Sequence[Publication]) -> None:
        chance, faults = self._chance, self._faults
        for node in self._nodes:
            copies = 2 if chance.random() < faults.hint_doubled else 1
            for _ in range(copies):
                if chance.random() >= faults.hint_lost:
                    self._hint(node, publications)

    def _hint(self, node: Node, publications: Sequence[Publication]) -> None:
        self._schedule.add(node.process, lambda: node.feed.hint(publications))

    async def watch(self, add: Collection[str], drop: Collection[str]) -> None:
        """Every node hears everything."""

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a seed draws for a node, so that small numbers reach every branch."""

    recent_publications_max: int
    poll_publications_max: int
    held_max: int


class Node:
    """The core of one process, wired as `reddot.node` wires it."""

    def __init__(
        self,
        *,
        name: str,
        disk: Disk,
        bus: Bus,
        store: SlowStore,
        process: Process,
        clock: FakeClock,
        entropy: SeededEntropy,
        sizes: Sizes,
    ) -> None:
        self.name = name
        self.disk = disk
        self.process = process
        self.counters = Counters()
        head = store.head
        self.recent = Recent(
            floor=head,
            publications_max=sizes.recent_publications_max,
            bytes_max=1 << 20,
        )
        self.hub = Hub(
            epoch=store.epoch,
            position=head,
            recent=self.recent,
            counters=self.counters,
            schedule=process.call_soon,
        )
        self.feed = Feed(
            start=head,
            store=store,
            dispatch=self.hub.dispatch,
            lost=lambda upto: self.subscribing.lost(upto),
            spawn=process.spawn,
            counters=self.counters,
            held_max=sizes.held_max,
        )
        policy = Policy(TopicRules([]), dev=True)
        self.subscribing = Subscribing(
            hub=self.hub,
            recent=self.recent,
            store=store,
            policy=policy,
            clock=clock,
            entropy=entropy,
            counters=self.counters,
            spawn=process.spawn,
            limits=SessionLimits(),
            dots=quiet_dots(
                store=store,
                hub=self.hub,
                policy=policy,
                clock=clock,
                counters=self.counters,
                spawn=process.spawn,
            ),
        )
        self.publishing = Publishing(
            store=store,
            bus=bus,
            policy=policy,
            rules=TopicRules([]),
            clock=clock,
            entropy=entropy,
            counters=self.counters,
            limits=PublishLimits(),
        )
        self._add_polls(store, clock, sizes.poll_publications_max)
        bus.listen(self.feed.hint)

    def _add_polls(self, store: SlowStore, clock: FakeClock, publications_max: int) -> None:
        polling = Polling(
            hub=self.hub,
            recent=self.recent,
            store=store,
            clock=clock,
            publications_max=publications_max,
        )
        self.short_poll = ShortPoll(
            subscribing=self.subscribing,
            counters=self.counters,
            polling=polling,
            spawn=self.process.spawn,
        )
        self.long_poll = LongPoll(
            subscribing=self.subscribing,
            counters=self.counters,
            polling=polling,
            spawn=self.process.spawn,
            wait_s_max=60.0,
            now=clock.monotonic,
        )

    def tick(self) -> None:
        self.subscribing.tick()
        self.feed.check()

    def leaks(self) -> list[str]:
        """What is left although nobody is attached; empty when all is well."""
        hub, subscribing = self.hub, self.subscribing
        found = {
            "sessions": subscribing.sessions,
            "per user": subscribing._attached.per_user,
            "groups": hub._groups,
            "exact filters": hub._index._exact,
            "wildcards": hub._index._root.children or hub._index._root.rest,
            "wildcard count": hub._index._wild,
            "parked": hub._parked_count,
            "parked filters": hub._parked._exact or hub._parked._root.children,
            "held hints": self.feed._held,
            "open": [c.sessions for c in self.counters.transports.values() if c.sessions],
        }
        return [name for name, value in found.items() if value]
