"""`$SYS/broker/…`: what this node counts, for administrators. Kept here, never in the store.

The names are those that Mosquitto and others have made usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import reddot
from reddot.codecs.mqtt_encode import encode_publish
from reddot.core.hub import Hub
from reddot.core.topics import matches
from reddot.counters import Counters
from reddot.model import Publication
from reddot.ports import Clock

INTERVAL_S: Final = 10.0
ROOT: Final = "$SYS/broker/"


class ServerTopics:
    """Args:
    stored: how many sessions of clients that are away are kept.
    """

    def __init__(
        self, *, hub: Hub, counters: Counters, clock: Clock, stored: Callable[[], int]
    ) -> None:
        self._hub = hub
        self._counters = counters
        self._clock = clock
        self._stored = stored
        self._started = self._due = clock.monotonic()

    def values(self) -> dict[str, str]:
        """The values by topic."""
        counters, mqtt = self._counters, self._counters.transports["mqtt"]
        uptime_s = int(self._clock.monotonic() - self._started)
        values = {
            "version": f"reddot {reddot.__version__}",
            "uptime": f"{uptime_s} seconds",
            "clients/connected": mqtt.sessions,
            "clients/stored": self._stored(),
            "clients/opened": mqtt.opened,
            "bytes/received": mqtt.bytes_in,
            "bytes/sent": mqtt.bytes_out,
            "messages/received": mqtt.requests,
            "publish/messages/sent": mqtt.deliveries,
            "publish/messages/durable": counters.published_durable,
            "publish/messages/ephemeral": counters.published_ephemeral,
            "publish/messages/dropped": counters.ephemeral_dropped,
            "log/head": self._hub.position,
        }
        return {ROOT + name: str(value) for name, value in values.items()}

    def tick(self) -> None:
        """Publish what is asked for, every `INTERVAL_S`."""
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + INTERVAL_S
        for topic, value in self.values().items():
            if self._hub.hears(topic):
                self._hub.dispatch(
                    Publication(
                        topic=topic,
                        id=topic,
                        data=value.encode(),
                        time_ms=self._clock.wall_ms(),
                        binary=not value.isdigit(),
                        qos=0,
                    )
                )

    def retained(self, level: int, filters: Sequence[str]) -> Iterator[bytes]:
        """The values for a new subscriber, as retained ones."""
        wanted = [text for text in filters if text.startswith("$SYS")]
        if wanted:
            for topic, value in self.values().items():
                if any(matches(text, topic) for text in wanted):
                    yield encode_publish(level, topic, value.encode(), retain=True)
