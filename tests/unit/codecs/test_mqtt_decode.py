"""MQTT decoding: round trips, splits, malformed packets by statement, nothing but `MqttError`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs.mqtt_decode import Decoder, DecoderLimits, Side
from reddot.codecs.mqtt_encode import encode_connect, encode_publish
from reddot.codecs.mqtt_packets import Connect, MqttError, Packet, Publish
from reddot.codecs.mqtt_properties import PropertyLimits
from tests.unit.codecs.mqtt_values import LEVELS, connects, encode, from_clients, from_servers

CONNECT_5 = encode_connect(Connect(level=5, client_id="c"))
CONNECT_4 = encode_connect(Connect(level=4, client_id="c"))


def drain(decoder: Decoder, *pieces: bytes) -> list[Packet]:
    found = []
    for piece in pieces:
        decoder.feed(piece)
        while (packet := decoder.next_packet()) is not None:
            found.append(packet)
    return found


def reason_of(data: bytes, level: int = 5, side: Side = Side.SERVER) -> int:
    with pytest.raises(MqttError) as raised:
        drain(Decoder(side=side, level=level), data)
    return raised.value.reason


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places) if a != b]


cuts = st.lists(st.integers(0, 1 << 20), max_size=8)


@given(st.data(), LEVELS, cuts)
def test_everything_a_client_sends_comes_back(
    data: st.DataObject, level: int, places: list[int]
) -> None:
    connect = data.draw(connects(level))
    following = data.draw(st.lists(from_clients(level), max_size=5))
    raw = b"".join(encode(level, packet) for packet in (connect, *following))
    assert drain(Decoder(), *split(raw, places)) == [connect, *following]


@given(st.data(), LEVELS, cuts)
def test_everything_a_server_sends_comes_back(
    data: st.DataObject, level: int, places: list[int]
) -> None:
    sent = data.draw(st.lists(from_servers(level), max_size=5))
    raw = b"".join(encode(level, packet) for packet in sent)
    assert drain(Decoder(side=Side.CLIENT, level=level), *split(raw, places)) == sent


@given(st.lists(st.binary(max_size=64), max_size=6), st.sampled_from([0, 3, 4, 5]))
def test_random_bytes_raise_nothing_else(pieces: list[bytes], level: int) -> None:
    for side in Side:
        decoder = Decoder(side=side, level=level)
        with suppress(MqttError):
            drain(decoder, *pieces)
        assert decoder.unread_bytes <= sum(map(len, pieces))


@given(st.data(), LEVELS)
def test_mutated_packets_raise_nothing_else(data: st.DataObject, level: int) -> None:
    raw = bytearray(encode(level, data.draw(from_clients(level))))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    decoder = Decoder(level=level)
    with suppress(MqttError):
        drain(decoder, bytes(raw))
    assert decoder.unread_bytes <= len(raw)


def test_one_byte_at_a_time() -> None:
    raw = CONNECT_5 + encode_publish(5, "a/b", b"x" * 300, qos=1, packet_id=7)
    found = drain(Decoder(), *(raw[n : n + 1] for n in range(len(raw))))
    assert found[1] == Publish("a/b", b"x" * 300, 1, packet_id=7)


def test_what_stands_before_a_mistake_is_seen() -> None:
    decoder = Decoder()
    decoder.feed(CONNECT_5 + b"\xc0\x00" + b"\xf1\x00")
    assert isinstance(decoder.next_packet(), Connect)
    assert decoder.next_packet() is not None
    with pytest.raises(MqttError):
        decoder.next_packet()


def test_a_claimed_length_takes_no_memory() -> None:
    decoder = Decoder(level=5, limits=DecoderLimits(packet_bytes_max=1 << 29))
    assert drain(decoder, b"\x30\xff\xff\xff\x7f", b"abc") == []
    assert decoder.unread_bytes == 8


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_of_a_packet(over: int) -> None:
    raw = encode_publish(5, "a", b"x" * (100 + over))
    decoder = Decoder(level=5, limits=DecoderLimits(packet_bytes_max=len(raw) - over))
    if over:
        decoder.feed(raw[:2])  # The length alone is enough.
        with pytest.raises(MqttError) as raised:
            decoder.next_packet()
        assert raised.value.reason == 0x95
    else:
        assert len(drain(decoder, raw)) == 1


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_before_connect(over: int) -> None:
    raw = encode_connect(Connect(level=5, client_id="x" * 50))
    decoder = Decoder(limits=DecoderLimits(connect_bytes_max=len(raw) - over))
    if over:
        with pytest.raises(MqttError, match="0x95"):
            drain(decoder, raw)
    else:
        assert len(drain(decoder, raw)) == 1


@pytest.mark.parametrize("over", [0, 1])
def test_the_limits_of_properties(over: int) -> None:
    user = b"\x26\x00\x01a\x00\x01b"
    body = b"\x00\x01t" + bytes((len(user) * 3,)) + user * 3
    raw = bytes((0x30, len(body))) + body
    for limits in (
        PropertyLimits(user_properties_max=3 - over),
        PropertyLimits(properties_bytes_max=len(user) * 3 - over),
    ):
        decoder = Decoder(level=5, limits=DecoderLimits(properties=limits))
        if over:
            with pytest.raises(MqttError, match="0x95"):
                drain(decoder, raw)
        else:
            assert len(drain(decoder, raw)) == 1


def test_forwarded_properties_are_the_bytes_that_came() -> None:
    kept = b"\x26\x00\x01b\x00\x012" + b"\x01\x01" + b"\x26\x00\x01a\x00\x011"
    expiry, alias = b"\x02\x00\x00\x00\x3c", b"\x23\x00\x01"
    raw = alias + kept[:7] + expiry + kept[7:]
    body = b"\x00\x01t" + bytes((len(raw),)) + raw + b"data"
    [packet] = drain(Decoder(level=5), bytes((0x30, len(body))) + body)
    assert isinstance(packet, Publish)
    assert packet.forward == kept
    assert packet.properties.user == (("b", "2"), ("a", "1"))
    assert packet.properties.message_expiry_s == 60
    assert packet.properties.topic_alias == 1
    assert packet.payload == b"data"


def test_checked_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    topics: dict[bytes, str] = {}
    decoder = Decoder(level=4, topics=topics)
    for n in range(3000):
        drain(decoder, encode_publish(4, f"t/{n}", b""))
    assert 0 < len(topics) <= 1024
    drain(decoder, encode_publish(4, "long/" * 60, b""))
    assert b"long/" * 60 not in topics


@pytest.mark.parametrize(
    ("name", "level", "code"),
    [(b"MQTT", 6, 0x84), (b"MQTT", 3, 0x84), (b"MQIsdp", 4, 0x84), (b"mqtt", 4, 0x84)],
)
def test_an_unknown_version(name: bytes, level: int, code: int) -> None:
    body = len(name).to_bytes(2, "big") + name + bytes((level, 2, 0, 0, 0, 0))
    decoder = Decoder()
    decoder.feed(bytes((0x10, len(body))) + body)
    with pytest.raises(MqttError) as raised:
        decoder.next_packet()
    assert raised.value.reason == code
    assert decoder.level == (5 if level == 6 else 4)


PUB = b"\x30"
STATEMENTS_5: dict[str, tuple[bytes, int]] = {
    "1.5.4-1 ill-formed UTF-8": (b"\x30\x05\x00\x02\xc3\x28\x00", 0x81),
    "1.5.4-1 a surrogate": (b"\x30\x06\x00\x03\xed\xa0\x80\x00", 0x81),
    "1.5.4-2 U+0000": (b"\x30\x04\x00\x01\x00\x00", 0x81),
    "1.5.4 a control character": (b"\x30\x04\x00\x01\x07\x00", 0x81),
    "1.5.4 a non-character": (b"\x30\x06\x00\x03\xef\xbf\xbf\x00", 0x81),
    "1.5.5-1 remaining length not minimal": (b"\xc0\x80\x00", 0x81),
    "1.5.5-1 property length not minimal": (b"\x30\x05\x00\x01t\x80\x00", 0x81),
    "2.1.4 a length of five bytes": (b"\x30\xff\xff\xff\xff\x01", 0x81),
    "2.1.3-1 flags of PINGREQ": (b"\xc1\x00", 0x81),
    "2.1.3-1 flags of PUBACK": (b"\x42\x02\x00\x01", 0x81),
    "2.1.2 packet type 0": (b"\x00\x00", 0x81),
    "2.2.1-3 PUBLISH with packet identifier 0": (b"\x32\x06\x00\x01t\x00\x00\x00", 0x81),
    "2.2.1-3 SUBSCRIBE with packet identifier 0": (b"\x82\x07\x00\x00\x00\x00\x01t\x00", 0x81),
    "2.2.2.2 an unknown property": (b"\x30\x06\x00\x01t\x02\x7f\x00", 0x81),
    "2.2.2.2 a property of another packet": (b"\x30\x09\x00\x01t\x05\x11\x00\x00\x00\x01", 0x81),
    "2.2.2.2 a property twice": (b"\x30\x08\x00\x01t\x04\x01\x01\x01\x01", 0x82),
    "3.1.0-2 a second CONNECT": (CONNECT_5, 0x82),
    "3.3.1-4 QoS 3": (b"\x36\x06\x00\x01t\x00\x01\x00", 0x81),
    "3.3.1-2 DUP with QoS 0": (b"\x38\x04\x00\x01t\x00", 0x81),
    "3.3.2-1 no topic and no alias": (b"\x30\x03\x00\x00\x00", 0x82),
    "3.3.2-2 a wildcard in a topic": (b"\x30\x04\x00\x01#\x00", 0x81),
    "3.3.2.3.2 payload format 2": (b"\x30\x06\x00\x01t\x02\x01\x02", 0x82),
    "3.3.2.3.4 topic alias 0": (b"\x30\x07\x00\x01t\x03\x23\x00\x00", 0x94),
    "3.3.2-14 a wildcard in a response topic": (b"\x30\x08\x00\x01t\x04\x08\x00\x01+", 0x82),
    "3.3.4-6 a subscription identifier from a client": (b"\x30\x06\x00\x01t\x02\x0b\x01", 0x82),
    "3.4.2-1 a reason code that PUBACK has not": (b"\x40\x03\x00\x01\x92", 0x82),
    "3.6.1-1 flags of PUBREL": (b"\x60\x02\x00\x01", 0x81),
    "3.8.1-1 flags of SUBSCRIBE": (b"\x80\x07\x00\x01\x00\x00\x01t\x00", 0x81),
    "3.8.3-2 SUBSCRIBE without filter": (b"\x82\x03\x00\x01\x00", 0x82),
    "3.8.3-4 No Local on a shared subscription": (
        b"\x82\x10\x00\x01\x00\x00\x0a$share/a/b\x04",
        0x82,
    ),
    "3.8.3-5 reserved options": (b"\x82\x07\x00\x01\x00\x00\x01t\x40", 0x81),
    "3.8.3.1 subscription with QoS 3": (b"\x82\x07\x00\x01\x00\x00\x01t\x03", 0x82),
    "3.8.3.1 Retain Handling 3": (b"\x82\x07\x00\x01\x00\x00\x01t\x30", 0x82),
    "3.8.2.1.2 subscription identifier 0": (b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01t\x00", 0x82),
    "3.10.1-1 flags of UNSUBSCRIBE": (b"\xa0\x06\x00\x01\x00\x00\x01t", 0x81),
    "3.10.3-2 UNSUBSCRIBE without filter": (b"\xa2\x03\x00\x01\x00", 0x82),
    "3.14.1-1 flags of DISCONNECT": (b"\xe1\x00", 0x81),
    "3.14.2-1 a reason code that DISCONNECT has not": (b"\xe0\x01\x8e", 0x82),
    "3.15.1-1 flags of AUTH": (b"\xf1\x00", 0x81),
    "3.15.2-1 a reason code that AUTH has not": (b"\xf0\x01\x80", 0x82),
    "4.7.3-1 an empty filter": (b"\x82\x06\x00\x01\x00\x00\x00\x00", 0x81),
    "4.7.3-2 U+0000 in a filter": (b"\x82\x07\x00\x01\x00\x00\x01\x00\x00", 0x81),
    "CONNACK from a client": (b"\x20\x03\x00\x00\x00", 0x82),
    "SUBACK from a client": (b"\x90\x04\x00\x01\x00\x00", 0x82),
    "UNSUBACK from a client": (b"\xb0\x04\x00\x01\x00\x00", 0x82),
    "PINGRESP from a client": (b"\xd0\x00", 0x82),
    "PINGREQ with a body": (b"\xc0\x01\x00", 0x81),
    "a topic longer than its packet": (b"\x30\x04\x00\x09ab", 0x81),
    "properties longer than their packet": (b"\x30\x05\x00\x01t\x09\x01", 0x81),
}


@pytest.mark.parametrize("name", STATEMENTS_5)
def test_what_5_0_refuses(name: str) -> None:
    data, reason = STATEMENTS_5[name]
    assert reason_of(data) == reason


STATEMENTS_311: dict[str, bytes] = {
    "1.5.3-1 ill-formed UTF-8": b"\x30\x04\x00\x02\xc3\x28",
    "1.5.3-2 U+0000": b"\x30\x03\x00\x01\x00",
    "2.2.2-1 flags of PINGREQ": b"\xc1\x00",
    "2.3.1-1 packet identifier 0": b"\x32\x05\x00\x01t\x00\x00",
    "3.3.1-4 QoS 3": b"\x36\x05\x00\x01t\x00\x01",
    "3.3.1-2 DUP with QoS 0": b"\x38\x03\x00\x01t",
    "3.3.2-2 a wildcard in a topic": b"\x30\x03\x00\x01+",
    "3.6.1-1 flags of PUBREL": b"\x60\x02\x00\x01",
    "3.8.1-1 flags of SUBSCRIBE": b"\x80\x06\x00\x01\x00\x01t\x00",
    "3.8.3-3 SUBSCRIBE without filter": b"\x82\x02\x00\x01",
    "3.8.3-4 reserved bits of the QoS": b"\x82\x06\x00\x01\x00\x01t\x04",
    "3.8.3-4 QoS 3 of a subscription": b"\x82\x06\x00\x01\x00\x01t\x03",
    "3.10.3-2 UNSUBSCRIBE without filter": b"\xa2\x02\x00\x01",
    "3.14.1-1 DISCONNECT with a body": b"\xe0\x01\x00",
    "4.7.3-1 an empty topic": b"\x30\x02\x00\x00",
    "AUTH": b"\xf0\x00",
    "PUBACK with a reason": b"\x40\x03\x00\x01\x00",
}


@pytest.mark.parametrize("name", STATEMENTS_311)
@pytest.mark.parametrize("level", [3, 4])
def test_what_3_1_1_refuses(name: str, level: int) -> None:
    assert reason_of(STATEMENTS_311[name], level) in (0x81, 0x82)


def connect(flags: int, payload: bytes, properties: bytes = b"\x00", level: int = 5) -> bytes:
    start = b"\x00\x04MQTT" + bytes((level, flags)) + b"\x00\x0a"
    body = start + (properties if level == 5 else b"") + payload
    return bytes((0x10, len(body))) + body


CONNECTS: dict[str, tuple[bytes, int]] = {
    "3.1.0-1 another first packet": (b"\xc0\x00", 0x82),
    "3.1.2-3 the reserved flag": (connect(0x03, b"\x00\x00"), 0x81),
    "3.1.2-11 will QoS without will": (connect(0x0A, b"\x00\x00"), 0x81),
    "3.1.2-12 will QoS 3": (connect(0x1E, b"\x00\x00\x00\x00\x01t\x00\x00"), 0x81),
    "3.1.2-13 will retain without will": (connect(0x22, b"\x00\x00"), 0x81),
    "3.1.2-16 a user name without its flag": (connect(0x02, b"\x00\x00\x00\x01u"), 0x81),
    "3.1.2-17 a flag without its user name": (connect(0x82, b"\x00\x00"), 0x81),
    "3.1.2-19 a flag without its password": (connect(0x42, b"\x00\x00"), 0x81),
    "3.1.2-22 of 3.1.1 a password without user": (
        connect(0x42, b"\x00\x00\x00\x01p", level=4),
        0x81,
    ),
    "3.1.2.11.3 receive maximum 0": (connect(2, b"\x00\x00", b"\x03\x21\x00\x00"), 0x82),
    "3.1.2.11.4 maximum packet size 0": (connect(2, b"\x00\x00", b"\x05\x27" + bytes(4)), 0x82),
    "3.1.2.11.7 request problem information 2": (connect(2, b"\x00\x00", b"\x02\x17\x02"), 0x82),
    "3.1.2.11.10 data without method": (connect(2, b"\x00\x00", b"\x04\x16\x00\x01x"), 0x82),
    "3.1.3-4 ill-formed client identifier": (connect(2, b"\x00\x01\xff"), 0x81),
    "3.1.3-11 a will topic with a wildcard": (
        connect(0x06, b"\x00\x00\x00\x00\x01#\x00\x00"),
        0x81,
    ),
    "an empty will topic": (connect(0x06, b"\x00\x00\x00\x00\x00\x00\x00"), 0x81),
    "something behind the last field": (connect(2, b"\x00\x00\x00"), 0x81),
    "nothing behind the flags": (b"\x10\x08\x00\x04MQTT\x05\x02", 0x81),
}


@pytest.mark.parametrize("name", CONNECTS)
def test_what_is_no_connect(name: str) -> None:
    data, reason = CONNECTS[name]
    assert reason_of(data, 0) == reason


def test_a_password_alone_is_for_5_0() -> None:
    [packet] = drain(Decoder(), connect(0x42, b"\x00\x00\x00\x01p"))
    assert isinstance(packet, Connect)
    assert (packet.username, packet.password) == (None, b"p")


def test_3_1_1_allows_a_length_that_is_not_minimal() -> None:
    assert len(drain(Decoder(level=4), b"\xc0\x80\x00")) == 1


@pytest.mark.parametrize(
    ("data", "level"),
    [
        (b"\xe0\x00", 4),  # A server of 3.1.1 has no DISCONNECT.
        (b"\x20\x02\x02\x00", 4),
        (b"\x20\x02\x00\x06", 4),
        (b"\x90\x02\x00\x01", 4),
        (b"\xe0\x07\x81\x05\x11\x00\x00\x00\x01", 5),
        (b"\xb0\x03\x00\x01\x00", 5),
        (b"\x10\x00", 5),
    ],
)
def test_what_a_client_refuses(data: bytes, level: int) -> None:
    assert reason_of(data, level, Side.CLIENT) in (0x81, 0x82)
