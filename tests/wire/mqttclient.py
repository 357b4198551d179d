"""An MQTT client's end of a fake wire: values in, values out, on our codec's client side."""

from __future__ import annotations

from typing import Any

from reddot.codecs.mqtt_decode import Decoder, Side
from reddot.codecs.mqtt_encode import (
    PINGREQ_BYTES,
    encode_ack,
    encode_auth,
    encode_connect,
    encode_disconnect,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)
from reddot.codecs.mqtt_packets import (
    LEVEL_5,
    NO_PROPERTIES,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsubscribe,
)
from reddot.codecs.mqtt_properties import encode_properties
from tests.wire.node import WireNode
from tests.wire.transport import FakeTransport, settle


class MqttClient:
    """Connected to a node by a socket whose first byte is MQTT's, on the HTTP port.

    Attributes:
        acknowledging: whether `take` answers QoS 1 and 2 as a client has to.
    """

    def __init__(self, node: WireNode, level: int = LEVEL_5) -> None:
        self.node = node
        self.level = level
        self.acknowledging = True
        self.transport: FakeTransport = node.connect()
        self._decoder = Decoder(side=Side.CLIENT, level=level)
        self._read = 0
        self._last_id = 0
        self._kept: list[Publish] = []

    # Sending

    def feed(self, data: bytes) -> None:
        self.transport.feed(data)

    async def connect(self, client_id: str = "c", **changes: Any) -> Connack:
        """CONNECT, and its answer."""
        self.feed(encode_connect(Connect(level=self.level, client_id=client_id, **changes)))
        await settle()
        (answer,) = self._packets(1)
        assert isinstance(answer, Connack), answer
        return answer

    async def subscribe(
        self, *filters: str | Subscription, qos: int = 0, **properties: Any
    ) -> Suback:
        """SUBSCRIBE, and its answer, which may come behind publications; those are kept."""
        asked = tuple(Subscription(f, qos) if isinstance(f, str) else f for f in filters)
        packet = Subscribe(self.next_id(), asked, Properties(**properties))
        self.feed(encode_subscribe(self.level, packet))
        await settle()
        while isinstance(answer := self._packets(1)[0], Publish):
            self._kept.append(answer)
        assert isinstance(answer, Suback), answer
        return answer

    async def unsubscribe(self, *filters: str) -> list[Packet]:
        self.feed(encode_unsubscribe(self.level, Unsubscribe(self.next_id(), filters)))
        return await self.take()

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 0,
        **properties: Any,
    ) -> list[Packet]:
        """PUBLISH, and what comes back; QoS 2 up to PUBREC."""
        data = encode_publish(
            self.level,
            topic,
            payload,
            qos=qos,
            retain=retain,
            dup=dup,
            packet_id=(packet_id or self.next_id()) if qos else 0,
            properties=encode_properties(Properties(**properties)),
        )
        self.feed(data)
        return await self.take()

    async def ack(self, kind: int, packet_id: int, reason: int = 0) -> list[Packet]:
        self.feed(encode_ack(self.level, Ack(kind, packet_id, reason)))
        return await self.take()

    async def ping(self) -> list[Packet]:
        self.feed(PINGREQ_BYTES)
        return await self.take()

    async def auth(self, reason: int, **properties: Any) -> list[Packet]:
        self.feed(encode_auth(Auth(reason, Properties(**properties))))
        return await self.take()

    async def disconnect(self, reason: int = 0, **properties: Any) -> None:
        packet = Disconnect(reason, Properties(**properties) if properties else NO_PROPERTIES)
        self.feed(encode_disconnect(self.level, packet))
        await settle()
        self.transport.end()
        await settle()

    async def vanish(self) -> None:
        self.transport.reset()
        await settle()

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # Receiving

    def _packets(self, limit: int = 1 << 30) -> list[Packet]:
        self._decoder.feed(bytes(self.transport.sent[self._read :]))
        self._read = len(self.transport.sent)
        found: list[Packet] = []
        while len(found) < limit and (packet := self._decoder.next_packet()) is not None:
            found.append(packet)
        return found

    async def take(self) -> list[Packet]:
        """What has come since the last call, but for publications, which `messages` takes; and
        what comes by acknowledging it."""
        await settle()
        found: list[Packet] = []
        while packets := self._packets():
            for packet in packets:
                if isinstance(packet, Publish):
                    self._kept.append(packet)
                else:
                    found.append(packet)
                if self.acknowledging:
                    for answer in self._answers(packet):
                        self.feed(answer)
            await settle()
        return found

    def _answers(self, packet: Packet) -> list[bytes]:
        if isinstance(packet, Publish) and packet.qos:
            kind = PUBACK if packet.qos == 1 else PUBREC
            return [encode_ack(self.level, Ack(kind, packet.packet_id))]
        if isinstance(packet, Ack) and packet.kind == PUBREL:
            return [encode_ack(self.level, Ack(PUBCOMP, packet.packet_id))]
        if isinstance(packet, Ack) and packet.kind == PUBREC and not packet.reason:
            return [encode_ack(self.level, Ack(PUBREL, packet.packet_id))]
        return []

    async def messages(self) -> list[Publish]:
        """The publications that have come since the last call."""
        await self.take()
        found, self._kept = self._kept, []
        return found

    async def payloads(self) -> list[str]:
        return [message.payload.decode() for message in await self.messages()]
