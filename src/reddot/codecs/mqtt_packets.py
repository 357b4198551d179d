"""MQTT 3.1, 3.1.1 and 5.0: the control packets as values, and the tables they share.

Pure. `mqtt_decode` turns bytes into these, `mqtt_encode` and `mqtt_properties` the other way.
Section numbers are those of MQTT 5.0 (OASIS, 2019) unless the text says 3.1.1.
"""

from __future__ import annotations

from typing import Final

import msgspec

LEVEL_31: Final = 3
LEVEL_311: Final = 4
LEVEL_5: Final = 5

CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
SUBACK: Final = 9
UNSUBSCRIBE: Final = 10
UNSUBACK: Final = 11
PINGREQ: Final = 12
PINGRESP: Final = 13
DISCONNECT: Final = 14
AUTH: Final = 15

MALFORMED: Final = 0x81
PROTOCOL_ERROR: Final = 0x82
UNSUPPORTED_VERSION: Final = 0x84
FILTER_INVALID: Final = 0x8F
ALIAS_INVALID: Final = 0x94
PACKET_TOO_LARGE: Final = 0x95
QUOTA_EXCEEDED: Final = 0x97

SHARE: Final = "$share/"


class MqttError(Exception):
    """The peer has broken the protocol; the connection cannot go on.

    Args:
        reason: the MQTT 5.0 reason code (section 2.4). 3.1.1 just closes, or answers a CONNECT
            with `connack_code`.
        detail: what was wrong, for a person.
    """

    def __init__(self, reason: int, detail: str) -> None:
        self.reason: Final = reason
        self.detail: Final = detail
        super().__init__(f"0x{reason:02X}: {detail}")


def connack_code(reason: int) -> int:
    """The 3.1.1 CONNACK return code (3.1.1 section 3.2.2.3) that says what `reason` says."""
    return _CONNACK_CODES.get(reason, 3) if reason else 0


_CONNACK_CODES: Final = {
    0x84: 1,  # unacceptable protocol version
    0x85: 2,  # identifier rejected
    0x86: 4,  # bad user name or password
    0x8C: 4,
    0x87: 5,  # not authorized
}


class Properties(msgspec.Struct, frozen=True, gc=False, kw_only=True, repr_omit_defaults=True):
    """The properties of one packet (section 2.2.2.2). None, or empty, is: not there.

    Attributes:
        user: in the order of the packet, doubles included.
        subscription_ids: several only on a PUBLISH to a client.
    """

    payload_format: int | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_ids: tuple[int, ...] = ()
    session_expiry_s: int | None = None
    assigned_client_id: str | None = None
    server_keep_alive_s: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_s: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user: tuple[tuple[str, str], ...] = ()
    maximum_packet_bytes: int | None = None
    wildcard_available: int | None = None
    subscription_ids_available: int | None = None
    shared_available: int | None = None


NO_PROPERTIES: Final = Properties()


class Will(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is published for a client that goes without a word (section 3.1.2.5).

    Attributes:
        forward: its properties that subscribers get, as on the wire.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    forward: bytes = b""


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """CONNECT (3.1). `level` is 3, 4 or 5; `clean_start` is Clean Session before 5.0."""

    level: int
    client_id: str
    clean_start: bool = True
    keep_alive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = NO_PROPERTIES


class Connack(msgspec.Struct, frozen=True, kw_only=True):
    """CONNACK (3.2). `reason` is the return code before 5.0."""

    reason: int = 0
    session_present: bool = False
    properties: Properties = NO_PROPERTIES


class Publish(msgspec.Struct, frozen=True, gc=False):
    """PUBLISH (3.3).

    Attributes:
        packet_id: 0 with QoS 0.
        topic: empty only together with a topic alias.
        forward: the properties that belong to the message and are handed on unaltered
            (3.3.2-4, -15 to -20), as they stood on the wire: payload format, content type,
            response topic, correlation data, user properties.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0
    properties: Properties = NO_PROPERTIES
    forward: bytes = b""


class Ack(msgspec.Struct, frozen=True, gc=False):
    """PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7), which `kind` says."""

    kind: int
    packet_id: int
    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """One filter of a SUBSCRIBE with its options (3.8.3.1)."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    """SUBSCRIBE (3.8)."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = NO_PROPERTIES


class Suback(msgspec.Struct, frozen=True):
    """SUBACK (3.9): one reason code per filter, in order."""

    packet_id: int
    reasons: tuple[int, ...]
    properties: Properties = NO_PROPERTIES


class Unsubscribe(msgspec.Struct, frozen=True):
    """UNSUBSCRIBE (3.10)."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES


class Unsuback(msgspec.Struct, frozen=True):
    """UNSUBACK (3.11); without reason codes before 5.0."""

    packet_id: int
    reasons: tuple[int, ...] = ()
    properties: Properties = NO_PROPERTIES


class Pingreq(msgspec.Struct, frozen=True):
    """PINGREQ (3.12)."""


class Pingresp(msgspec.Struct, frozen=True):
    """PINGRESP (3.13)."""


class Disconnect(msgspec.Struct, frozen=True):
    """DISCONNECT (3.14)."""

    reason: int = 0
    properties: Properties = NO_PROPERTIES


class Auth(msgspec.Struct, frozen=True):
    """AUTH (3.15), only in 5.0."""

    reason: int = 0
    properties: Properties = NO_PROPERTIES


Packet = (
    Connect
    | Connack
    | Publish
    | Ack
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)

REASONS: Final[dict[int, frozenset[int]]] = {
    PUBACK: frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)),
    PUBREC: frozenset((0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)),
    PUBREL: frozenset((0x00, 0x92)),
    PUBCOMP: frozenset((0x00, 0x92)),
    SUBACK: frozenset((0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2)),
    UNSUBACK: frozenset((0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91)),
    AUTH: frozenset((0x00, 0x18, 0x19)),
}
"""The reason codes each packet may carry, whoever sends it (section 2.4)."""

AUTH_BY_CLIENT: Final = frozenset((0x18, 0x19))
DISCONNECT_BY_CLIENT: Final = frozenset(
    (0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99)
)
DISCONNECT_BY_SERVER: Final = (DISCONNECT_BY_CLIENT - {0x04}) | frozenset(
    (0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, *range(0x9A, 0xA3))
)
CONNACK_REASONS: Final = frozenset(
    (0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F)
)


def split_shared(text: str) -> tuple[str, str] | None:
    """`("name", "filter")` of a shared subscription `$share/name/filter` (section 4.8.2).

    Returns: None if the filter is not a shared one.

    Raises:
        MqttError: 0x8F, it begins with `$share/` and has no valid name or no filter.
    """
    if not text.startswith(SHARE):
        return None
    name, slash, rest = text[len(SHARE) :].partition("/")
    if not name or "+" in name or "#" in name:
        raise MqttError(FILTER_INVALID, "a shared subscription needs a name without wildcards")
    if not slash or not rest:
        raise MqttError(FILTER_INVALID, "a shared subscription needs a filter behind its name")
    return name, rest
