"""The log in memory: the reference implementation of `ports.Store`, and a real one.

For tests and throw-away servers. What it acknowledges lives as long as the process.
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence

from reddot.core.topics import matches
from reddot.errors import ReddotError
from reddot.model import Appended, Draft, Gap, Page, Publication, Retention
from reddot.ports import AppendDone, Clock


def _digest(draft: Draft) -> bytes:
    """What must be equal for two drafts with one id to be the same publication."""
    ttl = None if draft.expires_ms is None else draft.expires_ms - draft.time_ms
    about = repr((draft.topic, draft.event, ttl, draft.retain, draft.binary)).encode()
    return hashlib.blake2b(about + draft.data, digest_size=16).digest()


class _Topic:
    """The publications of one topic that are kept, and the highest position that is not."""

    __slots__ = ("kept", "offset", "trimmed")

    def __init__(self) -> None:
        self.kept: list[Publication] = []
        self.offset = 0
        self.trimmed = 0


class MemoryStore:
    """See `ports.Store`.

    Args:
        retention: how much of a topic is kept.
        epoch: of this log; a new one for every process.
        idempotency_ms: how long a publisher's id is remembered.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        retention: Callable[[str], Retention],
        epoch: int,
        idempotency_ms: int = 86_400_000,
    ) -> None:
        self._clock = clock
        self._retention = retention
        self._epoch = epoch
        self._idempotency_ms = idempotency_ms
        self._head = 0
        self._topics: dict[str, _Topic] = {}
        self._retained: dict[str, Publication] = {}
        self._keys: dict[str, tuple[bytes, Publication, int]] = {}
        self._closed = False

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def head(self) -> int:
        return self._head

    @property
    def retained_count(self) -> int:
        return len(self._retained)

    async def open(self) -> None:
        """Nothing to open."""

    def describe(self) -> str:
        return "memory"

    def append(self, drafts: Sequence[Draft], done: AppendDone) -> None:
        if self._closed:
            result: Sequence[Appended] | ReddotError = ReddotError("store_unavailable", "closed")
        else:
            result = self._append(drafts)
        asyncio.get_running_loop().call_soon(done, result)

    def _append(self, drafts: Sequence[Draft]) -> Sequence[Appended] | ReddotError:
        batch: dict[str, bytes] = {}
        for draft in drafts:
            if draft.keyed:
                digest = _digest(draft)
                known = batch.get(draft.id) or self._known(draft.id)
                if known not in (None, digest):
                    return ReddotError("id_conflict", f"id {draft.id!r}")
                batch[draft.id] = digest
        return [self._store(draft) for draft in drafts]

    def _known(self, id_: str) -> bytes | None:
        found = self._keys.get(id_)
        if found is None or found[2] <= self._clock.wall_ms():
            return None
        return found[0]

    def _store(self, draft: Draft) -> Appended:
        if draft.keyed and self._known(draft.id) is not None:
            return Appended(self._keys[draft.id][1], duplicate=True)
        topic = self._topics.setdefault(draft.topic, _Topic())
        topic.offset += 1
        self._head += 1
        publication = Publication(
            topic=draft.topic,
            id=draft.id,
            data=draft.data,
            time_ms=draft.time_ms,
            event=draft.event,
            offset=topic.offset,
            position=self._head,
            expires_ms=draft.expires_ms,
            retain=draft.retain,
            binary=draft.binary,
        )
        topic.kept.append(publication)
        if draft.keyed:
            until = self._clock.wall_ms() + self._idempotency_ms
            self._keys[draft.id] = (_digest(draft), publication, until)
        if draft.retain:
            if draft.data in (b"", b"null"):
                self._retained.pop(draft.topic, None)
            else:
                self._retained[draft.topic] = publication
        return Appended(publication, duplicate=False)

    async def read(
        self, filters: Sequence[str] | None, *, after: int, upto: int, limit: int
    ) -> Page:
        upto = min(upto, self._head)
        found: list[Publication] = []
        gaps: dict[str, Gap] = {}
        for name, topic in self._topics.items():
            wanted = [t for t in filters if matches(t, name)] if filters is not None else ["#"]
            if not wanted:
                continue
            self._cut(name, topic)
            if topic.trimmed > after:
                gaps.update((text, Gap(text, "trimmed")) for text in wanted)
            start = bisect_right(topic.kept, after, key=lambda p: p.position)
            found += topic.kept[start:]
        found = sorted((p for p in found if p.position <= upto), key=lambda p: p.position)
        if len(found) > limit:
            found = found[:limit]
            upto = found[-1].position
        now = self._clock.wall_ms()
        live = tuple(p for p in found if p.expires_ms is None or p.expires_ms > now)
        return Page(publications=live, upto=max(after, upto), gaps=tuple(gaps.values()))

    def _cut(self, name: str, topic: _Topic) -> int:
        """Drop what retention does not keep any more; returns how many."""
        retention = self._retention(name)
        oldest_ms = self._clock.wall_ms() - retention.age_ms
        cut = max(0, len(topic.kept) - retention.count)
        while cut < len(topic.kept) and topic.kept[cut].time_ms < oldest_ms:
            cut += 1
        if cut:
            topic.trimmed = topic.kept[cut - 1].position
            del topic.kept[:cut]
        return cut

    async def history(self, topic: str, *, before: int | None, limit: int) -> Sequence[Publication]:
        found = self._topics.get(topic)
        if found is None:
            return ()
        self._cut(topic, found)
        now = self._clock.wall_ms()
        live = [
            p
            for p in reversed(found.kept)
            if (before is None or p.offset < before) and (p.expires_ms is None or p.expires_ms > now)
        ]
        return live[:limit]

    async def retained(
        self, filters: Sequence[str], *, after: int, upto: int, limit: int
    ) -> Sequence[Publication]:
        now = self._clock.wall_ms()
        found = [
            p
            for p in self._retained.values()
            if after < p.position <= upto
            and (p.expires_ms is None or p.expires_ms > now)
            and any(matches(text, p.topic) for text in filters)
        ]
        return sorted(found, key=lambda p: p.position)[:limit]

    async def trim(self, *, rows_max: int) -> int:
        """Unlike a disk, memory is trimmed whole; the answer is never more than `rows_max`."""
        now = self._clock.wall_ms()
        for id_ in [id_ for id_, key in self._keys.items() if key[2] <= now]:
            del self._keys[id_]
        cut = sum(self._cut(name, topic) for name, topic in self._topics.items())
        return min(cut, rows_max - 1)

    async def aclose(self) -> None:
        self._closed = True
