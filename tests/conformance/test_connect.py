"""CONNECT and CONNACK (3.1, 3.2): who is let in, as whom, and what is promised."""

from __future__ import annotations

import string
from typing import Any

import pytest

from reddot.codecs.mqtt_encode import encode_connect, encode_publish
from reddot.codecs.mqtt_packets import (
    Connack,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Will,
)
from tests.conformance.client import Client
from tests.conformance.conftest import HOST, Clients
from tests.conformance.links import TcpPlace
from tests.conformance.malformed import connect
from tests.conformance.normative import normative
from tests.integration.server import Server

ALPHANUMERIC = string.digits + string.ascii_letters


@normative("3.1.4-5", "3.2.0-1", "3.2.2-8", "3.2.2-1", old=("3.1.4-4", "3.2.0-1"))
def test_the_first_answer_is_connack(clients: Clients) -> None:
    client = clients.connect()
    assert client.connack.reason == 0
    client.quiet()


@normative("3.1.4-5", "3.2.0-1", "4.2-1", old=("3.1.4-4",))
def test_what_is_sent_before_connack_is_done_after_it(clients: Clients, topic: str) -> None:
    listener, client = clients.connect(), clients.open()
    listener.subscribe(topic)
    wanted = Subscribe(5, (Subscription(f"{topic}/x", 1),))
    client.send(clients.asks(), Pingreq(), wanted, Publish(topic, b"early"))
    assert client.receive(Connack).reason == 0
    client.expect(Pingresp(), Suback(5, (1,)))
    listener.message(topic, b"early")


@normative("3.2.0-1", old=("3.2.0-1",))
def test_connack_comes_before_what_was_missed(clients: Clients, topic: str) -> None:
    first = clients.keep("a")
    first.subscribe(topic)
    first.drop()
    clients.connect().publish(topic, b"missed")
    clients.back("a").message(topic, b"missed", 1)


@normative("3.1.0-2", "3.2.0-2", old=("3.1.0-2",))
def test_a_second_connect_ends_the_connection(clients: Clients) -> None:
    client = clients.connect("a")
    client.send(clients.asks("a"))
    client.closed(0x82)


@normative("3.1.0-1", old=("3.1.0-1",))
def test_another_first_packet(clients: Clients, topic: str) -> None:
    client = clients.open()
    client.send(encode_publish(clients.level, topic, b"x"))
    client.turned_away()


@normative("3.1.2-1", old=("3.1.2-1",))
@pytest.mark.parametrize("start", [b"\x00\x04MQXX\x04", b"\x00\x06MQIsdp\x04", b"\x00\x04mqtt\x04"])
def test_another_protocol_name(four: Clients, start: bytes) -> None:
    _begin(four, start).turned_away(1)


@normative("3.1.2-2")
@pytest.mark.parametrize("level", [6, 127, 255])
def test_a_later_version(five: Clients, level: int) -> None:
    client = _begin(five, b"\x00\x04MQTT" + bytes((level,)), b"\x00")
    assert client.receive(Connack).reason == 0x84
    client.closed()


@normative("3.1.2-2", old=("3.1.2-2", "3.2.2-5"))
@pytest.mark.parametrize("level", [0, 1, 3])
def test_an_earlier_version(four: Clients, level: int) -> None:
    client = _begin(four, b"\x00\x04MQTT" + bytes((level,)))
    assert client.receive(Connack).reason == 1
    client.closed()


def _begin(clients: Clients, start: bytes, behind: bytes = b"") -> Client:
    """A client that has sent a CONNECT with this name and level."""
    body = start + b"\x02\x00\x0a" + behind + b"\x00\x01a"
    client = clients.open()
    client.send(bytes((0x10, len(body))) + body)
    return client


@normative("3.2.2-1", "2.2.2-1", "3.2.2-2", "3.2.2-3", old=("3.2.2-1", "3.2.2-2", "3.2.2-3"))
def test_the_flags_of_connack(clients: Clients) -> None:
    for make, flags in ((clients.connect, 0), (clients.keep, 0), (clients.back, 1)):
        client = make("a")
        assert client.raw[0] == 0x20
        assert client.raw[2:4] == bytes((flags, 0))
        client.disconnect()


# ---- identifiers ----


@normative("3.1.3-5", "3.1.3-3", old=("3.1.3-5",))
@pytest.mark.parametrize("length", [1, 22, 23])
def test_client_identifiers_that_must_be_allowed(clients: Clients, length: int) -> None:
    for start in range(0, len(ALPHANUMERIC), length):
        name = (ALPHANUMERIC + ALPHANUMERIC)[start : start + length]
        clients.connect(client_id=name).disconnect()


@normative("3.1.3-4")
@pytest.mark.parametrize("name", ["é", "a/b", "a b", "日本", "+", "#", "$SYS", "a" * 100])
def test_more_client_identifiers_than_must_be(clients: Clients, name: str) -> None:
    clients.connect(client_id=name).disconnect()


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"a\xc3"])
def test_ill_formed_client_identifiers(clients: Clients, raw: bytes) -> None:
    client = clients.open()
    client.send(connect(2, len(raw).to_bytes(2, "big") + raw, level=clients.level))
    client.turned_away()


@normative("3.1.3-6", "3.1.3-7", "3.2.2-16")
def test_an_identifier_is_assigned(five: Clients) -> None:
    given = [five.connect().connack.properties.assigned_client_id for _ in range(5)]
    assert all(given)
    assert len(set(given)) == 5


@normative("3.1.3-7")
def test_an_assigned_identifier_can_be_used_again(five: Clients) -> None:
    first = five.connect(session_expiry_s=60)
    given = first.connack.properties.assigned_client_id
    assert given
    first.disconnect()
    five.back(client_id=given)


@normative(old=("3.1.3-6", "3.1.3-7"))
def test_clients_without_identifier(four: Clients, topic: str) -> None:
    one, other = four.connect(), four.connect()
    one.subscribe(topic)
    other.publish(topic, b"hello")
    one.message(topic, b"hello", 1)
    other.quiet()


@normative(old=("3.1.3-7", "3.1.3-8", "3.1.3-9", "3.2.2-4", "3.2.2-5"))
def test_no_identifier_and_no_clean_session(four: Clients) -> None:
    client = four.open()
    assert client.connect(four.asks(clean_start=False)) == Connack(reason=2)
    client.closed()


@normative("3.1.3-8", "3.2.2-6", "3.2.2-7", "4.13.2-1", old=("3.1.3-9",))
@pytest.mark.parametrize("length", [2000, 5000])
def test_a_client_identifier_that_is_too_long(clients: Clients, length: int) -> None:
    client = clients.open()
    answer = client.connect(clients.asks(client_id="c" * length))
    assert answer.reason == (0x85 if clients.level == 5 else 2)
    assert not answer.session_present
    client.closed()


# ---- what is said, and what is promised ----


@normative("3.1.3-1", "3.1.3-3", "3.1.3-11", "3.1.3-12", old=("3.1.3-1",))
def test_connect_with_every_field(clients: Clients, topic: str) -> None:
    reader = clients.connect()
    reader.subscribe(topic)
    five: dict[str, Any] = {
        "session_expiry_s": 0,
        "receive_maximum": 5,
        "maximum_packet_bytes": 1000,
        "topic_alias_maximum": 5,
        "request_response_information": 1,
        "request_problem_information": 1,
        "user": (("a", "1"), ("a", "2")),
    }
    clients.connect(
        "a",
        keep_alive_s=60,
        username="someone",
        password=b"\x00\xff",
        will=Will(topic=topic, payload=b"will", qos=1),
        **(five if clients.level == 5 else {}),
    ).drop()
    reader.message(topic, b"will", 1)


@normative("3.2.2-9", "3.2.2-10", "3.2.2-8", "3.2.2-12", "3.2.2-13")
def test_connack_takes_nothing_back(five: Clients, topic: str) -> None:
    """All qualities, retain, wildcards and the rest are there, so it need not say so."""
    client = five.connect("a", will=Will(topic=topic, payload=b"", qos=2, retain=True))
    said = client.connack.properties
    assert said.maximum_qos is None
    for available in (
        said.retain_available,
        said.wildcard_available,
        said.subscription_ids_available,
        said.shared_available,
    ):
        assert available in (None, 1)
    assert said.receive_maximum is None or said.receive_maximum > 0
    assert said.assigned_client_id is None
    assert client.subscribe(topic, qos=2) == (2,)


@normative("3.1.2-28")
@pytest.mark.parametrize("wanted", [None, 0])
def test_no_response_information_unless_asked(five: Clients, wanted: int | None) -> None:
    client = five.connect(request_response_information=wanted)
    assert client.connack.properties.response_information is None


@normative("3.2.2-21", "3.2.2-22", "3.1.2-21")
def test_a_keep_alive_that_is_lowered_is_said(five: Clients) -> None:
    assert five.connect(keep_alive_s=60).connack.properties.server_keep_alive_s is None
    asked = 65_535
    given = five.connect(keep_alive_s=asked).connack.properties.server_keep_alive_s
    assert given is not None
    assert 0 < given < asked


def test_no_keep_alive_is_accepted(clients: Clients) -> None:
    clients.connect(keep_alive_s=0).quiet()


@normative("3.1.4-6", "3.2.2-6", "3.2.2-7", old=("3.1.4-5",))
def test_nothing_behind_a_refused_connect_is_done(clients: Clients, topic: str) -> None:
    listener, client = clients.connect(), clients.open()
    listener.subscribe(topic)
    mistake = connect(0x03, b"\x00\x00", level=clients.level)
    client.send(mistake, encode_publish(clients.level, topic, b"x"), Pingreq())
    client.turned_away()
    listener.quiet()


@normative("3.2.2-19", "3.2.2-20", "3.1.2-24")
@pytest.mark.parametrize("most", [12, 40])
def test_connack_fits_what_the_client_takes(five: Clients, most: int) -> None:
    """One that says no has a reason to tell, one that says yes much more."""
    refused = five.open()
    asked = five.asks("a", authentication_method="unknown", maximum_packet_bytes=most)
    assert refused.connect(asked).reason in (0x87, 0x8C)
    assert len(refused.raw) <= most
    refused.closed()
    taken = five.open()
    taken.send(encode_connect(five.asks("b", maximum_packet_bytes=most)))
    assert len(taken.link.receive()) <= most


def test_the_http_port_speaks_mqtt(broker: Server, topic: str) -> None:
    """By its first byte, which no HTTP request begins with."""
    with Clients(TcpPlace(HOST, broker.port), 5) as five:
        client = five.connect()
        client.subscribe(topic)
        client.publish(topic, b"1")
        client.message(topic, b"1", 1)
