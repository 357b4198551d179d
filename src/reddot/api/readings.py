"""What the counters said over the last minutes, one row a second: the history of the plots.

The counters are read when a second is over, so nothing hot knows of this.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from reddot.counters import TRANSPORTS, Counters
from reddot.ports import Clock

INTERVAL_S: Final = 1.0
ROWS_MAX: Final = 300
COLUMNS: Final = (
    "published",
    "notifications",
    "refused",
    "bytes_out",
    *(f"delivered.{name}" for name in TRANSPORTS),
)
"""Each is a rate, per second. `sessions` comes behind them and is a count."""

Row = list[float]


class Readings:
    """One per node; `take` is called at least once a second.

    Attributes:
        began_at: monotonic seconds.
    """

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self._counters = counters
        self._clock = clock
        self._rows: deque[Row] = deque(maxlen=ROWS_MAX)
        self._taken = 0
        self._before = self._totals()
        self.began_at: Final = clock.monotonic()
        self._at = self.began_at

    def take(self) -> None:
        """Read the counters if the second is over; late readings are longer seconds."""
        now = self._clock.monotonic()
        elapsed = now - self._at
        if elapsed < INTERVAL_S:
            return
        before, self._before, self._at = self._before, self._totals(), now
        row: Row = [
            round((new - old) / elapsed, 1) for new, old in zip(self._before, before, strict=True)
        ]
        row.append(sum(each.sessions for each in self._counters.transports.values()))
        self._rows.append(row)
        self._taken += 1

    def since(self, number: int) -> dict[str, object]:
        """The rows after the one with this number, oldest first; of another start, all."""
        fresh = self._taken - number if 0 <= number <= self._taken else ROWS_MAX
        kept = list(self._rows)
        return {
            "interval_s": INTERVAL_S,
            "columns": [*COLUMNS, "sessions"],
            "last": self._taken,
            "rows": kept[max(0, len(kept) - fresh) :],
        }

    def _totals(self) -> list[int]:
        counters = self._counters
        return [
            counters.published_durable + counters.published_ephemeral,
            counters.notifications,
            sum(counters.rejected.values()),
            sum(each.bytes_out for each in counters.transports.values()),
            *(counters.transports[name].deliveries for name in TRANSPORTS),
        ]
