"""Counting is work that nobody waits for: it rests longer than it works."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest

from reddot.core.counting import REST, TURN_S, Counting
from reddot.core.reached import Reached
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.outreach import Campaign, Figures, Stage
from reddot.testing import FakeClock


class Slow:
    """Store and campaigns at once: two are due, and each question takes its time."""

    def __init__(self, *, forgotten: str = "", takes_s: float = 0.2) -> None:
        self.clock = FakeClock()
        self.written: dict[str, tuple[Sequence[Figures], int | None]] = {}
        self.forgotten = forgotten
        self.takes_s = takes_s
        inbox = cast("Any", self)
        self.counting = Counting(
            campaigns=inbox,
            queue=inbox,
            inbox=inbox,
            reached=Reached(inbox=inbox, counters=Counters()),
            clock=self.clock,
        )

    async def due_counts(self, *, limit: int) -> list[Campaign]:
        now_ms = self.clock.wall_ms()
        campaign = Campaign(
            id="a",
            stage=Stage.RUNNING,
            command=b"{}",
            start_ms=0,
            time_ms=0,
            sent=1,
            count_ms=now_ms,
        )
        return [campaign, msgspec.structs.replace(campaign, id="b")][:limit]

    async def figures(self, campaign: Campaign) -> Sequence[Figures]:
        return self.written.get(campaign.id, ((), None))[0]

    async def sent(self, **_: object) -> list[object]:
        self.clock.advance(self.takes_s)
        return []

    async def write_down_figures(
        self, id: str, series: Sequence[Figures], count_ms: int | None
    ) -> None:
        if id == self.forgotten:
            raise ReddotError("not_found", "no such campaign")
        self.written[id] = (series, count_ms)


def test_it_rests_many_times_as_long_as_it_has_worked() -> None:
    slow = Slow()
    assert asyncio.run(slow.counting.upkeep()) == pytest.approx(0.4 * REST)


def test_a_turn_begins_with_no_further_one_after_a_second() -> None:
    slow = Slow(takes_s=TURN_S)
    assert asyncio.run(slow.counting.upkeep()) == pytest.approx(TURN_S * REST)
    assert list(slow.written) == ["a"]


def test_what_is_not_kept_any_more_is_counted_no_more_and_one_that_is_gone_stops_no_other() -> None:
    slow = Slow(forgotten="a")
    asyncio.run(slow.counting.upkeep())
    assert slow.written == {"b": ((), None)}
