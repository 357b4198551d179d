"""Quality of service both ways, redelivery and order (MQTT 5.0 sections 3.4 to 3.7, 4.3 to 4.6)."""

from __future__ import annotations

import time

import pytest

from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Publish,
)
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import TCP_ONLY
from tests.conformance.normative import normative

HOUR_S = 3600
RESERVED_TOPIC = "$SYS/broker/version"
REFUSED = 0x87
ID_NOT_FOUND = 0x92


def watch(guests: Guests, topic: str, qos: int = 2) -> Conversation:
    watcher = guests.connect()
    watcher.subscribe(topic, qos=qos)
    return watcher


def lasting(guests: Guests, topic: str, qos: int = 2) -> Conversation:
    client = guests.connect("lasting", session_expiry_s=HOUR_S)
    client.subscribe(topic, qos=qos)
    return client


def again(guests: Guests) -> Conversation:
    return guests.connect("lasting", clean=False, present=True, session_expiry_s=HOUR_S)


# ---- what the client publishes ----


@normative("4.3.2-4", "2.2.1-5")
def test_puback(guests: Guests, topic: str) -> None:
    watcher, client = watch(guests, topic), guests.connect()
    for packet_id in (1, 0x1234, 0xFFFF):
        client.send(Publish(topic, b"1", 1, packet_id=packet_id))
        client.expect(Ack(PUBACK, packet_id))
        watcher.message(topic, b"1", 1)


@normative("4.3.2-5")
def test_an_identifier_is_free_after_puback(guests: Guests, topic: str) -> None:
    """Whatever DUP says."""
    watcher, client = watch(guests, topic), guests.connect()
    for dup in (False, True, True):
        client.send(Publish(topic, b"1", 1, dup=dup, packet_id=7))
        client.expect(Ack(PUBACK, 7))
        watcher.message(topic, b"1", 1, dup=False)


@normative("4.3.3-8", "4.3.3-11", "2.2.1-5", "3.7.2-1")
def test_pubrec_and_pubcomp(guests: Guests, topic: str) -> None:
    watcher, client = watch(guests, topic), guests.connect()
    for packet_id in (1, 0x1234, 0xFFFF):
        client.send(Publish(topic, b"1", 2, packet_id=packet_id))
        client.expect(Ack(PUBREC, packet_id))
        client.send(Ack(PUBREL, packet_id))
        client.expect(Ack(PUBCOMP, packet_id))
        watcher.message(topic, b"1", 2)


@normative("4.3.3-10")
def test_a_publication_is_not_doubled_before_pubrel(guests: Guests, topic: str) -> None:
    watcher, client = watch(guests, topic), guests.connect()
    client.send(Publish(topic, b"once", 2, packet_id=7))
    client.expect(Ack(PUBREC, 7))
    for dup in (True, False, True):
        client.send(Publish(topic, b"once", 2, dup=dup, packet_id=7))
        client.expect(Ack(PUBREC, 7))
    client.send(Ack(PUBREL, 7))
    client.expect(Ack(PUBCOMP, 7))
    client.publish(topic, b"end")
    watcher.message(topic, b"once", 2)
    watcher.message(topic, b"end", 1)


@normative("4.3.3-12")
def test_an_identifier_is_free_after_pubcomp(guests: Guests, topic: str) -> None:
    watcher, client = watch(guests, topic), guests.connect()
    for dup in (False, True):
        client.send(Publish(topic, b"1", 2, dup=dup, packet_id=7))
        client.expect(Ack(PUBREC, 7))
        client.send(Ack(PUBREL, 7))
        client.expect(Ack(PUBCOMP, 7))
        watcher.message(topic, b"1", 2)


@normative("4.3.3-9", "4.3.3-12")
def test_an_identifier_is_free_after_a_refusing_pubrec(guests: Guests, topic: str) -> None:
    watcher, client = watch(guests, topic), guests.connect()
    client.send(Publish(RESERVED_TOPIC, b"1", 2, packet_id=7))
    refused = client.take(Ack)
    assert (refused.kind, refused.packet_id, refused.reason) == (PUBREC, 7, REFUSED)
    client.send(Publish(topic, b"2", 2, packet_id=7))
    client.expect(Ack(PUBREC, 7))
    watcher.message(topic, b"2", 2)


@normative("4.3.3-11")
def test_pubrel_is_always_answered(guests: Guests) -> None:
    client = guests.connect()
    client.send(Ack(PUBREL, 9))
    client.expect(Ack(PUBCOMP, 9, ID_NOT_FOUND))
    client.quiet()


@normative("4.3.3-11")
def test_pubrel_after_a_reconnect(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    first = guests.connect("lasting", session_expiry_s=HOUR_S)
    first.send(Publish(topic, b"1", 2, packet_id=7))
    first.expect(Ack(PUBREC, 7))
    first.drop()
    second = again(guests)
    second.send(Ack(PUBREL, 7))
    second.expect(Ack(PUBCOMP, 7))
    watcher.message(topic, b"1", 2)
    watcher.quiet()


@normative("4.6.0-5", "4.6.0-6")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_order(guests: Guests, topic: str, qos: int) -> None:
    """Of one client, topic and quality of service; sent without waiting."""
    watcher, client = watch(guests, topic), guests.connect()
    packets = [
        Publish(topic, b"%d" % number, qos, packet_id=number + 1 if qos else 0)
        for number in range(20)
    ]
    client.send(*packets)
    for packet in packets:
        watcher.message(topic, packet.payload, qos)
    kind = PUBACK if qos == 1 else PUBREC
    if qos:
        client.expect(*(Ack(kind, packet.packet_id) for packet in packets))


@normative("4.6.0-5", "4.6.0-6")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_order_of_retained_and_not(guests: Guests, topic: str, qos: int) -> None:
    watcher, client = watch(guests, topic), guests.connect()
    packets = [
        Publish(topic, b"%d" % number, qos, number % 3 == 0, packet_id=number + 1 if qos else 0)
        for number in range(12)
    ]
    client.send(*packets)
    for packet in packets:
        watcher.message(topic, packet.payload, qos)
    client.send(Publish(topic, b"", 0, True))


@normative("4.6.0-5")
def test_order_of_more_retained_ones_than_may_wait(guests: Guests, topic: str) -> None:
    """The client is not read from for a while, and then again."""
    watcher, client = watch(guests, topic), guests.connect()
    for start in range(0, 400, 100):
        numbers = range(start, start + 100)
        client.send(*(Publish(topic, b"%d" % number, 0, number % 3 == 0) for number in numbers))
    for number in range(400):
        watcher.message(topic, b"%d" % number, 0)
    client.quiet()
    client.publish(topic, b"", 0, retain=True)


# ---- what the client receives ----


@normative("2.2.1-4", "4.3.2-1", "4.3.3-1", "4.3.2-3", "4.3.3-3")
def test_identifiers_that_are_in_use_are_not_given_again(guests: Guests, topic: str) -> None:
    watcher, sender = watch(guests, topic), guests.connect()
    used = {}
    for number in range(10):
        sender.publish(topic, b"%d" % number, 1 + number % 2)
        packet = watcher.message(topic, b"%d" % number, 1 + number % 2, acknowledge=False)
        assert packet.packet_id not in used
        used[packet.packet_id] = packet
        if number == 4:
            watcher.acknowledge(used.pop(min(used)))


@normative("4.3.3-4", "3.6.2-1", "2.2.1-5")
def test_pubrel_follows_pubrec(guests: Guests, topic: str) -> None:
    watcher = watch(guests, topic)
    guests.connect().publish(topic, b"1", 2)
    packet = watcher.message(topic, b"1", 2, acknowledge=False)
    watcher.quiet()
    watcher.send(Ack(PUBREC, packet.packet_id))
    watcher.expect(Ack(PUBREL, packet.packet_id))
    watcher.send(Ack(PUBCOMP, packet.packet_id))
    watcher.quiet()


def test_pubrec_of_an_unknown_identifier(guests: Guests) -> None:
    client = guests.connect()
    client.send(Ack(PUBREC, 9))
    client.expect(Ack(PUBREL, 9, ID_NOT_FOUND))
    client.send(Ack(PUBACK, 10), Ack(PUBCOMP, 11))
    client.quiet()


def test_an_acknowledgement_of_the_other_kind_is_a_protocol_error(
    guests: Guests, topic: str
) -> None:
    for qos, kind in ((1, PUBREC), (2, PUBACK)):
        watcher = watch(guests, topic)
        guests.connect().publish(topic, b"1", qos)
        packet = watcher.message(topic, b"1", qos, acknowledge=False)
        watcher.send(Ack(kind, packet.packet_id))
        watcher.refused(0x82)


@normative("4.4.0-1", "3.3.1-1", "4.3.2-3", "4.3.3-3", "4.3.3-5")
@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_is_not_acknowledged_is_sent_again(
    guests: Guests, topic: str, acknowledged: bool
) -> None:
    """QoS 1, QoS 2, and PUBREL; with the old identifiers, and only once per connection."""
    first, sender = lasting(guests, topic), guests.connect()
    for number, qos in enumerate((1, 2, 2)):
        sender.publish(topic, b"%d" % number, qos)
    one, two, three = (
        first.message(topic, b"%d" % number, qos, acknowledge=False)
        for number, qos in enumerate((1, 2, 2))
    )
    first.send(Ack(PUBREC, two.packet_id))
    first.expect(Ack(PUBREL, two.packet_id))
    if acknowledged:
        first.send(Ack(PUBACK, one.packet_id))
        first.quiet()
    first.drop()
    for _ in range(2):
        second = again(guests)
        if not acknowledged:
            packet = second.message(topic, b"0", 1, dup=True, acknowledge=False)
            assert packet.packet_id == one.packet_id
        second.expect(Ack(PUBREL, two.packet_id))
        packet = second.message(topic, b"2", 2, dup=True, acknowledge=False)
        assert packet.packet_id == three.packet_id
        second.quiet()
        second.drop()


@normative("4.3.3-6")
def test_a_released_publication_is_not_sent_again(guests: Guests, topic: str) -> None:
    first = lasting(guests, topic)
    guests.connect().publish(topic, b"1", 2)
    packet = first.message(topic, b"1", 2, acknowledge=False)
    first.send(Ack(PUBREC, packet.packet_id))
    first.expect(Ack(PUBREL, packet.packet_id))
    first.drop()
    second = again(guests)
    second.expect(Ack(PUBREL, packet.packet_id))
    second.send(Ack(PUBCOMP, packet.packet_id))
    second.quiet()
    second.leave()
    again(guests).quiet()


@normative("4.3.2-3", "4.4.0-1")
def test_nothing_is_sent_again_while_connected(guests: Guests, topic: str) -> None:
    watcher, sender = watch(guests, topic), guests.connect()
    for number in range(3):
        sender.publish(topic, b"%d" % number, 1)
        watcher.message(topic, b"%d" % number, 1, acknowledge=False)
    watcher.quiet()


@normative("4.4.0-2", "4.8.2-6")
@pytest.mark.parametrize(("qos", "kind"), [(1, PUBACK), (2, PUBREC)])
def test_what_a_client_refuses_is_finished(guests: Guests, topic: str, qos: int, kind: int) -> None:
    first = lasting(guests, topic)
    guests.connect().publish(topic, b"1", qos)
    packet = first.message(topic, b"1", qos, acknowledge=False)
    first.send(Ack(kind, packet.packet_id, 0x83))
    first.quiet()
    first.drop()
    again(guests).quiet()


@normative("4.4.0-1", "4.6.0-6")
def test_redelivery_is_in_order_and_before_what_is_new(guests: Guests, topic: str) -> None:
    first, sender = lasting(guests, topic), guests.connect()
    for number in range(10):
        sender.publish(topic, b"%d" % number, 1 + number % 2)
    sent = [
        first.message(topic, b"%d" % number, 1 + number % 2, acknowledge=False)
        for number in range(10)
    ]
    first.send(Ack(PUBACK, sent[4].packet_id))
    first.quiet()
    first.drop()
    for number in range(10, 15):
        sender.publish(topic, b"%d" % number, 1)
    second = again(guests)
    for number in (0, 1, 2, 3, 5, 6, 7, 8, 9):
        packet = second.message(topic, b"%d" % number, 1 + number % 2, dup=True, acknowledge=False)
        assert packet.packet_id == sent[number].packet_id
    for number in range(10, 15):
        second.message(topic, b"%d" % number, 1)
    second.quiet()


@pytest.mark.slow
@TCP_ONLY
@normative("4.3.3-7", "4.3.3-13")
def test_a_publication_that_was_sent_does_not_expire(guests: Guests, topic: str) -> None:
    first, sender = lasting(guests, topic), guests.connect()
    sender.publish(topic, b"1", 2, message_expiry_s=1)
    sender.publish(topic, b"2", 2, message_expiry_s=1)
    one = first.message(topic, b"1", 2, acknowledge=False)
    two = first.message(topic, b"2", 2, acknowledge=False)
    time.sleep(1.6)
    first.send(Ack(PUBREC, one.packet_id))
    first.expect(Ack(PUBREL, one.packet_id))
    first.drop()
    second = again(guests)
    second.expect(Ack(PUBREL, one.packet_id))
    packet = second.message(topic, b"2", 2, dup=True)
    assert packet.packet_id == two.packet_id
    second.send(Ack(PUBCOMP, one.packet_id))
    second.quiet()


@normative("4.5.0-1", "3.8.4-8")
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_the_lower_quality_of_service(guests: Guests, topic: str, qos: int, granted: int) -> None:
    watcher = watch(guests, topic, granted)
    guests.connect().publish(topic, b"1", qos)
    watcher.message(topic, b"1", min(qos, granted))
    watcher.quiet()
