"""MQTT clients that come and go, and nodes that crash, for tests over a fake socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from reddot.codecs.mqtt_packets import Properties
from tests.wire.mqttclient import MqttClient
from tests.wire.node import WireNode

LASTING = Properties(session_expiry_s=600)


async def joined(node: WireNode, name: str, level: int = 5, **connect: Any) -> MqttClient:
    client = MqttClient(node, level)
    assert (await client.connect(name, **connect)).reason == 0
    return client


async def lasting(node: WireNode, name: str = "c", **connect: Any) -> MqttClient:
    values: dict[str, Any] = {"clean_start": False, "properties": LASTING}
    return await joined(node, name, **(values | connect))


async def back(
    node: WireNode, name: str = "c", *, present: bool = True, **connect: Any
) -> MqttClient:
    client = MqttClient(node)
    values: dict[str, Any] = {"clean_start": False, "properties": LASTING}
    client.acknowledging = connect.pop("acknowledging", True)
    answer = await client.connect(name, **(values | connect))
    assert answer.session_present is present
    return client


async def fill(node: WireNode, topic: str, count: int, *, qos: int = 1, start: int = 1) -> None:
    publisher = await joined(node, "publisher")
    for number in range(start, start + count):
        await publisher.publish(topic, b"%d" % number, qos=qos)
    await publisher.disconnect()


@asynccontextmanager
async def crashed(node: WireNode, **settings: Any) -> AsyncIterator[WireNode]:
    """Another process on the same store; the first one has not been told to stop."""
    other = WireNode(**settings)
    other.node.store = node.node.store
    other.clock = other.node.clock = node.clock
    await other.start()
    try:
        yield other
    finally:
        await other.stop()


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]
