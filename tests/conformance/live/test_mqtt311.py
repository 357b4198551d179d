"""MQTT 3.1.1, and 3.1, where they differ from 5.0. Numbers are those of the 3.1.1 standard."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Connack,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.conformance.live.guests import Guests
from tests.conformance.malformed import CONNECTS_311, PACKETS_311
from tests.conformance.normative import normative

RESERVED_TOPIC = "$SYS/broker/version"
LEVELS = pytest.mark.parametrize("level", [4, 3])


@normative(
    old=(
        "4.8.0-1",
        "3.14.1-1",
    )
)
@pytest.mark.parametrize("name", PACKETS_311)
def test_a_packet_that_is_refused(guests: Guests, name: str) -> None:
    """The connection closes; there is no DISCONNECT of a server."""
    client = guests.connect("a", level=4)
    client.send(PACKETS_311[name])
    client.closed()


@normative(
    old=(
        "3.1.4-1",
        "3.1.0-1",
    )
)
@pytest.mark.parametrize("name", CONNECTS_311)
def test_a_connect_that_is_refused(guests: Guests, name: str) -> None:
    client = guests.open(4)
    client.send(CONNECTS_311[name])
    packet = client.receive()
    if packet is not None:
        assert isinstance(packet, Connack)
        assert packet.reason
        assert not packet.session_present
        client.closed()


@normative(
    old=(
        "3.1.4-4",
        "3.2.0-1",
        "3.2.2-1",
        "3.1.2-6",
    )
)
@LEVELS
def test_clean_session(guests: Guests, topic: str, level: int) -> None:
    """It begins anew, and ends with its connection."""
    first = guests.connect("a", level=level, clean=True)
    assert first.raw == b"\x20\x02\x00\x00"
    first.subscribe(topic, qos=1)
    first.leave()
    guests.connect().publish(topic, b"missed")
    guests.connect("a", level=level, clean=False, present=False).quiet()


@normative(
    old=(
        "3.2.2-2",
        "3.2.2-3",
        "3.1.2-4",
        "3.1.2-5",
    )
)
@normative(
    old=(
        "4.4.0-1",
        "4.1.0-1",
    )
)
@LEVELS
def test_a_session_that_lasts(guests: Guests, topic: str, level: int) -> None:
    """The version 3.1 has no Session Present, and has the session all the same."""
    first = guests.connect("a", level=level, clean=False)
    first.subscribe(topic, qos=2)
    sender = guests.connect("sender", level=level)
    sender.publish(topic, b"0", 1)
    one = first.message(topic, b"0", 1, acknowledge=False)
    first.drop()
    for number in (1, 2, 3):
        sender.publish(topic, b"%d" % number, 1 + number % 2)
    second = guests.connect("a", level=level, clean=False, present=level == 4)
    assert second.message(topic, b"0", 1, dup=True).packet_id == one.packet_id
    for number in (1, 2, 3):
        second.message(topic, b"%d" % number, 1 + number % 2)
    second.quiet()


@normative(
    old=(
        "3.1.3-6",
        "3.1.3-7",
    )
)
def test_without_identifier(guests: Guests) -> None:
    clients = [guests.connect(level=4, clean=True) for _ in range(3)]
    for client in clients:
        client.quiet()


@normative(
    old=(
        "3.1.3-8",
        "3.1.3-9",
        "3.2.2-4",
        "3.2.2-5",
    )
)
def test_no_session_lasts_without_identifier(guests: Guests) -> None:
    client = guests.open(4)
    assert client.begin(guests.asks(level=4, clean=False)) == Connack(reason=2)
    client.closed()


@normative(
    old=(
        "3.1.2-2",
        "3.2.2-5",
    )
)
@pytest.mark.parametrize("start", [b"\x00\x04MQTT\x03", b"\x00\x06MQIsdp\x04", b"\x00\x04mqtt\x04"])
def test_an_unknown_protocol(guests: Guests, start: bytes) -> None:
    body = start + b"\x02\x00\x0a\x00\x01a"
    client = guests.open(4)
    client.send(bytes((0x10, len(body))) + body)
    assert client.receive() in (None, Connack(reason=1))
    client.closed()


@normative(old=("3.1.4-2",))
@LEVELS
def test_takeover(guests: Guests, level: int) -> None:
    first = guests.connect("a", level=level)
    second = guests.connect("a", level=level)
    first.closed()
    second.quiet()


@normative(old=("3.1.0-2",))
def test_a_second_connect(guests: Guests) -> None:
    client = guests.connect("a", level=4)
    client.send(guests.asks("a", level=4))
    client.closed()


@normative(
    old=(
        "3.8.4-1",
        "3.8.4-2",
        "3.8.4-5",
        "3.9.3-1",
    )
)
@normative(
    old=(
        "3.10.4-4",
        "3.10.4-5",
        "3.9.3-2",
    )
)
@LEVELS
def test_suback_and_unsuback(guests: Guests, topic: str, level: int) -> None:
    """Failures are 0x80 whatever they are; UNSUBACK has no payload."""
    client = guests.connect("a", level=level)
    asked = (Subscription(topic, 2), Subscription("a#", 1), Subscription(f"{topic}/b", 1))
    client.send(Subscribe(7, asked))
    client.expect(Suback(7, (2, 0x80, 1)))
    client.send(Unsubscribe(8, (topic, "none")))
    client.expect(Unsuback(8))


@normative(old=("3.3.5-2",))
@LEVELS
def test_a_publication_that_is_not_allowed(guests: Guests, level: int) -> None:
    """Acknowledged and dropped: an error could only close, and the client would try for ever."""
    client = guests.connect("a", level=level)
    client.send(Publish(RESERVED_TOPIC, b"1", 1, packet_id=1))
    client.expect(Ack(PUBACK, 1))
    client.send(Publish(RESERVED_TOPIC, b"1", 2, packet_id=2))
    client.expect(Ack(PUBREC, 2))
    client.send(Ack(PUBREL, 2))
    client.expect(Ack(PUBCOMP, 2))
    client.quiet()


@normative(
    old=(
        "3.3.1-8",
        "3.3.1-9",
        "3.8.4-6",
    )
)
@LEVELS
def test_retained(guests: Guests, topic: str, level: int) -> None:
    """At every SUBSCRIBE, with the flag; what is live has none."""
    client, sender = guests.connect("a", level=level), guests.connect("sender", level=level)
    sender.publish(topic, b"1", 2, retain=True)
    for _ in range(2):
        client.subscribe(topic, qos=1)
        client.message(topic, b"1", 1, retain=True)
    sender.publish(topic, b"2", 2, retain=True)
    client.message(topic, b"2", 1, retain=False)
    sender.publish(topic, b"", retain=True)
    client.message(topic, b"", 1, retain=False)
    late = guests.connect("late", level=level)
    late.subscribe(topic)
    late.quiet()


@normative(
    old=(
        "3.1.2-8",
        "3.1.2-10",
        "3.14.4-3",
    )
)
@LEVELS
def test_a_will(guests: Guests, topic: str, level: int) -> None:
    watcher = guests.connect("w", level=level)
    watcher.subscribe(topic, qos=2)
    will = Will(topic=topic, payload=b"gone", qos=2)
    guests.connect("a", level=level, will=will).leave()
    guests.connect("a", level=level, will=will).drop()
    watcher.message(topic, b"gone", 2)
    watcher.quiet()


@normative(old=("4.3.1-1",))
def test_levels_meet(guests: Guests, topic: str) -> None:
    """What one publishes the others get; properties stay behind."""
    clients = [guests.connect(f"l{level}", level=level) for level in (3, 4, 5)]
    for client in clients:
        client.subscribe(topic, qos=2)
    for sender in clients:
        for qos in range(3):
            sender.publish(topic, b"%d" % qos, qos)
            for client in clients:
                client.message(topic, b"%d" % qos, qos)
