"""An MQTT client that does nothing by itself: a test says each packet, and sees each one.

That nothing came is shown by what comes after it, an answer to a PINGREQ or a later publication,
and never by waiting. The client side of the codec checks what a server may send, so every answer is
also one that a strict client would take.
"""

from __future__ import annotations

from collections import deque
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
from tests.conformance.links import Link
from tests.unit.codecs.mqtt_values import encode

ROUNDS_MAX: Final = 200
ID_OF_OUR_PACKETS: Final = 40_000
"""Where the identifiers of our own packets begin, far from those that tests and servers choose."""
P = TypeVar("P", bound=Packet)


class Closed(AssertionError):
    """The server has closed the connection and a packet was expected."""


def properties(**fields: Any) -> Properties:
    """Properties by name; none is `NO_PROPERTIES` itself."""
    return Properties(**fields) if fields else NO_PROPERTIES


class Client:
    """One connection.

    Args:
        level: 3, 4 or 5.

    Attributes:
        connack: of `connect`.
        inbox: PUBLISH packets that came while something else was waited for.
        raw: all bytes that have come.
        largest_bytes: the size of the largest packet that came.
    """

    def __init__(self, link: Link, level: int) -> None:
        self.link: Final = link
        self.level: Final = level
        self.connack = Connack()
        self.inbox: deque[Publish] = deque()
        self.raw = b""
        self.largest_bytes = 0
        self._decoder = Decoder(side=Side.CLIENT, level=level)
        self._last_id = ID_OF_OUR_PACKETS

    # Packets as they are

    def send(self, *what: Packet | bytes) -> None:
        """Packets, or bytes as they are, in one write."""
        data = [each if isinstance(each, bytes) else encode(self.level, each) for each in what]
        self.link.send(b"".join(data))

    def next(self) -> Packet:
        """The next packet of the server."""
        return self.inbox.popleft() if self.inbox else self._read()

    def next_or_end(self) -> Packet | None:
        """As `next`; None if the server has closed the connection instead."""
        try:
            return self.next()
        except Closed:
            return None

    def _read(self) -> Packet:
        while (packet := self._decoder.next_packet()) is None:
            data = self.link.receive()
            if not data:
                raise Closed("the server has closed the connection")
            self.raw += data
            self._decoder.feed(data)
        self.largest_bytes = max(self.largest_bytes, len(encode(self.level, packet)))
        return packet

    def expect(self, *packets: Packet) -> None:
        """Exactly these come next."""
        for packet in packets:
            assert self.next() == packet

    def receive(self, kind: type[P]) -> P:
        """The next packet, which is of this type; PUBLISH packets before it wait in `inbox`."""
        if kind is Publish:
            packet = self.next()
        else:
            while isinstance(packet := self._read(), Publish):
                self.inbox.append(packet)
        assert isinstance(packet, kind), f"{packet} instead of {kind.__name__}"
        return packet

    def ack(self, kind: int, packet_id: int, reason: int = 0) -> None:
        self.send(Ack(kind, packet_id, reason))

    def receive_ack(self, kind: int, packet_id: int) -> Ack:
        answer = self.receive(Ack)
        assert (answer.kind, answer.packet_id) == (kind, packet_id)
        return answer

    def packet_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # What a client does

    def connect(self, connect: Connect) -> Connack:
        self.send(connect)
        self.connack = self.receive(Connack)
        return self.connack

    def subscribe(
        self, *filters: str | Subscription, qos: int = 2, **fields: Any
    ) -> tuple[int, ...]:
        """Subscribe; returns the reasons. `fields` are properties."""
        items = [Subscription(f, qos) if isinstance(f, str) else f for f in filters]
        packet_id = self.packet_id()
        self.send(Subscribe(packet_id, tuple(items), properties(**fields)))
        answer = self.receive(Suback)
        assert answer.packet_id == packet_id
        assert len(answer.reasons) == len(items)
        return answer.reasons

    def unsubscribe(self, *filters: str) -> tuple[int, ...]:
        """Unsubscribe; returns the reasons, of which there are none before 5.0."""
        packet_id = self.packet_id()
        self.send(Unsubscribe(packet_id, filters))
        answer = self.receive(Unsuback)
        assert answer.packet_id == packet_id
        return answer.reasons

    def publish(
        self,
        topic: str,
        payload: bytes = b"x",
        qos: int = 1,
        *,
        retain: bool = False,
        refused: int = 0,
        **fields: Any,
    ) -> None:
        """Publish, and return when the server has taken it; `fields` are properties.

        Args:
            refused: the reason with which it is not taken.
        """
        packet_id = self.packet_id() if qos else 0
        self.send(Publish(topic, payload, qos, retain, False, packet_id, properties(**fields)))
        if qos == 0:
            # What has no acknowledgement is done when what was sent behind it is acknowledged.
            self.publish("test/behind", b"", 1)
            return
        answer = self.receive_ack(PUBACK if qos == 1 else PUBREC, packet_id)
        assert answer.reason in ((refused,) if refused else (0, 0x10))
        if qos == 2 and not refused:
            self.ack(PUBREL, packet_id)
            assert self.receive_ack(PUBCOMP, packet_id).reason == 0

    def ping(self) -> None:
        self.send(Pingreq())
        self.receive(Pingresp)

    def take(self, *, answer: bool = True) -> Publish:
        """The next PUBLISH, whatever it is; acknowledged in full unless `answer` is false."""
        found = self.receive(Publish)
        assert bool(found.packet_id) == bool(found.qos)
        if answer:
            self.answer(found)
        return found

    def answer(self, found: Publish) -> None:
        """Finish the exchange of a publication that came."""
        if found.qos == 1:
            self.ack(PUBACK, found.packet_id)
        elif found.qos == 2:
            self.ack(PUBREC, found.packet_id)
            self.release(found)

    def release(self, found: Publish) -> None:
        """The second half of an exchange of quality 2."""
        assert self.receive_ack(PUBREL, found.packet_id).reason == 0
        self.ack(PUBCOMP, found.packet_id)

    def message(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        *,
        retain: bool = False,
        dup: bool = False,
        answer: bool = True,
    ) -> Publish:
        """This PUBLISH comes next, and is acknowledged in full unless `answer` is false."""
        found = self.take(answer=answer)
        assert (found.topic, found.payload) == (topic, payload)
        assert (found.qos, found.retain, found.dup) == (qos, retain, dup)
        return found

    def payloads(self, count: int) -> list[bytes]:
        return [self.take().payload for _ in range(count)]

    def settled(self, *others: Client, count: int) -> list[Publish]:
        """The messages of several clients, unanswered, once there are so many in all."""
        everybody = (self, *others)
        for _ in range(ROUNDS_MAX):
            for client in everybody:
                client.ping()
            if sum(len(client.inbox) for client in everybody) >= count:
                break
        return [packet for client in everybody for packet in client.inbox]

    def quiet(self) -> None:
        """Nothing has come, and nothing comes before the answer to a PINGREQ."""
        self.ping()
        assert not self.inbox, f"unexpected: {self.inbox}"

    # Ends

    def disconnect(self, reason: int = 0, **fields: Any) -> None:
        """Say goodbye; the server closes."""
        self.send(Disconnect(reason, properties(**fields)))
        self.closed()

    def drop(self) -> None:
        """The network fails. No race: what was sent has been read."""
        self.ping()
        self.link.abort()

    def closed(self, *reasons: int) -> Properties:
        """The server closes, behind what was on its way to a subscriber.

        Args:
            reasons: at level 5 it says one of them in a DISCONNECT before; none: it says nothing.

        Returns: the properties of DISCONNECT.
        """
        said = NO_PROPERTIES
        if reasons and self.level == 5:
            packet = self.receive(Disconnect)
            assert packet.reason in reasons, f"{packet} instead of {reasons}"
            said = packet.properties
        while (last := self.next_or_end()) is not None:
            assert isinstance(last, Publish), f"{last} instead of the end"
        return said

    def turned_away(self, *reasons: int) -> None:
        """The end, with a CONNACK before that or without; with any refusal if none is given."""
        answer = self.next_or_end()
        if answer is None:
            return
        assert isinstance(answer, Connack)
        assert answer.reason in reasons if reasons else answer.reason > 0
        assert not answer.session_present
        self.closed()
