"""The last things that went wrong, for whoever operates the server: refusals and log lines.

Bounded: what repeats is one entry with a count, and the one that has not come for longest goes
first. Costs nothing while nothing is refused. Holds what errors say for people, which is never a
secret, and paths without their queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from reddot.codecs.frames import encode_time
from reddot.ports import Clock

ENTRIES_MAX: Final = 200
TEXT_CHARS_MAX: Final = 300
_HIDDEN: Final = frozenset(("event", "level", "timestamp", "exc_info", "exception", "stack"))

Kind = Literal["refused", "logged"]
_Key = tuple[Kind, str, str, str]


class _Times(msgspec.Struct):
    first_ms: int
    last_ms: int
    count: int = 0


class RecentErrors:
    """One per node."""

    def __init__(self, clock: Clock, entries_max: int = ENTRIES_MAX) -> None:
        self._clock = clock
        self._entries_max = entries_max
        # The one that came last is last.
        self._entries: dict[_Key, _Times] = {}

    def refused(self, code: str, where: str, detail: str) -> None:
        """A request or command was answered with an error."""
        self._note(("refused", code, where[:TEXT_CHARS_MAX], detail[:TEXT_CHARS_MAX]))

    def logged(self, event: Mapping[str, object]) -> None:
        """A line of the log that is a warning or worse."""
        about = " ".join(f"{key}={event[key]}" for key in event if key not in _HIDDEN)
        level, text = str(event.get("level", "")), str(event.get("event", ""))
        self._note(("logged", text[:TEXT_CHARS_MAX], level, about[:TEXT_CHARS_MAX]))

    def _note(self, key: _Key) -> None:
        now_ms = self._clock.wall_ms()
        times = self._entries.pop(key, None) or _Times(now_ms, now_ms)
        if len(self._entries) >= self._entries_max:
            del self._entries[next(iter(self._entries))]
        times.last_ms = now_ms
        times.count += 1
        self._entries[key] = times

    def newest_first(self) -> list[dict[str, object]]:
        return [
            {
                "kind": kind,
                "code": code,
                "where": where,
                "detail": detail,
                "count": times.count,
                "first": encode_time(times.first_ms).decode(),
                "last": encode_time(times.last_ms).decode(),
            }
            for (kind, code, where, detail), times in reversed(self._entries.items())
        ]
