"""Every store against a plain list: random schedules of appends, reads, trims, time and restarts.

The list is the whole truth: it never deletes, and answers every question by looking at everything.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reddot.core.topics import is_exact, matches
from reddot.errors import ReddotError
from reddot.model import Appended, Draft, Publication, Retention
from reddot.ports import Store
from reddot.testing import FakeClock
from tests.contract.conftest import BACKENDS, DAY_MS, Backend, Settings, start

SEEDS = 20
STEPS = 70
TOPICS = ["a", "few", "few/1", "old", "old/1", "both/x", "users/7", "$s"]
FILTERS = [*TOPICS, "nobody", "#", "+", "few/#", "+/1", "users/+", "old/+", "$s/#"]
RULES = {
    "few": Retention(count=2, age_ms=DAY_MS),
    "old": Retention(count=1000, age_ms=5_000),
    "both": Retention(count=3, age_ms=7_000),
}


def retention(topic: str) -> Retention:
    return RULES.get(topic.partition("/")[0], Retention(count=1000, age_ms=40_000))


@dataclass(frozen=True)
class Part:
    """One draft of a batch, without its time."""

    topic: str
    data: bytes
    key: str | None
    ttl_ms: int | None
    retain: bool

    def draft(self, now_ms: int) -> Draft:
        return Draft(
            topic=self.topic,
            id=self.key or "made-up",
            keyed=self.key is not None,
            data=self.data,
            time_ms=now_ms,
            expires_ms=None if self.ttl_ms is None else now_ms + self.ttl_ms,
            retain=self.retain,
        )


def content(item: Draft | Publication) -> tuple[object, ...]:
    ttl = item.expires_ms and item.expires_ms - item.time_ms
    return item.topic, item.data, item.retain, item.binary, item.event, ttl


@dataclass
class Oracle:
    """The log as a list."""

    clock: FakeClock
    log: list[Publication] = field(default_factory=list)
    keys: dict[str, tuple[Publication, int]] = field(default_factory=dict)
    last_retained: dict[str, Publication] = field(default_factory=dict)

    def append(self, drafts: Sequence[Draft]) -> list[Appended] | None:
        """What the store has to answer; None: a conflict."""
        firsts: dict[str, Draft | Publication] = {
            key: p for key, (p, until) in self.keys.items() if until > self.clock.wall_ms()
        }
        for draft in drafts:
            if draft.keyed and content(firsts.setdefault(draft.id, draft)) != content(draft):
                return None
        return [self._append_one(draft) for draft in drafts]

    def _append_one(self, draft: Draft) -> Appended:
        first, until = self.keys.get(draft.id, (None, 0))
        if draft.keyed and first and until > self.clock.wall_ms():
            return Appended(first, True)
        values = {name: getattr(draft, name) for name in Draft.__struct_fields__}
        del values["keyed"], values["ephemeral"], values["retainer"]
        offset = 1 + sum(p.topic == draft.topic for p in self.log)
        publication = Publication(**values, position=len(self.log) + 1, offset=offset)
        self.log.append(publication)
        if draft.keyed:
            self.keys[draft.id] = publication, self.clock.wall_ms() + DAY_MS
        if draft.retain:
            self.last_retained[draft.topic] = publication
        return Appended(publication, False)

    def beyond(self, publication: Publication) -> bool:
        rule = retention(publication.topic)
        newest = max(p.offset for p in self.log if p.topic == publication.topic)
        return (
            publication.offset <= newest - rule.count
            or publication.time_ms < self.clock.wall_ms() - rule.age_ms
        )

    def shown(self, publication: Publication) -> bool:
        return not self.beyond(publication) and self.fresh(publication)

    def fresh(self, publication: Publication) -> bool:
        return not publication.expires_ms or publication.expires_ms > self.clock.wall_ms()

    def select(self, filters: Sequence[str] | None, *, after: int, upto: int) -> list[Publication]:
        """Everything ever stored on the filters, whether shown or not."""
        return [
            p
            for p in self.log[after:upto]
            if filters is None or any(matches(text, p.topic) for text in filters)
        ]

    def gone(self, filters: Sequence[str] | None, *, after: int, upto: int) -> set[str]:
        """Filters on which something is beyond retention."""
        if filters is None:
            return {"#"} if any(map(self.beyond, self.log[after:upto])) else set()
        return {
            text
            for text in filters
            if any(map(self.beyond, self.select([text], after=after, upto=upto)))
        }

    def retained(self, filters: Sequence[str]) -> list[Publication]:
        found = [
            p
            for p in self.last_retained.values()
            if p.data not in (b"", b"null")
            and self.fresh(p)
            and any(matches(text, p.topic) for text in filters)
        ]
        return sorted(found, key=lambda p: p.position)


class Run:
    """One schedule on one store."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        self.clock = FakeClock()
        self.oracle = Oracle(self.clock)
        self.met: Counter[str] = Counter()
        self._backend = backend
        self._settings = Settings(folder, self.clock, retention)
        self.store: Store = backend.make(self._settings)

    async def append(self, *batches: list[Part]) -> None:
        """Batches that wait together."""
        drafts = [[part.draft(self.clock.wall_ms()) for part in batch] for batch in batches]
        waiting = [start(self.store, *batch) for batch in drafts]
        for batch, answer in zip(drafts, waiting, strict=True):
            result = await answer
            expected = self.oracle.append(batch)
            if expected is None:
                self.met["conflict"] += 1
                assert isinstance(result, ReddotError)
                assert result.code == "id_conflict"
            else:
                self.met["duplicate"] += sum(appended.duplicate for appended in expected)
                assert result == expected
        assert self.store.head == len(self.oracle.log)

    async def read(self, filters: list[str] | None, back: int, limit: int) -> None:
        after = max(0, self.store.head - back)
        exact = filters is not None and all(map(is_exact, filters))
        while after < self.store.head:
            page = await self.store.read(filters, after=after, upto=self.store.head, limit=limit)
            assert after < page.upto <= self.store.head
            assert len(page.publications) <= limit
            between = self.oracle.select(filters, after=after, upto=page.upto)
            assert list(page.publications) == [p for p in between if self.oracle.shown(p)]
            told = [gap.topic for gap in page.gaps]
            assert len(set(told)) == len(told)
            all_gone = self.oracle.gone(filters, after=after, upto=self.store.head)
            assert set(told) <= all_gone
            assert set(told) >= (
                all_gone if exact else self.oracle.gone(filters, after=after, upto=page.upto)
            )
            self.met["gap"] += bool(told)
            self.met["short"] += len(page.publications) < min(limit, len(between))
            self.met["full"] += len(page.publications) == limit
            after = page.upto

    async def history(self, topic: str, before: int | None, limit: int) -> None:
        found = await self.store.history(topic, before=before, limit=limit)
        assert (
            list(found)
            == [
                p
                for p in reversed(self.oracle.log)
                if p.topic == topic and (not before or p.offset < before) and self.oracle.shown(p)
            ][:limit]
        )

    async def retained(self, filters: list[str], limit: int) -> None:
        found: list[Publication] = []
        after = 0
        while page := await self.store.retained(
            filters, after=after, upto=self.store.head, limit=limit
        ):
            assert len(page) <= limit
            found += page
            after = page[-1].position
        assert found == self.oracle.retained(filters)
        # `$` and users' topics are behind no wildcard; `retained_count` knows of no expiry.
        assert self.store.retained_count >= len(self.oracle.retained(TOPICS))

    async def trim(self, rows_max: int) -> None:
        assert 0 <= await self.store.trim(rows_max=rows_max) <= rows_max

    async def trim_all(self) -> None:
        while await self.store.trim(rows_max=4):
            pass
        assert self.store.retained_count == len(self.oracle.retained(TOPICS))

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def restart(self) -> None:
        if self._backend.lasting:
            await self.store.aclose()
            self.store = self._backend.make(self._settings)
            await self.store.open()
            assert self.store.head == len(self.oracle.log)


def choose_part(chance: random.Random) -> Part:
    if chance.random() < 0.2:  # What a retry looks like.
        return Part("few", b"1", key=chance.choice(["k1", "k2"]), ttl_ms=9_000, retain=False)
    return Part(
        topic=chance.choice(TOPICS),
        data=chance.choice([b"1", b'"two"', b"null", b""]),
        key=chance.choice([None] * 20 + ["k1", "k2", "k3"]),
        ttl_ms=chance.choice([None, None, 1_000, 8_000]),
        retain=chance.random() < 0.3,
    )


def choose_step(chance: random.Random) -> tuple[Any, ...]:
    """A step as its name and its arguments."""

    def some(values: Sequence[Any], most: int) -> list[Any]:
        return chance.choices(values, k=chance.randint(0, most))

    limit = chance.randint(1, 6)
    names = ["append", "read", "history", "retained", "trim", "trim_all", "advance", "restart"]
    match chance.choices(names, weights=[8, 8, 2, 2, 2, 1, 3, 1])[0]:
        case "append":
            batches = [[choose_part(chance) for _ in range(chance.randint(0, 4))] for _ in "123"]
            return "append", *batches
        case "read":
            filters = None if chance.random() < 0.2 else some(FILTERS, 4)
            return "read", filters, chance.randint(0, 60), limit
        case "history":
            before = chance.choice([None, chance.randint(1, 30)])
            return "history", chance.choice(TOPICS), before, limit
        case "retained":
            return "retained", some(FILTERS, 4), limit
        case "advance":
            return "advance", chance.choice([0.001, 0.5, 1, 1, 4, 5, 7, 41, DAY_MS / 1000])
        case "trim":
            return "trim", limit
        case name:
            return (name,)


async def follow(backend: Backend, schedule: list[tuple[Any, ...]], folder: Path) -> Counter[str]:
    run = Run(backend, folder)
    await run.store.open()
    try:
        for name, *arguments in schedule:
            await getattr(run, name)(*arguments)
        await run.read(None, back=1000, limit=100)
        await run.trim_all()
        await run.read(None, back=1000, limit=100)
        for topic in TOPICS:
            await run.history(topic, before=None, limit=100)
    finally:
        await run.store.aclose()
    return run.met


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_store_answers_as_a_list_would(backend: Backend) -> None:
    met: Counter[str] = Counter()
    for seed in range(SEEDS):
        chance = random.Random(seed)
        schedule = [choose_step(chance) for _ in range(STEPS)]
        with tempfile.TemporaryDirectory() as folder:
            try:
                met += asyncio.run(follow(backend, schedule, Path(folder)))
            except Exception as error:
                lines = "\n".join(map(repr, schedule))
                error.add_note(f"seed {seed}, after these steps or some of them:\n{lines}")
                raise
    # A schedule that never comes to the hard parts proves nothing.
    assert min(met[hard] for hard in ("conflict", "duplicate", "gap", "short", "full")) > SEEDS
