"""What is true in the simulated world, kept apart from the code under test, and how it is judged.

`Log` is a plain list of what the store has committed. `selects` says what a filter means, written
another way than the product's. A broken promise raises `Violation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from reddot.model import Draft, Publication, Retention


class Violation(AssertionError):
    """A promise of the server was broken."""


@lru_cache(maxsize=4096)
def selects(text: str, topic: str) -> bool:
    """Whether a filter selects a topic (MQTT 5.0 section 4.7), by recursion over its levels."""
    guarded = topic.startswith("$") or topic.split("/")[0] == "users"
    if guarded and text[0] in "+#":
        return False
    return _selects(tuple(text.split("/")), tuple(topic.split("/")))


def _selects(text: tuple[str, ...], topic: tuple[str, ...]) -> bool:
    if not text:
        return not topic
    if text[0] == "#":
        return True
    if not topic:
        return text == ("#",)
    return text[0] in ("+", topic[0]) and _selects(text[1:], topic[1:])


def selected(filters: Iterable[str], topic: str) -> bool:
    return any(selects(text, topic) for text in filters)


class Log:
    """The list of committed publications of one store, by position.

    Args:
        retention: how much of a topic is kept.

    Attributes:
        retained: per topic, the publication that a new subscriber is handed.
        keyed: what each publisher's id was stored as.
    """

    def __init__(self, epoch: int, retention: Callable[[str], Retention]) -> None:
        self.epoch = epoch
        self._retention = retention
        self.rows: list[Publication] = []
        self.retained: dict[str, Publication] = {}
        self.keyed: dict[str, Publication] = {}
        self._offsets: dict[str, int] = {}

    @property
    def head(self) -> int:
        return len(self.rows)

    def at(self, position: int) -> Publication:
        if not 1 <= position <= len(self.rows):
            raise Violation(f"position {position} was never committed")
        return self.rows[position - 1]

    def after(self, position: int, upto: int | None = None) -> Iterator[Publication]:
        yield from self.rows[position : self.head if upto is None else upto]

    def commit(self, publication: Publication, draft: Draft) -> None:
        """Record what the store says it has stored, and check its numbers."""
        offset = self._offsets.get(publication.topic, 0) + 1
        if (publication.position, publication.offset) != (self.head + 1, offset):
            raise Violation(f"numbers are not contiguous: {publication}")
        if (publication.topic, publication.data) != (draft.topic, draft.data):
            raise Violation(f"stored something else: {publication}")
        self._offsets[publication.topic] = offset
        self.rows.append(publication)
        if draft.keyed:
            self.keyed[draft.id] = publication
        if draft.retain:
            self.retained[draft.topic] = publication

    def gone(self, now_ms: int) -> Iterator[Publication]:
        """What retention has taken away."""
        for publication in self.rows:
            retention = self._retention(publication.topic)
            over = publication.offset <= self._offsets[publication.topic] - retention.count
            if over or publication.time_ms < now_ms - retention.age_ms:
                yield publication


def expired(publication: Publication, now_ms: int) -> bool:
    return publication.expires_ms is not None and publication.expires_ms <= now_ms
