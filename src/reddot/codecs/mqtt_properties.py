"""MQTT 5.0 properties (section 2.2.2): the table, and both directions. Pure.

Each property stands in the table once, with its type, the packets that may carry it, and the values
it may have. A property in a packet that does not know it is a malformed packet; one that comes
twice, or has a forbidden value, is a protocol error.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

import msgspec

from reddot.codecs.mqtt_packets import (
    ALIAS_INVALID,
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    MALFORMED,
    NO_PROPERTIES,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    MqttError,
    Properties,
)

WILL: Final = 0
"""The will has properties of its own inside CONNECT; no packet has this number."""

VARINT_MAX: Final = 268_435_455

_CONTROLS: Final = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))


class _Type(Enum):
    BYTE = "byte"
    U16 = "two bytes"
    U32 = "four bytes"
    VARINT = "variable byte integer"
    TEXT = "UTF-8 string"
    BINARY = "binary data"
    PAIR = "UTF-8 string pair"


def _any(_value: Any) -> bool:
    return True


def _flag(value: Any) -> bool:
    return value in (0, 1)


def _positive(value: Any) -> bool:
    return bool(value > 0)


class _Row(msgspec.Struct, frozen=True):
    """One property.

    Attributes:
        packets: which may carry it.
        allowed: which values; else the packet is refused with `reason`.
        forward: whether it belongs to the message and is handed on unaltered.
    """

    name: str
    type: _Type
    packets: frozenset[int]
    allowed: Callable[[Any], bool] = _any
    reason: int = PROTOCOL_ERROR
    forward: bool = False


def _row(
    name: str,
    type_: _Type,
    *packets: int,
    allowed: Callable[[Any], bool] = _any,
    reason: int = PROTOCOL_ERROR,
    forward: bool = False,
) -> _Row:
    return _Row(name, type_, frozenset(packets), allowed, reason, forward)


_ANSWERS: Final = (CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)
_ALL: Final = (CONNECT, PUBLISH, WILL, SUBSCRIBE, UNSUBSCRIBE, *_ANSWERS)

TABLE: Final[dict[int, _Row]] = {
    0x01: _row("payload_format", _Type.BYTE, PUBLISH, WILL, allowed=_flag, forward=True),
    0x02: _row("message_expiry_s", _Type.U32, PUBLISH, WILL),
    0x03: _row("content_type", _Type.TEXT, PUBLISH, WILL, forward=True),
    0x08: _row("response_topic", _Type.TEXT, PUBLISH, WILL, forward=True),
    0x09: _row("correlation_data", _Type.BINARY, PUBLISH, WILL, forward=True),
    0x0B: _row("subscription_ids", _Type.VARINT, PUBLISH, SUBSCRIBE, allowed=_positive),
    0x11: _row("session_expiry_s", _Type.U32, CONNECT, CONNACK, DISCONNECT),
    0x12: _row("assigned_client_id", _Type.TEXT, CONNACK),
    0x13: _row("server_keep_alive_s", _Type.U16, CONNACK),
    0x15: _row("authentication_method", _Type.TEXT, CONNECT, CONNACK, AUTH),
    0x16: _row("authentication_data", _Type.BINARY, CONNECT, CONNACK, AUTH),
    0x17: _row("request_problem_information", _Type.BYTE, CONNECT, allowed=_flag),
    0x18: _row("will_delay_s", _Type.U32, WILL),
    0x19: _row("request_response_information", _Type.BYTE, CONNECT, allowed=_flag),
    0x1A: _row("response_information", _Type.TEXT, CONNACK),
    0x1C: _row("server_reference", _Type.TEXT, CONNACK, DISCONNECT),
    0x1F: _row("reason_string", _Type.TEXT, *_ANSWERS),
    0x21: _row("receive_maximum", _Type.U16, CONNECT, CONNACK, allowed=_positive),
    0x22: _row("topic_alias_maximum", _Type.U16, CONNECT, CONNACK),
    0x23: _row("topic_alias", _Type.U16, PUBLISH, allowed=_positive, reason=ALIAS_INVALID),
    0x24: _row("maximum_qos", _Type.BYTE, CONNACK, allowed=_flag),
    0x25: _row("retain_available", _Type.BYTE, CONNACK, allowed=_flag),
    0x26: _row("user", _Type.PAIR, *_ALL, forward=True),
    0x27: _row("maximum_packet_bytes", _Type.U32, CONNECT, CONNACK, allowed=_positive),
    0x28: _row("wildcard_available", _Type.BYTE, CONNACK, allowed=_flag),
    0x29: _row("subscription_ids_available", _Type.BYTE, CONNACK, allowed=_flag),
    0x2A: _row("shared_available", _Type.BYTE, CONNACK, allowed=_flag),
}
_REPEATED: Final = ("user", "subscription_ids")


class PropertyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Beyond them the packet is refused with 0x95, whatever it would mean."""

    properties_bytes_max: int = 8192
    user_properties_max: int = 32


# ---- reading ----


def read_text(data: bytes, at: int, end: int) -> tuple[str, int]:
    """A UTF-8 string (1.5.4) and where it ends.

    Control characters and non-characters, which the standard says should not be there, are
    refused like U+0000, which must not.
    """
    raw, at = read_binary(data, at, end)
    return check_text(raw), at


def check_text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MqttError(MALFORMED, "a string is not valid UTF-8") from None
    if text.isascii() and text.isprintable():
        return text
    if not _CONTROLS.isdisjoint(text) or any(map(_is_noncharacter, text)):
        raise MqttError(MALFORMED, "a string has a control character or a non-character")
    return text


def _is_noncharacter(character: str) -> bool:
    code = ord(character)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def read_binary(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    """Binary data (1.5.6) and where it ends."""
    start = at + 2
    if start > end:
        raise MqttError(MALFORMED, "the packet ends inside a length")
    stop = start + (data[at] << 8 | data[at + 1])
    if stop > end:
        raise MqttError(MALFORMED, "a string is longer than its packet")
    return data[start:stop], stop


def read_number(data: bytes, at: int, end: int, size: int) -> tuple[int, int]:
    stop = at + size
    if stop > end:
        raise MqttError(MALFORMED, "the packet ends inside a number")
    return int.from_bytes(data[at:stop], "big"), stop


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable byte integer (1.5.5), in its shortest form."""
    value = shift = 0
    for place in range(at, min(at + 4, end)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and place > at:
                raise MqttError(MALFORMED, "a length is not in its shortest form")
            return value, place + 1
        shift += 7
    raise MqttError(MALFORMED, "a length has no end")


def _read_pair(data: bytes, at: int, end: int) -> tuple[tuple[str, str], int]:
    name, at = read_text(data, at, end)
    value, at = read_text(data, at, end)
    return (name, value), at


_READ: Final[dict[_Type, Callable[[bytes, int, int], tuple[Any, int]]]] = {
    _Type.BYTE: lambda data, at, end: read_number(data, at, end, 1),
    _Type.U16: lambda data, at, end: read_number(data, at, end, 2),
    _Type.U32: lambda data, at, end: read_number(data, at, end, 4),
    _Type.VARINT: read_varint,
    _Type.TEXT: read_text,
    _Type.BINARY: read_binary,
    _Type.PAIR: _read_pair,
}


def read_properties(
    data: bytes, at: int, end: int, packet: int, limits: PropertyLimits
) -> tuple[Properties, bytes, int]:
    """The properties at `at`, those of them that are forwarded as wire bytes, and where they end.

    Raises:
        MqttError: malformed (0x81), protocol error (0x82), 0x94 for the topic alias 0, 0x95 for
            more than the limits allow.
    """
    size, at = read_varint(data, at, end)
    if not size:
        return NO_PROPERTIES, b"", at
    stop = at + size
    if stop > end:
        raise MqttError(MALFORMED, "the properties are longer than their packet")
    if size > limits.properties_bytes_max:
        raise MqttError(PACKET_TOO_LARGE, f"{limits.properties_bytes_max} bytes of properties")
    found: dict[str, Any] = {}
    forward = []
    while at < stop:
        start, row = at, TABLE.get(data[at])
        if row is None or packet not in row.packets:
            raise MqttError(MALFORMED, f"the property 0x{data[at]:02X} does not belong here")
        value, at = _READ[row.type](data, at + 1, stop)
        _take(found, row, value, packet, limits)
        if row.forward:
            forward.append(data[start:at])
    return Properties(**found), b"".join(forward), stop


def _take(
    found: dict[str, Any], row: _Row, value: Any, packet: int, limits: PropertyLimits
) -> None:
    if not row.allowed(value):
        raise MqttError(row.reason, f"{row.name} must not be {value}")
    if row.name not in found:
        found[row.name] = (value,) if row.name in _REPEATED else value
    elif row.name == "user":
        if len(found["user"]) >= limits.user_properties_max:
            raise MqttError(PACKET_TOO_LARGE, f"{limits.user_properties_max} user properties")
        found["user"] += (value,)
    elif row.name == "subscription_ids" and packet == PUBLISH:
        found["subscription_ids"] += (value,)
    else:
        raise MqttError(PROTOCOL_ERROR, f"{row.name} comes twice")


# ---- writing ----


def varint(value: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    if value < 0x80:
        return _SMALL[value]
    if value > VARINT_MAX:
        raise ValueError(f"{value} does not fit into four bytes")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL: Final = tuple(bytes((value,)) for value in range(0x80))


def text(value: str) -> bytes:
    """A UTF-8 string with its length (1.5.4)."""
    return binary(value.encode())


def binary(value: bytes) -> bytes:
    """Binary data with its length (1.5.6)."""
    return len(value).to_bytes(2, "big") + value


_WRITE: Final[dict[_Type, Callable[[Any], bytes]]] = {
    _Type.BYTE: lambda value: bytes((value,)),
    _Type.U16: lambda value: int(value).to_bytes(2, "big"),
    _Type.U32: lambda value: int(value).to_bytes(4, "big"),
    _Type.VARINT: varint,
    _Type.TEXT: text,
    _Type.BINARY: binary,
    _Type.PAIR: lambda pair: text(pair[0]) + text(pair[1]),
}


def encode_properties(properties: Properties) -> bytes:
    """The properties as wire bytes, without the length that stands before them."""
    if properties is NO_PROPERTIES:
        return b""
    parts = []
    for identifier, row in TABLE.items():
        value = getattr(properties, row.name)
        if value is None:
            continue
        write, name = _WRITE[row.type], _SMALL[identifier]
        for each in value if row.name in _REPEATED else (value,):
            parts.append(name + write(each))
    return b"".join(parts)


def with_length(raw: bytes) -> bytes:
    """Encoded properties with the length that stands before them."""
    return varint(len(raw)) + raw
