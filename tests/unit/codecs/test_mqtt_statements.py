"""The codec and the normative statements: what each level refuses, and with which reason."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_decode import Decoder, Side
from reddot.codecs.mqtt_packets import Connect, MqttError, Publish
from tests.conformance.malformed import (
    CONNECTS_5,
    CONNECTS_311,
    PACKETS_5,
    PACKETS_311,
    connect,
)
from tests.unit.codecs.mqtt_values import drain


def reason_of(data: bytes, level: int = 5, side: Side = Side.SERVER) -> int:
    with pytest.raises(MqttError) as raised:
        drain(Decoder(side=side, level=level), data)
    return raised.value.reason


@pytest.mark.parametrize("name", PACKETS_5)
def test_what_5_0_refuses(name: str) -> None:
    data, reason = PACKETS_5[name]
    assert reason_of(data) == reason


@pytest.mark.parametrize("name", PACKETS_311)
@pytest.mark.parametrize("level", [3, 4])
def test_what_3_1_1_refuses(name: str, level: int) -> None:
    assert reason_of(PACKETS_311[name], level) in (0x81, 0x82)


@pytest.mark.parametrize("name", CONNECTS_5)
def test_what_is_no_connect(name: str) -> None:
    data, reason = CONNECTS_5[name]
    assert reason_of(data, 0) == reason


@pytest.mark.parametrize("name", CONNECTS_311)
def test_what_is_no_connect_of_3_1_1(name: str) -> None:
    assert reason_of(CONNECTS_311[name], 0) in (0x81, 0x82)


@pytest.mark.parametrize("name", [*PACKETS_5, *CONNECTS_5])
def test_any_split_of_a_mistake_is_the_same_mistake(name: str) -> None:
    data, reason = PACKETS_5.get(name) or CONNECTS_5[name]
    decoder = Decoder(level=5 if name in PACKETS_5 else 0)
    with pytest.raises(MqttError) as raised:
        drain(decoder, *(data[n : n + 1] for n in range(len(data))))
    assert raised.value.reason == reason


def test_1_5_4_3_a_zero_width_no_break_space_stays() -> None:
    [packet] = drain(Decoder(level=5), b"\x30\x06\x00\x03\xef\xbb\xbf\x00")
    assert isinstance(packet, Publish)
    assert packet.topic == "\ufeff"


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
