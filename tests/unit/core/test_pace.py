"""So many a second, evenly."""

from __future__ import annotations

import pytest

from reddot.core.pace import AT_ONCE_S, Pace
from reddot.testing import FakeClock


@pytest.mark.parametrize("per_s", [1, 7, 100])
def test_no_second_has_more_than_it_may_and_none_is_wasted(per_s: int) -> None:
    clock = FakeClock()
    clock.advance(5)  # What was not used before does not add up.
    pace = Pace(clock=clock, per_s=per_s)
    taken: list[float] = []
    until = clock.monotonic() + 10
    while clock.monotonic() < until:
        while pace.take():
            taken.append(clock.monotonic())
        assert pace.wait_s > 0
        clock.advance(pace.rest_s + 1e-9)
    at_once = 1 + int(per_s * AT_ONCE_S)
    for first in taken:
        assert sum(first <= one < first + 1 - 1e-6 for one in taken) <= per_s + at_once
        assert sum(one == first for one in taken) <= at_once
    assert len(taken) >= 10 * per_s - at_once


def test_no_limit_is_none() -> None:
    pace = Pace(clock=FakeClock(), per_s=0)
    assert all(pace.take() for _ in range(10_000))
    assert pace.wait_s == 0
