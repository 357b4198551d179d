"""The newest publications in memory: most resumes never touch the disk.

It is also the one hold buffer of the node. A session that is catching up holds nothing of its
own: what is published meanwhile is here, and the step from history to live takes it from here in
one loop turn. Bounded by count and bytes; what is evicted is still in the store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import takewhile

import msgspec

from reddot.core.topics import is_exact, matches
from reddot.model import Publication

_OVERHEAD_BYTES = 400
"""What a publication costs beside its data: the struct, its strings, its places in two queues."""


class Recent:
    """Durable publications with `floor` < position, up to the newest dispatched one.

    Args:
        floor: the position before the first one that will be added.
    """

    def __init__(self, *, floor: int, publications_max: int, bytes_max: int) -> None:
        self.floor = floor
        self._publications_max = publications_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._log: deque[Publication] = deque()
        self._topics: dict[str, deque[Publication]] = {}

    def __len__(self) -> int:
        return len(self._log)

    def add(self, publication: Publication) -> None:
        """Add the next one; positions grow."""
        log, name = self._log, publication.topic
        log.append(publication)
        topic = self._topics.get(name)
        if topic is None:
            self._topics[name] = deque((publication,))
        else:
            topic.append(publication)
        self._bytes += len(publication.data) + _OVERHEAD_BYTES
        while len(log) > self._publications_max or self._bytes > self._bytes_max:
            self._evict()

    def clear(self, *, floor: int) -> None:
        """Forget everything; resumes from below `floor` will ask the store."""
        self._log.clear()
        self._topics.clear()
        self._bytes = 0
        self.floor = floor

    def silence(self, topic: str, id: str | None) -> None:
        """Let publications of a topic expire at once: those of an id, or all."""
        kept = self._topics.get(topic, ())
        for one in [one for one in kept if id is None or one.id == id]:
            dead = msgspec.structs.replace(one, data=b"null", expires_ms=0, inbox=None)
            for log in (self._log, self._topics[topic]):
                log[bisect_left(log, one.position, key=lambda p: p.position)] = dead
            self._bytes -= len(one.data) - len(dead.data)

    def _evict(self) -> None:
        oldest = self._log.popleft()
        self.floor = oldest.position
        self._bytes -= len(oldest.data) + _OVERHEAD_BYTES
        topic = self._topics[oldest.topic]
        topic.popleft()
        if not topic:
            del self._topics[oldest.topic]

    def since(self, filters: Sequence[str], after: int) -> list[Publication] | None:
        """All publications on the filters above position `after`, in order; None if some may
        have been evicted. Costs no more than what lies above `after`."""
        if after < self.floor:
            return None
        if not self._log or self._log[-1].position <= after:
            return []
        if all(map(is_exact, filters)):
            found: list[Publication] = []
            for topic in filters:
                newest_first = reversed(self._topics.get(topic, ()))
                found += takewhile(lambda p: p.position > after, newest_first)
            found.sort(key=lambda p: p.position)
            return found
        wanted = list(self._wanted(filters, after))
        wanted.reverse()
        return wanted

    def _wanted(self, filters: Sequence[str], after: int) -> Iterator[Publication]:
        verdicts: dict[str, bool] = {}
        for publication in reversed(self._log):
            if publication.position <= after:
                return
            topic = publication.topic
            verdict = verdicts.get(topic)
            if verdict is None:
                verdict = verdicts[topic] = any(matches(text, topic) for text in filters)
            if verdict:
                yield publication
