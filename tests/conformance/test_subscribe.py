"""SUBSCRIBE and UNSUBSCRIBE (3.8 to 3.11, 4.7, 4.8): what matches, once, with which quality."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import (
    PUBACK,
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


@normative(
    "3.8.4-1",
    "3.8.4-2",
    "3.8.4-5",
    "3.8.4-6",
    "3.8.4-7",
    "3.9.3-1",
    "3.9.3-2",
    "2.2.1-6",
    old=("3.8.4-1", "3.8.4-2", "3.8.4-4", "3.8.4-5", "3.9.3-1", "3.9.3-2", "2.3.1-7"),
)
def test_one_reason_for_each_filter(clients: Clients, topic: str) -> None:
    client = clients.connect()
    items = tuple(Subscription(f"{topic}/{qos}", qos) for qos in (2, 0, 1))
    assert client.subscribe(*items).reasons == (2, 0, 1)
    client.quiet()


@normative("3.8.4-5", "3.9.3-1", "4.7.1-1", "4.7.1-2", old=("4.7.1-2", "4.7.1-3"))
@pytest.mark.parametrize("bad", ["a#", "#/a", "a/#/b", "a+", "+a/b", "##", "a/+b"])
def test_a_filter_with_a_wildcard_in_the_wrong_place(
    clients: Clients, topic: str, bad: str
) -> None:
    """A failure in its place, or the end of the connection; never a subscription."""
    client = clients.connect()
    items = (Subscription(topic, 1), Subscription(bad, 1))
    client.send(Subscribe(7, items))
    assert client.suback_or_end() in (None, (1, 0x8F), (1, 0x80))


@normative("3.8.4-8", "4.8.2-3", old=("3.8.4-6",))
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_lower_quality_counts(clients: Clients, topic: str, granted: int, qos: int) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic, qos=granted)
    writer.publish(topic, b"x", qos)
    assert reader.message().qos == min(granted, qos)


MATCHES = [
    ("a/b", "a/b", True),
    ("a/b", "a/b/", False),
    ("a/b", "A/b", False),
    ("a/b", "/a/b", False),
    ("a/#", "a", True),
    ("a/#", "a/", True),
    ("a/#", "a/b/c", True),
    ("a/#", "ab", False),
    ("a/+", "a", False),
    ("a/+", "a/", True),
    ("a/+", "a/b", True),
    ("a/+", "a/b/c", False),
    ("+/b", "a/b", True),
    ("+/b", "/b", True),
    ("a/+/c", "a/b/c", True),
    ("a/+/c", "a//c", True),
    ("a/+/+/#", "a/b", False),
    ("a/+/#", "a/b", True),
    ("//", "//", True),
    ("+/+/+", "//", True),
    ("a b/+", "a b/c d", True),
]


@normative("4.7.1-1", "4.7.1-2", "3.3.2-3", old=("4.7.1-1", "3.3.2-3"))
@pytest.mark.parametrize(("filter_", "name_", "matches"), MATCHES)
def test_matching(five: Clients, topic: str, filter_: str, name_: str, *, matches: bool) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(f"{topic}/{filter_}")
    writer.publish(f"{topic}/{name_}", b"x")
    if matches:
        assert reader.message().topic == f"{topic}/{name_}"
    reader.quiet()


@normative("4.7.2-1", old=("4.7.2-1",))
@pytest.mark.parametrize("filter_", ["#", "+/{0}", "+/#"])
def test_wildcards_do_not_reach_topics_of_the_server(
    clients: Clients, topic: str, filter_: str
) -> None:
    reader, writer = clients.connect(), clients.connect()
    own = topic.replace("/", "-")
    reader.subscribe(filter_.format(own), f"{topic}/end")
    writer.send(Publish(f"$own/{own}", b"x", 0))
    writer.publish(f"{topic}/end", b"end")
    found = reader.message()
    while found.payload != b"end":
        assert not found.topic.startswith("$")
        found = reader.message()


@normative("3.8.4-3", "3.8.4-4", old=("3.8.4-3",))
def test_the_same_filter_again_replaces(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    writer.publish(topic, b"kept", 1, retain=True)
    for qos in (2, 1):
        reader.subscribe(topic, qos=qos)
        assert reader.message().payload == b"kept"
    writer.publish(topic, b"x", 2)
    assert reader.message().qos == 1
    reader.quiet()


@normative("3.8.4-4", old=("3.8.4-3",))
def test_replacing_loses_nothing(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    payloads = [str(n).encode() for n in range(10)]
    for n, payload in enumerate(payloads):
        writer.publish(topic, payload, 1)
        if n % 3 == 0:
            reader.subscribe(topic, qos=1 + n % 2)
    assert reader.payloads(10) == payloads
    reader.quiet()


@normative("3.3.4-2", old=("3.3.5-1",))
def test_overlapping_filters_give_the_highest_quality(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(Subscription(f"{topic}/#", 0), Subscription(f"{topic}/+", 2))
    writer.publish(f"{topic}/a", b"x", 2)
    found = [reader.message()]
    reader.ping()
    found += [reader.message() for _ in range(len(reader.inbox))]
    assert max(packet.qos for packet in found) == 2


def test_overlapping_filters_give_one_copy(clients: Clients, topic: str) -> None:
    """The standard allows several; a client that sees one cannot mistake it."""
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(f"{topic}/#", f"{topic}/+", f"{topic}/a", qos=1)
    writer.publish(f"{topic}/a", b"x", 1)
    reader.message()
    reader.quiet()


@normative("3.3.4-3", "3.3.4-4")
def test_all_subscription_identifiers(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(f"{topic}/#", subscription_ids=(1,))
    reader.subscribe(f"{topic}/+", subscription_ids=(268_435_455,))
    reader.subscribe(f"{topic}/a")
    writer.publish(f"{topic}/a", b"x", 1)
    assert set(reader.message().properties.subscription_ids) == {1, 268_435_455}
    reader.quiet()


@normative("3.3.4-3")
def test_identifiers_of_retained_and_resumed(five: Clients, topic: str, name: str) -> None:
    reader, writer = five.keep(name), five.connect()
    writer.publish(topic, b"kept", 1, retain=True)
    reader.subscribe(topic, subscription_ids=(9,))
    assert reader.message().properties.subscription_ids == (9,)
    reader.disconnect()
    writer.publish(topic, b"later", 1)
    assert five.keep(name).message().properties.subscription_ids == (9,)


@normative("3.8.4-3")
def test_replacing_changes_the_identifier(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    for identifier in ((5,), (6,), ()):
        reader.subscribe(topic, subscription_ids=identifier)
        writer.publish(topic, b"x")
        assert reader.message().properties.subscription_ids == identifier


@normative("3.8.3-3")
def test_no_local(five: Clients, topic: str) -> None:
    one, other = five.connect(), five.connect()
    for client in (one, other):
        client.subscribe(Subscription(topic, 1, no_local=True))
    one.publish(topic, b"of one", 1)
    assert other.message().payload == b"of one"
    one.quiet()
    other.publish(topic, b"of other", 1)
    assert one.message().payload == b"of other"
    one.quiet()
    other.quiet()


def test_local_without_no_local(clients: Clients, topic: str) -> None:
    client = clients.connect()
    client.subscribe(topic)
    client.publish(topic, b"own", 1)
    assert client.message().payload == b"own"


@normative(
    "3.10.4-1",
    "3.10.4-2",
    "3.10.4-4",
    "3.10.4-5",
    "3.10.4-6",
    "3.11.3-1",
    "3.11.3-2",
    old=("3.10.4-1", "3.10.4-2", "3.10.4-4", "3.10.4-5", "3.10.4-6"),
)
def test_unsubscribe(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(f"{topic}/a", f"{topic}/+", f"{topic}/b")
    answer = reader.unsubscribe(f"{topic}/a", f"{topic}/none", f"{topic}/+")
    assert answer.reasons == ((0, 0x11, 0) if clients.level == 5 else ())
    writer.publish(f"{topic}/a", b"not any more")
    writer.publish(f"{topic}/b", b"still")
    assert reader.message().payload == b"still"
    reader.quiet()


@normative("3.10.4-5", old=("3.10.4-5",))
def test_unsubscribe_of_nothing_is_answered(clients: Clients, topic: str) -> None:
    clients.connect().unsubscribe(topic)


@normative("3.10.4-3", old=("3.10.4-3",))
def test_what_is_in_flight_is_finished(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x", 2)
    found = reader.message(answer=False)
    reader.unsubscribe(topic)
    reader.ack(5, found.packet_id)
    reader.receive_ack(6, found.packet_id)
    reader.ack(7, found.packet_id)
    reader.quiet()


@normative("3.12.4-1", old=("3.12.4-1",))
def test_ping(clients: Clients) -> None:
    client = clients.connect()
    for _ in range(3):
        client.ping()


def test_no_answer_is_waited_for(clients: Clients, topic: str) -> None:
    client = clients.connect()
    for n in range(1, 6):
        client.send(Subscribe(n, (Subscription(f"{topic}/{n}", 1),)))
        client.send(Unsubscribe(n + 100, (f"{topic}/{n}",)))
    for n in range(1, 6):
        assert client.receive(Suback).packet_id == n
        assert client.receive(Unsuback).packet_id == n + 100
    client.quiet()


# ---- shared subscriptions ----


@normative("4.8.2-1", "4.8.2-3")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member(five: Clients, topic: str, name: str, qos: int) -> None:
    members = [five.connect() for _ in range(3)]
    for member in members:
        assert member.subscribe(f"$share/{name}/{topic}/#", qos=qos).reasons == (qos,)
    writer = five.connect()
    payloads = [str(n).encode() for n in range(12)]
    for payload in payloads:
        writer.publish(f"{topic}/x", payload, 2)
    found = members[0].settled(*members[1:], count=12)
    assert {packet.qos for packet in found} == {qos}
    assert sorted(packet.payload for packet in found) == sorted(payloads)


def test_a_shared_subscription_beside_others(five: Clients, topic: str, name: str) -> None:
    """Another group, and subscriptions that are not shared, get their own copy."""
    filters = (topic, f"$share/{name}/{topic}", f"$share/{name}2/{topic}")
    readers = [five.connect() for _ in filters]
    for reader, text in zip(readers, filters, strict=True):
        reader.subscribe(text)
    five.connect().publish(topic, b"x", 1)
    for reader in readers:
        assert reader.message().payload == b"x"
        reader.quiet()


def test_a_shared_subscription_gets_nothing_retained(five: Clients, topic: str, name: str) -> None:
    five.connect().publish(topic, b"kept", 1, retain=True)
    reader = five.connect()
    reader.subscribe(f"$share/{name}/{topic}")
    reader.quiet()


def test_quality_0_skips_a_member_that_is_away(five: Clients, topic: str, name: str) -> None:
    away, here = five.keep(name), five.connect()
    for member in (away, here):
        member.subscribe(f"$share/{name}/{topic}", qos=0)
    away.disconnect()
    writer = five.connect()
    for n in range(4):
        writer.publish(topic, str(n).encode())
    assert here.payloads(4) == [b"0", b"1", b"2", b"3"]


@normative("4.8.2-4")
def test_a_member_gets_the_rest_when_it_is_back(five: Clients, topic: str, name: str) -> None:
    member = five.keep(name)
    member.subscribe(f"$share/{name}/{topic}")
    writer = five.connect()
    writer.publish(topic, b"x", 2)
    before = member.message(answer=False)
    member.ping()
    member.link.abort()
    after = five.keep(name).message(answer=False)
    assert (after.payload, after.packet_id, after.dup) == (b"x", before.packet_id, True)


@normative("4.8.2-6")
def test_what_a_member_refuses_goes_to_nobody(five: Clients, topic: str, name: str) -> None:
    members = [five.connect(), five.connect()]
    for member in members:
        member.subscribe(f"$share/{name}/{topic}", qos=1)
    five.connect().publish(topic, b"x", 1)
    assert len(members[0].settled(members[1], count=1)) == 1
    for member in members:
        for packet in member.inbox:
            member.send(Ack(PUBACK, packet.packet_id, 0x80))
        member.inbox.clear()
    for member in members:
        member.quiet()


@normative("4.8.2-1", "4.8.2-2")
@pytest.mark.parametrize("bad", ["$share//a", "$share/a+/b", "$share/#/b", "$share/a", "$share/a/"])
def test_a_shared_subscription_that_is_none(five: Clients, bad: str) -> None:
    client = five.connect()
    client.send(Subscribe(7, (Subscription(bad, 1),)))
    assert client.suback_or_end() in (None, (0x8F,))


@normative("3.8.3-4")
def test_no_local_on_a_shared_subscription(five: Clients, topic: str) -> None:
    client = five.connect()
    client.send(Subscribe(7, (Subscription(f"$share/g/{topic}", 1, no_local=True),)))
    client.closed(0x82)


def test_no_subscription_identifier_of_zero(five: Clients, topic: str) -> None:
    client = five.connect()
    client.send(Subscribe(7, (Subscription(topic, 1),), properties(subscription_ids=(0,))))
    client.closed(0x82)
