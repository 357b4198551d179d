"""What outlives the server: sessions through `kill -9` (MQTT 5.0 sections 4.1, 4.3, 4.4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Publish,
    Subscription,
    Will,
)
from tests.conformance.client import properties
from tests.conformance.conftest import HOST, Clients
from tests.conformance.links import TcpPlace
from tests.conformance.normative import normative
from tests.integration.server import Server, Servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of these tests alone, which may kill it."""
    servers = Servers(tmp_path_factory.mktemp("restart"))
    yield servers.start(dev=True)
    servers.close()
    assert servers.complaints() == []


@pytest.fixture
def five(server: Server) -> Iterator[Clients]:
    with Clients(TcpPlace(HOST, server.mqtt_port), 5) as made:
        yield made


def crash(server: Server) -> None:
    server.kill9()
    server.start()


@normative("3.1.2-23", "4.5.0-1", "4.4.0-1", "4.3.3-6", "4.3.3-10")
def test_a_session_outlives_a_crash(five: Clients, server: Server, topic: str) -> None:
    """Attached when the power fails, with everything in flight that there can be."""
    sender = five.connect()
    sender.publish(f"{topic}/kept", b"kept", retain=True)
    client = five.keep("a")
    asked = Subscription(topic, 2, no_local=True, retain_as_published=True)
    client.subscribe(asked, subscription_ids=(7,))
    for number, qos in enumerate((1, 2, 2)):
        sender.publish(topic, b"%d" % number, qos)
    one, two, three = (
        client.message(topic, b"%d" % number, qos, answer=False)
        for number, qos in enumerate((1, 2, 2))
    )
    client.ack(PUBREC, two.packet_id)
    client.expect(Ack(PUBREL, two.packet_id))
    client.send(Publish(f"{topic}/mine", b"once", 2, packet_id=9))
    client.expect(Ack(PUBREC, 9))
    crash(server)
    again = five.back("a")
    # QoS 1 may have been acknowledged or not when the power failed; QoS 2 is exact.
    packet = again.message(topic, b"0", 1, dup=True)
    assert packet.properties.subscription_ids == (7,)
    again.expect(Ack(PUBREL, two.packet_id))
    again.ack(PUBCOMP, two.packet_id)
    packet = again.message(topic, b"2", 2, dup=True)
    assert packet.packet_id == three.packet_id
    watcher = five.connect()
    watcher.subscribe(f"{topic}/#", qos=1)
    watcher.message(f"{topic}/kept", b"kept", 1, retain=True)
    again.send(Publish(f"{topic}/mine", b"once", 2, dup=True, packet_id=9))
    again.expect(Ack(PUBREC, 9))
    again.ack(PUBREL, 9)
    again.expect(Ack(PUBCOMP, 9))
    again.publish(topic, b"own")
    five.connect().publish(topic, b"live", 1, retain=True)
    again.message(topic, b"live", 1, retain=True)
    watcher.message(topic, b"own", 1)
    watcher.message(topic, b"live", 1)
    watcher.quiet()
    assert one.packet_id


@normative("4.3.2-4", "4.5.0-1")
def test_what_was_acknowledged_is_there_after_a_crash(
    five: Clients, server: Server, topic: str
) -> None:
    away = five.keep("a")
    away.subscribe(f"{topic}/#", qos=2)
    away.disconnect()
    sender = five.connect()
    for number in range(20):
        sender.publish(f"{topic}/{number % 3}", b"%d" % number, 1 + number % 2)
    crash(server)
    away = five.back("a")
    for number in range(20):
        away.message(f"{topic}/{number % 3}", b"%d" % number, 1 + number % 2)
    away.quiet()


@normative("4.3.3-11", "4.3.3-12")
def test_a_finished_identifier_is_free_after_a_crash(
    five: Clients, server: Server, topic: str
) -> None:
    """PUBCOMP has come: the client may use the identifier for something else."""
    client = five.keep("a")
    client.send(Publish(topic, b"1", 2, packet_id=9))
    client.expect(Ack(PUBREC, 9))
    client.ack(PUBREL, 9)
    client.expect(Ack(PUBCOMP, 9))
    crash(server)
    watcher = five.connect()
    watcher.subscribe(topic, qos=2)
    client = five.back("a")
    client.send(Publish(topic, b"2", 2, packet_id=9))
    client.expect(Ack(PUBREC, 9))
    watcher.message(topic, b"2", 2)


@normative("3.1.2-7", "3.1.2-8")
def test_a_will_outlives_a_crash(five: Clients, server: Server, topic: str) -> None:
    """The connection has ended without DISCONNECT, by the server's fault."""
    client = five.connect("a", session_expiry_s=1, will=_will(topic))
    client.subscribe(f"{topic}/x")
    late = five.keep("w")
    late.subscribe(topic, qos=1)
    late.disconnect()
    crash(server)
    five.back("w").message(topic, b"gone", 1)


def _will(topic: str) -> Will:
    return Will(topic=topic, payload=b"gone", qos=1, properties=properties(will_delay_s=1))


@normative("4.3.2-3")
def test_an_acknowledgement_is_kept_at_a_proper_stop(
    five: Clients, server: Server, topic: str
) -> None:
    """A stop is no crash: nothing that was acknowledged comes twice."""
    client = five.keep("a")
    client.subscribe(topic, qos=1)
    sender = five.connect()
    for number in range(3):
        sender.publish(topic, b"%d" % number)
    sent = [client.message(topic, b"%d" % number, 1, answer=False) for number in range(3)]
    client.send(Ack(PUBACK, sent[0].packet_id), Ack(PUBACK, sent[2].packet_id))
    client.quiet()
    server.restart()
    client = five.back("a")
    packet = client.message(topic, b"1", 1, dup=True)
    assert packet.packet_id == sent[1].packet_id
    client.quiet()
