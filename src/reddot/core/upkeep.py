"""One timer for everything a session waits for: heartbeat, age, expiry of its token, a stall.

A wheel of one-second buckets. A session is in one bucket at a time; a stale entry (it was moved,
or has closed) is skipped. Costs one dict lookup per tick while nothing is due.
"""

from __future__ import annotations

from collections.abc import Callable

from reddot.core.session import Session, State
from reddot.ports import Clock


class Upkeep:
    """Args:
    due: called for each open session whose time has come; it schedules the next one.
    """

    def __init__(self, *, clock: Clock, due: Callable[[Session, float], None]) -> None:
        self._clock = clock
        self._due = due
        self._buckets: dict[int, list[Session]] = {}
        self._last = int(clock.monotonic())

    def schedule(self, session: Session, at: float) -> None:
        """Look at `session` at the first whole second after `at`."""
        second = max(int(at), self._last) + 1
        session.due_second = second
        self._buckets.setdefault(second, []).append(session)

    def tick(self) -> None:
        """Call about twice a second."""
        now = self._clock.monotonic()
        while self._last < int(now):
            self._last += 1
            for session in self._buckets.pop(self._last, ()):
                if session.due_second == self._last and session.state is not State.CLOSED:
                    self._due(session, now)
