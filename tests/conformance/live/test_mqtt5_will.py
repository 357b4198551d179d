"""Wills (MQTT 5.0 sections 3.1.2.5, 3.1.3.2, 3.1.3.3, 3.14.4)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reddot.codecs.mqtt_packets import Properties, Will
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import TCP_ONLY
from tests.conformance.normative import normative

HOUR_S = 3600
TAKEN_OVER = 0x8E
WITH_WILL = 0x04


def watch(guests: Guests, topic: str, qos: int = 2) -> Conversation:
    watcher = guests.connect()
    watcher.subscribe(topic, qos=qos)
    return watcher


def will(topic: str, payload: bytes = b"gone", qos: int = 0, **properties: Any) -> Will:
    return Will(topic=topic, payload=payload, qos=qos, properties=Properties(**properties))


def ends_with(guests: Guests, watcher: Conversation, topic: str) -> None:
    """Nothing else has come to the watcher."""
    guests.connect().publish(topic, b"end", 0)
    watcher.message(topic, b"end")


@normative("3.1.2-7", "3.1.2-8", "3.1.2-12", "3.1.2-14")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_will_is_published_when_the_network_fails(guests: Guests, topic: str, qos: int) -> None:
    watcher = watch(guests, topic)
    guests.connect("a", will=will(topic, qos=qos)).drop()
    watcher.message(topic, b"gone", qos)
    ends_with(guests, watcher, topic)


@normative("3.1.2-14")
def test_a_will_without_retain_is_not_kept(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    guests.connect("a", will=will(topic)).drop()
    watcher.message(topic, b"gone")
    watch(guests, topic).quiet()


@normative("3.1.2-15")
def test_a_retained_will(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    kept = Will(topic=topic, payload=b"gone", qos=1, retain=True)
    guests.connect("a", will=kept).drop()
    watcher.message(topic, b"gone", 1)
    watch(guests, topic).message(topic, b"gone", 1, retain=True)
    guests.connect().publish(topic, b"", retain=True)


@normative("3.1.2-8", "3.1.2-10", "3.14.4-3")
def test_a_normal_disconnect_takes_the_will_back(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    guests.connect("a", will=will(topic)).leave()
    ends_with(guests, watcher, topic)


@normative("3.1.2-10")
def test_a_will_that_was_taken_back_is_not_in_the_session(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    guests.connect("a", will=will(topic), session_expiry_s=HOUR_S).leave()
    guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S).drop()
    guests.connect("a", clean=True)
    ends_with(guests, watcher, topic)


@normative("3.1.2-10")
def test_a_will_is_published_once(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    guests.connect("a", will=will(topic), session_expiry_s=HOUR_S).drop()
    watcher.message(topic, b"gone")
    guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S).drop()
    guests.connect("a", clean=True)
    ends_with(guests, watcher, topic)


@normative("3.1.2-8")
def test_a_disconnect_may_ask_for_the_will(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    guests.connect("a", will=will(topic)).leave(WITH_WILL)
    watcher.message(topic, b"gone")


@normative("3.1.2-8")
def test_a_protocol_error_publishes_the_will(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    client = guests.connect("a", will=will(topic))
    client.send(b"\xc1\x00")
    client.refused(0x81)
    watcher.message(topic, b"gone")


@normative("3.1.2-8")
def test_takeover_publishes_a_will_without_delay(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    guests.connect("a", will=will(topic), session_expiry_s=HOUR_S)
    guests.connect("a", clean=False, present=True)
    watcher.message(topic, b"gone")


@normative("3.1.2-8")
def test_the_end_of_the_session_publishes_a_delayed_will(guests: Guests, topic: str) -> None:
    """By takeover with Clean Start, by reconnecting with it, and with an expiry of zero."""
    watcher = watch(guests, topic)
    late = will(topic, will_delay_s=60)
    guests.connect("a", will=late, session_expiry_s=HOUR_S)
    guests.connect("a", clean=True)
    watcher.message(topic, b"gone")
    guests.connect("b", will=late, session_expiry_s=HOUR_S).drop()
    guests.connect("b", clean=True)
    watcher.message(topic, b"gone")
    guests.connect("c", will=late).drop()
    watcher.message(topic, b"gone")


@pytest.mark.slow
@TCP_ONLY
@normative("3.1.3-9", "3.1.2-8")
def test_a_session_that_goes_on_in_time_takes_its_will_back(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    late = will(topic, will_delay_s=1)
    guests.connect("a", will=late, session_expiry_s=HOUR_S).drop()
    guests.connect("b", will=late, session_expiry_s=HOUR_S)
    guests.connect("a", clean=False, session_expiry_s=HOUR_S, present=True)
    guests.connect("b", clean=False, session_expiry_s=HOUR_S, present=True)
    guests.connect("c", will=will(topic, b"fence", will_delay_s=1), session_expiry_s=1).drop()
    watcher.message(topic, b"fence")
    ends_with(guests, watcher, topic)


@pytest.mark.slow
@TCP_ONLY
@normative("3.1.2-8")
def test_a_will_waits_for_its_delay(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    started = time.monotonic()
    late = will(topic, will_delay_s=2)
    guests.connect("a", will=late, session_expiry_s=HOUR_S).drop()
    watcher.message(topic, b"gone")
    assert 2 <= time.monotonic() - started < 4


@pytest.mark.slow
@TCP_ONLY
@normative("3.1.2-8")
def test_a_will_does_not_wait_longer_than_its_session(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    started = time.monotonic()
    guests.connect("a", will=will(topic, will_delay_s=60), session_expiry_s=1).drop()
    watcher.message(topic, b"gone")
    assert 1 <= time.monotonic() - started < 3.5


@normative("3.1.3-10", "3.1.3-1", "3.1.2-9")
def test_a_will_goes_with_its_properties(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    user = (("b", "1"), ("a", "2"), ("b", "1"), ("", ""))
    said = Properties(
        payload_format=1,
        message_expiry_s=100,
        content_type="text/plain",
        response_topic=f"{topic}/answer",
        correlation_data=b"\x00\xff",
        user=user,
    )
    made = Will(topic=topic, payload=b"gone", qos=1, properties=said)
    guests.connect("a", will=made, username="ann", password=b"believed").drop()
    packet = watcher.message(topic, b"gone", 1)
    assert packet.properties in (said, Properties(**_fields(said) | {"message_expiry_s": 99}))
    assert packet.properties.user == user


def _fields(properties: Properties) -> dict[str, Any]:
    names = ("payload_format", "content_type", "response_topic", "correlation_data", "user")
    return {name: getattr(properties, name) for name in names}


def test_a_will_where_the_client_may_not_publish_is_refused(guests: Guests) -> None:
    client = guests.open()
    connack = client.begin(guests.asks("a", will=will("$SYS/broker/version")))
    assert connack.reason in (0x87, 0x90)
    client.closed()
