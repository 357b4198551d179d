"""Preferences as the table `person` of the SQLite store has them. Layer: stores."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from reddot.core.muting import ends_ms
from reddot.inbox import NO_PREFERENCES, Preferences

_PUT: Final = "UPDATE person SET rev = ?, preferences = ?, mute_ms = ? WHERE id = ?"

_encode = msgspec.json.Encoder(order="sorted").encode
# Fields that are not there are as they were when there was no such field.
_decode = msgspec.json.Decoder(Preferences).decode


def put_preferences(
    cursor: sqlite3.Cursor, person: int | None, preferences: Preferences, position: int
) -> None:
    text = _encode(preferences).decode()
    cursor.execute(_PUT, (position, text, ends_ms(preferences) or None, person))


def preferences_in(text: str | None) -> Preferences:
    return NO_PREFERENCES if text is None else _decode(text)
