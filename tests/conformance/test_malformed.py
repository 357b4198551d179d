"""What the codec refuses, on a whole server: the reason is said, the connection ends (4.13)."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import Pingreq, Publish, Subscribe, Subscription
from tests.conformance.conftest import Clients
from tests.conformance.malformed import CONNECTS_5, CONNECTS_311, PACKETS_5, PACKETS_311
from tests.conformance.normative import normative


@normative("4.13.1-1", "4.13.2-1", "2.1.3-1", "3.1.0-2", "4.7.0-1")
@normative("3.14.1-1", "3.14.2-2", "3.14.4-1", "3.14.4-2")
@pytest.mark.parametrize("mistake", PACKETS_5)
def test_a_mistake_ends_the_connection_and_is_named(five: Clients, mistake: str) -> None:
    client = five.connect()
    data, reason = PACKETS_5[mistake]
    client.send(data)
    client.closed(reason)


@normative(old=("4.8.0-1", "3.14.1-1"))
@pytest.mark.parametrize("mistake", PACKETS_311)
def test_a_mistake_ends_the_connection_of_3_1_1(four: Clients, mistake: str) -> None:
    """There is no DISCONNECT of a server."""
    client = four.connect()
    client.send(PACKETS_311[mistake])
    client.closed()


@normative("3.1.4-1", "3.14.0-1", "4.13.2-1", "4.13.1-1", "3.1.0-1", "3.2.2-7")
@normative("3.1.2-3", "3.1.2-9", "3.1.2-11", "3.1.2-13")
@pytest.mark.parametrize("mistake", CONNECTS_5)
def test_a_mistake_in_connect(five: Clients, mistake: str) -> None:
    """CONNACK with the reason, or nothing; never DISCONNECT."""
    client = five.open()
    data, reason = CONNECTS_5[mistake]
    client.send(data)
    client.turned_away(reason)


@normative(old=("3.1.4-1", "3.1.0-1", "3.2.2-6", "3.1.2-11"))
@pytest.mark.parametrize("mistake", CONNECTS_311)
def test_a_mistake_in_connect_of_3_1_1(four: Clients, mistake: str) -> None:
    """There is no CONNACK either (3.1.4-1)."""
    client = four.open()
    client.send(CONNECTS_311[mistake])
    client.closed()


@normative("4.13.1-1")
@pytest.mark.parametrize("mistake", ["2.1.3-1 flags of PINGREQ", "3.3.1-4 QoS 3"])
def test_what_stood_before_a_mistake_was_done(five: Clients, topic: str, mistake: str) -> None:
    watcher, client = five.connect(), five.connect()
    watcher.subscribe(topic)
    data, reason = PACKETS_5[mistake]
    client.send(Publish(topic, b"before"), data, Publish(topic, b"behind"))
    client.closed(reason)
    five.connect().publish(topic, b"end")
    watcher.message(topic, b"before")
    watcher.message(topic, b"end", 1)


@normative("3.14.4-1", "3.14.4-2", "3.14.2-1", "3.14.2-2")
def test_nothing_is_done_behind_a_mistake(five: Clients, topic: str) -> None:
    client = five.connect()
    client.subscribe(topic, qos=1)
    behind = Subscribe(3, (Subscription(f"{topic}/b"),))
    client.send(b"\xc1\x00", Pingreq(), Publish(topic, b"1", 1, packet_id=1), behind)
    assert client.closed(0x81).session_expiry_s is None


@normative("1.5.4-1", "1.5.4-2")
@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\x00", b"a\xe2\x82"]
)
def test_text_that_is_none(five: Clients, raw: bytes) -> None:
    """As topic, filter and user property."""
    text = len(raw).to_bytes(2, "big") + raw
    bodies = (
        (0x30, text + b"\x00"),
        (0x82, b"\x00\x01\x00" + text + b"\x00"),
        (0xA2, b"\x00\x01\x00" + text),
        (0x30, b"\x00\x01t" + bytes((len(text) + 4,)) + b"\x26" + text + b"\x00\x01v"),
    )
    for first, body in bodies:
        client = five.connect()
        client.send(bytes((first, len(body))) + body)
        client.closed(0x81)


@normative("1.5.5-1")
def test_a_length_of_many_bytes(clients: Clients, topic: str) -> None:
    """All sizes of it, there and back."""
    client = clients.connect()
    client.subscribe(topic, qos=1)
    for size in (10, 110, 128, 16_000, 16_384, 60_000):
        client.publish(topic, bytes(size))
        client.message(topic, bytes(size), 1)


def test_the_reason_is_not_lost_to_a_reset(five: Clients, topic: str) -> None:
    """It is read although much of what the client has sent is not."""
    client = five.connect()
    client.send(b"\xc1\x00", *[Publish(topic, bytes(50_000))] * 4)
    client.closed(0x81)
