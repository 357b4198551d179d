"""The sessions that are attached to this node: by id, how many each user has, and the limits."""

from __future__ import annotations

from reddot.core.session import Session, SessionLimits
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Actor


class Attached:
    """Attributes:
    sessions: by id.
    per_user: how many of them a user has, of those who have any.
    """

    def __init__(self, *, limits: SessionLimits, counters: Counters) -> None:
        self.sessions: dict[str, Session] = {}
        self.per_user: dict[str, int] = {}
        self._limits = limits
        self._counters = counters

    def check_room(self, actor: Actor) -> None:
        """Whether one more can be attached; raises `too_many_sessions` or `rate_limited`."""
        if len(self.sessions) >= self._limits.sessions_max:
            raise ReddotError("too_many_sessions", f"{self._limits.sessions_max} sessions are open")
        self.check_user(actor)

    def check_user(self, actor: Actor) -> None:
        """Whether a user may have one more; raises `rate_limited`."""
        most = self._limits.sessions_per_user_max
        if actor.user and self.per_user.get(actor.user, 0) >= most:
            raise ReddotError("rate_limited", f"{most} sessions per user are allowed")

    def add(self, session: Session) -> None:
        self.sessions[session.id] = session
        counters = self._counters.transports[session.transport]
        counters.opened += 1
        counters.sessions += 1
        self._count(session.actor, 1)

    def remove(self, session: Session, reason: str) -> bool:
        """Whether it was there. `reason` is what is counted."""
        if self.sessions.pop(session.id, None) is None:
            return False
        self._counters.transports[session.transport].close(reason)
        self._count(session.actor, -1)
        return True

    def change_actor(self, session: Session, actor: Actor) -> None:
        """A session goes on as somebody else's; `check_user` was asked before."""
        self._count(session.actor, -1)
        session.actor = actor
        self._count(actor, 1)

    def _count(self, actor: Actor, step: int) -> None:
        if actor.user:
            count = self.per_user.get(actor.user, 0) + step
            if count > 0:
                self.per_user[actor.user] = count
            else:
                self.per_user.pop(actor.user, None)
