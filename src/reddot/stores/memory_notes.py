"""What inboxes in memory are made of. Layer: stores; part of `stores.memory`."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from reddot.core import badge
from reddot.inbox import Item, Marks, Note, Schedule, Sent
from reddot.model import Draft

LIVE, EXPIRED, RETRACTED, REPLACED = "live", "expired", "retracted", "replaced"

words_of: Final = re.compile(r"\w+").findall


@dataclass(slots=True)
class Sending:
    """A notification as it was sent; shared by all its topics.

    Attributes:
        woken: the topics of users in which it has come back from a snooze.
    """

    draft: Draft
    note: Note
    position: int
    keep_ms: int
    state: str = LIVE
    reached: int = 0
    woken: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """One notification of one topic.

    Attributes:
        origin: the topic that it was sent to, if it has come back from a snooze.
    """

    seq: int
    position: int
    sending: Sending
    state: str = LIVE
    origin: str = ""


@dataclass(slots=True)
class Dying:
    """What dies in one step.

    Attributes:
        left: rows that still may.
        died, retracted: as in `inbox.Effect`.
        open: something is left for the next step.
    """

    left: int
    position: int
    died: dict[str, tuple[int, ...]] = field(default_factory=dict)
    retracted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    open: bool = False

    def kill(self, name: str, topic: Topic, record: Record, state: str) -> None:
        record.state = state
        topic.rev = self.position
        self.died[name] = (*self.died.get(name, ()), record.seq)
        self.left -= 1


@dataclass(slots=True)
class Topic:
    top: int = 0
    rev: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def base(self) -> int:
        return self.records[0].seq - 1 if self.records else self.top

    def below(self, position: int | None) -> int:
        """How many of the records have a lower position."""
        if position is None:
            return len(self.records)
        return bisect_left(self.records, position, key=lambda one: one.position)


def item_of(marks: Marks, seq: int, category: str, position: int, topic: str, draft: Draft) -> Item:
    """What the user sees of one notification."""
    return Item(
        id=draft.id,
        topic=topic,
        position=position,
        time_ms=draft.time_ms,
        category=category,
        data=draft.data,
        seen=badge.is_read(marks, seq) or badge.is_seen(marks, seq),
        read=badge.is_read_now(marks, seq),
        archived=badge.is_archived(marks, seq),
        expires_ms=draft.expires_ms,
        snoozed_ms=badge.snoozed_until(marks, seq),
    )


def waiting_one(publish_ms: int, id: str, data: bytes, schedule: Schedule) -> Sent:
    note = schedule.note
    return Sent(
        id=id,
        state="scheduled",
        time_ms=publish_ms,
        category=note.category,
        topics=note.topics,
        data=data,
        publish_ms=publish_ms,
        collapse_key=note.collapse_key,
    )


def is_expired(draft: Draft, now_ms: int) -> bool:
    return draft.expires_ms is not None and draft.expires_ms <= now_ms


def has_words(note: Note, words: list[str] | None) -> bool:
    if words is None:
        return True
    known = [word.casefold() for word in words_of(f"{note.title} {note.text}")]
    return bool(words) and all(any(one.startswith(word) for one in known) for word in words)
