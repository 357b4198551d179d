"""One attached client on one transport: its state, its place in the log, its sink.

A session has no queue. When its transport's buffer is full it leaves the hub with its position
and comes back by reading the log, like any resume. What moves it is `core/subscribing.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Final, Literal, Protocol

import msgspec

from reddot.core.hub import Encoder, Group
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Actor, Cursor, Gap

ReconnectReason = Literal["drain", "age", "reauth"]

SPREAD_MS_MIN: Final = 500
SPREAD_MS_MAX: Final = 30_000


class SessionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of sessions; the defaults are those of the settings table."""

    sessions_max: int = 20_000
    sessions_per_user_max: int = 100
    filters_max: int = 100
    topic_bytes_max: int = 1024
    topic_levels_max: int = 32
    stall_timeout_s: float = 30.0
    session_age_s: float = 1800.0
    reconnects_per_s: int = 2000

    def spread_ms(self, sessions: int) -> int:
        """Within how long so many clients come back, each at a random moment of its own: a few at
        once, a crowd no faster than it can be welcomed."""
        return min(max(SPREAD_MS_MIN, sessions * 1000 // self.reconnects_per_s), SPREAD_MS_MAX)


class State(Enum):
    """CATCHING_UP reads the log, LIVE is in the hub, PAUSED waits for its buffer to drain, HELD
    waits for its client's acknowledgements and is in the hub for what is ephemeral only."""

    CATCHING_UP = "catching_up"
    LIVE = "live"
    PAUSED = "paused"
    HELD = "held"
    CLOSED = "closed"


HELD: Final = State.HELD
"""By its own name, for what is asked per delivery: Python 3.11 takes longer for a member."""


TRANSITIONS: Final = frozenset(
    {
        (State.CATCHING_UP, State.LIVE),
        (State.CATCHING_UP, State.PAUSED),
        (State.LIVE, State.PAUSED),
        (State.LIVE, State.CATCHING_UP),
        (State.PAUSED, State.CATCHING_UP),
        (State.CATCHING_UP, State.HELD),
        (State.LIVE, State.HELD),
        (State.HELD, State.CATCHING_UP),
        (State.HELD, State.PAUSED),
        (State.HELD, State.CLOSED),
        (State.CATCHING_UP, State.CLOSED),
        (State.LIVE, State.CLOSED),
        (State.PAUSED, State.CLOSED),
    }
)


class Sink(Protocol):
    """The transport's end of a session. Nothing here blocks or raises.

    `write` takes what the session's encoder made. `close` with an error says it on the wire if
    the wire can; `abort` means that nobody reads any more. `spread_ms` is for clients whose
    connection breaks without a word: they come back at a random moment within it.
    """

    @property
    def write(self) -> Callable[[bytes], object]: ...

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None: ...

    def gap(self, gap: Gap) -> None: ...

    def heartbeat(self, cursor: Cursor) -> None: ...

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None: ...

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None: ...


class Backfill:
    """What is owed to filters before the session goes on: history, or the retained publications.

    `filters` from `position` up to `upto`, then `done`. While it runs the whole session is out of
    the hub, so that every cursor on the wire stays true.
    """

    __slots__ = ("done", "filters", "position", "retained", "upto")

    def __init__(
        self,
        filters: tuple[str, ...],
        *,
        position: int,
        upto: int,
        retained: bool,
        done: Callable[[], None] | None = None,
    ) -> None:
        self.filters = filters
        self.position = position
        self.upto = upto
        self.retained = retained
        self.done = done

    def covers(self, other: Backfill) -> bool:
        """Whether it brings all that another one brings to the same filters."""
        same = self.retained is other.retained and self.done is None and other.done is None
        return same and self.position <= other.position and self.upto >= other.upto

    def forgo(self, filters: Collection[str]) -> None:
        """Some filters are owed nothing any more. A page that is being read is of other filters
        then, and is read again."""
        if not set(self.filters).isdisjoint(filters):
            self.filters = tuple(t for t in self.filters if t not in filters)


class Owner(Protocol):
    """Who moves sessions through their states: `core.subscribing.Subscribing`."""

    def pause(self, session: Session) -> None: ...

    def resume(self, session: Session) -> None: ...

    def forget(self, session: Session) -> None: ...

    def catch_up(self, session: Session) -> None: ...


class Session:
    """See the module. Small on purpose: one of these per connected client.

    Attributes:
        asked: those of `filters` that the client has named; the others are its user's inbox.
        position: everything on `filters` up to here was written, unless LIVE, when the hub's
            position says it.
        due_second: monotonic second at which the timer looks at it next.
        synced: whether its first frame has been written.
        aside: its filters as the hub knows them while it reads the log; None: the hub does not.
        proven: whether it has lasted until its first heartbeat.
        reading: whether a coroutine is reading the store for it; there is never a second one.
        age_at: monotonic second at which it is asked to reconnect.
        inbox: whether it gets its user's inbox and badge.
    """

    __slots__ = (
        "actor",
        "age_at",
        "aside",
        "asked",
        "backfills",
        "bytes_own",
        "due_second",
        "encoder",
        "filters",
        "group",
        "group_bytes",
        "group_delivered",
        "heartbeat_s",
        "id",
        "inbox",
        "opened_at",
        "owner",
        "paused_at",
        "position",
        "proven",
        "reading",
        "sink",
        "state",
        "synced",
        "write",
    )

    sink: Sink
    write: Callable[[bytes], object]

    def __init__(
        self,
        *,
        owner: Owner,
        id: str,
        actor: Actor,
        filters: tuple[str, ...],
        encoder: Encoder,
        position: int,
        opened_at: float,
        age_at: float,
        heartbeat_s: float,
        inbox: bool = False,
        asked: tuple[str, ...] = (),
    ) -> None:
        self.owner = owner
        self.inbox = inbox
        self.asked = asked
        self.id = id
        self.actor = actor
        self.filters = filters
        self.encoder = encoder
        self.position = position
        self.opened_at = opened_at
        self.age_at = age_at
        self.heartbeat_s = heartbeat_s
        self.state = State.CATCHING_UP
        self.synced = False
        self.proven = False
        self.reading = False
        self.aside: tuple[str, ...] | None = None
        self.paused_at = 0.0
        self.group: Group | None = None
        self.group_bytes = 0
        self.group_delivered = 0
        self.bytes_own = 0
        self.backfills: list[Backfill] | None = None
        self.due_second = 0

    def attach(self, sink: Sink) -> None:
        """Give the session its end of the wire; before it is started."""
        self.sink = sink
        self.write = sink.write

    def to(self, state: State) -> None:
        assert (self.state, state) in TRANSITIONS, f"{self.state} -> {state}"
        self.state = state

    def is_catching_up(self) -> bool:
        """To be asked after every write, which may have paused or closed the session."""
        return self.state is State.CATCHING_UP

    def is_closed(self) -> bool:
        """The same, of its end."""
        return self.state is State.CLOSED

    def catch_up(self) -> None:
        """Have what is older than something ephemeral first, where memory has it."""
        self.owner.catch_up(self)

    def prove(self) -> bool:
        """It has lasted until a heartbeat; whether that is news."""
        known, self.proven = self.proven, True
        return not known

    @property
    def transport(self) -> str:
        return self.encoder.transport

    @property
    def bytes_out(self) -> int:
        """Bytes of frames written so far, without asking for a count per delivery."""
        live = self.group.bytes_out - self.group_bytes if self.group else 0
        return self.bytes_own + live

    def place(self) -> int:
        """Everything on its filters up to here was written; the hub knows it of who is LIVE."""
        return _owed_from(self.position, self.backfills or ())

    def place_behind(self, position: int) -> int:
        """The same once what it is being paid now is written up to `position`."""
        return _owed_from(position, (self.backfills or ())[1:])

    def owe(
        self,
        filters: tuple[str, ...],
        *,
        retained: bool,
        position: int,
        upto: int | None = None,
        done: Callable[[], None] | None = None,
    ) -> None:
        """Note that `filters` are owed what came after `position`, up to where the session is.

        What is owed already is not owed twice, unless somebody waits for it: so much may wait as
        there are filters.
        """
        upto = self.position if upto is None else upto
        new = Backfill(filters, position=position, upto=upto, retained=retained, done=done)
        waiting = self.backfills or []
        for each in waiting:
            if new.covers(each):
                each.forgo(new.filters)
            elif each.covers(new):
                new.forgo(each.filters)
        waiting = [each for each in (*waiting, new) if each.filters or each.done is not None]
        self.backfills = waiting or None

    # What the connection tells the session (net.stream.Listener).

    def pause_writing(self) -> None:
        self.owner.pause(self)

    def resume_writing(self) -> None:
        self.owner.resume(self)

    def lost(self) -> None:
        self.owner.forget(self)


def _owed_from(position: int, backfills: Sequence[Backfill]) -> int:
    """`position`, or the lowest one from which history is owed."""
    return min([position, *(b.position for b in backfills if b.filters and not b.retained)])
