"""Sessions: clean start, expiry, takeover (MQTT 5.0 sections 3.1.2.4, 3.1.2.11.2, 3.1.4, 4.1)."""

from __future__ import annotations

import time

import pytest

from reddot.codecs.mqtt_packets import PUBREC, Ack, Disconnect, Properties, Publish, Subscription
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import TCP_ONLY
from tests.conformance.normative import normative

HOUR_S = 3600
TAKEN_OVER = 0x8E


@normative("3.1.2-4", "3.1.4-4", "3.2.2-2")
def test_clean_start_begins_anew(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=1)
    first.leave()
    guests.connect().publish(topic, b"missed")
    second = guests.connect("a", clean=True, present=False, session_expiry_s=HOUR_S)
    guests.connect().publish(topic, b"not subscribed")
    second.subscribe(topic, qos=1)
    guests.connect().publish(topic, b"subscribed")
    second.message(topic, b"subscribed", 1)
    second.quiet()


@normative("3.1.2-5", "3.2.2-3", "3.1.2-23", "4.5.0-1", "3.1.3-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_a_session_goes_on(guests: Guests, topic: str, qos: int) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=qos)
    first.drop()
    sender = guests.connect()
    for number in range(30):
        sender.publish(topic, b"%d" % number, qos)
    second = guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S)
    for number in range(30):
        second.message(topic, b"%d" % number, qos)
    sender.publish(topic, b"live", qos)
    second.message(topic, b"live", qos)
    second.quiet()


@normative("3.1.2-6", "3.2.2-3")
def test_without_a_session_one_begins(guests: Guests, topic: str) -> None:
    first = guests.connect("a", clean=False, present=False, session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=1)
    first.leave()
    guests.connect("a", clean=False, present=True)


@normative("4.1.0-1")
def test_an_open_connection_keeps_its_session(guests: Guests, topic: str) -> None:
    """Whatever the expiry: it begins to count when the connection ends."""
    client = guests.connect("a", session_expiry_s=0)
    client.subscribe(topic, qos=1)
    sender = guests.connect()
    for number in range(3):
        sender.publish(topic, b"%d" % number)
        client.message(topic, b"%d" % number, 1)


@normative("4.1.0-2")
def test_without_expiry_a_session_ends_with_its_connection(guests: Guests, topic: str) -> None:
    first = guests.connect("a")
    first.subscribe(topic, qos=1)
    first.leave()
    guests.connect("a", clean=False, present=False)


@pytest.mark.slow
@TCP_ONLY
@normative("4.1.0-2")
def test_a_session_ends_when_it_expires(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=1)
    first.subscribe(topic, qos=1)
    first.drop()
    time.sleep(1.3)
    guests.connect("a", clean=False, present=False)


def test_an_expiry_that_is_too_long_is_answered(guests: Guests) -> None:
    client = guests.connect("a", session_expiry_s=0xFFFF_FFFF)
    granted = client.connack.properties.session_expiry_s
    assert granted is not None
    assert HOUR_S <= granted < 0xFFFF_FFFF


@normative("3.1.2-23", "4.1.0-2")
@pytest.mark.parametrize(("said", "present"), [(0, False), (HOUR_S, True)])
def test_disconnect_changes_the_expiry(
    guests: Guests, topic: str, said: int, present: bool
) -> None:
    client = guests.connect("a", session_expiry_s=60)
    client.subscribe(topic, qos=1)
    client.leave(session_expiry_s=said)
    guests.connect("a", clean=False, present=present)


def test_an_expiry_of_zero_stays_zero(guests: Guests) -> None:
    """Section 3.14.2.2.2: a Protocol Error."""
    client = guests.connect("a", session_expiry_s=0)
    client.send(Disconnect(0, Properties(session_expiry_s=HOUR_S)))
    client.refused(0x82)
    guests.connect("a", clean=False, present=False)


@normative("3.1.4-3")
def test_takeover(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=1)
    second = guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S)
    first.refused(TAKEN_OVER)
    guests.connect().publish(topic, b"1")
    second.message(topic, b"1", 1)


@normative("3.1.4-3", "3.1.4-4")
def test_takeover_with_clean_start(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=1)
    second = guests.connect("a", clean=True, present=False, session_expiry_s=HOUR_S)
    first.refused(TAKEN_OVER)
    second.subscribe(f"{topic}/other", qos=1)
    sender = guests.connect()
    sender.publish(topic, b"1")
    sender.publish(f"{topic}/other", b"2")
    second.message(f"{topic}/other", b"2", 1)


@normative("3.1.4-3", "4.4.0-1")
def test_takeover_hands_on_what_is_in_flight(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=2)
    sender = guests.connect()
    sender.publish(topic, b"1", 1)
    sender.publish(topic, b"2", 2)
    one = first.message(topic, b"1", 1, acknowledge=False)
    two = first.message(topic, b"2", 2, acknowledge=False)
    second = guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S)
    again = second.message(topic, b"1", 1, dup=True)
    assert again.packet_id == one.packet_id
    again = second.message(topic, b"2", 2, dup=True)
    assert again.packet_id == two.packet_id


def test_many_takeovers(guests: Guests, topic: str) -> None:
    for number in range(10):
        client = guests.connect("a", clean=False, present=bool(number), session_expiry_s=HOUR_S)
        client.subscribe(topic, qos=1)
    guests.connect().publish(topic, b"1")
    client.message(topic, b"1", 1)
    client.quiet()


@normative("3.1.3-2")
def test_client_identifiers_belong_to_their_user(guests: Guests, topic: str) -> None:
    """Else anybody could take over anybody's session by its name."""
    mine = guests.connect("a", username="ann", session_expiry_s=HOUR_S)
    mine.subscribe(topic, qos=1)
    other = guests.connect("a", username="bob", clean=False, present=False)
    guests.connect().publish(topic, b"1")
    mine.message(topic, b"1", 1)
    other.quiet()


@normative("3.8.4-3")
def test_a_session_keeps_the_options_of_its_subscriptions(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(
        Subscription(topic, 1, no_local=True, retain_as_published=True), subscription_ids=(7,)
    )
    first.leave()
    second = guests.connect("a", clean=False, present=True)
    second.publish(topic, b"own")
    guests.connect().publish(topic, b"1", retain=True)
    packet = second.message(topic, b"1", 1, retain=True)
    assert packet.properties.subscription_ids == (7,)
    guests.connect().publish(topic, b"", retain=True)


def test_what_was_unsubscribed_stays_so(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, f"{topic}/b", qos=1)
    first.unsubscribe(topic)
    first.leave()
    sender = guests.connect()
    sender.publish(topic, b"1")
    sender.publish(f"{topic}/b", b"2")
    guests.connect("a", clean=False, present=True).message(f"{topic}/b", b"2", 1)


@normative("4.3.3-10")
def test_an_inbound_identifier_outlives_the_connection(guests: Guests, topic: str) -> None:
    """The client has not had PUBREC, sends again, and nobody gets it twice."""
    watcher = guests.connect()
    watcher.subscribe(topic)
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.send(Publish(topic, b"once", 2, packet_id=7))
    first.expect(Ack(PUBREC, 7))
    first.drop()
    second = guests.connect("a", clean=False, present=True)
    second.send(Publish(topic, b"once", 2, dup=True, packet_id=7))
    second.expect(Ack(PUBREC, 7))
    guests.connect().publish(topic, b"end", 0)
    watcher.message(topic, b"once")
    watcher.message(topic, b"end")


@normative("3.1.2-5")
def test_coming_and_going_faster_than_the_disk(guests: Guests, topic: str) -> None:
    """What was acknowledged on one connection is acknowledged on the next."""
    sender = guests.connect()
    client = guests.connect("a", clean=False, session_expiry_s=HOUR_S)
    client.subscribe(topic, qos=1)
    for number in range(20):
        sender.publish(topic, b"%d" % number)
        client.message(topic, b"%d" % number, 1)
        client.quiet()
        client.drop()
        guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S).drop()
        client = guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S)
    client.quiet()
