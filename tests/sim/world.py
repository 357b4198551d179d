"""The simulated world: nodes, clients and publishers, and everything that may happen to them.

A seed draws how bad the world is, then what happens, step by step; between the steps it draws
what the nodes get done. In the end all faults are healed, everybody comes back, all becomes quiet,
and the promises are judged. `run(seed)` is the whole of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from reddot.buses.local import LocalBus
from reddot.core import feed, paying, subscribing
from reddot.errors import ReddotError
from reddot.model import Actor, Appended, Cursor, Draft, Retention
from reddot.testing import FakeClock, SeededEntropy
from tests.sim.client import Client, Handed
from tests.sim.lines import Line, Poll, Stream
from tests.sim.node import Disk, Faults, LossyBus, Node, Sizes, SlowStore
from tests.sim.schedule import Process, Schedule
from tests.sim.truth import Violation, expired, selected

TOPICS: Final = ("a", "a/b", "a/b/c", "n/1", "n/2", "users/42", "users/42/x", "everyone")
FILTERS: Final = ("a", "a/b", "a/#", "a/+", "+", "+/1", "n/+", "n/2", "#", "users/42", "users/42/#")
STEPS: Final = 60
CLIENTS: Final = 4
WAIT_S: Final = 20.0
AGE_MS: Final = 366 * 86_400_000


@contextmanager
def small_pages(chance: random.Random) -> Iterator[None]:
    """Pages and chunks so small that a handful of publications needs several."""
    before = subscribing.READ_PAGE, paying.CHUNK_BYTES, feed.REPAIR_PAGE
    subscribing.READ_PAGE = chance.choice((1, 2, 500))  # type: ignore[misc]
    paying.CHUNK_BYTES = chance.choice((1, 600, 65_536))  # type: ignore[misc]
    feed.REPAIR_PAGE = chance.choice((1, 3, 500))  # type: ignore[misc]
    try:
        yield
    finally:
        subscribing.READ_PAGE, paying.CHUNK_BYTES, feed.REPAIR_PAGE = before  # type: ignore[misc]


class World:
    """Args:
    trace: gets a line per event; only when a seed is run again to be read.
    """

    def __init__(self, seed: int, trace: Callable[[str], object] | None = None) -> None:
        self.chance = chance = random.Random(seed)
        self.trace = trace
        self.clock = FakeClock()
        self.entropy = SeededEntropy(seed)
        self.schedule = Schedule(chance)
        self.outside = Process(self.schedule)
        self.quiet = False
        self.alone = chance.random() < 0.4
        self.faults = self._draw_faults()
        self.wire_max = chance.choice((0, 2, 50))
        self.keeps = {topic: self._draw_retention() for topic in TOPICS}
        self.disk = self._new_disk()
        self.nodes: list[Node] = []
        self.count = 1 if self.alone else chance.choice((1, 2))
        for index in range(self.count):
            self._boot(index)
        self.clients = [Client(f"c{n}", self.disk.truth) for n in range(CLIENTS)]
        self.lines: dict[Client, Line | None] = dict.fromkeys(self.clients)
        self.acknowledged: dict[str, Appended] = {}
        self.keys: list[tuple[str, str, bytes]] = []
        # Half of the worlds are of one mind, so that groups have several members.
        self.choices = [self._some(FILTERS, 2) for _ in range(chance.choice((1, CLIENTS)))]
        for client in self.clients:
            client.filters = dict.fromkeys(chance.choice(self.choices), 0)

    def _draw_faults(self) -> Faults:
        """A node alone has the local bus and a store that answers what it has committed at once;
        then retention may be so short that it bites. Otherwise the bus is as bad as a bus may be.
        """
        draw = self.chance.choice
        fails, refuses = draw((0.0, 0.0, 0.3)), draw((0.0, 0.0, 0.3))
        if self.alone:
            return Faults(read_fails=fails, append_fails=refuses, answers_late=False)
        lost, doubled = draw((0.0, 0.2, 0.8)), draw((0.0, 0.3))
        return Faults(hint_lost=lost, hint_doubled=doubled, read_fails=fails, append_fails=refuses)

    def _draw_retention(self) -> Retention:
        return Retention(
            count=self.chance.choice((1, 3, 1000)), age_ms=self.chance.choice((20_000, AGE_MS))
        )

    def _new_disk(self) -> Disk:
        return Disk(self.chance.getrandbits(32), self.clock, self.keeps.__getitem__)

    def note(self, *parts: object) -> None:
        if self.trace is not None:
            self.trace(" ".join(map(str, parts)))

    def _some(self, choices: Sequence[str], most: int) -> list[str]:
        return self.chance.sample(choices, self.chance.randint(1, most))

    # Nodes

    def _boot(self, index: int) -> None:
        """Start the node `n{index}` with nothing in memory."""
        process = Process(self.schedule)
        chance, faults = self.chance, self.faults
        node = Node(
            name=f"n{index}",
            disk=self.disk,
            bus=LocalBus()
            if self.alone
            else LossyBus(nodes=self.nodes, schedule=self.schedule, chance=chance, faults=faults),
            store=SlowStore(
                disk=self.disk,
                process=process,
                schedule=self.schedule,
                chance=chance,
                faults=faults,
            ),
            process=process,
            clock=self.clock,
            entropy=self.entropy,
            sizes=Sizes(
                recent_publications_max=chance.choice((0, 1, 4, 1000)),
                poll_publications_max=chance.choice((1, 3, 1000)),
                held_max=chance.choice((1, 1024)),
            ),
        )
        self.nodes[index : index + 1] = [node]

    def crash(self) -> None:
        """A node loses its memory and its clients; what was committed is kept."""
        index = self.chance.randrange(self.count)
        self._kill(index)
        self._boot(index)

    def _kill(self, index: int) -> None:
        node = self.nodes[index]
        self.note("crash", node.name)
        node.process.die()
        for client, line in self.lines.items():
            if line is not None and line.node is node:
                self._cut(client)

    def replace_store(self) -> None:
        """All nodes go, and come back with an empty log of another epoch."""
        for index in range(self.count):
            self._kill(index)
        self.disk = self._new_disk()
        self.acknowledged.clear()
        self.keys.clear()
        for index in range(self.count):
            self._boot(index)

    # Publishers

    def publish(self) -> None:
        chance, node = self.chance, self.chance.choice(self.nodes)
        keyed = bool(self.keys) and chance.random() < 0.15
        if keyed:
            id_, topic, data = chance.choice(self.keys)
            drafts = [self._draft(node, topic, data, id_)]
        else:
            drafts = [self._new_draft(node) for _ in range(chance.choice((1, 1, 1, 2, 4)))]
        self.note("publish", node.name, [(d.topic, d.data, d.ephemeral) for d in drafts])
        node.publishing.publish(drafts, lambda results: self._published(drafts, results))

    def _new_draft(self, node: Node) -> Draft:
        chance = self.chance
        topic = chance.choice(TOPICS)
        data = b"%d" % chance.getrandbits(30)
        kind = chance.random()
        if kind < 0.1:
            return self._draft(node, topic, data, ephemeral=True)
        if kind < 0.2:
            return self._draft(node, topic, chance.choice((data, data, b"null")), retain=True)
        if kind < 0.3:
            return self._draft(node, topic, data, ttl_s=chance.choice((1.0, 20.0)))
        if kind < 0.5:
            self.keys.append((f"key{len(self.keys)}", topic, data))
            return self._draft(node, topic, data, self.keys[-1][0])
        return self._draft(node, topic, data)

    def _draft(
        self,
        node: Node,
        topic: str,
        data: bytes,
        id_: str | None = None,
        *,
        ephemeral: bool = False,
        retain: bool = False,
        ttl_s: float | None = None,
    ) -> Draft:
        return node.publishing.draft(
            Actor(admin=True),
            topic=topic,
            data=data,
            id=id_,
            ephemeral=ephemeral,
            retain=retain,
            ttl_s=ttl_s,
        )

    def _published(
        self, drafts: Sequence[Draft], results: Sequence[Appended] | ReddotError
    ) -> None:
        if isinstance(results, ReddotError):
            self.note("refused", results)
            return
        for draft, result in zip(drafts, results, strict=True):
            publication = result.publication
            self.note("acknowledged", publication.topic, publication.position)
            if draft.ephemeral:
                continue
            if self.disk.truth.at(publication.position) != publication:
                raise Violation(f"acknowledged something else: {publication}")
            first = self.acknowledged.setdefault(draft.id, result)
            if first.publication.offset != publication.offset:
                raise Violation(f"one id stored twice: {publication}")

    def trim(self) -> None:
        rows = self.chance.choice((1, 1000))
        self.note("trim", rows)
        self.disk.trim(rows)

    # Clients

    def attach(self, client: Client | None = None) -> None:
        """Somebody who is away comes back, over some transport, to some node."""
        away = [c for c in self.clients if self.lines[c] is None]
        if client is None and away:
            client = self.chance.choice(away)
        if client is None:
            return
        if not client.filters:
            client.filters = dict.fromkeys(self.chance.choice(self.choices), 0)
            client.cursor = None
        node = self.chance.choice(self.nodes)
        kind = self.chance.choice(("stream", "stream", "stream", "short", "long"))
        self._attach(client, node, kind, self._resume_cursor(client))

    def _resume_cursor(self, client: Client) -> Cursor | None:
        """Usually the last one; sometimes an old one, or none."""
        roll = self.chance.random()
        if self.quiet or roll < 0.85 or client.cursor is None:
            return client.cursor
        if roll < 0.88:
            return None
        older = [h.cursor for h in client.handed if h.cursor.position <= client.cursor.position]
        return self.chance.choice(older or [client.cursor])

    def _attach(self, client: Client, node: Node, kind: str, cursor: Cursor | None) -> None:
        self.note("attach", client.name, node.name, kind, cursor, tuple(client.filters))
        expires_ms = None
        if self.chance.random() < 0.2:
            expires_ms = self.clock.wall_ms() + self.chance.randrange(1, 60_000)
        actor = Actor(user="42", expires_ms=expires_ms)
        if kind == "stream":
            stream = Stream(
                client=client,
                node=node,
                chance=self.chance,
                now_ms=self.clock.wall_ms,
                wire_max=self.wire_max,
            )
            self.lines[client] = stream
            stream.open(actor, cursor)
        else:
            poll = Poll(
                client=client, node=node, now_ms=self.clock.wall_ms, answered=self._answered
            )
            self.lines[client] = poll
            poll.open(actor, cursor, wait_s=None if kind == "short" else WAIT_S)

    def _answered(self, poll: Poll) -> None:
        """An answer was written. Whatever was pipelined behind the request is taken up now, in
        the middle of what the node is doing."""
        self.schedule.add(self.outside, lambda: self._take(poll))
        if not self.quiet and self.chance.random() < 0.6:
            self.attach()

    def _take(self, poll: Poll) -> None:
        self.note("take", poll.client.name, poll.broken)
        poll.take()
        if self.lines[poll.client] is poll:
            self.lines[poll.client] = None
            poll.client.detach()

    def _cut(self, client: Client) -> None:
        line = self.lines[client]
        if line is not None:
            self.note("cut", client.name)
            line.cut()
            self.lines[client] = None
            client.detach()

    def cut(self) -> None:
        self._cut(self.chance.choice(self.clients))

    def _stream(self) -> Stream | None:
        streams = [line for line in self.lines.values() if isinstance(line, Stream)]
        return self.chance.choice(streams) if streams else None

    def read(self) -> None:
        stream = self._stream()
        if stream is not None:
            self._read(stream, self.chance.choice((1, 2, 100)))

    def _read(self, stream: Stream, count: int) -> None:
        self.note("read", stream.client.name, count)
        stream.read(count)
        if stream.broken and self.lines[stream.client] is stream:
            self.lines[stream.client] = None
            stream.client.detach()

    def add(self) -> None:
        stream = self._stream()
        if stream is None or stream.ended:
            return
        filters, cursor, roll = self._some(FILTERS, 2), None, self.chance.random()
        if roll < 0.45:
            cursor = Cursor(stream.node.hub.epoch, self.chance.randint(0, self.disk.truth.head))
        elif roll < 0.5:
            cursor = Cursor(stream.node.hub.epoch ^ 1, 3)
        self.note("add", stream.client.name, filters, cursor)
        stream.add(filters, cursor)

    def drop(self) -> None:
        stream = self._stream()
        if stream is not None and not stream.ended:
            filters = self._some(tuple(stream.client.filters) or FILTERS, 1)
            self.note("drop", stream.client.name, filters)
            stream.drop(tuple(filters))

    # Time

    def tick(self) -> None:
        self.clock.advance(self.chance.choice((0.5, 0.5, 3.0, 20.0)))
        node = self.chance.choice(self.nodes)
        self.note("tick", node.name)
        node.tick()

    def drain(self) -> None:
        node = self.chance.choice(self.nodes)
        self.note("drain", node.name)
        node.subscribing.drain()

    # The run

    def work(self, steps: int) -> None:
        """The nodes get something done."""
        for _ in range(steps):
            if len(self.schedule):
                self.schedule.step()

    def happen(self) -> None:
        events = (
            [self.publish] * 24
            + [self.read] * 22
            + [self.attach] * 14
            + [self.tick] * 8
            + [self.cut] * 6
            + [self.add] * 6
            + [self.drop] * 3
            + [self.trim] * 3
            + [self.crash]
            + [self.drain]
        )
        for _ in range(STEPS):
            self.chance.choice(events)()
            self.work(self.chance.choice((0, 1, 2, 5, 20)))
            if self.chance.random() < 0.003:
                self.replace_store()

    def settle(self) -> None:
        """Heal everything, let everybody come back, and wait until nothing moves any more."""
        self.quiet = True
        self.faults.heal()
        self._catch_up()
        for client in self.clients:
            client.silent = False
        for _ in range(300):
            self.schedule.settle()
            for client in self.clients:
                if self.lines[client] is None and not self._is_done(client):
                    self.attach(client)
            for line in list(self.lines.values()):
                if isinstance(line, Stream):
                    self._read(line, 1000)
            self.clock.advance(0.5)
            for node in self.nodes:
                node.tick()
            if not len(self.schedule) and all(map(self._is_done, self.clients)):
                return
        raise Violation("it does not settle")

    def _catch_up(self) -> None:
        """Every node has heard of everything."""
        for _ in range(10):
            self.schedule.settle()
            for node in self.nodes:
                node.tick()
            if all(node.feed.top == self.disk.truth.head for node in self.nodes):
                return
        raise Violation("a node does not hear of what was published")

    def _is_done(self, client: Client) -> bool:
        """Attached and idle, or told by a poll that there is nothing more."""
        line = self.lines[client]
        if isinstance(line, Stream):
            return not line.wire and line.session.group is not None
        if line is not None:
            return not len(self.schedule)
        return client.cursor is not None and client.silent

    def judge(self) -> None:
        now_ms = self.clock.wall_ms()
        for client in self.clients:
            client.judge(now_ms)
        for result in self.acknowledged.values():
            publication = result.publication
            if self.disk.truth.at(publication.position).id != publication.id:
                raise Violation(f"acknowledged and lost: {publication}")

    def audit(self) -> None:
        """Restart from a cursor that was ever handed out: exactly what lies after it comes."""
        chance = self.chance
        for client in self.clients:
            self._cut(client)
        for client in self.clients:
            if client.handed:
                handed = chance.choice(client.handed)
                for kind in ("stream", "short", "long"):
                    self._audit(handed, kind)

    def _audit(self, handed: Handed, kind: str) -> None:
        now_ms, truth = self.clock.wall_ms(), self.disk.truth
        if not handed.filters:
            return
        auditor = Client("auditor", truth, cursor=handed.cursor)
        auditor.filters = dict.fromkeys(handed.filters, handed.cursor.position)
        self.clients.append(auditor)
        self.lines[auditor] = None
        node = self.chance.choice(self.nodes)
        self._attach(auditor, node, kind, handed.cursor)
        self._finish(auditor, node, kind)
        auditor.judge(now_ms)
        for position in auditor.seen:
            publication = truth.at(position)
            if not selected(handed.filters, publication.topic) or expired(publication, now_ms):
                raise Violation(f"{publication} for an auditor on {handed}")
        self._cut(auditor)
        self.clients.remove(auditor)
        del self.lines[auditor]

    def _finish(self, client: Client, node: Node, kind: str) -> None:
        for _ in range(1000):
            self.schedule.settle()
            line = self.lines[client]
            if isinstance(line, Stream):
                self._read(line, 1000)
                if not line.wire and not len(self.schedule):
                    return
            elif line is not None or client.silent:
                return
            else:
                self._attach(client, node, kind, client.cursor)
        raise Violation("a poll does not come to an end")

    def leave(self) -> None:
        """Everybody goes; nothing of them may stay once the longest wait of a poll is over."""
        for client in self.clients:
            self._cut(client)
        self.schedule.settle()
        self.clock.advance(WAIT_S + 2)
        for node in self.nodes:
            node.tick()
            if node.leaks():
                raise Violation(f"{node.name} keeps {node.leaks()}")


def run(seed: int, trace: Callable[[str], object] | None = None) -> None:
    """One run of the world. Raises `Violation` if a promise was broken."""
    world = World(seed, trace)
    try:
        with small_pages(world.chance):
            world.happen()
            world.settle()
            world.judge()
            world.audit()
            world.leave()
    finally:
        for node in world.nodes:
            node.process.die()
