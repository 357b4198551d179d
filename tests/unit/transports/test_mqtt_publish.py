"""MQTT: what clients publish and what subscribers get. Over a fake socket, at a fake time."""

from __future__ import annotations

from typing import Any

import pytest

from reddot.codecs.mqtt_encode import encode_publish
from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Disconnect,
    Properties,
    Subscription,
    Unsuback,
)
from reddot.errors import ReddotError
from reddot.model import Publication
from tests.wire.mqttclient import MqttClient
from tests.wire.node import WireNode, run_node
from tests.wire.transport import settle


async def joined(node: WireNode, name: str, level: int = 5, **connect: Any) -> MqttClient:
    client = MqttClient(node, level)
    assert (await client.connect(name, **connect)).reason == 0
    return client


async def log_of(node: WireNode) -> list[Publication]:
    store = node.node.store
    page = await store.read(None, after=0, upto=store.head, limit=100)
    return list(page.publications)


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("sent", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_every_quality_of_service_reaches_every_subscriber(
    level: int, sent: int, granted: int
) -> None:
    async def test(node: WireNode) -> None:
        one, two = await joined(node, "one", level), await joined(node, "two", level)
        assert (await one.subscribe("a/+", qos=granted)).reasons == (granted,)
        answers = await two.publish("a/b", b"hello", qos=sent)
        assert [type(a) for a in answers] == [Ack] * sent
        (found,) = await one.messages()
        assert (found.topic, found.payload, found.retain) == ("a/b", b"hello", False)
        assert found.qos == min(sent, granted)

    run_node(test)


def test_quality_zero_is_ephemeral_and_the_others_are_durable() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        for qos in (0, 1, 2):
            await client.publish("a", b"%d" % qos, qos=qos)
        assert [(p.data, p.qos) for p in await log_of(node)] == [(b"1", 1), (b"2", 2)]

    run_node(test)


def test_a_rule_of_the_topic_decides_what_is_durable() -> None:
    rules = ({"filter": "d/#", "durable": True}, {"filter": "e/#", "durable": False})

    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        for topic in ("d/1", "e/1"):
            for qos in (0, 1, 2):
                await client.publish(topic, b"%d" % qos, qos=qos)
        found = await log_of(node)
        assert [(p.topic, p.qos) for p in found] == [("d/1", 0), ("d/1", 1), ("d/1", 2)]

    run_node(test, topics=rules)


@pytest.mark.parametrize(
    ("payload", "binary"),
    [(b'{"a": 1}', False), (b"7", False), (b"hello", True), (b"\xff\x00", True), (b"", True)],
)
def test_json_is_json_to_the_others_and_bytes_are_bytes(payload: bytes, binary: bool) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.publish("a", payload, qos=1)
        (found,) = await log_of(node)
        assert (found.data, found.binary) == (payload, binary)

    run_node(test)


def test_an_id_makes_a_publication_once() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        for _ in range(2):
            (answer,) = await client.publish("a", b"1", qos=1, user=(("id", "k"),))
            assert isinstance(answer, Ack) and answer.reason == 0
        assert [p.id for p in await log_of(node)] == ["k"]
        (answer,) = await client.publish("a", b"2", qos=1, user=(("id", "k"),))
        assert isinstance(answer, Ack) and answer.reason == 0x83

    run_node(test)


def test_properties_are_handed_on_unaltered_and_expiry_counts_down() -> None:
    properties: dict[str, Any] = {
        "payload_format": 1,
        "content_type": "text/plain",
        "response_topic": "answers/1",
        "correlation_data": b"\x00\x01",
        "user": (("b", "1"), ("a", "2"), ("b", "1")),
        "message_expiry_s": 60,
    }

    async def test(node: WireNode) -> None:
        one = await joined(node, "one", properties=Properties(session_expiry_s=600))
        await one.subscribe("a", qos=1)
        old = await joined(node, "old", 4)
        await old.subscribe("a")
        await one.vanish()
        two = await joined(node, "two")
        await two.publish("a", b"1", qos=1, **properties)
        await node.advance(20)
        again = MqttClient(node)
        await again.connect("one", clean_start=False)
        (found,) = await again.messages()
        assert found.properties == Properties(**(properties | {"message_expiry_s": 40}))
        assert await old.payloads() == ["1"]

    run_node(test)


def test_what_has_expired_is_not_delivered() -> None:
    async def test(node: WireNode) -> None:
        one = await joined(node, "one", properties=Properties(session_expiry_s=600))
        await one.subscribe("a", qos=1)
        await one.vanish()
        two = await joined(node, "two")
        await two.publish("a", b"late", qos=1, message_expiry_s=5)
        await two.publish("a", b"behind", qos=1)
        await node.advance(6)
        again = MqttClient(node)
        await again.connect("one", clean_start=False)
        assert await again.payloads() == ["behind"]

    run_node(test)


# Inbound QoS 2


def test_a_duplicate_of_quality_two_is_published_once() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        client.acknowledging = False
        for dup in (False, True, True):
            (answer,) = await client.publish("a", b"1", qos=2, packet_id=9, dup=dup)
            assert isinstance(answer, Ack) and (answer.kind, answer.reason) == (PUBREC, 0)
        (answer,) = await client.ack(PUBREL, 9)
        assert isinstance(answer, Ack) and (answer.kind, answer.reason) == (PUBCOMP, 0)
        await client.publish("a", b"2", qos=2, packet_id=9)
        assert [p.data for p in await log_of(node)] == [b"1", b"2"]
        (answer,) = await client.ack(PUBREL, 77)
        assert isinstance(answer, Ack) and (answer.kind, answer.reason) == (PUBCOMP, 0x92)

    run_node(test)


@pytest.mark.parametrize("clean", [False, True])
def test_identifiers_of_quality_two_outlive_the_connection_with_the_session(clean: bool) -> None:
    async def test(node: WireNode) -> None:
        lasting = Properties(session_expiry_s=600)
        client = await joined(node, "c", properties=lasting)
        client.acknowledging = False
        await client.publish("a", b"1", qos=2, packet_id=9)
        await client.vanish()
        again = MqttClient(node)
        again.acknowledging = False
        answer = await again.connect("c", clean_start=clean, properties=lasting)
        assert answer.session_present is not clean
        await again.publish("a", b"1", qos=2, packet_id=9, dup=True)
        assert len(await log_of(node)) == 1 + clean

    run_node(test)


def test_more_than_the_receive_maximum_ends_the_connection() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        client.acknowledging = False
        for packet_id in range(1, 21):
            await client.publish("a", b"1", qos=2, packet_id=packet_id)
        found = await client.publish("a", b"1", qos=2, packet_id=21)
        assert [one.reason for one in found if isinstance(one, Disconnect)] == [0x93]

    run_node(test)


def test_an_old_client_that_never_releases_is_closed_at_the_limit() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", 4)
        client.acknowledging = False
        for packet_id in range(1, 31):
            await client.publish("a", b"1", qos=2, packet_id=packet_id)
        assert not client.transport.ended
        await client.publish("a", b"1", qos=2, packet_id=31)
        assert client.transport.ended

    run_node(test, mqtt_unreleased_max=30)


def test_an_old_client_that_publishes_faster_than_the_store_is_not_read() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", 4)
        for packet_id in range(1, 51):
            client.feed(encode_publish(4, "a", b"1", qos=1, packet_id=packet_id))
        await settle()
        found = [one for one in await client.take() if isinstance(one, Ack)]
        assert [one.packet_id for one in found] == list(range(1, 51))
        assert client.transport.reading

    run_node(test)


def test_topic_aliases_of_a_client() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.publish("a", b"1", qos=1, topic_alias=1)
        await client.publish("", b"2", qos=1, topic_alias=1)
        await client.publish("b", b"3", qos=1, topic_alias=1)
        await client.publish("", b"4", qos=1, topic_alias=1)
        found = [(p.topic, p.data) for p in await log_of(node)]
        assert found == [("a", b"1"), ("a", b"2"), ("b", b"3"), ("b", b"4")]

    run_node(test)


@pytest.mark.parametrize(("alias", "reason"), [(2, 0x82), (17, 0x94)])
def test_a_wrong_alias_ends_the_connection(alias: int, reason: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        (end,) = await client.publish("", b"1", topic_alias=alias)
        assert isinstance(end, Disconnect) and end.reason == reason

    run_node(test)


@pytest.mark.parametrize("topic", ["$SYS/x", "secret"])
def test_what_may_not_be_published_is_refused(topic: str) -> None:
    async def test(node: WireNode) -> None:
        known: dict[str, Any] = {"username": "42"}
        client, old = await joined(node, "c", **known), await joined(node, "d", 4, **known)
        for qos, kind in ((1, PUBACK), (2, PUBREC)):
            (answer,) = await client.publish(topic, b"1", qos=qos)
            assert isinstance(answer, Ack) and (answer.kind, answer.reason) == (kind, 0x87)
        assert await client.publish(topic, b"1") == []
        (answer,) = await old.publish(topic, b"1", qos=1)
        assert isinstance(answer, Ack) and answer.reason == 0
        assert await log_of(node) == []
        assert node.node.counters.rejected["forbidden"] == 4

    run_node(test, topics=({"filter": "secret", "publish": "deny"},))


def test_data_beyond_the_limit_is_refused() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        (answer,) = await client.publish("a", b"1" * 101, qos=1)
        assert isinstance(answer, Ack) and answer.reason == 0x97
        (answer,) = await client.publish("a", b"1" * 100, qos=1)
        assert isinstance(answer, Ack) and answer.reason == 0

    run_node(test, data_bytes_max=100)


@pytest.mark.parametrize("level", [4, 5])
def test_a_store_that_fails_ends_the_connection_unacknowledged(level: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", level)

        def fail(drafts: object, done: Any, clients: object = ()) -> None:
            done(ReddotError("store_unavailable"))

        node.node.publishing._store.append = fail  # type: ignore[method-assign]
        found = await client.publish("a", b"1", qos=1)
        assert [type(one) for one in found] == [Disconnect] * (level == 5)
        assert client.transport.ended

    run_node(test)


# Subscriptions


def test_overlapping_filters_give_one_copy_with_the_highest_quality_and_all_identifiers() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.subscribe("a/#", qos=0, subscription_ids=(7,))
        await client.subscribe("a/+", qos=2, subscription_ids=(8,))
        await client.subscribe("b", qos=1)
        await client.publish("a/b", b"1", qos=2)
        (found,) = await client.messages()
        assert found.qos == 2
        assert sorted(found.properties.subscription_ids) == [7, 8]

    run_node(test)


def test_no_local_keeps_ones_own_publications_away() -> None:
    async def test(node: WireNode) -> None:
        one, two = await joined(node, "one"), await joined(node, "two")
        await one.subscribe(Subscription("a/b", 1, no_local=True))
        for client in (one, two):
            await client.publish("a/b", b"x", qos=1)
        assert len(await one.messages()) == 1

    run_node(test)


@pytest.mark.parametrize("qos", [0, 1])
def test_retained_publications_by_how_they_are_asked_for(qos: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.publish("a", b"kept", qos=qos, retain=True)
        for handling, first, second in ((0, 1, 1), (1, 1, 0), (2, 0, 0)):
            asked = Subscription("a", 1, retain_handling=handling)
            await client.subscribe(asked)
            found = await client.messages()
            assert [(m.payload, m.retain, m.qos) for m in found] == [(b"kept", True, qos)] * first
            await client.subscribe(asked)
            assert len(await client.messages()) == second
            await client.unsubscribe("a")
        await client.publish("a", b"", qos=qos, retain=True)
        await client.subscribe("a")
        assert await client.messages() == []

    run_node(test)


@pytest.mark.parametrize("level", [4, 5])
def test_shared_frames_carry_retain_for_new_subscribers_only(level: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", level)
        await client.publish("a", b"null", retain=True)
        await client.subscribe("a")
        await client.publish("a", b"new", retain=True)
        found = [(m.payload, m.retain) for m in await client.messages()]
        assert found == [(b"null", True), (b"new", False)]

    run_node(test)


def test_retain_as_published() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.subscribe(Subscription("a", 1, retain_as_published=True))
        await client.publish("a", b"1", qos=1, retain=True)
        await client.publish("a", b"2", qos=1)
        assert [m.retain for m in await client.messages()] == [True, False]

    run_node(test)


def test_the_answer_to_subscribe_has_a_code_for_each_filter() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", username="42")
        answer = await client.subscribe(
            "a",
            "users/42",
            "users/7",
            "a/#/b",
            "$SYS/#",
            "$share/x",
            "$share//a",
            "$share/g/a",
            qos=1,
        )
        assert answer.reasons == (1, 1, 0x87, 0x8F, 0x87, 0x8F, 0x8F, 1)
        old = await joined(node, "d", 4, username="42")
        assert (await old.subscribe("a", "users/7", qos=2)).reasons == (2, 0x80)

    run_node(test)


def test_too_many_filters() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        assert (await client.subscribe("a", "b", "c")).reasons == (0, 0, 0x97)
        assert (await client.subscribe("a", qos=1)).reasons == (1,)

    run_node(test, filters_max=2)


def test_unsubscribe_ends_at_once_and_says_what_was_there() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.subscribe("a", "b", qos=1)
        (answer,) = await client.unsubscribe("a", "x")
        assert isinstance(answer, Unsuback) and answer.reasons == (0, 0x11)
        await client.publish("a", b"1", qos=1)
        await client.publish("b", b"2", qos=1)
        assert await client.payloads() == ["2"]

    run_node(test)


def test_what_a_client_cannot_take_is_skipped() -> None:
    async def test(node: WireNode) -> None:
        small = await joined(node, "c", properties=Properties(maximum_packet_bytes=60))
        await small.subscribe("a", qos=1)
        other = await joined(node, "d")
        await other.publish("a", b"x" * 60, qos=1)
        await other.publish("a", b"y", qos=1)
        assert await small.payloads() == ["y"]
        assert node.node.counters.mqtt_too_large == 1

    run_node(test)


def test_aliases_for_a_client_that_takes_them() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", properties=Properties(topic_alias_maximum=1))
        await client.subscribe("#", qos=1)
        other = await joined(node, "d")
        for topic in ("a/long", "a/long", "b", "b"):
            await other.publish(topic, b"1", qos=1)
        found = [(m.topic, m.properties.topic_alias) for m in await client.messages()]
        assert found == [("a/long", 1), ("", 1), ("b", None), ("b", None)]

    run_node(test)


def test_a_client_that_asks_gets_id_offset_and_cursor_and_resumes_by_it() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", properties=Properties(user=(("reddot", "1"),)))
        await client.subscribe("a", qos=1)
        other = await joined(node, "d")
        for number in range(4):
            await other.publish("a", b"%d" % number, qos=1, user=(("k", "v"),))
        found = await client.messages()
        first = dict(found[0].properties.user)
        assert found[0].properties.user[0] == ("k", "v")
        assert first["offset"] == "1" and first["id"]
        await client.disconnect()
        again = await joined(node, "e")
        await again.subscribe(
            "a", qos=1, user=(("cursor", dict(found[1].properties.user)["cursor"]),)
        )
        assert await again.payloads() == ["2", "3"]
        await other.publish("a", b"4", qos=1)
        assert await again.payloads() == ["4"]

    run_node(test)


@pytest.mark.parametrize("cursor", ["1AAAAAA.1", "rubbish"])
def test_a_cursor_that_cannot_be_continued_is_said(cursor: str) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.publish("a", b"1", qos=1)
        answer = await client.subscribe("a", user=(("cursor", cursor),))
        assert answer.reasons == (0,)
        assert answer.properties.reason_string
        assert [name for name, _ in answer.properties.user] == ["gap"]

    run_node(test)


def test_server_topics_are_for_administrators() -> None:
    async def test(node: WireNode) -> None:
        admin = await joined(node, "c")
        await admin.subscribe("$SYS/broker/clients/#")
        found = {m.topic: (m.payload, m.retain) for m in await admin.messages()}
        assert found["$SYS/broker/clients/connected"] == (b"1", True)
        await node.advance(11)
        assert {m.topic for m in await admin.messages()} == set(found)
        wide = await joined(node, "d")
        await wide.subscribe("#", "+/broker/uptime")
        assert await wide.messages() == []

    run_node(test)
