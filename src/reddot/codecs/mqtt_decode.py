"""MQTT bytes to packets: incremental, strict, and without memory for what is only claimed.

Pure. `Decoder.feed` takes what came, `Decoder.packets` hands out one packet after the other, so
that whatever stands before a mistake is seen before the mistake is raised. 3.1, 3.1.1 and 5.0;
the level is learned from CONNECT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

import msgspec

from reddot.codecs.mqtt_packets import (
    AUTH,
    AUTH_BY_CLIENT,
    CONNACK,
    CONNACK_REASONS,
    CONNECT,
    DISCONNECT,
    DISCONNECT_BY_CLIENT,
    DISCONNECT_BY_SERVER,
    LEVEL_5,
    LEVEL_31,
    LEVEL_311,
    MALFORMED,
    NO_PROPERTIES,
    PACKET_TOO_LARGE,
    PINGREQ,
    PINGRESP,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    QUOTA_EXCEEDED,
    REASONS,
    SHARE,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    UNSUPPORTED_VERSION,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    MqttError,
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
    Will,
)
from reddot.codecs.mqtt_properties import (
    WILL,
    PropertyLimits,
    check_text,
    read_binary,
    read_number,
    read_properties,
    read_text,
)

_TOPICS_MAX: Final = 1024
_TOPIC_KEPT_BYTES_MAX: Final = 256
_LEVELS: Final = {
    (b"MQTT", 4): LEVEL_311,
    (b"MQTT", 5): LEVEL_5,
    (b"MQIsdp", 3): LEVEL_31,
}
_PUBACK_FIRST: Final = PUBACK << 4
_FLAGS_TWO: Final = frozenset((PUBREL, SUBSCRIBE, UNSUBSCRIBE))
_PUBLISH_FLAGS: Final = tuple((f >> 1 & 3, f & 0x01 != 0, f & 0x08 != 0) for f in range(16))
"""QoS, RETAIN and DUP (3.3.1)."""
_FLAGS_PUBLISH: Final = tuple(
    flags for flags, (qos, _, dup) in enumerate(_PUBLISH_FLAGS) if qos < 3 and (qos or not dup)
)


class Side(Enum):
    """Who decodes: the packets that may come are those that the other side may send."""

    SERVER = "server"
    CLIENT = "client"


class DecoderLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Beyond them a packet is refused: with 0x95, sizes as soon as the length is known.

    Attributes:
        connect_bytes_max: of the first packet, before anybody is known.
        filters_max: of one SUBSCRIBE or UNSUBSCRIBE; beyond: 0x97.
    """

    packet_bytes_max: int = 262_144
    connect_bytes_max: int = 16_384
    filters_max: int = 10_000
    properties: PropertyLimits = PropertyLimits()


class Decoder:
    """One direction of one connection.

    Args:
        level: 3, 4 or 5 if it is known, as on the client's side; 0 waits for CONNECT.
        topics: names that have been checked, kept for all decoders that share it; bounded.

    Attributes:
        level: once CONNECT has been read; if its version is not supported, the nearest that is,
            so that the refusal can be written in a form that the client may understand.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_limits",
        "_most",
        "_need",
        "_readers",
        "_side",
        "_topics",
        "level",
    )

    def __init__(
        self,
        *,
        side: Side = Side.SERVER,
        limits: DecoderLimits = DecoderLimits(),  # noqa: B008 - frozen
        level: int = 0,
        topics: dict[bytes, str] | None = None,
    ) -> None:
        self.level = level
        self._limits = limits
        self._side = side
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._need = 1
        self._topics = {} if topics is None else topics
        if side is Side.SERVER and not level:
            self._readers, self._most = _READERS_FIRST, limits.connect_bytes_max
        else:
            self._expect_all()

    def _expect_all(self) -> None:
        self._readers = _READERS[self._side, self.level]
        self._most = self._limits.packet_bytes_max

    @property
    def unread_bytes(self) -> int:
        """What was fed and is not part of a packet that was handed out."""
        return len(self._buffer) - self._at

    def sole_puback(self, data: bytes) -> int:
        """The identifier, if what came is a PUBACK in its usual form (3.4.2.1) and nothing else, as
        most reads from a subscriber are; then it need not be fed. 0: it has to be."""
        if len(data) == 4 and data[0] == _PUBACK_FIRST and data[1] == 2 and not self._buffer:
            return data[2] << 8 | data[3] if self.level else 0
        return 0

    def feed(self, data: bytes) -> None:
        """Take what came. Go through `packets` before feeding again."""
        if not self._buffer:
            self._buffer = data
            return
        if self._at or isinstance(self._buffer, bytes):
            self._buffer, self._at = bytearray(self._buffer[self._at :]), 0
        self._buffer += data

    def next_packet(self) -> Packet | None:
        """The next packet, or None until more has come. Raises as `packets`."""
        return next(self.packets(), None)

    def packets(self) -> Iterator[Packet]:
        """The packets that have come. Who stops early finds the others the next time.

        Raises:
            MqttError: nothing that follows can be understood; do not call again.
        """
        buffer, at, size = self._buffer, self._at, len(self._buffer)
        if size - at < self._need:
            return  # Nothing can be said about it that has not been said.
        self._need = 1
        if not isinstance(buffer, bytes):
            buffer = self._buffer = bytes(buffer)
        while at < size:
            first = buffer[at]
            reader = self._readers[first]
            if reader is None:
                raise self._unexpected(first)
            start = at + 2
            if start > size or (length := buffer[at + 1]) >= 0x80:
                length, start = self._length(buffer, at)
                if not start:
                    self._need = size - at + 1
                    return
            end = start + length
            if end > size or end - at > self._most:
                self._need = self._needed(end - at)
                return
            if end == size:
                self._buffer, self._at = b"", 0  # It would keep the last read alive.
            else:
                self._at = end
            yield reader(self, buffer, first, start, end)
            at = end

    def _needed(self, size: int) -> int:
        """How many bytes a packet has that is not all there, if it may have so many."""
        if size > self._most:
            raise MqttError(PACKET_TOO_LARGE, f"{size} bytes, {self._most} allowed")
        return size

    # The fixed header (2.1)

    def _unexpected(self, first: int) -> MqttError:
        kind = first >> 4
        if self._readers is _READERS_FIRST:
            return MqttError(PROTOCOL_ERROR, "the first packet is not CONNECT")
        if any(reader is not None for reader in self._readers[kind << 4 : (kind + 1) << 4]):
            return MqttError(MALFORMED, "reserved flags of a fixed header are set")
        reason = PROTOCOL_ERROR if kind else MALFORMED
        return MqttError(reason, f"a packet of type {kind} is not expected")

    def _length(self, buffer: bytes | bytearray, at: int) -> tuple[int, int]:
        """The remaining length (2.1.4) and where it ends; 0 if it has not all come."""
        value = shift = 0
        for place in range(at + 1, min(at + 5, len(buffer))):
            byte = buffer[place]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if not byte and shift and self.level == LEVEL_5:
                    raise MqttError(MALFORMED, "a length is not in its shortest form")
                return value, place + 1
            shift += 7
        if shift == 28:
            raise MqttError(MALFORMED, "a length has no end")
        return 0, 0

    # Pieces that several packets have

    def _properties(
        self, data: bytes, at: int, end: int, packet: int
    ) -> tuple[Properties, bytes, int]:
        if self.level != LEVEL_5:
            return NO_PROPERTIES, b"", at
        return read_properties(data, at, end, packet, self._limits.properties)

    def _packet_id(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        if at + 2 > end:
            raise MqttError(MALFORMED, "the packet ends inside its identifier")
        packet_id = data[at] << 8 | data[at + 1]
        if not packet_id:
            raise MqttError(MALFORMED, "a packet identifier is 0")
        return packet_id, at + 2

    def _reason(
        self, data: bytes, at: int, end: int, packet: int, allowed: frozenset[int]
    ) -> tuple[int, Properties]:
        """A reason code and properties, either of which may be left out at the end (2.2.2.1)."""
        if at == end:
            return 0, NO_PROPERTIES
        if self.level != LEVEL_5:
            raise MqttError(MALFORMED, "the packet is too long")
        reason, properties = data[at], NO_PROPERTIES
        if reason not in allowed:
            raise MqttError(PROTOCOL_ERROR, f"the reason code 0x{reason:02X} does not belong here")
        at += 1
        if at < end:
            properties, _, at = self._properties(data, at, end, packet)
        _check_end(at, end)
        return reason, properties

    def _topic(self, raw: bytes) -> str:
        """A topic name; the checks run once per name that is in use."""
        topic = check_text(raw)
        if "+" in topic or "#" in topic:
            raise MqttError(MALFORMED, "a topic name has a wildcard")
        if len(raw) <= _TOPIC_KEPT_BYTES_MAX:
            if len(self._topics) >= _TOPICS_MAX:
                self._topics.clear()
            self._topics[raw] = topic
        return topic

    # Packets

    def _publish(self, data: bytes, first: int, at: int, end: int) -> Publish:
        qos, retain, dup = _PUBLISH_FLAGS[first & 0x0F]
        start = at + 2
        at = start + (data[at] << 8 | data[at + 1]) if start <= end else end + 1
        if at > end:
            raise MqttError(MALFORMED, "a topic name is longer than its packet")
        raw = data[start:at]
        topic = self._topics.get(raw)
        if topic is None:
            topic = self._topic(raw)
        packet_id = 0
        if qos:
            if at + 2 > end or not (packet_id := data[at] << 8 | data[at + 1]):
                self._packet_id(data, at, end)  # Says what is wrong.
            at += 2
        properties, forward = NO_PROPERTIES, b""
        if self.level == LEVEL_5:
            if at < end and not data[at]:
                at += 1
            else:
                properties, forward, at = self._publish_properties(data, at, end)
        if not topic and properties.topic_alias is None:
            reason = PROTOCOL_ERROR if self.level == LEVEL_5 else MALFORMED
            raise MqttError(reason, "a PUBLISH without topic and alias")
        return Publish(topic, data[at:end], qos, retain, dup, packet_id, properties, forward)

    def _publish_properties(self, data: bytes, at: int, end: int) -> tuple[Properties, bytes, int]:
        properties, forward, at = read_properties(data, at, end, PUBLISH, self._limits.properties)
        if properties.subscription_ids and self._side is Side.SERVER:
            raise MqttError(PROTOCOL_ERROR, "a client sends a subscription identifier")
        _check_response_topic(properties)
        return properties, forward, at

    def _ack(self, data: bytes, first: int, at: int, end: int) -> Ack:
        kind = first >> 4
        if at + 2 == end and (packet_id := data[at] << 8 | data[at + 1]):
            return Ack(kind, packet_id)  # The usual form, which costs no more calls.
        packet_id, at = self._packet_id(data, at, end)
        return Ack(kind, packet_id, *self._reason(data, at, end, kind, REASONS[kind]))

    def _subscribe(self, data: bytes, first: int, at: int, end: int) -> Subscribe:
        packet_id, at = self._packet_id(data, at, end)
        properties, _, at = self._properties(data, at, end, SUBSCRIBE)
        subscriptions = []
        while at < end:
            text, at = self._filter(data, at, end)
            options, at = read_number(data, at, end, 1)
            subscriptions.append(self._subscription(text, options))
            self._check_filters(len(subscriptions))
        if not subscriptions:
            raise MqttError(PROTOCOL_ERROR, "a SUBSCRIBE without filter")
        return Subscribe(packet_id, tuple(subscriptions), properties)

    def _subscription(self, text: str, options: int) -> Subscription:
        qos, handling = options & 3, options >> 4 & 3
        if options & (0xC0 if self.level == LEVEL_5 else 0xFC):
            raise MqttError(MALFORMED, "reserved options of a subscription are set")
        if qos == 3 or handling == 3:
            reason = PROTOCOL_ERROR if self.level == LEVEL_5 else MALFORMED
            raise MqttError(reason, "QoS 3 or Retain Handling 3")
        no_local = bool(options & 0x04)
        if no_local and text.startswith(SHARE):
            raise MqttError(PROTOCOL_ERROR, "No Local on a shared subscription")
        return Subscription(text, qos, no_local, bool(options & 0x08), handling)

    def _unsubscribe(self, data: bytes, first: int, at: int, end: int) -> Unsubscribe:
        packet_id, at = self._packet_id(data, at, end)
        properties, _, at = self._properties(data, at, end, UNSUBSCRIBE)
        filters = []
        while at < end:
            text, at = self._filter(data, at, end)
            filters.append(text)
            self._check_filters(len(filters))
        if not filters:
            raise MqttError(PROTOCOL_ERROR, "an UNSUBSCRIBE without filter")
        return Unsubscribe(packet_id, tuple(filters), properties)

    def _check_filters(self, count: int) -> None:
        if count > self._limits.filters_max:
            raise MqttError(QUOTA_EXCEEDED, f"{self._limits.filters_max} filters in one packet")

    def _filter(self, data: bytes, at: int, end: int) -> tuple[str, int]:
        text, at = read_text(data, at, end)
        if not text:
            raise MqttError(MALFORMED, "an empty topic filter")
        return text, at

    def _ping(self, data: bytes, first: int, at: int, end: int) -> Pingreq | Pingresp:
        _check_end(at, end)
        return Pingreq() if first >> 4 == PINGREQ else Pingresp()

    def _disconnect(self, data: bytes, first: int, at: int, end: int) -> Disconnect:
        server = self._side is Side.SERVER
        if not server and self.level != LEVEL_5:
            raise MqttError(PROTOCOL_ERROR, "a server of 3.1.1 has no DISCONNECT")
        allowed = DISCONNECT_BY_CLIENT if server else DISCONNECT_BY_SERVER
        reason, properties = self._reason(data, at, end, DISCONNECT, allowed)
        if not server and properties.session_expiry_s is not None:
            raise MqttError(PROTOCOL_ERROR, "a server sends a session expiry")
        return Disconnect(reason, properties)

    def _auth(self, data: bytes, first: int, at: int, end: int) -> Auth:
        server = self._side is Side.SERVER
        allowed = AUTH_BY_CLIENT if server else REASONS[AUTH]
        if server and at == end:
            raise MqttError(PROTOCOL_ERROR, "an AUTH of a client without reason code")
        reason, properties = self._reason(data, at, end, AUTH, allowed)
        _check_authentication(properties)
        if server and properties.authentication_method is None:
            raise MqttError(PROTOCOL_ERROR, "an AUTH without its method")
        return Auth(reason, properties)

    def _connack(self, data: bytes, first: int, at: int, end: int) -> Connack:
        flags, at = read_number(data, at, end, 1)
        reason, at = read_number(data, at, end, 1)
        properties, _, at = self._properties(data, at, end, CONNACK)
        _check_end(at, end)
        if flags > 1:
            raise MqttError(MALFORMED, "reserved flags of a CONNACK are set")
        if reason not in CONNACK_REASONS if self.level == LEVEL_5 else reason > 5:
            raise MqttError(PROTOCOL_ERROR, f"the reason code 0x{reason:02X} does not belong here")
        return Connack(reason=reason, session_present=bool(flags), properties=properties)

    def _suback(self, data: bytes, first: int, at: int, end: int) -> Suback:
        packet_id, at = self._packet_id(data, at, end)
        properties, _, at = self._properties(data, at, end, SUBACK)
        return Suback(packet_id, self._reasons(data[at:end], SUBACK), properties)

    def _unsuback(self, data: bytes, first: int, at: int, end: int) -> Unsuback:
        packet_id, at = self._packet_id(data, at, end)
        if self.level != LEVEL_5:
            _check_end(at, end)
            return Unsuback(packet_id)
        properties, _, at = self._properties(data, at, end, UNSUBACK)
        return Unsuback(packet_id, self._reasons(data[at:end], UNSUBACK), properties)

    def _reasons(self, reasons: bytes, packet: int) -> tuple[int, ...]:
        if not reasons or not REASONS[packet].issuperset(reasons):
            raise MqttError(PROTOCOL_ERROR, "reason codes are missing or do not belong here")
        return tuple(reasons)

    # The first packet

    def _connect(self, data: bytes, first: int, at: int, end: int) -> Connect:
        if self.level:
            raise MqttError(PROTOCOL_ERROR, "a second CONNECT")
        name, at = read_binary(data, at, end)
        version, at = read_number(data, at, end, 1)
        self.level = _LEVELS.get((name, version), 0)
        if not self.level:
            self.level = LEVEL_5 if name == b"MQTT" and version > LEVEL_5 else LEVEL_311
            raise MqttError(UNSUPPORTED_VERSION, f"protocol {name[:16]!r} level {version}")
        flags, at = read_number(data, at, end, 1)
        _check_connect_flags(flags, self.level)
        keep_alive_s, at = read_number(data, at, end, 2)
        properties, _, at = self._properties(data, at, end, CONNECT)
        _check_authentication(properties)
        client_id, at = read_text(data, at, end)
        will: Will | None = None
        if flags & 0x04:
            will, at = self._will(data, flags, at, end)
        username: str | None = None
        password: bytes | None = None
        if flags & 0x80:
            username, at = read_text(data, at, end)
        if flags & 0x40:
            password, at = read_binary(data, at, end)
        _check_end(at, end)
        self._expect_all()
        return Connect(
            level=self.level,
            client_id=client_id,
            clean_start=bool(flags & 0x02),
            keep_alive_s=keep_alive_s,
            username=username,
            password=password,
            will=will,
            properties=properties,
        )

    def _will(self, data: bytes, flags: int, at: int, end: int) -> tuple[Will, int]:
        properties, forward, at = self._properties(data, at, end, WILL)
        _check_response_topic(properties)
        raw, at = read_binary(data, at, end)
        topic = self._topic(raw)
        if not topic:
            raise MqttError(MALFORMED, "a will without topic")
        payload, at = read_binary(data, at, end)
        will = Will(
            topic=topic,
            payload=payload,
            qos=flags >> 3 & 3,
            retain=bool(flags & 0x20),
            properties=properties,
            forward=forward,
        )
        return will, at


def _check_end(at: int, end: int) -> None:
    if at != end:
        raise MqttError(MALFORMED, "the packet is too long")


def _check_connect_flags(flags: int, level: int) -> None:
    will_qos = flags >> 3 & 3
    if flags & 0x01:
        raise MqttError(MALFORMED, "the reserved connect flag is set")
    if will_qos == 3 or (not flags & 0x04 and flags & 0x38):
        raise MqttError(MALFORMED, "the flags of the will do not fit together")
    if level != LEVEL_5 and flags & 0xC0 == 0x40:
        raise MqttError(MALFORMED, "a password without user name")


def _check_authentication(properties: Properties) -> None:
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise MqttError(PROTOCOL_ERROR, "authentication data without its method")


def _check_response_topic(properties: Properties) -> None:
    topic = properties.response_topic
    if topic is not None and ("+" in topic or "#" in topic):
        raise MqttError(PROTOCOL_ERROR, "a response topic has a wildcard")


_Reader = Callable[[Decoder, bytes, int, int, int], Packet]
_Readers = tuple[_Reader | None, ...]

_BOTH: Final[dict[int, _Reader]] = {
    PUBLISH: Decoder._publish,
    PUBACK: Decoder._ack,
    PUBREC: Decoder._ack,
    PUBREL: Decoder._ack,
    PUBCOMP: Decoder._ack,
    DISCONNECT: Decoder._disconnect,
}
_BY_SENDER: Final[dict[Side, dict[int, _Reader]]] = {
    Side.SERVER: {
        CONNECT: Decoder._connect,
        SUBSCRIBE: Decoder._subscribe,
        UNSUBSCRIBE: Decoder._unsubscribe,
        PINGREQ: Decoder._ping,
    },
    Side.CLIENT: {
        CONNACK: Decoder._connack,
        SUBACK: Decoder._suback,
        UNSUBACK: Decoder._unsuback,
        PINGRESP: Decoder._ping,
    },
}


def _by_first_byte(readers: dict[int, _Reader], level: int = 0) -> _Readers:
    """What reads a packet that begins with each byte; None where the flags are not as fixed."""
    # What 3.1 acknowledges at QoS 1 is sent again with DUP, as a publication is (its section 2.1).
    two = (0b0010, 0b1010) if level == LEVEL_31 else (0b0010,)
    found: list[_Reader | None] = [None] * 256
    for kind, reader in readers.items():
        for flags in _FLAGS_PUBLISH if kind == PUBLISH else two if kind in _FLAGS_TWO else (0,):
            found[kind << 4 | flags] = reader
    return tuple(found)


_READERS_FIRST: Final = _by_first_byte({CONNECT: Decoder._connect})
_READERS: Final[dict[tuple[Side, int], _Readers]] = {
    (side, level): _by_first_byte(
        _BOTH | readers | ({AUTH: Decoder._auth} if level == LEVEL_5 else {}), level
    )
    for side, readers in _BY_SENDER.items()
    for level in (0, LEVEL_31, LEVEL_311, LEVEL_5)
}
"""Which packets may come to a side at a level, and what reads them; 0: a client that does not care
whether it speaks 3.1 or 3.1.1."""
