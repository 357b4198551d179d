"""MQTT: CONNECT and CONNACK, keep-alive, takeover, ends. Over a fake socket, at a fake time."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_encode import PINGREQ_BYTES, encode_ack, encode_connect, encode_publish
from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBREC,
    PUBREL,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Pingresp,
    Properties,
    Publish,
    Will,
)
from reddot.core.tokens import issue_token
from reddot.testing import DEV_SECRET
from tests.wire.mqttclient import MqttClient
from tests.wire.node import WireNode, run_node
from tests.wire.transport import settle

API_KEY = "rk_test_" + "k" * 43


def token(node: WireNode, user: str = "42", **changes: Any) -> bytes:
    values: dict[str, Any] = {"subscribe": ["#"], "publish": ["#"], "admin": False}
    values |= {"lifetime_s": 3600} | changes
    return issue_token(
        DEV_SECRET, user=user, clock=node.clock, issuer=None, audience=None, **values
    ).encode()


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_client_is_let_in_and_told_the_limits(level: int) -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node, level)
        answer = await client.connect()
        assert (answer.reason, answer.session_present) == (0, False)
        if level == 5:
            properties = answer.properties
            assert properties.receive_maximum == 20
            assert properties.maximum_packet_bytes == 131_072
            assert properties.topic_alias_maximum == 16
            assert properties.server_keep_alive_s is None
        assert await client.ping() == [Pingresp()]

    run_node(test)


def test_an_empty_client_id_is_assigned() -> None:
    async def test(node: WireNode) -> None:
        one = await MqttClient(node).connect("")
        two = await MqttClient(node).connect("")
        names = {one.properties.assigned_client_id, two.properties.assigned_client_id}
        assert len(names) == 2 and None not in names
        old = MqttClient(node, 4)
        assert (await old.connect("", clean_start=False)).reason == 2
        assert old.transport.ended

    run_node(test)


def test_what_is_pipelined_behind_connect_is_kept() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        connect = encode_connect(Connect(level=5, client_id="c"))
        client.feed(connect + encode_publish(5, "a", b"1", qos=1, packet_id=7) + PINGREQ_BYTES)
        found = await client.take()
        assert isinstance(found[0], Connack)
        assert {type(one) for one in found[1:]} == {Ack, Pingresp}

    run_node(test)


def test_nothing_behind_a_refused_connect_is_taken() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        connect = encode_connect(Connect(level=5, client_id="c", username="42", password=b"ey.x.y"))
        client.feed(connect + encode_publish(5, "a", b"1", qos=1, packet_id=7))
        (answer,) = await client.take()
        assert isinstance(answer, Connack) and answer.reason == 0x87
        assert node.node.store.head == 0 and client.transport.ended

    run_node(test)


def test_a_first_packet_that_is_no_connect_is_refused_without_a_word() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        client.feed(b"\x10\x04\x00\x04MQ")
        await settle()
        assert client.transport.closed is False and not client.transport.sent
        client.feed(b"\xff" * 20)
        await settle()
        assert not client.transport.sent and client.transport.ended

    run_node(test)


def test_connect_has_to_come_in_time() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        client.feed(b"\x10")
        await node.advance(9.0)
        assert not client.transport.closed
        await node.advance(2.0)
        assert client.transport.aborted
        assert node.node.counters.rejected["request_timeout"] == 1

    run_node(test)


def test_connections_that_have_not_said_who_they_are_are_counted() -> None:
    async def test(node: WireNode) -> None:
        clients = [MqttClient(node) for _ in range(3)]
        for client in clients:
            client.feed(b"\x10")
        await settle()
        assert [client.transport.aborted for client in clients] == [False, False, True]
        await clients[0].vanish()
        another = MqttClient(node)
        assert (await another.connect()).reason == 0

    run_node(test, mqtt_pending_max=2)


# Who


def test_a_token_is_the_password_and_its_user_the_name() -> None:
    async def test(node: WireNode) -> None:
        good = token(node)
        assert (await MqttClient(node).connect(username="42", password=good)).reason == 0
        assert (await MqttClient(node).connect(password=good)).reason == 0
        assert (await MqttClient(node, 4).connect(username=good.decode())).reason == 0
        assert (await MqttClient(node).connect(username="43", password=good)).reason == 0x87
        assert (await MqttClient(node, 4).connect(username="43", password=good)).reason == 5
        old = token(node, lifetime_s=1)
        await node.advance(40)
        assert (await MqttClient(node).connect(password=old)).reason == 0x87

    run_node(test)


@pytest.mark.parametrize(
    ("name", "password"), [(None, None), ("42", None), ("42", b"secret"), ("", b""), (None, b"x")]
)
def test_names_alone_are_believed_in_development_only(
    name: str | None, password: bytes | None
) -> None:
    async def test(node: WireNode) -> None:
        answer = await MqttClient(node).connect(username=name, password=password)
        assert answer.reason == (0 if node.node.settings.dev else 0x87)

    run_node(test)
    run_node(test, dev=False)


@pytest.mark.parametrize(("level", "refused"), [(4, 0x80), (5, 0x87)])
def test_without_a_name_everything_is_allowed_but_what_a_rule_denies(
    level: int, refused: int
) -> None:
    """In development; so rules can be tried there, and suites can see a filter refused."""

    async def test(node: WireNode) -> None:
        client = MqttClient(node, level)
        await client.connect("c")
        answer = await client.subscribe("$SYS/#", "users/42", "closed", "#", "closed/too", qos=1)
        assert answer.reasons == (1, 1, refused, refused, 1)
        (refusal,) = await client.publish("closed", b"1", qos=1)
        assert isinstance(refusal, Ack) and refusal.reason == (0 if level == 4 else 0x87)
        assert node.node.counters.rejected["forbidden"] == 3
        assert not node.node.store.head

    rule = {"filter": "closed", "subscribe": "deny", "publish": "deny"}
    run_node(test, topics=(rule,))


def test_an_api_key_is_a_password() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        assert (await client.connect(password=API_KEY.encode())).reason == 0
        (answer,) = await client.publish("users/7", b"1", qos=1)
        assert isinstance(answer, Ack) and (answer.kind, answer.reason) == (PUBACK, 0)
        assert (await client.subscribe("users/7")).reasons == (0x87,)
        wrong = API_KEY[:-1] + "x"
        assert (await MqttClient(node).connect(password=wrong.encode())).reason == 0x87

    run_node(test, dev=False, api_key=(API_KEY,))


def test_the_token_may_be_authentication_data_and_renewed() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        method: dict[str, Any] = {"authentication_method": "reddot-token"}
        data: dict[str, Any] = {"authentication_data": token(node, lifetime_s=60)}
        answer = await client.connect(properties=Properties(**method, **data))
        assert (answer.reason, answer.properties.authentication_method) == (0, "reddot-token")
        (renewed,) = await client.auth(0x19, **method, authentication_data=token(node))
        assert isinstance(renewed, Auth) and renewed.reason == 0
        await node.advance(120)
        assert await client.ping() == [Pingresp()]
        (refused,) = await client.auth(0x19, **method, authentication_data=token(node, "43"))
        assert isinstance(refused, Disconnect) and refused.reason == 0x87

    run_node(test)


def test_a_token_that_expires_ends_its_connection() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        await client.connect(password=token(node, lifetime_s=60))
        await node.advance(61)
        (end,) = await client.take()
        assert isinstance(end, Disconnect) and end.reason == 0x87
        assert client.transport.ended

    run_node(test)


def test_other_authentication_methods_are_refused() -> None:
    async def test(node: WireNode) -> None:
        properties = Properties(authentication_method="SCRAM-SHA-1")
        assert (await MqttClient(node).connect(properties=properties)).reason == 0x8C
        client = MqttClient(node)
        await client.connect()
        (end,) = await client.auth(0x19, authentication_method="reddot-token")
        assert isinstance(end, Disconnect) and end.reason == 0x82

    run_node(test)


# Keep-alive


@pytest.mark.parametrize("level", [4, 5])
def test_a_silent_client_is_gone_after_one_and_a_half_keep_alives(level: int) -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node, level)
        await client.connect(keep_alive_s=10)
        await node.advance(10)
        await client.ping()
        await node.advance(14)
        assert not client.transport.ended
        await node.advance(3)
        found = await client.take()
        assert client.transport.ended
        assert [one.reason for one in found if isinstance(one, Disconnect)] == [0x8D] * (level == 5)

    run_node(test)


def test_keep_alive_zero_is_for_ever_and_a_long_one_is_cut() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        assert (await client.connect(keep_alive_s=0)).properties.server_keep_alive_s is None
        await node.advance(5000)
        assert await client.ping() == [Pingresp()]
        answer = await MqttClient(node).connect("d", keep_alive_s=301)
        assert answer.properties.server_keep_alive_s == 300

    run_node(test)


# Takeover


def test_the_same_client_takes_over_and_nobody_else() -> None:
    async def test(node: WireNode) -> None:
        old, other = MqttClient(node), MqttClient(node)
        await old.connect("c", username="42")
        await other.connect("c", username="43")
        assert await other.ping() == [Pingresp()]
        new = MqttClient(node)
        await new.connect("c", username="42")
        (end,) = await old.take()
        assert isinstance(end, Disconnect) and end.reason == 0x8E
        assert old.transport.ended
        await old.vanish()
        assert await new.ping() == [Pingresp()]
        assert await other.ping() == [Pingresp()]
        assert node.node.counters.mqtt_takeovers == 1

    run_node(test)


def test_a_client_that_is_refused_takes_nothing_over() -> None:
    async def test(node: WireNode) -> None:
        old = MqttClient(node)
        await old.connect("c", username="42")
        assert (await MqttClient(node).connect("c", password=b"ey.a.b")).reason == 0x87
        assert await old.ping() == [Pingresp()]

    run_node(test)


# Wills


def will(**changes: Any) -> Will:
    values: dict[str, Any] = {"topic": "w", "payload": b"gone", "qos": 1}
    return Will(**(values | changes))


async def watcher(node: WireNode) -> MqttClient:
    client = MqttClient(node)
    await client.connect("watcher")
    await client.subscribe("w", qos=1)
    return client


@pytest.mark.parametrize("how", ["vanish", "mistake", "0x04", "keep-alive", "takeover", "0x00"])
def test_a_will_is_published_unless_the_client_takes_leave(how: str) -> None:
    async def test(node: WireNode) -> None:
        other, client = await watcher(node), MqttClient(node)
        await client.connect("c", will=will(), keep_alive_s=10)
        if how == "vanish":
            await client.vanish()
        elif how == "mistake":
            client.feed(b"\x00\x00")
        elif how == "keep-alive":
            await node.advance(20)
        elif how == "takeover":
            await MqttClient(node).connect("c")
        else:
            await client.disconnect(int(how, 16))
        assert await other.payloads() == ([] if how == "0x00" else ["gone"])
        await node.advance(30)
        assert await other.payloads() == []

    run_node(test)


def test_a_delayed_will_waits_and_is_taken_back_by_a_session_that_goes_on() -> None:
    async def test(node: WireNode) -> None:
        other, client = await watcher(node), MqttClient(node)
        delayed = will(properties=Properties(will_delay_s=10))
        lasting = Properties(session_expiry_s=100)
        await client.connect("c", will=delayed, properties=lasting)
        await client.vanish()
        await node.advance(9)
        assert await other.payloads() == []
        again = MqttClient(node)
        answer = await again.connect("c", clean_start=False, will=delayed, properties=lasting)
        assert answer.session_present
        await node.advance(20)
        assert await other.payloads() == []
        await again.vanish()
        await node.advance(12)
        assert await other.payloads() == ["gone"]
        await node.advance(100)
        assert await other.payloads() == []

    run_node(test)


def test_a_will_comes_at_the_end_of_its_session_at_the_latest() -> None:
    async def test(node: WireNode) -> None:
        other = await watcher(node)
        delayed = will(properties=Properties(will_delay_s=100))
        for name, expiry_s in (("c", 0), ("d", 5)):
            client = MqttClient(node)
            lasting = Properties(session_expiry_s=expiry_s)
            await client.connect(name, will=delayed, properties=lasting)
            await client.vanish()
            assert await other.payloads() == ["gone"] * (not expiry_s)
        await node.advance(8)
        assert await other.payloads() == ["gone"]

    run_node(test)


def test_a_clean_start_ends_the_session_and_so_fires_its_will() -> None:
    async def test(node: WireNode) -> None:
        other, client = await watcher(node), MqttClient(node)
        delayed = will(properties=Properties(will_delay_s=100))
        await client.connect("c", will=delayed, properties=Properties(session_expiry_s=200))
        await client.vanish()
        assert await other.payloads() == []
        assert not (await MqttClient(node).connect("c")).session_present
        assert await other.payloads() == ["gone"]

    run_node(test)


@pytest.mark.parametrize("topic", ["$SYS/x", "users/7"])
def test_a_will_that_may_not_be_published_is_refused_at_once(topic: str) -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        answer = await client.connect(will=will(topic=topic), password=token(node))
        assert answer.reason == 0x87

    run_node(test, dev=False)


def test_a_will_carries_what_it_was_given() -> None:
    async def test(node: WireNode) -> None:
        other, client = await watcher(node), MqttClient(node)
        properties = Properties(user=(("a", "b"),), content_type="t", message_expiry_s=60)
        await client.connect("c", will=will(retain=True, properties=properties))
        await client.vanish()
        (found,) = await other.messages()
        assert found.properties.user == (("a", "b"),)
        assert (found.properties.content_type, found.properties.message_expiry_s) == ("t", 60)
        late = MqttClient(node)
        await late.connect("late")
        await late.subscribe("w")
        (kept,) = await late.messages()
        assert isinstance(kept, Publish) and kept.retain

    run_node(test)


# Ends


def test_a_drain_says_so() -> None:
    async def test(node: WireNode) -> None:
        client, old = MqttClient(node), MqttClient(node, 4)
        await client.connect("c")
        await old.connect("d")
        await node.node.drain()
        (end,) = await client.take()
        assert isinstance(end, Disconnect) and end.reason == 0x8B
        (said,) = end.properties.user
        assert said[0] == "retry_ms" and 0 <= int(said[1]) <= 500
        assert await old.take() == [] and old.transport.ended

    run_node(test)


def test_a_drain_says_when_to_come_back_only_where_there_is_room() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        await client.connect("c", properties=Properties(maximum_packet_bytes=12))
        await node.node.drain()
        assert client.transport.sent.endswith(b"\xe0\x01\x8b")

    run_node(test)


def test_a_second_connect_ends_the_connection() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        await client.connect()
        client.feed(encode_connect(Connect(level=5, client_id="c")))
        (end,) = await client.take()
        assert isinstance(end, Disconnect) and end.reason == 0x82
        await node.advance(3)
        assert client.transport.closed

    run_node(test)


def test_connack_is_cut_to_what_the_client_takes() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        answer = await client.connect(properties=Properties(maximum_packet_bytes=12))
        assert answer.properties == Properties(receive_maximum=20)
        refused = MqttClient(node)
        answer = await refused.connect(
            password=b"ey.a.b", properties=Properties(maximum_packet_bytes=12)
        )
        assert (answer.reason, answer.properties) == (0x87, Properties())

    run_node(test)


FLOODS = {
    "QoS 0": encode_publish(5, "a", b"x"),
    "refused": encode_publish(5, "$SYS/a", b"x", qos=1, packet_id=7),
    "pings": PINGREQ_BYTES,
    "PUBACK": encode_ack(5, Ack(PUBACK, 7)),
    "PUBREC": encode_ack(5, Ack(PUBREC, 7)),
    "PUBREL": encode_ack(5, Ack(PUBREL, 7)),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_client_that_sends_too_fast_is_stopped(flood: bytes) -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        client.acknowledging = False
        await client.connect("c")
        for _ in range(3):
            client.feed(20 * flood)
            assert not any(isinstance(each, Disconnect) for each in await client.take())
            await node.advance(1)
        client.feed(20 * flood)
        client.feed(flood)
        end = (await client.take())[-1]
        assert isinstance(end, Disconnect) and end.reason == 0x96
        assert node.node.counters.rejected["rate_limited"] == 1

    run_node(test, mqtt_packets_per_s=20)


def test_a_flow_that_is_acknowledged_has_no_rate() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        await client.connect("c")
        await client.subscribe("a", qos=2)
        for number in range(10):
            await client.publish("a", b"%d" % number, qos=1 + number % 2)
        assert len(await client.messages()) == 10

    run_node(test, mqtt_packets_per_s=2)


def test_two_devices_of_one_name_are_stopped() -> None:
    async def test(node: WireNode) -> None:
        clients = [MqttClient(node) for _ in range(4)]
        reasons = [(await client.connect("c")).reason for client in clients]
        assert reasons == [0, 0, 0, 0x9F]
        assert await clients[2].ping() == [Pingresp()]
        assert node.node.counters.rejected["rate_limited"] == 1
        await node.advance(61)
        assert (await MqttClient(node).connect("c")).reason == 0

    run_node(test, mqtt_takeovers_per_min=2)


MALFORMED_CONNECTS = {
    "a reserved bit of the flags": b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x0a\x00\x01c",
    "a client id that is no text": b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01\xff",
    "a password without a user": b"\x10\x10\x00\x04MQTT\x04\x42\x00\x0a\x00\x01c\x00\x01p",
    "bytes behind its end": b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x01cx",
}


@pytest.mark.parametrize("mistake", MALFORMED_CONNECTS)
def test_a_malformed_connect_of_3_1_1_is_not_answered(mistake: str) -> None:
    """3.1.1: MQTT-3.1.4-1, where 5.0 may say what was wrong."""

    async def test(node: WireNode) -> None:
        client = MqttClient(node, 4)
        client.feed(MALFORMED_CONNECTS[mistake])
        await settle()
        assert not client.transport.sent
        assert client.transport.ended
        assert node.node.counters.rejected["mqtt_invalid"] == 1

    run_node(test)


@pytest.mark.parametrize("limit", [1, 4])
def test_a_client_that_takes_no_packet_as_small_as_connack_is_sent_none(limit: int) -> None:
    """3.1.2-24; it could be told nothing else either."""

    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        small = Properties(maximum_packet_bytes=limit)
        client.feed(encode_connect(Connect(level=5, client_id="c", properties=small)))
        await settle()
        assert not client.transport.sent
        assert client.transport.ended
        assert not node.node.subscribing.sessions

    run_node(test)
