"""What the command line makes of an MQTT message, without a broker."""

from __future__ import annotations

import base64
import json

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from reddot.tail_frames import Interrupted, Refused
from reddot.tail_mqtt import _error_of, frame_of_message


def message(payload: bytes, *said: tuple[str, str]) -> MQTTMessage:
    made = MQTTMessage(topic=b"a/b")
    made.payload = payload
    made.properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if said:
        made.properties.UserProperty = list(said)
    return made


def test_what_reddot_says_of_a_message() -> None:
    said = (("id", "x"), ("offset", "7"), ("cursor", "c"), ("event", "goal"), ("time", "t"))
    frame = frame_of_message(message(b'{"n": 1}', *said))
    assert (frame.type, frame.topic, frame.id, frame.offset) == ("publication", "a/b", "x", 7)
    assert (frame.cursor, frame.event, frame.time) == ("c", "goal", "t")
    assert bytes(frame.data) == b'{"n": 1}'


def test_a_message_of_a_broker_that_says_nothing() -> None:
    frame = frame_of_message(message(b"1"))
    assert (frame.offset, frame.cursor, frame.event) == (0, None, "message")


@pytest.mark.parametrize("payload", [b"", b"\xff\x00", b"not json", b"{"])
def test_what_is_not_json_comes_as_base64(payload: bytes) -> None:
    data = json.loads(bytes(frame_of_message(message(payload)).data))
    assert base64.b64decode(data["base64"]) == payload


@pytest.mark.parametrize(
    ("packet", "code", "kind", "credential"),
    [
        (PacketTypes.CONNACK, 0x86, Refused, True),
        (PacketTypes.CONNACK, 0x87, Refused, True),
        (PacketTypes.CONNACK, 0x84, Refused, False),
        (PacketTypes.SUBACK, 0x8F, Refused, False),
        (PacketTypes.CONNACK, 0x89, Interrupted, False),
        (PacketTypes.DISCONNECT, 0x8B, Interrupted, False),
    ],
)
def test_which_reasons_end_it(
    packet: int, code: int, kind: type[Exception], credential: bool
) -> None:
    error = _error_of(ReasonCode(packet, identifier=code))
    assert type(error) is kind
    assert f"0x{code:02X}" in str(error)
    if isinstance(error, Refused):
        assert error.credential is credential
