"""One client's end of a conversation with a live broker, packet by packet.

Synchronous: a test sends, and says what must come next. That nothing comes is shown by what comes
after it, a PINGRESP or a later publication, and never by waiting. The client side of the codec
checks what a server may send, so every answer is also one that a strict client would take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from reddot.codecs.mqtt_decode import Decoder, Side
from reddot.codecs.mqtt_packets import (
    NO_PROPERTIES,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from tests.conformance.live.wires import Connection
from tests.unit.codecs.mqtt_values import encode

P = TypeVar("P", bound=Packet)
ID_OF_OUR_PACKETS: Final = 40_000
"""Where the identifiers of our own packets begin, far from those that tests and brokers choose."""


class Conversation:
    """One connection.

    Attributes:
        connack: the answer to our CONNECT, once there is one.
        raw: all bytes that have come.
    """

    connack: Connack

    def __init__(self, connection: Connection, level: int = 5) -> None:
        self.connection: Final = connection
        self.level: Final = level
        self.raw = b""
        self._decoder = Decoder(side=Side.CLIENT, level=level)
        self._kept: list[Packet] = []
        self._last_id = ID_OF_OUR_PACKETS
        self._ended = False

    # What goes

    def send(self, *what: Packet | bytes) -> None:
        """Packets, or bytes as they are, in one write."""
        data = [each if isinstance(each, bytes) else encode(self.level, each) for each in what]
        self.connection.send(b"".join(data))

    def next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # What comes

    def receive(self) -> Packet | None:
        """The next packet; None when the broker has closed the connection."""
        if self._kept:
            return self._kept.pop(0)
        return self._read()

    def _read(self) -> Packet | None:
        while True:
            packet = self._decoder.next_packet()
            if packet is not None or self._ended:
                return packet
            data = self.connection.receive()
            self.raw += data
            self._ended = not data
            self._decoder.feed(data)

    def expect(self, *packets: Packet) -> None:
        """Exactly these come next."""
        for packet in packets:
            assert self.receive() == packet

    def take(self, kind: type[P]) -> P:
        """The next packet is of this kind."""
        packet = self.receive()
        assert isinstance(packet, kind), packet
        return packet

    def await_(self, wanted: Callable[[Packet], bool]) -> Packet:
        """The next packet that is wanted; the others are kept for later, in order."""
        passed: list[Packet] = []
        while True:
            packet = self.receive()
            assert packet is not None, f"closed after {passed}"
            if wanted(packet):
                self._kept[:0] = passed
                return packet
            passed.append(packet)

    def quiet(self) -> None:
        """Nothing has come, and the connection is open."""
        self.send(Pingreq())
        self.expect(Pingresp())

    def closed(self) -> None:
        """The broker closes the connection, and says nothing."""
        assert self.receive() is None

    def refused(self, reason: int) -> Properties:
        """The broker closes the connection; in 5.0 it says why. Returns the properties of that."""
        properties = NO_PROPERTIES
        if self.level == 5:
            packet = self.take(Disconnect)
            assert f"{packet.reason:#x}" == f"{reason:#x}", packet.properties.reason_string
            properties = packet.properties
        self.closed()
        return properties

    # Whole exchanges

    def begin(self, connect: Connect) -> Connack:
        """Send CONNECT; returns its answer, whatever it says."""
        self.send(connect)
        self.connack = self.take(Connack)
        return self.connack

    def subscribe(self, *asked: str | Subscription, qos: int = 0, **properties: Any) -> list[int]:
        """Subscribe; returns the reason codes. What comes meanwhile is kept."""
        wanted = tuple(Subscription(a, qos) if isinstance(a, str) else a for a in asked)
        number = self.next_id()
        self.send(Subscribe(number, wanted, _properties(properties)))
        answer = self.await_(lambda packet: isinstance(packet, Suback))
        assert isinstance(answer, Suback)
        assert answer.packet_id == number
        return list(answer.reasons)

    def unsubscribe(self, *filters: str) -> list[int]:
        number = self.next_id()
        self.send(Unsubscribe(number, filters))
        answer = self.await_(lambda packet: isinstance(packet, Unsuback))
        assert isinstance(answer, Unsuback)
        assert answer.packet_id == number
        return list(answer.reasons)

    def publish(
        self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False, **properties: Any
    ) -> int:
        """Publish, and finish the exchange; returns the reason code of PUBACK or PUBREC.

        With QoS 0 the broker has taken it when this returns, too.
        """
        number = self.next_id() if qos else 0
        self.send(
            Publish(topic, payload, qos, retain, False, number, properties=_properties(properties))
        )
        if not qos:
            if retain:
                # What is retained is durable, which takes longer than a PINGRESP. `$` topics match
                # no wildcard.
                self.publish("$fence", b"", 1)
            self.send(Pingreq())
            self.await_(lambda packet: isinstance(packet, Pingresp))
            return 0
        answer = self._acknowledged(PUBACK if qos == 1 else PUBREC, number)
        if qos == 2 and answer.reason < 0x80:
            self.send(Ack(PUBREL, number))
            self._acknowledged(PUBCOMP, number)
        return answer.reason

    def _acknowledged(self, kind: int, number: int) -> Ack:
        packet = self.await_(lambda packet: isinstance(packet, Ack) and packet.kind == kind)
        assert isinstance(packet, Ack)
        assert packet.packet_id == number
        return packet

    def message(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        dup: bool = False,
        acknowledge: bool = True,
    ) -> Publish:
        """This publication comes next. It is acknowledged to the end unless told otherwise."""
        packet = self.take(Publish)
        assert (packet.topic, packet.payload) == (topic, payload)
        assert (packet.qos, packet.retain, packet.dup) == (qos, retain, dup)
        assert bool(packet.packet_id) == bool(qos)
        if acknowledge:
            self.acknowledge(packet)
        return packet

    def acknowledge(self, packet: Publish) -> None:
        """Finish the exchange of a publication that came."""
        if packet.qos == 1:
            self.send(Ack(PUBACK, packet.packet_id))
        elif packet.qos == 2:
            self.send(Ack(PUBREC, packet.packet_id))
            released = self._acknowledged(PUBREL, packet.packet_id)
            assert released.reason == 0
            self.send(Ack(PUBCOMP, packet.packet_id))

    # Ends

    def leave(self, reason: int = 0, **properties: Any) -> None:
        """DISCONNECT; returns when the broker has seen it."""
        self.send(Disconnect(reason, _properties(properties)))
        while self.receive() is not None:
            pass  # What was on its way.
        self.connection.close()

    def drop(self) -> None:
        """The network fails."""
        self.connection.close()


def _properties(found: dict[str, Any]) -> Properties:
    return Properties(**found) if found else NO_PROPERTIES
