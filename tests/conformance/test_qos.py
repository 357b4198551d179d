"""Acknowledgements (3.4 to 3.7, 4.3, 4.4, 4.9): each message once, in order, across connections."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import PUBACK, PUBCOMP, PUBREC, PUBREL, Ack, Publish
from tests.conformance.client import Client
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative


def drop(client: Client) -> None:
    """Go without a word, and without a race: what was sent has been read."""
    client.ping()
    client.link.abort()


@normative("4.3.2-4", "2.2.1-5", "3.4.2-1", old=("4.3.2-2", "2.3.1-6"))
@pytest.mark.parametrize("packet_id", [1, 65_535])
def test_puback_has_the_identifier(clients: Clients, topic: str, packet_id: int) -> None:
    client = clients.connect()
    client.send(Publish(topic, b"x", 1, packet_id=packet_id))
    client.receive_ack(PUBACK, packet_id)


@normative("4.3.2-5", old=("4.3.2-2",))
def test_after_puback_the_identifier_is_new(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    for payload, dup in ((b"1", False), (b"2", True)):
        writer.send(Publish(topic, payload, 1, dup=dup, packet_id=5))
        writer.receive_ack(PUBACK, 5)
    assert reader.payloads(2) == [b"1", b"2"]


@normative("4.3.3-8", "4.3.3-11", "4.3.3-12", "3.5.2-1", "3.7.2-1", old=("4.3.3-2",))
def test_quality_2_to_the_server(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    for payload in (b"1", b"2"):  # After PUBCOMP the same identifier is a new message.
        writer.send(Publish(topic, payload, 2, packet_id=5))
        writer.receive_ack(PUBREC, 5)
        writer.ack(PUBREL, 5)
        assert writer.receive_ack(PUBCOMP, 5).reason == 0
    assert reader.payloads(2) == [b"1", b"2"]


@normative("4.3.3-10", old=("4.3.3-2",))
def test_a_double_before_pubrel_is_one_message(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    for dup in (False, True, True):
        writer.send(Publish(topic, b"once", 2, dup=dup, packet_id=5))
        writer.receive_ack(PUBREC, 5)
    writer.ack(PUBREL, 5)
    writer.receive_ack(PUBCOMP, 5)
    assert reader.message().payload == b"once"
    reader.quiet()


@normative("4.3.3-10", "4.4.0-1", "3.1.2-5", old=("4.4.0-1",))
def test_a_double_after_a_reconnect_is_one_message(clients: Clients, topic: str, name: str) -> None:
    reader, writer = clients.connect(), clients.keep(name)
    reader.subscribe(topic)
    writer.send(Publish(topic, b"once", 2, packet_id=5))
    writer.receive_ack(PUBREC, 5)
    drop(writer)
    again = clients.keep(name)
    again.send(Publish(topic, b"once", 2, dup=True, packet_id=5))
    again.receive_ack(PUBREC, 5)
    again.ack(PUBREL, 5)
    again.receive_ack(PUBCOMP, 5)
    assert reader.message().payload == b"once"
    reader.quiet()


@normative("3.1.2-4", old=("3.1.2-6",))
def test_a_clean_start_forgets_identifiers(clients: Clients, topic: str, name: str) -> None:
    reader, writer = clients.connect(), clients.keep(name)
    reader.subscribe(topic)
    writer.send(Publish(topic, b"old", 2, packet_id=5))
    writer.receive_ack(PUBREC, 5)
    drop(writer)
    again = clients.keep(name, clean=True)
    again.send(Publish(topic, b"new", 2, packet_id=5))
    again.receive_ack(PUBREC, 5)
    again.ack(PUBREL, 5)
    again.receive_ack(PUBCOMP, 5)
    found = reader.message().payload
    if found == b"old":  # A server may deliver at PUBLISH, or at the PUBREL that never came.
        found = reader.message().payload
    assert found == b"new"


@normative("4.3.3-11", "3.6.2-1", "3.7.2-1")
def test_pubrel_of_an_unknown_identifier_is_answered(clients: Clients) -> None:
    client = clients.connect()
    client.ack(PUBREL, 77)
    assert client.receive_ack(PUBCOMP, 77).reason in ((0, 0x92) if clients.level == 5 else (0,))


@normative("4.3.3-4", "4.3.3-1", "4.3.3-2", old=("4.3.3-1",))
def test_quality_2_to_a_client(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x", 2)
    found = reader.message(answer=False)
    assert (found.qos, found.dup) == (2, False)
    reader.ack(PUBREC, found.packet_id)
    reader.receive_ack(PUBREL, found.packet_id)
    reader.ack(PUBCOMP, found.packet_id)
    reader.quiet()


@normative("4.3.3-9", "4.4.0-2", "4.8.2-6")
def test_pubrec_with_a_failure_ends_the_exchange(five: Clients, topic: str, name: str) -> None:
    reader, writer = five.keep(name), five.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"refused", 2)
    found = reader.message(answer=False)
    reader.send(Ack(PUBREC, found.packet_id, 0x83))
    reader.quiet()  # No PUBREL comes.
    drop(reader)
    five.keep(name).quiet()  # And it is not sent again.


@normative("4.4.0-2")
def test_puback_with_a_failure_is_an_acknowledgement(five: Clients, topic: str, name: str) -> None:
    reader, writer = five.keep(name), five.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"refused", 1)
    found = reader.message(answer=False)
    reader.send(Ack(PUBACK, found.packet_id, 0x80))
    drop(reader)
    five.keep(name).quiet()


@normative("2.2.1-4", "4.3.2-1", "4.3.2-2", "4.3.2-3", old=("2.3.1-2", "2.3.1-4", "4.3.2-1"))
def test_identifiers_in_flight_are_unused_ones(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    for n in range(10):
        writer.publish(topic, str(n).encode(), 1 + n % 2)
    found = [reader.message(answer=False) for _ in range(10)]
    assert len({packet.packet_id for packet in found}) == 10
    assert 0 not in {packet.packet_id for packet in found}
    assert [packet.payload for packet in found] == [str(n).encode() for n in range(10)]


@normative(
    "4.4.0-1", "3.3.1-1", "4.6.0-1", "4.3.2-3", "4.3.3-3", old=("4.4.0-1", "4.6.0-1", "3.3.1-1")
)
def test_what_was_not_acknowledged_comes_again(clients: Clients, topic: str, name: str) -> None:
    reader, writer = clients.keep(name), clients.connect()
    reader.subscribe(topic)
    for n in range(4):
        writer.publish(topic, str(n).encode(), 1 + n % 2)
    before = [reader.message(answer=False) for _ in range(4)]
    drop(reader)
    again = clients.keep(name)
    assert again.connack.session_present
    after = [again.message(answer=False) for _ in range(4)]
    assert [(p.packet_id, p.payload, p.qos) for p in after] == [
        (p.packet_id, p.payload, p.qos) for p in before
    ]
    assert all(packet.dup for packet in after)


@normative("4.4.0-1", "4.3.3-5", "4.3.3-6", old=("4.4.0-1", "4.3.3-1"))
def test_pubrel_comes_again_and_not_publish(clients: Clients, topic: str, name: str) -> None:
    reader, writer = clients.keep(name), clients.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x", 2)
    found = reader.message(answer=False)
    reader.ack(PUBREC, found.packet_id)
    reader.receive_ack(PUBREL, found.packet_id)
    drop(reader)
    again = clients.keep(name)
    again.receive_ack(PUBREL, found.packet_id)
    again.ack(PUBCOMP, found.packet_id)
    again.quiet()
    drop(again)
    clients.keep(name).quiet()


@normative("4.4.0-1")
def test_nothing_is_sent_again_on_a_live_connection(clients: Clients, topic: str) -> None:
    reader, writer = clients.connect(), clients.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x", 1)
    reader.message(answer=False)
    writer.publish(topic, b"y", 1)
    assert reader.message(answer=False).payload == b"y"
    reader.quiet()


@normative("3.3.4-9", "4.9.0-1", "4.9.0-2", "4.9.0-3", "3.3.4-10")
def test_no_more_in_flight_than_the_client_takes(five: Clients, topic: str) -> None:
    reader, writer = five.connect(receive_maximum=2), five.connect()
    reader.subscribe(topic)
    for n in range(5):
        writer.publish(topic, str(n).encode(), 1 + n % 2)
    first, second = (reader.message(answer=False) for _ in range(2))
    reader.quiet()  # A PINGREQ is answered while the quota is used up.
    assert reader.subscribe(f"{topic}/other").reasons == (2,)
    reader.ack(PUBACK, first.packet_id)
    assert reader.message(answer=False).payload == b"2"
    reader.ack(PUBREC, second.packet_id)
    reader.receive_ack(PUBREL, second.packet_id)
    reader.quiet()
    reader.ack(PUBCOMP, second.packet_id)
    assert reader.message(answer=False).payload == b"3"


@normative("3.3.4-9", "4.9.0-2")
def test_a_quota_comes_back_after_many_connections(five: Clients, topic: str, name: str) -> None:
    writer = five.connect()
    reader = five.keep(name, receive_maximum=1)
    reader.subscribe(topic)
    for n in range(8):
        writer.publish(topic, str(n).encode(), 1)
        reader.message(answer=False)
        drop(reader)
        reader = five.keep(name, receive_maximum=1)
        assert reader.message().payload == str(n).encode()


@normative("3.3.4-7")
def test_more_in_flight_than_the_server_takes(five: Clients, topic: str) -> None:
    client = five.connect()
    most = client.connack.properties.receive_maximum or 65_535
    if most > 1000:
        return
    for packet_id in range(1, most + 2):
        client.send(Publish(topic, b"x", 2, packet_id=packet_id))
    client.closed(0x93)


@normative("4.6.0-5", old=("4.6.0-2", "4.6.0-3"))
def test_acknowledgements_come_in_order(clients: Clients, topic: str) -> None:
    client = clients.connect()
    for packet_id in range(1, 11):
        client.send(Publish(topic, b"x", 1, packet_id=packet_id))
    for packet_id in range(1, 11):
        client.receive_ack(PUBACK, packet_id)


@normative("4.6.0-5", "4.5.0-1")
def test_a_backlog_longer_than_the_window(clients: Clients, topic: str, name: str) -> None:
    """Stored while away, more than may be in flight: all of it, in order, and then live ones."""
    reader, writer = clients.keep(name), clients.connect()
    reader.subscribe(topic)
    reader.disconnect()
    payloads = [str(n).encode() for n in range(50)]
    for payload in payloads:
        writer.publish(topic, payload, 1)
    again = clients.keep(name)
    assert again.payloads(50) == payloads
    writer.publish(topic, b"live", 1)
    assert again.message().payload == b"live"


def test_the_wrong_acknowledgement(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x", 2)
    found = reader.message(answer=False)
    reader.ack(PUBACK, found.packet_id)
    reader.closed(0x82)


@normative("4.3.3-13", "4.3.3-7")
def test_expiry_does_not_end_an_exchange(five: Clients, topic: str) -> None:
    reader, writer = five.connect(), five.connect()
    reader.subscribe(topic)
    writer.publish(topic, b"x", 2, message_expiry_s=1)
    found = reader.message(answer=False)
    reader.ack(PUBREC, found.packet_id)
    reader.receive_ack(PUBREL, found.packet_id)
    reader.ack(PUBCOMP, found.packet_id)
    reader.quiet()
