"""Flow control, packet sizes and topic aliases (3.1.2.11, 3.3.2.3.4, 3.3.4, 4.9)."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_packets import (
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)
from tests.conformance.client import properties
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative

# ---- Receive Maximum of a client ----


@normative("3.3.4-9", "4.9.0-1", "4.9.0-2")
@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_in_flight_than_the_client_takes(five: Clients, topic: str, most: int) -> None:
    reader, writer = five.connect(receive_maximum=most), five.connect()
    reader.subscribe(topic)
    for n in range(most + 3):
        writer.publish(topic, b"%d" % n, 1 + n % 2)
    held = [reader.message(topic, b"%d" % n, 1 + n % 2, answer=False) for n in range(most)]
    reader.quiet()
    for n in range(most, most + 3):
        reader.answer(held.pop(0))
        held.append(reader.message(topic, b"%d" % n, 1 + n % 2, answer=False))
        reader.quiet()


@normative("3.3.4-9", "4.9.0-2")
def test_pubrel_does_not_free_the_window(five: Clients, topic: str) -> None:
    reader, writer = five.connect(receive_maximum=1), five.connect()
    reader.subscribe(topic)
    for n in range(2):
        writer.publish(topic, b"%d" % n, 2)
    first = reader.message(topic, b"0", 2, answer=False)
    reader.ack(PUBREC, first.packet_id)
    reader.expect(Ack(PUBREL, first.packet_id))
    reader.quiet()
    reader.ack(PUBCOMP, first.packet_id)
    reader.message(topic, b"1", 2)


@normative("3.3.4-9", "4.4.0-2")
def test_pubrec_with_an_error_frees_the_window(five: Clients, topic: str) -> None:
    reader, writer = five.connect(receive_maximum=1), five.connect()
    reader.subscribe(topic)
    for n in range(3):
        writer.publish(topic, b"%d" % n, 2)
    first = reader.message(topic, b"0", 2, answer=False)
    reader.ack(PUBREC, first.packet_id, 0x83)
    reader.message(topic, b"1", 2)
    reader.message(topic, b"2", 2)
    reader.quiet()


@normative("3.3.4-8", "3.3.4-10", "4.9.0-3")
def test_a_full_window_holds_nothing_else(five: Clients, topic: str) -> None:
    client, writer = five.connect(receive_maximum=1), five.connect()
    client.subscribe(topic, qos=1)
    writer.publish(topic, b"0")
    writer.publish(topic, b"1")
    first = client.message(topic, b"0", 1, answer=False)
    client.quiet()  # A PINGREQ is answered.
    assert client.subscribe(f"{topic}/q0", qos=0) == (0,)
    assert client.unsubscribe(f"{topic}/none") == (0x11,)
    client.publish(f"{topic}/x", b"x", 1)
    client.publish(f"{topic}/x", b"x", 2)
    writer.publish(f"{topic}/q0", b"q0", 0)
    client.message(f"{topic}/q0", b"q0", 0)
    client.answer(first)
    client.message(topic, b"1", 1)


@normative("4.9.0-1", "3.3.4-9")
def test_the_window_holds_for_a_session_that_goes_on(five: Clients, topic: str) -> None:
    """What was in flight counts; the Receive Maximum is the new connection's."""
    client, writer = five.keep("a", receive_maximum=5), five.connect()
    client.subscribe(topic, qos=1)
    for n in range(4):
        writer.publish(topic, b"%d" % n)
        client.message(topic, b"%d" % n, 1, answer=False)
    client.drop()
    writer.publish(topic, b"4")
    client = five.back("a", receive_maximum=4)
    sent = [client.message(topic, b"%d" % n, 1, dup=True, answer=False) for n in range(4)]
    client.quiet()
    client.answer(sent[0])
    client.message(topic, b"4", 1)


@normative("3.3.4-9", "4.9.0-2")
def test_a_quota_comes_back_after_many_connections(five: Clients, topic: str) -> None:
    """Answered in one connection, or in the next: none of thirty is lost from the window."""
    client, writer = five.keep("a", receive_maximum=2), five.connect()
    client.subscribe(topic)
    for n in range(30):
        qos = 1 + n % 2
        writer.publish(topic, b"%d" % n, qos)
        client.message(topic, b"%d" % n, qos, answer=bool(n % 2))
        client.drop()
        client = five.back("a", receive_maximum=2)
        if not n % 2:
            client.message(topic, b"%d" % n, qos, dup=True)
    client.quiet()


def test_shared_and_plain_subscriptions_have_one_window(five: Clients, topic: str) -> None:
    client, writer = five.connect(receive_maximum=1), five.connect()
    client.send(Subscribe(1, (Subscription(topic, 1), Subscription(f"$share/g/{topic}/s", 1))))
    client.expect(Suback(1, (1, 1)))
    writer.publish(topic, b"0")
    writer.publish(f"{topic}/s", b"1")
    first = client.message(topic, b"0", 1, answer=False)
    client.quiet()
    client.answer(first)
    client.message(f"{topic}/s", b"1", 1)


# ---- sizes ----


@normative("3.1.2-24", "3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_too_large_is_skipped(five: Clients, topic: str, qos: int) -> None:
    """As if it had been sent: what follows comes, and the window stays free."""
    reader, writer = five.connect(maximum_packet_bytes=100, receive_maximum=1), five.connect()
    reader.subscribe(topic)
    size = 100 - 2 - 2 - len(topic) - (2 if qos else 0) - 1
    for more in (0, 1, 2, 200):
        writer.publish(topic, bytes(size + more), qos)
    writer.publish(topic, b"small", qos)
    reader.message(topic, bytes(size), qos)
    reader.message(topic, b"small", qos)
    reader.quiet()


@normative("3.1.2-24", "3.1.2-25")
def test_what_is_retained_and_too_large_is_skipped(five: Clients, topic: str) -> None:
    writer, reader = five.connect(), five.connect(maximum_packet_bytes=100)
    writer.publish(f"{topic}/a", bytes(200), retain=True)
    writer.publish(f"{topic}/b", b"small", retain=True)
    reader.subscribe(f"{topic}/#")
    reader.message(f"{topic}/b", b"small", 1, retain=True)
    reader.quiet()
    for name in "ab":
        writer.publish(f"{topic}/{name}", b"", retain=True)


@normative("3.2.2-15")
def test_a_packet_beyond_the_servers_maximum(five: Clients) -> None:
    client = five.connect()
    assert client.connack.properties.maximum_packet_bytes is not None
    client.send(b"\x30\xff\xff\xff\x7f" + bytes(100))
    client.closed(0x95)


# ---- aliases ----


@normative("3.3.2-12", "3.3.2-7", "3.2.2-17")
def test_topic_aliases_of_a_client(five: Clients, topic: str) -> None:
    """All that there may be, used in another order, and one that gets another topic."""
    reader, writer = five.connect(), five.connect()
    reader.subscribe(f"{topic}/#")
    most = writer.connack.properties.topic_alias_maximum
    assert most
    for alias in range(1, most + 1):
        writer.publish(f"{topic}/{alias}", b"set", topic_alias=alias)
        reader.message(f"{topic}/{alias}", b"set", 1)
    for alias in range(most, 0, -1):
        writer.publish("", b"used", topic_alias=alias)
        found = reader.message(f"{topic}/{alias}", b"used", 1)
        assert found.properties.topic_alias is None
    writer.publish(f"{topic}/new", b"moved", topic_alias=1)
    writer.publish("", b"used", topic_alias=1)
    reader.message(f"{topic}/new", b"moved", 1)
    reader.message(f"{topic}/new", b"used", 1)


@normative("3.3.2-9", "3.2.2-17", "3.2.2-18", "3.3.2-8")
@pytest.mark.parametrize("over", [True, False])
def test_an_alias_beyond_the_maximum(five: Clients, topic: str, over: bool) -> None:
    client = five.connect()
    most = client.connack.properties.topic_alias_maximum or 0
    alias = properties(topic_alias=most + 1 if over else 0)
    client.send(Publish(topic, b"x", properties=alias))
    client.closed(0x94)


def test_an_alias_that_has_no_topic(five: Clients) -> None:
    client = five.connect()
    client.send(Publish("", b"1", 0, properties=properties(topic_alias=1)))
    client.closed(0x82)


@normative("3.3.2-7")
def test_aliases_end_with_the_connection(five: Clients, topic: str) -> None:
    """The client's and the server's, whatever becomes of the session."""
    writer, first = five.connect(), five.keep("a", topic_alias_maximum=5)
    first.subscribe(topic, qos=1)
    first.publish(topic, b"1", topic_alias=1)
    assert first.take().topic == topic
    first.disconnect()
    second = five.back("a", topic_alias_maximum=5)
    writer.publish(topic, b"2")
    while (packet := second.take()).payload != b"2":
        pass  # It may not be known that the first one was read.
    assert packet.topic == topic
    second.send(Publish("", b"1", 0, properties=properties(topic_alias=1)))
    second.closed(0x82)


@normative("3.3.2-11", "3.3.2-10", "3.1.2-26", "3.3.2-8")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_topic_aliases_of_the_server(five: Clients, topic: str, qos: int) -> None:
    reader, writer = five.connect(topic_alias_maximum=2), five.connect()
    reader.subscribe(f"{topic}/#")
    known: dict[int, str] = {}
    for n in (0, 1, 2, 3, 0, 1, 2, 3, 0):
        name = f"{topic}/{n}"
        writer.publish(name, name.encode(), qos)
        found = reader.take()
        alias = found.properties.topic_alias
        if alias is not None:
            assert 1 <= alias <= 2
            known[alias] = found.topic or known[alias]
        assert (found.topic or known[alias or 0], found.payload) == (name, name.encode())


@normative("3.1.2-27", "3.2.2-18")
@pytest.mark.parametrize("asked", [{}, {"topic_alias_maximum": 0}])
def test_no_aliases_unasked(five: Clients, topic: str, asked: dict[str, Any]) -> None:
    reader, writer = five.connect(**asked), five.connect()
    reader.subscribe(topic, qos=1)
    for _ in range(3):
        writer.publish(topic, b"1")
        assert reader.message(topic, b"1", 1).properties.topic_alias is None
