"""MQTT: what one client sends is taken in the order in which it sends it, although publications are
stored meanwhile. Over a fake socket; everything of a test comes in one read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from reddot.codecs.mqtt_encode import (
    PINGREQ_BYTES,
    encode_publish,
    encode_subscribe,
    encode_unsubscribe,
)
from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBREC,
    Ack,
    Packet,
    Pingresp,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from reddot.errors import ReddotError
from tests.unit.transports.mqtt_rig import joined
from tests.wire.mqttclient import MqttClient
from tests.wire.node import WireNode, run_node

QOS = pytest.mark.parametrize("qos", [0, 1, 2])
LEVELS = pytest.mark.parametrize("level", [4, 5])


def publish(client: MqttClient, payload: bytes, qos: int, *, retain: bool = False) -> bytes:
    packet_id = client.next_id() if qos else 0
    return encode_publish(
        client.level, "a", payload, qos=qos, packet_id=packet_id, retain=retain, properties=b""
    )


def subscribe(client: MqttClient, qos: int = 0) -> bytes:
    packet = Subscribe(client.next_id(), (Subscription("a", qos),))
    return encode_subscribe(client.level, packet)


def unsubscribe(client: MqttClient) -> bytes:
    return encode_unsubscribe(client.level, Unsubscribe(client.next_id(), ("a",)))


def kinds(packets: list[Packet]) -> list[object]:
    return [packet.kind if isinstance(packet, Ack) else type(packet) for packet in packets]


@LEVELS
@QOS
def test_what_was_retained_before_a_subscription_is_retained_for_it(level: int, qos: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", level)
        client.feed(publish(client, b"1", qos, retain=True) + subscribe(client, 1))
        (found,) = await client.messages()
        assert (found.payload, found.retain) == (b"1", True)

    run_node(test)


@LEVELS
@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_published_before_a_subscription_is_not_news_to_it(level: int, qos: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", level)
        client.feed(publish(client, b"1", qos) + subscribe(client, 1) + publish(client, b"2", qos))
        assert await client.payloads() == ["2"]

    run_node(test)


@LEVELS
@QOS
def test_what_was_published_before_the_end_of_a_subscription_comes(level: int, qos: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", level)
        await client.subscribe("a", qos=qos)
        client.feed(publish(client, b"1", qos) + unsubscribe(client) + publish(client, b"2", qos))
        assert await client.payloads() == ["1"]

    run_node(test)


def test_answers_come_in_the_order_of_what_was_asked() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        steps: list[Callable[[], bytes]] = [
            lambda: publish(client, b"1", 1),
            lambda: subscribe(client),
            lambda: publish(client, b"2", 2),
            lambda: unsubscribe(client),
            lambda: PINGREQ_BYTES,
            lambda: subscribe(client),
        ]
        client.acknowledging = False
        client.feed(b"".join(step() for step in steps))
        answers = kinds(await client.take())
        assert answers == [PUBACK, Suback, PUBREC, Unsuback, Pingresp, Suback]

    run_node(test)


def test_packets_that_come_while_a_subscription_waits_are_taken_behind_it() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        client.feed(publish(client, b"1", 1) + subscribe(client)[:4])
        client.feed(subscribe(client)[4:] + publish(client, b"2", 1))
        client.feed(PINGREQ_BYTES)
        assert kinds(await client.take()) == [PUBACK, Suback, Pingresp, PUBACK]
        assert await client.payloads() == ["2"]
        assert client.transport.reading

    run_node(test)


def test_a_subscription_behind_a_publication_that_cannot_be_stored_is_answered() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")

        def refuse(_drafts: object, done: Callable[[ReddotError], None], *_: object) -> None:
            asyncio.get_running_loop().call_soon(
                done, ReddotError("store_unavailable", "on purpose")
            )

        node.node.store.append = refuse  # type: ignore[method-assign, assignment]
        client.feed(publish(client, b"1", 0, retain=True) + subscribe(client))
        assert kinds(await client.take()) == [Suback]

    run_node(test)


def test_a_client_that_goes_while_its_subscription_waits_leaves_nothing() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        client.feed(publish(client, b"1", 1) + subscribe(client))
        await client.vanish()
        assert not node.node.subscribing.sessions

    run_node(test)
