"""Counts of people reached: written in bounded steps, kept when the store fails, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from reddot.core import reached as module
from reddot.core.reached import Reached
from reddot.counters import Counters
from reddot.errors import ReddotError


class Paper:
    """`ports.Inbox.reached`, as long as it does not fail."""

    def __init__(self) -> None:
        self.written: list[dict[str, int]] = []
        self.fails = False

    async def reached(self, counts: Mapping[str, int]) -> None:
        if self.fails:
            raise ReddotError("store_unavailable")
        self.written.append(dict(counts))


def made() -> tuple[Reached, Paper, Counters]:
    paper, counters = Paper(), Counters()
    return Reached(inbox=paper, counters=counters), paper, counters  # type: ignore[arg-type]


def test_it_is_written_once_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_ROWS", 2)
    reached, paper, _ = made()
    for id in ("a", "b", "a", "c"):
        reached.add(id, 1)
    assert [reached.waiting(id) for id in "abcd"] == [2, 1, 1, 0]
    asyncio.run(reached.write())
    asyncio.run(reached.write())
    assert paper.written == [{"a": 2, "b": 1}, {"c": 1}]
    assert reached.waiting("a") == 0


def test_a_store_that_fails_loses_nothing() -> None:
    reached, paper, _ = made()
    reached.add("a", 1)
    paper.fails = True
    with pytest.raises(ReddotError):
        asyncio.run(reached.write())
    reached.add("a", 2)
    paper.fails = False
    asyncio.run(reached.write())
    assert paper.written == [{"a": 3}]


def test_what_is_too_much_is_counted_as_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    reached, _, counters = made()
    for id in ("a", "b", "c"):
        reached.add(id, 5)
    reached.add("a", 1)
    assert [reached.waiting(id) for id in "abc"] == [6, 5, 0]
    assert counters.reached_dropped == 5
