"""What all MQTT connections of a node share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec

from reddot.codecs.mqtt_decode import DecoderLimits
from reddot.core.publishing import Publishing
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.ports import Clock, Entropy, Store
from reddot.transports.mqtt.authentication import Authentication
from reddot.transports.mqtt.clients import Clients
from reddot.transports.mqtt.outbound import Frames
from reddot.transports.mqtt.server_topics import ServerTopics
from reddot.transports.mqtt.shares import Shares


class MqttLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of MQTT; the defaults are those of the settings table."""

    mqtt_connect_timeout_s: float = 10
    mqtt_pending_max: int = 1000
    mqtt_connect_bytes_max: int = 16_384
    mqtt_packet_bytes_max: int = 131_072
    mqtt_client_id_bytes_max: int = 256
    mqtt_takeovers_per_min: int = 30
    mqtt_packets_per_s: int = 10_000
    mqtt_receive_max: int = 20
    mqtt_unreleased_max: int = 1000
    mqtt_inflight_max: int = 20
    mqtt_topic_alias_max: int = 16
    mqtt_keep_alive_s_max: int = 300
    mqtt_session_expiry_s_max: int = 604_800
    mqtt_stored_sessions_max: int = 100_000
    mqtt_stored_sessions_per_user_max: int = 100
    mqtt_will_delay_s_max: int = 300
    mqtt_filters_per_packet_max: int = 100
    mqtt_user_properties_max: int = 32
    mqtt_properties_bytes_max: int = 8192


class Answering(Protocol):
    """A connection with acknowledgements to write."""

    def write_answers(self) -> None: ...


class Broker:
    """The parts, by name. Made once per node by `transports.mqtt.Mqtt`.

    Attributes:
        topics: names that were checked, shared by all decoders.
        answering: connections that have something for `write_answers`.
    """

    def __init__(
        self,
        *,
        limits: MqttLimits,
        decoder_limits: DecoderLimits,
        subscribing: Subscribing,
        publishing: Publishing,
        clients: Clients,
        authentication: Authentication,
        frames: Frames,
        shares: Shares,
        server_topics: ServerTopics,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        data_depth_max: int,
    ) -> None:
        self.limits: Final = limits
        self.decoder_limits: Final = decoder_limits
        self.subscribing: Final = subscribing
        self.publishing: Final = publishing
        self.clients: Final = clients
        self.authentication: Final = authentication
        self.frames: Final = frames
        self.shares: Final = shares
        self.server_topics: Final = server_topics
        self.store: Final = store
        self.clock: Final = clock
        self.entropy: Final = entropy
        self.counters: Final = counters
        self.transport: Final = counters.transports["mqtt"]
        self.spawn: Final = spawn
        self.data_depth_max: Final = data_depth_max
        self.topics: Final[dict[bytes, str]] = {}
        self.answering: Final[list[Answering]] = []

    def write_answers(self) -> None:
        """Write what `answering` has; at the end of a loop turn."""
        answering = self.answering[:]
        self.answering.clear()
        for link in answering:
            link.write_answers()
