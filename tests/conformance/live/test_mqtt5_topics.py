"""Topics, wildcards, shared subscriptions (MQTT 5.0 sections 1.5.4, 4.7, 4.8)."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import PUBACK, Ack, Publish, Subscription
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.normative import normative

HOUR_S = 3600
TOPIC_INVALID = 0x90


@pytest.fixture
def sender(guests: Guests) -> Conversation:
    return guests.connect("sender")


@normative("4.7.1-1", "4.7.1-2", "4.7.0-1", "3.3.2-3")
@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("{}/a/#", ["{}/a", "{}/a/", "{}/a/b", "{}/a/b/c"], ["{}", "{}/ab", "{}/b"]),
        ("{}/+", ["{}/", "{}/a"], ["{}", "{}/a/", "{}/a/b"]),
        ("{}/+/c", ["{}/a/c", "{}//c"], ["{}/c", "{}/a/b/c", "{}/a/c/"]),
        ("{}/+/+", ["{}/a/b", "{}//"], ["{}/a", "{}/a/b/c"]),
        ("{}/+/#", ["{}/", "{}/a", "{}/a/b/c"], ["{}"]),
        ("{}", ["{}"], ["{}/", "{}/a"]),
        ("{}/", ["{}/"], ["{}", "{}//"]),
        ("{}//a", ["{}//a"], ["{}/a"]),
        ("/{}", ["/{}"], ["{}", "{}/"]),
        ("+/{}", ["/{}", "a/{}"], ["{}", "a/b/{}"]),
        ("/+/{}", ["/a/{}", "//{}"], ["a/{}"]),
    ],
)
def test_matching(
    guests: Guests,
    sender: Conversation,
    topic: str,
    text: str,
    matching: list[str],
    other: list[str],
) -> None:
    client = guests.connect("a")
    assert client.subscribe(text.format(topic), qos=1) == [1]
    for name in [*other, *matching]:
        sender.publish(name.format(topic), name.encode())
    for name in matching:
        client.message(name.format(topic), name.encode(), 1)
    client.quiet()


@normative("4.7.3-4", "1.5.4-3")
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Abc", "abc"),
        ("\u00c5", "A\u030a"),
        ("\ufb01", "fi"),
        ("\ufeffa", "a"),
        (" a", "a"),
        ("a ", "a"),
        ("a%2Fb", "a/b"),
        (".", ""),
        ("*", "a"),
        ("\U0001f600", "\ufffd"),
    ],
)
def test_names_are_compared_as_they_are(
    guests: Guests, sender: Conversation, topic: str, name: str, other: str
) -> None:
    client = guests.connect("a")
    assert client.subscribe(f"{topic}/{name}", qos=1) == [1]
    sender.publish(f"{topic}/{other}", b"other")
    sender.publish(f"{topic}/{name}", b"1")
    client.message(f"{topic}/{name}", b"1", 1)
    client.quiet()


@normative("4.7.2-1")
def test_wildcards_do_not_begin_with_a_dollar(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    client = guests.connect("a")
    asked = [Subscription(text, 1, retain_handling=2) for text in ("#", "+/a", "+/broker/#")]
    client.subscribe(*asked)
    sender.publish(f"${topic}/a", b"1", retain=True)
    sender.publish(f"{topic}/$a", b"2")
    client.message(f"{topic}/$a", b"2", 1)
    client.quiet()
    late = guests.connect("b")
    late.subscribe("+/a", "+/broker/version", qos=1)
    late.quiet()
    late.subscribe(f"${topic}/+", qos=1)
    late.message(f"${topic}/a", b"1", 1, retain=True)
    late.subscribe("$SYS/broker/version")
    assert late.take(Publish).topic == "$SYS/broker/version"
    sender.publish(f"${topic}/a", b"", retain=True)


@normative("4.7.3-3")
def test_names_that_are_too_long(sender: Conversation) -> None:
    """Ours are shorter than the standard's longest; more is answered, not cut."""
    for name in ("x" * 1025, "x" * 0xFFFF, "/" * 200):
        assert sender.publish(name, b"1") == TOPIC_INVALID
        assert sender.subscribe(name)[0] >= 0x80
    sender.quiet()


@normative("4.7.3-1")
def test_the_shortest_names(guests: Guests, sender: Conversation) -> None:
    client = guests.connect("a")
    assert client.subscribe("/", " ", "z", qos=1) == [1, 1, 1]
    for name in ("/", " ", "z"):
        sender.publish(name, b"1")
        client.message(name, b"1", 1)


# ---- shared subscriptions ----


@normative("4.8.2-1", "4.8.2-2", "4.8.2-3")
def test_one_member_gets_it(guests: Guests, sender: Conversation, topic: str) -> None:
    members = [guests.connect(name) for name in "ab"]
    plain = guests.connect("plain")
    plain.subscribe(topic, qos=1)
    for qos, member in enumerate(members):
        assert member.subscribe(f"$share/group/{topic}", qos=qos) == [qos]
    for number in range(10):
        sender.publish(topic, b"%d" % number)
        plain.message(topic, b"%d" % number, 1)
    got = [_until_end(member, topic, qos) for qos, member in enumerate(members)]
    assert sorted(got[0] + got[1], key=int) == [b"%d" % number for number in range(10)]
    assert got[0]
    assert got[1]


def _until_end(member: Conversation, topic: str, qos: int) -> list[bytes]:
    """The payloads that have come, each at this quality of service, in their order."""
    member.subscribe(f"{topic}/end")
    member.publish(f"{topic}/end", b"", 0)
    found: list[bytes] = []
    while True:
        packet = member.take(Publish)
        if packet.topic != topic:
            return found
        assert packet.qos == qos
        member.acknowledge(packet)
        found.append(packet.payload)


@normative("4.8.2-1")
def test_groups_are_told_apart_by_name_and_filter(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    asked = (f"$share/a/{topic}", f"$share/b/{topic}", f"$share/a/{topic}/#")
    members = [guests.connect(f"m{number}") for number in range(3)]
    for member, text in zip(members, asked, strict=True):
        member.subscribe(text, qos=1)
    sender.publish(topic, b"1")
    for member in members:
        member.message(topic, b"1", 1)
        member.quiet()


def test_a_shared_subscription_beside_a_plain_one(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """Section 4.8.2: they are two subscriptions, each delivers."""
    client = guests.connect("a")
    client.subscribe(topic, qos=1, subscription_ids=(1,))
    client.subscribe(f"$share/g/{topic}", qos=1, subscription_ids=(2,))
    sender.publish(topic, b"1")
    found = [client.message(topic, b"1", 1).properties.subscription_ids for _ in range(2)]
    assert sorted(found) == [(1,), (2,)]
    client.quiet()


def test_a_shared_subscription_gets_nothing_retained(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """Section 4.8.2: no retained messages when it is made."""
    sender.publish(topic, b"1", retain=True)
    client = guests.connect("a")
    client.subscribe(f"$share/g/{topic}", qos=1)
    client.quiet()
    sender.publish(topic, b"", retain=True)


def test_unsubscribing_from_a_shared_subscription(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    members = [guests.connect(name) for name in "ab"]
    for member in members:
        member.subscribe(f"$share/g/{topic}", qos=1)
    assert members[0].unsubscribe(f"$share/g/{topic}") == [0]
    for number in range(3):
        sender.publish(topic, b"%d" % number)
        members[1].message(topic, b"%d" % number, 1)
    members[0].quiet()


@normative("4.8.2-4")
@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_in_flight_stays_with_its_member(
    guests: Guests, sender: Conversation, topic: str, qos: int
) -> None:
    one = guests.connect("one", session_expiry_s=HOUR_S)
    one.subscribe(f"$share/g/{topic}", qos=2)
    sender.publish(topic, b"1", qos)
    packet = one.message(topic, b"1", qos, acknowledge=False)
    other = guests.connect("other")
    other.subscribe(f"$share/g/{topic}", qos=2)
    one.drop()
    one = guests.connect("one", clean=False, present=True)
    assert one.message(topic, b"1", qos, dup=True).packet_id == packet.packet_id
    other.quiet()


@normative("4.8.2-5")
def test_what_is_in_flight_ends_with_its_member(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """QoS 2; for QoS 1 the standard lets it go to another."""
    one, other = guests.connect("one"), guests.connect("other")
    one.subscribe(f"$share/g/{topic}", qos=2)
    sender.publish(topic, b"1", 2)
    one.message(topic, b"1", 2, acknowledge=False)
    other.subscribe(f"$share/g/{topic}", qos=2)
    one.leave()
    sender.publish(topic, b"2", 2)
    other.message(topic, b"2", 2)
    other.quiet()


@normative("4.8.2-6")
def test_what_a_member_refuses_goes_to_nobody(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    one, other = guests.connect("one"), guests.connect("other")
    one.subscribe(f"$share/g/{topic}", qos=1)
    sender.publish(topic, b"1")
    packet = one.message(topic, b"1", 1, acknowledge=False)
    other.subscribe(f"$share/g/{topic}", qos=1)
    one.send(Ack(PUBACK, packet.packet_id, 0x83))
    one.quiet()
    other.quiet()
