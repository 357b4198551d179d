"""The red dot over MQTT: `users/{user}/badge` holds the user's badge, like a retained value.

Whoever subscribes to it gets the badge at once and each change after that, zero included, so that
a device shows the dot with one subscription. Nothing is stored: the badge is derived (ADR 7).
"""

from __future__ import annotations

from collections.abc import Sequence

from reddot.codecs.mqtt_packets import split_shared
from reddot.core.topics import matches
from reddot.errors import ReddotError
from reddot.model import USERS_ROOT
from reddot.transports.mqtt.link import Link, Phase


def badge_topic(user: str) -> str:
    return f"{USERS_ROOT}/{user}/badge"


def wants_badge(link: Link, filters: Sequence[str]) -> bool:
    """Whether one of the filters, which are the session's, selects its user's badge."""
    user = link.session.actor.user
    if user is None:
        return False
    topic = badge_topic(user)
    return any(split_shared(text) is None and matches(text, topic) for text in filters)


async def show_badge(link: Link) -> None:
    """Push the badge, now as a retained value, and whenever it changes."""
    user = link.session.actor.user
    assert user is not None, "who wants a badge is somebody"
    dots = link.broker.subscribing.dots
    try:
        await dots.boxes.prepare(user, link.session.actor.since_ms)
    except ReddotError as error:
        link.broker.counters.reject(error.code)
        link.fail(error.row.mqtt, "the badge cannot be read")
        return
    if link.phase is Phase.OPEN and link.outbound is not None:
        link.outbound.badge_is_retained = True
        dots.show(link.session)
