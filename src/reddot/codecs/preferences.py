"""What somebody wants to hear of, in JSON: `GET` and `PUT /v1/preferences`. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET, UnsetType

from reddot.codecs.inbox import Moment, Time, decoded, ms_of, time_text
from reddot.codecs.plans import clock_of, minute_of
from reddot.errors import ReddotError
from reddot.inbox import Badge, Preferences, Quiet


class Muted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`until`: when the mute of a category ends; naming it there is enough."""

    categories: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    couriers: dict[str, tuple[str, ...]] = {}
    until: dict[str, Moment] = {}


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: str
    end: str


class PreferencesCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`timezone`: an IANA name; null: as the operator says. Left out it stays as it is."""

    muted: Muted = Muted()
    quiet: Hours | None = None
    timezone: str | UnsetType | None = UNSET


_preferences = msgspec.json.Decoder(PreferencesCommand)


def decode_preferences(
    body: bytes, *, timezone: str, is_zone: Callable[[str], bool]
) -> Preferences:
    """Raises `json_invalid` or `field_invalid`.

    Args:
        timezone: the one until now.
        is_zone: whether a text may be one.
    """
    command: PreferencesCommand = decoded(_preferences, body)
    muted = command.muted
    pairs = ((courier, one) for courier, names in muted.couriers.items() for one in names)
    return Preferences(
        categories=frozenset((*muted.categories, *muted.until)),
        topics=frozenset(muted.topics),
        couriers=frozenset(pairs),
        until={one: ms_of(moment, "muted.until") for one, moment in muted.until.items()},
        quiet=None if command.quiet is None else _quiet(command.quiet),
        timezone=timezone
        if command.timezone is UNSET
        else zone_of(command.timezone, is_zone=is_zone),
    )


def zone_of(zone: object, *, is_zone: Callable[[str], bool]) -> str:
    """The name of a time zone; of null an empty one. Raises `field_invalid`."""
    if zone is None:
        return ""
    if isinstance(zone, str) and is_zone(zone):
        return zone
    detail = f"{zone!r:.80} is no time zone that is known here; one is 'Europe/Berlin'"
    raise ReddotError("field_invalid", f"'timezone': {detail}")


def _quiet(hours: Hours) -> Quiet:
    quiet = Quiet(
        start_minute=minute_of(hours.start, "quiet.start"),
        end_minute=minute_of(hours.end, "quiet.end"),
    )
    if quiet.start_minute == quiet.end_minute:
        raise ReddotError("field_invalid", "quiet: begins when it ends")
    return quiet


class MutedAnswer(msgspec.Struct, frozen=True):
    categories: list[str]
    topics: list[str]
    couriers: dict[str, list[str]]
    until: dict[str, Time]


class WishesAnswer(msgspec.Struct, frozen=True):
    """What somebody has said; `timezone`: null: nothing."""

    muted: MutedAnswer
    quiet: Hours | None
    timezone: str | None


class PreferencesAnswer(msgspec.Struct, frozen=True):
    """What somebody has said, and what there is to choose from.

    Attributes:
        timezone: the one that holds.
        badge: after a change.
    """

    muted: MutedAnswer
    quiet: Hours | None
    couriers: list[str]
    categories: list[str]
    locked: list[str]
    timezone: str
    badge: Badge | UnsetType = UNSET


def wishes_of(preferences: Preferences) -> WishesAnswer:
    """The same document, as it is asked for."""
    couriers: dict[str, list[str]] = {}
    for courier, category in sorted(preferences.couriers):
        couriers.setdefault(courier, []).append(category)
    until = sorted(preferences.until.items())
    quiet = preferences.quiet
    return WishesAnswer(
        muted=MutedAnswer(
            categories=sorted(preferences.categories),
            topics=sorted(preferences.topics),
            couriers=couriers,
            until={category: time_text(end_ms) for category, end_ms in until},
        ),
        quiet=None
        if quiet is None
        else Hours(start=clock_of(quiet.start_minute), end=clock_of(quiet.end_minute)),
        timezone=preferences.timezone or None,
    )
