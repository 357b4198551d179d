"""Quiet hours by somebody's own clock: is it quiet, and when does it end.

Core: pure. The rules of a time zone are a table that ships with the program (`tzdata`) or the
machine; the same moment in the same zone is always the same time of day.

What counts is what the clock on the wall shows, also where it is turned: an end that the clock
jumps over has come when it jumps, and a time that it shows twice is quiet twice, or twice not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from reddot.inbox import Quiet

ZONES_CACHED_MAX: Final = 1024

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS
_AHEAD_MS: Final = 3 * _DAY_MS
_MS: Final = timedelta(milliseconds=1)
# "localtime", "Factory", "posix/…" and "right/…" are files of the machine, not zones of a person.
_NAME: Final = re.compile(r"(?!localtime|posix|right|Factory)[A-Za-z][A-Za-z0-9_+/-]{0,63}")


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone that is known here."""
    return _zone(name) is not None


def quiet_until(hours: Sequence[Quiet], timezone: str, now_ms: int) -> int | None:
    """The first moment from now on at which none is quiet; None: it is not quiet now.

    If together they leave nothing of the day, it is one about three days from now: ask again then.

    Args:
        hours: begin at their first minute and have ended at their last; the same twice is never.
        timezone: an IANA name; an unknown one counts as UTC.
    """
    zone = _zone(timezone) or UTC
    moment = now_ms
    while moment < now_ms + _AHEAD_MS:
        left_ms = max((_left_ms(quiet, zone, moment) for quiet in hours), default=0)
        if not left_ms:
            break
        moment = _turned(zone, moment, moment + left_ms)
    return moment if moment > now_ms else None


def _left_ms(quiet: Quiet, zone: tzinfo, moment: int) -> int:
    """How long it stays quiet unless the clock is turned; 0: it is not quiet."""
    clock_ms = (moment + _offset_ms(zone, moment)) % _DAY_MS
    length = (quiet.end_minute - quiet.start_minute) * _MINUTE_MS % _DAY_MS
    since = (clock_ms - quiet.start_minute * _MINUTE_MS) % _DAY_MS
    return max(length - since, 0)


def _turned(zone: tzinfo, moment: int, upto: int) -> int:
    """The first moment after `moment` at which the clock has been turned; at most `upto`."""
    offset = _offset_ms(zone, moment)
    while moment < upto:
        later = min(moment + _HOUR_MS, upto)
        if _offset_ms(zone, later) != offset:
            return _bisected(zone, moment, later, offset)
        moment = later
    return upto


def _bisected(zone: tzinfo, before: int, after: int, offset: int) -> int:
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_ms(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset_ms(zone: tzinfo, moment: int) -> int:
    offset = (_EPOCH + moment * _MS).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _MS


@lru_cache(maxsize=ZONES_CACHED_MAX)
def _zone(name: str) -> ZoneInfo | None:
    """What is cached is bounded, and so is what it costs to ask: names come from people."""
    if _NAME.fullmatch(name) is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such file, a folder, not a table of rules
        return None
