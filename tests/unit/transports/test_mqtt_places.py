"""MQTT: every cursor on the wire is true for all filters of its session, also while it reads the
log for some of them. Over a fake socket, with a store whose reads are held."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from reddot.codecs.cursor import decode_cursor, encode_cursor
from reddot.codecs.mqtt_packets import Properties, Publish, Suback
from reddot.model import Cursor, Page
from tests.unit.transports.mqtt_rig import back, joined
from tests.wire.mqttclient import MqttClient
from tests.wire.node import EPOCH, WireNode, run_node
from tests.wire.transport import settle

REDDOT = Properties(user=(("reddot", "1"),))
LASTING = Properties(user=REDDOT.user, session_expiry_s=600)
UNREMEMBERED = {"recent_publications_max": 0}


def hold_reads(node: WireNode, rows_max: int) -> asyncio.Semaphore:
    """Let each read of the log wait for its turn, and answer few rows."""
    turns, read = asyncio.Semaphore(0), node.node.store.read

    async def held(filters: Sequence[str] | None, *, after: int, upto: int, limit: int) -> Page:
        if limit > 1:  # One row is asked for to learn of gaps.
            await turns.acquire()
        return await read(filters, after=after, upto=upto, limit=min(limit, rows_max))

    node.node.store.read = held  # type: ignore[method-assign]
    return turns


async def go_on(turns: asyncio.Semaphore, times: int = 1) -> None:
    for _ in range(times):
        turns.release()
        await settle()


async def publish(node: WireNode, *topics: str) -> None:
    for topic in topics:
        await node.node.publish(topic, topic)
    await settle()


def place_of(packet: Publish | Suback) -> int:
    """The position of the cursor that a packet carries."""
    return decode_cursor(dict(packet.properties.user)["cursor"]).position


def after(position: int) -> tuple[tuple[str, str], ...]:
    """As a property of SUBSCRIBE: what came after a position is wanted."""
    return (("cursor", encode_cursor(Cursor(EPOCH, position))),)


async def said(client: MqttClient) -> list[tuple[str, int]]:
    """What has come since: topics, with the places that were said with them."""
    return [(message.topic, place_of(message)) for message in await client.messages()]


def test_a_subscription_while_another_is_resumed_is_told_a_place_that_holds_for_both() -> None:
    async def test(node: WireNode) -> None:
        await publish(node, *"aaaaaa")
        turns = hold_reads(node, rows_max=2)
        client = await joined(node, "c", properties=REDDOT)
        await client.subscribe("a", user=after(1))
        await go_on(turns)
        assert await said(client) == [("a", 2), ("a", 3)]
        assert place_of(await client.subscribe("b")) == 3
        await go_on(turns, 3)
        assert await said(client) == [("a", 4), ("a", 5), ("a", 6)]
        assert place_of(await client.subscribe("d")) == 6

    run_node(test, **UNREMEMBERED)


def test_deliveries_of_one_resume_do_not_cover_what_the_next_one_is_owed() -> None:
    async def test(node: WireNode) -> None:
        await publish(node, *"babab")
        turns = hold_reads(node, rows_max=1)
        client = await joined(node, "c", properties=REDDOT)
        await client.subscribe("a", user=after(1))
        await client.subscribe("b", user=after(2))
        await go_on(turns, 6)
        assert await said(client) == [("a", 2), ("a", 2), ("b", 3), ("b", 5)]
        await publish(node, "a")
        assert await said(client) == [("a", 6)]

    run_node(test, **UNREMEMBERED)


@pytest.mark.parametrize("window", [1, 20])
def test_a_resume_that_a_connection_did_not_see_the_end_of_goes_on_with_its_session(
    window: int,
) -> None:
    """Read in part, and with a window of one held in part."""

    async def test(node: WireNode) -> None:
        await publish(node, *"aaaaa")
        turns = hold_reads(node, rows_max=2)
        client = await joined(node, "c", clean_start=False, properties=LASTING)
        client.acknowledging = False
        await client.subscribe("a", qos=1, user=after(1))
        await go_on(turns)
        assert len(await client.messages()) == min(window, 2)
        await client.vanish()
        client = await back(node, properties=LASTING)
        await go_on(turns, 8)
        places = [place for _, place in await said(client)]
        assert places == [2, 3, 4, 5]

    run_node(test, mqtt_inflight_max=window, **UNREMEMBERED)
