"""Malformed packets, DISCONNECT and AUTH (MQTT 5.0 sections 3.14, 3.15, 4.12, 4.13)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reddot.codecs.mqtt_packets import (
    Auth,
    Connack,
    Disconnect,
    Pingreq,
    Properties,
    Publish,
    Subscribe,
    Subscription,
)
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import TCP_ONLY
from tests.conformance.malformed import CONNECTS_5, PACKETS_5
from tests.conformance.normative import normative
from tests.integration.server import API_KEY
from tests.integration.tokens import user_token

METHOD = "reddot-token"
BAD_METHOD = 0x8C
NOT_AUTHORIZED = 0x87
REAUTHENTICATE = 0x19


# ---- what is malformed ----


@normative("4.13.1-1", "4.13.2-1", "2.1.3-1", "3.14.4-2", "3.1.0-2")
@pytest.mark.parametrize("name", PACKETS_5)
def test_a_packet_that_is_refused(guests: Guests, name: str) -> None:
    data, reason = PACKETS_5[name]
    client = guests.connect("a")
    client.send(data)
    client.refused(reason)


@normative("3.1.4-1", "3.14.0-1", "3.1.0-1", "3.1.2-3", "4.13.1-1")
@normative("3.2.2-7", "3.1.2-9", "3.1.2-11", "3.1.2-13")
@pytest.mark.parametrize("name", CONNECTS_5)
def test_a_connect_that_is_refused(guests: Guests, name: str) -> None:
    """CONNACK with the reason, or nothing; never DISCONNECT."""
    data, reason = CONNECTS_5[name]
    client = guests.open()
    client.send(data)
    packet = client.receive()
    if packet is not None:
        assert isinstance(packet, Connack)
        assert (packet.reason, packet.session_present) == (reason, False)
        client.closed()


@normative("4.13.1-1")
@pytest.mark.parametrize("name", ["2.1.3-1 flags of PINGREQ", "3.3.1-4 QoS 3"])
def test_what_stood_before_a_mistake_was_done(guests: Guests, topic: str, name: str) -> None:
    watcher, client = guests.connect("w"), guests.connect("a")
    watcher.subscribe(topic)
    client.send(Publish(topic, b"before"), PACKETS_5[name][0], Publish(topic, b"behind"))
    client.refused(PACKETS_5[name][1])
    guests.connect().publish(topic, b"end", 0)
    watcher.message(topic, b"before")
    watcher.message(topic, b"end")


@normative("1.5.4-1", "1.5.4-2")
@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\x00", b"a\xe2\x82"]
)
def test_text_that_is_none(guests: Guests, raw: bytes) -> None:
    """As topic, filter and user property."""
    text = len(raw).to_bytes(2, "big") + raw
    bodies = (
        (0x30, text + b"\x00"),
        (0x82, b"\x00\x01\x00" + text + b"\x00"),
        (0xA2, b"\x00\x01\x00" + text),
        (0x30, b"\x00\x01t" + bytes((len(text) + 4,)) + b"\x26" + text + b"\x00\x01v"),
    )
    for first, body in bodies:
        client = guests.connect("a")
        client.send(bytes((first, len(body))) + body)
        client.refused(0x81)


@normative("1.5.5-1")
def test_a_length_of_many_bytes(guests: Guests, topic: str) -> None:
    """All four sizes of it, there and back."""
    client = guests.connect("a")
    client.subscribe(topic, qos=1)
    for size in (10, 110, 128, 16_000, 16_384, 60_000):
        client.publish(topic, bytes(size))
        client.message(topic, bytes(size), 1)


# ---- DISCONNECT ----


@normative("3.14.4-1", "3.14.4-2", "3.14.2-1", "3.14.2-2")
def test_nothing_comes_after_disconnect(guests: Guests, topic: str) -> None:
    client = guests.connect("a")
    client.subscribe(topic, qos=1)
    behind = Subscribe(3, (Subscription(f"{topic}/b"),))
    client.send(b"\xc1\x00", Pingreq(), Publish(topic, b"1", 1, packet_id=1), behind)
    properties = client.refused(0x81)
    assert properties.session_expiry_s is None


@normative("3.14.4-3", "3.14.4-1")
def test_what_stands_behind_disconnect_is_not_looked_at(guests: Guests, topic: str) -> None:
    watcher, client = guests.connect("w"), guests.connect("a")
    watcher.subscribe(topic)
    client.send(Publish(topic, b"before"), Disconnect(), Publish(topic, b"behind"), Pingreq())
    client.closed()
    guests.connect().publish(topic, b"end", 0)
    watcher.message(topic, b"before")
    watcher.message(topic, b"end")


@normative("3.14.2-1")
@pytest.mark.parametrize("reason", [0x00, 0x04, 0x80, 0x81, 0x82, 0x93, 0x99])
def test_disconnect_of_a_client(guests: Guests, reason: int) -> None:
    client = guests.connect("a")
    said = Properties(reason_string="because", user=(("a", "b"),))
    client.send(Disconnect(reason, said))
    client.closed()


# ---- authentication ----


@normative("4.12.0-1", "4.12.0-4")
def test_an_unknown_method(guests: Guests) -> None:
    client = guests.open()
    asked = guests.asks("a", authentication_method="SCRAM-SHA-1", authentication_data=b"x")
    assert client.begin(asked).reason in (BAD_METHOD, NOT_AUTHORIZED)
    client.closed()


@normative("4.12.0-6", "4.12.0-7")
def test_auth_without_a_method_in_connect(guests: Guests) -> None:
    client = guests.connect("a")
    assert client.connack.properties.authentication_method is None
    client.send(Auth(REAUTHENTICATE, Properties(authentication_method=METHOD)))
    client.refused(0x82)


def test_auth_before_connect(guests: Guests) -> None:
    client = guests.open()
    client.send(Auth(REAUTHENTICATE, Properties(authentication_method=METHOD)))
    assert client.receive() is None


@normative("4.12.0-5", "4.12.1-1", "3.15.2-1", "3.15.2-2", "3.15.2-3")
def test_authentication_anew(secured: Guests) -> None:
    client = secured.connect("a", **_method(user_token("ann")))
    assert client.connack.properties.authentication_method == METHOD
    client.send(Auth(REAUTHENTICATE, Properties(**_method(user_token("ann", lifetime_s=700)))))
    answer = client.take(Auth)
    assert (answer.reason, answer.properties) == (0, Properties(authentication_method=METHOD))
    client.quiet()


def _method(token: str) -> dict[str, Any]:
    return {"authentication_method": METHOD, "authentication_data": token.encode()}


@normative("4.12.0-4", "4.12.0-5")
def test_authentication_that_fails(secured: Guests) -> None:
    client = secured.open()
    assert client.begin(secured.asks("a", **_method("nonsense"))).reason in (0x86, 0x87)
    client.closed()


@normative("4.12.1-2")
@pytest.mark.parametrize("token", ["nonsense", "of bob"])
def test_authentication_anew_that_fails(secured: Guests, token: str) -> None:
    client = secured.connect("a", **_method(user_token("ann")))
    said = user_token("bob") if token == "of bob" else token
    client.send(Auth(REAUTHENTICATE, Properties(**_method(said))))
    client.refused(NOT_AUTHORIZED)


@normative("4.12.1-1", "4.12.0-5", "4.12.0-3")
@pytest.mark.parametrize(("reason", "method"), [(REAUTHENTICATE, "other"), (0x18, METHOD)])
def test_auth_that_does_not_fit(secured: Guests, reason: int, method: str) -> None:
    client = secured.connect("a", **_method(user_token("ann")))
    client.send(Auth(reason, Properties(authentication_method=method)))
    client.refused(0x82)


@normative("3.1.4-2")
def test_rights(secured: Guests, topic: str) -> None:
    token = user_token("ann", subscribe=[f"{topic}/#"]).encode()
    client = secured.connect("a", username="ann", password=token)
    asked = (f"{topic}/+", "users/ann", "users/bob", "#", "other", f"$share/g/{topic}/a")
    assert client.subscribe(*asked, qos=1) == [1, 1, 0x87, 0x87, 0x87, 1]
    assert client.publish(f"{topic}/a", b"1", 1) == NOT_AUTHORIZED
    assert client.publish(f"{topic}/a", b"1", 2) == NOT_AUTHORIZED
    server = secured.connect("s", password=API_KEY.encode())
    assert server.publish("users/ann", b"1") == 0
    client.message("users/ann", b"1", 1)
    client.quiet()


@pytest.mark.slow
@TCP_ONLY
def test_a_token_that_expires_ends_its_connection(secured: Guests) -> None:
    token = user_token("ann", lifetime_s=2).encode()
    client = secured.connect("a", username="ann", password=token)
    started = time.monotonic()
    client.refused(NOT_AUTHORIZED)
    assert time.monotonic() - started < 4
