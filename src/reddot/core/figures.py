"""What a campaign has reached over time, as a series that stays small. Core: pure.

Time is divided into steps from the first figures on, and the first of each step are kept. Steps are
as short as `POINTS_MAX` of them allow, by doubling: ten seconds in the first forty minutes, a
minute and twenty seconds after a few hours, a few hours in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reddot.outreach import Figures

STEP_MS: Final = 10_000
POINTS_MAX: Final = 240
AGE_MS_MAX: Final = 30 * 86_400_000
"""After so long nothing is counted any more."""


def step_ms(age_ms: int) -> int:
    """How long a step is when so much time has gone by."""
    step = STEP_MS
    while age_ms // step >= POINTS_MAX:
        step *= 2
    return step


def joined(series: Sequence[Figures], newest: Figures) -> tuple[Figures, ...]:
    """The series with one more, at most `POINTS_MAX` of them; none that a clock has set back."""
    if series and newest.time_ms <= series[-1].time_ms:
        return tuple(series)
    whole = (*series, newest)
    first_ms = whole[0].time_ms
    step = step_ms(newest.time_ms - first_ms)
    kept: dict[int, Figures] = {}
    for one in whole:
        kept.setdefault((one.time_ms - first_ms) // step, one)
    return tuple(kept.values())


def next_ms(first_ms: int, now_ms: int) -> int | None:
    """When the next step begins; None: nothing more is to be counted."""
    age_ms = max(0, now_ms - first_ms)
    if age_ms >= AGE_MS_MAX:
        return None
    step = step_ms(age_ms)
    return first_ms + (age_ms // step + 1) * step
