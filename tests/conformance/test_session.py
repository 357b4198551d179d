"""Sessions, takeover and keep alive (3.1.2.4, 3.1.2.10, 3.1.2.11.2, 3.1.4, 3.14.2, 4.1)."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import Disconnect, Pingreq, Pingresp, Subscription, Will
from tests.conformance.client import properties
from tests.conformance.conftest import BUT_WEBSOCKET, HOUR_S, Clients
from tests.conformance.normative import normative

TAKEN_OVER = 0x8E
KEEP_ALIVE_TIMEOUT = 0x8D


@normative("3.2.2-2", "3.1.2-4", "3.1.4-4", old=("3.2.2-1", "3.1.2-6", "3.1.4-3"))
def test_a_clean_start_forgets(clients: Clients, topic: str) -> None:
    first, writer = clients.keep("a"), clients.connect()
    first.subscribe(topic)
    first.disconnect()
    writer.publish(topic, b"missed")
    second = clients.keep("a", clean_start=True)
    writer.publish(topic, b"not subscribed")
    second.subscribe(topic)
    writer.publish(topic, b"subscribed")
    second.message(topic, b"subscribed", 1)
    second.quiet()


@normative("3.2.2-3", "3.1.2-5", "3.1.2-23", "4.1.0-1", "3.1.3-2", "4.5.0-1")
@normative(old=("3.2.2-2", "3.2.2-3", "3.1.2-4", "3.1.2-5", "3.1.3-2", "4.1.0-1"))
@pytest.mark.parametrize("qos", [1, 2])
def test_a_session_goes_on(clients: Clients, topic: str, qos: int) -> None:
    first, writer = clients.keep("a"), clients.connect()
    first.subscribe(topic)
    first.drop()
    for number in range(30):
        writer.publish(topic, b"%d" % number, qos)
    second = clients.back("a")
    for number in range(30):
        second.message(topic, b"%d" % number, qos)
    writer.publish(topic, b"live", qos)
    second.message(topic, b"live", qos)
    second.quiet()


def test_a_session_of_3_1_goes_on(three: Clients, topic: str) -> None:
    """It has no Session Present, and has the session all the same."""
    first, writer = three.keep("a"), three.connect("w")
    first.subscribe(topic)
    writer.publish(topic, b"0")
    one = first.message(topic, b"0", 1, answer=False)
    first.drop()
    for number in (1, 2, 3):
        writer.publish(topic, b"%d" % number, 1 + number % 2)
    second = three.back("a")
    assert second.message(topic, b"0", 1, dup=True).packet_id == one.packet_id
    for number in (1, 2, 3):
        second.message(topic, b"%d" % number, 1 + number % 2)
    second.quiet()


@normative("3.1.2-6", "3.2.2-3", "4.1.0-2", "3.1.2-23", old=("3.1.2-6", "3.2.2-3", "4.1.0-2"))
def test_a_session_that_is_not_kept_ends(clients: Clients, topic: str) -> None:
    first = clients.connect("a")
    first.subscribe(topic)
    first.disconnect()
    clients.connect().publish(topic, b"missed")
    clients.keep("a").quiet()


@normative("4.1.0-1")
def test_an_open_connection_keeps_its_session(five: Clients, topic: str) -> None:
    """Whatever the expiry: it begins to count when the connection ends."""
    client, writer = five.connect("a", session_expiry_s=0), five.connect()
    client.subscribe(topic)
    for number in range(3):
        writer.publish(topic, b"%d" % number)
        client.message(topic, b"%d" % number, 1)


@normative("3.1.2-5", "4.4.0-1", old=("3.1.2-4", "3.1.2-5", "4.1.0-1"))
def test_a_session_keeps_its_subscriptions(clients: Clients, topic: str) -> None:
    first, writer = clients.keep("a"), clients.connect()
    first.subscribe(f"{topic}/a", f"{topic}/b")
    first.unsubscribe(f"{topic}/b")
    first.disconnect()
    for name in "ba":
        writer.publish(f"{topic}/{name}", b"missed")
    second = clients.back("a")
    for name in "ba":
        writer.publish(f"{topic}/{name}", b"live")
    second.message(f"{topic}/a", b"missed", 1)
    second.message(f"{topic}/a", b"live", 1)
    second.quiet()


@normative("3.8.4-3")
def test_a_session_keeps_the_options_of_its_subscriptions(five: Clients, topic: str) -> None:
    first = five.keep("a")
    asked = Subscription(topic, 1, no_local=True, retain_as_published=True)
    first.subscribe(asked, subscription_ids=(7,))
    first.disconnect()
    second = five.back("a")
    second.publish(topic, b"own")
    five.connect().publish(topic, b"1", retain=True)
    assert second.message(topic, b"1", 1, retain=True).properties.subscription_ids == (7,)
    five.connect().publish(topic, b"", retain=True)


def test_quality_0_may_be_missed_but_not_block(clients: Clients, topic: str) -> None:
    first, writer = clients.keep("a"), clients.connect()
    first.subscribe(topic)
    first.disconnect()
    writer.publish(topic, b"zero", 0)
    writer.publish(topic, b"one", 1)
    again = clients.back("a")
    found = again.take().payload
    assert found == b"one" or again.take().payload == b"one"


@normative("3.1.2-5", old=("3.1.2-5",))
def test_coming_and_going_faster_than_the_disk(clients: Clients, topic: str) -> None:
    """What was acknowledged on one connection is acknowledged on the next."""
    writer, client = clients.connect(), clients.keep("a")
    client.subscribe(topic)
    for number in range(20):
        writer.publish(topic, b"%d" % number)
        client.message(topic, b"%d" % number, 1)
        client.drop()
        clients.back("a").link.abort()
        client = clients.back("a")
    client.quiet()


# ---- when it ends ----


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("4.1.0-2")
def test_a_session_expires(five: Clients, topic: str) -> None:
    first = five.connect("a", session_expiry_s=1)
    first.subscribe(topic)
    first.drop()
    five.place.wait(1.3)
    five.keep("a").quiet()


def test_an_expiry_that_is_too_long_is_answered(five: Clients) -> None:
    client = five.connect("a", session_expiry_s=0xFFFF_FFFF)
    granted = client.connack.properties.session_expiry_s
    assert granted is not None
    assert HOUR_S <= granted < 0xFFFF_FFFF


@normative("3.1.2-23", "4.1.0-1", "4.1.0-2")
@pytest.mark.parametrize(("said", "present"), [(0, False), (HOUR_S, True)])
def test_a_disconnect_changes_the_expiry(five: Clients, said: int, present: bool) -> None:
    five.connect("a", session_expiry_s=60).disconnect(session_expiry_s=said)
    five.connect("a", clean_start=False, present=present)


def test_a_disconnect_cannot_make_a_session_last(five: Clients) -> None:
    """Protocol error (3.14.2.2.2): zero in CONNECT, and not zero in DISCONNECT."""
    client = five.connect("a", session_expiry_s=0)
    client.send(Disconnect(0, properties(session_expiry_s=60)))
    client.closed(0x82)
    five.connect("a", clean_start=False, present=False)


# ---- takeover ----


@normative("3.1.4-3", old=("3.1.4-2",))
def test_a_takeover_ends_the_old_connection(clients: Clients) -> None:
    old, new = clients.connect("a"), clients.connect("a")
    old.closed(TAKEN_OVER)
    new.quiet()


def test_a_takeover_of_3_1(three: Clients) -> None:
    old, new = three.connect("a"), three.connect("a")
    old.closed()
    new.quiet()


@normative("3.1.4-3", "3.2.2-3", old=("3.1.4-2",))
def test_a_takeover_goes_on_with_the_session(clients: Clients, topic: str) -> None:
    old = clients.keep("a")
    old.subscribe(topic)
    new = clients.back("a")
    old.closed(TAKEN_OVER)
    clients.connect().publish(topic, b"after")
    new.message(topic, b"after", 1)


@normative("3.1.4-3", "3.1.4-4", old=("3.1.4-2", "3.1.4-3"))
def test_a_takeover_with_clean_start(clients: Clients, topic: str) -> None:
    old, writer = clients.keep("a"), clients.connect()
    old.subscribe(topic)
    new = clients.keep("a", clean_start=True)
    old.closed(TAKEN_OVER)
    new.subscribe(f"{topic}/other")
    writer.publish(topic, b"1")
    writer.publish(f"{topic}/other", b"2")
    new.message(f"{topic}/other", b"2", 1)


@normative("3.1.4-3", "4.4.0-1", old=("3.1.4-2", "4.4.0-1"))
def test_a_takeover_hands_on_what_is_in_flight(clients: Clients, topic: str) -> None:
    old, writer = clients.keep("a"), clients.connect()
    old.subscribe(topic)
    for qos in (1, 2):
        writer.publish(topic, b"%d" % qos, qos)
    sent = [old.message(topic, b"%d" % qos, qos, answer=False) for qos in (1, 2)]
    new = clients.back("a")
    for qos, before in zip((1, 2), sent, strict=True):
        again = new.message(topic, b"%d" % qos, qos, dup=True)
        assert again.packet_id == before.packet_id


def test_many_takeovers(clients: Clients, topic: str) -> None:
    client = clients.keep("a")
    for _ in range(9):
        client = clients.back("a")
        client.subscribe(topic)
    clients.connect().publish(topic, b"1")
    client.message(topic, b"1", 1)
    client.quiet()


@normative("3.1.3-2", old=("3.1.3-2",))
def test_client_identifiers_belong_to_their_user(clients: Clients, topic: str) -> None:
    """Else anybody could take over anybody's session by its name."""
    mine = clients.keep("a", username="ann")
    mine.subscribe(topic)
    other = clients.keep("a", username="bob")
    clients.connect().publish(topic, b"1")
    mine.message(topic, b"1", 1)
    other.quiet()


# ---- keep alive ----


@normative("3.12.4-1", old=("3.12.4-1",))
def test_ping(clients: Clients) -> None:
    client = clients.connect()
    client.send(Pingreq(), Pingreq())
    client.expect(Pingresp(), Pingresp())


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("3.1.2-22", "3.2.2-22", old=("3.1.2-24",))
def test_silence_ends_the_connection(clients: Clients, topic: str) -> None:
    """After one and a half times the keep alive, counted from the last packet."""
    reader = clients.connect()
    reader.subscribe(topic)
    started = clients.place.now()
    client = clients.connect(keep_alive_s=1, will=Will(topic=topic, payload=b"gone"))
    assert client.connack.properties.server_keep_alive_s is None
    clients.place.wait(0.8)
    client.quiet()
    client.closed(KEEP_ALIVE_TIMEOUT)
    assert 2.2 <= clients.place.now() - started < 10
    reader.message(topic, b"gone")


@pytest.mark.slow
@BUT_WEBSOCKET
@normative("3.1.2-22", old=("3.1.2-24",))
def test_any_packet_keeps_the_connection(clients: Clients, topic: str) -> None:
    client, silent = clients.connect(keep_alive_s=1), clients.connect(keep_alive_s=0)
    for number in range(3):
        clients.place.wait(0.8)
        client.publish(topic, b"%d" % number)
    client.quiet()
    silent.quiet()
