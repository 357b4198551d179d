"""What answers may hold, DISCONNECT and AUTH (3.4 to 3.15, 4.12), credentials and rights."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_packets import (
    NO_PROPERTIES,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Auth,
    Connack,
    Disconnect,
    Packet,
    Pingreq,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from tests.conformance.client import Client, properties
from tests.conformance.conftest import BUT_WEBSOCKET, Clients
from tests.conformance.normative import normative
from tests.integration.server import API_KEY
from tests.integration.tokens import user_token

METHOD = "reddot-token"
RESERVED_TOPIC = "$SYS/broker/version"
NO_SUBSCRIPTION = 0x11
BAD_METHOD = 0x8C
FILTER_INVALID = 0x8F
NOT_AUTHORIZED = 0x87
ID_NOT_FOUND = 0x92
REAUTHENTICATE = 0x19


def provoked(client: Client) -> list[Packet]:
    """The answers to much that is wrong, and at last to a mistake that ends the connection."""
    client.send(Subscribe(1, (Subscription("a#", 1), Subscription("$share/x", 1))))
    client.send(Unsubscribe(2, ("nothing",)))
    client.send(Publish(RESERVED_TOPIC, b"x", 1, packet_id=3))
    client.send(Publish(RESERVED_TOPIC, b"x", 2, packet_id=4))
    client.ack(PUBREL, 77)
    client.ack(PUBREC, 78)
    client.send(b"\xc1\x00")
    found = []
    while (packet := client.next_or_end()) is not None:
        found.append(packet)
    return found


@normative("3.4.2-2", "3.4.2-3", "3.5.2-2", "3.5.2-3", "3.6.2-2", "3.6.2-3", "3.7.2-2", "3.7.2-3")
@normative("3.9.2-1", "3.9.2-2", "3.11.2-1", "3.11.2-2", "3.14.2-1", "3.14.2-2", "3.14.2-3")
@normative("3.14.2-4", "3.1.2-24")
@pytest.mark.parametrize("most", [12, 24])
def test_no_answer_is_larger_than_the_client_takes(five: Clients, most: int) -> None:
    """There is no room for an explanation; the reasons are those of others."""
    client = five.connect("a", maximum_packet_bytes=most)
    assert provoked(client) == [
        Suback(1, (FILTER_INVALID, FILTER_INVALID), NO_PROPERTIES),
        Unsuback(2, (NO_SUBSCRIPTION,), NO_PROPERTIES),
        Ack(PUBACK, 3, NOT_AUTHORIZED, NO_PROPERTIES),
        Ack(PUBREC, 4, NOT_AUTHORIZED, NO_PROPERTIES),
        Ack(PUBCOMP, 77, ID_NOT_FOUND, NO_PROPERTIES),
        Ack(PUBREL, 78, ID_NOT_FOUND, NO_PROPERTIES),
        Disconnect(0x81, NO_PROPERTIES),
    ]
    assert client.largest_bytes <= most


@normative("3.1.2-29")
def test_no_explanations_for_who_wants_none(five: Clients) -> None:
    """But in DISCONNECT, where they always may be."""
    client = five.connect(request_problem_information=0)
    answers = provoked(client)
    assert len(answers) == 7
    for packet in answers[:-1]:
        assert packet.properties == NO_PROPERTIES  # type: ignore[union-attr]


@normative("3.9.2-1", "3.9.2-2", "3.1.2-29")
@pytest.mark.parametrize(
    "asked", [{"maximum_packet_bytes": 24}, {"request_problem_information": 0}]
)
def test_suback_keeps_a_gap_to_itself_where_it_must(
    five: Clients, topic: str, asked: dict[str, Any]
) -> None:
    """A cursor that means nothing is told in properties, if they may be there."""
    client = five.connect("a", **asked)
    said = Properties(user=(("cursor", "nonsense"), ("reddot", "1")))
    client.send(Subscribe(1, (Subscription(topic, 1),), said))
    answer = client.receive(Suback)
    assert answer.reasons[0] in (1, 0x80, 0x83)
    assert answer.properties.reason_string is None
    assert answer.properties.user == ()


# ---- DISCONNECT of a client ----


@normative("3.14.4-3", "3.14.4-1", old=("3.14.4-3",))
def test_what_stands_behind_disconnect_is_not_looked_at(clients: Clients, topic: str) -> None:
    watcher, client = clients.connect(), clients.connect()
    watcher.subscribe(topic)
    client.send(Publish(topic, b"before"), Disconnect(), Publish(topic, b"behind"), Pingreq())
    client.closed()
    clients.connect().publish(topic, b"end")
    watcher.message(topic, b"before")
    watcher.message(topic, b"end", 1)


@normative("3.14.2-1")
@pytest.mark.parametrize("reason", [0x00, 0x04, 0x80, 0x81, 0x82, 0x93, 0x99])
def test_any_reason_of_a_client(five: Clients, reason: int) -> None:
    five.connect("a").disconnect(reason, reason_string="because", user=(("a", "b"),))


# ---- authentication by a method ----


@normative("4.12.0-1", "4.12.0-4")
def test_an_unknown_authentication_method(five: Clients) -> None:
    client = five.open()
    asked = five.asks("a", authentication_method="SCRAM-SHA-1", authentication_data=b"x")
    assert client.connect(asked).reason in (BAD_METHOD, NOT_AUTHORIZED)
    client.closed()


@normative("4.12.0-6", "4.12.0-7")
def test_auth_without_a_method_in_connect(five: Clients) -> None:
    client = five.connect()
    assert client.connack.properties.authentication_method is None
    client.send(Auth(REAUTHENTICATE, properties(authentication_method=METHOD)))
    client.closed(0x82)


def test_auth_before_connect(five: Clients) -> None:
    client = five.open()
    client.send(Auth(REAUTHENTICATE, properties(authentication_method=METHOD)))
    assert client.next_or_end() is None


@normative("4.12.0-5", "4.12.1-1", "3.15.2-1", "3.15.2-2", "3.15.2-3")
def test_authentication_anew(secured: Clients) -> None:
    client = secured.connect("a", **by_method(user_token("ann")))
    assert client.connack.properties.authentication_method == METHOD
    client.send(Auth(REAUTHENTICATE, properties(**by_method(user_token("ann", lifetime_s=700)))))
    client.expect(Auth(0, properties(authentication_method=METHOD)))
    client.quiet()


def by_method(token: str) -> dict[str, Any]:
    return {"authentication_method": METHOD, "authentication_data": token.encode()}


@normative("4.12.0-4", "4.12.0-5")
def test_authentication_that_fails(secured: Clients) -> None:
    client = secured.open()
    assert client.connect(secured.asks("a", **by_method("eyJ.x.y"))).reason in (0x86, 0x87)
    client.closed()


@normative("4.12.1-2")
@pytest.mark.parametrize("token", ["eyJ.x.y", "of bob"])
def test_authentication_anew_that_fails(secured: Clients, token: str) -> None:
    client = secured.connect("a", **by_method(user_token("ann")))
    said = user_token("bob") if token == "of bob" else token
    client.send(Auth(REAUTHENTICATE, properties(**by_method(said))))
    client.closed(NOT_AUTHORIZED)


@normative("4.12.1-1", "4.12.0-5", "4.12.0-3")
@pytest.mark.parametrize(("reason", "method"), [(REAUTHENTICATE, "other"), (0x18, METHOD)])
def test_auth_that_does_not_fit(secured: Clients, reason: int, method: str) -> None:
    client = secured.connect("a", **by_method(user_token("ann")))
    client.send(Auth(reason, properties(authentication_method=method)))
    client.closed(0x82)


# ---- credentials and rights ----


@normative("3.1.4-2", "4.13.2-1")
def test_a_credential_that_is_wrong(clients: Clients) -> None:
    """Also where anybody may come in."""
    client = clients.open()
    answer = client.connect(clients.asks("a", username="u", password=b"eyJ.x.y"))
    assert answer.reason in ((0x86, 0x87) if clients.level == 5 else (4, 5))
    client.closed()


@normative("3.1.4-2", "3.2.2-7", "3.14.0-1", "3.1.2-19", "3.1.2-17")
@pytest.mark.parametrize(
    ("username", "password"),
    [(None, None), ("ann", None), ("ann", b""), ("ann", b"wrong"), ("bob", b"token of ann")],
)
def test_who_is_not_known(secured: Clients, username: str | None, password: bytes | None) -> None:
    if password == b"token of ann":
        password = user_token("ann").encode()
    client = secured.open()
    answer = client.connect(secured.asks("a", username=username, password=password))
    assert answer.reason in (0x86, 0x87)
    assert not answer.session_present
    client.closed()


@normative("3.1.4-2", "3.1.2-17", "3.1.2-19")
@pytest.mark.parametrize("username", ["ann", None])
def test_a_token_is_a_password(secured: Clients, username: str | None) -> None:
    secured.connect("a", username=username, password=user_token("ann").encode())


@normative("3.1.4-6")
def test_what_stands_behind_a_wrong_credential_is_not_looked_at(
    secured: Clients, topic: str
) -> None:
    token = user_token("ann", subscribe=[f"{topic}/#"]).encode()
    watcher = secured.connect("w", username="ann", password=token)
    assert watcher.subscribe(f"{topic}/#", qos=1) == (1,)
    client = secured.open()
    client.send(secured.asks("a"), Publish(f"{topic}/a", b"1", 1, packet_id=1), Pingreq())
    assert client.receive(Connack).reason >= 0x80
    client.closed()
    watcher.quiet()


@normative("3.1.4-2")
def test_rights(secured: Clients, topic: str) -> None:
    token = user_token("ann", subscribe=[f"{topic}/#"]).encode()
    client = secured.connect("a", username="ann", password=token)
    asked = (f"{topic}/+", "users/ann", "users/bob", "#", "other", f"$share/g/{topic}/a")
    assert client.subscribe(*asked, qos=1) == (1, 1, 0x87, 0x87, 0x87, 1)
    for qos in (1, 2):
        client.publish(f"{topic}/a", b"1", qos, refused=NOT_AUTHORIZED)
    secured.connect("s", password=API_KEY.encode()).publish("users/ann", b"1")
    client.message("users/ann", b"1", 1)
    client.quiet()


@pytest.mark.slow
@BUT_WEBSOCKET
def test_a_token_that_expires_ends_its_connection(secured: Clients) -> None:
    token = user_token("ann", lifetime_s=2).encode()
    started = secured.place.now()
    client = secured.connect("a", username="ann", password=token)
    client.closed(NOT_AUTHORIZED)
    assert secured.place.now() - started < 10
