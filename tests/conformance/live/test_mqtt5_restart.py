"""What outlives the server: sessions through `kill -9` (MQTT 5.0 sections 4.1, 4.3, 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Properties,
    Publish,
    Subscription,
    Will,
)
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import Wire
from tests.conformance.normative import normative
from tests.integration.server import Servers

HOUR_S = 3600


@pytest.fixture
def guests(tmp_path: Path) -> Iterator[Guests]:
    """On a server of their own, which the test may kill."""
    servers = Servers(tmp_path)
    guests = Guests(servers.start(dev=True), Wire.TCP)
    yield guests
    guests.close()
    servers.close()
    assert servers.complaints() == []


def crash(guests: Guests) -> None:
    guests.server.kill9()
    guests.server.start()


@normative("3.1.2-23", "4.5.0-1", "4.4.0-1", "4.3.3-6", "4.3.3-10")
def test_a_session_outlives_a_crash(guests: Guests, topic: str) -> None:
    """Attached when the power fails, with everything in flight that there can be."""
    sender = guests.connect()
    sender.publish(f"{topic}/kept", b"kept", retain=True)
    client = guests.connect("a", session_expiry_s=HOUR_S)
    asked = Subscription(topic, 2, no_local=True, retain_as_published=True)
    client.subscribe(asked, subscription_ids=(7,))
    for number, qos in enumerate((1, 2, 2)):
        sender.publish(topic, b"%d" % number, qos)
    one, two, three = (
        client.message(topic, b"%d" % number, qos, acknowledge=False)
        for number, qos in enumerate((1, 2, 2))
    )
    client.send(Ack(PUBREC, two.packet_id))
    client.expect(Ack(PUBREL, two.packet_id))
    client.send(Publish(f"{topic}/mine", b"once", 2, packet_id=9))
    client.expect(Ack(PUBREC, 9))
    crash(guests)
    again = guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S)
    # QoS 1 may have been acknowledged or not when the power failed; QoS 2 is exact.
    packet = again.message(topic, b"0", 1, dup=True)
    assert packet.properties.subscription_ids == (7,)
    again.expect(Ack(PUBREL, two.packet_id))
    again.send(Ack(PUBCOMP, two.packet_id))
    packet = again.message(topic, b"2", 2, dup=True)
    assert packet.packet_id == three.packet_id
    watcher = guests.connect()
    watcher.subscribe(f"{topic}/#", qos=1)
    watcher.message(f"{topic}/kept", b"kept", 1, retain=True)
    again.send(Publish(f"{topic}/mine", b"once", 2, dup=True, packet_id=9))
    again.expect(Ack(PUBREC, 9))
    again.send(Ack(PUBREL, 9))
    again.expect(Ack(PUBCOMP, 9))
    again.publish(topic, b"own")
    guests.connect().publish(topic, b"live", 1, retain=True)
    again.message(topic, b"live", 1, retain=True)
    watcher.message(topic, b"own", 1)
    watcher.message(topic, b"live", 1)
    watcher.quiet()
    assert one.packet_id


@normative("4.3.2-4", "4.5.0-1")
def test_what_was_acknowledged_is_there_after_a_crash(guests: Guests, topic: str) -> None:
    away = guests.connect("a", session_expiry_s=HOUR_S)
    away.subscribe(f"{topic}/#", qos=2)
    away.leave()
    sender = guests.connect()
    for number in range(20):
        sender.publish(f"{topic}/{number % 3}", b"%d" % number, 1 + number % 2)
    crash(guests)
    away = guests.connect("a", clean=False, present=True)
    for number in range(20):
        away.message(f"{topic}/{number % 3}", b"%d" % number, 1 + number % 2)
    away.quiet()


@normative("4.3.3-11", "4.3.3-12")
def test_a_finished_identifier_is_free_after_a_crash(guests: Guests, topic: str) -> None:
    """PUBCOMP has come: the client may use the identifier for something else."""
    client = guests.connect("a", session_expiry_s=HOUR_S)
    client.send(Publish(topic, b"1", 2, packet_id=9))
    client.expect(Ack(PUBREC, 9))
    client.send(Ack(PUBREL, 9))
    client.expect(Ack(PUBCOMP, 9))
    crash(guests)
    watcher = guests.connect()
    watcher.subscribe(topic, qos=2)
    client = guests.connect("a", clean=False, present=True)
    client.send(Publish(topic, b"2", 2, packet_id=9))
    client.expect(Ack(PUBREC, 9))
    watcher.message(topic, b"2", 2)


@normative("3.1.2-7", "3.1.2-8")
def test_a_will_outlives_a_crash(guests: Guests, topic: str) -> None:
    """The connection has ended without DISCONNECT, by the server's fault."""
    client = guests.connect("a", session_expiry_s=1, will=_will(topic))
    client.subscribe(f"{topic}/x")
    late = guests.connect("w", session_expiry_s=HOUR_S)
    late.subscribe(topic, qos=1)
    late.leave()
    crash(guests)
    guests.connect("w", clean=False, present=True).message(topic, b"gone", 1)


def _will(topic: str) -> Will:
    return Will(topic=topic, payload=b"gone", qos=1, properties=Properties(will_delay_s=1))


@normative("4.3.2-3")
def test_an_acknowledgement_is_kept_at_a_proper_stop(guests: Guests, topic: str) -> None:
    """A stop is no crash: nothing that was acknowledged comes twice."""
    client = guests.connect("a", session_expiry_s=HOUR_S)
    client.subscribe(topic, qos=1)
    sender = guests.connect()
    for number in range(3):
        sender.publish(topic, b"%d" % number)
    sent = [client.message(topic, b"%d" % number, 1, acknowledge=False) for number in range(3)]
    client.send(Ack(PUBACK, sent[0].packet_id), Ack(PUBACK, sent[2].packet_id))
    client.quiet()
    guests.server.restart()
    client = guests.connect("a", clean=False, present=True)
    packet = client.message(topic, b"1", 1, dup=True)
    assert packet.packet_id == sent[1].packet_id
    client.quiet()
