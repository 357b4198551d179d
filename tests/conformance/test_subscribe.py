"""SUBSCRIBE and UNSUBSCRIBE, their options, and what overlaps (3.8 to 3.11, 3.3.4)."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import (
    PUBREC,
    PUBREL,
    Ack,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from tests.conformance.client import properties
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative

NO_SUBSCRIPTION = 0x11
FILTER_INVALID = 0x8F


@normative("3.8.4-1", "3.8.4-2", "2.2.1-6", "3.8.4-7", "3.9.3-2")
@normative(old=("3.8.4-1", "3.8.4-2", "2.3.1-7", "3.9.3-2"))
@pytest.mark.parametrize(("packet_id", "qos"), [(1, 0), (0x1234, 1), (0xFFFF, 2)])
def test_suback_has_the_identifier(clients: Clients, topic: str, packet_id: int, qos: int) -> None:
    client = clients.connect()
    client.send(Subscribe(packet_id, (Subscription(topic, qos),)))
    client.expect(Suback(packet_id, (qos,)))


@normative("3.8.4-5", "3.8.4-6", "3.8.4-7", "3.9.3-1", "3.2.2-10")
@normative(old=("3.8.4-4", "3.8.4-5", "3.9.3-1", "3.9.3-2"))
def test_one_reason_for_each_filter(clients: Clients, topic: str) -> None:
    """Before 5.0, failures are 0x80 whatever they are."""
    client = clients.connect()
    asked = [
        Subscription(f"{topic}/a", 2),
        Subscription(f"{topic}/#/b", 1),
        Subscription(f"{topic}/c", 0),
        Subscription(f"{topic}/d+", 0),
        Subscription(f"{topic}/e", 1),
    ]
    failed = FILTER_INVALID if clients.level == 5 else 0x80
    assert client.subscribe(*asked) == (2, failed, 0, failed, 1)


@normative("3.8.4-5", old=("3.8.4-4",))
def test_many_filters_are_as_many_subscribes(clients: Clients, topic: str) -> None:
    client, writer = clients.connect(), clients.connect()
    client.subscribe(*(f"{topic}/{number}" for number in range(10)))
    for number in range(10):
        writer.publish(f"{topic}/{number}", b"1")
        client.message(f"{topic}/{number}", b"1", 1)


@normative("3.8.4-5", "3.8.4-3", old=("3.8.4-3", "3.8.4-4"))
def test_the_same_filter_twice_in_one_packet(clients: Clients, topic: str) -> None:
    client = clients.connect()
    assert client.subscribe(Subscription(topic, 2), Subscription(topic, 1)) == (2, 1)
    clients.connect().publish(topic, b"1", 2)
    client.message(topic, b"1", 1)
    client.quiet()


@normative("3.8.4-3", "3.8.4-4", old=("3.8.4-3",))
def test_the_same_filter_again_replaces(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    writer.publish(topic, b"kept", retain=True)
    for qos in (2, 1):
        reader.subscribe(topic, qos=qos)
        reader.message(topic, b"kept", 1, retain=True)
    writer.publish(topic, b"x", 2)
    reader.message(topic, b"x", 1)
    reader.quiet()
    writer.publish(topic, b"", retain=True)


@normative("3.8.4-3")
def test_replacing_changes_options_and_identifier(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(Subscription(topic, 0), subscription_ids=(1,))
    reader.subscribe(Subscription(topic, 2, retain_as_published=True), subscription_ids=(2,))
    writer.publish(topic, b"1", 2, retain=True)
    assert reader.message(topic, b"1", 2, retain=True).properties.subscription_ids == (2,)
    reader.subscribe(Subscription(topic, 1, retain_handling=2))
    writer.publish(topic, b"2", 2, retain=True)
    assert reader.message(topic, b"2", 1).properties.subscription_ids == ()
    reader.quiet()
    writer.publish(topic, b"", retain=True)


@normative("3.8.4-4", old=("3.8.4-3",))
def test_replacing_loses_nothing(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic, qos=1)
    for number in range(20):
        writer.publish(topic, b"%d" % number)
        reader.send(Subscribe(1 + number, (Subscription(topic, 1),)))
    subscribed = 0
    for number in range(20):
        while isinstance(packet := reader.next(), Suback):
            subscribed += 1
        assert isinstance(packet, Publish)
        assert packet.payload == b"%d" % number
        reader.answer(packet)
    for _ in range(subscribed, 20):
        reader.receive(Suback)
    reader.quiet()


# ---- what overlaps ----


@normative("3.3.4-2", old=("3.3.5-1",))
def test_overlapping_filters_give_one_copy(clients: Clients, topic: str) -> None:
    """The highest quality. The standard allows several copies; one cannot be mistaken."""
    reader, writer = clients.connect(), clients.connect()
    for text, qos in (("#", 0), ("+", 2), ("a", 1)):
        reader.subscribe(f"{topic}/{text}", qos=qos)
    writer.publish(f"{topic}/a", b"x", 2)
    reader.message(f"{topic}/a", b"x", 2)
    reader.quiet()


@normative("3.3.4-3", "3.3.4-4")
def test_all_subscription_identifiers(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(f"{topic}/#", subscription_ids=(1,))
    reader.subscribe(f"{topic}/+", subscription_ids=(268_435_455,))
    reader.subscribe(f"{topic}/a")
    reader.subscribe(f"{topic}/b", subscription_ids=(9,))
    writer.publish(f"{topic}/a", b"x")
    found = reader.message(f"{topic}/a", b"x", 1)
    assert sorted(found.properties.subscription_ids) == [1, 268_435_455]
    reader.quiet()


@normative("3.3.4-3")
def test_identifiers_of_retained_missed_and_again(five: Clients, topic: str) -> None:
    writer, reader = five.connect(), five.keep("a")
    writer.publish(topic, b"kept", retain=True)
    reader.subscribe(f"{topic}/#", subscription_ids=(5,))
    assert reader.message(topic, b"kept", 1, retain=True).properties.subscription_ids == (5,)
    reader.subscribe(Subscription(topic, 1, retain_handling=2), subscription_ids=(6,))
    writer.publish(topic, b"again")
    reader.message(topic, b"again", 1, answer=False)
    reader.drop()
    writer.publish(topic, b"missed")
    reader = five.back("a")
    found = [reader.message(topic, b"again", 1, dup=True), reader.message(topic, b"missed", 1)]
    writer.publish(topic, b"live")
    found.append(reader.message(topic, b"live", 1))
    assert [sorted(packet.properties.subscription_ids) for packet in found] == [[5, 6]] * 3
    writer.publish(topic, b"", retain=True)


@normative("3.8.3-3")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_no_local(five: Clients, topic: str, qos: int) -> None:
    one, other = five.connect(), five.connect()
    for client in (one, other):
        client.subscribe(Subscription(topic, 2, no_local=True))
    one.publish(topic, b"of one", qos)
    other.message(topic, b"of one", qos)
    one.quiet()
    other.publish(topic, b"of other", qos)
    one.message(topic, b"of other", qos)
    one.quiet()
    other.quiet()


@normative("3.8.3-3")
def test_no_local_of_one_of_two_subscriptions(five: Clients, topic: str) -> None:
    client = five.connect()
    client.subscribe(Subscription(f"{topic}/#", 2, no_local=True), subscription_ids=(1,))
    client.subscribe(Subscription(f"{topic}/a", 1), subscription_ids=(2,))
    client.publish(f"{topic}/a", b"own", 2)
    assert client.message(f"{topic}/a", b"own", 1).properties.subscription_ids == (2,)
    client.quiet()


def test_local_without_no_local(clients: Clients, topic: str) -> None:
    client = clients.connect()
    client.subscribe(topic)
    client.publish(topic, b"own")
    client.message(topic, b"own", 1)


# ---- UNSUBSCRIBE ----


@normative("3.10.4-4", "3.10.4-5", "2.2.1-6", "3.11.3-1", "3.11.3-2")
@normative(old=("3.10.4-4", "3.10.4-5", "2.3.1-7"))
def test_unsuback(clients: Clients, topic: str) -> None:
    client = clients.connect()
    client.subscribe(f"{topic}/a", f"{topic}/b", f"{topic}/+")
    asked = (f"{topic}/b", f"{topic}/no", f"{topic}/+", f"{topic}/b")
    client.send(Unsubscribe(0xFFFF, asked))
    reasons = (0, NO_SUBSCRIPTION, 0, NO_SUBSCRIPTION) if clients.level == 5 else ()
    client.expect(Unsuback(0xFFFF, reasons))


@normative("3.10.4-1", "3.10.4-2", "3.10.4-6", old=("3.10.4-1", "3.10.4-2", "3.10.4-6"))
def test_unsubscribe(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(f"{topic}/a", f"{topic}/+", f"{topic}/b")
    reader.unsubscribe(f"{topic}/a", f"{topic}/none", f"{topic}/+")
    for name in "abc":
        writer.publish(f"{topic}/{name}", b"1")
    reader.message(f"{topic}/b", b"1", 1)
    reader.quiet()


@normative("3.10.4-1", "3.10.4-2", "3.10.4-5", old=("3.10.4-1", "3.10.4-5"))
def test_filters_are_compared_character_by_character(clients: Clients, topic: str) -> None:
    client, writer = clients.connect(), clients.connect()
    client.subscribe(f"{topic}/+")
    for other in (f"{topic}/#", f"{topic}/a", f"{topic}/+/", topic, f"{topic}/*"):
        answer = client.unsubscribe(other)
        assert answer == ((NO_SUBSCRIPTION,) if clients.level == 5 else ())
    writer.publish(f"{topic}/a", b"1")
    client.message(f"{topic}/a", b"1", 1)
    client.unsubscribe(f"{topic}/+")
    writer.publish(f"{topic}/a", b"2")
    client.quiet()


@normative("3.10.4-2")
def test_an_overlapping_subscription_stays(five: Clients, topic: str) -> None:
    client, writer = five.connect(), five.connect()
    client.subscribe(f"{topic}/#", qos=1, subscription_ids=(1,))
    client.subscribe(f"{topic}/a", qos=2, subscription_ids=(2,))
    client.unsubscribe(f"{topic}/a")
    writer.publish(f"{topic}/a", b"1", 2)
    assert client.message(f"{topic}/a", b"1", 1).properties.subscription_ids == (1,)


@normative("3.10.4-3", old=("3.10.4-3",))
def test_what_is_in_flight_is_finished(clients: Clients, topic: str) -> None:
    """Also in the next connection."""
    client, writer = clients.keep("a"), clients.connect()
    client.subscribe(topic)
    for payload in (b"1", b"2"):
        writer.publish(topic, payload, 2)
    one, two = (client.message(topic, payload, 2, answer=False) for payload in (b"1", b"2"))
    client.unsubscribe(topic)
    client.ack(PUBREC, one.packet_id)
    client.expect(Ack(PUBREL, one.packet_id))
    client.drop()
    client = clients.back("a")
    client.expect(Ack(PUBREL, one.packet_id))
    assert client.message(topic, b"2", 2, dup=True).packet_id == two.packet_id
    client.quiet()


def test_no_answer_is_waited_for(clients: Clients, topic: str) -> None:
    client = clients.connect()
    for n in range(1, 6):
        client.send(Subscribe(n, (Subscription(f"{topic}/{n}", 1),)))
        client.send(Unsubscribe(n + 100, (f"{topic}/{n}",)))
    for n in range(1, 6):
        assert client.receive(Suback).packet_id == n
        assert client.receive(Unsuback).packet_id == n + 100
    client.quiet()


# ---- refusals ----


def test_no_subscription_identifier_of_zero(five: Clients, topic: str) -> None:
    client = five.connect()
    client.send(Subscribe(7, (Subscription(topic, 1),), properties(subscription_ids=(0,))))
    client.closed(0x82)
