"""Inboxes in memory for unit tests, on the real store in memory.

Its reads wait until the test lets them, and the log is handed on when the test says so, so that
both can come in any order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

import msgspec

from reddot.core.boxes import Boxes, BoxLimits
from reddot.errors import ReddotError
from reddot.inbox import INBOX_TOPIC, Change, Note, Settle, Warm
from reddot.model import Draft, Publication, Retention
from reddot.stores.memory import MemoryStore
from reddot.stores.memory_inbox import MemoryInbox
from reddot.testing import FakeClock


class Held:
    """`ports.Inbox.warm` that answers when `gate` is open, or fails."""

    def __init__(self, inbox: MemoryInbox) -> None:
        self._inbox = inbox
        self.locked = inbox.locked
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: ReddotError | None = None
        self.asked: list[tuple[list[str], list[str]]] = []

    async def warm(self, users: Collection[str], topics: Collection[str]) -> Warm:
        self.asked.append((list(users), list(topics)))
        found = await self._inbox.warm(users, topics)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return found


class Rig:
    """Boxes on a store, with a log that is handed on by `hand_on`."""

    def __init__(self, **limits: int) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(
            clock=self.clock, retention=lambda topic: Retention(1000, 10**9), epoch=1
        )
        inbox = self.store.inbox
        assert isinstance(inbox, MemoryInbox)
        self.held = Held(inbox)
        self.position = 0
        self.waiting: list[Publication] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.boxes = Boxes(
            inbox=self.held,  # type: ignore[arg-type] # Nothing else is asked.
            clock=self.clock,
            position=lambda: self.position,
            spawn=self._spawn,
            limits=BoxLimits(**limits),
        )
        self.boxes.settle = self._settle
        self._number = 0

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def append(self, topic: str, inbox: Note | Change) -> None:
        """Append, without handing on."""
        self._number += 1
        draft = Draft(
            topic=topic,
            id=f"n{self._number}",
            data=b"{}",
            time_ms=self.clock.wall_ms(),
            event="notification",
            inbox=inbox,
            expires_ms=self.clock.wall_ms() + 10_000 if topic == "users/ttl" else None,
        )
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.store.append((draft,), done.set_result)
        (appended,) = await done
        self.waiting += [appended.publication, *appended.others]

    async def notify(self, *topics: str) -> None:
        await self.append(topics[0], Note(topics=topics))

    async def change(self, change: Change) -> None:
        await self.append(INBOX_TOPIC, change)

    def hand_on(self, *, mute: bool = False) -> None:
        """Hand on what was appended; with `mute` as if it were read back from the log."""
        news, self.waiting = self.waiting, []
        if mute:
            news = [msgspec.structs.replace(one, inbox=None) for one in news]
        if news:
            self.position = news[-1].position
        self.boxes.observe(news)

    async def _settle(self) -> None:
        await self.change(Settle(rows_max=100))
        self.hand_on()

    async def unread(self, user: str) -> int:
        await self.boxes.prepare(user)
        return self.boxes.badge(user).unread
