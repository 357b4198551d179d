"""Bugs that other brokers have had, one test each; the names say which."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBREC,
    Ack,
    Auth,
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Properties,
    Publish,
    Subscription,
    Will,
)
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import TCP_ONLY, WebSocket
from tests.conformance.malformed import connect
from tests.integration.server import API_KEY, Server
from tests.integration.tokens import user_token
from tests.unit.codecs.mqtt_values import encode

HOUR_S = 3600
TAKEN_OVER = 0x8E
METHOD = "reddot-token"


@pytest.fixture
def sender(guests: Guests) -> Conversation:
    return guests.connect("sender")


def test_will_fired_by_the_old_connection_after_takeover(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """The old connection's end, which is noticed late, is not the new one's."""
    watcher = guests.connect("w")
    watcher.subscribe(topic, qos=1)
    late: dict[str, Any] = {"session_expiry_s": HOUR_S, "clean": False}
    old = guests.connect("a", will=_will(topic, b"old", will_delay_s=60), **late)
    new = guests.connect("a", will=_will(topic, b"new", will_delay_s=60), present=True, **late)
    old.refused(TAKEN_OVER)
    old.drop()
    new.quiet()
    newer = guests.connect("a", will=_will(topic, b"newer"), present=True, **late)
    new.refused(TAKEN_OVER)
    sender.publish(topic, b"fence")
    watcher.message(topic, b"fence", 1)
    newer.drop()
    watcher.message(topic, b"newer")
    guests.connect("a", present=True, clean=False)


def _will(topic: str, payload: bytes, **properties: Any) -> Will:
    return Will(topic=topic, payload=payload, properties=Properties(**properties))


def test_takeover_before_authentication(secured: Guests, topic: str) -> None:
    """Who is not let in disturbs nobody, and nobody gets at another user's session."""
    token = user_token("ann", subscribe=[topic]).encode()
    mine = secured.connect("a", username="ann", password=token, session_expiry_s=HOUR_S)
    mine.subscribe(topic, qos=1)
    for username, password in (("ann", b"wrong"), ("ann", None), ("bob", token)):
        client = secured.open()
        asked = secured.asks("a", username=username, password=password)
        assert client.begin(asked).reason >= 0x80
        client.closed()
    bob = user_token("bob").encode()
    secured.connect("a", username="bob", password=bob, clean=False, present=False)
    secured.connect("s", password=API_KEY.encode()).publish(topic, b"1")
    mine.message(topic, b"1", 1)


def test_identifier_reused_while_in_flight(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    client = guests.connect("a", session_expiry_s=HOUR_S)
    client.subscribe(topic, qos=1)
    sender.publish(topic, b"first")
    first = client.message(topic, b"first", 1, acknowledge=False)
    for number in range(50):
        sender.publish(topic, b"%d" % number)
        packet = client.message(topic, b"%d" % number, 1)
        assert packet.packet_id != first.packet_id
    client.drop()
    client = guests.connect("a", clean=False, present=True, session_expiry_s=HOUR_S)
    again = client.message(topic, b"first", 1, dup=True, acknowledge=False)
    assert again.packet_id == first.packet_id
    sender.publish(topic, b"next")
    assert client.message(topic, b"next", 1).packet_id != first.packet_id


def test_qos_2_identifiers_survive_clean_start(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    watcher = guests.connect("w")
    watcher.subscribe(topic, qos=2)
    for payload in (b"1", b"2"):
        client = guests.connect("a", clean=True, session_expiry_s=HOUR_S)
        client.send(Publish(topic, payload, 2, packet_id=7))
        client.expect(Ack(PUBREC, 7))
        client.drop()
        watcher.message(topic, payload, 2)


def test_in_flight_reordered_on_reconnect(guests: Guests, sender: Conversation, topic: str) -> None:
    client = guests.connect("a", session_expiry_s=HOUR_S)
    client.subscribe(topic, qos=2)
    for number in range(15):
        sender.publish(topic, b"%d" % number, 1 + number % 2)
    client.take(Publish)
    client.drop()
    for number in range(15, 25):
        sender.publish(topic, b"%d" % number, 1 + number % 2)
    client = guests.connect("a", clean=False, present=True)
    for number in range(25):
        packet = client.take(Publish)
        assert packet.payload == b"%d" % number
        client.acknowledge(packet)
    client.quiet()


def test_quota_leaks_at_every_reconnect(guests: Guests, sender: Conversation, topic: str) -> None:
    asked: dict[str, Any] = {"session_expiry_s": HOUR_S, "receive_maximum": 2, "clean": False}
    client = guests.connect("a", **asked)
    client.subscribe(topic, qos=2)
    for number in range(30):
        sender.publish(topic, b"%d" % number, 1 + number % 2)
        packet = client.take(Publish)
        assert packet.payload == b"%d" % number
        if number % 2:
            client.acknowledge(packet)
            client.quiet()
        client.drop()
        client = guests.connect("a", present=True, **asked)
        if not number % 2:
            client.message(topic, packet.payload, packet.qos, dup=True)
    client.quiet()


def test_retained_sent_again_with_retain_handling_1(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """Also after a reconnect: the subscription exists in the session."""
    sender.publish(topic, b"1", retain=True)
    asked = Subscription(topic, 1, retain_handling=1)
    client = guests.connect("a", session_expiry_s=HOUR_S)
    client.subscribe(asked)
    client.message(topic, b"1", 1, retain=True)
    client.quiet()
    client.leave()
    client = guests.connect("a", clean=False, present=True)
    client.subscribe(asked)
    client.quiet()
    sender.publish(topic, b"", retain=True)


def test_a_leading_plus_matches_the_servers_topics(guests: Guests) -> None:
    client = guests.connect("a")
    assert client.subscribe("+/broker/version", "+/broker/#", "#") == [0, 0, 0]
    client.quiet() if not client.raw.count(b"$SYS") else pytest.fail("$SYS came")


def test_a_hash_misses_its_parent(guests: Guests, sender: Conversation, topic: str) -> None:
    client = guests.connect("a")
    sender.publish(f"{topic}/a", b"kept", retain=True)
    client.subscribe(f"{topic}/a/#", qos=1)
    client.message(f"{topic}/a", b"kept", 1, retain=True)
    sender.publish(f"{topic}/a", b"1")
    client.message(f"{topic}/a", b"1", 1)
    sender.publish(f"{topic}/a", b"", retain=True)


@pytest.mark.slow
@TCP_ONLY
def test_expiry_not_reduced_and_expired_message_blocks_the_queue(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    client = guests.connect("a", session_expiry_s=HOUR_S, receive_maximum=1)
    client.subscribe(topic, qos=2)
    client.leave()
    for number in range(4):
        sender.publish(topic, b"short", 1 + number % 2, message_expiry_s=1)
        sender.publish(topic, b"%d" % number, 1 + number % 2, message_expiry_s=50)
    time.sleep(1.3)
    client = guests.connect("a", clean=False, present=True, receive_maximum=1)
    for number in range(4):
        packet = client.message(topic, b"%d" % number, 1 + number % 2)
        assert packet.properties.message_expiry_s in (48, 49)
    client.quiet()


def test_subscription_identifiers_lost_on_resume(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """On what was missed, on what is live, and on what is sent again."""
    asked: dict[str, Any] = {"session_expiry_s": HOUR_S, "clean": False}
    client = guests.connect("a", **asked)
    client.subscribe(f"{topic}/#", qos=1, subscription_ids=(5,))
    client.subscribe(f"{topic}/a", qos=1, subscription_ids=(6,))
    sender.publish(f"{topic}/a", b"again")
    client.message(f"{topic}/a", b"again", 1, acknowledge=False)
    client.drop()
    sender.publish(f"{topic}/a", b"missed")
    client = guests.connect("a", present=True, **asked)
    found = [client.message(f"{topic}/a", b"again", 1, dup=True)]
    found.append(client.message(f"{topic}/a", b"missed", 1))
    sender.publish(f"{topic}/a", b"live")
    found.append(client.message(f"{topic}/a", b"live", 1))
    assert [sorted(p.properties.subscription_ids) for p in found] == [[5, 6]] * 3


def test_shared_subscription_sends_to_offline_members(
    guests: Guests, sender: Conversation, topic: str
) -> None:
    """While one member is away the others get everything."""
    members = [guests.connect(name, session_expiry_s=HOUR_S) for name in "ab"]
    for member in members:
        member.subscribe(f"$share/g/{topic}", qos=1)
    members[0].leave()
    for number in range(6):
        sender.publish(topic, b"%d" % number, number % 2)
        members[1].message(topic, b"%d" % number, number % 2)
    guests.connect("a", clean=False, present=True).quiet()


def test_disconnect_lost_to_a_reset(guests: Guests, topic: str) -> None:
    """The reason is read although much of what the client has sent is not."""
    client = guests.connect("a")
    behind = encode(5, Publish(topic, bytes(50_000), 0))
    client.send(b"\xc1\x00", behind, behind, behind, behind)
    client.refused(0x81)


def test_rights_taken_away_leave_the_subscription(secured: Guests, topic: str) -> None:
    """By a token with fewer rights, at a reconnect and at authentication anew."""
    server = secured.connect("s", password=API_KEY.encode())
    full = user_token("ann", subscribe=[f"{topic}/#"])
    less = user_token("ann", subscribe=[f"{topic}/b"])
    asked: dict[str, Any] = {"session_expiry_s": HOUR_S, "clean": False}
    client = secured.connect("a", username="ann", password=full.encode(), **asked)
    client.subscribe(f"{topic}/a", f"{topic}/b", qos=1)
    client.leave()
    client = secured.connect("a", username="ann", password=less.encode(), present=True, **asked)
    for name in "ab":
        server.publish(f"{topic}/{name}", b"1")
    client.message(f"{topic}/b", b"1", 1)
    client.quiet()
    client.leave()
    other = secured.connect("b", **_method(full))
    other.subscribe(f"{topic}/a", qos=1)
    other.send(Auth(0x19, Properties(**_method(less))))
    server.publish(f"{topic}/a", b"2")
    while (packet := other.receive()) is not None:
        assert not isinstance(packet, Publish)
        if isinstance(packet, Auth):
            other.quiet()
            break


def _method(token: str) -> dict[str, Any]:
    return {"authentication_method": METHOD, "authentication_data": token.encode()}


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"a\xc3"])
@pytest.mark.parametrize("level", [5, 4])
def test_ill_formed_client_identifier_is_accepted(guests: Guests, raw: bytes, level: int) -> None:
    client = guests.open(level)
    client.send(connect(2, len(raw).to_bytes(2, "big") + raw, level=level))
    packet = client.receive()
    if packet is not None:
        assert isinstance(packet, Connack)
        assert packet.reason
        client.closed()


def test_websocket_frames_taken_for_packets(broker: Server) -> None:
    """All of a conversation in one frame, then each packet over two."""
    wire = WebSocket(broker.port)
    client = Conversation(wire)
    packets = [
        encode(5, Connect(level=5, client_id="")),
        encode(5, Publish("a", b"x" * 200, 1, packet_id=1)),
        encode(5, Pingreq()),
    ]
    wire.send(b"".join(packets))
    assert client.take(Connack).reason == 0
    found = {client.await_(lambda _: True) for _ in range(2)}
    assert found == {Ack(PUBACK, 1), Pingresp()}
    ping = encode(5, Pingreq())
    wire.send(ping + ping[:1])
    client.expect(Pingresp())
    wire.send(ping[1:])
    client.expect(Pingresp())
    client.drop()
