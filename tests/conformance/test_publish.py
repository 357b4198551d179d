"""PUBLISH (3.3): what subscribers get of it, in which order, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_packets import PUBACK, PUBREC, Ack, Publish
from tests.conformance.client import properties
from tests.conformance.conftest import BUT_WEBSOCKET, Clients
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
    assert reader.subscribe(topic, qos=2) == (2,)
    writer.publish(topic, b"hello", qos)
    reader.message(topic, b"hello", qos)
    reader.quiet()


@normative("3.3.4-1", "2.2.1-5", "3.4.2-1", "3.5.2-1", old=("3.3.4-1", "2.3.1-6"))
def test_the_answer_is_that_of_the_quality(clients: Clients, topic: str) -> None:
    writer = clients.connect()
    writer.send(Publish(topic, b"0"))
    writer.quiet()
    writer.send(Publish(topic, b"1", 1, packet_id=11))
    writer.expect(Ack(PUBACK, 11))
    writer.send(Publish(topic, b"2", 2, packet_id=12))
    writer.expect(Ack(PUBREC, 12))
    writer.quiet()


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"{}", b" [1, 2.50] ", b'{"a":1,"a":2}', b"\x00", b"\xff\xfe", b"1e400", b'"x'],
)
@pytest.mark.parametrize("qos", [0, 1])
def test_payloads_are_bytes(clients: Clients, topic: str, payload: bytes, qos: int) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    writer.publish(topic, payload, qos)
    reader.message(topic, payload, qos)


def test_a_payload_of_many_bytes(clients: Clients, topic: str) -> None:
    payload = bytes(n % 251 for n in range(60_000))
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    writer.publish(topic, payload, 2)
    reader.message(topic, payload, 2)


@normative("2.2.1-2", "2.2.2-1", "4.3.1-1")
def test_the_bytes_of_a_message(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(topic)
    before = len(reader.raw)
    writer.publish(topic, b"x", 1)
    writer.publish(topic, b"y", 0)
    reader.message(topic, b"x", 1)
    reader.message(topic, b"y", 0)
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name
    expected = bytes((0x32, len(name) + 6)) + head + b"\x00\x01\x00x"
    expected += bytes((0x30, len(name) + 4)) + head + b"\x00y"
    assert reader.raw[before:] == expected


@normative("3.3.1-3", "3.3.1-1", "3.3.1-2", "4.3.2-2", "4.3.3-2")
@normative(old=("3.3.1-1", "3.3.1-2", "3.3.1-3"))
@pytest.mark.parametrize("qos", [1, 2])
def test_dup_is_not_handed_on(clients: Clients, topic: str, qos: int) -> None:
    reader, lower, writer = clients.connect(), clients.connect(), clients.connect()
    reader.subscribe(topic)
    lower.subscribe(topic, qos=0)
    writer.send(Publish(topic, b"x", qos, dup=True, packet_id=9))
    reader.message(topic, b"x", qos, dup=False)
    lower.message(topic, b"x", 0, dup=False)


@normative("3.3.2-3", old=("3.3.2-3",))
def test_the_topic_is_that_of_the_message(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(f"{topic}/+/c/#")
    for name in ("b", "b/c", "b/d", "/c/d/e"):
        writer.publish(f"{topic}/{name}", name.encode())
    for name in ("b/c", "/c/d/e"):
        reader.message(f"{topic}/{name}", name.encode(), 1)
    reader.quiet()


# ---- properties ----


@normative("3.3.2-4", "3.3.2-15", "3.3.2-16", "3.3.2-17", "3.3.2-18", "3.3.2-20")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_are_handed_on_unaltered(five: Clients, topic: str, qos: int) -> None:
    said = properties(
        payload_format=1,
        content_type="text/plain; charset=utf-8",
        response_topic="answers/é",
        correlation_data=bytes(range(256)),
        user=(("z", "1"), ("a", "2"), ("z", "1"), ("", "é")),
    )
    readers = [five.connect() for _ in range(3)]
    for granted, reader in enumerate(readers):
        reader.subscribe(topic, qos=granted)
    packet_id = 7 if qos else 0
    five.connect().send(Publish(topic, "hé".encode(), qos, packet_id=packet_id, properties=said))
    for granted, reader in enumerate(readers):
        assert reader.message(topic, "hé".encode(), min(qos, granted)).properties == said


@normative("3.3.2-4")
@pytest.mark.parametrize("said", [None, 0, 1])
def test_the_payload_format_is_not_made_up(five: Clients, topic: str, said: int | None) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"text", payload_format=said, user=(("a", "b"),))
    assert reader.message(topic, b"text", 1).properties.payload_format == said


def test_request_and_response(five: Clients, topic: str) -> None:
    asker, answerer = five.connect(), five.connect()
    asker.subscribe(f"{topic}/answer")
    answerer.subscribe(topic)
    asker.publish(topic, b"?", response_topic=f"{topic}/answer", correlation_data=b"1")
    asked = answerer.message(topic, b"?", 1).properties
    assert asked.response_topic
    answerer.publish(asked.response_topic, b"!", correlation_data=asked.correlation_data)
    assert asker.message(f"{topic}/answer", b"!", 1).properties.correlation_data == b"1"


# ---- expiry ----


@normative("3.3.2-6")
def test_the_expiry_is_handed_on(five: Clients, topic: str) -> None:
    readers, writer = [five.connect(), five.connect()], five.connect()
    for granted, reader in enumerate(readers):
        reader.subscribe(topic, qos=granted)
    for qos in (0, 1):
        writer.publish(topic, b"1", qos, message_expiry_s=100)
        for granted, reader in enumerate(readers):
            left = reader.message(topic, b"1", min(qos, granted)).properties.message_expiry_s
            assert left is not None
            assert 90 <= left <= 100


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("3.3.2-5", "3.3.2-6")
def test_the_expiry_is_what_is_left(five: Clients, topic: str) -> None:
    """For a session that is away, for one whose window is full, and retained."""
    away, full, writer = five.keep("a"), five.connect(receive_maximum=1), five.connect()
    for client in (away, full):
        client.subscribe(topic, qos=1)
    away.disconnect()
    writer.publish(topic, b"first", message_expiry_s=1)
    # What has expired does not block what is behind it.
    writer.publish(topic, b"short", message_expiry_s=1, retain=True)
    writer.publish(topic, b"long", message_expiry_s=100)
    first = full.message(topic, b"first", 1, answer=False)
    five.place.wait(2.1)
    late = five.connect()
    late.subscribe(topic)
    late.quiet()
    full.answer(first)
    for client in (five.back("a"), full):
        left = client.message(topic, b"long", 1).properties.message_expiry_s
        assert left is not None
        assert 50 < left <= 98
        client.quiet()


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("3.3.2-5", "3.3.2-6")
def test_what_has_expired_blocks_nothing_at_any_quality(five: Clients, topic: str) -> None:
    """A queue of expired ones and others in turn, behind a window of one."""
    client, writer = five.keep("a", receive_maximum=1), five.connect()
    client.subscribe(topic)
    client.disconnect()
    for number in range(4):
        writer.publish(topic, b"short", 1 + number % 2, message_expiry_s=1)
        writer.publish(topic, b"%d" % number, 1 + number % 2, message_expiry_s=50)
    five.place.wait(1.3)
    client = five.back("a", receive_maximum=1)
    for number in range(4):
        left = client.message(topic, b"%d" % number, 1 + number % 2).properties.message_expiry_s
        assert left is not None
        assert 20 < left <= 49
    client.quiet()


def test_an_expiry_of_zero_seconds(five: Clients, topic: str) -> None:
    """It may be delivered at once or not at all; it does not stop what follows."""
    reader, writer = five.connect(), five.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"0", message_expiry_s=0)
    writer.publish(topic, b"1")
    if reader.take().payload == b"0":
        reader.message(topic, b"1", 1)


# ---- order ----


@normative("4.6.0-5", "4.6.0-6", "4.5.0-1")
@normative(old=("4.6.0-2", "4.6.0-3", "4.6.0-5", "4.6.0-6", "4.5.0-1"))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_come_in_the_order_they_were_sent(clients: Clients, topic: str, qos: int) -> None:
    """Of one client, topic and quality, retained or not; sent without waiting for answers."""
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    most = writer.connack.properties.receive_maximum or 20
    packets = [
        Publish(topic, b"%d" % n, qos, n % 3 == 0, packet_id=n + 1 if qos else 0)
        for n in range(min(20, most))
    ]
    writer.send(*packets)
    for packet in packets:
        reader.message(topic, packet.payload, qos)
    if qos:
        kind = PUBACK if qos == 1 else PUBREC
        writer.expect(*(Ack(kind, packet.packet_id) for packet in packets))
    writer.send(Publish(topic, b"", 0, True))


@normative("4.6.0-5", old=("4.6.0-5",))
def test_order_of_more_retained_ones_than_may_wait(clients: Clients, topic: str) -> None:
    """The client is not read from for a while, and then again."""
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    for start in range(0, 400, 100):
        writer.send(*(Publish(topic, b"%d" % n, 0, n % 3 == 0) for n in range(start, start + 100)))
    for n in range(400):
        reader.message(topic, b"%d" % n, 0)
    reader.quiet()
    writer.publish(topic, b"", 0, retain=True)


# ---- what is not taken ----


@normative(old=("3.3.5-2",))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_forbidden_publication(clients: Clients, qos: int) -> None:
    """5.0 is told. Before it is acknowledged like any other: an error could only close, and the
    client would try for ever."""
    client = clients.connect()
    packet_id = 9 if qos else 0
    client.send(Publish("$SYS/broker/version", b"x", qos, packet_id=packet_id))
    if qos:
        answer = client.receive_ack(PUBACK if qos == 1 else PUBREC, packet_id)
        assert answer.reason == (0x87 if clients.level == 5 else 0)
    client.quiet()


def test_levels_meet(clients: Clients, topic: str) -> None:
    """What one publishes the others get; properties stay behind."""
    everybody = [clients.connect(f"l{level}", level=level) for level in (3, 4, 5)]
    for client in everybody:
        client.subscribe(topic, qos=2)
    sent: dict[str, Any] = {"content_type": "c"}
    for level, writer in zip((3, 4, 5), everybody, strict=True):
        for qos in range(3):
            writer.publish(topic, b"%d" % qos, qos, **(sent if level == 5 else {}))
            for client in everybody:
                client.message(topic, b"%d" % qos, qos)
