"""SUBSCRIBE, UNSUBSCRIBE and their options (MQTT 5.0 sections 3.8 to 3.11, 3.3.4)."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_packets import (
    NO_PROPERTIES,
    PUBREC,
    PUBREL,
    Ack,
    Properties,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.normative import normative

NO_SUBSCRIPTION = 0x11
FILTER_INVALID = 0x8F
FORBIDDEN = 0x87


@pytest.fixture
def client(guests: Guests) -> Conversation:
    return guests.connect("a")


@pytest.fixture
def sender(guests: Guests) -> Conversation:
    return guests.connect("sender")


@normative("3.8.4-1", "3.8.4-2", "2.2.1-6", "3.8.4-7", "3.9.3-2")
def test_suback(client: Conversation, topic: str) -> None:
    for packet_id, qos in ((1, 0), (0x1234, 1), (0xFFFF, 2)):
        client.send(Subscribe(packet_id, (Subscription(topic, qos),)))
        client.expect(Suback(packet_id, (qos,)))


@normative("3.8.4-5", "3.8.4-6", "3.9.3-1", "3.8.4-7", "3.2.2-10")
def test_one_code_per_filter_in_order(client: Conversation, topic: str) -> None:
    asked = [
        Subscription(f"{topic}/a", 2),
        Subscription(f"{topic}/#/b", 1),
        Subscription(f"{topic}/c", 0),
        Subscription(f"{topic}/d+", 0),
        Subscription(f"{topic}/e", 1),
    ]
    assert client.subscribe(*asked) == [2, FILTER_INVALID, 0, FILTER_INVALID, 1]


@normative("3.8.4-5")
def test_many_filters_are_as_many_subscribes(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    client.subscribe(*(f"{topic}/{number}" for number in range(10)), qos=1)
    for number in range(10):
        sender.publish(f"{topic}/{number}", b"1")
        client.message(f"{topic}/{number}", b"1", 1)


@normative("3.8.4-5", "3.8.4-3")
def test_the_same_filter_twice_in_one_packet(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    assert client.subscribe(Subscription(topic, 2), Subscription(topic, 1)) == [2, 1]
    sender.publish(topic, b"1", 2)
    client.message(topic, b"1", 1)
    client.quiet()


@normative("3.8.4-3")
def test_the_same_filter_again_replaces_the_subscription(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    client.subscribe(Subscription(topic, 0), subscription_ids=(1,))
    client.subscribe(Subscription(topic, 2, retain_as_published=True), subscription_ids=(2,))
    sender.publish(topic, b"1", 2, retain=True)
    assert client.message(topic, b"1", 2, retain=True).properties.subscription_ids == (2,)
    client.subscribe(Subscription(topic, 1, retain_handling=2))
    sender.publish(topic, b"2", 2, retain=True)
    assert client.message(topic, b"2", 1).properties.subscription_ids == ()
    client.quiet()
    sender.publish(topic, b"", retain=True)


@normative("3.8.4-4")
def test_nothing_is_lost_by_replacing_a_subscription(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    client.subscribe(topic, qos=1)
    for number in range(20):
        sender.publish(topic, b"%d" % number)
        client.send(Subscribe(1 + number, (Subscription(topic, 1),)))
    for number in range(20):
        packet = client.await_(lambda found: not isinstance(found, Suback))
        assert getattr(packet, "payload", None) == b"%d" % number
        client.acknowledge(packet)  # type: ignore[arg-type]


@normative("3.3.1-10")
def test_retain_handling_1_sends_to_new_subscriptions_only(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    sender.publish(topic, b"1", retain=True)
    asked = Subscription(topic, 1, retain_handling=1)
    client.subscribe(asked)
    client.message(topic, b"1", 1, retain=True)
    client.subscribe(asked)
    client.quiet()
    client.unsubscribe(topic)
    client.subscribe(asked)
    client.message(topic, b"1", 1, retain=True)
    sender.publish(topic, b"", retain=True)


@normative("3.8.3-3")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_no_local(client: Conversation, sender: Conversation, topic: str, qos: int) -> None:
    client.subscribe(Subscription(topic, 2, no_local=True))
    client.publish(topic, b"own", qos)
    sender.publish(topic, b"other", qos)
    client.message(topic, b"other", qos)
    client.quiet()


def test_without_no_local_own_publications_come(client: Conversation, topic: str) -> None:
    client.subscribe(topic, qos=1)
    client.publish(topic, b"own")
    client.message(topic, b"own", 1)


@normative("3.8.3-3")
def test_no_local_of_one_of_two_subscriptions(client: Conversation, topic: str) -> None:
    client.subscribe(Subscription(f"{topic}/#", 2, no_local=True), subscription_ids=(1,))
    client.subscribe(Subscription(f"{topic}/a", 1), subscription_ids=(2,))
    client.publish(f"{topic}/a", b"own", 2)
    assert client.message(f"{topic}/a", b"own", 1).properties.subscription_ids == (2,)
    client.quiet()


@normative("3.3.4-2", "3.3.4-3", "3.3.4-4")
def test_overlapping_subscriptions(client: Conversation, sender: Conversation, topic: str) -> None:
    """One copy, the highest QoS, all identifiers."""
    client.subscribe(Subscription(f"{topic}/#", 0), subscription_ids=(1,))
    client.subscribe(Subscription(f"{topic}/+", 2), subscription_ids=(268_435_455,))
    client.subscribe(Subscription(f"{topic}/a", 1))
    client.subscribe(Subscription(f"{topic}/b", 1), subscription_ids=(9,))
    sender.publish(f"{topic}/a", b"1", 2)
    packet = client.message(f"{topic}/a", b"1", 2)
    assert sorted(packet.properties.subscription_ids) == [1, 268_435_455]
    client.quiet()


@normative("3.3.4-3")
def test_subscription_identifiers_of_what_is_retained(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    sender.publish(f"{topic}/a", b"1", retain=True)
    client.subscribe(f"{topic}/+", qos=1, subscription_ids=(3,))
    packet = client.message(f"{topic}/a", b"1", 1, retain=True)
    assert packet.properties.subscription_ids == (3,)
    sender.publish(f"{topic}/a", b"", retain=True)


# ---- UNSUBSCRIBE ----


@normative("3.10.4-4", "3.10.4-5", "2.2.1-6", "3.11.3-1", "3.11.3-2")
def test_unsuback(client: Conversation, topic: str) -> None:
    client.subscribe(f"{topic}/a", f"{topic}/b", f"{topic}/+")
    asked = (f"{topic}/b", f"{topic}/no", f"{topic}/+", f"{topic}/b")
    client.send(Unsubscribe(0xFFFF, asked))
    client.expect(Unsuback(0xFFFF, (0, NO_SUBSCRIPTION, 0, NO_SUBSCRIPTION)))


@normative("3.10.4-6")
def test_many_filters_are_as_many_unsubscribes(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    client.subscribe(f"{topic}/a", f"{topic}/b", f"{topic}/c", qos=1)
    client.unsubscribe(f"{topic}/a", f"{topic}/c")
    for name in "abc":
        sender.publish(f"{topic}/{name}", b"1")
    client.message(f"{topic}/b", b"1", 1)
    client.quiet()


@normative("3.10.4-1", "3.10.4-2")
def test_filters_are_compared_character_by_character(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    client.subscribe(f"{topic}/+", qos=1)
    for other in (f"{topic}/#", f"{topic}/a", f"{topic}/+/", topic, f"{topic}/*"):
        assert client.unsubscribe(other) == [NO_SUBSCRIPTION]
    sender.publish(f"{topic}/a", b"1")
    client.message(f"{topic}/a", b"1", 1)
    assert client.unsubscribe(f"{topic}/+") == [0]
    sender.publish(f"{topic}/a", b"2")
    client.quiet()


@normative("3.10.4-2")
def test_an_overlapping_subscription_stays(
    client: Conversation, sender: Conversation, topic: str
) -> None:
    client.subscribe(f"{topic}/#", qos=1, subscription_ids=(1,))
    client.subscribe(f"{topic}/a", qos=2, subscription_ids=(2,))
    client.unsubscribe(f"{topic}/a")
    sender.publish(f"{topic}/a", b"1", 2)
    assert client.message(f"{topic}/a", b"1", 1).properties.subscription_ids == (1,)


@normative("3.10.4-3")
def test_what_is_in_flight_is_finished_after_unsubscribe(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    client = guests.connect("lasting", session_expiry_s=60)
    client.subscribe(topic, qos=2)
    sender.publish(topic, b"1", 2)
    sender.publish(topic, b"2", 2)
    one = client.message(topic, b"1", 2, acknowledge=False)
    two = client.message(topic, b"2", 2, acknowledge=False)
    client.unsubscribe(topic)
    client.send(Ack(PUBREC, one.packet_id))
    client.expect(Ack(PUBREL, one.packet_id))
    client.drop()
    client = guests.connect("lasting", clean=False, present=True)
    client.expect(Ack(PUBREL, one.packet_id))
    again = client.message(topic, b"2", 2, dup=True)
    assert again.packet_id == two.packet_id
    client.quiet()


# ---- refusals ----


@normative("3.8.4-7", "4.8.2-1", "4.8.2-2", "4.7.1-1", "4.7.1-2")
@pytest.mark.parametrize(
    "text",
    [
        "#/a",
        "a/#/b",
        "a#",
        "a/b#",
        "#a",
        "a+",
        "+a",
        "a/b+/c",
        "$share/a",
        "$share//a",
        "$share/a/",
        "$share/+/a",
        "$share/#/a",
        "$share/a+/b",
        "$share/a/b#",
    ],
)
def test_filters_that_are_none(client: Conversation, text: str) -> None:
    """Answered as failed, or taken for a malformed packet."""
    client.send(Subscribe(7, (Subscription(text, 1),)))
    packet = client.receive()
    if isinstance(packet, Suback):
        assert packet.reasons == (FILTER_INVALID,)
        client.quiet()
    else:
        client.closed()


@normative("3.1.2-29", "3.9.2-1", "3.9.2-2", "3.11.2-1", "3.11.2-2")
def test_suback_and_unsuback_explain_nothing(guests: Guests, topic: str) -> None:
    """So that no Maximum Packet Size is exceeded, and nobody told who did not ask."""
    client = guests.connect("a", request_problem_information=0, maximum_packet_bytes=100)
    client.send(Subscribe(1, (Subscription("a#"), Subscription(topic)), NO_PROPERTIES))
    client.expect(Suback(1, (FILTER_INVALID, 0), NO_PROPERTIES))
    client.send(Unsubscribe(2, (f"{topic}/none",), NO_PROPERTIES))
    client.expect(Unsuback(2, (NO_SUBSCRIPTION,), NO_PROPERTIES))


@normative("3.9.2-1", "3.9.2-2", "3.1.2-29")
@pytest.mark.parametrize(
    "asked", [{"maximum_packet_bytes": 24}, {"request_problem_information": 0}]
)
def test_suback_keeps_a_gap_to_itself_where_it_must(
    guests: Guests, topic: str, asked: dict[str, Any]
) -> None:
    """A cursor that means nothing is told in properties, if they may be there."""
    client = guests.connect("a", **asked)
    said = Properties(user=(("cursor", "nonsense"), ("reddot", "1")))
    client.send(Subscribe(1, (Subscription(topic, 1),), said))
    answer = client.take(Suback)
    assert answer.reasons[0] in (1, 0x80, 0x83)
    assert answer.properties.reason_string is None
    assert answer.properties.user == ()
