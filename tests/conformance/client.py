"""An MQTT client that does nothing by itself: a test says each packet, and sees each one.

It speaks over TCP or over WebSocket; there, one packet is cut into frames of a few bytes. Nothing
here sleeps: that nothing came is known by an answer to a PINGREQ that was sent afterwards.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import ExitStack, suppress
from itertools import cycle
from typing import Any, Final, Protocol, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

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
from tests.unit.codecs.mqtt_values import encode

TIMEOUT_S: Final = 5.0
ROUNDS_MAX: Final = 200
P = TypeVar("P", bound=Packet)


class Closed(AssertionError):
    """The server has closed the connection and a packet was expected."""


class Link(Protocol):
    """Bytes both ways."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes:
        """What came; empty at the end of the connection."""

    def abort(self) -> None:
        """Go without a word."""


class TcpLink:
    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except ConnectionResetError as error:
            raise AssertionError("the connection was reset, and a reason may be lost") from error

    def abort(self) -> None:
        self._socket.close()


class WebSocketLink:
    """Frames of 1, 2, 3, 5 and 8 bytes, so that no packet of more than 8 is in one frame."""

    _SIZES: Final = (1, 2, 3, 5, 8)

    def __init__(self, host: str, port: int, path: str = "/mqtt") -> None:
        self._stack = ExitStack()
        opening = open_websocket(
            f"ws://{host}:{port}{path}",
            subprotocols=[Subprotocol("mqtt")],
            compression=None,
            open_timeout=TIMEOUT_S,
            close_timeout=TIMEOUT_S,
        )
        self._socket = self._stack.enter_context(opening)
        assert self._socket.subprotocol == "mqtt"
        self._sizes = cycle(self._SIZES)

    def send(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            size = next(self._sizes) if len(data) < 1000 else 1000
            try:
                self._socket.send(data[at : at + size])
            except ConnectionClosed:
                return  # What it has said before is still to be read.
            at += size

    def receive(self) -> bytes:
        try:
            data = self._socket.recv(TIMEOUT_S)
        except ConnectionClosed:
            return b""
        assert isinstance(data, bytes), "a text frame"
        return data

    def abort(self) -> None:
        with suppress(OSError):
            self._socket.socket.shutdown(socket.SHUT_RDWR)
        self._stack.close()


def properties(**fields: Any) -> Properties:
    """Properties by name; none is `NO_PROPERTIES` itself."""
    return Properties(**fields) if fields else NO_PROPERTIES


class Client:
    """One connection.

    Args:
        level: 4 or 5.

    Attributes:
        connack: of `connect`.
        inbox: PUBLISH packets that came while something else was waited for.
        largest_bytes: the size of the largest packet that came.
    """

    def __init__(self, link: Link, level: int) -> None:
        self.link = link
        self.level = level
        self.connack = Connack()
        self.inbox: deque[Publish] = deque()
        self._decoder = Decoder(side=Side.CLIENT, level=level)
        self._last_id = 0
        self.largest_bytes = 0

    # Packets as they are

    def send(self, packet: Packet) -> None:
        self.link.send(encode(self.level, packet))

    def next(self) -> Packet:
        """The next packet of the server."""
        while (packet := self._decoder.next_packet()) is None:
            data = self.link.receive()
            if not data:
                raise Closed("the server has closed the connection")
            self._decoder.feed(data)
        self.largest_bytes = max(self.largest_bytes, len(encode(self.level, packet)))
        return packet

    def receive(self, kind: type[P]) -> P:
        """The next packet, which is of this type; PUBLISH packets before it wait in `inbox`."""
        packet = self.next()
        while isinstance(packet, Publish) and kind is not Publish:
            self.inbox.append(packet)
            packet = self.next()
        assert isinstance(packet, kind), f"{packet} instead of {kind.__name__}"
        return packet

    def ack(self, kind: int, packet_id: int) -> None:
        self.send(Ack(kind, packet_id))

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

    def subscribe(self, *filters: str | Subscription, qos: int = 2, **fields: Any) -> Suback:
        """Subscribe, and return the answer; `fields` are properties."""
        items = [Subscription(f, qos) if isinstance(f, str) else f for f in filters]
        packet_id = self.packet_id()
        self.send(Subscribe(packet_id, tuple(items), properties(**fields)))
        answer = self.receive(Suback)
        assert answer.packet_id == packet_id
        assert len(answer.reasons) == len(items)
        return answer

    def suback_or_end(self) -> tuple[int, ...] | None:
        """The reasons of the next SUBACK; None if the server ends the connection instead."""
        try:
            packet = self.next()
        except Closed:
            return None
        if isinstance(packet, Disconnect):
            return None
        assert isinstance(packet, Suback)
        return packet.reasons

    def unsubscribe(self, *filters: str) -> Unsuback:
        packet_id = self.packet_id()
        self.send(Unsubscribe(packet_id, filters))
        answer = self.receive(Unsuback)
        assert answer.packet_id == packet_id
        return answer

    def publish(
        self,
        topic: str,
        payload: bytes = b"x",
        qos: int = 0,
        *,
        retain: bool = False,
        **fields: Any,
    ) -> None:
        """Publish, and return when the server has taken it; `fields` are properties."""
        packet_id = self.packet_id() if qos else 0
        self.send(Publish(topic, payload, qos, retain, False, packet_id, properties(**fields)))
        if qos == 0:
            # What has no acknowledgement is done when what was sent behind it is acknowledged.
            self.publish("test/behind", b"", 1)
        elif qos == 1:
            assert self.receive_ack(PUBACK, packet_id).reason in (0, 0x10)
        else:
            assert self.receive_ack(PUBREC, packet_id).reason in (0, 0x10)
            self.ack(PUBREL, packet_id)
            self.receive_ack(PUBCOMP, packet_id)

    def ping(self) -> None:
        self.send(Pingreq())
        self.receive(Pingresp)

    def message(self, *, answer: bool = True) -> Publish:
        """The next PUBLISH; acknowledged in full unless `answer` is false."""
        found = self.inbox.popleft() if self.inbox else self.receive(Publish)
        if answer and found.qos == 1:
            self.ack(PUBACK, found.packet_id)
        elif answer and found.qos == 2:
            self.ack(PUBREC, found.packet_id)
            self.receive_ack(PUBREL, found.packet_id)
            self.ack(PUBCOMP, found.packet_id)
        return found

    def payloads(self, count: int) -> list[bytes]:
        return [self.message().payload for _ in range(count)]

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

    def disconnect(self, reason: int = 0, **fields: Any) -> None:
        """Say goodbye; the server closes."""
        self.send(Disconnect(reason, properties(**fields)))
        self.closed()

    def closed(self, *reasons: int) -> None:
        """The server closes; at level 5 with a DISCONNECT of one of `reasons`, if any is given."""
        said = None
        try:
            while True:
                packet = self.next()
                assert said is None, f"{packet} behind DISCONNECT"
                if isinstance(packet, Disconnect):
                    said = packet.reason
        except Closed:
            pass
        if reasons and self.level == 5:
            assert said in reasons, f"DISCONNECT {said} instead of {reasons}"
        elif not reasons or self.level < 5:
            assert said is None, f"DISCONNECT {said}"
