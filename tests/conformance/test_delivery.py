"""What the server sends with QoS 1 and 2 (4.3 to 4.6): in order, again when it must, not longer."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import PUBACK, PUBCOMP, PUBREC, PUBREL, Ack
from tests.conformance.client import Client
from tests.conformance.conftest import BUT_WEBSOCKET, Clients
from tests.conformance.normative import normative

ID_NOT_FOUND = 0x92


def watch(clients: Clients, topic: str, qos: int = 2) -> Client:
    watcher = clients.connect()
    watcher.subscribe(topic, qos=qos)
    return watcher


def lasting(clients: Clients, topic: str) -> Client:
    client = clients.keep("a")
    client.subscribe(topic)
    return client


@normative("3.8.4-8", "4.5.0-1", "4.8.2-3", old=("3.8.4-6", "4.5.0-1"))
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_lower_quality_counts(clients: Clients, topic: str, granted: int, qos: int) -> None:
    reader = watch(clients, topic, granted)
    clients.connect().publish(topic, b"x", qos)
    reader.message(topic, b"x", min(qos, granted))
    reader.quiet()


@normative("4.3.3-4", "4.3.3-1", "4.3.3-2", "3.6.2-1", "2.2.1-5", old=("4.3.3-1",))
def test_quality_2_to_a_client(clients: Clients, topic: str) -> None:
    reader = watch(clients, topic)
    clients.connect().publish(topic, b"x", 2)
    found = reader.message(topic, b"x", 2, answer=False)
    reader.quiet()
    reader.ack(PUBREC, found.packet_id)
    reader.expect(Ack(PUBREL, found.packet_id))
    reader.ack(PUBCOMP, found.packet_id)
    reader.quiet()


@normative("2.2.1-4", "4.3.2-1", "4.3.2-2", "4.3.2-3", "4.3.3-1", "4.3.3-3")
@normative(old=("2.3.1-2", "2.3.1-4", "4.3.2-1"))
def test_identifiers_in_flight_are_unused_ones(clients: Clients, topic: str) -> None:
    """While one stays unacknowledged, all others come and go; also in the next connection."""
    reader, writer = lasting(clients, topic), clients.connect()
    writer.publish(topic, b"first")
    first = reader.message(topic, b"first", 1, answer=False)
    in_flight = {first.packet_id}
    for n in range(50):
        writer.publish(topic, b"%d" % n, 1 + n % 2)
        found = reader.message(topic, b"%d" % n, 1 + n % 2, answer=n > 10)
        assert found.packet_id not in in_flight
        if n <= 10:
            in_flight.add(found.packet_id)
    reader.drop()
    reader = clients.back("a")
    again = reader.message(topic, b"first", 1, dup=True, answer=False)
    assert again.packet_id == first.packet_id
    for n in range(11):
        reader.message(topic, b"%d" % n, 1 + n % 2, dup=True)
    writer.publish(topic, b"next")
    assert reader.message(topic, b"next", 1).packet_id != first.packet_id


# ---- again, in the next connection ----


@normative("4.4.0-1", "3.3.1-1", "4.3.2-3", "4.3.3-3", "4.3.3-5")
@normative(old=("4.4.0-1", "3.3.1-1"))
@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_was_not_acknowledged_comes_again(
    clients: Clients, topic: str, acknowledged: bool
) -> None:
    """QoS 1, QoS 2, and PUBREL; with the old identifiers, and only once per connection."""
    first, writer = lasting(clients, topic), clients.connect()
    for number, qos in enumerate((1, 2, 2)):
        writer.publish(topic, b"%d" % number, qos)
    one, two, three = (
        first.message(topic, b"%d" % number, qos, answer=False)
        for number, qos in enumerate((1, 2, 2))
    )
    first.ack(PUBREC, two.packet_id)
    first.expect(Ack(PUBREL, two.packet_id))
    if acknowledged:
        first.ack(PUBACK, one.packet_id)
    first.drop()
    for _ in range(2):
        second = clients.back("a")
        if not acknowledged:
            packet = second.message(topic, b"0", 1, dup=True, answer=False)
            assert packet.packet_id == one.packet_id
        second.expect(Ack(PUBREL, two.packet_id))
        packet = second.message(topic, b"2", 2, dup=True, answer=False)
        assert packet.packet_id == three.packet_id
        second.quiet()
        second.drop()


@normative("4.4.0-1", "4.6.0-1", "4.6.0-6", old=("4.4.0-1", "4.6.0-1", "4.6.0-6"))
def test_it_comes_in_order_and_before_what_is_new(clients: Clients, topic: str) -> None:
    first, writer = lasting(clients, topic), clients.connect()
    for number in range(10):
        writer.publish(topic, b"%d" % number, 1 + number % 2)
    sent = [
        first.message(topic, b"%d" % number, 1 + number % 2, answer=False) for number in range(10)
    ]
    first.ack(PUBACK, sent[4].packet_id)
    first.drop()
    for number in range(10, 15):
        writer.publish(topic, b"%d" % number)
    second = clients.back("a")
    for number in (0, 1, 2, 3, 5, 6, 7, 8, 9):
        packet = second.message(topic, b"%d" % number, 1 + number % 2, dup=True, answer=False)
        assert packet.packet_id == sent[number].packet_id
    for number in range(10, 15):
        second.message(topic, b"%d" % number, 1)
    second.quiet()


@normative("4.6.0-1", "4.4.0-1")
def test_what_was_never_read_comes_in_order_too(five: Clients, topic: str) -> None:
    """Fifteen sent of which one was read, then ten while nobody was there."""
    client, writer = lasting(five, topic), five.connect()
    for number in range(15):
        writer.publish(topic, b"%d" % number, 1 + number % 2)
    client.take(answer=False)
    client.link.abort()
    for number in range(15, 25):
        writer.publish(topic, b"%d" % number, 1 + number % 2)
    client = five.back("a")
    assert client.payloads(25) == [b"%d" % number for number in range(25)]
    client.quiet()


@normative("4.4.0-1", "4.3.3-5", "4.3.3-6", old=("4.4.0-1", "4.3.3-1"))
def test_pubrel_comes_again_and_not_publish(clients: Clients, topic: str) -> None:
    reader = lasting(clients, topic)
    clients.connect().publish(topic, b"x", 2)
    found = reader.message(topic, b"x", 2, answer=False)
    reader.ack(PUBREC, found.packet_id)
    reader.expect(Ack(PUBREL, found.packet_id))
    reader.drop()
    reader = clients.back("a")
    reader.expect(Ack(PUBREL, found.packet_id))
    reader.ack(PUBCOMP, found.packet_id)
    reader.quiet()
    reader.drop()
    clients.back("a").quiet()


@normative("4.4.0-1", "4.3.2-3", old=("4.4.0-1",))
def test_nothing_is_sent_again_on_a_live_connection(clients: Clients, topic: str) -> None:
    reader, writer = watch(clients, topic), clients.connect()
    for number in range(3):
        writer.publish(topic, b"%d" % number)
        reader.message(topic, b"%d" % number, 1, answer=False)
    reader.quiet()


@normative("4.6.0-5", "4.5.0-1", old=("4.6.0-5", "4.5.0-1"))
@pytest.mark.parametrize("qos", [1, 2])
def test_a_backlog_longer_than_the_window(clients: Clients, topic: str, qos: int) -> None:
    """Stored while away, more than may be in flight: all of it, in order, and then live ones."""
    reader, writer = lasting(clients, topic), clients.connect()
    reader.drop()
    for number in range(50):
        writer.publish(topic, b"%d" % number, qos)
    again = clients.back("a")
    for number in range(50):
        again.message(topic, b"%d" % number, qos)
    writer.publish(topic, b"live", qos)
    again.message(topic, b"live", qos)
    again.quiet()


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("4.3.3-7", "4.3.3-13")
def test_expiry_does_not_end_an_exchange(five: Clients, topic: str) -> None:
    first, writer = lasting(five, topic), five.connect()
    for payload in (b"1", b"2"):
        writer.publish(topic, payload, 2, message_expiry_s=1)
    one, two = (first.message(topic, payload, 2, answer=False) for payload in (b"1", b"2"))
    five.place.wait(1.6)
    first.ack(PUBREC, one.packet_id)
    first.expect(Ack(PUBREL, one.packet_id))
    first.drop()
    second = five.back("a")
    second.expect(Ack(PUBREL, one.packet_id))
    assert second.message(topic, b"2", 2, dup=True).packet_id == two.packet_id
    second.ack(PUBCOMP, one.packet_id)
    second.quiet()


# ---- what a client refuses, or gets wrong ----


@normative("4.3.3-9", "4.4.0-2", "4.8.2-6")
@pytest.mark.parametrize("reason", [0x80, 0x83])
@pytest.mark.parametrize(("qos", "kind"), [(1, PUBACK), (2, PUBREC)])
def test_an_answer_of_failure_ends_the_exchange(
    five: Clients, topic: str, qos: int, kind: int, reason: int
) -> None:
    reader = lasting(five, topic)
    five.connect().publish(topic, b"refused", qos)
    found = reader.message(topic, b"refused", qos, answer=False)
    reader.ack(kind, found.packet_id, reason)
    reader.quiet()  # No PUBREL comes.
    reader.drop()
    five.back("a").quiet()  # And it is not sent again.


def test_answers_to_unknown_identifiers(five: Clients) -> None:
    client = five.connect()
    client.ack(PUBREC, 9)
    client.expect(Ack(PUBREL, 9, ID_NOT_FOUND))
    client.send(Ack(PUBACK, 10), Ack(PUBCOMP, 11))
    client.quiet()


@normative("4.13.1-1", old=("4.8.0-1",))
@pytest.mark.parametrize(("qos", "kind"), [(1, PUBREC), (1, PUBCOMP), (2, PUBACK), (2, PUBCOMP)])
def test_the_wrong_acknowledgement(clients: Clients, topic: str, qos: int, kind: int) -> None:
    """It is not taken for the right one, in the next connection neither."""
    reader = lasting(clients, topic)
    clients.connect().publish(topic, b"1", qos)
    found = reader.message(topic, b"1", qos, answer=False)
    reader.ack(kind, found.packet_id)
    reader.closed(0x82)
    clients.back("a").message(topic, b"1", qos, dup=True)
