"""The rules of the red dot, pure: marking, and counting what is unread. No I/O, no clock.

Nothing is counted up or down. Unread is derived from three facts each time: which notifications of
a topic are live (one bit each), how far the user has read, and the exceptions. So whatever dies, is
muted or is marked twice, there is nothing that could drift.

Seqs, bits and their bases are those of `inbox.Marks` and `inbox.Notes`. Invariants of `Marks` after
every function here: `join <= read_upto`, bit 0 of `read` is clear, no integer is negative.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

import msgspec

from reddot.core.muting import is_muted
from reddot.inbox import As, Audit, Marks, Notes, Preferences, Snoozed, View

replace = msgspec.structs.replace


def shift(bits: int, by: int) -> int:
    """The same set of seqs under a base that is `by` higher."""
    return bits >> by if by >= 0 else bits << -by


def bits_of(seqs: Iterable[int], base: int) -> int:
    """The set of seqs above `base` as bits."""
    bits = 0
    for seq in seqs:
        if seq > base:
            bits |= 1 << (seq - base - 1)
    return bits


def seqs_of(bits: int, base: int) -> list[int]:
    """The seqs that bits stand for, lowest first."""
    text = bin(bits)[:1:-1]
    found = []
    at = text.find("1")
    while at >= 0:
        found.append(base + 1 + at)
        at = text.find("1", at + 1)
    return found


# ---- marking ----


def joined(marks: Marks | None, *, top: int, backfill: int) -> Marks:
    """Follow a topic whose newest seq is `top`; following again changes nothing."""
    if marks is not None:
        return marks
    join = max(0, top - backfill)
    return Marks(join=join, read_upto=join, seen_upto=join, followed=True)


def mark(marks: Marks, state: As, seqs: Iterable[int]) -> Marks:
    """Set the state of single notifications; those that are not in the inbox are skipped.

    Seen is a watermark: it covers everything up to the highest of them.
    """
    chosen = bits_of(seqs, marks.join)
    return mark_bits(marks, state, chosen) if chosen else marks


def mark_bits(marks: Marks, state: As, chosen: int) -> Marks:
    """The same for bits on the base `marks.join`.

    What is snoozed is read already and stays so; archiving or deleting it ends that.
    """
    if state == "seen":
        return replace(marks, seen_upto=max(marks.seen_upto, marks.join + chosen.bit_length()))
    if marks.snoozed:
        if state in ("archived", "deleted"):
            left = (one for one in marks.snoozed if not chosen >> (one.seq - marks.join - 1) & 1)
            marks = replace(marks, snoozed=tuple(left))
        else:
            chosen &= ~snoozed_bits(marks)
    if state == "archived":
        return replace(marks, archived=marks.archived | chosen)
    if state == "unarchived":
        return replace(marks, archived=marks.archived & ~chosen)
    if state == "deleted":
        return replace(marks, deleted=marks.deleted | chosen)
    read = _read_bits(marks)
    return _with_read(marks, read | chosen if state == "read" else read & ~chosen)


def mark_listed(marks: Marks, state: As, seqs: Iterable[int]) -> Marks:
    """As `mark`, of those that a list has shown: what is snoozed was not on it."""
    chosen = bits_of(seqs, marks.join) & ~snoozed_bits(marks)
    return mark_bits(marks, state, chosen) if chosen else marks


def mark_upto(marks: Marks, state: As, upto: int) -> Marks:
    """Set the state of everything up to seq `upto`, but of what is snoozed."""
    if upto <= marks.join:
        return marks
    if state == "read":
        gone = upto - marks.read_upto
        if gone <= 0:
            return marks
        return _stripped(replace(marks, read_upto=upto, read=marks.read >> gone))
    chosen = (1 << (upto - marks.join)) - 1
    return mark_bits(marks, state, chosen if state == "seen" else chosen & ~snoozed_bits(marks))


def snooze(marks: Marks, some: Iterable[Snoozed]) -> Marks:
    """Hide some until their time; those that are hidden already get the new one."""
    chosen = {one.seq: one for one in some if not is_deleted(marks, one.seq)}
    bits = bits_of(chosen, marks.join)
    read = mark_bits(replace(marks, archived=marks.archived & ~bits), "read", bits)
    by_seq = {one.seq: one for one in marks.snoozed} | chosen
    return replace(read, snoozed=tuple(by_seq[seq] for seq in sorted(by_seq)))


def snoozed_bits(marks: Marks) -> int:
    """What is snoozed, on the base `join`."""
    return bits_of((one.seq for one in marks.snoozed), marks.join) if marks.snoozed else 0


def due(inbox: Mapping[str, Marks], now_ms: int) -> dict[str, list[Snoozed]]:
    """What is snoozed no longer than now, by topic."""
    found = {
        topic: [one for one in marks.snoozed if one.until_ms <= now_ms]
        for topic, marks in inbox.items()
    }
    return {topic: some for topic, some in found.items() if some}


def wake_ms(inbox: Iterable[Marks]) -> int:
    """When the first of what is snoozed is due; 0: nothing is."""
    return min((one.until_ms for marks in inbox for one in marks.snoozed), default=0)


def _read_bits(marks: Marks) -> int:
    """All that is read, on the base `join`."""
    below = marks.read_upto - marks.join
    return marks.read << below | (1 << below) - 1


def _with_read(marks: Marks, read: int) -> Marks:
    """The marks with this set of read ones, on the base `join`."""
    return _stripped(replace(marks, read_upto=marks.join, read=read))


def _stripped(marks: Marks) -> Marks:
    """Take the run of read ones at the bottom into `read_upto`."""
    run = (~marks.read & (marks.read + 1)).bit_length() - 1
    if not run:
        return marks
    return replace(marks, read_upto=marks.read_upto + run, read=marks.read >> run)


def raised(marks: Marks, base: int) -> Marks:
    """Forget what was marked at or below `base`, where nothing is kept any more."""
    if base <= marks.join:
        return marks
    gone = base - marks.join
    read_upto = max(marks.read_upto, base)
    return _stripped(
        replace(
            marks,
            join=base,
            read_upto=read_upto,
            read=marks.read >> (read_upto - marks.read_upto),
            archived=marks.archived >> gone,
            deleted=marks.deleted >> gone,
            seen_upto=max(marks.seen_upto, base),
            snoozed=tuple(one for one in marks.snoozed if one.seq > base),
        )
    )


# ---- asking ----


def is_seen(marks: Marks, seq: int) -> bool:
    return seq <= marks.seen_upto


def is_read(marks: Marks, seq: int) -> bool:
    above = seq - marks.read_upto - 1
    return above < 0 or bool(marks.read >> above & 1)


def is_read_now(marks: Marks, seq: int) -> bool:
    """The same as people see it: what is snoozed is not, for it comes back unread."""
    return is_read(marks, seq) and snoozed_until(marks, seq) is None


def is_archived(marks: Marks, seq: int) -> bool:
    return seq > marks.join and bool(marks.archived >> (seq - marks.join - 1) & 1)


def is_deleted(marks: Marks, seq: int) -> bool:
    return seq <= marks.join or bool(marks.deleted >> (seq - marks.join - 1) & 1)


def snoozed_until(marks: Marks, seq: int) -> int | None:
    """When a snoozed one is due; None: it is not snoozed."""
    return next((one.until_ms for one in marks.snoozed if one.seq == seq), None)


def is_shown(marks: Marks, seq: int, view: View) -> bool:
    """Whether a live notification is in a view of the inbox."""
    if is_deleted(marks, seq):
        return False
    snoozed = snoozed_until(marks, seq) is not None
    if snoozed or view == "snoozed":
        return snoozed and view == "snoozed"
    if view == "archived":
        return is_archived(marks, seq)
    if is_archived(marks, seq):
        return False
    return view == "all" or not is_read(marks, seq)


class Tally:
    """Counts one topic of an inbox the slow way: every notification is asked for itself."""

    def __init__(
        self, topic: str, marks: Marks, preferences: Preferences, locked: Collection[str] = ()
    ) -> None:
        self._topic = topic
        self._marks = marks
        self._preferences = preferences
        self._locked = locked
        self._counts: dict[str, int] = {}
        self._by_category: dict[str, int] = {}

    def add(self, seq: int, category: str, live: bool) -> None:
        """Look at one notification of the topic."""
        if seq <= self._marks.join:
            return
        reason = self._reason(seq, category, live)
        self._counts["total"] = self._counts.get("total", 0) + 1
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if reason == "unread":
            self._by_category[category] = self._by_category.get(category, 0) + 1
            unseen = not is_seen(self._marks, seq)
            self._counts["unseen"] = self._counts.get("unseen", 0) + unseen

    def _reason(self, seq: int, category: str, live: bool) -> str:
        marks = self._marks
        if not live:
            return "dead"
        if is_deleted(marks, seq):
            return "deleted"
        if snoozed_until(marks, seq) is not None:
            return "snoozed"
        if is_archived(marks, seq):
            return "archived"
        if is_read(marks, seq):
            return "read"
        if is_muted(self._preferences, topic=self._topic, category=category, locked=self._locked):
            return "muted"
        return "unread"

    def audit(self) -> Audit:
        return Audit(
            topic=self._topic,
            followed=self._marks.followed,
            by_category=self._by_category,
            **self._counts,
        )


class Mask:
    """The live notifications of one topic in memory: `inbox.Notes` that can change.

    Attributes:
        due: `(expires_ms, seq)` of those that will expire; dead ones stay until they are due.
        due_ms: the earliest of them.
    """

    __slots__ = ("base", "categories", "due", "due_ms", "live", "rev", "top")

    def __init__(self, notes: Notes) -> None:
        self.base = notes.base
        self.top = notes.top
        self.rev = notes.rev
        self.live = notes.live
        self.categories = dict(notes.categories)
        self.due = {seq: expires_ms for expires_ms, seq in notes.due}
        self.due_ms = min(self.due.values(), default=0)

    def add(self, seq: int, category: str, expires_ms: int | None, position: int) -> None:
        """The next notification has gone live."""
        bit = 1 << (seq - self.base - 1)
        self.top = seq
        self.rev = position
        self.live |= bit
        self.categories[category] = self.categories.get(category, 0) | bit
        if expires_ms is not None:
            self.due[seq] = expires_ms
            self.due_ms = min(self.due_ms or expires_ms, expires_ms)

    def kill(self, seqs: Iterable[int], position: int) -> None:
        """Some are not live any more."""
        self.rev = position
        dead = bits_of(seqs, self.base) & self.live
        self.live &= ~dead
        for category, bits in list(self.categories.items()):
            left = bits & ~dead
            if left:
                self.categories[category] = left
            else:
                del self.categories[category]
        if self.due:
            for seq in seqs:
                self.due.pop(seq, None)
            self.due_ms = min(self.due.values(), default=0)

    @property
    def bytes(self) -> int:
        """About what it takes in memory."""
        masks = (self.live.bit_length() >> 3) * (1 + len(self.categories))
        return 600 + masks + 100 * len(self.due)


def unread_bits(mask: Mask, marks: Marks) -> int:
    """What is unread, on the base `marks.read_upto`."""
    bits = shift(mask.live, marks.read_upto - mask.base)
    if not bits:
        return 0
    bits &= ~marks.read
    hidden = marks.archived | marks.deleted
    if hidden:
        bits &= ~(hidden >> (marks.read_upto - marks.join))
    return bits


def count(
    mask: Mask, marks: Marks, muted: Set[str], by_category: dict[str, int]
) -> tuple[int, int]:
    """Unread and unseen of one topic; adds to `by_category`.

    Costs what lies above the watermark, not what the topic has ever had.
    """
    bits = unread_bits(mask, marks)
    if not bits:
        return 0, 0
    by = marks.read_upto - mask.base
    counted = 0
    for category, members in mask.categories.items():
        if category in muted:
            bits &= ~shift(members, by)
        elif found := (shift(members, by) & bits).bit_count():
            by_category[category] = by_category.get(category, 0) + found
            counted += found
    beyond = marks.seen_upto - marks.read_upto
    unseen = (bits >> beyond).bit_count() if beyond > 0 else counted
    return counted, unseen


def badge_counts(
    masks: Mapping[str, Mask],
    marks: Mapping[str, Marks],
    preferences: Preferences,
    locked: frozenset[str] = frozenset(),
) -> tuple[int, int, dict[str, int]]:
    """Unread, unseen and unread by category over all topics of an inbox.

    Args:
        preferences: that are in force.
        locked: categories that count whatever is muted.
    """
    unread = unseen = 0
    by_category: dict[str, int] = {}
    categories = preferences.categories - locked
    for topic, own in marks.items():
        muted: Set[str] = categories
        if topic in preferences.topics:
            muted = masks[topic].categories.keys() - locked
        some, new = count(masks[topic], own, muted, by_category)
        unread += some
        unseen += new
    return unread, unseen, by_category
