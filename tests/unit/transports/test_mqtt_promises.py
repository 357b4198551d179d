"""MQTT sessions: what is promised, what is told of gaps, what is bounded. Over a fake socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from reddot.codecs.mqtt_encode import (
    encode_connect,
    encode_subscribe,
    encode_unsubscribe,
)
from reddot.codecs.mqtt_packets import (
    Connect,
    Disconnect,
    Properties,
    Publish,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
)
from reddot.errors import ReddotError
from reddot.ports import AppendDone
from tests.unit.transports.mqtt_rig import LASTING, back, crashed, fill, joined, lasting
from tests.wire.mqttclient import MqttClient
from tests.wire.node import WireNode, run_node
from tests.wire.transport import settle

# What is promised


def test_a_session_and_its_will_are_durable_when_they_are_promised() -> None:
    """The crash comes with CONNACK, before the client has subscribed to anything."""

    async def test(node: WireNode) -> None:
        will = Will(topic="gone", payload=b"new", qos=1, properties=Properties(will_delay_s=1))
        await lasting(node, "d")
        old = Will(topic="gone", payload=b"old", qos=1, properties=Properties(will_delay_s=9))
        await (await lasting(node, will=old)).vanish()
        await lasting(node, will=will)
        async with crashed(node) as other:
            watcher = await joined(other, "w")
            await watcher.subscribe("gone", qos=1)
            await other.advance(12)
            assert await watcher.payloads() == ["new"]
            await back(other)
            await back(other, "d")

    run_node(test)


def test_a_session_that_cannot_be_stored_is_not_promised() -> None:
    async def test(node: WireNode) -> None:
        def fail(_drafts: object, done: AppendDone, _clients: object = ()) -> None:
            asyncio.get_running_loop().call_soon(done, ReddotError("store_unavailable"))

        await (await lasting(node)).vanish()
        append = node.node.store.append
        node.node.store.append = fail  # type: ignore[method-assign,assignment]
        assert (await MqttClient(node).connect("d", properties=LASTING)).reason == 0x88
        refused = await MqttClient(node).connect("c", clean_start=False, properties=LASTING)
        assert refused.reason == 0x88
        assert (await MqttClient(node).connect("e")).reason == 0
        node.node.store.append = append  # type: ignore[method-assign]
        await node.advance(300)
        await back(node)

    run_node(test)


def test_no_room_is_left_when_the_session_has_been_stored() -> None:
    """Two clients come at once, and there is room for one: the other one's session waits."""

    async def test(node: WireNode) -> None:
        will = Will(topic="gone", payload=b"x", qos=1)
        clients = [MqttClient(node), MqttClient(node)]
        for client, name in zip(clients, "ab", strict=True):
            connect = Connect(level=5, client_id=name, properties=LASTING, will=will)
            client.feed(encode_connect(connect))
        answers = [await client.take() for client in clients]
        assert [[each.reason for each in found] for found in answers] == [[0], [0x97]]  # type: ignore[union-attr]
        assert node.node.counters.mqtt_wills == 0
        await clients[0].vanish()
        assert node.node.counters.mqtt_wills == 1
        await node.advance(2)
        assert node.node.counters.mqtt_wills == 1

    run_node(test, sessions_max=1)


# Gaps


async def lose(node: WireNode, topics: Sequence[str] = "a", count: int = 5) -> None:
    """Publish what this node does not hear of before retention takes it; then one that it hears."""
    hint, node.node.bus._hint = node.node.bus._hint, None
    for topic in topics:
        for number in range(count):
            await node.node.publish(topic, number)
    node.node.bus._hint = hint
    await node.node.publish("other", "heard")
    await settle()


REDDOT = Properties(user=(("reddot", "1"),))
KEEP_TWO = ({"filter": "#", "history_count": 2},)


def gaps_of(message: Publish) -> list[str]:
    return [value for name, value in message.properties.user if name == "gap"]


@pytest.mark.parametrize("qos", [0, 1])
def test_a_live_gap_is_told_once_with_the_next_delivery(qos: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", properties=REDDOT)
        plain = await joined(node, "p")
        for each in (client, plain):
            await each.subscribe("a", "other", qos=qos)
        await lose(node)
        found = await client.messages()
        assert [(m.payload, gaps_of(m)) for m in found] == [
            (b"3", ["trimmed a"]),
            (b"4", []),
            (b'"heard"', []),
        ]
        assert not any(gaps_of(m) for m in await plain.messages())

    run_node(test, topics=KEEP_TWO)


def test_a_gap_of_a_session_that_was_away_is_told() -> None:
    async def test(node: WireNode) -> None:
        lasting_too = Properties(user=REDDOT.user, session_expiry_s=600)
        client = await joined(node, "c", clean_start=False, properties=lasting_too)
        await client.subscribe("a", qos=1)
        await client.vanish()
        await fill(node, "a", 5)
        client = await back(node, properties=lasting_too)
        assert [(m.payload, gaps_of(m)) for m in await client.messages()] == [
            (b"4", ["trimmed a"]),
            (b"5", []),
        ]

    run_node(test, topics=KEEP_TWO, recent_publications_max=0)


def test_gaps_are_told_in_turn_if_there_is_little_room() -> None:
    async def test(node: WireNode) -> None:
        properties = Properties(user=REDDOT.user, maximum_packet_bytes=400)
        client = await joined(node, "c", properties=properties)
        topics = [letter * 80 for letter in "abc"]
        await client.subscribe(*topics, "other", qos=1)
        await lose(node, topics)
        found = await client.messages()
        told = [gaps_of(m) for m in found if gaps_of(m)]
        assert sorted(text for each in told for text in each) == [
            f"trimmed {topic}" for topic in topics
        ]
        assert len(told) > 1
        assert len(found) == 7 and not node.node.counters.mqtt_too_large

    run_node(test, topics=KEEP_TWO)


# Limits


def test_a_user_keeps_so_many_sessions() -> None:
    async def test(node: WireNode) -> None:
        async def reason(name: str, user: str, **changes: Any) -> int:
            values: dict[str, Any] = {"clean_start": False, "properties": LASTING} | changes
            return (await MqttClient(node).connect(name, username=user, **values)).reason

        assert [await reason(name, "42") for name in "abc"] == [0, 0, 0x97]
        assert node.node.counters.rejected["too_many_sessions"] == 1
        assert await reason("c", "42", properties=Properties()) == 0
        assert await reason("a", "42") == 0
        assert [await reason(name, "7") for name in "abc"] == [0, 0, 0x97]
        assert await reason("a", "42", clean_start=True, properties=Properties()) == 0
        assert await reason("c", "42") == 0
        assert await reason("a", "1") == 0x97  # There are as many as there may be of all users.

    run_node(test, mqtt_stored_sessions_per_user_max=2, mqtt_stored_sessions_max=4)


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_a_packet_has_so_many_filters(kind: str) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await getattr(client, kind)("a", "b")
        asked = tuple(map(Subscription, "abc"))
        packets = {
            "subscribe": encode_subscribe(5, Subscribe(9, asked)),
            "unsubscribe": encode_unsubscribe(5, Unsubscribe(9, tuple("abc"))),
        }
        client.feed(packets[kind])
        (end,) = await client.take()
        assert isinstance(end, Disconnect) and end.reason == 0x97
        assert node.node.counters.rejected["mqtt_invalid"] == 1

    run_node(test, mqtt_filters_per_packet_max=2)
