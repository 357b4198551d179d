"""Keep alive, flow control, packet sizes, topic aliases (MQTT 5.0 sections 3.1.2.10, .11, 4.9)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reddot.codecs.mqtt_packets import (
    NO_PROPERTIES,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Pingreq,
    Pingresp,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import TCP_ONLY
from tests.conformance.normative import normative

HOUR_S = 3600
RESERVED_TOPIC = "$SYS/broker/version"
KEEP_ALIVE_TIMEOUT = 0x8D
RECEIVE_MAXIMUM_EXCEEDED = 0x93
ALIAS_INVALID = 0x94
PACKET_TOO_LARGE = 0x95


@pytest.fixture
def sender(guests: Guests) -> Conversation:
    return guests.connect("sender")


# ---- keep alive ----


@normative("3.12.4-1")
def test_pingresp(sender: Conversation) -> None:
    sender.send(Pingreq(), Pingreq())
    sender.expect(Pingresp(), Pingresp())


@pytest.mark.slow
@TCP_ONLY
@normative("3.1.2-22", "3.2.2-22")
@pytest.mark.parametrize("level", [5, 4])
def test_who_is_silent_for_too_long_is_disconnected(guests: Guests, level: int) -> None:
    """After one and a half times the keep alive, counted from the last packet."""
    client = guests.connect("a", level=level, keep_alive_s=1)
    assert client.connack.properties.server_keep_alive_s is None
    started = time.monotonic()
    time.sleep(0.8)
    client.quiet()
    client.refused(KEEP_ALIVE_TIMEOUT)
    assert 2.2 <= time.monotonic() - started < 4.5


@pytest.mark.slow
@TCP_ONLY
@normative("3.1.2-22")
def test_any_packet_keeps_alive(guests: Guests, topic: str) -> None:
    client, silent = guests.connect("a", keep_alive_s=1), guests.connect("b", keep_alive_s=0)
    for number in range(3):
        time.sleep(0.8)
        client.publish(topic, b"%d" % number)
    silent.quiet()


@normative("3.2.2-21", "3.1.2-21")
def test_a_keep_alive_that_is_too_long_is_lowered(guests: Guests) -> None:
    assert guests.connect("a", keep_alive_s=60).connack.properties.server_keep_alive_s is None
    lowered = guests.connect("b", keep_alive_s=0xFFFF).connack.properties.server_keep_alive_s
    assert lowered is not None
    assert 0 < lowered < 0xFFFF


# ---- receive maximum ----


@normative("3.3.4-9", "4.9.0-1", "4.9.0-2")
@pytest.mark.parametrize("most", [1, 3])
def test_no_more_than_receive_maximum(
    guests: Guests, sender: Conversation, topic: str, most: int
) -> None:
    client = guests.connect("a", receive_maximum=most)
    client.subscribe(topic, qos=2)
    for number in range(most + 3):
        sender.publish(topic, b"%d" % number, 1 + number % 2)
    held = [
        client.message(topic, b"%d" % number, 1 + number % 2, acknowledge=False)
        for number in range(most)
    ]
    client.quiet()
    for number in range(3):
        client.acknowledge(held.pop(0))
        number += most
        held.append(client.message(topic, b"%d" % number, 1 + number % 2, acknowledge=False))
        client.quiet()


@normative("3.3.4-9", "4.4.0-2")
def test_pubrec_with_an_error_frees_the_window(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    client = guests.connect("a", receive_maximum=1)
    client.subscribe(topic, qos=2)
    for number in range(3):
        sender.publish(topic, b"%d" % number, 2)
    first = client.message(topic, b"0", 2, acknowledge=False)
    client.send(Ack(PUBREC, first.packet_id, 0x83))
    client.message(topic, b"1", 2)
    client.message(topic, b"2", 2)
    client.quiet()


@normative("3.3.4-9")
def test_pubrel_does_not_free_the_window(guests: Guests, sender: Conversation, topic: str) -> None:
    client = guests.connect("a", receive_maximum=1)
    client.subscribe(topic, qos=2)
    for number in range(2):
        sender.publish(topic, b"%d" % number, 2)
    first = client.message(topic, b"0", 2, acknowledge=False)
    client.send(Ack(PUBREC, first.packet_id))
    client.expect(Ack(PUBREL, first.packet_id))
    client.quiet()
    client.send(Ack(PUBCOMP, first.packet_id))
    client.message(topic, b"1", 2)


@normative("3.3.4-10", "4.9.0-3", "3.3.4-8")
def test_a_full_window_holds_nothing_else(guests: Guests, sender: Conversation, topic: str) -> None:
    client = guests.connect("a", receive_maximum=1)
    client.subscribe(topic, qos=1)
    sender.publish(topic, b"0")
    sender.publish(topic, b"1")
    first = client.message(topic, b"0", 1, acknowledge=False)
    client.quiet()
    assert client.subscribe(f"{topic}/q0", qos=0) == [0]
    assert client.unsubscribe(f"{topic}/none") == [0x11]
    assert client.publish(f"{topic}/x", b"x", 1) == 0
    assert client.publish(f"{topic}/x", b"x", 2) == 0
    sender.publish(f"{topic}/q0", b"q0", 0)
    client.message(f"{topic}/q0", b"q0", 0)
    client.acknowledge(first)
    client.message(topic, b"1", 1)


@normative("4.9.0-1", "3.3.4-9")
def test_the_window_holds_for_a_session_that_goes_on(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """What was in flight counts; the Receive Maximum is the new connection's."""
    client = guests.connect("a", session_expiry_s=HOUR_S, receive_maximum=5)
    client.subscribe(topic, qos=1)
    for number in range(4):
        sender.publish(topic, b"%d" % number)
    for number in range(4):
        client.message(topic, b"%d" % number, 1, acknowledge=False)
    client.drop()
    sender.publish(topic, b"4")
    client = guests.connect("a", clean=False, present=True, receive_maximum=4)
    sent = [
        client.message(topic, b"%d" % number, 1, dup=True, acknowledge=False) for number in range(4)
    ]
    client.quiet()
    client.acknowledge(sent[0])
    client.message(topic, b"4", 1)


@normative("3.3.4-7")
def test_a_client_that_sends_more_than_receive_maximum(guests: Guests, topic: str) -> None:
    client = guests.connect("a")
    most = client.connack.properties.receive_maximum
    assert most is not None
    for packet_id in range(1, most + 1):
        client.send(Publish(topic, b"1", 2, packet_id=packet_id))
        client.expect(Ack(PUBREC, packet_id))
    client.send(Publish(topic, b"1", 2, packet_id=1, dup=True))
    client.expect(Ack(PUBREC, 1))
    client.send(Publish(topic, b"1", 2, packet_id=most + 1))
    client.refused(RECEIVE_MAXIMUM_EXCEEDED)


@normative("4.9.0-2", "3.3.4-7")
def test_finished_publications_do_not_count(guests: Guests, topic: str) -> None:
    client = guests.connect("a")
    for number in range(60):
        assert client.publish(topic if number % 3 else RESERVED_TOPIC, b"1", 1 + number % 2) in (
            (0,) if number % 3 else (0x87,)
        )
    client.quiet()


# ---- packet sizes ----


@normative("3.1.2-24", "3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_too_large_for_a_client_is_skipped(
    guests: Guests, sender: Conversation, topic: str, qos: int
) -> None:
    """As if it had been sent: what follows comes, and the window stays free."""
    client = guests.connect("a", maximum_packet_bytes=100, receive_maximum=1)
    client.subscribe(topic, qos=qos)
    size = 100 - 2 - 2 - len(topic) - (2 if qos else 0) - 1
    for number in (0, 1, 2):
        sender.publish(topic, bytes(size + number), qos)
    sender.publish(topic, b"small", qos)
    client.message(topic, bytes(size), qos)
    client.message(topic, b"small", qos)
    client.quiet()


@normative("3.1.2-24", "3.1.2-25")
def test_what_is_retained_and_too_large_is_skipped(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    sender.publish(f"{topic}/a", bytes(200), retain=True)
    sender.publish(f"{topic}/b", b"small", retain=True)
    client = guests.connect("a", maximum_packet_bytes=100)
    client.subscribe(f"{topic}/#", qos=1)
    client.message(f"{topic}/b", b"small", 1, retain=True)
    client.quiet()
    for name in "ab":
        sender.publish(f"{topic}/{name}", b"", retain=True)


@normative("3.4.2-2", "3.4.2-3", "3.5.2-2", "3.5.2-3", "3.7.2-2")
@normative("3.7.2-3", "3.6.2-2", "3.6.2-3", "3.1.2-29")
@pytest.mark.parametrize(
    "asked", [{"maximum_packet_bytes": 16}, {"request_problem_information": 0}]
)
def test_acknowledgements_without_explanation(guests: Guests, asked: dict[str, Any]) -> None:
    client = guests.open()
    assert client.begin(guests.asks("a", **asked)).reason == 0
    for qos, kind in ((1, PUBACK), (2, PUBREC)):
        client.send(Publish(RESERVED_TOPIC, b"1", qos, packet_id=qos))
        client.expect(Ack(kind, qos, 0x87, NO_PROPERTIES))
    client.send(Ack(PUBREL, 9), Ack(PUBREC, 9))
    client.expect(Ack(PUBCOMP, 9, 0x92), Ack(PUBREL, 9, 0x92))


@normative("3.14.2-3", "3.14.2-4", "3.1.2-24", "3.14.2-2", "3.14.2-1")
def test_disconnect_without_explanation(guests: Guests) -> None:
    client = guests.open()
    assert client.begin(guests.asks("a", maximum_packet_bytes=24)).reason == 0
    client.send(b"\xc1\x00")
    assert client.refused(0x81) == NO_PROPERTIES


@normative("3.2.2-15")
def test_a_packet_that_is_too_large_for_the_server(guests: Guests, topic: str) -> None:
    client = guests.connect("a")
    most = client.connack.properties.maximum_packet_bytes
    assert most is not None
    client.send(b"\x30\xff\xff\xff\x7f" + bytes(100))
    client.refused(PACKET_TOO_LARGE)


# ---- topic aliases ----


@normative("3.3.2-12", "3.2.2-17")
def test_aliases_of_a_client(guests: Guests, topic: str) -> None:
    watcher, client = guests.connect("w"), guests.connect("a")
    watcher.subscribe(f"{topic}/#", qos=1)
    most = client.connack.properties.topic_alias_maximum
    assert most is not None
    for alias in range(1, most + 1):
        client.publish(f"{topic}/{alias}", b"1", topic_alias=alias)
        watcher.message(f"{topic}/{alias}", b"1", 1)
    for alias in range(1, most + 1):
        client.publish("", b"2", topic_alias=alias)
        packet = watcher.message(f"{topic}/{alias}", b"2", 1)
        assert packet.properties.topic_alias is None


def test_an_alias_may_get_another_topic(guests: Guests, topic: str) -> None:
    watcher, client = guests.connect("w"), guests.connect("a")
    watcher.subscribe(f"{topic}/#", qos=1)
    for name in ("a", "b"):
        client.publish(f"{topic}/{name}", b"1", topic_alias=1)
        client.publish("", b"2", topic_alias=1)
        watcher.message(f"{topic}/{name}", b"1", 1)
        watcher.message(f"{topic}/{name}", b"2", 1)


@normative("3.3.2-9", "3.2.2-17", "3.3.2-8")
@pytest.mark.parametrize("over", [True, False])
def test_aliases_that_are_none(guests: Guests, topic: str, over: bool) -> None:
    client = guests.connect("a")
    most = client.connack.properties.topic_alias_maximum or 0
    alias = Properties(topic_alias=most + 1 if over else 0)
    client.send(Publish(topic, b"1", 0, properties=alias))
    client.refused(ALIAS_INVALID)


def test_an_alias_that_has_no_topic(guests: Guests) -> None:
    client = guests.connect("a")
    client.send(Publish("", b"1", 0, properties=Properties(topic_alias=1)))
    client.refused(0x82)


@normative("3.3.2-7")
def test_aliases_end_with_the_connection(guests: Guests, sender: Conversation, topic: str) -> None:
    """The client's and the server's, whatever becomes of the session."""
    first = guests.connect("a", session_expiry_s=HOUR_S, topic_alias_maximum=5)
    first.subscribe(topic, qos=1)
    first.publish(topic, b"1", topic_alias=1)
    assert first.take(Publish).topic == topic
    first.leave()
    second = guests.connect("a", clean=False, present=True, topic_alias_maximum=5)
    sender.publish(topic, b"2")
    while (packet := second.take(Publish)).payload != b"2":
        second.acknowledge(packet)
    assert packet.topic == topic
    second.send(Publish("", b"1", 0, properties=Properties(topic_alias=1)))
    second.refused(0x82)


@normative("3.1.2-26", "3.3.2-11", "3.3.2-10", "3.3.2-8")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_aliases_of_the_server(guests: Guests, sender: Conversation, topic: str, qos: int) -> None:
    client = guests.connect("a", topic_alias_maximum=2)
    client.subscribe(f"{topic}/#", qos=qos)
    known: dict[int, str] = {}
    for number in (0, 1, 2, 3, 0, 1, 2, 3, 0):
        name = f"{topic}/{number}"
        sender.publish(name, name.encode(), qos)
        packet = client.take(Publish)
        client.acknowledge(packet)
        alias = packet.properties.topic_alias
        if alias is not None:
            assert 1 <= alias <= 2
            if packet.topic:
                known[alias] = packet.topic
        assert (packet.topic or known[alias or 0]) == name
        assert packet.payload == name.encode()


@normative("3.1.2-27", "3.2.2-18")
@pytest.mark.parametrize("asked", [{}, {"topic_alias_maximum": 0}])
def test_no_aliases_unasked(
    guests: Guests, sender: Conversation, topic: str, asked: dict[str, Any]
) -> None:
    client = guests.connect("a", **asked)
    client.subscribe(topic, qos=1)
    for _ in range(3):
        sender.publish(topic, b"1")
        assert client.message(topic, b"1", 1).properties.topic_alias is None


def test_limits_are_those_of_every_subscription(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """A shared subscription and a plain one have one window."""
    client = guests.connect("a", receive_maximum=1)
    client.send(Subscribe(1, (Subscription(topic, 1), Subscription(f"$share/g/{topic}/s", 1))))
    client.expect(Suback(1, (1, 1)))
    sender.publish(topic, b"0")
    sender.publish(f"{topic}/s", b"1")
    first = client.message(topic, b"0", 1, acknowledge=False)
    client.quiet()
    client.acknowledge(first)
    client.message(f"{topic}/s", b"1", 1)
