"""Leaves a provider alone that does not answer, until one attempt in a while succeeds. Core."""

from __future__ import annotations

from enum import Enum
from typing import Final

from reddot.ports import Clock


class Circuit(Enum):
    """CLOSED: all goes out. OPEN: nothing does. HALF_OPEN: one attempt decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


CIRCUITS: Final[dict[Circuit, frozenset[Circuit]]] = {
    Circuit.CLOSED: frozenset({Circuit.OPEN}),
    Circuit.OPEN: frozenset({Circuit.HALF_OPEN}),
    Circuit.HALF_OPEN: frozenset({Circuit.CLOSED, Circuit.OPEN}),
}


class Breaker:
    """Args:
    failures_max: so many attempts in a row that speak against the provider open it.
    open_s: so long it stays open.
    """

    def __init__(self, *, clock: Clock, failures_max: int, open_s: float) -> None:
        self.circuit = Circuit.CLOSED
        self._clock = clock
        self._failures_max = failures_max
        self._open_s = open_s
        self._failures = 0
        self._until = 0.0

    def room(self, most: int) -> int:
        """How many attempts may be under way at once, of at most `most`."""
        if self.circuit is Circuit.OPEN and self._clock.monotonic() >= self._until:
            self._move(Circuit.HALF_OPEN)
        return {Circuit.CLOSED: most, Circuit.OPEN: 0, Circuit.HALF_OPEN: 1}[self.circuit]

    @property
    def wait_s(self) -> float:
        """How long nothing may go out."""
        if self.circuit is not Circuit.OPEN:
            return 0.0
        return max(0.0, self._until - self._clock.monotonic())

    def record(self, *, blame: bool) -> None:
        """An attempt has come to its end; `blame`: it speaks against the provider."""
        if self.circuit is Circuit.OPEN:
            return  # It began before.
        self._failures = self._failures + 1 if blame else 0
        if self.circuit is Circuit.HALF_OPEN and not blame:
            self._move(Circuit.CLOSED)
        elif self.circuit is Circuit.HALF_OPEN or self._failures >= self._failures_max:
            self._move(Circuit.OPEN)
            self._failures = 0
            self._until = self._clock.monotonic() + self._open_s

    def _move(self, circuit: Circuit) -> None:
        assert circuit in CIRCUITS[self.circuit]
        self.circuit = circuit
