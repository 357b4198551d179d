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
from reddot.codecs.mqtt_packets import Connect, MqttError, Publish
from reddot.codecs.mqtt_properties import PropertyLimits
from tests.unit.codecs.mqtt_values import (
    LEVELS,
    connects,
    drain,
    encode,
    from_clients,
    from_servers,
)

CONNECT_5 = encode_connect(Connect(level=5, client_id="c"))
CONNECT_4 = encode_connect(Connect(level=4, client_id="c"))


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


def test_who_stops_early_finds_the_others_the_next_time() -> None:
    decoder = Decoder(level=5)
    raw = [encode_publish(5, "a", b"%d" % number) for number in range(4)]
    decoder.feed(b"".join(raw) + raw[0][:3])
    for packet in decoder.packets():
        assert isinstance(packet, Publish) and packet.payload == b"0"
        break
    assert [packet.payload for packet in decoder.packets()] == [b"1", b"2", b"3"]  # type: ignore[union-attr]
    decoder.feed(raw[0][3:])
    assert [packet.payload for packet in decoder.packets()] == [b"0"]  # type: ignore[union-attr]
    assert not decoder.unread_bytes


PUBACK_7 = b"\x40\x02\x00\x07"


def test_a_read_that_is_one_puback() -> None:
    decoder = Decoder(level=5)
    assert decoder.sole_puback(PUBACK_7) == 7
    others = [
        b"\x40\x02\x00\x00",
        b"\x40\x03\x00\x07\x00",
        b"\x40\x04\x00\x07",
        b"\x50\x02\x00\x07",
        b"\x62\x02\x00\x07",
        PUBACK_7 * 2,
        PUBACK_7[:3],
        b"",
    ]
    assert [decoder.sole_puback(data) for data in others] == [0] * len(others)
    assert Decoder().sole_puback(PUBACK_7) == 0  # Before CONNECT nobody acknowledges.


def test_bytes_that_look_like_a_puback_may_be_the_rest_of_something_else() -> None:
    decoder = Decoder(level=5)
    whole = encode_publish(5, "a", PUBACK_7)
    assert drain(decoder, whole[:-4]) == []
    assert decoder.sole_puback(PUBACK_7) == 0
    assert drain(decoder, PUBACK_7) == [Publish("a", PUBACK_7)]


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


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("kind", [6, 8, 10])
def test_only_3_1_sends_packets_again_with_dup(level: int, kind: int) -> None:
    """MQTT 3.1 section 2.1 has it for what is acknowledged; later versions reserve the bit."""
    bodies = {6: b"\x00\x07", 8: b"\x00\x07\x00\x01a\x00", 10: b"\x00\x07\x00\x01a"}
    body = bodies[kind] if level != 5 or kind == 6 else b"\x00\x07\x00" + bodies[kind][2:]
    decoder = Decoder(level=level)
    decoder.feed(bytes((kind << 4 | 0b1010, len(body))) + body)
    if level == 3:
        assert decoder.next_packet() is not None
    else:
        with pytest.raises(MqttError):
            decoder.next_packet()
