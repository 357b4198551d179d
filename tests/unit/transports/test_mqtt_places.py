"""MQTT: every cursor on the wire is true for all filters of its session, also while it reads the
log for some of them. Over a fake socket, with a store whose reads are held."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from reddot.codecs.cursor import decode_cursor, encode_cursor
from reddot.codecs.mqtt_encode import encode_subscribe
from reddot.codecs.mqtt_packets import (
    PUBACK,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)
from reddot.core.access import Policy
from reddot.core.rules import TopicRule, TopicRules
from reddot.model import Cursor, Page
from reddot.ports import AppendDone
from tests.unit.transports.mqtt_rig import back, crashed, joined
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


# What a connection has not seen the end of is owed by its session, and nothing else


@pytest.mark.parametrize("memory", [0, 1000])
@pytest.mark.parametrize("window", [1, 20])
@pytest.mark.parametrize("crash", [False, True])
def test_a_resume_that_goes_on_doubles_nothing_on_the_other_filters(
    memory: int, window: int, *, crash: bool
) -> None:
    """QoS 2 is exact on all filters; here the others are ahead of the one that is resumed."""

    async def test(node: WireNode) -> None:
        await publish(node, *"aaaa")
        client = await joined(node, "c", clean_start=False, properties=LASTING)
        await client.subscribe("b", qos=2)
        await publish(node, *"bab")
        assert await said(client) == [("b", 5), ("b", 7)]
        client.acknowledging = False
        turns = hold_reads(node, rows_max=3) if not memory else asyncio.Semaphore()
        await client.subscribe("a", qos=2, user=after(1))
        await go_on(turns)
        came = len(await client.messages())
        assert came == (1 if window == 1 else 3 if not memory else 4)
        await node.advance(2)
        if not crash:
            await client.vanish()
        await publish(node, *"ba")
        async with crashed(node, mqtt_inflight_max=window, **UNREMEMBERED) as other:
            client = await back(other if crash else node, properties=LASTING)
            await go_on(turns, 12)
            found = await said(client)
            assert [topic for topic, _ in found] == ["a", "a", "a", "a", "b", "a"]
            assert [place for _, place in found][-2:] == [8, 9]
            await client.disconnect()
            client = await back(other if crash else node, properties=LASTING)
            assert await said(client) == []

    run_node(test, mqtt_inflight_max=window, recent_publications_max=memory)


def test_a_resume_goes_on_where_a_filter_is_still_allowed_and_wanted() -> None:
    async def test(node: WireNode) -> None:
        await publish(node, *"abababcc")
        client = await joined(node, "c", clean_start=False, properties=LASTING, username="42")
        client.acknowledging = False
        await client.subscribe("a", "b", "c", qos=1, user=after(0))
        assert len(await client.messages()) == 1
        await client.unsubscribe("c")
        await client.vanish()
        denied = TopicRules([TopicRule(filter="b", subscribe="deny")])
        node.node.subscribing._policy = Policy(denied, dev=True)
        client = await back(node, properties=LASTING, username="42")
        assert [topic for topic, _ in await said(client)] == ["a", "a", "a"]

    run_node(test, mqtt_inflight_max=1)


@pytest.mark.parametrize("retained", [True, False])
def test_who_asks_again_while_its_window_is_full_is_owed_no_more(*, retained: bool) -> None:
    async def test(node: WireNode) -> None:
        publisher = await joined(node, "p")
        for topic in ("r/1", "r/2", "r/3"):
            await publisher.publish(topic, b"x", qos=1, retain=True)
        client = await joined(node, "c", clean_start=False, properties=LASTING)
        client.acknowledging = False
        user = () if retained else after(0)
        sizes = set()
        for _ in range(30):
            await client.subscribe("r/#", "none", qos=1, user=user)
            (session,) = [s for s in node.node.subscribing.sessions.values() if s.backfills]
            assert session.backfills is not None
            (attached,) = (c for c in node.node.mqtt.clients.attached.values() if c.name == "c")
            sizes.add((len(session.backfills), len(attached.row().state or b"")))
        assert len(sizes) == 1, sizes
        client.acknowledging = True
        for packet in await client.messages():
            await client.ack(PUBACK, packet.packet_id)
        assert [m.topic for m in await client.messages()] == ["r/1", "r/2", "r/3"]

    run_node(test, mqtt_inflight_max=1)


def test_a_retained_publication_comes_once_to_who_has_subscribed_before_it() -> None:
    """It comes while the subscription is being stored, and again only if it was there before."""

    async def test(node: WireNode) -> None:
        client = await joined(node, "c", clean_start=False, properties=LASTING)
        await (await joined(node, "p")).publish("r/0", b"there", qos=2, retain=True)
        append, waiting = node.node.store.append, []

        def hold(drafts: Any, done: AppendDone, rows: Any = ()) -> None:
            if rows and not drafts:
                waiting.append((drafts, done, rows))
            else:
                append(drafts, done, rows)

        node.node.store.append = hold  # type: ignore[method-assign,assignment]
        client.feed(encode_subscribe(5, Subscribe(7, (Subscription("r/#", 2),))))
        await settle()
        await node.node.publish("r/1", "new", retain=True)
        await settle()
        node.node.store.append = append  # type: ignore[method-assign]
        for each in waiting:
            append(*each)
        found = await client.messages()
        assert sorted((m.topic, m.retain) for m in found) == [("r/0", True), ("r/1", False)]

    run_node(test)
