"""The reference store: the whole log in memory. For tests and throw-away servers. Layer: stores.

A real back end under the same contract, only that nothing outlives the process. Written to be
read: where it and another store differ, this one shows what was meant.

Invariants: of each topic only the oldest publications are deleted, so the offsets that are left
have no hole; `head` moves when an append is answered, not before.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import islice
from operator import attrgetter
from typing import Final

import msgspec
import structlog

from reddot.core.retaining import NOBODY, Retainers, clears
from reddot.core.topics import is_exact, matches
from reddot.errors import ReddotError
from reddot.inbox import Keep
from reddot.model import (
    USERS_ROOT,
    Appended,
    ClientRow,
    Draft,
    Gap,
    Page,
    Publication,
    RetainedLimits,
    Retention,
    TopicState,
)
from reddot.outreach import DeliveryKeep
from reddot.ports import AppendDone, ClientRows, Clock, Deliveries, Inbox
from reddot.stores.memory_deliveries import MemoryDeliveries
from reddot.stores.memory_inbox import MemoryInbox

QUEUE_DRAFTS_MAX: Final = 10_000
IDEMPOTENCY_MS: Final = 86_400_000
# How many positions one read by wildcard may look at.
SCAN_ROWS_MAX: Final = 5_000
KEEP_DEFAULT: Final = Keep()
DELIVERY_KEEP_DEFAULT: Final = DeliveryKeep()
RETAINED_DEFAULT: Final = RetainedLimits()

_log = structlog.get_logger(__name__)

_position = attrgetter("position")
_Content = tuple[object, ...]


class _Topic:
    """One topic.

    Attributes:
        top: offset of its newest publication, kept or not.
        trimmed: position of the newest deleted one.
        kept: its publications, oldest first.
    """

    __slots__ = ("kept", "name", "retention", "top", "trimmed")

    def __init__(self, name: str, retention: Retention) -> None:
        self.name = name
        self.retention = retention
        self.top = 0
        self.trimmed = 0
        self.kept: list[Publication] = []

    def beyond(self, publication: Publication, now_ms: int) -> bool:
        """Whether a publication is beyond retention."""
        return (
            publication.offset <= self.top - self.retention.count
            or publication.time_ms < now_ms - self.retention.age_ms
        )

    def gone_after(self, position: int, now_ms: int) -> bool:
        """Whether something after `position` was deleted, or could be."""
        first = bisect_right(self.kept, position, key=_position)
        beyond = first < len(self.kept) and self.beyond(self.kept[first], now_ms)
        return beyond or self.trimmed > position

    def due_ms(self) -> int:
        """When the oldest one passes the age limit."""
        return self.kept[0].time_ms + self.retention.age_ms + 1


class MemoryClients:
    """`ports.ClientRows` in memory."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], ClientRow] = {}

    def store(self, rows: Sequence[ClientRow]) -> None:
        for row in rows:
            self._rows.pop((row.owner, row.client), None)
            if row.state is not None:
                self._rows[row.owner, row.client] = row

    async def load(self, owner: str, client: str) -> ClientRow | None:
        return self._rows.get((owner, client))

    async def woken(self, *, first_ms: int, last_ms: int, limit: int) -> Sequence[ClientRow]:
        found = [row for row in self._rows.values() if first_ms <= row.wake_ms <= last_ms]
        return sorted(found, key=attrgetter("wake_ms"))[:limit]


class MemoryStore:
    """`ports.Store` in memory: durable as long as the process.

    Args:
        retention: how much of a topic is kept; must always answer the same.
        epoch: of this log; a new one for every process.
        queue_drafts_max: drafts that may wait for their answer; one more is `overloaded`.
        idempotency_ms: how long the id of a keyed draft is remembered.
        keep: how much is kept for inboxes.
        keep_deliveries: how much is kept of deliveries.
        retained: how many topics may be retained.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        retention: Callable[[str], Retention],
        epoch: int,
        queue_drafts_max: int = QUEUE_DRAFTS_MAX,
        idempotency_ms: int = IDEMPOTENCY_MS,
        keep: Keep = KEEP_DEFAULT,
        keep_deliveries: DeliveryKeep = DELIVERY_KEEP_DEFAULT,
        retained: RetainedLimits = RETAINED_DEFAULT,
    ) -> None:
        self._clock = clock
        self._retention = retention
        self._inbox = MemoryInbox(
            clock=clock,
            keep=keep,
            retention=retention,
            place=self._place,
            silence=self._silence,
            last=lambda: self._last,
            deliver=lambda sending: self._deliveries.begin(sending),
            erased=self._erased,
        )
        self._deliveries = MemoryDeliveries(clock=clock, keep=keep_deliveries, inbox=self._inbox)
        self._epoch = epoch
        self._queue_drafts_max = queue_drafts_max
        self._idempotency_ms = idempotency_ms
        self._head = 0
        self._last = 0
        self._waiting = 0
        self._closed = False
        self._log: dict[int, Publication] = {}
        self._topics: dict[str, _Topic] = {}
        # By position of what is retained; a topic has one at most. And whose it is.
        self._retained: dict[str, Publication] = {}
        self._retainer: dict[str, str] = {}
        self._retainers = Retainers(retained, {})
        # The first publication, until when it is known, and its content.
        self._keys: dict[str, tuple[Publication, int, _Content]] = {}
        # What `trim` has to look at: topics over their count, and (due_ms, name) of the others.
        self._over: dict[str, None] = {}
        self._due: list[tuple[int, str]] = []
        self._clients = MemoryClients()
        self._answers: list[tuple[AppendDone, Sequence[Appended] | ReddotError, int, int]] = []

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def head(self) -> int:
        return self._head

    @property
    def retained_count(self) -> int:
        return len(self._retained)

    @property
    def inbox(self) -> Inbox:
        return self._inbox

    @property
    def clients(self) -> ClientRows:
        return self._clients

    @property
    def deliveries(self) -> Deliveries:
        return self._deliveries

    async def open(self) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        """Answer what was appended, then refuse. Safe to call twice."""
        self._closed = True
        while self._waiting:  # noqa: ASYNC110 - answers are in the loop's queue already
            await asyncio.sleep(0)

    # ---- writing ----

    def append(
        self, drafts: Sequence[Draft], done: AppendDone, clients: Sequence[ClientRow] = ()
    ) -> None:
        """As `ports.Store.append`."""
        result: Sequence[Appended] | ReddotError
        counted = 0
        if self._closed:
            result = ReddotError("store_unavailable", "the store is closed")
        elif self._waiting + len(drafts) > self._queue_drafts_max:
            result = ReddotError("overloaded", "too many appends wait")
        else:
            counted = len(drafts)
            result = self._refusal(drafts) or self._append_all(drafts)
            if clients and not isinstance(result, ReddotError):
                self._clients.store(clients)
        self._waiting += counted
        if not self._answers:
            asyncio.get_running_loop().call_soon(self._answer)
        self._answers.append((done, result, counted, self._last))

    def _answer(self) -> None:
        """Everything that was appended in one turn, in its order."""
        answers, self._answers = self._answers, []
        for done, result, counted, head in answers:
            self._waiting -= counted
            self._head = head
            try:
                done(result)
            except Exception:  # noqa: BLE001 - the boundary: logged, and the others go on
                _log.exception("store_done_failed")

    def _refusal(self, drafts: Sequence[Draft]) -> ReddotError | None:
        """Why a batch is not stored; most drafts cannot be refused."""
        for draft in drafts:
            if draft.keyed or draft.retain:
                return self._conflict(drafts) or self._full(drafts)
        return None

    def _conflict(self, drafts: Sequence[Draft]) -> ReddotError | None:
        """The error if an id of the batch stands for other content, stored or in the batch."""
        fresh: dict[str, _Content] = {}
        for draft in drafts:
            if draft.keyed:
                content = _content(draft)
                first = self._key(draft.id)
                if content != (first[2] if first else fresh.setdefault(draft.id, content)):
                    return ReddotError("id_conflict", f"the id {draft.id!r} has other content")
        return None

    def _full(self, drafts: Sequence[Draft]) -> ReddotError | None:
        """The error if a batch would retain more topics than are allowed."""
        last = {
            draft.topic: draft
            for draft in drafts
            if draft.retain and not (draft.keyed and self._key(draft.id))
        }
        return self._retainers.check(
            (self._retainer.get(name), None if clears(draft) else draft.retainer)
            for name, draft in last.items()
        )

    def _key(self, name: str) -> tuple[Publication, int, _Content] | None:
        found = self._keys.get(name)
        if found is None or found[1] <= self._clock.wall_ms():
            return None
        return found

    def _append_all(self, drafts: Sequence[Draft]) -> Sequence[Appended] | ReddotError:
        try:
            if len(drafts) == 1:
                return [self._append_one(drafts[0])]
            return [self._append_one(draft) for draft in drafts]
        except ReddotError as error:  # Of an inbox draft, which comes alone.
            return error

    def _append_one(self, draft: Draft) -> Appended:
        if draft.keyed and (first := self._key(draft.id)) is not None:
            return Appended(first[0], True)
        if draft.inbox is not None:
            appended = self._inbox.store(draft)
        else:
            appended = Appended(self._place(draft.topic, draft), False)
        if draft.keyed:
            until_ms = self._clock.wall_ms() + self._idempotency_ms
            first_one = msgspec.structs.replace(appended.publication, inbox=None)
            self._keys.pop(draft.id, None)
            self._keys[draft.id] = (first_one, until_ms, _content(draft))
        return appended

    def _place(self, name: str, draft: Draft) -> Publication:
        """The next publication of a topic, made from a draft."""
        topic = self._topics.get(name)
        if topic is None:
            topic = _Topic(name, self._retention(name))
            self._topics[name] = topic
        self._last += 1
        topic.top += 1
        publication = Publication(
            topic=name,
            id=draft.id,
            data=draft.data,
            time_ms=draft.time_ms,
            event=draft.event,
            offset=topic.top,
            position=self._last,
            expires_ms=draft.expires_ms,
            retain=draft.retain,
            binary=draft.binary,
            qos=draft.qos,
            properties=draft.properties,
            source=draft.source,
        )
        self._log[self._last] = publication
        topic.kept.append(publication)
        if len(topic.kept) == 1:
            heappush(self._due, (topic.due_ms(), topic.name))
        if len(topic.kept) > topic.retention.count:
            self._over[topic.name] = None
        if draft.retain:
            self._retain(publication, None if clears(draft) else draft.retainer)
        return publication

    def _silence(self, name: str, id: str | None) -> None:
        """Let publications of a topic expire at once: those of an id, or all."""
        kept = self._topics[name].kept if name in self._topics else []
        for index, one in enumerate(kept):
            if id is None or one.id == id:
                dead = msgspec.structs.replace(one, data=b"null", expires_ms=0)
                self._log[one.position] = kept[index] = dead

    def _retain(self, publication: Publication, retainer: str | None) -> None:
        name = publication.topic
        self._forget_retained(name)
        if retainer is not None:
            self._retainers.change(None, retainer)
            self._retainer[name] = retainer
            self._retained[name] = publication

    def _forget_retained(self, name: str) -> None:
        if self._retained.pop(name, None) is not None:
            self._retainers.change(self._retainer.pop(name), None)

    def _erased(self, user: str) -> None:
        """Forget a person; what they have retained for others stays, and is nobody's."""
        self._deliveries.erase(user)
        self._forget_retained(f"{USERS_ROOT}/{user}")
        for name in [name for name, retainer in self._retainer.items() if retainer == user]:
            self._retainers.change(user, NOBODY)
            self._retainer[name] = NOBODY

    # ---- trimming ----

    async def trim(self, *, rows_max: int) -> int:
        """As `ports.Store.trim`. Expired retained publications count as rows."""
        now_ms = self._clock.wall_ms()
        left = rows_max
        while left and self._over:
            left -= self._trim_topic(next(iter(self._over)), now_ms, left)
        while left and self._due and self._due[0][0] <= now_ms:
            _, name = heappop(self._due)
            topic = self._topics[name]
            left -= self._trim_topic(name, now_ms, left)
            if topic.kept:
                heappush(self._due, (topic.due_ms(), name))
        left -= self._trim_keys(now_ms, left)
        left -= self._trim_retained(now_ms, left)
        return rows_max - left

    def _trim_topic(self, name: str, now_ms: int, rows_max: int) -> int:
        topic = self._topics[name]
        count = 0
        while count < min(len(topic.kept), rows_max) and topic.beyond(topic.kept[count], now_ms):
            topic.trimmed = topic.kept[count].position
            del self._log[topic.trimmed]
            count += 1
        del topic.kept[:count]
        if len(topic.kept) <= topic.retention.count:
            self._over.pop(name, None)
        return count

    def _trim_keys(self, now_ms: int, rows_max: int) -> int:
        stale = []
        for name, (_, until_ms, _) in islice(self._keys.items(), rows_max):
            if until_ms > now_ms:
                break
            stale.append(name)
        for name in stale:
            del self._keys[name]
        return len(stale)

    def _trim_retained(self, now_ms: int, rows_max: int) -> int:
        expired = (p.topic for p in self._retained.values() if _expired(p, now_ms))
        stale = list(islice(expired, rows_max))
        for name in stale:
            self._forget_retained(name)
        return len(stale)

    # ---- reading ----

    async def read(
        self, filters: Sequence[str] | None, *, after: int, upto: int, limit: int
    ) -> Page:
        """As `ports.Store.read`. Gaps of `filters` None are told as those of the filter `#`."""
        assert limit > 0
        upto = min(upto, self._head)
        if upto <= after:
            return Page(publications=(), upto=after)
        now_ms = self._clock.wall_ms()
        wild = filters is None or not all(map(is_exact, filters))
        if wild:
            upto = min(upto, after + SCAN_ROWS_MAX)
            candidates = self._in_window(filters, after, upto)
        else:
            candidates = self._of_topics(filters or (), after, upto)
        found = [p for p in candidates if self._shown(p, now_ms)]
        if len(found) > limit:
            del found[limit:]
            upto = found[-1].position
        hidden = {p.topic for p in candidates if self._topics[p.topic].beyond(p, now_ms)}
        gone = hidden | self._trimmed_topics(filters, after, now_ms)
        gaps = ["#"] if filters is None else dict.fromkeys(filters)
        return Page(
            publications=tuple(found),
            upto=upto,
            gaps=tuple(
                Gap(text, "trimmed")
                for text in gaps
                if any(filters is None or matches(text, name) for name in gone)
            ),
        )

    async def at(self, position: int) -> Publication | None:
        """As `ports.Store.at`."""
        found = self._log.get(position)
        if found is None or self._topics[found.topic].beyond(found, self._clock.wall_ms()):
            return None
        return found

    def _in_window(self, filters: Sequence[str] | None, after: int, upto: int) -> list[Publication]:
        """Everything on the filters, by looking at each position."""
        found = (self._log.get(position) for position in range(after + 1, upto + 1))
        return [
            p
            for p in found
            if p is not None and (filters is None or any(matches(f, p.topic) for f in filters))
        ]

    def _of_topics(self, names: Sequence[str], after: int, upto: int) -> list[Publication]:
        """Everything on filters without wildcards."""
        found: list[Publication] = []
        for name in dict.fromkeys(names):
            if (topic := self._topics.get(name)) is not None:
                first = bisect_right(topic.kept, after, key=_position)
                last = bisect_right(topic.kept, upto, key=_position)
                found += topic.kept[first:last]
        return sorted(found, key=_position)

    def _shown(self, publication: Publication, now_ms: int) -> bool:
        beyond = self._topics[publication.topic].beyond(publication, now_ms)
        return not beyond and not _expired(publication, now_ms)

    def _trimmed_topics(self, filters: Sequence[str] | None, after: int, now_ms: int) -> set[str]:
        """Topics of which something after `after` is beyond retention, deleted or not.

        Only the first one that is left is asked: the others are younger. Looks at every topic if
        there is a wildcard.
        """
        names: Iterable[str] = self._topics
        if filters is not None and all(map(is_exact, filters)):
            names = filters
        topics = filter(None, map(self._topics.get, names))
        return {topic.name for topic in topics if topic.gone_after(after, now_ms)}

    async def history(self, topic: str, *, before: int | None, limit: int) -> Sequence[Publication]:
        """As `ports.Store.history`."""
        if (found := self._topics.get(topic)) is None:
            return []
        now_ms = self._clock.wall_ms()
        newest_first = (
            p
            for p in reversed(found.kept)
            if (before is None or p.offset < before) and self._shown(p, now_ms)
        )
        return list(islice(newest_first, limit))

    async def topics(self, *, prefix: str, after: str, limit: int) -> Sequence[TopicState]:
        """As `ports.Store.topics`."""
        wanted = [name for name in self._topics if name.startswith(prefix) and name > after]
        return [self._state(name) for name in sorted(wanted)[:limit]]

    def _state(self, name: str) -> TopicState:
        topic, now_ms = self._topics[name], self._clock.wall_ms()
        retained = self._retained.get(name)
        return TopicState(
            topic=name,
            offset=topic.top,
            kept=min(len(topic.kept), topic.retention.count),
            retained=retained is not None and not _expired(retained, now_ms),
            time_ms=topic.kept[-1].time_ms if topic.kept else None,
        )

    async def retained(
        self, filters: Sequence[str], *, after: int, upto: int, limit: int
    ) -> Sequence[Publication]:
        """As `ports.Store.retained`. By position: what is retained anew goes to the end."""
        now_ms = self._clock.wall_ms()
        found = (
            p
            for p in self._retained.values()
            if after < p.position <= upto
            and not _expired(p, now_ms)
            and any(matches(text, p.topic) for text in filters)
        )
        return list(islice(found, limit))


def _expired(publication: Publication, now_ms: int) -> bool:
    return publication.expires_ms is not None and publication.expires_ms <= now_ms


def _content(item: Draft) -> _Content:
    """What has to be equal for a retry to be one."""
    if item.inbox is not None:
        return ("inbox", item.inbox.identity)
    ttl = None if item.expires_ms is None else item.expires_ms - item.time_ms
    return (item.topic, item.event, item.data, item.retain, item.binary, item.properties, ttl)
