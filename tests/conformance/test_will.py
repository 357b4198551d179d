"""Wills (3.1.2.5, 3.1.3.2, 3.1.3.3, 3.14.4)."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_packets import Properties, Will
from tests.conformance.client import Client, properties
from tests.conformance.conftest import BUT_WEBSOCKET, Clients
from tests.conformance.normative import normative

TAKEN_OVER = 0x8E
WITH_WILL = 0x04


def watch(clients: Clients, topic: str) -> Client:
    watcher = clients.connect()
    watcher.subscribe(topic)
    return watcher


def will(
    topic: str, payload: bytes = b"gone", qos: int = 0, retain: bool = False, **fields: Any
) -> Will:
    return Will(
        topic=topic, payload=payload, qos=qos, retain=retain, properties=properties(**fields)
    )


def ends_with(clients: Clients, watcher: Client, topic: str) -> None:
    """Nothing else has come to the watcher."""
    clients.connect().publish(topic, b"end")
    watcher.message(topic, b"end", 1)


@normative("3.1.2-7", "3.1.2-8", "3.1.2-12", "3.1.2-14", old=("3.1.2-8", "3.1.2-16"))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_will_of_a_lost_connection(clients: Clients, topic: str, qos: int) -> None:
    """Once, and not retained."""
    watcher = watch(clients, topic)
    clients.connect("a", will=will(topic, qos=qos)).drop()
    watcher.message(topic, b"gone", qos)
    watch(clients, topic).quiet()
    ends_with(clients, watcher, topic)


@normative("3.1.2-15", old=("3.1.2-17",))
def test_a_will_that_is_retained(clients: Clients, topic: str) -> None:
    watcher = watch(clients, topic)
    clients.connect("a", will=will(topic, qos=1, retain=True)).drop()
    watcher.message(topic, b"gone", 1)
    watch(clients, topic).message(topic, b"gone", 1, retain=True)
    clients.connect().publish(topic, b"", retain=True)


@normative("3.1.2-8", "3.1.2-10", "3.14.4-3", old=("3.14.4-3", "3.1.2-10"))
def test_no_will_after_a_goodbye(clients: Clients, topic: str) -> None:
    watcher = watch(clients, topic)
    clients.connect("a", will=will(topic)).disconnect()
    ends_with(clients, watcher, topic)


@normative(old=("3.1.2-12",))
def test_no_will_where_there_is_none(clients: Clients, topic: str) -> None:
    reader = clients.connect()
    reader.subscribe("test/#", qos=0)
    clients.connect().drop()
    reader.ping()
    # What other tests have retained may come; a will would come as something new.
    assert all(found.retain for found in reader.inbox)


@normative("3.1.2-10")
@pytest.mark.parametrize("taken_back", [True, False])
def test_a_will_ends_with_its_connection(five: Clients, topic: str, taken_back: bool) -> None:
    """Whether it was published or not, it is not in the session that goes on."""
    watcher = watch(five, topic)
    first = five.keep("a", will=will(topic))
    if taken_back:
        first.disconnect()
    else:
        first.drop()
        watcher.message(topic, b"gone")
    five.back("a").drop()
    five.connect("a")
    ends_with(five, watcher, topic)


@normative("3.1.2-8")
def test_a_goodbye_with_will(five: Clients, topic: str) -> None:
    watcher = watch(five, topic)
    five.connect("a", will=will(topic)).disconnect(WITH_WILL)
    watcher.message(topic, b"gone")


@normative("3.1.2-8", "4.13.1-1", old=("3.1.2-8",))
def test_a_will_after_a_mistake(clients: Clients, topic: str) -> None:
    watcher = watch(clients, topic)
    client = clients.connect("a", will=will(topic))
    client.send(b"\xc1\x00")
    client.closed(0x81)
    watcher.message(topic, b"gone")


@normative("3.1.3-10", "3.1.3-1", "3.1.2-9", "3.3.2-4")
def test_properties_of_a_will(five: Clients, topic: str) -> None:
    watcher = watch(five, topic)
    said: dict[str, Any] = {
        "payload_format": 1,
        "content_type": "text/plain",
        "response_topic": f"{topic}/answer",
        "correlation_data": b"\x00\xff",
        "user": (("b", "1"), ("a", "2"), ("b", "1"), ("", "")),
    }
    made = will(topic, qos=1, message_expiry_s=100, **said)
    five.connect("a", will=made, username="ann", password=b"believed").drop()
    found = watcher.message(topic, b"gone", 1).properties
    assert found.message_expiry_s is not None
    assert 90 <= found.message_expiry_s <= 100
    assert found == Properties(message_expiry_s=found.message_expiry_s, **said)


def test_a_will_where_the_client_may_not_publish_is_refused(five: Clients) -> None:
    client = five.open()
    answer = client.connect(five.asks("a", will=will("$SYS/broker/version")))
    assert answer.reason in (0x87, 0x90)
    client.closed()


# ---- takeover, and delay ----


@normative("3.1.2-8", "3.1.4-3")
def test_a_takeover_fires_a_will_without_delay(clients: Clients, topic: str) -> None:
    watcher = watch(clients, topic)
    old = clients.connect("a", will=will(topic))
    new = clients.connect("a")
    old.closed(TAKEN_OVER)
    watcher.message(topic, b"gone")
    new.disconnect()
    ends_with(clients, watcher, topic)


@normative("3.1.2-8")
def test_a_takeover_of_a_session_fires_a_will_without_delay(clients: Clients, topic: str) -> None:
    watcher = watch(clients, topic)
    clients.keep("a", will=will(topic))
    clients.back("a")
    watcher.message(topic, b"gone")


@normative("3.1.3-9", "3.1.2-8")
def test_a_takeover_within_the_delay_fires_no_will(five: Clients, topic: str) -> None:
    watcher = watch(five, topic)
    old = five.keep("a", will=will(topic, will_delay_s=30))
    new = five.back("a")
    old.closed(TAKEN_OVER)
    new.disconnect()
    ends_with(five, watcher, topic)


@normative("3.1.2-8")
def test_the_end_of_the_session_publishes_a_delayed_will(five: Clients, topic: str) -> None:
    """By takeover with Clean Start, by reconnecting with it, and with an expiry of zero."""
    watcher = watch(five, topic)
    late = will(topic, will_delay_s=60)
    five.keep("a", will=late)
    five.connect("a")
    watcher.message(topic, b"gone")
    five.keep("b", will=late).drop()
    five.connect("b")
    watcher.message(topic, b"gone")
    five.connect("c", will=late).drop()
    watcher.message(topic, b"gone")


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("3.1.2-8", "3.1.3-9")
def test_a_will_waits_for_its_delay(five: Clients, topic: str) -> None:
    watcher = watch(five, topic)
    client = five.keep("a", will=will(topic, will_delay_s=1))
    started = five.place.now()
    client.drop()
    watcher.message(topic, b"gone")
    assert 1 <= five.place.now() - started < 10


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("3.1.3-9", "3.1.2-8")
def test_who_is_back_in_time_is_not_gone(five: Clients, topic: str) -> None:
    """Lost and back, and taken over; the will of another client tells that the time is up."""
    watcher = watch(five, topic)
    late = will(topic, will_delay_s=1)
    five.keep("a", will=late).drop()
    five.keep("b", will=late)
    five.back("a")
    five.back("b")
    five.connect("c", will=will(topic, b"fence", will_delay_s=1), session_expiry_s=1).drop()
    watcher.message(topic, b"fence")
    ends_with(five, watcher, topic)


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("3.1.2-8")
def test_a_will_comes_at_the_latest_with_the_end_of_its_session(five: Clients, topic: str) -> None:
    watcher = watch(five, topic)
    started = five.place.now()
    five.connect("a", will=will(topic, will_delay_s=60), session_expiry_s=1).drop()
    watcher.message(topic, b"gone")
    assert 1 <= five.place.now() - started < 10
