"""Quiet hours: ends to the millisecond, in every zone, wherever its clock is turned."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings

from reddot.core.quiet import is_zone, quiet_until
from reddot.inbox import Quiet
from tests.unit.core.reach_oracle import Night, is_quiet, nights, walked

NIGHT = Quiet(start_minute=22 * 60, end_minute=8 * 60)
LUNCH = Quiet(start_minute=12 * 60, end_minute=13 * 60)


def ms(zone: str, text: str, *, fold: int = 0) -> int:
    """The moment at which the clock of a zone shows `text`."""
    at = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(at.timestamp() * 1000)


def quiet(start: str, end: str) -> Quiet:
    hours, minutes = zip(*(map(int, one.split(":")) for one in (start, end)), strict=True)
    return Quiet(start_minute=hours[0] * 60 + minutes[0], end_minute=hours[1] * 60 + minutes[1])


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        (NIGHT, "2026-01-10T21:59:59.999", None),
        (NIGHT, "2026-01-10T22:00", "2026-01-11T08:00"),
        (NIGHT, "2026-01-11T07:59:59.999", "2026-01-11T08:00"),
        (NIGHT, "2026-01-11T08:00", None),
        (LUNCH, "2026-01-10T11:59:59.999", None),
        (LUNCH, "2026-01-10T12:00", "2026-01-10T13:00"),
        (LUNCH, "2026-01-10T13:00", None),
        (quiet("10:00", "10:00"), "2026-01-10T10:00", None),
        (quiet("00:00", "23:59"), "2026-01-10T00:00", "2026-01-10T23:59"),
        (quiet("00:01", "00:00"), "2026-01-10T00:01", "2026-01-11T00:00"),
        (quiet("00:01", "00:00"), "2026-01-10T00:00", None),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "Asia/Kolkata"])
def test_it_begins_with_its_first_minute_and_has_ended_with_its_last(
    hours: Quiet, now: str, end: str | None, zone: str
) -> None:
    assert quiet_until([hours], zone, ms(zone, now)) == (None if end is None else ms(zone, end))


BERLIN = "Europe/Berlin"  # turned 2026-03-29 02:00 to 03:00, and 2026-10-25 03:00 to 02:00


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        # an end that is jumped over comes with the jump
        (quiet("22:00", "02:30"), ms(BERLIN, "2026-03-28T23:00"), ms(BERLIN, "2026-03-29T03:00")),
        # so does a beginning
        (quiet("02:30", "06:00"), ms(BERLIN, "2026-03-29T01:59"), None),
        (quiet("02:30", "06:00"), ms(BERLIN, "2026-03-29T03:00"), ms(BERLIN, "2026-03-29T06:00")),
        # quiet hours that are jumped over altogether are not
        (quiet("02:10", "02:50"), ms(BERLIN, "2026-03-29T03:00"), None),
        # the night is an hour longer
        (NIGHT, ms(BERLIN, "2026-10-24T22:00"), ms(BERLIN, "2026-10-25T08:00")),
        # an end that is shown twice ends it twice
        (
            quiet("22:00", "02:30"),
            ms(BERLIN, "2026-10-25T02:10"),
            ms(BERLIN, "2026-10-25T02:30"),
        ),
        (
            quiet("22:00", "02:30"),
            ms(BERLIN, "2026-10-25T02:10", fold=1),
            ms(BERLIN, "2026-10-25T02:30", fold=1),
        ),
        # a beginning that is shown twice begins it twice
        (
            quiet("02:30", "06:00"),
            ms(BERLIN, "2026-10-25T02:30"),
            ms(BERLIN, "2026-10-25T02:00", fold=1),
        ),
        (quiet("02:30", "06:00"), ms(BERLIN, "2026-10-25T02:10", fold=1), None),
    ],
)
def test_where_the_clock_is_turned(hours: Quiet, now: int, end: int | None) -> None:
    assert quiet_until([hours], BERLIN, now) == end


def test_a_day_that_a_zone_has_skipped_changes_nothing() -> None:
    """Samoa went from 29 to 31 December 2011; the time of day went on."""
    before = ms("Pacific/Apia", "2011-12-29T23:00")
    assert quiet_until([NIGHT], "Pacific/Apia", before) == before + 9 * 3_600_000


@settings(max_examples=400, deadline=None)
@given(nights())
def test_it_ends_where_a_walk_minute_by_minute_ends(case: Night) -> None:
    hours, zone, now = case
    end = quiet_until(hours, zone, now)
    assert end == walked(hours, zone, now)
    if end is not None:
        assert end > now
        assert not is_quiet(hours, zone, end)
        assert is_quiet(hours, zone, end - 1)
        assert quiet_until(hours, zone, end) is None


def test_of_several_it_ends_with_the_last_that_follows_on() -> None:
    hours = [quiet("22:00", "06:00"), quiet("05:00", "09:00"), quiet("10:00", "11:00")]
    assert quiet_until(hours, BERLIN, ms(BERLIN, "2026-01-10T23:00")) == ms(
        BERLIN, "2026-01-11T09:00"
    )
    assert quiet_until([], BERLIN, 0) is None


def test_hours_that_leave_nothing_of_a_day_are_asked_again_in_days() -> None:
    """It says so in bounded time, and every moment until then is quiet."""
    hours = [quiet("08:00", "22:00"), quiet("22:00", "08:00")]
    now = ms(BERLIN, "2026-03-28T12:00")
    end = quiet_until(hours, BERLIN, now)
    assert end is not None
    assert 3 * 86_400_000 <= end - now < 4 * 86_400_000


def test_a_turn_that_is_not_on_a_minute_is_found_to_the_millisecond() -> None:
    """Liberia's clock was 44 min 30 s behind until 7 January 1972."""
    zone = "Africa/Monrovia"
    now = ms(zone, "1972-01-06T23:00")
    end = quiet_until([quiet("23:00", "00:30")], zone, now)
    assert end is not None
    assert not is_quiet([quiet("23:00", "00:30")], zone, end)
    assert is_quiet([quiet("23:00", "00:30")], zone, end - 1)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Nowhere/City",
        "America",
        "../etc/passwd",
        "/etc/localtime",
        "localtime",
        "posixrules",
        "right/UTC",
        "posix/UTC",
        "Factory",
        "a\0b",
        "Europe/Berlin ",
        "é",
        "A" * 65,
        "A" * 5000,
    ],
)
def test_what_is_no_zone_counts_as_utc(name: str) -> None:
    assert not is_zone(name)
    assert quiet_until([LUNCH], name, ms("UTC", "2026-01-10T12:30")) == ms(
        "UTC", "2026-01-10T13:00"
    )


def test_every_zone_of_the_machine_is_known() -> None:
    strange = {"localtime", "Factory"}
    assert [name for name in available_timezones() - strange if not is_zone(name)] == []
