"""The use case of subscribing: register, catch up from the log, go live; pause, resume, close.

The step from history to live is one loop turn without an await (`_advance`): what is in memory is
written, the hub's position is taken, the session joins. What the store has to be asked for is read
in pages first (`_read`), until memory reaches back far enough. Nothing is held per session.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Final

from reddot.core.access import Policy, inbox_filters
from reddot.core.attached import Attached
from reddot.core.dots import Dots
from reddot.core.hub import Encoder, Hub
from reddot.core.paying import Payer, chunks
from reddot.core.recent import Recent
from reddot.core.session import Backfill, ReconnectReason, Session, SessionLimits, State
from reddot.core.topics import check_filter, matches
from reddot.core.upkeep import Upkeep
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Actor, Cursor, Gap, Page
from reddot.ports import Clock, Entropy, Store

READ_PAGE: Final = 500
READ_PAGE_FIRST: Final = 50
"""Pages grow up to `READ_PAGE` as long as the client takes them. One that reads slowly comes back
for a socket's buffer at a time, and must not cost a big page each time."""


class Subscribing:
    """One per node; owns all open sessions.

    Args:
        spawn: runs a coroutine in the background and keeps it until it ends.
        dots: who is told of badges, and which topics an inbox brings to a session.
    """

    def __init__(
        self,
        *,
        hub: Hub,
        recent: Recent,
        store: Store,
        policy: Policy,
        clock: Clock,
        entropy: Entropy,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        limits: SessionLimits,
        dots: Dots,
    ) -> None:
        self.dots = dots
        dots.changed = self.follow_others
        self.hub = hub
        self.limits = limits
        self._attached = Attached(limits=limits, counters=counters)
        self.sessions = self._attached.sessions
        self.check_room = self._attached.check_room
        self._recent = recent
        self._store = store
        self._policy = policy
        self._clock = clock
        self._entropy = entropy
        self._counters = counters
        self._spawn = spawn
        self._payer = Payer(hub=hub, clock=clock, counters=counters)
        self._upkeep = Upkeep(clock=clock, due=self._due)
        self.tick = self._upkeep.tick

    # Opening

    def authorize(
        self, actor: Actor, filters: Sequence[str], *, inbox: bool, may_be_empty: bool = False
    ) -> tuple[str, ...]:
        """The filters in canonical order, checked, with the user's inbox if wanted.

        Raises:
            ReddotError: `topic_missing`, `filter_invalid`, `too_many_filters`, `unauthorized`,
                `forbidden`.
        """
        limits = self.limits
        if len(filters) > limits.filters_max:
            raise ReddotError("too_many_filters", f"{limits.filters_max} filters are allowed")
        for text in filters:
            check_filter(text, bytes_max=limits.topic_bytes_max, levels_max=limits.topic_levels_max)
            self._policy.check_subscribe(actor, text)
        own = self.dots.filters(actor) if inbox else ()
        if not (filters or own or may_be_empty):
            raise ReddotError("topic_missing", "give at least one 'topic'")
        return tuple(sorted({*filters, *own}))

    def create(
        self,
        *,
        actor: Actor,
        filters: tuple[str, ...],
        encoder: Encoder,
        heartbeat_s: float,
        inbox: bool = False,
        asked: tuple[str, ...] = (),
    ) -> Session:
        """A session that is not attached yet. Raises as `check_room`.

        Args:
            asked: those of `filters` that the client has named.
        """
        self.check_room(actor)
        now = self._clock.monotonic()
        age_s = self.limits.session_age_s * (0.8 + 0.4 * self._entropy.fraction())
        return Session(
            owner=self,
            id=self._entropy.secret(),
            actor=actor,
            filters=filters,
            encoder=encoder,
            position=self.hub.position,
            opened_at=now,
            age_at=now + age_s,
            heartbeat_s=heartbeat_s,
            inbox=inbox,
            asked=asked,
        )

    def start(self, session: Session, cursor: Cursor | None) -> None:
        """Begin: the first frame, then what was missed after `cursor`, then live.

        Call after `session.attach`, and after `session.owe` for what is to come before all that.
        Most sessions are live when this returns.
        """
        self._register(session)
        if cursor is None:
            self._sync(session, ())
            if self._store.retained_count and session.filters:
                session.owe(session.filters, retained=True, position=0)
        elif self._foreign(cursor):
            self._sync(session, [Gap(text, "epoch") for text in session.filters])
        else:
            session.position = min(cursor.position, self.hub.position)
            self._counters.transports[session.transport].resumed += bool(session.filters)
            at_once = session.position >= self._recent.floor or not session.filters
            if at_once or session.backfills:
                self._sync(session, ())
        self._advance(session)

    def wait(self, session: Session) -> None:
        """Make a long poll live at once; the caller has just found nothing to answer."""
        self._register(session)
        session.synced = True
        self._go_live(session)

    def _register(self, session: Session) -> None:
        self._attached.add(session)
        self.dots.attach(session)
        self._reschedule(session, self._clock.monotonic())

    def listening(self, topic: str) -> Iterator[Session]:
        """The sessions that get what is published on a topic, now or when they have caught up."""
        groups = self.hub.groups(topic)
        for session in self.sessions.values():
            if session.group is None:
                if any(matches(text, topic) for text in session.filters):
                    yield session
            elif session.group in groups:
                yield session

    def _foreign(self, cursor: Cursor) -> bool:
        """Whether the cursor is of another log, or of a future that this log never had."""
        return cursor.epoch != self.hub.epoch or cursor.position > self._store.head

    def _sync(self, session: Session, gaps: Sequence[Gap]) -> None:
        session.synced = True
        self._counters.gaps += len(gaps)
        cursor = Cursor(self.hub.epoch, session.position)
        spread_ms = self.limits.spread_ms(len(self.sessions))
        session.sink.sync(cursor, gaps, session.id, spread_ms, self.dots.badge_of(session))

    def follow_others(
        self,
        sessions: Iterable[Session],
        position: int,
        added: tuple[str, ...],
        dropped: tuple[str, ...],
    ) -> None:
        """A user follows other topics since `position`: so do the sessions with the inbox."""
        since = Cursor(self.hub.epoch, position)
        for session in sessions:
            if session.state is State.CLOSED or not session.inbox:
                continue
            if session.encoder.once:
                # It is answered, and asks again with the other filters.
                self._unjoin(session)
                session.position = min(session.position, position)
                session.write(b"")
                continue
            if left := set(dropped).difference(session.asked):
                self._drop(session, left)
            allowed = tuple(t for t in added if self._policy.may_subscribe(session.actor, t))
            if allowed and not session.is_closed():
                self.add_filters(session, allowed, since)

    # Changing what a live session listens to (WebSocket, MQTT)

    def add_filters(
        self,
        session: Session,
        filters: tuple[str, ...],
        cursor: Cursor | None,
        done: Callable[[], None] | None = None,
        *,
        retained: bool = True,
        asked: tuple[str, ...] = (),
    ) -> None:
        """Listen to more. `done` is called when what was missed on the new filters is written.

        Until then the client must not count the new filters as covered by a cursor.

        Args:
            retained: whether the new ones are owed their retained publications.
            asked: those of `filters` that the client has named.
        """
        self._unjoin(session)
        if asked:
            session.asked = tuple({*session.asked, *asked})
        new = tuple(sorted(set(filters) - set(session.filters)))
        if cursor is not None and self._foreign(cursor):

            def tell() -> None:
                self._counters.gaps += len(filters)
                for text in filters:
                    session.sink.gap(Gap(text, "epoch"))
                if done is not None:
                    done()

            session.owe((), retained=True, position=0, done=tell)
        elif cursor is not None:
            session.owe(filters, retained=False, position=cursor.position, done=done)
        else:
            owed = new if retained and self._store.retained_count else ()
            session.owe(owed, retained=True, position=0, done=done)
        self._set_filters(session, tuple(sorted({*session.filters, *filters})))

    def owe_retained(self, session: Session, filters: tuple[str, ...], upto: int) -> None:
        """Hand out what is retained on filters of the session.

        Args:
            upto: where the session was when they were asked for; what is later comes by the log.
        """
        self._unjoin(session)
        session.owe(filters, retained=True, position=0, upto=upto)
        self._advance(session)

    def drop_filters(self, session: Session, filters: tuple[str, ...]) -> None:
        """Listen to less, at once, as the client says; what is of its user's inbox stays.

        Filters that were not there are ignored.
        """
        dropped = frozenset(filters)  # A client may name as many as its message holds.
        session.asked = tuple(t for t in session.asked if t not in dropped)
        self._drop(
            session,
            dropped.difference(self.dots.filters(session.actor)) if session.inbox else dropped,
        )

    def _drop(self, session: Session, dropped: Collection[str]) -> None:
        self._unjoin(session)
        for backfill in session.backfills or ():
            backfill.forgo(dropped)
        self._set_filters(session, tuple(t for t in session.filters if t not in dropped))

    def _set_filters(self, session: Session, filters: tuple[str, ...]) -> None:
        if session.state is State.PAUSED:
            self.hub.unpark(session.filters, session)
            self.hub.park(filters, session)
        session.filters = filters
        if session.aside is not None:
            self._end_aside(session)
            self._read_aside(session)
        self._advance(session)

    def reauthorize(self, session: Session, actor: Actor) -> None:
        """Go on under another credential.

        Raises:
            ReddotError: `forbidden` if it does not cover the filters; `rate_limited` if it is of
                another user, who has too many sessions already.
        """
        changed = actor.user != session.actor.user
        if changed:
            self._attached.check_user(actor)
        for text in session.filters:
            if text not in inbox_filters(actor):
                self._policy.check_subscribe(actor, text)
        if changed:
            self.dots.detach(session)
        self._attached.change_actor(session, actor)
        if changed:
            self.dots.attach(session)
        self._reschedule(session, self._clock.monotonic())

    def _unjoin(self, session: Session) -> None:
        if session.state is State.LIVE or session.state is State.HELD:
            self._leave(session)
            session.to(State.CATCHING_UP)

    # Catching up

    def _advance(self, session: Session) -> None:
        """Write what memory has and go live, in this loop turn; else start reading the store."""
        if session.reading or not session.is_catching_up():
            return
        while session.synced and session.backfills:
            if not self._advance_backfill(session, session.backfills[0]):
                return
        run = self._recent.since(session.filters, session.position) if session.filters else []
        if run is None or not session.synced:
            self._start_reading(session)
            return
        if run:
            self._counters.catchup_memory += 1
        for chunk in chunks(run):
            if not self._payer.pay(session, session, chunk):
                return
        self._go_live(session)

    def _advance_backfill(self, session: Session, backfill: Backfill) -> bool:
        """Whether the backfill is done and the session may go on."""
        if backfill.filters and backfill.position < backfill.upto:
            found = (
                None
                if backfill.retained
                else self._recent.since(backfill.filters, backfill.position)
            )
            if found is None:
                self._start_reading(session)
                return False
            for chunk in chunks([p for p in found if p.position <= backfill.upto]):
                if not self._payer.pay(session, backfill, chunk):
                    return False
        assert session.backfills
        session.backfills.pop(0)
        if backfill.done is not None:
            backfill.done()
        return session.is_catching_up()

    def catch_up(self, session: Session) -> None:
        """Write what memory has, while what is retained is read: something ephemeral comes next,
        and must not overtake it. What history is owed comes before all that, and is overtaken."""
        if all(backfill.retained for backfill in session.backfills or ()):
            for chunk in chunks(self._recent.since(session.filters, session.position) or ()):
                if not self._payer.pay(session, session, chunk):
                    return

    def _go_live(self, session: Session) -> None:
        session.position = self.hub.position
        session.backfills = None
        session.to(State.LIVE)
        self._join(session)

    def _join(self, session: Session) -> None:
        group = self.hub.join(session.filters, session.encoder, session)
        session.group = group
        session.group_bytes = group.bytes_out
        session.group_delivered = group.delivered
        self.dots.live(session)

    def _start_reading(self, session: Session) -> None:
        session.reading = True
        self._read_aside(session)
        self._counters.catchup_store += 1
        self._spawn(self._read(session))

    async def _read(self, session: Session) -> None:
        """Read pages until memory can serve the rest. One of these per session at most."""
        told: dict[str, int] = {}
        try:
            limit = min(READ_PAGE_FIRST, READ_PAGE)
            while session.is_catching_up() and await self._read_page(session, told, limit):
                limit = min(2 * limit, READ_PAGE)
        except ReddotError as error:
            self.close(session, error)
        except BaseException:
            self.close(session, ReddotError("internal"))
            raise
        finally:
            session.reading = False
            self._end_aside(session)
        self._advance(session)

    def _read_aside(self, session: Session) -> None:
        session.aside = session.filters
        self.hub.read_aside(session.filters, session)

    def _end_aside(self, session: Session) -> None:
        if session.aside is not None:
            self.hub.end_aside(session.aside, session)
            session.aside = None

    async def _read_page(self, session: Session, told: dict[str, int], limit: int) -> bool:
        """Read and write one page; whether there is more to read."""
        backfill = session.backfills[0] if session.synced and session.backfills else None
        if backfill is not None and backfill.retained:
            return await self._read_retained(session, backfill, limit)
        place = backfill or session
        filters, after = place.filters, place.position
        upto = backfill.upto if backfill else self.hub.position
        page = await self._store.read(filters, after=after, upto=upto, limit=limit)
        if not session.is_catching_up() or place.filters is not filters:
            return False  # Other filters were set meanwhile: the page has too much or too little.
        self._tell_gaps(session, page, told)
        if session.state is State.CLOSED:
            return False
        for chunk in chunks(page.publications):
            if not self._payer.pay(session, place, chunk):
                return False
        place.position = page.upto
        return page.upto < upto and page.upto < self._recent.floor

    def _tell_gaps(self, session: Session, page: Page, told: dict[str, int]) -> None:
        """Once per filter, unless the page goes on behind what was in the log at that time: a
        client that is told reloads, and so has all of that."""
        gaps = [gap for gap in page.gaps if told.get(gap.topic, -1) < page.upto]
        told.update((gap.topic, self._store.head) for gap in gaps)
        if not session.synced:
            self._sync(session, gaps)
            return
        self._counters.gaps += len(gaps)
        for gap in gaps:
            session.sink.gap(gap)

    async def _read_retained(self, session: Session, backfill: Backfill, limit: int) -> bool:
        """Write a page of retained publications; later ones come by the log."""
        filters = backfill.filters
        found = await self._store.retained(
            filters, after=backfill.position, upto=backfill.upto, limit=limit
        )
        if not session.is_catching_up() or backfill.filters is not filters:
            return False
        if not found:
            backfill.position = backfill.upto
            return False
        # What came meanwhile may have been written already, before something ephemeral.
        cursor = Cursor(self.hub.epoch, max(backfill.upto, session.position))
        return all(self._payer.pay(session, backfill, chunk, cursor) for chunk in chunks(found))

    def lost(self, upto: int) -> None:
        """Retention has taken something up to a position before this node has heard of it.

        Everybody reads the log from where they are, and so is told the gaps of their own filters.
        """
        self.hub.flush()
        live = [s for s in self.sessions.values() if s.group is not None]
        for session in live:
            self._unjoin(session)
        self.hub.skip(upto)
        self.dots.lost()
        for session in live:
            self._advance(session)

    # What the connection says

    def pause(self, session: Session) -> None:
        """Its buffer is full: leave the live set with the place in the log."""
        if session.group is not None:
            self._leave(session)
        elif not session.is_catching_up():
            return
        session.to(State.PAUSED)
        now = session.paused_at = self._clock.monotonic()
        self._counters.transports[session.transport].paused += 1
        self.hub.park(session.filters, session)
        if session.due_second > now + self.limits.stall_timeout_s + 1:
            self._reschedule(session, now)

    def resume(self, session: Session) -> None:
        """Its buffer has drained: catch up from the log."""
        if session.state is State.PAUSED:
            self.hub.unpark(session.filters, session)
            session.to(State.CATCHING_UP)
            self._advance(session)

    def hold(self, session: Session, position: int) -> None:
        """Its client acknowledges too slowly: go no further than `position` until `release`.

        For encoders that belong to one session, inside `encode`. From then on they refuse what is
        durable; the session stays in the hub for what is ephemeral.
        """
        live = session.state is State.LIVE
        place = session.backfills[0] if not live and session.backfills else session
        place.position = position
        session.to(State.HELD)
        if not live:
            self._join(session)

    def release(self, session: Session) -> None:
        """The client has acknowledged: catch up from the log."""
        if session.state is State.HELD:
            self._unjoin(session)
            self._advance(session)

    def _leave(self, session: Session) -> None:
        group = session.group
        assert group is not None
        session.bytes_own = session.bytes_out
        session.group = None
        if session.state is State.LIVE:
            session.position = self.hub.position
        self.hub.leave(group, session)

    # Ending

    def forget(self, session: Session, reason: str = "client") -> None:
        """The connection is gone, or is about to be closed by `close`."""
        if session.state is State.CLOSED:
            return
        if session.group is not None:
            self._leave(session)
        elif session.state is State.PAUSED:
            self.hub.unpark(session.filters, session)
        session.to(State.CLOSED)
        if self._attached.remove(session, reason):
            self.dots.detach(session)

    def close(
        self, session: Session, error: ReddotError | None = None, *, abort: bool = False
    ) -> None:
        """End it from our side; with an error the wire says why."""
        if session.state is not State.CLOSED:
            self.forget(session, "ended" if error is None else error.code)
            session.sink.close(error, abort=abort)

    def move(self, session: Session, reason: ReconnectReason, retry_ms: int | None = None) -> None:
        """Ask the client to come back with its cursor, and end."""
        if session.state is State.CLOSED:
            return
        if retry_ms is None:
            retry_ms = int(self.limits.spread_ms(1) * self._entropy.fraction())
        self.forget(session, reason)
        session.sink.reconnect(retry_ms, reason)
        expired = ReddotError("token_expired") if reason == "reauth" else None
        session.sink.close(expired)

    def drain(self) -> None:
        """Ask everybody to come back, each at a moment of its own."""
        spread_ms = self.limits.spread_ms(len(self.sessions))
        for session in list(self.sessions.values()):
            self.move(session, "drain", int(spread_ms * self._entropy.fraction()))

    # The timer

    def _due(self, session: Session, now: float) -> None:
        expires_ms = session.actor.expires_ms
        if expires_ms is not None and expires_ms <= self._clock.wall_ms():
            self.move(session, "reauth")
        elif session.age_at <= now:
            self.move(session, "age")
        elif (
            session.state is State.PAUSED and now - session.paused_at >= self.limits.stall_timeout_s
        ):
            self._counters.transports[session.transport].stalled += 1
            self.close(session, ReddotError("slow_consumer"), abort=True)
        else:
            self._counters.transports[session.transport].proven += session.prove()
            if session.group is not None:
                session.sink.heartbeat(self.hub.cursor)
            if session.state is not State.CLOSED:
                self._reschedule(session, now)

    def _reschedule(self, session: Session, now: float) -> None:
        at = min(now + session.heartbeat_s, session.age_at)
        if session.actor.expires_ms is not None:
            at = min(at, now + (session.actor.expires_ms - self._clock.wall_ms()) / 1000)
        if session.state is State.PAUSED:
            at = min(at, session.paused_at + self.limits.stall_timeout_s)
        self._upkeep.schedule(session, at)
