"""Who hears of a badge, and when: coalesced, the last one always, in small batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from reddot.core.access import Policy
from reddot.core.dots import BATCH_USERS, Dots
from reddot.core.hub import Encoder
from reddot.core.reached import Reached
from reddot.core.rules import TopicRules
from reddot.core.session import Session, State
from reddot.counters import Counters
from reddot.inbox import Badge, Follow, Mark, Note, Unfollow
from reddot.model import Actor, Cursor, Publication
from tests.unit.core.boxes_rig import Rig


class Ear:
    """A live session that keeps what it is pushed."""

    def __init__(self, stage: Stage, user: str, state: State = State.LIVE) -> None:
        self.session = Session(
            owner=None,  # type: ignore[arg-type] # Nobody moves it.
            id=f"{user}-{id(self)}",
            actor=Actor(user=user),
            filters=(),
            encoder=stage.encoder,
            position=0,
            opened_at=0,
            age_at=0,
            heartbeat_s=1,
            inbox=True,
        )
        self.session.state = state
        self.session.write = self._write
        self._stage = stage
        self.unread: list[int] = []

    def _write(self, data: bytes) -> None:
        self.unread.append(self._stage.badges[int(data)].unread)


class Stage(Rig):
    """Dots on boxes; timers wait until the test lets time pass."""

    def __init__(self, interval_s: float = 0.1) -> None:
        super().__init__()
        self.badges: list[Badge] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.changes: list[tuple[int, int, tuple[str, ...], tuple[str, ...]]] = []
        self.encoder = Encoder("sse", self._no_frame, encode_badge=self._encode)
        self.counters = Counters()
        self.reached = Reached(inbox=self.store.inbox, counters=self.counters)
        self.dots = Dots(
            boxes=self.boxes,
            policy=Policy(TopicRules([]), dev=True),
            reached=self.reached,
            clock=self.clock,
            counters=self.counters,
            cursor=lambda: Cursor(1, self.position),
            later=self._later,
            spawn=self._spawn,
            interval_s=interval_s,
        )
        self.dots.changed = self._changed

    def _no_frame(self, publication: Publication, cursor: Cursor | None) -> bytes:
        return b""

    def _encode(self, badge: Badge, cursor: Cursor) -> bytes:
        self.badges.append(badge)
        return str(len(self.badges) - 1).encode()

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        self.timers.append((self.clock.monotonic() + seconds, work))

    def _changed(
        self, sessions: Iterable[Session], position: int, added: Any, dropped: Any
    ) -> None:
        self.changes.append((len(list(sessions)), position, added, dropped))

    def observe(self) -> None:
        """Hand on what was appended, through the dots."""
        news, self.waiting = self.waiting, []
        self.position = news[-1].position
        self.dots.observe(news)

    def turn(self) -> None:
        """Everything that is due, once."""
        now = self.clock.monotonic()
        due = [work for at, work in self.timers if at <= now + 1e-9]
        self.timers = [one for one in self.timers if one[0] > now + 1e-9]
        for work in due:
            work()

    async def hear(self, user: str, state: State = State.LIVE) -> Ear:
        await self.boxes.prepare(user)
        ear = Ear(self, user, state)
        self.dots.attach(ear.session)
        return ear


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_badge_is_encoded_once_for_all_sessions_of_a_user() -> None:
    async def test() -> None:
        stage = Stage()
        ears = [await stage.hear("a") for _ in range(3)]
        other = await stage.hear("b")
        await stage.notify("users/a")
        stage.observe()
        stage.turn()
        assert [ear.unread for ear in (*ears, other)] == [[1], [1], [1], []]
        assert len(stage.badges) == 1
        assert stage.counters.badges_pushed == 3

    run(test())


def test_a_burst_is_the_first_and_the_last() -> None:
    async def test() -> None:
        stage = Stage(interval_s=0.1)
        ear = await stage.hear("a")
        for _ in range(9):
            await stage.notify("users/a")
            stage.observe()
            stage.turn()
            stage.clock.advance(0.01)
        assert ear.unread == [1]
        stage.clock.advance(0.1)
        stage.turn()
        assert ear.unread == [1, 9]
        stage.clock.advance(1)
        stage.turn()
        assert ear.unread == [1, 9]

    run(test())


def test_a_broadcast_is_pushed_in_batches() -> None:
    async def test() -> None:
        stage = Stage()
        ears = [await stage.hear(f"u{number}") for number in range(BATCH_USERS + 20)]
        await stage.notify("everyone")
        stage.observe()
        stage.turn()
        assert sum(len(ear.unread) for ear in ears) == BATCH_USERS
        stage.turn()
        assert all(ear.unread == [1] for ear in ears)

    run(test())


def test_a_topic_reaches_those_who_follow_it() -> None:
    async def test() -> None:
        stage = Stage(interval_s=0)
        await stage.change(Follow(user="a", topic="news"))
        stage.hand_on()
        follower, other = await stage.hear("a"), await stage.hear("b")
        await stage.notify("news")
        stage.observe()
        stage.turn()
        assert (follower.unread, other.unread) == ([1], [])
        assert [stage.dots.connected(t) for t in ("news", "everyone", "users/b", "users/c")] == [
            1,
            2,
            1,
            0,
        ]

    run(test())


def test_a_follow_and_an_unfollow_are_told_with_their_position() -> None:
    async def test() -> None:
        stage = Stage(interval_s=0)
        ear = await stage.hear("a")
        await stage.change(Follow(user="a", topic="news"))
        await stage.notify("news")
        stage.observe()
        await stage.change(Unfollow(user="a", topic="news"))
        stage.observe()
        stage.turn()
        stage.turn()
        assert stage.changes == [(1, 1, ("news",), ()), (1, 3, (), ("news",))]
        assert ear.unread[-1] == 0
        assert stage.dots.connected("news") == 0

    run(test())


def test_who_cannot_be_written_to_is_owed_the_last_one() -> None:
    async def test() -> None:
        stage = Stage(interval_s=0)
        ear = await stage.hear("a", State.PAUSED)
        for _ in range(2):
            await stage.notify("users/a")
            stage.observe()
            stage.turn()
        assert ear.unread == []
        ear.session.state = State.LIVE
        stage.dots.live(ear.session)
        stage.dots.live(ear.session)
        assert ear.unread == [2]

    run(test())


def test_who_has_gone_is_forgotten() -> None:
    async def test() -> None:
        stage = Stage(interval_s=0)
        await stage.change(Follow(user="a", topic="news"))
        stage.hand_on()
        ear = await stage.hear("a")
        await stage.notify("news")
        stage.observe()
        stage.dots.detach(ear.session)
        stage.dots.detach(ear.session)
        stage.turn()
        assert ear.unread == []
        assert stage.dots.connected("news") == stage.dots.connected("everyone") == 0

    run(test())


def test_an_inbox_that_memory_has_lost_is_loaded_and_pushed() -> None:
    async def test() -> None:
        stage = Stage(interval_s=0)
        ear = await stage.hear("a")
        stage.boxes.lost()
        await stage.notify("users/a")
        stage.observe()
        for _ in range(30):
            stage.turn()
            await asyncio.sleep(0)
        assert ear.unread == [1]

    run(test())


def test_a_change_that_touches_nobody_here_pushes_nothing() -> None:
    async def test() -> None:
        stage = Stage(interval_s=0)
        ear = await stage.hear("a")
        await stage.notify("users/b")
        await stage.change(Mark(user="b", state="read", ids=("n1",)))
        stage.observe()
        stage.turn()
        assert ear.unread == []

    run(test())


def test_whom_a_notification_reaches_is_counted_by_person() -> None:
    async def test() -> None:
        stage = Stage()
        for user in ("a", "a", "b"):
            await stage.hear(user)
        await stage.append("users/a", Note(topics=("users/a", "users/b", "users/c")))
        stage.observe()
        assert stage.reached.waiting("n1") == 2
        await stage.notify("everyone")
        stage.observe()
        assert stage.reached.waiting("n2") == 2
        await stage.notify("users/c")
        stage.observe()
        assert stage.reached.waiting("n3") == 0

    run(test())
