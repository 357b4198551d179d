"""CONNECT and CONNACK (3.1, 3.2): who is let in, as whom, and what is promised."""

from __future__ import annotations

import string

import pytest

from reddot.codecs.mqtt_encode import encode_connect, encode_publish
from reddot.codecs.mqtt_packets import Connack, Connect, Will
from tests.conformance.client import Closed, properties
from tests.conformance.conftest import Clients
from tests.conformance.malformed import connect
from tests.conformance.normative import normative
from tests.conformance.test_malformed import refused


@normative("3.1.4-5", "3.2.0-1", "3.2.2-8", "3.2.2-1", old=("3.1.4-4", "3.2.0-1"))
def test_the_first_answer_is_connack(clients: Clients) -> None:
    client = clients.connect()
    assert client.connack.reason == 0
    client.quiet()


@normative("3.1.0-2", "3.2.0-2", old=("3.1.0-2",))
def test_a_second_connect_ends_the_connection(clients: Clients, name: str) -> None:
    client = clients.connect(name)
    client.send(Connect(level=client.level, client_id=name))
    client.closed(0x82)


@normative("3.1.0-1", old=("3.1.0-1",))
def test_another_first_packet(clients: Clients, topic: str) -> None:
    client = clients.open()
    client.link.send(encode_publish(clients.level, topic, b"x"))
    refused(client)


@normative("3.1.2-1", "3.1.2-2", old=("3.1.2-1", "3.1.2-2"))
@pytest.mark.parametrize("body", [b"\x00\x04MQTX\x05", b"\x00\x04MQTT\x06", b"\x00\x04mqtt\x04"])
def test_an_unknown_protocol(five: Clients, body: bytes) -> None:
    client = five.open()
    body += b"\x02\x00\x00" + bytes(5)
    client.link.send(bytes((0x10, len(body))) + body)
    try:
        data = client.link.receive()
    except Closed:
        return
    assert not data or (data[0] == 0x20 and data[2:4] in (b"\x00\x84", b"\x00\x01"))
    assert not data or client.link.receive() == b""


@normative("3.2.2-2", "3.1.2-4", "3.1.4-4", old=("3.2.2-1", "3.1.2-6", "3.1.4-3"))
def test_a_clean_start_forgets(clients: Clients, name: str, topic: str) -> None:
    first = clients.keep(name)
    first.subscribe(topic)
    first.disconnect()
    second = clients.keep(name, clean=True)
    assert not second.connack.session_present
    clients.connect().publish(topic, qos=1)
    second.quiet()


@normative(
    "3.2.2-3",
    "3.1.2-5",
    "3.1.2-23",
    "4.1.0-1",
    "3.1.3-2",
    old=("3.2.2-2", "3.1.2-4", "3.1.2-5", "3.1.3-2"),
)
def test_a_session_goes_on(clients: Clients, name: str, topic: str) -> None:
    first = clients.keep(name)
    first.subscribe(topic)
    first.disconnect()
    clients.connect().publish(topic, b"missed", qos=1)
    second = clients.keep(name)
    assert second.connack.session_present
    assert second.message().payload == b"missed"
    clients.connect().publish(topic, b"live", qos=1)
    assert second.message().payload == b"live"


@normative("3.1.2-6", "3.2.2-3", old=("3.2.2-3",))
def test_a_session_that_is_new(clients: Clients, name: str) -> None:
    assert not clients.keep(name).connack.session_present


@normative("3.1.3-5", old=("3.1.3-5",))
@pytest.mark.parametrize("client_id", ["a", string.digits + "abcdefghijklm", "Z" * 23])
def test_client_identifiers_that_must_be_allowed(clients: Clients, client_id: str) -> None:
    clients.connect(client_id).quiet()


@normative("3.1.3-6", "3.1.3-7", "3.2.2-16")
def test_an_identifier_is_assigned(five: Clients) -> None:
    one, other = five.connect(), five.connect()
    given = one.connack.properties.assigned_client_id
    assert given
    assert given != other.connack.properties.assigned_client_id
    one.disconnect()


@normative("3.1.3-7")
def test_an_assigned_identifier_can_be_used_again(five: Clients, topic: str) -> None:
    first = five.connect(session_expiry_s=60)
    given = first.connack.properties.assigned_client_id
    assert given
    first.subscribe(topic)
    first.disconnect()
    assert five.keep(given).connack.session_present


@normative(old=("3.1.3-6",))
def test_two_clients_without_identifier(four: Clients, topic: str) -> None:
    one, other = four.connect(), four.connect()
    one.subscribe(topic)
    other.publish(topic, b"hello")
    assert one.message().payload == b"hello"
    other.quiet()


@normative(old=("3.1.3-7", "3.1.3-8", "3.1.3-9", "3.2.2-4", "3.2.2-5"))
def test_no_identifier_and_no_clean_session(four: Clients) -> None:
    client = four.open()
    assert client.connect(Connect(level=4, client_id="", clean_start=False)).reason == 2
    client.closed()


@normative("3.1.4-3", old=("3.1.4-2",))
def test_a_takeover_ends_the_old_connection(clients: Clients, name: str) -> None:
    old = clients.connect(name)
    new = clients.connect(name)
    old.closed(0x8E)
    new.quiet()


@normative("3.1.4-3", "3.2.2-3", old=("3.1.4-2",))
def test_a_takeover_goes_on_with_the_session(clients: Clients, name: str, topic: str) -> None:
    old = clients.keep(name)
    old.subscribe(topic)
    new = clients.keep(name)
    assert new.connack.session_present
    old.closed(0x8E)
    clients.connect().publish(topic, b"after", qos=1)
    assert new.message().payload == b"after"


@normative("3.2.2-21", "3.2.2-22")
def test_a_keep_alive_that_is_lowered_is_said(five: Clients) -> None:
    asked = 65_535
    given = five.connect(keep_alive_s=asked).connack.properties.server_keep_alive_s
    assert given is None or 0 < given < asked


def test_no_keep_alive_is_accepted(clients: Clients) -> None:
    clients.connect(keep_alive_s=0).quiet()


@normative("3.1.2-28")
def test_no_response_information_unless_asked(five: Clients) -> None:
    client = five.connect(request_response_information=0)
    assert client.connack.properties.response_information is None


@normative("3.1.4-6", "3.2.2-6", "3.2.2-7", old=("3.1.4-5",))
def test_nothing_behind_a_refused_connect_is_done(clients: Clients, topic: str) -> None:
    listener = clients.connect()
    listener.subscribe(topic)
    client = clients.open()
    mistake = connect(0x03, b"\x00\x00", level=clients.level)
    client.link.send(mistake + encode_publish(clients.level, topic, b"x"))
    refused(client)
    listener.quiet()


@normative("3.1.4-5", old=("3.1.4-4",))
def test_what_is_sent_before_connack_is_done_after_it(clients: Clients, topic: str) -> None:
    listener = clients.connect()
    listener.subscribe(topic)
    client = clients.open()
    first = encode_connect(Connect(level=clients.level, client_id=""))
    client.link.send(first + encode_publish(clients.level, topic, b"early"))
    assert client.receive(Connack).reason == 0
    assert listener.message().payload == b"early"


@normative("4.12.0-1")
def test_an_unknown_authentication_method(five: Clients) -> None:
    client = five.open()
    wanted = properties(authentication_method="unheard-of")
    client.send(Connect(level=5, client_id="", properties=wanted))
    refused(client, 0x8C, 0x87)


@normative("4.12.0-6")
def test_no_method_is_answered_with_none(five: Clients) -> None:
    assert five.connect().connack.properties.authentication_method is None


@normative("4.12.0-7")
def test_auth_without_a_method_in_connect(five: Clients) -> None:
    client = five.connect()
    client.link.send(b"\xf0\x0a\x19\x08\x15\x00\x05token")
    client.closed(0x82, 0x8C)


@normative("3.2.2-19", "3.2.2-20")
@pytest.mark.parametrize("most", [12, 40])
def test_connack_fits_what_the_client_takes(five: Clients, most: int) -> None:
    client = five.open()
    wanted = properties(maximum_packet_bytes=most)
    client.send(Connect(level=5, client_id="c" * 20, properties=wanted))
    first = client.link.receive()
    assert len(first) <= most


@normative("3.2.2-12", "3.2.2-13")
def test_a_will_of_any_quality_or_a_refusal(five: Clients, topic: str) -> None:
    client = five.open()
    will = Will(topic=topic, payload=b"", qos=2, retain=True)
    answer = client.connect(Connect(level=5, client_id="", will=will))
    said = answer.properties
    assert answer.reason == 0 or said.maximum_qos is not None or said.retain_available == 0


@normative("3.2.2-9", "3.2.2-10")
def test_a_granted_quality_is_what_connack_promises(five: Clients, topic: str) -> None:
    client = five.connect()
    most = client.connack.properties.maximum_qos
    assert client.subscribe(topic, qos=2).reasons == (2 if most is None else most,)
