"""Sessions (3.1.2, 3.14, 4.1), wills (3.1.2.5, 3.1.3.2) and keep alive (3.1.2.10)."""

from __future__ import annotations

import time

import pytest

from reddot.codecs.mqtt_packets import Disconnect, Will
from tests.conformance.client import properties
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative


@normative("4.1.0-2", "3.1.2-23", old=("3.1.2-6", "4.1.0-2"))
def test_a_session_that_is_not_kept_ends(clients: Clients, name: str, topic: str) -> None:
    first = clients.connect(name, clean_start=clients.level == 4)
    first.subscribe(topic)
    first.disconnect()
    assert not clients.keep(name).connack.session_present


@pytest.mark.slow
@normative("4.1.0-2")
def test_a_session_expires(five: Clients, name: str, topic: str) -> None:
    first = five.connect(name, session_expiry_s=1)
    first.subscribe(topic)
    first.link.abort()
    time.sleep(2.5)
    assert not five.keep(name).connack.session_present


@normative("3.1.2-23", "4.1.0-1")
def test_a_disconnect_changes_the_expiry(five: Clients, name: str) -> None:
    first = five.keep(name)
    first.disconnect(session_expiry_s=0)
    assert not five.keep(name).connack.session_present
    second = five.connect(name, session_expiry_s=5)
    second.disconnect(session_expiry_s=60)
    assert five.keep(name).connack.session_present


def test_a_disconnect_cannot_make_a_session_last(five: Clients, name: str) -> None:
    """Protocol error (3.14.2.2.2): zero in CONNECT, and not zero in DISCONNECT."""
    client = five.connect(name)
    client.send(Disconnect(0, properties(session_expiry_s=60)))
    client.closed(0x82)
    assert not five.keep(name).connack.session_present


@normative("3.1.2-5", "4.4.0-1", old=("3.1.2-4", "3.1.2-5", "4.1.0-1"))
def test_a_session_keeps_its_subscriptions(clients: Clients, name: str, topic: str) -> None:
    first = clients.keep(name)
    first.subscribe(f"{topic}/a", f"{topic}/b")
    first.unsubscribe(f"{topic}/b")
    first.disconnect()
    second = clients.keep(name)
    writer = clients.connect()
    writer.publish(f"{topic}/b", b"no")
    writer.publish(f"{topic}/a", b"yes")
    assert second.message().payload == b"yes"
    second.quiet()


def test_retained_messages_are_not_sent_on_resume(clients: Clients, name: str, topic: str) -> None:
    first = clients.keep(name)
    first.subscribe(topic)
    writer = clients.connect()
    writer.publish(topic, b"kept", 1, retain=True)
    assert first.message().payload == b"kept"
    first.disconnect()
    clients.keep(name).quiet()


def test_quality_0_may_be_missed_but_not_block(clients: Clients, name: str, topic: str) -> None:
    first = clients.keep(name)
    first.subscribe(topic)
    first.disconnect()
    writer = clients.connect()
    writer.publish(topic, b"zero", 0)
    writer.publish(topic, b"one", 1)
    again = clients.keep(name)
    found = again.message().payload
    assert found == b"one" or again.message().payload == b"one"


# ---- wills ----


def will_of(topic: str, **fields: object) -> Will:
    return Will(topic=topic, payload=b"gone", **fields)  # type: ignore[arg-type]


@normative("3.1.2-7", "3.1.2-8", "3.1.2-14", old=("3.1.2-8", "3.1.2-16"))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_will_of_a_lost_connection(clients: Clients, topic: str, qos: int) -> None:
    reader, late = clients.connect(), clients.connect()
    reader.subscribe(topic)
    clients.connect(will=will_of(topic, qos=qos)).link.abort()
    found = reader.message()
    assert (found.payload, found.qos, found.retain) == (b"gone", qos, False)
    late.subscribe(topic)
    late.quiet()


@normative("3.1.2-15", old=("3.1.2-17",))
def test_a_will_that_is_retained(clients: Clients, topic: str) -> None:
    reader, late = clients.connect(), clients.connect()
    reader.subscribe(topic)
    clients.connect(will=will_of(topic, qos=1, retain=True)).link.abort()
    assert not reader.message().retain
    late.subscribe(topic)
    found = late.message()
    assert (found.payload, found.retain) == (b"gone", True)


@normative("3.14.4-3", "3.1.2-10", old=("3.14.4-3", "3.1.2-10"))
def test_no_will_after_a_goodbye(clients: Clients, topic: str) -> None:
    reader, client = clients.connect(), clients.connect(will=will_of(topic))
    reader.subscribe(topic)
    client.disconnect()
    clients.connect().publish(topic, b"marker")
    assert reader.message().payload == b"marker"
    reader.quiet()


@normative("3.1.2-8")
def test_a_goodbye_with_will(five: Clients, topic: str) -> None:
    reader, client = five.connect(), five.connect(will=will_of(topic))
    reader.subscribe(topic)
    client.disconnect(0x04)
    assert reader.message().payload == b"gone"


@normative("3.1.2-8", "4.13.1-1", old=("3.1.2-8",))
def test_a_will_after_a_mistake(clients: Clients, topic: str) -> None:
    reader, client = clients.connect(), clients.connect(will=will_of(topic))
    reader.subscribe(topic)
    client.link.send(b"\xc1\x00")
    client.closed(0x81)
    assert reader.message().payload == b"gone"


@normative("3.1.3-10", "3.3.2-4")
def test_properties_of_a_will(five: Clients, topic: str) -> None:
    sent = properties(content_type="c", user=(("b", "1"), ("a", "2")))
    reader = five.connect()
    reader.subscribe(topic)
    five.connect(will=will_of(topic, properties=sent)).link.abort()
    assert reader.message().properties == sent


@normative("3.1.2-8", "3.1.4-3")
def test_a_takeover_fires_the_will_of_an_ended_session(
    clients: Clients, topic: str, name: str
) -> None:
    reader = clients.connect()
    reader.subscribe(topic)
    old = clients.connect(name, will=will_of(topic))
    new = clients.connect(name)
    assert reader.message().payload == b"gone"
    old.closed(0x8E)
    new.disconnect()
    reader.quiet()


@normative("3.1.3-9", "3.1.2-8")
def test_a_takeover_within_the_delay_fires_no_will(five: Clients, topic: str, name: str) -> None:
    reader = five.connect()
    reader.subscribe(topic)
    delayed = will_of(topic, properties=properties(will_delay_s=30))
    old = five.keep(name, will=delayed)
    new = five.keep(name)
    old.closed(0x8E)
    new.disconnect()
    reader.quiet()


@pytest.mark.slow
@normative("3.1.2-8", "3.1.3-9")
def test_a_will_waits_for_its_delay(five: Clients, topic: str, name: str) -> None:
    reader = five.connect()
    reader.subscribe(topic)
    delayed = will_of(topic, properties=properties(will_delay_s=1))
    client = five.keep(name, will=delayed)
    client.link.abort()
    started = time.monotonic()
    reader.quiet()
    assert reader.message().payload == b"gone"
    assert time.monotonic() - started >= 0.9


@pytest.mark.slow
@normative("3.1.3-9")
def test_who_is_back_in_time_is_not_gone(five: Clients, topic: str, name: str) -> None:
    reader = five.connect()
    reader.subscribe(topic)
    delayed = will_of(topic, properties=properties(will_delay_s=1))
    five.keep(name, will=delayed).link.abort()
    back = five.keep(name)
    time.sleep(1.5)
    reader.quiet()
    back.quiet()


@pytest.mark.slow
@normative("3.1.2-8")
def test_a_will_comes_at_the_latest_with_the_end_of_its_session(five: Clients, topic: str) -> None:
    reader = five.connect()
    reader.subscribe(topic)
    delayed = will_of(topic, properties=properties(will_delay_s=30))
    five.connect(will=delayed, session_expiry_s=1).link.abort()
    assert reader.message().payload == b"gone"


# ---- keep alive ----


@pytest.mark.slow
@normative("3.1.2-22", old=("3.1.2-24",))
def test_silence_ends_the_connection(clients: Clients, topic: str) -> None:
    reader = clients.connect()
    reader.subscribe(topic)
    client = clients.connect(keep_alive_s=1, will=will_of(topic))
    started = time.monotonic()
    client.closed(0x8D)
    assert 1.4 <= time.monotonic() - started <= 4
    assert reader.message().payload == b"gone"


@pytest.mark.slow
@normative("3.1.2-22", old=("3.1.2-24",))
def test_any_packet_keeps_the_connection(clients: Clients, topic: str) -> None:
    client = clients.connect(keep_alive_s=1)
    for _ in range(4):
        time.sleep(0.7)
        client.publish(topic)
    client.quiet()
