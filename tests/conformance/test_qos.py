"""What clients publish with QoS 1 and 2 (3.4 to 3.7, 4.3): each message once."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import PUBACK, PUBCOMP, PUBREC, PUBREL, Ack, Publish
from tests.conformance.client import Client
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative

RESERVED_TOPIC = "$SYS/broker/version"
ID_NOT_FOUND = 0x92


def watch(clients: Clients, topic: str) -> Client:
    watcher = clients.connect()
    watcher.subscribe(topic)
    return watcher


@normative("4.3.2-4", "2.2.1-5", "3.4.2-1", old=("4.3.2-2", "2.3.1-6"))
@pytest.mark.parametrize("packet_id", [1, 0x1234, 65_535])
def test_puback_has_the_identifier(clients: Clients, topic: str, packet_id: int) -> None:
    client = clients.connect()
    client.send(Publish(topic, b"x", 1, packet_id=packet_id))
    client.expect(Ack(PUBACK, packet_id))


@normative("4.3.2-5", old=("4.3.2-2",))
def test_after_puback_the_identifier_is_new(clients: Clients, topic: str) -> None:
    """Whatever DUP says."""
    watcher, client = watch(clients, topic), clients.connect()
    for dup in (False, True, True):
        client.send(Publish(topic, b"1", 1, dup=dup, packet_id=7))
        client.expect(Ack(PUBACK, 7))
        watcher.message(topic, b"1", 1, dup=False)


@normative("4.3.3-8", "4.3.3-11", "4.3.3-12", "2.2.1-5", "3.5.2-1", "3.7.2-1", old=("4.3.3-2",))
@pytest.mark.parametrize("packet_id", [1, 0x1234, 65_535])
def test_quality_2_to_the_server(clients: Clients, topic: str, packet_id: int) -> None:
    """After PUBCOMP the same identifier is a new message."""
    watcher, client = watch(clients, topic), clients.connect()
    for dup in (False, True):
        client.send(Publish(topic, b"1", 2, dup=dup, packet_id=packet_id))
        client.expect(Ack(PUBREC, packet_id))
        client.ack(PUBREL, packet_id)
        client.expect(Ack(PUBCOMP, packet_id))
        watcher.message(topic, b"1", 2, dup=False)


@normative("4.3.3-10", old=("4.3.3-2",))
def test_a_double_before_pubrel_is_one_message(clients: Clients, topic: str) -> None:
    watcher, client = watch(clients, topic), clients.connect()
    for dup in (False, True, False, True):
        client.send(Publish(topic, b"once", 2, dup=dup, packet_id=7))
        client.expect(Ack(PUBREC, 7))
    client.ack(PUBREL, 7)
    client.expect(Ack(PUBCOMP, 7))
    client.publish(topic, b"end")
    watcher.message(topic, b"once", 2)
    watcher.message(topic, b"end", 1)


@normative("4.3.3-10", "4.4.0-1", "3.1.2-5", old=("4.4.0-1",))
def test_a_double_after_a_reconnect_is_one_message(clients: Clients, topic: str) -> None:
    """The client has not had PUBREC, sends again, and nobody gets it twice."""
    watcher, client = watch(clients, topic), clients.keep("a")
    client.send(Publish(topic, b"once", 2, packet_id=5))
    client.expect(Ack(PUBREC, 5))
    client.drop()
    client = clients.back("a")
    client.send(Publish(topic, b"once", 2, dup=True, packet_id=5))
    client.expect(Ack(PUBREC, 5))
    client.ack(PUBREL, 5)
    client.expect(Ack(PUBCOMP, 5))
    watcher.message(topic, b"once", 2)
    watcher.quiet()


@normative("4.3.3-11", old=("4.3.3-2",))
def test_pubrel_after_a_reconnect(clients: Clients, topic: str) -> None:
    watcher, client = watch(clients, topic), clients.keep("a")
    client.send(Publish(topic, b"1", 2, packet_id=7))
    client.expect(Ack(PUBREC, 7))
    client.drop()
    client = clients.back("a")
    client.ack(PUBREL, 7)
    client.expect(Ack(PUBCOMP, 7))
    watcher.message(topic, b"1", 2)
    watcher.quiet()


@normative("3.1.2-4", old=("3.1.2-6",))
def test_a_clean_start_forgets_identifiers(clients: Clients, topic: str) -> None:
    watcher = watch(clients, topic)
    for payload in (b"old", b"new"):
        client = clients.keep("a", clean_start=True)
        client.send(Publish(topic, payload, 2, packet_id=7))
        client.expect(Ack(PUBREC, 7))
        client.drop()
        watcher.message(topic, payload, 2)


@normative("4.3.3-9", "4.3.3-12")
def test_an_identifier_is_free_after_a_refusing_pubrec(five: Clients, topic: str) -> None:
    watcher, client = watch(five, topic), five.connect()
    client.send(Publish(RESERVED_TOPIC, b"1", 2, packet_id=7))
    assert client.receive_ack(PUBREC, 7).reason == 0x87
    client.send(Publish(topic, b"2", 2, packet_id=7))
    client.expect(Ack(PUBREC, 7))
    watcher.message(topic, b"2", 2)


@normative("4.3.3-11", "3.6.2-1", "3.7.2-1", old=("4.3.3-2",))
def test_pubrel_of_an_unknown_identifier_is_answered(clients: Clients) -> None:
    client = clients.connect()
    client.ack(PUBREL, 77)
    client.expect(Ack(PUBCOMP, 77, ID_NOT_FOUND if clients.level == 5 else 0))
    client.quiet()


@normative("4.6.0-5", old=("4.6.0-2", "4.6.0-3"))
def test_acknowledgements_come_in_order(clients: Clients, topic: str) -> None:
    client = clients.connect()
    for packet_id in range(1, 11):
        client.send(Publish(topic, b"x", 1, packet_id=packet_id))
    client.expect(*(Ack(PUBACK, packet_id) for packet_id in range(1, 11)))


# ---- no more at once than the server takes ----


@normative("3.3.4-7")
def test_more_in_flight_than_the_server_takes(five: Clients, topic: str) -> None:
    client = five.connect()
    most = client.connack.properties.receive_maximum
    assert most is not None
    for packet_id in range(1, most + 1):
        client.send(Publish(topic, b"1", 2, packet_id=packet_id))
        client.expect(Ack(PUBREC, packet_id))
    client.send(Publish(topic, b"1", 2, packet_id=1, dup=True))
    client.expect(Ack(PUBREC, 1))
    client.send(Publish(topic, b"1", 2, packet_id=most + 1))
    client.closed(0x93)


@normative("4.9.0-2", "3.3.4-7")
def test_finished_publications_do_not_count(five: Clients, topic: str) -> None:
    client = five.connect()
    for number in range(60):
        qos = 1 + number % 2
        if number % 3:
            client.publish(topic, b"1", qos)
        else:
            client.publish(RESERVED_TOPIC, b"1", qos, refused=0x87)
    client.quiet()
