"""The core of one node for unit tests, without a loop: the test says when anything goes on.

The store is the real one in memory, whose reads wait until the test lets them. Publications go the
whole way: store, feed, hub.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from reddot.core.access import Policy
from reddot.core.feed import Feed
from reddot.core.hub import Encoder, Hub, join_bytes
from reddot.core.polling import Polling
from reddot.core.recent import Recent
from reddot.core.rules import TopicRules
from reddot.core.session import ReconnectReason, Session, SessionLimits
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Actor, Appended, Cursor, Draft, Gap, Page, Publication, Retention
from reddot.stores.memory import MemoryStore
from reddot.testing import FakeClock, SeededEntropy
from tests.sim.inboxes import quiet_dots
from tests.sim.schedule import Turn, deferred

EPOCH = 7
USER = Actor(user="42")


RIGS: list[Rig] = []


class HeldStore(MemoryStore):
    """Reads wait for a turn, and fail while `error` is set."""

    error: ReddotError | None = None
    reads = 0

    async def _wait(self) -> None:
        self.reads += 1
        await Turn()
        if self.error is not None:
            raise self.error

    async def read(
        self, filters: Sequence[str] | None, *, after: int, upto: int, limit: int
    ) -> Page:
        await self._wait()
        return await super().read(filters, after=after, upto=upto, limit=limit)

    async def retained(
        self, filters: Sequence[str], *, after: int, upto: int, limit: int
    ) -> Sequence[Publication]:
        await self._wait()
        return await super().retained(filters, after=after, upto=upto, limit=limit)


def encode(publication: Publication, cursor: Cursor | None) -> bytes:
    """`topic:data@cursor`; the cursor of an ephemeral one is a dash."""
    place = "-" if cursor is None else str(cursor.position)
    return f"{publication.topic}:{publication.data.decode()}@{place} ".encode()


ENCODER = Encoder("sse", encode, join_bytes)


class Tape:
    """A sink that notes what it is told, in one list of lines; `writes` counts calls of `write`.

    Args:
        full_after: the write after which the buffer is full.
    """

    def __init__(self, full_after: int | None = None) -> None:
        self.lines: list[str] = []
        self.writes = 0
        self.full_after = full_after
        self.session: Session

    def write(self, data: bytes) -> None:
        self.lines += data.decode().split()
        self.writes += 1
        if self.writes == self.full_after:
            self.session.pause_writing()

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        told = "".join(f" {gap.reason}={gap.topic}" for gap in gaps)
        self.lines.append(f"sync@{cursor.position}{told}")

    def gap(self, gap: Gap) -> None:
        self.lines.append(f"gap {gap.reason}={gap.topic}")

    def heartbeat(self, cursor: Cursor) -> None:
        self.lines.append(f"heartbeat@{cursor.position}")

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        self.lines.append(f"reconnect {reason}")

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        self.lines.append(" ".join(["close", error.code if error else "", "abort" * abort]).strip())

    def take(self) -> list[str]:
        """What has come since the last call."""
        lines, self.lines = self.lines, []
        return lines


class Rig:
    """Args:
    memory: how many publications `Recent` keeps.
    keep: how many of a topic the store keeps.
    """

    def __init__(
        self,
        *,
        memory: int = 1000,
        keep: int = 1000,
        limits: SessionLimits | None = None,
        dev: bool = True,
        poll_max: int = 1000,
    ) -> None:
        RIGS.append(self)
        self.clock = FakeClock()
        self.entropy = SeededEntropy(1)
        self.counters = Counters()
        self.store = HeldStore(
            clock=self.clock,
            retention=lambda topic: Retention(count=keep, age_ms=86_400_000),
            epoch=EPOCH,
        )
        self.recent = Recent(floor=0, publications_max=memory, bytes_max=1 << 20)
        self.soon: list[Callable[[], None]] = []
        self.work: list[Coroutine[Any, Any, None]] = []
        self.hub = Hub(
            epoch=EPOCH,
            position=0,
            recent=self.recent,
            counters=self.counters,
            schedule=self.soon.append,
        )
        self.feed = Feed(
            start=0,
            store=self.store,
            dispatch=self.hub.dispatch,
            lost=lambda upto: self.subscribing.lost(upto),
            spawn=self.work.append,
            counters=self.counters,
        )
        policy = Policy(TopicRules([]), dev=dev)
        self.subscribing = Subscribing(
            hub=self.hub,
            recent=self.recent,
            store=self.store,
            policy=policy,
            clock=self.clock,
            entropy=self.entropy,
            counters=self.counters,
            spawn=self.work.append,
            limits=limits or SessionLimits(),
            dots=quiet_dots(
                store=self.store,
                hub=self.hub,
                policy=policy,
                clock=self.clock,
                counters=self.counters,
                spawn=self.work.append,
            ),
        )
        self.polling = Polling(
            hub=self.hub,
            recent=self.recent,
            store=self.store,
            clock=self.clock,
            publications_max=poll_max,
        )

    # Publishing

    def append(
        self,
        topic: str,
        data: str,
        *,
        retain: bool = False,
        ttl_ms: int | None = None,
    ) -> Publication:
        """Store one; nobody is told."""
        now = self.clock.wall_ms()
        draft = Draft(
            topic=topic,
            id=self.entropy.publication_id(),
            data=data.encode(),
            time_ms=now,
            retain=retain,
            expires_ms=None if ttl_ms is None else now + ttl_ms,
        )
        results: list[Sequence[Appended] | ReddotError] = []
        for call in deferred(lambda: self.store.append([draft], results.append)):
            call()
        (result,) = results
        assert not isinstance(result, ReddotError)
        return result[0].publication

    def publish(
        self, topic: str, data: str, *, retain: bool = False, ttl_ms: int | None = None
    ) -> Publication:
        """Store one, and hand it to everybody in a loop turn of its own."""
        publication = self.append(topic, data, retain=retain, ttl_ms=ttl_ms)
        self.feed.hint([publication])
        self.flush()
        return publication

    def fill(self, topic: str, count: int) -> None:
        """Publish `count` with the data 1, 2, 3 …"""
        for number in range(1, count + 1):
            self.publish(topic, str(number))

    def flush(self) -> None:
        """What was asked for at the end of the loop turn."""
        calls, self.soon[:] = list(self.soon), []
        for call in calls:
            call()

    # Background work

    def turn(self) -> None:
        """Let every coroutine go on to its next wait."""
        work, self.work[:] = list(self.work), []
        for coroutine in work:
            try:
                coroutine.send(None)
            except StopIteration:
                continue
            self.work.append(coroutine)

    def settle(self) -> None:
        """Let everything that waits for the store come to its end."""
        for _ in range(1000):
            if not self.work:
                return
            self.turn()
        raise AssertionError("the work does not end")

    def close(self) -> None:
        """Drop what still waits."""
        for coroutine in self.work:
            coroutine.close()

    # Subscribing

    def open(
        self,
        *filters: str,
        cursor: int | None = None,
        epoch: int = EPOCH,
        actor: Actor = USER,
        full_after: int | None = None,
        heartbeat_s: float = 15.0,
    ) -> tuple[Session, Tape]:
        """A started session and its tape."""
        tape = Tape(full_after)
        session = self.subscribing.create(
            actor=actor, filters=tuple(sorted(filters)), encoder=ENCODER, heartbeat_s=heartbeat_s
        )
        tape.session = session
        session.attach(tape)
        self.subscribing.start(session, None if cursor is None else Cursor(epoch, cursor))
        return session, tape

    def pass_time(self, seconds: float) -> None:
        """Time passes in steps of the timer."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            self.subscribing.tick()


def code_of(call: Callable[[], object]) -> str:
    """The code of the error that a call raises; empty if it raises none."""
    try:
        call()
    except ReddotError as error:
        return error.code
    return ""
