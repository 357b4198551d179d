"""PUBLISH (3.3): retained messages, properties, expiry, aliases, and what subscribers get."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reddot.codecs.mqtt_packets import Publish, Subscription
from tests.conformance.client import properties
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative


@normative(
    "3.3.4-1",
    "3.3.2-3",
    "4.3.1-1",
    "2.2.1-2",
    "4.2-1",
    old=("2.3.1-5", "4.2.0-1", "3.3.4-1", "3.3.5-1", "4.3.1-1"),
)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_reaches_a_subscriber(clients: Clients, topic: str, qos: int) -> None:
    reader, writer = clients.connect(), clients.connect()
    assert reader.subscribe(topic, qos=2).reasons == (2,)
    writer.publish(topic, b"hello", qos)
    found = reader.message()
    assert (found.topic, found.payload, found.qos) == (topic, b"hello", qos)
    assert (found.retain, found.dup) == (False, False)
    reader.quiet()


def test_any_payload(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    for payload in (b"", b"\x00\xff", b'{"a": 1}', b'{"a":\t[1 ]}', b"null", b"x" * 20_000):
        writer.publish(topic, payload, qos=1)
        assert reader.message().payload == payload


@normative("3.3.1-3", "3.3.1-1", "3.3.1-2", old=("3.3.1-1", "3.3.1-2", "3.3.1-3"))
def test_dup_is_not_handed_on(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    writer.send(Publish(topic, b"x", 1, dup=True, packet_id=9))
    writer.receive_ack(4, 9)
    assert not reader.message().dup


@normative("3.3.1-5", "3.3.1-9", old=("3.3.1-7", "3.1.2-7", "3.3.1-5", "3.3.1-6", "3.3.1-8"))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_last_retained_message_is_kept(clients: Clients, topic: str, qos: int) -> None:
    writer, reader = clients.connect(), clients.connect()
    writer.publish(topic, b"first", qos, retain=True)
    writer.publish(topic, b"second", qos, retain=True)
    reader.subscribe(topic)
    found = reader.message()
    assert (found.payload, found.retain, found.qos) == (b"second", True, qos)
    reader.quiet()
    writer.publish(topic, b"", retain=True)


@normative("3.3.1-6", "3.3.1-7", old=("3.3.1-10", "3.3.1-11"))
@pytest.mark.parametrize("qos", [0, 1])
def test_an_empty_payload_removes_what_is_retained(clients: Clients, topic: str, qos: int) -> None:
    writer, live, late = clients.connect(), clients.connect(), clients.connect()
    writer.publish(topic, b"x", qos, retain=True)
    live.subscribe(Subscription(topic, 2, retain_handling=2 if clients.level == 5 else 0))
    if clients.level == 4:
        assert live.message().payload == b"x"
    writer.publish(topic, b"", qos, retain=True)
    found = live.message()
    assert (found.payload, found.retain) == (b"", False)
    late.subscribe(topic)
    late.quiet()


@normative("3.3.1-8", old=("3.3.1-12",))
def test_what_is_not_retained_leaves_what_is(clients: Clients, topic: str) -> None:
    writer, reader = clients.connect(), clients.connect()
    writer.publish(topic, b"kept", qos=1, retain=True)
    writer.publish(topic, b"passing", qos=1)
    reader.subscribe(topic)
    assert reader.message().payload == b"kept"
    reader.quiet()


@normative("3.3.1-12", old=("3.3.1-9",))
def test_a_live_retained_message_has_no_flag(clients: Clients, topic: str) -> None:
    writer, reader = clients.connect(), clients.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x", qos=1, retain=True)
    assert not reader.message().retain


@normative("3.3.1-13")
@pytest.mark.parametrize("retain", [True, False])
def test_retain_as_published(five: Clients, topic: str, *, retain: bool) -> None:
    writer, reader = five.connect(), five.connect()
    reader.subscribe(Subscription(topic, 1, retain_as_published=True))
    writer.publish(topic, b"x", qos=1, retain=retain)
    assert reader.message().retain == retain


@normative("3.3.1-10", "3.8.4-4", "3.3.1-9")
def test_retain_handling_1_sends_to_a_new_subscription(five: Clients, topic: str) -> None:
    writer, reader = five.connect(), five.connect()
    writer.publish(topic, b"kept", qos=1, retain=True)
    reader.subscribe(Subscription(topic, 1, retain_handling=1))
    assert reader.message().payload == b"kept"
    reader.subscribe(Subscription(topic, 1, retain_handling=1))
    reader.quiet()
    reader.subscribe(Subscription(topic, 1, retain_handling=0))
    assert reader.message().payload == b"kept"


@normative("3.3.1-11")
def test_retain_handling_2_sends_nothing(five: Clients, topic: str) -> None:
    writer, reader = five.connect(), five.connect()
    writer.publish(topic, b"kept", qos=1, retain=True)
    reader.subscribe(Subscription(topic, 1, retain_handling=2))
    reader.quiet()


@normative("3.8.4-8", old=("3.8.4-6",))
def test_a_retained_message_has_the_lower_quality(clients: Clients, topic: str) -> None:
    writer, reader = clients.connect(), clients.connect()
    writer.publish(topic, b"x", qos=2, retain=True)
    reader.subscribe(topic, qos=1)
    assert reader.message().qos == 1


def test_retained_messages_of_a_wildcard(clients: Clients, topic: str) -> None:
    writer, reader = clients.connect(), clients.connect()
    for level in ("a", "b/c", "b/d"):
        writer.publish(f"{topic}/{level}", level.encode(), qos=1, retain=True)
    reader.subscribe(f"{topic}/+/+")
    assert sorted(reader.payloads(2)) == [b"b/c", b"b/d"]
    reader.quiet()


@normative("3.3.2-4", "3.3.2-15", "3.3.2-16", "3.3.2-17", "3.3.2-18", "3.3.2-20", "3.1.3-10")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_are_handed_on_unaltered(five: Clients, topic: str, qos: int) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(topic)
    sent: dict[str, Any] = {
        "payload_format": 1,
        "content_type": "text/plain",
        "response_topic": "answers/here",
        "correlation_data": b"\x00\x01",
        "user": (("b", "1"), ("a", "2"), ("b", "1")),
    }
    writer.publish(topic, b"x", qos, **sent)
    assert reader.message().properties == properties(**sent)


@normative("3.3.2-4", "3.3.2-18")
def test_retained_messages_keep_their_properties(five: Clients, topic: str) -> None:
    writer, reader = five.connect(), five.connect()
    user = (("b", "1"), ("a", "2"))
    writer.publish(topic, b"x", 1, retain=True, user=user, content_type="c")
    reader.subscribe(topic)
    assert reader.message().properties == properties(user=user, content_type="c")


@pytest.mark.slow
@normative("3.3.2-6")
def test_the_expiry_is_what_is_left(five: Clients, topic: str, name: str) -> None:
    reader, writer = five.keep(name), five.connect()
    reader.subscribe(topic)
    reader.disconnect()
    writer.publish(topic, b"x", 1, message_expiry_s=60)
    time.sleep(1.1)
    left = five.keep(name).message().properties.message_expiry_s
    assert left is not None
    assert 50 < left < 60


@pytest.mark.slow
@normative("3.3.2-5")
def test_an_expired_message_is_not_delivered(five: Clients, topic: str, name: str) -> None:
    reader, writer = five.keep(name), five.connect()
    reader.subscribe(topic)
    reader.disconnect()
    writer.publish(topic, b"short", 1, message_expiry_s=1)
    writer.publish(topic, b"long", 1)  # One that has expired does not block those behind it.
    writer.publish(f"{topic}/kept", b"short", 1, message_expiry_s=1, retain=True)
    time.sleep(2.1)
    again = five.keep(name)
    assert again.message().payload == b"long"
    again.subscribe(f"{topic}/kept")
    again.quiet()


@normative("3.3.2-12", "3.3.2-7")
def test_topic_aliases_of_a_client(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(f"{topic}/#")
    most = writer.connack.properties.topic_alias_maximum or 0
    for alias in range(1, most + 1):
        writer.publish(f"{topic}/{alias}", b"set", topic_alias=alias)
        assert reader.message().topic == f"{topic}/{alias}"
    for alias in range(most, 0, -1):
        writer.publish("", b"used", topic_alias=alias)
        found = reader.message()
        assert (found.topic, found.properties.topic_alias) == (f"{topic}/{alias}", None)
    if most:
        writer.publish(f"{topic}/new", b"moved", topic_alias=1)
        writer.publish("", b"used", topic_alias=1)
        assert [reader.message().topic for _ in range(2)] == [f"{topic}/new"] * 2


@normative("3.3.2-7")
def test_an_alias_ends_with_its_connection(five: Clients, topic: str, name: str) -> None:
    first = five.keep(name)
    if not first.connack.properties.topic_alias_maximum:
        return
    first.publish(topic, topic_alias=1)
    first.disconnect()
    second = five.keep(name)
    second.send(Publish("", b"x", properties=properties(topic_alias=1)))
    second.closed(0x82, 0x94)


@normative("3.3.2-9", "3.2.2-17", "3.2.2-18", "3.3.2-8")
def test_an_alias_beyond_the_maximum(five: Clients, topic: str) -> None:
    client = five.connect()
    beyond = (client.connack.properties.topic_alias_maximum or 0) + 1
    client.send(Publish(topic, b"x", properties=properties(topic_alias=beyond)))
    client.closed(0x94)


@normative("3.3.2-11", "3.1.2-26", "3.1.2-27")
@pytest.mark.parametrize("most", [0, 2])
def test_topic_aliases_of_the_server(five: Clients, topic: str, most: int) -> None:
    wanted: dict[str, Any] = {"topic_alias_maximum": most} if most else {}
    reader, writer = five.connect(**wanted), five.connect()
    reader.subscribe(f"{topic}/#")
    known: dict[int, str] = {}
    for n in (0, 1, 2, 3, 0, 1, 2, 3):
        writer.publish(f"{topic}/{n}", b"x")
        found = reader.message()
        alias = found.properties.topic_alias
        if alias is not None:
            assert 0 < alias <= most
            known[alias] = found.topic or known[alias]
        assert (found.topic or known[alias or 0]) == f"{topic}/{n}"


@normative("3.1.2-24", "3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_too_large_is_skipped(five: Clients, topic: str, qos: int) -> None:
    reader, writer = five.connect(maximum_packet_bytes=200), five.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x" * 300, qos)
    writer.publish(topic, b"small", qos)
    assert reader.message().payload == b"small"
    reader.quiet()


@normative("3.2.2-15")
def test_a_packet_beyond_the_servers_maximum(five: Clients, topic: str) -> None:
    client = five.connect()
    most = client.connack.properties.maximum_packet_bytes
    if most is None:
        return
    client.link.send(b"\x30\xff\xff\xff\x7f")
    client.closed(0x95)


@normative("4.6.0-5", "4.6.0-6", "4.5.0-1", old=("4.6.0-5", "4.6.0-6", "4.5.0-1"))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_come_in_the_order_they_were_sent(clients: Clients, topic: str, qos: int) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    payloads = [str(n).encode() for n in range(40)]
    for payload in payloads:
        writer.publish(topic, payload, qos)
    assert reader.payloads(40) == payloads


@normative("4.7.3-4", "1.5.4-3", old=("4.7.3-4", "1.5.3-3"))
@pytest.mark.parametrize("odd", ["A", "\u00e9", "e\u0301", "\ufeffx", "a b", "//", "\U0001f534"])
def test_names_are_not_normalised(clients: Clients, topic: str, odd: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(f"{topic}/{odd}")
    for near in ("a", "\u00c9", "e", "x", "a  b", "/"):
        writer.publish(f"{topic}/{near}", b"near")
    writer.publish(f"{topic}/{odd}", b"same")
    found = reader.message()
    assert (found.topic, found.payload) == (f"{topic}/{odd}", b"same")
    reader.quiet()


def test_request_and_response(five: Clients, topic: str) -> None:
    asker, answerer = five.connect(), five.connect()
    asker.subscribe(f"{topic}/answer")
    answerer.subscribe(topic)
    asker.publish(topic, b"?", 1, response_topic=f"{topic}/answer", correlation_data=b"1")
    asked = answerer.message().properties
    assert asked.response_topic
    answerer.publish(asked.response_topic, b"!", 1, correlation_data=asked.correlation_data)
    assert asker.message().properties.correlation_data == b"1"
