"""How many people notifications have reached live, until the store has it.

Counted in memory when a notification goes live, and written behind it, many at once: no write per
delivery. A crash loses what was counted in the last second or so; a stop loses nothing.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.ports import Inbox

WAITING_MAX: Final = 100_000
WRITE_ROWS: Final = 1_000
"""At once: publishing waits for as long as that takes."""


class Reached:
    """One per node. Holds at most `WAITING_MAX` notifications; what is more is only counted as
    dropped."""

    def __init__(self, *, inbox: Inbox, counters: Counters) -> None:
        self._inbox = inbox
        self._counters = counters
        self._waiting: dict[str, int] = {}

    def add(self, id: str, people: int) -> None:
        """A notification has reached more people."""
        if id in self._waiting or len(self._waiting) < WAITING_MAX:
            self._waiting[id] = self._waiting.get(id, 0) + people
        else:
            self._counters.reached_dropped += people

    def waiting(self, id: str) -> int:
        """What is not written yet of one notification."""
        return self._waiting.get(id, 0)

    async def write(self) -> None:
        """Write what waits.

        Raises:
            ReddotError: the store does not answer; nothing is lost.
        """
        while self._waiting:
            some = dict(islice(self._waiting.items(), WRITE_ROWS))
            for id in some:
                del self._waiting[id]
            try:
                await self._inbox.reached(some)
            except ReddotError:
                for id, people in some.items():
                    self.add(id, people)
                raise
