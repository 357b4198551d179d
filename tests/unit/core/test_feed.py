"""Hints in any order become the order of the log; what the bus has lost is read from the store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reddot.core import feed as feed_module
from reddot.core.feed import Feed
from reddot.errors import ReddotError
from reddot.model import Publication, Retention
from reddot.stores.memory import MemoryStore
from tests.unit.core.rig import Rig


class Line:
    """A feed over a rig's store; what it dispatches is in `out`."""

    def __init__(self, *, held_max: int = 1024, keep: int = 1000) -> None:
        self.rig = Rig(keep=keep)
        self.out: list[int] = []
        self.lost: list[int] = []
        self.feed = Feed(
            start=0,
            store=self.rig.store,
            dispatch=lambda publication: self.out.append(publication.position),
            lost=self.lost.append,
            spawn=self.rig.work.append,
            counters=self.rig.counters,
            held_max=held_max,
        )

    def append(self, count: int, *, ttl_ms: int | None = None) -> list[Publication]:
        return [self.rig.append("a", "1", ttl_ms=ttl_ms) for _ in range(count)]

    def hint(self, *publications: Publication) -> list[int]:
        """What this hint lets out, before anything is read."""
        before = len(self.out)
        self.feed.hint(publications)
        return self.out[before:]


def positions(publications: Sequence[Publication]) -> list[int]:
    return [publication.position for publication in publications]


def test_hints_in_order_go_straight_through() -> None:
    line = Line()
    one, two, three = line.append(3)
    assert line.hint(one) == [1]
    assert line.hint(two, three) == [2, 3]
    assert not line.rig.work


def test_a_hint_that_comes_twice_is_dispatched_once() -> None:
    line = Line()
    one, two = line.append(2)
    assert line.hint(one, one, two) == [1, 2]
    assert line.hint(two, one) == []
    assert line.feed.top == 2


def test_a_hint_that_is_early_waits_for_those_before() -> None:
    line = Line()
    one, two, three, four = line.append(4)
    assert line.hint(three) == line.hint(four) == line.hint(two) == []
    assert line.hint(one) == [1, 2, 3, 4]
    assert not line.feed._held


def test_an_early_hint_that_comes_again_in_order_is_not_kept() -> None:
    line = Line()
    one, two, three = line.append(3)
    assert line.hint(three) == []
    assert line.hint(one, two, three) == [1, 2, 3]
    assert not line.feed._held


def test_a_hole_is_read_from_the_store() -> None:
    line = Line()
    rows = line.append(5)
    line.hint(rows[0])
    assert line.hint(rows[4]) == []
    line.rig.settle()
    assert line.out == [1, 2, 3, 4, 5]
    assert line.rig.counters.feed_holes == 4
    assert not line.feed._held


def test_a_hint_may_arrive_while_the_hole_is_read() -> None:
    line = Line()
    rows = line.append(3)
    line.hint(rows[2])
    line.rig.turn()
    assert line.hint(rows[0]) == [1]
    line.rig.settle()
    assert line.out == [1, 2, 3]


def test_one_hole_is_read_by_one_reader() -> None:
    line = Line()
    rows = line.append(3)
    line.hint(rows[2])
    line.hint(rows[2])
    line.feed.check()
    assert len(line.rig.work) == 1


def test_a_lost_last_hint_costs_time_only() -> None:
    line = Line()
    line.append(2)
    assert line.out == []
    line.feed.check()
    line.rig.settle()
    assert line.out == [1, 2]
    line.feed.check()
    assert not line.rig.work


def test_a_long_hole_is_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "REPAIR_PAGE", 2)
    line = Line()
    line.append(5)
    line.feed.check()
    line.rig.settle()
    assert line.out == [1, 2, 3, 4, 5]
    assert line.rig.store.reads == 3


def test_hints_beyond_the_limit_are_left_to_the_store() -> None:
    line = Line(held_max=2)
    rows = line.append(6)
    assert line.hint(*rows[1:4]) == []
    assert positions(list(line.feed._held.values())) == [2, 3]
    assert line.hint(rows[0]) == [1, 2, 3]
    line.rig.settle()
    assert line.out == [1, 2, 3, 4, 5, 6]


def test_what_has_expired_is_passed_over() -> None:
    line = Line()
    line.append(2, ttl_ms=1000)
    rows = line.append(1)
    line.rig.clock.advance(2)
    line.hint(rows[0])
    line.rig.settle()
    assert (line.out, line.feed.top) == ([3], 3)


def test_a_tail_that_has_expired_is_not_asked_for_again() -> None:
    line = Line()
    line.append(2, ttl_ms=1000)
    line.rig.clock.advance(2)
    line.feed.check()
    line.rig.settle()
    assert (line.out, line.feed.top) == ([], 2)
    line.feed.check()
    assert not line.rig.work


def test_what_was_trimmed_unheard_is_said_once() -> None:
    line = Line(keep=2)
    rows = line.append(4)
    line.hint(rows[3])
    line.rig.settle()
    assert (line.out, line.lost, line.feed.top) == ([], [4], 4)
    assert line.hint(*line.append(1)) == [5]
    line.feed.check()
    assert not line.rig.work


def test_a_store_that_does_not_answer_is_asked_again_later() -> None:
    line = Line()
    line.append(2)
    line.rig.store.error = ReddotError("store_unavailable")
    line.feed.check()
    line.rig.settle()
    assert (line.out, line.feed.top) == ([], 0)
    line.rig.store.error = None
    line.feed.check()
    line.rig.settle()
    assert line.out == [1, 2]


def test_ephemeral_publications_wait_for_nobody() -> None:
    line = Line()
    one, two = line.append(2)
    ephemeral = Publication(topic="a", id="e", data=b"1", time_ms=0)
    assert line.hint(ephemeral) == [0]
    assert line.hint(two, ephemeral) == [0]
    assert line.hint(one) == [1, 2]


def test_it_begins_where_it_is_told() -> None:
    out: list[int] = []
    rig = Rig()
    store = MemoryStore(clock=rig.clock, retention=lambda _: Retention(count=9, age_ms=9), epoch=1)
    feed = Feed(
        start=5,
        store=store,
        dispatch=lambda p: out.append(p.position),
        lost=out.append,
        spawn=rig.work.append,
        counters=rig.counters,
    )
    rows = [
        Publication(topic="a", id="x", data=b"1", time_ms=0, position=position, offset=position)
        for position in (4, 5, 6)
    ]
    feed.hint(rows)
    assert out == [6]
