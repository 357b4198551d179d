"""The promises of the core over thousands of seeds: one gapless order, in time, whatever happens.

A failing seed is run again with a transcript, which is printed. To run one seed, or more of them:

    REDDOT_SIM_SEED=1373 pytest tests/sim/test_simulation.py
    REDDOT_SIM_SEEDS=100000 pytest tests/sim/test_simulation.py
"""

from __future__ import annotations

import os
from typing import Final

import pytest

from tests.sim.world import run

ONE: Final = os.environ.get("REDDOT_SIM_SEED")
SEEDS: Final = int(os.environ.get("REDDOT_SIM_SEEDS", "2000"))
BATCH: Final = 250
LINES_SHOWN: Final = 120

BATCHES = (
    [range(int(ONE), int(ONE) + 1)]
    if ONE
    else [range(first, min(first + BATCH, SEEDS)) for first in range(0, SEEDS, BATCH)]
)


def replay(seed: int) -> str:
    """The last lines of what happens in a seed, and what is wrong in the end."""
    lines: list[str] = []
    try:
        run(seed, lines.append)
    except AssertionError as error:
        lines.append(f"{type(error).__name__}: {error}")
    return "\n".join(lines[-LINES_SHOWN:])


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_the_promises_hold(seeds: range) -> None:
    for seed in seeds:
        try:
            run(seed)
        except AssertionError as error:
            pytest.fail(f"REDDOT_SIM_SEED={seed}\n{replay(seed)}\n{error!r}")


def test_a_seed_is_repeated_exactly() -> None:
    first: list[str] = []
    second: list[str] = []
    run(7, first.append)
    run(7, second.append)
    assert first == second
    assert len(first) > 50
