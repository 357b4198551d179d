"""PUBLISH: what is forwarded, retained and left to expire (MQTT 5.0 section 3.3)."""

from __future__ import annotations

import time

import pytest

from reddot.codecs.mqtt_packets import PUBACK, PUBREC, Ack, Properties, Publish, Subscription
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import TCP_ONLY
from tests.conformance.normative import normative

HOUR_S = 3600


def watch(guests: Guests, *asked: str | Subscription, qos: int = 2) -> Conversation:
    watcher = guests.connect()
    watcher.subscribe(*asked, qos=qos)
    return watcher


@pytest.fixture
def sender(guests: Guests) -> Conversation:
    return guests.connect()


@normative("3.3.4-1", "2.2.1-5", "3.4.2-1", "3.5.2-1")
def test_the_answer_is_that_of_the_quality_of_service(sender: Conversation, topic: str) -> None:
    sender.send(Publish(topic, b"0"))
    sender.quiet()
    sender.send(Publish(topic, b"1", 1, packet_id=11))
    sender.expect(Ack(PUBACK, 11))
    sender.send(Publish(topic, b"2", 2, packet_id=12))
    sender.expect(Ack(PUBREC, 12))
    sender.quiet()


@normative("3.3.2-4", "3.3.2-15", "3.3.2-16", "3.3.2-17", "3.3.2-18", "3.3.2-20")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_belongs_to_the_message_is_forwarded_unaltered(
    guests: Guests, sender: Conversation, topic: str, qos: int
) -> None:
    said = Properties(
        payload_format=1,
        content_type="text/plain; charset=utf-8",
        response_topic="answers/é",
        correlation_data=bytes(range(256)),
        user=(("z", "1"), ("a", "2"), ("z", "1"), ("", "é")),
    )
    watchers = [watch(guests, topic, qos=granted) for granted in (0, 1, 2)]
    sender.send(Publish(topic, "hé".encode(), qos, packet_id=7 if qos else 0, properties=said))
    for granted, watcher in enumerate(watchers):
        packet = watcher.message(topic, "hé".encode(), min(qos, granted))
        assert packet.properties == said


@normative("3.3.2-4")
@pytest.mark.parametrize("said", [None, 0, 1])
def test_the_payload_format_is_not_made_up(
    guests: Guests, sender: Conversation, topic: str, said: int | None
) -> None:
    watcher = watch(guests, topic)
    sender.publish(topic, b"text", payload_format=said, user=(("a", "b"),))
    assert watcher.message(topic, b"text", 1).properties.payload_format == said


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"{}", b" [1, 2.50] ", b'{"a":1,"a":2}', b"\x00", b"\xff\xfe", b"1e400", b'"x'],
)
@pytest.mark.parametrize("qos", [0, 1])
def test_payloads_are_bytes(
    guests: Guests, sender: Conversation, topic: str, payload: bytes, qos: int
) -> None:
    watcher = watch(guests, topic)
    sender.publish(topic, payload, qos)
    watcher.message(topic, payload, qos)


def test_a_payload_of_many_bytes(guests: Guests, sender: Conversation, topic: str) -> None:
    payload = bytes(n % 251 for n in range(60_000))
    watcher = watch(guests, topic)
    sender.publish(topic, payload, 2)
    watcher.message(topic, payload, 2)


@normative("3.3.2-3")
def test_the_topic_is_that_of_the_message(guests: Guests, sender: Conversation, topic: str) -> None:
    watcher = watch(guests, f"{topic}/+/c/#")
    sender.publish(f"{topic}/b", b"no")
    sender.publish(f"{topic}/b/c", b"1")
    sender.publish(f"{topic}/b/d", b"no")
    sender.publish(f"{topic}//c/d/e", b"2")
    watcher.message(f"{topic}/b/c", b"1", 1)
    watcher.message(f"{topic}//c/d/e", b"2", 1)
    watcher.quiet()


@normative("2.2.1-2", "2.2.2-1", "4.3.1-1")
def test_the_bytes_of_quality_of_service_0(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    watcher = watch(guests, topic)
    before = len(watcher.raw)
    sender.publish(topic, b"x", 1)
    sender.publish(topic, b"y", 0)
    watcher.message(topic, b"x", 1)
    watcher.message(topic, b"y", 0)
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name
    expected = bytes((0x32, len(name) + 6)) + head + b"\x00\x01\x00x"
    expected += bytes((0x30, len(name) + 4)) + head + b"\x00y"
    assert watcher.raw[before:] == expected


@normative("3.3.1-3", "3.3.1-2", "4.3.2-2", "4.3.3-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_dup_is_not_forwarded(guests: Guests, sender: Conversation, topic: str, qos: int) -> None:
    watcher = watch(guests, topic)
    lower = watch(guests, topic, qos=0)
    sender.send(Publish(topic, b"1", qos, dup=True, packet_id=9))
    watcher.message(topic, b"1", qos, dup=False)
    lower.message(topic, b"1", 0, dup=False)


# ---- retained ----


@normative("3.3.1-5", "3.3.1-9", "3.3.1-12")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_last_retained_one_is_kept(
    guests: Guests, sender: Conversation, topic: str, qos: int
) -> None:
    watcher = watch(guests, topic)
    sender.publish(topic, b"1", qos, retain=True)
    sender.publish(topic, b"2", qos, retain=True)
    watcher.message(topic, b"1", qos, retain=False)
    watcher.message(topic, b"2", qos, retain=False)
    late = watch(guests, topic)
    late.message(topic, b"2", qos, retain=True)
    late.quiet()
    sender.publish(topic, b"", qos, retain=True)


@normative("3.3.1-6", "3.3.1-7")
def test_an_empty_payload_removes_what_is_retained(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    sender.publish(topic, b"1", retain=True)
    watcher = watch(guests, Subscription(topic, 1, retain_as_published=True))
    watcher.message(topic, b"1", 1, retain=True)
    sender.publish(topic, b"", retain=True)
    watcher.message(topic, b"", 1, retain=True)
    watch(guests, topic).quiet()


@normative("3.3.1-8")
@pytest.mark.parametrize("payload", [b"2", b""])
def test_without_retain_nothing_retained_changes(
    guests: Guests, sender: Conversation, topic: str, payload: bytes
) -> None:
    sender.publish(topic, b"1", retain=True)
    sender.publish(topic, payload, retain=False)
    sender.publish(f"{topic}/new", b"3", retain=False)
    late = watch(guests, f"{topic}/#")
    late.message(topic, b"1", 1, retain=True)
    late.quiet()
    sender.publish(topic, b"", retain=True)


@normative("3.3.1-9", "3.8.4-4")
def test_retain_handling_0_sends_at_every_subscribe(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    sender.publish(topic, b"1", retain=True)
    client = guests.connect()
    for _ in range(2):
        client.subscribe(Subscription(topic, 1, retain_handling=0))
        client.message(topic, b"1", 1, retain=True)
    client.quiet()
    sender.publish(topic, b"", retain=True)


@normative("3.3.1-11")
def test_retain_handling_2_sends_never(guests: Guests, sender: Conversation, topic: str) -> None:
    sender.publish(topic, b"1", retain=True)
    client = watch(guests, Subscription(topic, 1, retain_handling=2))
    client.quiet()
    sender.publish(topic, b"2")
    client.message(topic, b"2", 1)
    sender.publish(topic, b"", retain=True)


@normative("3.3.1-9")
def test_all_retained_ones_of_a_wildcard(guests: Guests, sender: Conversation, topic: str) -> None:
    names = [f"{topic}/{name}" for name in ("", "a", "a/b", "c")]
    for name in names:
        sender.publish(name, name.encode(), retain=True)
    client = watch(guests, f"{topic}/#")
    found = [client.take(Publish) for _ in names]
    assert sorted(packet.topic for packet in found) == sorted(names)
    assert all(packet.retain and packet.payload == packet.topic.encode() for packet in found)
    client.quiet()
    for name in names:
        sender.publish(name, b"", retain=True)


@normative("3.3.1-12", "3.3.1-13")
def test_retain_as_published(guests: Guests, sender: Conversation, topic: str) -> None:
    plain = watch(guests, Subscription(topic, 1))
    published = watch(guests, Subscription(topic, 1, retain_as_published=True))
    for retain in (True, False):
        sender.publish(topic, b"1", retain=retain)
        plain.message(topic, b"1", 1, retain=False)
        published.message(topic, b"1", 1, retain=retain)
    sender.publish(topic, b"", retain=True)


@normative("3.8.4-8")
def test_what_is_retained_has_the_lower_quality_of_service(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    for qos in range(3):
        sender.publish(topic, b"1", qos, retain=True)
        for granted in range(3):
            watch(guests, topic, qos=granted).message(topic, b"1", min(qos, granted), retain=True)
    sender.publish(topic, b"", retain=True)


@normative("3.3.2-17")
def test_what_is_retained_keeps_its_properties(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    said = Properties(content_type="a/b", user=(("b", "1"), ("a", "2")))
    sender.send(Publish(topic, b"1", 1, True, packet_id=3, properties=said))
    sender.expect(Ack(PUBACK, 3))
    assert watch(guests, topic).message(topic, b"1", 1, retain=True).properties == said
    sender.publish(topic, b"", retain=True)


# ---- expiry ----


@normative("3.3.2-6")
def test_expiry_is_forwarded(guests: Guests, sender: Conversation, topic: str) -> None:
    watchers = [watch(guests, topic, qos=qos) for qos in (0, 1)]
    for qos in (0, 1):
        sender.publish(topic, b"1", qos, message_expiry_s=100)
        for granted, watcher in enumerate(watchers):
            packet = watcher.message(topic, b"1", min(qos, granted))
            assert packet.properties.message_expiry_s in (99, 100)


@pytest.mark.slow
@TCP_ONLY
@normative("3.3.2-5", "3.3.2-6")
def test_expiry_counts_while_a_message_waits(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """For a session that is away, for one whose window is full, and retained."""
    away = guests.connect("a", session_expiry_s=HOUR_S)
    away.subscribe(topic, qos=1)
    away.leave()
    full = guests.connect(receive_maximum=1)
    full.subscribe(topic, qos=1)
    sender.publish(topic, b"first", message_expiry_s=1)
    sender.publish(topic, b"short", message_expiry_s=1, retain=True)
    sender.publish(topic, b"long", message_expiry_s=100)
    first = full.message(topic, b"first", 1, acknowledge=False)
    time.sleep(2.1)
    watch(guests, topic).quiet()
    full.acknowledge(first)
    back = guests.connect("a", clean=False, present=True)
    for client in (back, full):
        packet = client.message(topic, b"long", 1)
        assert packet.properties.message_expiry_s in (97, 98)
        client.quiet()


def test_an_expiry_of_zero_seconds(guests: Guests, sender: Conversation, topic: str) -> None:
    """It may be delivered at once or not at all; it does not stop what follows."""
    watcher = watch(guests, topic)
    sender.publish(topic, b"0", message_expiry_s=0)
    sender.publish(topic, b"1")
    packet = watcher.take(Publish)
    if packet.payload == b"0":
        watcher.acknowledge(packet)
        watcher.message(topic, b"1", 1)
    else:
        assert packet.payload == b"1"
