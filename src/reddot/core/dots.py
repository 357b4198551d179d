"""The red dots of those who are connected: who has to hear of a change, and when.

A change says which topics or which user it touches. Those users are noted, and their badges are
derived and pushed a little later: for one user at most once per interval, always the last state,
zero included, encoded once per wire format. So a broadcast costs nothing per follower that is not
here, and a burst costs one frame.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, Final

from reddot.core.access import Policy, inbox_filters
from reddot.core.boxes import Boxes
from reddot.core.hub import Encoder
from reddot.core.reached import Reached
from reddot.core.session import Session, State
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import Badge, Effect, Noted
from reddot.model import EVERYONE, USERS_ROOT, Actor, Cursor, Publication
from reddot.ports import Clock

BATCH_USERS: Final = 100
BATCH_S: Final = 0.002

_PERSONAL: Final = USERS_ROOT + "/"


class _Here:
    """One connected user: the sessions that want badges, and what was pushed last."""

    __slots__ = ("as_of", "follows", "marked", "owed", "sent_at", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[Session, None] = {}
        self.follows: tuple[str, ...] = ()
        self.owed: set[Session] = set()
        self.as_of = -1
        self.sent_at = float("-inf")
        self.marked = False


class Dots:
    """One per node.

    Args:
        later: runs a function after so many seconds; 0: in one of the next loop turns.
        changed: called when a user who is here follows or unfollows: sessions, position of the
            change, topics that are added and dropped.
        reached: is told how many were here when a notification went live.
        policy: decides which followed topics a session may hear.
        interval_s: least time between two badges to one user.
    """

    def __init__(
        self,
        *,
        boxes: Boxes,
        policy: Policy,
        reached: Reached,
        clock: Clock,
        counters: Counters,
        cursor: Callable[[], Cursor],
        later: Callable[[float, Callable[[], None]], object],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        interval_s: float,
    ) -> None:
        self.boxes = boxes
        self.changed: Callable[[Iterable[Session], int, tuple[str, ...], tuple[str, ...]], None]
        self._policy = policy
        self._reached = reached
        self._clock = clock
        self._counters = counters
        self._cursor = cursor
        self._later = later
        self._spawn = spawn
        self._interval_s = interval_s
        self._here: dict[str, _Here] = {}
        self._followers: dict[str, dict[str, None]] = {}
        self._due: list[tuple[float, str]] = []
        self._timer_at = float("inf")

    # ---- what a session has of an inbox ----

    def filters(self, actor: Actor) -> tuple[str, ...]:
        """The topics of a user's inbox; followed ones if they are in memory and still allowed."""
        own = inbox_filters(actor)
        if actor.user is None:
            return own
        follows = self.boxes.follows(actor.user)
        return (*own, *(text for text in follows if self._policy.may_subscribe(actor, text)))

    def badge_of(self, session: Session) -> Badge | None:
        """The badge of a session's user, if it wants one and it is known at once."""
        return self.badge_for(session.actor, inbox=session.inbox)

    def badge_for(self, actor: Actor, *, inbox: bool) -> Badge | None:
        """The same for one who polls."""
        user = actor.user
        if not inbox or user is None or not self.boxes.is_ready(user):
            return None
        return self.boxes.badge(user)

    # ---- who is here ----

    def attach(self, session: Session) -> None:
        """Push badges to a session from now on, if it has an inbox."""
        if session.inbox and session.actor.user is not None:
            self._attach(session.actor.user, session)

    def show(self, session: Session) -> None:
        """Push badges to a session that asks for them later than when it began, and one now."""
        user = session.actor.user
        if user is not None:
            self._attach(user, session)
            self._here[user].owed.add(session)
            if session.state is State.LIVE:
                self.live(session)

    def _attach(self, user: str, session: Session) -> None:
        here = self._here.get(user)
        if here is None:
            here = self._here[user] = _Here()
            self._follow(user, here)
        here.sessions[session] = None

    def detach(self, session: Session) -> None:
        """The session has ended, or is another user's."""
        user = session.actor.user
        here = self._here.get(user) if user is not None else None
        if user is None or here is None:
            return
        here.sessions.pop(session, None)
        here.owed.discard(session)
        if not here.sessions:
            del self._here[user]
            self._unfollow(user, here.follows)

    def connected(self, topic: str) -> int:
        """How many of those who are here a notification on the topic is for."""
        if topic == EVERYONE:
            return len(self._here)
        if topic.startswith(_PERSONAL):
            return int(topic.removeprefix(_PERSONAL) in self._here)
        return len(self._followers.get(topic, ()))

    def _follow(self, user: str, here: _Here) -> None:
        here.follows = tuple(self.boxes.follows(user))
        for topic in here.follows:
            self._followers.setdefault(topic, {})[user] = None

    def _unfollow(self, user: str, topics: Iterable[str]) -> None:
        for topic in topics:
            followers = self._followers.get(topic)
            if followers is not None:
                followers.pop(user, None)
                if not followers:
                    del self._followers[topic]

    # ---- what has happened ----

    def observe(self, publications: Sequence[Publication]) -> None:
        """Take what the hub is about to write, before it does."""
        self.boxes.observe(publications)
        for publication in publications:
            change = publication.inbox
            if isinstance(change, Noted):
                if self._here and not change.again:
                    self._reach(publication)
                self._mark_topic(publication.topic)
            elif isinstance(change, Effect):
                self._take(change, publication.position)

    def lost(self) -> None:
        """Something was in the log that nobody here has heard of: all badges may have changed."""
        self.boxes.lost()
        for user, here in self._here.items():
            self._mark(user, here)

    def _take(self, effect: Effect, position: int) -> None:
        for topic in effect.died:
            self._mark_topic(topic)
        for unmuted in effect.unmuted:
            if (found := self._here.get(unmuted)) is not None:
                self._mark(unmuted, found)
        user = effect.user
        here = self._here.get(user) if user is not None else None
        if user is None or here is None:
            return
        before = set(here.follows)
        dropped = tuple(t for t, m in effect.marks.items() if m is None and t in before)
        if effect.erased:
            dropped = here.follows
        added = tuple(
            t for t, m in effect.marks.items() if m is not None and m.followed and t not in before
        )
        if added or dropped:
            self._unfollow(user, here.follows)
            here.follows = tuple((before - set(dropped)) | set(added))
            for topic in here.follows:
                self._followers.setdefault(topic, {})[user] = None
            # Not from inside the hub's loop: groups change.
            self._later(0, lambda: self.changed(list(here.sessions), position, added, dropped))
        self._mark(user, here)

    def _reach(self, publication: Publication) -> None:
        if people := self.connected(publication.topic):
            self._reached.add(publication.id, people)

    def _mark_topic(self, topic: str) -> None:
        if topic == EVERYONE:
            for user, here in self._here.items():
                self._mark(user, here)
        elif topic.startswith(_PERSONAL):
            user = topic.removeprefix(_PERSONAL)
            if (found := self._here.get(user)) is not None:
                self._mark(user, found)
        else:
            for user in self._followers.get(topic, ()):
                self._mark(user, self._here[user])

    def _mark(self, user: str, here: _Here) -> None:
        """Push this user's badge, at once or when the interval is over."""
        if not here.marked:
            here.marked = True
            self._push_at(user, here.sent_at + self._interval_s)

    def _push_at(self, user: str, at: float) -> None:
        heappush(self._due, (at, user))
        if at < self._timer_at:
            self._timer_at = at
            self._later(max(0.0, at - self._clock.monotonic()), self._flush)

    # ---- pushing ----

    def _flush(self) -> None:
        """Push what is due: so much that the loop is not held for long, the rest next turn."""
        now = self._clock.monotonic()
        until = now + BATCH_S
        count = 0
        # A timer may come a hair early; what is due within a millisecond is due.
        while self._due and self._due[0][0] <= now + 0.001 and count < BATCH_USERS:
            _, user = heappop(self._due)
            here = self._here.get(user)
            if here is not None and here.marked:
                self._push(user, here, now)
            count += 1
            if self._clock.monotonic() > until:
                break
        self._timer_at = float("inf")
        if self._due:
            self._timer_at = at = self._due[0][0]
            self._later(max(0.0, at - self._clock.monotonic()), self._flush)

    def _push(self, user: str, here: _Here, now: float) -> None:
        if not self.boxes.is_ready(user):
            self._spawn(self._prepare(user, here))
            return
        here.marked = False
        badge = self.boxes.badge(user)
        if badge.as_of == here.as_of:
            return
        here.as_of = badge.as_of
        here.sent_at = now
        cursor = self._cursor()
        frames: dict[Encoder, bytes] = {}
        for session in list(here.sessions):
            if session.state is State.LIVE:
                self._write(session, badge, cursor, frames)
            else:
                here.owed.add(session)

    async def _prepare(self, user: str, here: _Here) -> None:
        try:
            await self.boxes.prepare(user)
        except ReddotError:  # The store does not answer: try again after a while.
            self._push_at(user, self._clock.monotonic() + max(1.0, self._interval_s))
            return
        self._push_at(user, self._clock.monotonic())

    def live(self, session: Session) -> None:
        """A session has become live: give it the badge that it could not take before."""
        user = session.actor.user
        here = self._here.get(user) if user is not None else None
        if user is not None and here is not None and session in here.owed:
            here.owed.discard(session)
            if self.boxes.is_ready(user):
                self._write(session, self.boxes.badge(user), self._cursor(), {})
            else:
                here.as_of = -1
                self._mark(user, here)

    def _write(
        self, session: Session, badge: Badge, cursor: Cursor, frames: dict[Encoder, bytes]
    ) -> None:
        encoder = session.encoder
        data = frames.get(encoder)
        if data is None:
            data = frames[encoder] = encoder.encode_badge(badge, cursor)
        self._counters.badges_pushed += 1
        self._counters.transports[encoder.transport].bytes_out += len(data)
        session.bytes_own += len(data)
        session.write(data)
