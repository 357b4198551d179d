"""What somebody wants to hear of, in JSON: `GET` and `PUT /v1/preferences`. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from reddot.codecs.frames import encode_time
from reddot.codecs.inbox import decoded, ms_of
from reddot.codecs.plans import clock_of, minute_of
from reddot.errors import ReddotError
from reddot.inbox import Preferences, Quiet


class Muted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`until`: when the mute of a category ends; naming it there is enough."""

    categories: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    couriers: dict[str, tuple[str, ...]] = {}
    until: dict[str, datetime] = {}


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: str
    end: str


class PreferencesCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    muted: Muted = Muted()
    quiet: Hours | None = None


_preferences = msgspec.json.Decoder(PreferencesCommand)


def decode_preferences(body: bytes) -> Preferences:
    """Raises `json_invalid` or `field_invalid`."""
    command: PreferencesCommand = decoded(_preferences, body)
    muted = command.muted
    pairs = ((courier, one) for courier, names in muted.couriers.items() for one in names)
    return Preferences(
        categories=frozenset((*muted.categories, *muted.until)),
        topics=frozenset(muted.topics),
        couriers=frozenset(pairs),
        until={one: ms_of(moment, "muted.until") for one, moment in muted.until.items()},
        quiet=None if command.quiet is None else _quiet(command.quiet),
    )


def _quiet(hours: Hours) -> Quiet:
    quiet = Quiet(
        start_minute=minute_of(hours.start, "quiet.start"),
        end_minute=minute_of(hours.end, "quiet.end"),
    )
    if quiet.start_minute == quiet.end_minute:
        raise ReddotError("field_invalid", "quiet: begins when it ends")
    return quiet


def preferences_fields(preferences: Preferences) -> dict[str, object]:
    """The same document, as it is asked for."""
    couriers: dict[str, list[str]] = {}
    for courier, category in sorted(preferences.couriers):
        couriers.setdefault(courier, []).append(category)
    until = sorted(preferences.until.items())
    quiet = preferences.quiet
    return {
        "muted": {
            "categories": sorted(preferences.categories),
            "topics": sorted(preferences.topics),
            "couriers": couriers,
            "until": {category: encode_time(end_ms).decode() for category, end_ms in until},
        },
        "quiet": quiet
        and {"start": clock_of(quiet.start_minute), "end": clock_of(quiet.end_minute)},
    }
