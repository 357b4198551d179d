"""A simulated client: what it wants, what it has received, and what it may hold the server to.

It is the same person whatever the transport: `lines.py` has the ways it is attached. It keeps what
an SDK keeps (filters, the last cursor) and, besides, everything it needs to judge the server:

- Complete: a cursor on the wire says "everything on your filters up to here was delivered". The
  client checks that at once, publication by publication, for every cursor it is handed. What is
  missing must have expired, or have been trimmed and told as a gap.
  So order is checked as well: what comes later carries a cursor that speaks for what is earlier.
- Gaps are true: a gap is told only if something has been trimmed, or the log is another one.

What is received twice is allowed here; `lines.py` says where the wire may double.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reddot.model import Cursor, Gap, Publication
from tests.sim.truth import Log, Violation, expired, selects


@dataclass(eq=False)
class Add:
    """An `add_filters` whose `done` the client has not read yet.

    Attributes:
        start: what is committed after this position is owed on the new filters.
        cursor: what the client gave; None: from now on.
        foreign: whether that is of another log.
        asked: the filters as they were asked for; those dropped meanwhile leave `filters`.
    """

    filters: list[str]
    start: int
    cursor: Cursor | None
    foreign: bool
    asked: tuple[str, ...]


@dataclass(eq=False)
class Handed:
    """A cursor that was on the wire, and the filters that it spoke for."""

    cursor: Cursor
    filters: tuple[str, ...]


@dataclass(eq=False)
class Client:
    """Attributes:
    filters: what cursors speak for; per filter the position up to which that was checked.
    adds: what is being added on the present stream.
    cursor: to resume with; None before the first one.
    handed: every cursor that was on the wire.
    silent: whether the last poll said that there is nothing.
    """

    name: str
    log: Log
    filters: dict[str, int] = field(default_factory=dict)
    adds: list[Add] = field(default_factory=list)
    cursor: Cursor | None = None
    handed: list[Handed] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    excused: set[int] = field(default_factory=set)
    reloads: dict[str, int] = field(default_factory=dict)
    ephemeral: int = 0
    silent: bool = False

    # Attaching

    def begin(self, log: Log) -> None:
        """It attaches without a cursor: only what is committed from now on is owed."""
        if log is not self.log:
            self.restart(log, log.head)
        for text in self.filters:
            self.filters[text] = log.head

    def detach(self) -> None:
        """The connection is gone. Filters whose backfill was not finished are not covered by the
        last cursor, so the client goes back to where they began."""
        for add in self.adds:
            for text in add.filters:
                self.filters[text] = min(self.filters.get(text, add.start), add.start)
            back, here = add.cursor, self.cursor
            if back is None or here is None or add.foreign or not add.filters:
                continue
            if back.epoch == self.log.epoch and back.position < here.position:
                self.cursor = back
        self.adds.clear()

    def restart(self, log: Log, position: int) -> None:
        """It was told that the log is another one: forget, and go on from there."""
        self.log = log
        self.seen.clear()
        self.excused.clear()
        self.reloads.clear()
        self.handed.clear()
        self.filters = dict.fromkeys(self.filters, position)

    # Changing filters on a stream

    def added(self, add: Add) -> None:
        """`done` was read: from here on cursors speak for the new filters as well."""
        self.adds.remove(add)
        for text in add.filters:
            self.filters[text] = min(self.filters.get(text, add.start), add.start)

    def drop(self, filters: Sequence[str]) -> None:
        for text in filters:
            self.filters.pop(text, None)
            for add in self.adds:
                if text in add.filters:
                    add.filters.remove(text)

    # Receiving

    def receive(self, position: int, cursor: Cursor, now_ms: int) -> None:
        """A durable publication, and the cursor on it."""
        self.seen.add(position)
        self.claim(cursor, now_ms)

    def claim(self, cursor: Cursor, now_ms: int) -> None:
        """A cursor was on the wire: everything that it says was delivered must have been."""
        if cursor.epoch != self.log.epoch or cursor.position > self.log.head:
            raise Violation(f"{cursor} is not of this log")
        for text, checked in self.filters.items():
            if checked < cursor.position:
                self._check(text, checked, cursor.position, now_ms)
                self.filters[text] = cursor.position
        self.cursor = cursor
        self.handed.append(Handed(cursor, tuple(self.filters)))

    def _check(self, text: str, after: int, upto: int, now_ms: int) -> None:
        for publication in self.log.after(after, upto):
            if publication.position in self.seen or not selects(text, publication.topic):
                continue
            if not (self._is_excused(publication, now_ms) or expired(publication, now_ms)):
                raise Violation(
                    f"cursor {upto} speaks for position {publication.position} on {text!r}, "
                    "which was never delivered"
                )

    def _is_excused(self, publication: Publication, now_ms: int) -> bool:
        """Whether it was gone when a gap was told, or has gone since and was reloaded then."""
        if publication.position in self.excused:
            return True
        reloaded = any(
            publication.position <= upto and selects(text, publication.topic)
            for text, upto in self.reloads.items()
        )
        return reloaded and publication in self.log.gone(now_ms)

    def tell(self, gap: Gap, lower: int, now_ms: int, upto: int = 0) -> None:
        """A gap was told by a reader who stood at position `lower`, when `upto` was the head.

        The client reloads what it shows, and so has everything that was in the log by then.
        """
        if gap.reason != "trimmed":
            raise Violation(f"{gap} although the log is the same")
        gone = self.log.gone(now_ms)
        found = [p.position for p in gone if selects(gap.topic, p.topic)]
        if not any(position > lower for position in found):
            raise Violation(f"{gap} although nothing after {lower} has been trimmed")
        self.excused.update(found)
        self.reloads[gap.topic] = max(upto, self.reloads.get(gap.topic, 0))

    def judge(self, now_ms: int) -> None:
        """All is quiet: everything that was ever owed has arrived."""
        for text, checked in self.filters.items():
            self._check(text, checked, self.log.head, now_ms)
