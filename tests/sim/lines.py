"""The ways a simulated client is attached: a stream, a short poll, a long poll.

The server's end of each is judged here, at the moment the server writes:

- The first frame of a stream is `sync`; nothing is written after the end.
- Nothing outside the filters that hold at that moment, whatever was read before they changed.
- In one stream, positions only grow. So nothing is delivered twice, and nothing at or below the
  cursor that it was opened with, except here:
  1. a filter added with a cursor: its history, while it is being added;
  2. retained publications, for filters that came without a cursor;
  3. across streams: a client that resumes with an older cursor than its newest, or on a node that
     is behind, gets again what lies in between.
- A poll's answer lies wholly after the cursor that was asked for.

What is written goes into a wire that the client reads when the seed says so. The wire pauses the
session inside `write`, as a socket does whose buffer is full, and its tail is lost when it breaks.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

import msgspec

from reddot.codecs.cursor import decode_cursor
from reddot.codecs.params import Params
from reddot.core.gate import Identified
from reddot.core.hub import Encoder
from reddot.core.session import ReconnectReason, Session
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Actor, Cursor, Gap, GapReason, Publication
from reddot.net.exchange import Exchange
from tests.sim.client import Add, Client
from tests.sim.truth import Violation, expired, selected

if TYPE_CHECKING:
    from tests.sim.node import Node


def _encode(publication: Publication, cursor: Cursor | None) -> bytes:
    """Enough of a frame to know what it was: `topic position epoch cursor;`."""
    if cursor is None:
        return b"%b 0 0 0;" % publication.topic.encode()
    place = (publication.topic.encode(), publication.position, cursor.epoch, cursor.position)
    return b"%b %d %d %d;" % place


ENCODER: Final = Encoder("sse", _encode)


class Stream:
    """One stream, both ends. Implements the core's `Sink`.

    Attributes:
        wire: what the client has not read yet.
        floor: nothing at or below it may be written, but for the exceptions of the module.
    """

    def __init__(
        self,
        *,
        client: Client,
        node: Node,
        chance: random.Random,
        now_ms: Callable[[], int],
        wire_max: int,
    ) -> None:
        self.client = client
        self.node = node
        self.wire: deque[Callable[[], object]] = deque()
        self.broken = False
        self.ended = False
        self.session: Session
        self._log = node.disk.truth
        self._chance = chance
        self._now_ms = now_ms
        self._wire_max = wire_max
        self._paused = False
        self._synced = False
        self._filters: tuple[str, ...] = ()
        self._asked: Cursor | None = None
        self._foreign = False
        self._start = self._floor = 0
        self._adds: list[Add] = []
        self._written: set[int] = set()

    def open(self, actor: Actor, cursor: Cursor | None) -> None:
        node, client = self.node, self.client
        filters = node.subscribing.authorize(actor, tuple(client.filters), inbox=False)
        self._filters = filters
        self._asked = cursor
        self._foreign = cursor is not None and cursor.epoch != node.hub.epoch
        if cursor is None or self._foreign:
            self._start = node.hub.position
        else:
            self._start = min(cursor.position, node.hub.position)
        self._floor = self._start
        if cursor is None:
            client.begin(self._log)
        self.session = node.subscribing.create(
            actor=actor, filters=filters, encoder=ENCODER, heartbeat_s=15.0
        )
        self.session.attach(self)
        node.subscribing.start(self.session, cursor)

    # Commands

    def add(self, filters: list[str], cursor: Cursor | None) -> None:
        client, node = self.client, self.node
        foreign = cursor is not None and cursor.epoch != node.hub.epoch
        new = [text for text in filters if text not in self._filters]
        start = self._log.head if cursor is None or foreign else cursor.position
        # A filter that was there already is owed from where it was, whatever is added.
        add = Add(list(new if cursor is None else filters), start, cursor, foreign, tuple(filters))
        # What is retained above the session's place comes later, by the log.
        session, hub = self.session, node.hub
        place = session.position if session.group is None else hub.position
        owed = {p.position for p in self._retained(new) if p.position <= place and cursor is None}
        client.adds.append(add)
        self._adds.append(add)
        self._filters = tuple(dict.fromkeys((*self._filters, *filters)))

        def done() -> None:
            self._adds.remove(add)
            for publication in self._retained(add.filters):
                if publication.position in owed - self._written:
                    raise Violation(f"retained {publication} was not handed over")
            self._send(lambda: client.added(add))

        node.subscribing.add_filters(self.session, tuple(filters), cursor, done)

    def _retained(self, filters: Sequence[str]) -> list[Publication]:
        now_ms = self._now_ms()
        return [
            p
            for p in self._log.retained.values()
            if p.data != b"null" and not expired(p, now_ms) and selected(filters, p.topic)
        ]

    def drop(self, filters: tuple[str, ...]) -> None:
        self._filters = tuple(text for text in self._filters if text not in filters)
        self.client.drop(filters)
        self.node.subscribing.drop_filters(self.session, filters)

    # Sink

    def write(self, data: bytes) -> None:
        for frame in data.split(b";")[:-1]:
            self._publication(*frame.split(b" "))
        self._press()

    def _publication(self, topic_: bytes, position_: bytes, epoch: bytes, place: bytes) -> None:
        topic, position = topic_.decode(), int(position_)
        if not self._synced:
            raise Violation("a publication before sync")
        if not selected(self._filters, topic):
            raise Violation(f"{topic!r} is not on {self._filters}")
        if not position:
            self.wire.append(self._count_ephemeral)
            return
        publication = self._log.at(position)
        if publication.topic != topic:
            raise Violation(f"position {position} is not on {topic!r}")
        if self.session.is_catching_up() and expired(publication, self._now_ms()):
            raise Violation(f"{publication} has expired")
        if position > self._floor:
            self._floor = position
        elif not self._excepted(publication):
            raise Violation(f"position {position} after {self._floor}")
        self._written.add(position)
        cursor = Cursor(int(epoch), int(place))
        receive, now_ms = self.client.receive, self._now_ms
        self.wire.append(lambda: receive(position, cursor, now_ms()))

    def _count_ephemeral(self) -> None:
        self.client.ephemeral += 1

    def _is_retained(self, publication: Publication) -> bool:
        return self._asked is None and publication.retain

    def _excepted(self, publication: Publication) -> bool:
        for add in self._adds:
            if selected(add.filters, publication.topic):
                after = 0 if add.cursor is None else add.start
                if publication.position > after and (add.cursor or publication.retain):
                    return True
        return self._is_retained(publication)

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        if self._synced:
            raise Violation("a second sync")
        self._synced = True
        told, upto = tuple(gaps), self._log.head
        if self._foreign and [gap.topic for gap in told] != sorted(self._filters):
            raise Violation(f"another log, told on {told} of {self._filters}")
        self._send(lambda: self._receive_sync(cursor, told, upto))

    def _receive_sync(self, cursor: Cursor, gaps: Sequence[Gap], upto: int) -> None:
        client = self.client
        if self._foreign:
            client.restart(self._log, cursor.position)
        else:
            for gap in gaps:
                client.tell(gap, self._start, self._now_ms(), upto)
        client.claim(cursor, self._now_ms())

    def gap(self, gap: Gap) -> None:
        if not self._synced:
            raise Violation("a gap before sync")
        if gap.reason == "epoch":
            if not any(add.foreign and gap.topic in add.asked for add in self._adds):
                raise Violation(f"{gap} for a cursor of this log")
            return
        starts = [add.start for add in self._adds if add.cursor and not add.foreign]
        lower, upto = min([self._start, *starts]), self._log.head
        self._send(lambda: self.client.tell(gap, lower, self._now_ms(), upto))

    def heartbeat(self, cursor: Cursor) -> None:
        if cursor.position < self._floor:
            raise Violation(f"heartbeat at {cursor.position} after {self._floor}")
        self._send(lambda: self.client.claim(cursor, self._now_ms()))

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        self._send(lambda: None)

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        self.ended = True
        if abort:
            self.wire.clear()
        self.wire.append(self._hang_up)

    def _hang_up(self) -> None:
        self.broken = True

    def _send(self, item: Callable[[], object]) -> None:
        self.wire.append(item)
        self._press()

    def _press(self) -> None:
        """Take a frame as a socket does: at some point it says, within `write`, that it is full."""
        if self.ended:
            raise Violation("written after the end")
        full = len(self.wire) > self._wire_max or self._chance.random() < 0.05
        if full and not self._paused:
            self._paused = True
            self.session.pause_writing()

    # The client's end

    def read(self, count: int) -> None:
        """The client reads some of the wire; when it has read all, the buffer has drained."""
        while count and self.wire and not self.broken:
            count -= 1
            self.wire.popleft()()
        if self._paused and not self.wire and not self.ended:
            self._paused = False
            self.session.resume_writing()

    def cut(self) -> None:
        """The connection breaks; what was on the wire is lost."""
        self.broken = True
        self.wire.clear()
        if not self.ended and self.node.process.alive:
            self.ended = True
            self.session.lost()


class _Item(msgspec.Struct):
    topic: str
    cursor: str | None = None
    id: str = ""
    offset: int = 0


class _Gap(msgspec.Struct):
    topic: str
    reason: GapReason


class _Body(msgspec.Struct):
    cursor: str
    complete: bool
    publications: list[_Item]
    gaps: list[_Gap] = []


_decode = msgspec.json.Decoder(_Body).decode


class Poll:
    """One poll: the client's request, and the part of `Exchange` that polls use."""

    def __init__(
        self,
        *,
        client: Client,
        node: Node,
        now_ms: Callable[[], int],
        answered: Callable[[Poll], None],
    ) -> None:
        self.client = client
        self.node = node
        self.broken = False
        self.bytes_in = 0
        self._now_ms = now_ms
        self._answered = answered
        self._answer: tuple[int, bytes] | None = None
        self._gone: Callable[[], None] | None = None
        self._filters = tuple(client.filters)
        self._asked = client.cursor

    def open(self, actor: Actor, cursor: Cursor | None, *, wait_s: float | None) -> None:
        if cursor is None:
            self.client.begin(self.node.disk.truth)
        self._asked = cursor
        params = Params(filters=self._filters, cursor=cursor, inbox=False, wait_s=wait_s)
        exchange = cast("Exchange", self)
        route = self.node.short_poll if wait_s is None else self.node.long_poll
        route.open(params, Identified(actor=actor), exchange, b"")

    # Exchange

    def finish(self, status: int, rest: bytes) -> int:
        if self.broken:
            return 0
        if self._answer is not None:
            raise Violation("a poll was answered twice")
        self._gone = None
        self._answer = status, rest
        self._answered(self)
        return len(rest)

    def respond(self, status: int, fields: bytes, body: bytes = b"") -> int:
        return self.finish(status, b"")

    def on_gone(self, callback: Callable[[], None]) -> None:
        self._gone = callback

    # The client's end

    def take(self) -> None:
        """The client reads the answer, which is the end of it."""
        if self.broken or self._answer is None:
            return
        self.broken = True
        status, rest = self._answer
        head, _, body = rest.partition(b"\r\n\r\n")
        if status == 200:
            self._take_body(_decode(body))
        elif status == 304:
            self.client.silent = True
            token = head.partition(b'etag: "')[2].partition(b'"')[0].decode()
            self.client.claim(decode_cursor(token), self._now_ms())

    def _take_body(self, body: _Body) -> None:
        client, now_ms = self.client, self._now_ms()
        cursor = decode_cursor(body.cursor)
        self._take_gaps(body, cursor)
        floor = 0 if self._asked is None or self._is_foreign() else self._asked.position
        for item in body.publications:
            if not selected(self._filters, item.topic):
                raise Violation(f"{item.topic!r} is not on {self._filters}")
            if item.cursor is None:
                client.ephemeral += 1
                continue
            position = decode_cursor(item.cursor).position
            publication = client.log.at(position)
            if (publication.id, publication.offset) != (item.id, item.offset):
                raise Violation(f"{item} is not {publication}")
            if position <= floor or position > cursor.position:
                raise Violation(f"position {position} between {floor} and {cursor}")
            if self._asked is None and not publication.retain:
                raise Violation(f"{publication} is not retained and was not asked for")
            floor = position
            client.seen.add(position)
        if self._asked is None:
            # "From now on" is some moment between the request and its answer.
            client.filters = dict.fromkeys(client.filters, cursor.position)
        client.claim(cursor, now_ms)
        self.client.silent = not body.publications and not body.gaps

    def _is_foreign(self) -> bool:
        return self._asked is not None and self._asked.epoch != self.node.hub.epoch

    def _take_gaps(self, body: _Body, cursor: Cursor) -> None:
        if body.complete == bool(body.gaps):
            raise Violation("complete is not the opposite of gaps")
        if self._is_foreign():
            told = sorted(gap.topic for gap in body.gaps if gap.reason == "epoch")
            if told != sorted(self._filters):
                raise Violation(f"another log, told on {told} of {self._filters}")
            self.client.restart(self.node.disk.truth, cursor.position)
            return
        for gap in body.gaps:
            assert self._asked is not None
            missing = Gap(gap.topic, gap.reason)
            self.client.tell(missing, self._asked.position, self._now_ms())

    def cut(self) -> None:
        """The connection breaks; an answer on its way is lost."""
        self.broken = True
        if self._gone is not None and self.node.process.alive:
            self._gone()


Line = Stream | Poll
