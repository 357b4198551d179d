"""MQTT 3.1, 3.1.1 and 5.0: on its own ports, on WebSocket, and on the HTTP port by its first byte.

Reading order: `state` what a session is, `outbound` what a client is sent, `link` and `connection`
one connection, `opening`, `inbound` and `subscriptions` its packets, `clients` all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from reddot.codecs.mqtt_decode import DecoderLimits
from reddot.codecs.mqtt_properties import PropertyLimits
from reddot.codecs.params import Params
from reddot.core.access import is_anonymous
from reddot.core.gate import Gate, Identified
from reddot.core.publishing import Publishing
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.net.exchange import Exchange
from reddot.net.tcp import TcpPeer
from reddot.net.websocket import WebSocketLimits, WebSocketPeer, handshake
from reddot.ports import Clock, Entropy, Store
from reddot.transports.mqtt.authentication import Authentication
from reddot.transports.mqtt.broker import Broker
from reddot.transports.mqtt.broker import MqttLimits as MqttLimits
from reddot.transports.mqtt.clients import Clients
from reddot.transports.mqtt.connection import Connection
from reddot.transports.mqtt.link import Link
from reddot.transports.mqtt.outbound import Frames
from reddot.transports.mqtt.server_topics import ServerTopics
from reddot.transports.mqtt.shares import Shares

FRAMES_PER_S_MAX = 1_000_000
"""Frames are pieces of a stream; what is in them has limits of its own."""


class Mqtt:
    """The MQTT side of one node: takes connections, and makes what they share."""

    def __init__(
        self,
        *,
        subscribing: Subscribing,
        publishing: Publishing,
        gate: Gate,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        limits: MqttLimits,
        data_depth_max: int,
        dev: bool,
    ) -> None:
        self.clients = Clients(
            rows=store.clients,
            publishing=publishing,
            clock=clock,
            counters=counters,
            spawn=spawn,
            data_depth_max=data_depth_max,
        )
        self._pending: dict[Link, float] = {}
        self._answered = self._forget_pending  # One bound method for all connections.
        self._server_topics = ServerTopics(
            hub=subscribing.hub,
            counters=counters,
            clock=clock,
            stored=lambda: len(self.clients.stored),
        )
        self._broker = Broker(
            limits=limits,
            decoder_limits=_decoder_limits(limits),
            subscribing=subscribing,
            publishing=publishing,
            clients=self.clients,
            authentication=Authentication(gate, dev=dev),
            frames=Frames(clock),
            shares=Shares(subscribing, counters),
            server_topics=self._server_topics,
            store=store,
            clock=clock,
            entropy=entropy,
            counters=counters,
            spawn=spawn,
            data_depth_max=data_depth_max,
        )
        self._websocket_limits = WebSocketLimits(
            message_bytes_max=limits.mqtt_packet_bytes_max + 1024,
            messages_per_s=FRAMES_PER_S_MAX,
        )

    async def start(self) -> None:
        """Learn what sessions are stored; before the first connection."""
        await self.clients.start()

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """A socket of a listener, or of the HTTP port; `data` has been read from it."""
        peer = TcpPeer()
        peer.attach(transport)
        if self._is_full():
            transport.abort()
            return
        connection = Connection(self._broker, peer, websocket=False, forget_pending=self._answered)
        peer.listener = connection
        transport.set_protocol(peer)
        self._wait_for_connect(connection)
        if data:
            connection.message(data)

    def open(
        self, params: Params, identified: Identified, exchange: Exchange, fields: bytes
    ) -> None:
        """A WebSocket (MQTT 5.0 section 6). Errors are raised before the 101."""
        answer = handshake(exchange.head)
        if not identified.origin_allowed:
            # Its page may not use credentials, and CONNECT is where they come.
            raise ReddotError("origin_forbidden")
        if self._is_full():
            raise ReddotError("too_many_sessions", "too many connections wait for CONNECT")
        peer = WebSocketPeer(self._websocket_limits, binary=True)
        exchange.stream(101, answer, peer)
        connection = Connection(self._broker, peer, websocket=True, forget_pending=self._answered)
        if not is_anonymous(identified.actor):
            connection.known = identified.actor
        peer.listener = connection
        self._wait_for_connect(connection)

    def _is_full(self) -> bool:
        """Whether too many connections have not said yet who they are."""
        full = len(self._pending) >= self._broker.limits.mqtt_pending_max
        if full:
            self._broker.counters.reject("too_many_sessions", "mqtt")
        return full

    def _wait_for_connect(self, connection: Connection) -> None:
        deadline = self._broker.clock.monotonic() + self._broker.limits.mqtt_connect_timeout_s
        self._pending[connection] = deadline

    def _forget_pending(self, link: Link) -> None:
        self._pending.pop(link, None)

    def tick(self) -> None:
        """Call about twice a second."""
        now = self._broker.clock.monotonic()
        late = []
        for link, deadline in self._pending.items():
            if deadline > now:
                break
            late.append(link)
        for link in late:
            self._broker.counters.reject("request_timeout", "mqtt")
            link.leave()
            link.peer.transport.abort()
        self.clients.tick()
        self._server_topics.tick()


def _decoder_limits(limits: MqttLimits) -> DecoderLimits:
    return DecoderLimits(
        packet_bytes_max=limits.mqtt_packet_bytes_max,
        connect_bytes_max=limits.mqtt_connect_bytes_max,
        filters_max=limits.mqtt_filters_per_packet_max,
        properties=PropertyLimits(
            properties_bytes_max=limits.mqtt_properties_bytes_max,
            user_properties_max=limits.mqtt_user_properties_max,
        ),
    )
