"""Topics and filters (1.5.4, 4.7): what matches, and what is none."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import Disconnect, Suback, Subscribe, Subscription, Unsubscribe
from tests.conformance.conftest import Clients
from tests.conformance.normative import normative

FILTER_INVALID = 0x8F
TOPIC_INVALID = 0x90


@normative("4.7.1-1", "4.7.1-2", "4.7.0-1", "3.3.2-3", old=("4.7.1-1", "3.3.2-3"))
@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("{}/a/#", ["{}/a", "{}/a/", "{}/a/b", "{}/a/b/c"], ["{}", "{}/ab", "{}/b"]),
        ("{}/+", ["{}/", "{}/a"], ["{}", "{}/a/", "{}/a/b"]),
        ("{}/+/c", ["{}/a/c", "{}//c"], ["{}/c", "{}/a/b/c", "{}/a/c/"]),
        ("{}/+/+", ["{}/a/b", "{}//"], ["{}/a", "{}/a/b/c"]),
        ("{}/+/#", ["{}/", "{}/a", "{}/a/b/c"], ["{}"]),
        ("{}/+/+/#", ["{}/a/b", "{}/a/b/c"], ["{}/a"]),
        ("{}/a b/+", ["{}/a b/c d"], ["{}/a/c d"]),
        ("{}", ["{}"], ["{}/", "{}/a"]),
        ("{}/a", ["{}/a"], ["{}/A", "{}//a"]),
        ("{}/", ["{}/"], ["{}", "{}//"]),
        ("{}//a", ["{}//a"], ["{}/a"]),
        ("/{}", ["/{}"], ["{}", "{}/"]),
        ("+/{}", ["/{}", "a/{}"], ["{}", "a/b/{}"]),
        ("/+/{}", ["/a/{}", "//{}"], ["a/{}"]),
    ],
)
def test_matching(
    clients: Clients, topic: str, text: str, matching: list[str], other: list[str]
) -> None:
    reader, writer = clients.connect(), clients.connect()
    assert reader.subscribe(text.format(topic), qos=1) == (1,)
    for name in [*other, *matching]:
        writer.publish(name.format(topic), name.encode())
    for name in matching:
        reader.message(name.format(topic), name.encode(), 1)
    reader.quiet()


@normative("4.7.1-2", old=("4.7.1-2",))
def test_a_hash_matches_its_parent(clients: Clients, topic: str) -> None:
    """Retained and live."""
    reader, writer = clients.connect(), clients.connect()
    writer.publish(f"{topic}/a", b"kept", retain=True)
    reader.subscribe(f"{topic}/a/#")
    reader.message(f"{topic}/a", b"kept", 1, retain=True)
    writer.publish(f"{topic}/a", b"1")
    reader.message(f"{topic}/a", b"1", 1)
    writer.publish(f"{topic}/a", b"", retain=True)


@normative("4.7.3-4", "1.5.4-3", old=("4.7.3-4", "1.5.3-3"))
@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("Abc", ["abc"]),
        ("\u00c5", ["A\u030a", "\u00e5"]),
        ("e\u0301", ["\u00e9", "e"]),
        ("\ufb01", ["fi"]),
        ("\ufeffa", ["a"]),
        (" a", ["a", "  a"]),
        ("a ", ["a"]),
        ("a b", ["a  b", "ab"]),
        ("a%2Fb", ["a/b"]),
        ("//", ["/", ""]),
        (".", [""]),
        ("*", ["a"]),
        ("\U0001f600", ["\ufffd"]),
    ],
)
def test_names_are_compared_as_they_are(
    clients: Clients, topic: str, name: str, others: list[str]
) -> None:
    reader, writer = clients.connect(), clients.connect()
    assert reader.subscribe(f"{topic}/{name}", qos=1) == (1,)
    for other in others:
        writer.publish(f"{topic}/{other}", b"other")
    writer.publish(f"{topic}/{name}", b"same")
    reader.message(f"{topic}/{name}", b"same", 1)
    reader.quiet()


@normative("4.7.2-1", old=("4.7.2-1",))
@pytest.mark.parametrize("retain", [True, False])
def test_wildcards_do_not_reach_topics_of_the_server(
    clients: Clients, topic: str, retain: bool
) -> None:
    """Those that begin with `$`, that is; a level within may."""
    reader, writer = clients.connect(), clients.connect()
    own = topic.replace("/", "-")
    wild = ("#", "+/#", f"+/{own}", f"+/{own}/#", "+/broker/version", "+/broker/#")
    assert reader.subscribe(*wild, f"{topic}/$a") == (2,) * 7
    writer.publish(f"$own/{own}", b"x", retain=retain)
    writer.publish(f"{topic}/$a", b"end")
    # What other tests have retained or publish may come.
    while (found := reader.take()).topic != f"{topic}/$a":
        assert not found.topic.startswith("$")
    if retain:
        reader.subscribe(f"$own/{own}/#")
        while (found := reader.take()).topic != f"$own/{own}":
            assert not found.topic.startswith("$")
        writer.publish(f"$own/{own}", b"", retain=True)


def test_the_servers_own_topics(clients: Clients) -> None:
    client = clients.connect()
    client.subscribe("$SYS/broker/version")
    assert client.take().topic == "$SYS/broker/version"


@normative("4.7.3-3")
def test_names_that_are_too_long(five: Clients) -> None:
    """Ours are shorter than the standard's longest; more is answered, not cut."""
    client = five.connect()
    for name in ("x" * 1025, "x" * 0xFFFF, "/" * 200):
        client.publish(name, b"1", refused=TOPIC_INVALID)
        assert client.subscribe(name)[0] >= 0x80
    client.quiet()


@normative("4.7.3-1", old=("4.7.3-1",))
@pytest.mark.parametrize("name", ["/", " ", "z"])
def test_the_shortest_names(clients: Clients, name: str) -> None:
    client = clients.connect()
    assert client.subscribe(name, qos=1) == (1,)
    client.publish(name, b"1")
    client.message(name, b"1", 1)


MISPLACED = ("a#", "#/a", "a/#/b", "a/b#", "#a", "##", "a+", "+a", "+a/b", "a/+b", "a/b+/c")
NOT_SHARED = (
    "$share/a",
    "$share//a",
    "$share/a/",
    "$share/+/a",
    "$share/#/a",
    "$share/a+/b",
    "$share/a/b#",
)


@normative("3.8.4-5", "3.8.4-7", "3.9.3-1", "4.7.1-1", "4.7.1-2", old=("4.7.1-2", "4.7.1-3"))
@pytest.mark.parametrize("bad", MISPLACED)
def test_a_filter_with_a_wildcard_in_the_wrong_place(
    clients: Clients, topic: str, bad: str
) -> None:
    """A failure in its place, or the end of the connection; never a subscription."""
    client = clients.connect()
    client.send(Subscribe(7, (Subscription(topic, 1), Subscription(bad, 1))))
    answer = client.next_or_end()
    if isinstance(answer, Suback):
        assert answer.reasons == (1, FILTER_INVALID if clients.level == 5 else 0x80)
        client.quiet()
    else:
        assert answer is None or isinstance(answer, Disconnect)


@normative("3.8.4-7", "4.8.2-1", "4.8.2-2")
@pytest.mark.parametrize("bad", NOT_SHARED)
def test_a_shared_subscription_that_is_none(five: Clients, bad: str) -> None:
    client = five.connect()
    client.send(Subscribe(7, (Subscription(bad, 1),)))
    answer = client.next_or_end()
    if isinstance(answer, Suback):
        assert answer.reasons == (FILTER_INVALID,)
        client.quiet()
    else:
        assert answer is None or isinstance(answer, Disconnect)


@normative("4.7.1-1", "4.7.1-2", "4.13.1-1")
@normative(old=("4.7.1-2", "4.7.1-3", "4.8.0-1"))
@pytest.mark.parametrize("bad", MISPLACED)
def test_an_unsubscribe_with_such_a_filter(clients: Clients, topic: str, bad: str) -> None:
    """The end of the connection, with nothing unsubscribed."""
    client = clients.keep("a")
    client.subscribe(topic)
    client.send(Unsubscribe(7, (topic, bad)))
    client.closed(0x81)
    client = clients.back("a")
    clients.connect().publish(topic, b"1")
    client.message(topic, b"1", 1)


@normative("4.8.2-1", "4.8.2-2", "4.13.1-1")
@pytest.mark.parametrize("bad", NOT_SHARED)
def test_an_unsubscribe_from_a_share_that_is_none(five: Clients, bad: str) -> None:
    client = five.connect()
    client.send(Unsubscribe(7, (bad,)))
    client.closed(0x81)


def test_before_5_0_nothing_is_shared(four: Clients) -> None:
    four.connect().unsubscribe("$share/a", "$share/+/a")
