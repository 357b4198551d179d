"""A Hypothesis machine: a whole node with its SQLite file lives at random beside the truth.

After every step each user's badge is asked for, and compared with the truth; those who are
connected on two devices must have been pushed the same. An older badge never follows a newer one.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from reddot.core.hub import Encoder
from reddot.core.inbox import Receipt, Wanted
from reddot.core.session import ReconnectReason, Session
from reddot.errors import ReddotError
from reddot.inbox import As, Badge, Preferences, View
from reddot.model import Actor, Cursor, Gap, Publication
from reddot.node import SERVER, Reddot
from reddot.testing import FakeClock, SeededEntropy, dev_settings
from tests.sim.dot_truth import Counts, Truth

USERS: Final = ("ann", "bob", "cy")
TOPICS: Final = ("news", "ops")
CATEGORIES: Final = ("general", "mention")
LOCKED: Final = "alarm"
STATES: Final[tuple[As, ...]] = ("seen", "read", "unread", "archived", "unarchived", "deleted")
OFTEN: Final[tuple[As, ...]] = ("read", "unread", *STATES)
WHERE: Final = st.one_of(
    st.lists(st.sampled_from(USERS), min_size=1, max_size=3, unique=True).map(
        lambda users: tuple(f"users/{user}" for user in users)
    ),
    st.sampled_from((*TOPICS, "everyone")).map(lambda topic: (topic,)),
)
USER = st.sampled_from(USERS)
BADGE: Final = b"badge"
T = TypeVar("T")


class Device:
    """A session's end that keeps the badges it is pushed."""

    def __init__(self, pushed: Callable[[], Badge]) -> None:
        self.badges: list[Badge] = []
        self._pushed = pushed

    def write(self, data: bytes) -> None:
        if data == BADGE:
            self.badges.append(self._pushed())

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        assert badge is not None, "a stream begins without the badge"
        self.badges.append(badge)

    def gap(self, gap: Gap) -> None:
        raise AssertionError(gap)

    def heartbeat(self, cursor: Cursor) -> None:
        """Nothing to keep."""

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        """Nothing to keep."""

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        """Nothing to keep."""


class DotMachine(RuleBasedStateMachine):
    """Time stands still unless a rule moves it; the node's own timers do not matter."""

    ids = Bundle("ids")
    cursors = Bundle("cursors")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="reddot-dots-"))
        self.clock = FakeClock()
        self.truth = Truth(USERS, locked=[LOCKED])
        self.newest: dict[str, Badge] = {}
        self.devices: dict[str, list[tuple[Session, Device]]] = {}
        self.number = 0
        self.recalled: set[str] = set()
        self.scheduled: dict[str, tuple[int, tuple[str, ...], int | None]] = {}
        self.lives = 0
        self.encoder = Encoder("sse", self._no_frame, encode_badge=self._keep_badge)
        self.pushed: Badge | None = None

    def _no_frame(self, publication: Publication, cursor: Cursor | None) -> bytes:
        return b""

    def _keep_badge(self, badge: Badge, cursor: Cursor) -> bytes:
        self.pushed = badge
        return BADGE

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(target=ids)
    def start(self) -> str:
        """Everybody and every topic begins with one."""
        self.run(self._start())
        for topic in (*TOPICS, "everyone"):
            self._send_one((topic,), CATEGORIES[0], None, None)
        return f"n{self.number}"

    async def _start(self) -> None:
        self.lives += 1
        settings = dev_settings(
            store_url=f"sqlite:///{self.folder / 'dots.db'}",
            badge_interval_s=0,
            locked_categories=[LOCKED],
            log_level="error",
        )
        self.node = Reddot(settings, clock=self.clock, entropy=SeededEntropy(self.lives))
        await self.node.start()

    # ---- sending ----

    @rule(
        target=ids,
        topics=WHERE,
        category=st.sampled_from((*CATEGORIES, *CATEGORIES, LOCKED)),
        ttl_s=st.sampled_from((None, None, None, 10)),
        key=st.sampled_from((None, None, "k")),
        then=st.sampled_from(("", "", "", "", "back", "back and retracted")),
    )
    def send(
        self,
        topics: tuple[str, ...],
        category: str,
        ttl_s: int | None,
        key: str | None,
        then: str,
    ) -> str:
        """To many, who may all have snoozed it and got it back."""
        id = self._send_one(topics, category, ttl_s, key)
        for user in USERS if then else ():
            if self.truth.is_there(user, id):
                self._snooze(user, [id], 2)
                self._wake_now(user, [id])
        if then == "back and retracted":
            self.retract(id)
        return id

    def _send_one(
        self, topics: tuple[str, ...], category: str, ttl_s: int | None, key: str | None
    ) -> str:
        self.number += 1
        self.truth.now_ms = self.clock.wall_ms()
        id = f"n{self.number}"
        receipt = self.run(self._send(id, topics, category, ttl_s, key))
        if key is not None:  # What is left to die of what it replaces, the timer would let die.
            self.run(self.node.inboxes.settle())
        expires_ms = None if ttl_s is None else self.clock.wall_ms() + ttl_s * 1000
        self.truth.send(id, topics, receipt.position, category, expires_ms, key)
        return id

    async def _send(
        self,
        id: str,
        topics: tuple[str, ...],
        category: str,
        ttl_s: int | None,
        key: str | None,
        publish_ms: int | None = None,
    ) -> Receipt:
        answer: asyncio.Future[Receipt | ReddotError] = asyncio.get_running_loop().create_future()
        personal = topics[0].startswith("users/")
        wanted = Wanted(
            content=b'{"title":"x"}',
            users=tuple(t.removeprefix("users/") for t in topics) if personal else (),
            topic=None if personal or topics[0] == "everyone" else topics[0],
            everyone=topics[0] == "everyone",
            category=category,
            ttl_s=ttl_s,
            collapse_key=key,
            publish_ms=publish_ms,
            id=id,
        )
        self.node.inboxes.send(SERVER, wanted, answer.set_result)
        result = await answer
        assert isinstance(result, Receipt)
        return result

    @rule(
        target=ids,
        topics=WHERE,
        delay_s=st.sampled_from((1, 5)),
        ttl_s=st.sampled_from((None, 5)),
    )
    def schedule(self, topics: tuple[str, ...], delay_s: int, ttl_s: int | None) -> str:
        self.number += 1
        id = f"n{self.number}"
        publish_ms = self.clock.wall_ms() + delay_s * 1000
        self.run(self._send(id, topics, CATEGORIES[0], ttl_s, None, publish_ms))
        self.scheduled[id] = publish_ms, topics, ttl_s
        return id

    async def _upkeep(self) -> None:
        """What the timer does; what was scheduled and is due goes live."""
        await self.node.inboxes.upkeep()
        now_ms = self.clock.wall_ms()
        earliest_first = sorted(self.scheduled, key=lambda id: (self.scheduled[id][0], id))
        for id in earliest_first:
            publish_ms, topics, ttl_s = self.scheduled[id]
            if publish_ms <= now_ms:
                del self.scheduled[id]
                (sent,) = await self.node.store.inbox.sent(id=id, before=None, limit=1)
                expires_ms = None if ttl_s is None else now_ms + ttl_s * 1000
                self.truth.now_ms = now_ms
                self.truth.send(id, topics, sent.position, CATEGORIES[0], expires_ms, None)

    @rule(id=ids)
    def retract(self, id: str) -> None:
        if id in self.recalled:  # It was taken back before it went out.
            return
        self.run(self.node.inboxes.retract(id))
        if self.scheduled.pop(id, None) is not None:
            self.recalled.add(id)
        self.truth.retract(id)

    # ---- what people do ----

    @rule(user=USER, state=st.sampled_from(STATES), some=st.lists(ids, min_size=1, max_size=3))
    def mark_some(self, user: str, state: As, some: list[str]) -> None:
        self.mark(user, state, some)

    def mark(self, user: str, state: As, some: list[str]) -> None:
        self.run(self.node.inboxes.mark(user, state, ids=tuple(some)))
        self.truth.mark(user, state, some)

    @rule(user=USER, states=st.lists(st.sampled_from(OFTEN), min_size=1, max_size=3))
    def mark_the_newest(self, user: str, states: list[As]) -> None:
        """What somebody does who looks at the list: one that is shown, and again."""
        self.truth.now_ms = self.clock.wall_ms()
        shown = self.truth.shown(user)
        for state in states if shown else ():
            self.mark(user, state, shown[-1:])

    # ---- what is away for a while ----

    @rule(user=USER, some=st.lists(ids, min_size=1, max_size=2), seconds=st.sampled_from((2, 6)))
    def snooze(self, user: str, some: list[str], seconds: int) -> None:
        """All of them, or none if one is not there."""
        self.truth.now_ms = self.clock.wall_ms()
        if all(self.truth.is_there(user, id) for id in some):
            self._snooze(user, some, seconds)
        else:
            with pytest.raises(ReddotError, match="not_found"):
                self._snooze(user, some, seconds)

    @rule(user=USER, seconds=st.sampled_from((2, 6)), states=st.lists(st.sampled_from(STATES)))
    def snooze_the_newest(self, user: str, seconds: int, states: list[As]) -> None:
        """And mark it on another device, where it is still shown."""
        self.truth.now_ms = self.clock.wall_ms()
        if shown := self.truth.shown(user)[-1:]:
            self._snooze(user, shown, seconds)
            for state in states[:2]:
                self.mark(user, state, shown)

    def _snooze(self, user: str, some: list[str], seconds: int) -> None:
        until_ms = self.clock.wall_ms() + seconds * 1000
        self.run(self.node.inboxes.mark(user, "snoozed", ids=tuple(some), until_ms=until_ms))
        self.truth.snooze(user, some, until_ms)

    @rule(user=USER)
    def wake_now(self, user: str) -> None:
        self.truth.now_ms = self.clock.wall_ms()
        if some := self.truth.listed(user, snoozed=True)[:1]:
            self._wake_now(user, some)

    def _wake_now(self, user: str, some: list[str]) -> None:
        self.run(self.node.inboxes.mark(user, "unsnoozed", ids=tuple(some)))
        self.run(self._came_back(user, some))

    async def _came_back(self, user: str, ids: list[str] | None) -> None:
        """Tell the truth at which positions the list has what has come back."""
        page = self.node.store.inbox.page
        items = (await page(user, view="all", category=None, before=None, limit=1_000)).items
        own = f"users/{user}"
        positions = {item.id: item.position for item in reversed(items) if item.topic == own}
        self.truth.wake(user, ids, positions)

    @rule(target=cursors)
    def render(self) -> int:
        return self.node.store.head

    @rule(
        user=USER,
        state=st.sampled_from(STATES),
        upto=cursors,
        category=st.sampled_from((None, None, *CATEGORIES)),
    )
    def mark_all(self, user: str, state: As, upto: int, category: str | None) -> None:
        if state == "seen":
            category = None
        self.run(self.node.inboxes.mark(user, state, upto=upto, category=category))
        self.truth.mark_upto(user, state, upto, category)

    @rule(user=USER, topic=st.sampled_from(TOPICS), backfill=st.integers(0, 2))
    def follow(self, user: str, topic: str, backfill: int) -> None:
        self.run(self._follow(user, topic, backfill))
        self.truth.follow(user, topic, backfill)

    async def _follow(self, user: str, topic: str, backfill: int) -> None:
        by = Actor(user=user)
        await self.node.inboxes.follow(user, topic, by=by, backfill=backfill)

    @rule(user=USER, topic=st.sampled_from(TOPICS))
    def unfollow(self, user: str, topic: str) -> None:
        self.run(self.node.inboxes.unfollow(user, topic))
        self.truth.unfollow(user, topic)

    @rule(user=USER, topic=st.sampled_from(TOPICS))
    def follow_anew(self, user: str, topic: str) -> None:
        """A fresh start of the topic, of which something has come back from a snooze."""
        self.truth.now_ms = self.clock.wall_ms()
        if some := self.truth.of_topic(user, topic)[-1:]:
            self._snooze(user, some, 2)
            self._wake_now(user, some)
        self.unfollow(user, topic)
        self.follow(user, topic, 2)

    @rule(
        user=USER,
        categories=st.frozensets(st.sampled_from(CATEGORIES), max_size=1),
        topics=st.frozensets(st.sampled_from((*TOPICS, "everyone")), max_size=1),
    )
    def mute(self, user: str, categories: frozenset[str], topics: frozenset[str]) -> None:
        self.run(self.node.inboxes.prefer(user, Preferences(categories, topics)))
        inbox = self.truth.inboxes[user]
        inbox.muted_categories, inbox.muted_topics, inbox.muted_until = categories, topics, {}

    @rule(
        user=USER,
        ends_s=st.dictionaries(st.sampled_from(CATEGORIES), st.sampled_from((1, 5, 11))),
    )
    def mute_for(self, user: str, ends_s: dict[str, int]) -> None:
        """Categories, each for a while."""
        now_ms = self.clock.wall_ms()
        until = {category: now_ms + 1000 * end_s for category, end_s in ends_s.items()}
        self.run(self.node.inboxes.prefer(user, Preferences(frozenset(until), until=until)))
        inbox = self.truth.inboxes[user]
        inbox.muted_categories = inbox.muted_topics = frozenset()
        inbox.muted_until = until

    @rule(user=USER, ago_s=st.sampled_from((0, 3, 1000, 1000)))
    def arrive(self, user: str, ago_s: int) -> None:
        """With a credential that says since when they are a user."""
        since_ms = self.clock.wall_ms() - ago_s * 1000
        self.run(self.node.boxes.prepare(user, since_ms))
        self.truth.join(user, since_ms)

    # ---- devices, time, faults ----

    @rule(user=USER)
    def connect(self, user: str) -> None:
        self.run(self._connect(user))

    async def _connect(self, user: str) -> None:
        node, device = self.node, Device(self._pushed)
        await node.boxes.prepare(user)
        session = node.subscribing.create(
            actor=Actor(user=user),
            filters=node.dots.filters(Actor(user=user)),
            encoder=self.encoder,
            heartbeat_s=60,
            inbox=True,
        )
        session.attach(device)
        node.subscribing.start(session, None)
        self.devices.setdefault(user, []).append((session, device))

    def _pushed(self) -> Badge:
        assert self.pushed is not None
        return self.pushed

    @rule(user=USER)
    def disconnect(self, user: str) -> None:
        if self.devices.get(user):
            session, _ = self.devices[user].pop()
            self.node.subscribing.forget(session)

    @rule(seconds=st.sampled_from((1, 5, 11)), timer=st.booleans())
    def wait(self, seconds: int, timer: bool) -> None:
        self.clock.advance(seconds)
        if timer:
            self.run(self._upkeep())
        self.truth.now_ms = self.clock.wall_ms()
        for user in USERS:
            # What is due comes back with the timer, or because somebody asks.
            self.run(self.node.boxes.prepare(user))
            self.run(self._came_back(user, None))

    @rule(what=st.sampled_from(("forget", "forget", "restart", "crash")))
    def fault(self, what: str) -> None:
        if what == "forget":
            self.forget()
        else:
            self.run(self._restart() if what == "restart" else self._crash())
            self.devices.clear()

    def forget(self) -> None:
        """Memory lets go of everything, as it does of what nobody has asked for in a while."""
        for user in list(self.node.boxes._people):
            del self.node.boxes._people[user]
        for topic in list(self.node.boxes._masks):
            self.node.boxes._forget_mask(topic)

    async def _restart(self) -> None:
        await self.node.stop()
        await self._start()

    async def _crash(self) -> None:
        """Go on with what is on the disk at this moment, as after `kill -9`."""
        copy = Path(tempfile.mkdtemp(prefix="reddot-dots-"))
        for file in self.folder.iterdir():
            if not file.name.endswith((".lock", "-shm")):
                shutil.copy(file, copy)
        await self.node.stop()
        shutil.rmtree(self.folder)
        self.folder = copy
        await self._start()

    # ---- what must hold ----

    @invariant()
    def every_badge_is_the_truth(self) -> None:
        if hasattr(self, "node"):
            self.truth.now_ms = self.clock.wall_ms()
            self.run(self._compare())

    async def _compare(self) -> None:
        for user in USERS:
            badge = await self.node.inboxes.badge(user)
            counts: Counts = badge.unread, badge.unseen, badge.by_category
            assert counts == self.truth.counts(user), f"{user}: {counts}"
            self._check_order(user, badge)
            audits = await self.node.store.inbox.audit(user)
            assert sum(one.unread for one in audits) == badge.unread, f"{user}: audit"
            await self._compare_list(user, "all", self.truth.listed(user, snoozed=False))
            await self._compare_list(user, "snoozed", self.truth.listed(user, snoozed=True))
        await self._quiet()
        for user, devices in self.devices.items():
            newest = self.newest[user]
            for _, device in devices:
                if device.badges:
                    last = device.badges[-1]
                    assert msg(last) == msg(newest), f"{user} was pushed {last}, not {newest}"
                    positions = [badge.as_of for badge in device.badges]
                    assert positions == sorted(positions), "an older badge after a newer one"

    async def _compare_list(self, user: str, view: View, ids: list[str]) -> None:
        page = self.node.store.inbox.page
        items = (await page(user, view=view, category=None, before=None, limit=1_000)).items
        assert [item.id for item in items] == ids, f"{user}: {view}"

    async def _quiet(self) -> None:
        """Until everything that is due has been pushed."""
        for _ in range(10_000):
            here = self.node.dots._here.values()
            if not any(one.marked for one in here):
                return
            await asyncio.sleep(0)
        raise AssertionError("badges are owed for ever")

    def _check_order(self, user: str, badge: Badge) -> None:
        before = self.newest.get(user)
        if before is not None:
            assert badge.as_of >= before.as_of, "as_of goes back"
            if badge.as_of == before.as_of:
                assert msg(badge) == msg(before), "one as_of, two badges"
        self.newest[user] = badge

    def teardown(self) -> None:
        if hasattr(self, "node"):
            self.run(self.node.stop())
        self.runner.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def msg(badge: Badge) -> tuple[object, ...]:
    return badge.unread, badge.unseen, badge.by_category
