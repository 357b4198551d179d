"""Whether a notification has still to reach somebody, by what is known of their inbox. Pure."""

from __future__ import annotations

from collections.abc import Collection

from reddot.core import badge, muting
from reddot.inbox import Marks, Preferences
from reddot.model import EVERYONE, USERS_ROOT


def is_seen(marks: Marks, seq: int) -> bool:
    """Whether somebody has had to do with a notification, in any way."""
    return (
        badge.is_seen(marks, seq)
        or badge.is_read(marks, seq)
        or badge.is_archived(marks, seq)
        or badge.is_deleted(marks, seq)
    )


def is_muted(
    preferences: Preferences,
    marks: Marks,
    *,
    user: str,
    topic: str,
    category: str,
    by: str,
    locked: Collection[str],
) -> bool:
    """Whether somebody does not want to be reached: muted, or not following any more.

    Args:
        preferences: that are in force.
    """
    mine = topic in (EVERYONE, f"{USERS_ROOT}/{user}")
    return (
        not (mine or marks.followed)
        or muting.is_muted(preferences, topic=topic, category=category, locked=locked)
        or ((by, category) in preferences.couriers and category not in locked)
    )
