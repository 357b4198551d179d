"""MQTT packets to bytes, 3.1, 3.1.1 and 5.0. Pure.

A PUBLISH with QoS 0 is the same bytes for every subscriber of one level. With QoS 1 or 2 only its
first byte and its packet identifier differ, so it is encoded once as a `PublishTemplate`.
`level` below 5 leaves properties and reason codes out where the older packets have none.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from reddot.codecs.mqtt_packets import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    LEVEL_5,
    LEVEL_31,
    NO_PROPERTIES,
    PINGREQ,
    PINGRESP,
    PUBLISH,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Properties,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    connack_code,
)
from reddot.codecs.mqtt_properties import (
    binary,
    encode_properties,
    text,
    varint,
    with_length,
)

MESSAGE_EXPIRY: Final = 0x02
_SHORT_ACK: Final = Struct(">BBH").pack
_ID: Final = Struct(">H").pack
_FAILURE: Final = 0x80

PINGREQ_BYTES: Final = bytes((PINGREQ << 4, 0))
PINGRESP_BYTES: Final = bytes((PINGRESP << 4, 0))


def _packet(kind: int, flags: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((kind << 4 | flags,)) + varint(len(body)) + body


def _properties(level: int, properties: Properties) -> bytes:
    if level != LEVEL_5:
        return b""
    return with_length(encode_properties(properties))


# ---- PUBLISH ----


def encode_publish(
    level: int,
    topic: str,
    payload: bytes,
    *,
    qos: int = 0,
    retain: bool = False,
    dup: bool = False,
    packet_id: int = 0,
    properties: bytes = b"",
) -> bytes:
    """A whole PUBLISH (3.3). `properties` are wire bytes without their length; none before 5.0."""
    name = topic.encode()
    number = _ID(packet_id) if qos else b""
    before = with_length(properties) if level == LEVEL_5 else b""
    return b"".join(
        (
            _FIRST[PUBLISH << 4 | dup << 3 | qos << 1 | retain],
            varint(2 + len(name) + len(number) + len(before) + len(payload)),
            _ID(len(name)),
            name,
            number,
            before,
            payload,
        )
    )


_FIRST: Final = tuple(bytes((value,)) for value in range(256))


def expiry_property(seconds: int) -> bytes:
    """Message Expiry Interval as a property (3.3.2.3.3): what is left of it."""
    return bytes((MESSAGE_EXPIRY,)) + seconds.to_bytes(4, "big")


# ---- answers ----


def short_ack(kind: int, packet_id: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP that says yes, which is the same in all levels."""
    return _SHORT_ACK(kind << 4 | (2 if kind == PUBREL else 0), 2, packet_id)


def encode_ack(level: int, ack: Ack) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP, in the shortest form that says it."""
    flags = 2 if ack.kind == PUBREL else 0
    if level != LEVEL_5 or (not ack.reason and ack.properties is NO_PROPERTIES):
        return _SHORT_ACK(ack.kind << 4 | flags, 2, ack.packet_id)
    if ack.properties is NO_PROPERTIES:
        return _packet(ack.kind, flags, _ID(ack.packet_id), _FIRST[ack.reason])
    return _packet(
        ack.kind, flags, _ID(ack.packet_id), _FIRST[ack.reason], _properties(level, ack.properties)
    )


def encode_connack(level: int, connack: Connack) -> bytes:
    """CONNACK (3.2). `reason` is a 5.0 code; older clients get the return code that says it.

    The version 3.1 has no Session Present.
    """
    if level != LEVEL_5:
        present = connack.session_present and level != LEVEL_31 and not connack.reason
        return bytes((CONNACK << 4, 2, present, connack_code(connack.reason)))
    flags = _FIRST[connack.session_present and not connack.reason]
    return _packet(
        CONNACK, 0, flags, _FIRST[connack.reason], _properties(level, connack.properties)
    )


def encode_suback(level: int, suback: Suback) -> bytes:
    """SUBACK (3.9); before 5.0 every failure is 0x80."""
    reasons = suback.reasons
    if level != LEVEL_5:
        reasons = tuple(min(reason, _FAILURE) for reason in reasons)
    return _packet(
        SUBACK, 0, _ID(suback.packet_id), _properties(level, suback.properties), bytes(reasons)
    )


def encode_unsuback(level: int, unsuback: Unsuback) -> bytes:
    """UNSUBACK (3.11); before 5.0 it has no payload."""
    if level != LEVEL_5:
        return _SHORT_ACK(UNSUBACK << 4, 2, unsuback.packet_id)
    properties = _properties(level, unsuback.properties)
    return _packet(UNSUBACK, 0, _ID(unsuback.packet_id), properties, bytes(unsuback.reasons))


def encode_disconnect(level: int, disconnect: Disconnect) -> bytes:
    """DISCONNECT (3.14). Before 5.0 only clients send it, without a reason."""
    if level != LEVEL_5 or (not disconnect.reason and disconnect.properties is NO_PROPERTIES):
        return bytes((DISCONNECT << 4, 0))
    if disconnect.properties is NO_PROPERTIES:
        return bytes((DISCONNECT << 4, 1, disconnect.reason))
    properties = _properties(level, disconnect.properties)
    return _packet(DISCONNECT, 0, _FIRST[disconnect.reason], properties)


def encode_auth(auth: Auth) -> bytes:
    """AUTH (3.15)."""
    if not auth.reason and auth.properties is NO_PROPERTIES:
        return bytes((AUTH << 4, 0))
    return _packet(AUTH, 0, _FIRST[auth.reason], _properties(LEVEL_5, auth.properties))


# ---- what clients send ----


def encode_connect(connect: Connect) -> bytes:
    """CONNECT (3.1) in the form of its level."""
    level, will = connect.level, connect.will
    name = b"MQIsdp" if level == LEVEL_31 else b"MQTT"
    flags = connect.clean_start << 1
    payload = [text(connect.client_id)]
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        payload += _will(level, will)
    if connect.username is not None:
        flags |= 0x80
        payload.append(text(connect.username))
    if connect.password is not None:
        flags |= 0x40
        payload.append(binary(connect.password))
    return _packet(
        CONNECT,
        0,
        binary(name),
        bytes((level, flags)),
        _ID(connect.keep_alive_s),
        _properties(level, connect.properties),
        *payload,
    )


def _will(level: int, will: Will) -> list[bytes]:
    return [_properties(level, will.properties), text(will.topic), binary(will.payload)]


def encode_subscribe(level: int, subscribe: Subscribe) -> bytes:
    """SUBSCRIBE (3.8); before 5.0 the only option is the QoS."""
    parts = [_ID(subscribe.packet_id), _properties(level, subscribe.properties)]
    for each in subscribe.subscriptions:
        options = each.qos
        if level == LEVEL_5:
            options |= each.no_local << 2 | each.retain_as_published << 3
            options |= each.retain_handling << 4
        parts += [text(each.filter), _FIRST[options]]
    return _packet(SUBSCRIBE, 2, *parts)


def encode_unsubscribe(level: int, unsubscribe: Unsubscribe) -> bytes:
    """UNSUBSCRIBE (3.10)."""
    return _packet(
        UNSUBSCRIBE,
        2,
        _ID(unsubscribe.packet_id),
        _properties(level, unsubscribe.properties),
        *map(text, unsubscribe.filters),
    )
