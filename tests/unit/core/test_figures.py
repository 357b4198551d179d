"""A series of figures stays small, and as fine as that allows."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from reddot.core.figures import AGE_MS_MAX, POINTS_MAX, STEP_MS, joined, next_ms, step_ms
from reddot.outreach import Figures

DAY_MS = 86_400_000
START_MS = 1_700_000_000_123


def figures(time_ms: int) -> Figures:
    return Figures(time_ms, time_ms % 7, time_ms % 5, time_ms % 3)


def test_a_month_is_counted_in_ever_longer_steps_and_ends() -> None:
    series: tuple[Figures, ...] = ()
    now_ms: int | None = START_MS
    most = times = 0
    while now_ms is not None:
        times += 1
        series = joined(series, figures(now_ms))
        assert series[-1].time_ms == now_ms, "what was counted is kept at first"
        assert series[0].time_ms == START_MS, "and so is the beginning"
        most = max(most, len(series))
        now_ms = next_ms(START_MS, now_ms)
    assert POINTS_MAX / 2 < len(series) <= most == POINTS_MAX
    assert series[-1].time_ms - START_MS >= AGE_MS_MAX
    assert 1_000 < times < 2_000
    gaps = [after.time_ms - one.time_ms for one, after in pairwise(series)]
    assert max(gaps) <= 2 * min(gaps), "steps are even, but for the last doubling"


def test_the_step_is_doubled_when_there_would_be_one_too_many() -> None:
    full = (POINTS_MAX - 1) * STEP_MS
    assert step_ms(full) == STEP_MS
    assert step_ms(full + STEP_MS) == 2 * STEP_MS
    series: tuple[Figures, ...] = ()
    for number in range(POINTS_MAX):
        series = joined(series, figures(START_MS + number * STEP_MS))
    assert len(series) == POINTS_MAX
    series = joined(series, figures(START_MS + POINTS_MAX * STEP_MS))
    assert len(series) == POINTS_MAX // 2 + 1


def test_a_clock_that_is_set_back_adds_nothing() -> None:
    series = joined(joined((), figures(START_MS)), figures(START_MS + STEP_MS))
    for earlier in (START_MS + STEP_MS, START_MS, START_MS - DAY_MS):
        assert joined(series, figures(earlier)) == series
    assert next_ms(START_MS, START_MS - DAY_MS) == START_MS + STEP_MS


@given(st.lists(st.integers(0, 400 * DAY_MS), min_size=1, max_size=400))
def test_whenever_it_is_counted_the_series_is_in_order_and_bounded(ages: list[int]) -> None:
    series: tuple[Figures, ...] = ()
    for age in ages:
        series = joined(series, figures(START_MS + age))
        times = [one.time_ms for one in series]
        assert times == sorted(set(times))
        assert len(series) <= POINTS_MAX
    assert set(series) <= {figures(START_MS + age) for age in ages}
