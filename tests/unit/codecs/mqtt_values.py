"""Hypothesis strategies for MQTT packets: everything that may be sent at each level."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reddot.codecs import mqtt_packets as packets
from reddot.codecs.mqtt_decode import Decoder
from reddot.codecs.mqtt_encode import (
    PINGREQ_BYTES,
    PINGRESP_BYTES,
    encode_ack,
    encode_auth,
    encode_connack,
    encode_connect,
    encode_disconnect,
    encode_publish,
    encode_suback,
    encode_subscribe,
    encode_unsuback,
    encode_unsubscribe,
)
from reddot.codecs.mqtt_packets import (
    NO_PROPERTIES,
    Ack,
    Auth,
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
    Will,
)
from reddot.codecs.mqtt_properties import TABLE, WILL, encode_properties

LEVELS = st.sampled_from([3, 4, 5])
ids = st.integers(1, 0xFFFF)
binaries = st.binary(max_size=20)
characters = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"
).filter(lambda c: ord(c) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(c) <= 0xFDEF)
texts = st.text(characters, max_size=12)
topics = texts.map(lambda text: "t" + text.replace("+", "").replace("#", ""))
filters = st.one_of(topics, st.sampled_from(["#", "+", "a/+/b", "a/#", "$share/g/a/#"]))

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "payload_format": st.integers(0, 1),
    "response_topic": topics,
    "correlation_data": binaries,
    "authentication_data": binaries,
    "server_keep_alive_s": st.integers(0, 0xFFFF),
    "topic_alias_maximum": st.integers(0, 0xFFFF),
    "receive_maximum": st.integers(1, 0xFFFF),
    "topic_alias": st.integers(1, 0xFFFF),
    "maximum_packet_bytes": st.integers(1, 0xFFFFFFFF),
    "user": st.lists(st.tuples(texts, texts), min_size=1, max_size=4).map(tuple),
}
_TEXTS = (
    "content_type",
    "assigned_client_id",
    "authentication_method",
    "response_information",
    "server_reference",
    "reason_string",
)


def _value(name: str, packet: int) -> st.SearchStrategy[Any]:
    if name == "subscription_ids":
        most = 3 if packet == packets.PUBLISH else 1
        return st.lists(st.integers(1, 268_435_455), min_size=1, max_size=most).map(tuple)
    if name in _VALUES:
        return _VALUES[name]
    if name in _TEXTS:
        return texts
    if name.endswith("_s"):
        return st.integers(0, 0xFFFFFFFF)
    return st.integers(0, 1)


def properties(packet: int, *, without: tuple[str, ...] = ()) -> st.SearchStrategy[Properties]:
    """What the packet may carry at level 5."""
    names = [row.name for row in TABLE.values() if packet in row.packets]
    fields = {name: _value(name, packet) for name in names if name not in without}
    return st.fixed_dictionaries({}, optional=fields).filter(_fits).map(_properties)


def _fits(found: dict[str, Any]) -> bool:
    return "authentication_data" not in found or "authentication_method" in found


def _properties(found: dict[str, Any]) -> Properties:
    return Properties(**found) if found else NO_PROPERTIES


def _of(level: int, packet: int, **rest: Any) -> st.SearchStrategy[Properties]:
    return properties(packet, **rest) if level == 5 else st.just(NO_PROPERTIES)


@st.composite
def connects(draw: st.DrawFn, level: int) -> Connect:
    username = draw(st.none() | texts)
    has_password = level == 5 or username is not None
    return Connect(
        level=level,
        client_id=draw(texts),
        clean_start=draw(st.booleans()),
        keep_alive_s=draw(st.integers(0, 0xFFFF)),
        username=username,
        password=draw(st.none() | binaries) if has_password else None,
        will=draw(st.none() | wills(level)),
        properties=draw(_of(level, packets.CONNECT)),
    )


@st.composite
def wills(draw: st.DrawFn, level: int) -> Will:
    found = draw(_of(level, WILL))
    return Will(
        topic=draw(topics),
        payload=draw(binaries),
        qos=draw(st.integers(0, 2)),
        retain=draw(st.booleans()),
        properties=found,
        forward=forwarded(found),
    )


def forwarded(found: Properties) -> bytes:
    """The wire bytes of what belongs to the message, in the order of the encoder."""
    kept = {row.name: getattr(found, row.name) for row in TABLE.values() if row.forward}
    return encode_properties(Properties(**kept))


@st.composite
def publishes(draw: st.DrawFn, level: int, *, by_client: bool) -> Publish:
    qos = draw(st.integers(0, 2))
    without = ("subscription_ids",) if by_client else ()
    found = draw(_of(level, packets.PUBLISH, without=without))
    return Publish(
        draw(topics),
        draw(binaries),
        qos,
        draw(st.booleans()),
        draw(st.booleans()) if qos else False,
        draw(ids) if qos else 0,
        found,
        forwarded(found),
    )


@st.composite
def acks(draw: st.DrawFn, level: int) -> Ack:
    kind = draw(st.sampled_from([4, 5, 6, 7]))
    reason = draw(st.sampled_from(sorted(packets.REASONS[kind]))) if level == 5 else 0
    return Ack(kind, draw(ids), reason, draw(_of(level, kind)))


@st.composite
def subscribes(draw: st.DrawFn, level: int) -> Subscribe:
    found = []
    for text in draw(st.lists(filters, min_size=1, max_size=4)):
        no_local = level == 5 and not text.startswith("$share/") and draw(st.booleans())
        published = level == 5 and draw(st.booleans())
        handling = draw(st.integers(0, 2)) if level == 5 else 0
        found.append(Subscription(text, draw(st.integers(0, 2)), no_local, published, handling))
    return Subscribe(draw(ids), tuple(found), draw(_of(level, packets.SUBSCRIBE)))


def from_clients(level: int) -> st.SearchStrategy[Packet]:
    """All that a client may send after CONNECT."""
    some: list[st.SearchStrategy[Packet]] = [
        publishes(level, by_client=True),
        acks(level),
        subscribes(level),
        st.builds(
            Unsubscribe,
            ids,
            st.lists(filters, min_size=1, max_size=4).map(tuple),
            _of(level, packets.UNSUBSCRIBE),
        ),
        st.just(Pingreq()),
        _disconnects(level, packets.DISCONNECT_BY_CLIENT, ("server_reference",)),
    ]
    return st.one_of(*some, *([_auths_of_clients()] if level == 5 else []))


def from_servers(level: int) -> st.SearchStrategy[Packet]:
    """All that a server may send."""
    five = level == 5
    codes = sorted(packets.CONNACK_REASONS) if five else [0]
    results = sorted(packets.REASONS[packets.SUBACK]) if five else [0, 1, 2, 0x80]
    unsubscribed = st.sampled_from(sorted(packets.REASONS[packets.UNSUBACK]))
    some: list[st.SearchStrategy[Packet]] = [
        st.builds(
            Connack,
            reason=st.sampled_from(codes),
            session_present=st.just(False),
            properties=_of(level, packets.CONNACK),
        ),
        publishes(level, by_client=False),
        acks(level),
        st.builds(
            Suback,
            ids,
            st.lists(st.sampled_from(results), min_size=1, max_size=4).map(tuple),
            _of(level, packets.SUBACK),
        ),
        st.builds(
            Unsuback,
            ids,
            st.lists(unsubscribed, min_size=1, max_size=4).map(tuple) if five else st.just(()),
            _of(level, packets.UNSUBACK),
        ),
        st.just(Pingresp()),
    ]
    if five:
        some += [
            _disconnects(level, packets.DISCONNECT_BY_SERVER, ("session_expiry_s",)),
            _auths(),
        ]
    return st.one_of(*some)


def _disconnects(
    level: int, reasons: frozenset[int], without: tuple[str, ...]
) -> st.SearchStrategy[Packet]:
    found = sorted(reasons) if level == 5 else [0]
    return st.builds(
        Disconnect, st.sampled_from(found), _of(level, packets.DISCONNECT, without=without)
    )


def _auths() -> st.SearchStrategy[Packet]:
    return st.builds(
        Auth, st.sampled_from(sorted(packets.REASONS[packets.AUTH])), properties(packets.AUTH)
    )


def _auths_of_clients() -> st.SearchStrategy[Packet]:
    found = properties(packets.AUTH).filter(lambda p: p.authentication_method is not None)
    return st.builds(Auth, st.sampled_from(sorted(packets.AUTH_BY_CLIENT)), found)


def encode(level: int, packet: Packet) -> bytes:
    """Any packet, as the one who may send it would."""
    if isinstance(packet, Publish):
        return encode_publish(
            level,
            packet.topic,
            packet.payload,
            qos=packet.qos,
            retain=packet.retain,
            dup=packet.dup,
            packet_id=packet.packet_id,
            properties=encode_properties(packet.properties),
        )
    by_type: dict[type, Any] = {
        Ack: encode_ack,
        Connack: encode_connack,
        Suback: encode_suback,
        Unsuback: encode_unsuback,
        Disconnect: encode_disconnect,
        Subscribe: encode_subscribe,
        Unsubscribe: encode_unsubscribe,
    }
    if type(packet) in by_type:
        return bytes(by_type[type(packet)](level, packet))
    if isinstance(packet, Connect):
        return encode_connect(packet)
    if isinstance(packet, Auth):
        return encode_auth(packet)
    return PINGREQ_BYTES if isinstance(packet, Pingreq) else PINGRESP_BYTES


def drain(decoder: Decoder, *pieces: bytes) -> list[Packet]:
    found = []
    for piece in pieces:
        decoder.feed(piece)
        while (packet := decoder.next_packet()) is not None:
            found.append(packet)
    return found
