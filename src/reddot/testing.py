"""For tests, ours and yours: a clock that moves when told, seeded entropy, a node in memory."""

from __future__ import annotations

import random

from reddot.node import Reddot
from reddot.settings import Settings

DEV_SECRET = "reddot-testing-secret-of-32-bytes!"  # noqa: S105 - for tests only


class FakeClock:
    """`ports.Clock` that stands still between calls of `advance`."""

    def __init__(self, wall_ms: int = 1_767_225_600_000) -> None:
        self._wall_ms = wall_ms
        self._monotonic = 1000.0

    def wall_ms(self) -> int:
        return self._wall_ms

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._wall_ms += round(seconds * 1000)
        self._monotonic += seconds


class SeededEntropy:
    """`ports.Entropy` that a seed repeats."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - replayable on purpose

    def publication_id(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def secret(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def fraction(self) -> float:
        return self._random.random()


def dev_settings(**changes: object) -> Settings:
    """Settings of a development node in memory, on a free port."""
    values: dict[str, object] = {
        "dev": True,
        "jwt_secret": DEV_SECRET,
        "store_url": "memory://",
        "port": 0,
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]


def memory_node(**changes: object) -> Reddot:
    """A node that is not started yet: `await node.start()`."""
    return Reddot(dev_settings(**changes))
