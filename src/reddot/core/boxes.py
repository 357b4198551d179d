"""Inboxes in memory: what badges are derived from, of those who are here or have just asked.

Loaded from the store as it is at one position, and from then on moved by the log: every publication
that changes an inbox says what it has changed, and they come in the order of their positions. So
what is here is always the state at the hub's position. What cannot be followed is forgotten, and
loaded again when somebody asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any, Final

import msgspec

from reddot.core.badge import Mask, badge_counts, wake_ms
from reddot.core.muting import ends_ms
from reddot.errors import ReddotError
from reddot.inbox import (
    EVENT_NOTIFICATION,
    INBOX_TOPIC,
    NO_PREFERENCES,
    UNMARKED,
    Badge,
    Effect,
    Marks,
    Noted,
    Notes,
    Person,
    Preferences,
    Warm,
)
from reddot.model import EVERYONE, USERS_ROOT, Publication
from reddot.ports import Clock, Inbox

LOAD_PEOPLE: Final = 200
LOAD_TOPICS: Final = 1_000
PREPARE_TRIES: Final = 20
_NO_NOTES: Final = Notes(base=0, top=0, rev=0, live=0, categories={})
_NOBODY: Final = Person(0, {})


class BoxLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of memory; the defaults are those of the settings table."""

    inbox_people_cached_max: int = 20_000
    inbox_masks_bytes_max: int = 64 * 1024 * 1024


class _Box:
    """One user: marks on every topic of the inbox, and the badge as it was last asked for.

    Attributes:
        due_ms: when the first of their mutes ends; 0: none does.
        wake_ms: when the first of what is snoozed is due; 0: nothing is snoozed.
    """

    __slots__ = ("badge", "due_ms", "marks", "preferences", "rev", "since_ms", "wake_ms")

    def __init__(self, user: str, person: Person) -> None:
        own: dict[str, Marks] = {f"{USERS_ROOT}/{user}": UNMARKED, EVERYONE: UNMARKED}
        self.marks = own | person.marks
        self.prefer(person.preferences, person.rev)
        self.since_ms = person.since_ms
        self.wake_ms = wake_ms(self.marks.values())
        self.badge: Badge | None = None

    def prefer(self, preferences: Preferences, rev: int) -> None:
        self.preferences = preferences
        self.due_ms = ends_ms(preferences)
        self.rev = rev


class Boxes:
    """One per node.

    Args:
        position: the hub's, up to which `observe` has been called.
        settle: appends a `Settle` and returns when it has been observed.
        join: the same for a `Join` of a user and a time.
        wake: the same for a `Wake` of what is due of a user.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        clock: Clock,
        position: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        limits: BoxLimits,
    ) -> None:
        self.settle: Callable[[], Awaitable[None]]
        self.join: Callable[[str, int], Awaitable[None]]
        self.wake: Callable[[str], Awaitable[None]]
        self._inbox = inbox
        self._clock = clock
        self._position = position
        self._spawn = spawn
        self._limits = limits
        self._people: dict[str, _Box] = {}
        self._masks: dict[str, Mask] = {}
        self._masks_bytes = 0
        self._wanted: tuple[dict[str, None], dict[str, None]] = {}, {}
        self._loaded: asyncio.Future[None] | None = None
        self._loading = False
        self._deaf = False
        self._missed: list[Publication] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def __len__(self) -> int:
        return len(self._people)

    # ---- asking ----

    def is_ready(self, user: str, since_ms: int | None = None) -> bool:
        """Whether `badge` can answer at once: all is in memory, and nothing of it is due.

        Args:
            since_ms: when the user came to be one, if the credential says so.
        """
        box = self._people.get(user)
        if box is None:
            return False
        now_ms = self._clock.wall_ms()
        if 0 < box.wake_ms <= now_ms or 0 < box.due_ms <= now_ms:
            return False
        masks = self._masks
        for topic in box.marks:
            mask = masks.get(topic)
            if mask is None or 0 < mask.due_ms <= now_ms:
                return False
        # Who has no notification to everyone has none from before their time either.
        return since_ms is None or since_ms <= box.since_ms or not masks[EVERYONE].live

    def badge(self, user: str) -> Badge:
        """The user's badge at this moment; only when `is_ready`."""
        box = self._people[user]
        masks = self._masks
        rev = box.rev
        for topic in box.marks:
            rev = max(rev, masks[topic].rev)
        badge = box.badge
        if badge is None or badge.as_of != rev:
            badge = Badge(rev, *badge_counts(masks, box.marks, box.preferences, self._inbox.locked))
            box.badge = badge
        return badge

    def follows(self, user: str) -> list[str]:
        """The topics that a user in memory follows; none of somebody who is not."""
        box = self._people.get(user)
        return [t for t, marks in box.marks.items() if marks.followed] if box else []

    def preferences(self, user: str) -> Preferences:
        box = self._people.get(user)
        return box.preferences if box else NO_PREFERENCES

    async def prepare(self, user: str, since_ms: int | None = None) -> None:
        """Bring a user into memory, let die what is due, and bring back what was snoozed.

        What went to everyone before `since_ms` leaves their inbox.

        Raises:
            ReddotError: the store does not answer; `overloaded` if memory is too small for it.
        """
        for _ in range(PREPARE_TRIES):
            if self.is_ready(user, since_ms):
                return
            box = self._people.get(user)
            if box is None:
                await self._load([user], self._own_topics([user]))
                continue
            missing = [topic for topic in box.marks if topic not in self._masks]
            if missing:
                await self._load([], missing)
            elif since_ms is not None and self.is_ready(user):
                await self.join(user, since_ms)
            elif self._is_waking(box):
                await self.wake(user)
                # Due after waking is not what the store says: load it anew.
                if self._is_waking(self._people.get(user)):
                    del self._people[user]
            else:
                await self.settle()
                self._forget_due(user, box)
        raise ReddotError("overloaded", "the inbox does not stay in memory")

    def _is_waking(self, box: _Box | None) -> bool:
        return box is not None and 0 < box.wake_ms <= self._clock.wall_ms()

    async def prepare_all(self, users: Collection[str]) -> None:
        """Bring people into memory, with one question to the store where one will do.

        Raises:
            ReddotError: as `prepare`.
        """
        strange = [user for user in users if user not in self._people]
        if strange:
            await self._load(strange, self._own_topics(strange))
        await asyncio.gather(*(self.prepare(user) for user in users if not self.is_ready(user)))

    def _own_topics(self, users: Sequence[str]) -> list[str]:
        """What every inbox has: of these, what is not in memory."""
        topics = [f"{USERS_ROOT}/{user}" for user in users]
        return [topic for topic in (*topics, EVERYONE) if topic not in self._masks]

    def _forget_due(self, user: str, box: _Box) -> None:
        """What is due after settling is not what the store says: load it anew."""
        now_ms = self._clock.wall_ms()
        if 0 < box.due_ms <= now_ms:
            self._people.pop(user, None)
        for topic in box.marks:
            mask = self._masks.get(topic)
            if mask is not None and 0 < mask.due_ms <= now_ms:
                self._forget_mask(topic)

    async def reached(self, position: int) -> None:
        """Return when everything up to `position` has been observed."""
        if self._position() < position:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((position, waiter))
            await waiter

    # ---- loading ----

    async def _load(self, users: Sequence[str], topics: Sequence[str]) -> None:
        """Load with everybody who waits: one question to the store for all of them."""
        people, names = self._wanted
        people.update(dict.fromkeys(users))
        names.update(dict.fromkeys(topics))
        if self._loaded is None:
            self._loaded = asyncio.get_running_loop().create_future()
            # So that a loader that nobody waits for any more leaves no complaint.
            self._loaded.add_done_callback(lambda done: done.exception())
        if not self._loading:
            self._loading = True
            self._spawn(self._run())
        await asyncio.shield(self._loaded)

    async def _run(self) -> None:
        try:
            while self._loaded is not None:
                loaded, self._loaded = self._loaded, None
                (people, names), self._wanted = self._wanted, ({}, {})
                try:
                    await self._load_all(list(people), list(names))
                except ReddotError as error:
                    loaded.set_exception(error)
                else:
                    loaded.set_result(None)
        finally:
            self._loading = False

    async def _load_all(self, users: list[str], topics: list[str]) -> None:
        while users or topics:
            some, users = users[:LOAD_PEOPLE], users[LOAD_PEOPLE:]
            names, topics = topics[:LOAD_TOPICS], topics[LOAD_TOPICS:]
            self._missed.clear()
            warm = await self._inbox.warm(some, names)
            await self.reached(warm.position)
            self._install(some, names, warm)

    def _install(self, users: list[str], topics: list[str], warm: Warm) -> None:
        """Take what was loaded, and what has happened since."""
        missed = [one for one in self._missed if one.position > warm.position]
        self._missed.clear()
        deaf, self._deaf = self._deaf, False
        if deaf or any(one.inbox is None for one in missed):
            return  # It does not say what it has changed, so whoever waits asks again.
        people = {user: _Box(user, warm.people.get(user, _NOBODY)) for user in users}
        masks = {topic: Mask(warm.notes.get(topic, _NO_NOTES)) for topic in topics}
        for publication in missed:
            _apply(publication, people, masks)
        for topic in topics:
            self._forget_mask(topic)
        self._people.update(people)
        self._masks.update(masks)
        self._masks_bytes += sum(mask.bytes for mask in masks.values())
        self._shrink(keep_people=len(people), keep_masks=len(masks))

    def _shrink(self, *, keep_people: int, keep_masks: int) -> None:
        """Keep within the limits: the oldest go first, but never those that have just come."""
        excess = len(self._people) - max(self._limits.inbox_people_cached_max, keep_people)
        for user in list(self._people)[: max(excess, 0)]:
            del self._people[user]
        over = self._masks_bytes > self._limits.inbox_masks_bytes_max
        for topic in list(self._masks)[: len(self._masks) - keep_masks] if over else ():
            self._forget_mask(topic)
            if self._masks_bytes <= self._limits.inbox_masks_bytes_max // 8 * 7:
                break

    def _forget_mask(self, topic: str) -> None:
        mask = self._masks.pop(topic, None)
        if mask is not None:
            self._masks_bytes = max(0, self._masks_bytes - mask.bytes)

    # ---- following the log ----

    def lost(self) -> None:
        """Something was in the log that nobody here has heard of: forget everything."""
        self._people.clear()
        self._masks.clear()
        self._masks_bytes = 0
        self._deaf = self._loading
        if self._waiters:
            self._wake()

    def observe(self, publications: Sequence[Publication]) -> None:
        """Take what the hub is about to write; `position` is that of the last of them."""
        for publication in publications:
            if publication.inbox is not None:
                _apply(publication, self._people, self._masks)
            elif publication.topic == INBOX_TOPIC:
                self.lost()
            elif publication.event == EVENT_NOTIFICATION and publication.position:
                self._forget_mask(publication.topic)
            else:
                continue
            if self._loading:
                self._missed.append(publication)
        if self._waiters:
            self._wake()

    def _wake(self) -> None:
        position = self._position()
        waiting, self._waiters = self._waiters, []
        for upto, waiter in waiting:
            if upto > position:
                self._waiters.append((upto, waiter))
            elif not waiter.done():
                waiter.set_result(None)


def _apply(publication: Publication, people: dict[str, _Box], masks: dict[str, Mask]) -> None:
    """Move what is in memory by one publication."""
    change = publication.inbox
    if isinstance(change, Noted):
        mask = masks.get(publication.topic)
        if mask is not None:
            if change.replaced:
                mask.kill([change.replaced], publication.position)
            mask.add(change.seq, change.category, change.expires_ms, publication.position)
    elif isinstance(change, Effect):
        for topic, seqs in change.died.items():
            if topic in masks:
                masks[topic].kill(seqs, publication.position)
        for user, preferences in change.unmuted.items():
            if user in people:
                people[user].prefer(preferences, publication.position)
        if change.user in people:
            _alter(people, change.user, change, publication.position)


def _alter(people: dict[str, _Box], user: str, effect: Effect, position: int) -> None:
    if effect.erased:
        people[user] = _Box(user, Person(position, {}))
        return
    box = people[user]
    for topic, marks in effect.marks.items():
        if marks is not None:
            box.marks[topic] = marks
        else:
            box.marks.pop(topic, None)
    if effect.marks:
        box.wake_ms = wake_ms(box.marks.values())
    if effect.preferences is not None:
        box.prefer(effect.preferences, position)
    if effect.since_ms is not None:
        box.since_ms = effect.since_ms
    if effect.marks:
        box.rev = position
