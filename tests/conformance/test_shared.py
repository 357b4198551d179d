"""Shared subscriptions (4.8.2): one member of a group gets each message."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import Subscribe, Subscription
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative


@normative("4.8.2-1", "4.8.2-2", "4.8.2-3")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member(five: Clients, topic: str, qos: int) -> None:
    """And to who has subscribed for itself."""
    members, plain, writer = [five.connect() for _ in range(3)], five.connect(), five.connect()
    for member in members:
        assert member.subscribe(f"$share/g/{topic}/#", qos=qos) == (qos,)
    plain.subscribe(f"{topic}/#")
    payloads = [b"%d" % n for n in range(12)]
    for payload in payloads:
        writer.publish(f"{topic}/x", payload, 2)
        plain.message(f"{topic}/x", payload, 2)
    found = members[0].settled(*members[1:], count=12)
    assert {packet.qos for packet in found} == {qos}
    assert sorted(packet.payload for packet in found) == sorted(payloads)
    assert all(member.inbox for member in members)


@normative("4.8.2-3")
def test_each_member_has_the_quality_it_was_granted(five: Clients, topic: str) -> None:
    members, writer = [five.connect(), five.connect()], five.connect()
    for qos, member in enumerate(members):
        assert member.subscribe(f"$share/g/{topic}", qos=qos) == (qos,)
    for n in range(10):
        writer.publish(topic, b"%d" % n)
    found = members[0].settled(members[1], count=10)
    assert sorted(int(packet.payload) for packet in found) == list(range(10))
    for qos, member in enumerate(members):
        assert {packet.qos for packet in member.inbox} == {qos}


@normative("4.8.2-1")
def test_groups_are_told_apart_by_name_and_filter(five: Clients, topic: str) -> None:
    """Subscriptions that are not shared get their own copy, too."""
    filters = (topic, f"$share/a/{topic}", f"$share/b/{topic}", f"$share/a/{topic}/#")
    readers = [five.connect() for _ in filters]
    for reader, text in zip(readers, filters, strict=True):
        reader.subscribe(text)
    five.connect().publish(topic, b"x")
    for reader in readers:
        reader.message(topic, b"x", 1)
        reader.quiet()


def test_a_shared_subscription_beside_a_plain_one(five: Clients, topic: str) -> None:
    """Of one client: they are two subscriptions, each delivers."""
    client = five.connect()
    client.subscribe(topic, subscription_ids=(1,))
    client.subscribe(f"$share/g/{topic}", subscription_ids=(2,))
    five.connect().publish(topic, b"1")
    found = [client.message(topic, b"1", 1).properties.subscription_ids for _ in range(2)]
    assert sorted(found) == [(1,), (2,)]
    client.quiet()


def test_a_shared_subscription_gets_nothing_retained(five: Clients, topic: str) -> None:
    writer, reader = five.connect(), five.connect()
    writer.publish(topic, b"kept", retain=True)
    reader.subscribe(f"$share/g/{topic}")
    reader.quiet()
    writer.publish(topic, b"", retain=True)


def test_unsubscribing_from_a_shared_subscription(five: Clients, topic: str) -> None:
    members, writer = [five.connect(), five.connect()], five.connect()
    for member in members:
        member.subscribe(f"$share/g/{topic}")
    assert members[0].unsubscribe(f"$share/g/{topic}") == (0,)
    for n in range(3):
        writer.publish(topic, b"%d" % n)
        members[1].message(topic, b"%d" % n, 1)
    members[0].quiet()


def test_a_member_that_is_away_is_skipped(five: Clients, topic: str) -> None:
    """While it is, the others get everything, with any quality."""
    away, here, writer = five.keep("away"), five.keep("here"), five.connect()
    for member in (away, here):
        member.subscribe(f"$share/g/{topic}", qos=1)
    away.disconnect()
    for n in range(6):
        writer.publish(topic, b"%d" % n, n % 2)
        here.message(topic, b"%d" % n, n % 2)
    five.back("away").quiet()


@normative("4.8.2-4")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_member_gets_the_rest_when_it_is_back(five: Clients, topic: str, qos: int) -> None:
    member, other = five.keep("a"), five.connect()
    member.subscribe(f"$share/g/{topic}")
    five.connect().publish(topic, b"x", qos)
    before = member.message(topic, b"x", qos, answer=False)
    other.subscribe(f"$share/g/{topic}")
    member.drop()
    after = five.back("a").message(topic, b"x", qos, dup=True)
    assert after.packet_id == before.packet_id
    other.quiet()


@normative("4.8.2-5")
def test_what_a_lost_member_had_goes_to_nobody(five: Clients, topic: str) -> None:
    """QoS 2; for QoS 1 the standard lets it go to another."""
    member, other, writer = five.connect(), five.connect(), five.connect()
    member.subscribe(f"$share/g/{topic}")
    writer.publish(topic, b"x", 2)
    member.message(topic, b"x", 2, answer=False)
    other.subscribe(f"$share/g/{topic}")
    member.disconnect()
    writer.publish(topic, b"y", 2)
    other.message(topic, b"y", 2)
    other.quiet()


@normative("4.8.2-6")
@pytest.mark.parametrize("reason", [0x80, 0x83])
def test_what_a_member_refuses_goes_to_nobody(five: Clients, topic: str, reason: int) -> None:
    member, other = five.connect(), five.connect()
    member.subscribe(f"$share/g/{topic}", qos=1)
    five.connect().publish(topic, b"x")
    found = member.message(topic, b"x", 1, answer=False)
    other.subscribe(f"$share/g/{topic}", qos=1)
    member.ack(4, found.packet_id, reason)
    member.quiet()
    other.quiet()


@normative("3.8.3-4")
def test_no_local_on_a_shared_subscription(five: Clients, topic: str) -> None:
    client = five.connect()
    client.send(Subscribe(7, (Subscription(f"$share/g/{topic}", 1, no_local=True),)))
    client.closed(0x82)
