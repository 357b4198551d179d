"""Who listens to what on this node, and the fan-out: encode once per format, one plain loop.

Members with the same filters and the same encoder form a group, so that overlapping filters
deliver once and a publication is matched, encoded and joined once per group, whatever its size.
What becomes ready in one loop turn is dispatched together: each member gets one write.

The hub keeps no state per member and delivery. `position` says how far everybody in a group has
been served, so a member that leaves (its buffer is full) takes that as its place in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from reddot.core.recent import Recent
from reddot.core.topics import TopicIndex
from reddot.counters import Counters, TransportCounters
from reddot.inbox import Badge
from reddot.model import Cursor, Publication

Encode = Callable[[Publication, Cursor | None], bytes]
Join = Callable[[Sequence[bytes], Cursor], bytes]
EncodeBadge = Callable[[Badge, Cursor], bytes]
Writes = tuple[Callable[[bytes], object], ...]


def join_bytes(frames: Sequence[bytes], _cursor: Cursor) -> bytes:
    """Join of stream transports: frames one after another."""
    return b"".join(frames)


def no_badge(_badge: Badge, _cursor: Cursor) -> bytes:
    """Of a wire format that has no word for it."""
    return b""


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """One wire format. Its identity is the key under which frames are shared.

    Attributes:
        transport: whose counters its deliveries go to.
        encode: publication to frame; cursor None for an ephemeral one.
        join: frames that are ready together, with the cursor behind them, to one write.
        once: whether a write is a whole answer, with which the session ends.
        encode_badge: a whole write with a user's badge, at a cursor.
        retained: how a retained publication is encoded for a new subscriber; None: as any other.
        own: it belongs to one session, so that nothing it makes is looked for again; it needs no
            cursor and no other `join`.

    An encoder that belongs to one session may answer with an empty frame, which is not written by
    its session, and may refuse a durable publication by `Subscribing.hold`.
    """

    transport: str
    encode: Encode
    join: Join = join_bytes
    once: bool = False
    encode_badge: EncodeBadge = no_badge
    retained: Encode | None = None
    own: bool = False


def _encode_own(encoder: Encoder, batch: Sequence[Publication]) -> bytes:
    """What an encoder of one session makes of a batch, which is mostly one publication."""
    if len(batch) == 1:
        return encoder.encode(batch[0], None)
    return b"".join([encoder.encode(publication, None) for publication in batch])


class Member(Protocol):
    """What a group calls. `write` never blocks and never raises."""

    @property
    def write(self) -> Callable[[bytes], object]: ...


class Reading(Member, Protocol):
    """A session that reads the log."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def synced(self) -> bool: ...

    def is_catching_up(self) -> bool: ...

    def catch_up(self) -> None: ...


class Group:
    """Members with equal filters and encoder. `bytes_out` and `delivered` are per member."""

    __slots__ = (
        "bytes_out",
        "counters",
        "delivered",
        "encoder",
        "filters",
        "members",
        "writes",
    )

    def __init__(
        self, filters: tuple[str, ...], encoder: Encoder, counters: TransportCounters
    ) -> None:
        self.filters = filters
        self.encoder = encoder
        self.counters = counters
        self.members: dict[Member, None] = {}
        self.writes: Writes | None = None
        self.bytes_out = 0
        self.delivered = 0


def _writes(group: Group) -> Writes:
    writes = group.writes
    if writes is None:
        writes = group.writes = tuple([member.write for member in group.members])
    return writes


class Hub:
    """The live set of one node.

    Args:
        epoch: the log's incarnation, for cursors.
        recent: gets every durable publication as it is dispatched.
        schedule: runs a function once, at the end of this loop turn.
        observe: told what is about to be written, when `position` is that of the last of it.
    """

    def __init__(
        self,
        *,
        epoch: int,
        position: int,
        recent: Recent,
        counters: Counters,
        schedule: Callable[[Callable[[], None]], object],
        observe: Callable[[Sequence[Publication]], None] | None = None,
    ) -> None:
        self.observe = observe
        self.epoch = epoch
        self.position = position
        self._recent = recent
        self._counters = counters
        self._schedule = schedule
        self._groups: dict[tuple[tuple[str, ...], Encoder], Group] = {}
        self._index: TopicIndex[Group] = TopicIndex()
        self._parked: TopicIndex[Member] = TopicIndex()
        self._parked_count = 0
        self._reading: TopicIndex[Reading] = TopicIndex()
        self._reading_count = 0
        self._pending: list[Publication] = []

    @property
    def cursor(self) -> Cursor:
        """Everything up to here was handed to every member."""
        return Cursor(self.epoch, self.position)

    def join(self, filters: tuple[str, ...], encoder: Encoder, member: Member) -> Group:
        """Make `member` live; it gets everything dispatched from now on.

        `filters` must be in canonical order (sorted, unique), so that equals meet.
        """
        group = self._groups.get((filters, encoder))
        if group is None:
            counters = self._counters.transports[encoder.transport]
            group = self._groups[filters, encoder] = Group(filters, encoder, counters)
            for text in filters:
                self._index.add(text, group)
        group.members[member] = None
        group.writes = None
        return group

    def leave(self, group: Group, member: Member) -> None:
        """Take `member` out; what was dispatched before has been written to it."""
        del group.members[member]
        group.writes = None
        if not group.members:
            del self._groups[group.filters, group.encoder]
            for text in group.filters:
                self._index.remove(text, group)

    def park(self, filters: tuple[str, ...], member: Member) -> None:
        """Remember a paused member, only to count the ephemeral publications it misses."""
        self._parked_count += 1
        for text in filters:
            self._parked.add(text, member)

    def unpark(self, filters: tuple[str, ...], member: Member) -> None:
        self._parked_count -= 1
        for text in filters:
            self._parked.remove(text, member)

    def read_aside(self, filters: tuple[str, ...], session: Reading) -> None:
        """Let a session that reads the log have what is ephemeral meanwhile."""
        self._reading_count += 1
        for text in filters:
            self._reading.add(text, session)

    def end_aside(self, filters: tuple[str, ...], session: Reading) -> None:
        self._reading_count -= 1
        for text in filters:
            self._reading.remove(text, session)

    def hears(self, topic: str) -> bool:
        """Whether anybody live listens to a topic."""
        return any(True for _ in self._index.match(topic))

    def groups(self, topic: str) -> set[Group]:
        """Those whose members get what is published on a topic."""
        return set(self._index.match(topic))

    def listeners(self, topic: str) -> int:
        """How many live members get what is published on a topic."""
        return sum(len(group.members) for group in self._index.match(topic))

    def dispatch(self, publication: Publication) -> None:
        """Take the next publication; it goes out with all others of this loop turn."""
        if not self._pending:
            self._schedule(self.flush)
        self._pending.append(publication)

    def skip(self, position: int) -> None:
        """Go on behind a hole, with nobody live: memory does not know what was up to here."""
        assert not self._groups, "whoever is live would miss it"
        self._recent.clear(floor=position)
        self.position = position

    def flush(self) -> None:
        """Write everything dispatched so far to everybody who listens."""
        pending, self._pending = self._pending, []
        for publication in pending:
            if publication.position:
                self._recent.add(publication)
                self.position = publication.position
                continue
            if self._parked_count:
                self._counters.ephemeral_dropped += len([*self._parked.match(publication.topic)])
            if self._reading_count:
                self._write_aside(publication)
        if self.observe is not None:
            self.observe(pending)
        if len(pending) == 1:
            self._flush_one(pending[0])
        else:
            self._flush_many(pending)

    def _write_aside(self, publication: Publication) -> None:
        ready: dict[Encoder, bytes] = {}
        for session in list(self._reading.match(publication.topic)):
            encoder = session.encoder
            if not session.is_catching_up():
                continue
            if not session.synced:
                self._counters.ephemeral_dropped += 1  # Nothing stands before the first frame.
                continue
            session.catch_up()
            if not session.is_catching_up():
                self._counters.ephemeral_dropped += 1
                continue
            data = ready.get(encoder)
            if data is None:
                data = ready[encoder] = encoder.encode(publication, None)
            if data:
                counters = self._counters.transports[encoder.transport]
                counters.deliveries += 1
                counters.bytes_out += len(data)
                session.write(data)

    def _flush_one(self, publication: Publication) -> None:
        """The common case, without the bookkeeping of joining."""
        ready: dict[Encoder, bytes] = {}
        # Taken down first. Inside its write a long poll leaves, and what was pipelined behind it
        # may join at the position that this turn ends with, so it must not get the turn's frames.
        for group, writes in [(g, _writes(g)) for g in self._index.match(publication.topic)]:
            encoder = group.encoder
            data = ready.get(encoder)
            if data is None:
                cursor = None if encoder.own else self._cursor_of(publication)
                data = ready[encoder] = encoder.encode(publication, cursor)
            self._write(group, writes, data, 1)

    def _flush_many(self, pending: Sequence[Publication]) -> None:
        touched: dict[Group, tuple[Writes, list[Publication]]] = {}
        for publication in pending:
            for group in self._index.match(publication.topic):
                found = touched.get(group)
                if found is None:
                    touched[group] = group.writes or _writes(group), [publication]
                else:
                    found[1].append(publication)
        frames: dict[tuple[Encoder, int], bytes] = {}
        joined: dict[tuple[Encoder, tuple[int, ...]], bytes] = {}
        for group, (writes, batch) in touched.items():
            encoder = group.encoder
            if encoder.own:
                self._write(group, writes, _encode_own(encoder, batch), len(batch))
                continue
            key = (encoder, tuple(map(id, batch)))
            data = joined.get(key)
            if data is None:
                parts = [self._frame(encoder, publication, frames) for publication in batch]
                data = joined[key] = encoder.join(parts, self.cursor)
            self._write(group, writes, data, len(batch))

    def _frame(
        self,
        encoder: Encoder,
        publication: Publication,
        frames: dict[tuple[Encoder, int], bytes],
    ) -> bytes:
        key = (encoder, id(publication))
        frame = frames.get(key)
        if frame is None:
            frame = frames[key] = encoder.encode(publication, self._cursor_of(publication))
        return frame

    def _cursor_of(self, publication: Publication) -> Cursor | None:
        position = publication.position
        return Cursor(self.epoch, position) if position else None

    def _write(self, group: Group, writes: Writes, data: bytes, publications: int) -> None:
        if not data:
            return
        for write in writes:
            write(data)
        size, members, counters = len(data), len(writes), group.counters
        group.bytes_out += size
        group.delivered += publications
        counters.deliveries += members * publications
        counters.bytes_out += members * size
