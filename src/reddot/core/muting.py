"""What people do not want to hear of: what a mute covers, and when it ends. Core: pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from reddot.inbox import Preferences


def is_muted(
    preferences: Preferences, *, topic: str, category: str, locked: Collection[str]
) -> bool:
    """Whether a notification is not to be counted; one of a locked category always is."""
    if category in locked:
        return False
    return category in preferences.categories or topic in preferences.topics


def ends_ms(preferences: Preferences) -> int:
    """When the first of the mutes ends that do; 0: none does."""
    return min(preferences.until.values(), default=0)


def in_force(preferences: Preferences, now_ms: int) -> Preferences:
    """Without the mutes that have ended; the very same if none has."""
    left = {category: end for category, end in preferences.until.items() if end > now_ms}
    if len(left) == len(preferences.until):
        return preferences
    ended = preferences.until.keys() - left.keys()
    return msgspec.structs.replace(
        preferences, categories=preferences.categories - ended, until=left
    )


def allowed(preferences: Preferences, locked: Collection[str]) -> Preferences:
    """Without mutes of locked categories, which are of a time when they were not."""
    return msgspec.structs.replace(
        preferences,
        categories=preferences.categories.difference(locked),
        couriers=frozenset(pair for pair in preferences.couriers if pair[1] not in locked),
        until={one: end for one, end in preferences.until.items() if one not in locked},
    )
