"""MQTT encoding: what comes out, and what older levels leave out."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_encode import (
    encode_ack,
    encode_connack,
    encode_disconnect,
    encode_publish,
    encode_suback,
    encode_unsuback,
    expiry_property,
)
from reddot.codecs.mqtt_packets import (
    Ack,
    Connack,
    Disconnect,
    Properties,
    Suback,
    Unsuback,
    connack_code,
)


def test_publish_bytes() -> None:
    assert encode_publish(4, "a", b"x") == b"\x30\x04\x00\x01ax"
    assert encode_publish(5, "a", b"x") == b"\x30\x05\x00\x01a\x00x"
    assert encode_publish(5, "a", b"x", properties=expiry_property(2)) == (
        b"\x30\x0a\x00\x01a\x05\x02\x00\x00\x00\x02x"
    )
    assert encode_publish(4, "a", b"x", properties=expiry_property(2)) == b"\x30\x04\x00\x01ax"
    assert encode_publish(4, "a", b"", qos=2, retain=True, dup=True, packet_id=258) == (
        b"\x3d\x05\x00\x01a\x01\x02"
    )


def test_acks_are_short_when_they_can_be() -> None:
    assert encode_ack(5, Ack(4, 1)) == b"\x40\x02\x00\x01"
    assert encode_ack(5, Ack(6, 1)) == b"\x62\x02\x00\x01"
    assert encode_ack(5, Ack(4, 1, 0x10)) == b"\x40\x03\x00\x01\x10"
    assert encode_ack(4, Ack(4, 1, 0x87)) == b"\x40\x02\x00\x01"
    properties = Properties(reason_string="no")
    assert encode_ack(5, Ack(4, 1, 0x87, properties)) == b"\x40\x09\x00\x01\x87\x05\x1f\x00\x02no"


def test_a_refused_connack_has_no_session() -> None:
    assert encode_connack(5, Connack(reason=0x87, session_present=True)) == b"\x20\x03\x00\x87\x00"
    assert encode_connack(4, Connack(reason=0x87, session_present=True)) == b"\x20\x02\x00\x05"
    assert encode_connack(4, Connack(session_present=True)) == b"\x20\x02\x01\x00"
    assert encode_connack(3, Connack(session_present=True)) == b"\x20\x02\x00\x00"


@pytest.mark.parametrize(
    ("reason", "code"), [(0, 0), (0x84, 1), (0x85, 2), (0x88, 3), (0x86, 4), (0x87, 5), (0x95, 3)]
)
def test_return_codes_of_3_1_1(reason: int, code: int) -> None:
    assert connack_code(reason) == code


def test_what_3_1_1_leaves_out() -> None:
    assert encode_suback(4, Suback(1, (0, 2, 0x87))) == b"\x90\x05\x00\x01\x00\x02\x80"
    assert encode_unsuback(4, Unsuback(1, (0x11,))) == b"\xb0\x02\x00\x01"
    assert encode_unsuback(5, Unsuback(1, (0x11,))) == b"\xb0\x04\x00\x01\x00\x11"
    assert encode_disconnect(4, Disconnect(0x8E)) == b"\xe0\x00"
    assert encode_disconnect(5, Disconnect(0x8E)) == b"\xe0\x01\x8e"
