"""So many a second, a few at a time. Core.

All at the beginning of the second would be felt by everybody who waits; one by one costs more, for
each wakes up everything that has a part in it.
"""

from __future__ import annotations

from typing import Final

from reddot.ports import Clock

AT_ONCE_S: Final = 0.1
"""What comes together in this time goes at once."""


class Pace:
    """Args:
    per_s: how many each second; 0: no limit.
    """

    def __init__(self, *, clock: Clock, per_s: float) -> None:
        self._clock = clock
        self._each_s = 1 / per_s if per_s else 0.0
        self._free_s = 0.0

    def take(self) -> bool:
        """Use one, if there is one."""
        if not self._each_s:
            return True
        now_s = self._clock.monotonic()
        if self.wait_s > 0:
            return False
        self._free_s = max(self._free_s, now_s - AT_ONCE_S) + self._each_s
        return True

    @property
    def wait_s(self) -> float:
        """How long there is none."""
        return max(0.0, self._free_s - self._clock.monotonic())

    @property
    def rest_s(self) -> float:
        """How long to wait for the next few."""
        return max(AT_ONCE_S, self.wait_s)
