"""CONNECT and CONNACK (MQTT 5.0 sections 3.1 and 3.2)."""

from __future__ import annotations

import string

import msgspec
import pytest

from reddot.codecs.mqtt_packets import (
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Will,
)
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import Tcp
from tests.conformance.normative import normative
from tests.integration.server import Server
from tests.integration.tokens import user_token

HOUR_S = 3600
ALPHANUMERIC = string.digits + string.ascii_letters
PIPELINED_ID = 5


@normative("3.1.4-5", "3.2.0-1", "4.2-1")
def test_connack_comes_first(guests: Guests, topic: str) -> None:
    """A client may send on before it has its answer."""
    client = guests.open()
    wanted = Subscribe(PIPELINED_ID, (Subscription(topic, 1),))
    client.send(guests.asks("a"), Pingreq(), wanted, Publish(topic, b"1", 0))
    assert client.take(Connack).reason == 0
    client.expect(Pingresp())
    client.await_(lambda packet: packet == Suback(PIPELINED_ID, (1,)))


@normative("3.2.0-1")
def test_connack_comes_before_what_was_missed(guests: Guests, topic: str) -> None:
    first = guests.connect("a", session_expiry_s=HOUR_S)
    first.subscribe(topic, qos=1)
    first.drop()
    guests.connect().publish(topic, b"missed")
    second = guests.open()
    second.send(guests.asks("a", clean=False))
    assert second.take(Connack).session_present
    second.message(topic, b"missed", 1)


@normative("3.2.2-1", "2.2.2-1")
def test_the_flags_of_connack(guests: Guests) -> None:
    for clean, flags in ((True, 0), (False, 0), (False, 1)):
        client = guests.open()
        client.begin(guests.asks("a", clean=clean, session_expiry_s=0 if clean else HOUR_S))
        assert client.raw[0] == 0x20
        assert client.raw[2:4] == bytes((flags, 0))
        client.leave()


@normative("3.2.2-9", "3.2.2-10", "3.2.2-8")
def test_connack_takes_nothing_back(guests: Guests) -> None:
    """All qualities of service, retain, wildcards and the rest are there, so it need not say so."""
    said = guests.connect("a").connack.properties
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
    assert said.authentication_method is None


@normative("3.1.2-28")
@pytest.mark.parametrize("wanted", [None, 0])
def test_no_response_information_unasked(guests: Guests, wanted: int | None) -> None:
    client = guests.connect("a", request_response_information=wanted)
    assert client.connack.properties.response_information is None


# ---- who may come in ----


@normative("3.1.3-5")
@pytest.mark.parametrize("length", [1, 22, 23])
def test_client_identifiers(guests: Guests, length: int) -> None:
    for start in range(0, len(ALPHANUMERIC), length):
        name = (ALPHANUMERIC + ALPHANUMERIC)[start : start + length]
        client = guests.open()
        assert client.begin(_with_id(guests, name)).reason == 0
        client.leave()


@normative("3.1.3-4")
@pytest.mark.parametrize("name", ["é", "a/b", "a b", "日本", "+", "#", "$SYS", "a" * 100])
def test_more_client_identifiers_than_must_be(guests: Guests, name: str) -> None:
    client = guests.open()
    assert client.begin(_with_id(guests, name)).reason == 0
    client.leave()


def _with_id(guests: Guests, name: str) -> Connect:
    return msgspec.structs.replace(guests.asks(clean=False, session_expiry_s=60), client_id=name)


@normative("3.1.3-6", "3.1.3-7", "3.2.2-16")
def test_who_has_no_identifier_is_given_one(guests: Guests, topic: str) -> None:
    clients = [guests.connect(session_expiry_s=HOUR_S) for _ in range(5)]
    names = {client.connack.properties.assigned_client_id for client in clients}
    assert len(names) == 5
    assert None not in names
    clients[0].subscribe(topic, qos=1)
    clients[0].leave()
    name = clients[0].connack.properties.assigned_client_id
    assert name
    again = guests.open()
    again.send(_with_id(guests, name))
    assert again.take(Connack).session_present


@normative("3.1.3-8", "3.2.2-6", "3.2.2-7", "4.13.2-1")
def test_an_identifier_that_is_too_long(guests: Guests) -> None:
    client = guests.open()
    connack = client.begin(_with_id(guests, "x" * 2000))
    assert (connack.reason, connack.session_present) == (0x85, False)
    client.closed()


@normative("3.1.2-1")
def test_another_protocol_name(guests: Guests) -> None:
    client = guests.open(4)
    client.send(b"\x10\x0d\x00\x04MQXX\x04\x02\x00\x0a\x00\x01a")
    assert client.receive() in (None, Connack(reason=1))
    client.closed()


@normative("3.1.2-2")
@pytest.mark.parametrize("version", [6, 127, 255])
def test_a_later_version(guests: Guests, version: int) -> None:
    client = guests.open()
    client.send(b"\x10\x0e\x00\x04MQTT" + bytes((version,)) + b"\x02\x00\x0a\x00\x00\x01a")
    assert client.take(Connack).reason == 0x84
    client.closed()


@normative("3.1.2-2")
@pytest.mark.parametrize("version", [0, 1, 3])
def test_an_earlier_version(guests: Guests, version: int) -> None:
    client = guests.open(4)
    client.send(b"\x10\x0d\x00\x04MQTT" + bytes((version,)) + b"\x02\x00\x0a\x00\x01a")
    assert client.take(Connack).reason == 1
    client.closed()


@normative("3.1.4-2", "3.2.2-7", "3.14.0-1", "3.1.2-19", "3.1.2-17")
@pytest.mark.parametrize(
    ("username", "password"),
    [(None, None), ("ann", None), ("ann", b""), ("ann", b"wrong"), ("bob", b"token of ann")],
)
def test_who_is_not_known(secured: Guests, username: str | None, password: bytes | None) -> None:
    if password == b"token of ann":
        password = user_token("ann").encode()
    client = secured.open()
    connack = client.begin(secured.asks("a", username=username, password=password))
    assert connack.reason in (0x86, 0x87)
    assert not connack.session_present
    client.closed()


@normative("3.1.4-2", "3.1.2-17", "3.1.2-19")
@pytest.mark.parametrize("username", ["ann", None])
def test_a_token_is_a_password(secured: Guests, username: str | None) -> None:
    secured.connect("a", username=username, password=user_token("ann").encode())


@normative("3.1.4-6")
def test_what_stands_behind_a_refused_connect_is_not_looked_at(
    guests: Guests, secured: Guests, topic: str
) -> None:
    token = user_token("ann", subscribe=[f"{topic}/#"]).encode()
    watcher = secured.connect("w", username="ann", password=token)
    assert watcher.subscribe(f"{topic}/#", qos=1) == [1]
    client = secured.open()
    client.send(secured.asks("a"), Publish(f"{topic}/a", b"1", 1, packet_id=1), Pingreq())
    assert client.take(Connack).reason >= 0x80
    client.closed()
    watcher.quiet()


@normative("3.2.2-19", "3.2.2-20", "3.1.2-24")
def test_a_refusal_is_not_larger_than_the_client_allows(guests: Guests) -> None:
    client = guests.open()
    said = guests.asks("a", authentication_method="unknown", maximum_packet_bytes=12)
    assert client.begin(said).reason in (0x87, 0x8C)
    assert len(client.raw) <= 12
    client.closed()


@normative("3.1.3-1", "3.1.3-3", "3.1.3-12")
def test_everything_a_connect_can_have(guests: Guests, topic: str) -> None:
    watcher = guests.connect()
    watcher.subscribe(topic)
    will = Will(topic=topic, payload=b"gone", properties=Properties(will_delay_s=0))
    guests.connect(
        "a",
        keep_alive_s=60,
        will=will,
        username="ann",
        password=b"\x00\xff",
        session_expiry_s=0,
        receive_maximum=5,
        maximum_packet_bytes=1000,
        topic_alias_maximum=5,
        request_response_information=1,
        request_problem_information=1,
        user=(("a", "1"), ("a", "2")),
    ).drop()
    watcher.message(topic, b"gone")


@normative("3.1.0-2", "3.2.0-2")
def test_a_second_connect(guests: Guests) -> None:
    client = guests.connect("a")
    client.send(guests.asks("a"))
    client.refused(0x82)


def test_the_http_port_speaks_mqtt(broker: Server, guests: Guests, topic: str) -> None:
    """By its first byte, which no HTTP request begins with."""
    client = Conversation(Tcp(broker.port))
    assert client.begin(guests.asks("a")).reason == 0
    client.subscribe(topic)
    guests.connect().publish(topic, b"1", 0)
    client.message(topic, b"1")
    client.drop()
