"""Retained messages (3.3.1.3, 3.8.3.1, 3.8.4): the last of a topic, for who comes later."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_packets import Subscription
from tests.conformance.client import Client, properties
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative


def watch(clients: Clients, *asked: str | Subscription, qos: int = 2) -> Client:
    watcher = clients.connect()
    watcher.subscribe(*asked, qos=qos)
    return watcher


@normative("3.3.1-5", "3.3.1-9", "3.3.1-12")
@normative(old=("3.3.1-7", "3.1.2-7", "3.3.1-5", "3.3.1-6", "3.3.1-8", "3.3.1-9"))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_last_retained_message_is_kept(clients: Clients, topic: str, qos: int) -> None:
    """Who has listened gets all without the flag, who comes later the last with it."""
    reader, writer = watch(clients, topic), clients.connect()
    for payload in (b"first", b"second"):
        writer.publish(topic, payload, qos, retain=True)
        reader.message(topic, payload, qos, retain=False)
    late = watch(clients, topic)
    late.message(topic, b"second", qos, retain=True)
    late.quiet()
    writer.publish(topic, b"", retain=True)


@normative("3.3.1-6", "3.3.1-7", old=("3.3.1-10", "3.3.1-11"))
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_empty_payload_removes_what_is_retained(clients: Clients, topic: str, qos: int) -> None:
    writer = clients.connect()
    writer.publish(topic, b"x", qos, retain=True)
    live = watch(clients, topic)
    live.message(topic, b"x", qos, retain=True)
    writer.publish(topic, b"", qos, retain=True)
    live.message(topic, b"", qos, retain=False)
    watch(clients, topic).quiet()


@normative("3.3.1-8", old=("3.3.1-12",))
@pytest.mark.parametrize("payload", [b"passing", b""])
def test_what_is_not_retained_leaves_what_is(clients: Clients, topic: str, payload: bytes) -> None:
    writer = clients.connect()
    writer.publish(topic, b"kept", retain=True)
    writer.publish(topic, payload)
    writer.publish(f"{topic}/new", b"passing")
    reader = watch(clients, f"{topic}/#")
    reader.message(topic, b"kept", 1, retain=True)
    reader.quiet()
    writer.publish(topic, b"", retain=True)


@normative("3.3.1-12", "3.3.1-13", "3.3.1-7")
def test_retain_as_published(five: Clients, topic: str) -> None:
    writer = five.connect()
    plain = watch(five, Subscription(topic, 1))
    published = watch(five, Subscription(topic, 1, retain_as_published=True))
    for payload, retain in ((b"1", True), (b"1", False), (b"", True)):
        writer.publish(topic, payload, retain=retain)
        plain.message(topic, payload, 1, retain=False)
        published.message(topic, payload, 1, retain=retain)


@normative("3.3.1-9", "3.8.4-4", old=("3.3.1-8", "3.8.4-3"))
def test_they_are_sent_at_every_subscribe(clients: Clients, topic: str) -> None:
    """Retain Handling 0; nothing else is there before 5.0."""
    clients.connect().publish(topic, b"1", retain=True)
    reader = clients.connect()
    for _ in range(2):
        reader.subscribe(topic, qos=1)
        reader.message(topic, b"1", 1, retain=True)
    reader.quiet()
    clients.connect().publish(topic, b"", retain=True)


@normative("3.3.1-10", "3.8.4-4", "3.3.1-9")
def test_retain_handling_1_sends_to_a_new_subscription(five: Clients, topic: str) -> None:
    """Not at the second subscribe, and not in the next connection of the session."""
    writer, reader = five.connect(), five.keep("a")
    writer.publish(topic, b"kept", retain=True)
    asked = Subscription(topic, 1, retain_handling=1)
    reader.subscribe(asked)
    reader.message(topic, b"kept", 1, retain=True)
    reader.subscribe(asked)
    reader.quiet()
    reader.disconnect()
    reader = five.back("a")
    reader.subscribe(asked)
    reader.quiet()
    reader.unsubscribe(topic)
    reader.subscribe(asked)
    reader.message(topic, b"kept", 1, retain=True)
    reader.subscribe(Subscription(topic, 1, retain_handling=0))
    reader.message(topic, b"kept", 1, retain=True)
    writer.publish(topic, b"", retain=True)


@normative("3.3.1-11")
def test_retain_handling_2_sends_nothing(five: Clients, topic: str) -> None:
    writer = five.connect()
    writer.publish(topic, b"kept", retain=True)
    reader = watch(five, Subscription(topic, 1, retain_handling=2))
    reader.quiet()
    writer.publish(topic, b"live")
    reader.message(topic, b"live", 1)
    writer.publish(topic, b"", retain=True)


@normative("3.8.4-8", old=("3.8.4-6",))
def test_they_have_the_lower_quality(clients: Clients, topic: str) -> None:
    writer = clients.connect()
    for qos in range(3):
        writer.publish(topic, b"1", qos, retain=True)
        for granted in range(3):
            reader = watch(clients, topic, qos=granted)
            reader.message(topic, b"1", min(qos, granted), retain=True)
    writer.publish(topic, b"", retain=True)


@normative("3.3.1-9", old=("3.3.1-6",))
@pytest.mark.parametrize(
    ("text", "expected"), [("#", ["", "a", "a/b", "a/c", "d"]), ("+/+", ["a/b", "a/c"])]
)
def test_all_of_a_wildcard(clients: Clients, topic: str, text: str, expected: list[str]) -> None:
    writer = clients.connect()
    names = [f"{topic}/{name}" for name in ("", "a", "a/b", "a/c", "d")]
    for name in names:
        writer.publish(name, name.encode(), retain=True)
    reader = watch(clients, f"{topic}/{text}")
    found = [reader.take() for _ in expected]
    assert sorted(packet.topic for packet in found) == [f"{topic}/{name}" for name in expected]
    assert all(packet.retain and packet.payload == packet.topic.encode() for packet in found)
    reader.quiet()
    for name in names:
        writer.publish(name, b"", retain=True)


@normative("3.3.2-4", "3.3.2-17", "3.3.2-18")
def test_they_keep_their_properties(five: Clients, topic: str) -> None:
    writer = five.connect()
    said: dict[str, Any] = {"content_type": "a/b", "user": (("b", "1"), ("a", "2"))}
    writer.publish(topic, b"x", 1, retain=True, **said)
    assert watch(five, topic).message(topic, b"x", 1, retain=True).properties == properties(**said)
    writer.publish(topic, b"", retain=True)


def test_they_are_not_sent_on_resume(clients: Clients, topic: str) -> None:
    first, writer = clients.keep("a"), clients.connect()
    first.subscribe(topic)
    writer.publish(topic, b"kept", retain=True)
    first.message(topic, b"kept", 1)
    first.disconnect()
    clients.back("a").quiet()
    writer.publish(topic, b"", retain=True)


@normative("3.3.1-9", "3.1.2-23", "4.9.0-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_those_that_wait_for_room_are_owed_by_the_session(
    five: Clients, topic: str, qos: int
) -> None:
    """And are what is retained when they come: what has changed comes as any publication."""
    writer = five.connect()
    for name in "abcd":
        writer.publish(f"{topic}/{name}", b"old", 2, retain=True)
    first = five.keep("a", receive_maximum=1)
    first.subscribe(f"{topic}/#", qos=qos)
    first.message(f"{topic}/a", b"old", qos, retain=True, answer=False)
    first.drop()
    writer.publish(f"{topic}/b", b"", 2, retain=True)
    writer.publish(f"{topic}/c", b"new", 2, retain=True)
    second = five.back("a")
    second.message(f"{topic}/a", b"old", qos, retain=True, dup=True)
    second.message(f"{topic}/d", b"old", qos, retain=True)
    second.message(f"{topic}/b", b"", qos)
    second.message(f"{topic}/c", b"new", qos)
    second.quiet()
    second.disconnect()
    five.back("a").quiet()
    for name in "acd":
        writer.publish(f"{topic}/{name}", b"", retain=True)


@normative("3.10.4-2", "3.1.2-23")
def test_those_that_wait_for_room_go_with_their_subscription(five: Clients, topic: str) -> None:
    writer = five.connect()
    for name in "abc":
        writer.publish(f"{topic}/{name}", b"1", retain=True)
    first = five.keep("a", receive_maximum=1)
    first.subscribe(f"{topic}/#", qos=1)
    first.message(f"{topic}/a", b"1", 1, retain=True, answer=False)
    first.unsubscribe(f"{topic}/#")
    first.drop()
    second = five.back("a")
    second.message(f"{topic}/a", b"1", 1, retain=True, dup=True)
    second.quiet()
    for name in "abc":
        writer.publish(f"{topic}/{name}", b"", retain=True)
