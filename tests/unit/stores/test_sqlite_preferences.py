"""Preferences in the table `person`: also those that an older Reddot wrote."""

from __future__ import annotations

from reddot.inbox import NO_PREFERENCES, Preferences
from reddot.stores.sqlite_preferences import preferences_in


def test_what_older_versions_wrote_is_read() -> None:
    assert preferences_in(None) is NO_PREFERENCES
    first = preferences_in('{"categories":["ad"],"topics":["news"]}')
    assert first == Preferences(frozenset({"ad"}), frozenset({"news"}))
    second = preferences_in('{"categories":[],"topics":[],"couriers":[["mail","ad"]]}')
    assert second == Preferences(couriers=frozenset({("mail", "ad")}))
