"""What the suites of a store share: drafts, and what a log holds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from reddot.model import Appended, Draft, Retention
from reddot.ports import Store
from tests.contract.conftest import NOW_MS, PLENTY, RetentionOf

FAR = 1 << 40


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def draft(topic: str = "a", data: bytes = b"1", **rest: Any) -> Draft:
    values: dict[str, Any] = {"id": "made-up", "time_ms": NOW_MS} | rest
    return Draft(topic=topic, data=data, **values)


def keyed(name: str, topic: str = "a", data: bytes = b"1", **rest: Any) -> Draft:
    return draft(topic, data, id=name, keyed=True, **rest)


def numbers(results: Sequence[Appended]) -> list[tuple[int, int]]:
    return [(r.publication.position, r.publication.offset) for r in results]


async def everything(store: Store, filters: Sequence[str] | None = None) -> list[bytes]:
    page = await store.read(filters, after=0, upto=store.head, limit=1000)
    assert page.upto == store.head
    return [p.data for p in page.publications]


def by_topic(**rules: Retention) -> RetentionOf:
    return lambda topic: rules.get(topic.partition("/")[0], PLENTY)


async def trim_all(store: Store, rows_max: int = 3) -> int:
    """Trim in small steps until nothing is left to do."""
    total = 0
    while count := await store.trim(rows_max=rows_max):
        assert count <= rows_max
        total += count
    return total


async def kept(store: Store, *filters: str, **bounds: int) -> list[tuple[str, bytes]]:
    values = {"after": 0, "upto": FAR, "limit": 100} | bounds
    found = await store.retained(filters, **values)
    assert [p.position for p in found] == sorted(p.position for p in found)
    return [(p.topic, p.data) for p in found]
