"""MQTT sessions: away and back, windows, redelivery, crashes, sharing. Over a fake socket."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_encode import (
    encode_publish,
    encode_subscribe,
)
from reddot.codecs.mqtt_packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Ack,
    Disconnect,
    Properties,
    Publish,
    Subscribe,
    Subscription,
    Will,
)
from reddot.core.access import Policy
from reddot.core.rules import TopicRule, TopicRules
from reddot.errors import ReddotError
from tests.unit.transports.mqtt_rig import LASTING, back, crashed, fill, joined, lasting, numbers
from tests.wire.mqttclient import MqttClient
from tests.wire.node import WireNode, run_node
from tests.wire.transport import settle

# Away and back


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("memory", [0, 1000])
def test_a_client_that_was_away_gets_what_it_missed_in_order(level: int, memory: int) -> None:
    async def test(node: WireNode) -> None:
        connect = {"clean_start": False} | ({"properties": LASTING} if level == 5 else {})
        client = await joined(node, "c", level, **connect)
        await client.subscribe("a/#", qos=1)
        await client.vanish()
        await fill(node, "a/b", 120)
        await node.node.publish("a/c", {"from": "http"})
        client = MqttClient(node, level)
        answer = await client.connect("c", **connect)
        assert answer.session_present
        assert await client.payloads() == [*numbers(1, 120), '{"from":"http"}']
        await fill(node, "a/b", 1, start=121)
        assert await client.payloads() == ["121"]

    run_node(test, recent_publications_max=memory)


def test_what_was_missed_at_quality_zero_stays_missed() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe("a", qos=1)
        await client.subscribe("b", qos=0)
        await client.vanish()
        await fill(node, "a", 2)
        await fill(node, "b", 2)
        client = await back(node)
        assert await client.payloads() == ["1", "2"]
        await fill(node, "b", 1, start=3)
        assert await client.payloads() == ["3"]

    run_node(test)


def test_a_session_ends_when_it_has_expired() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe("a", qos=1)
        await client.vanish()
        await node.advance(601)
        assert not len(node.node.mqtt.clients.stored)
        await back(node, present=False)

    run_node(test)


def test_a_session_without_expiry_ends_with_its_connection() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", clean_start=False)
        await client.subscribe("a", qos=1)
        await client.vanish()
        await back(node, present=False)
        old = await joined(node, "d", 4)
        await old.vanish()
        assert not (await MqttClient(node, 4).connect("d", clean_start=False)).session_present

    run_node(test)


def test_disconnect_may_change_the_expiry_but_not_from_zero() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.disconnect(session_expiry_s=0)
        client = await back(node, present=False)
        client.transport.feed(b"\xe0\x07\x00\x05\x11\x00\x00\x00\x0a")
        await settle()
        await back(node, present=True)
        short = await joined(node, "short")
        short.transport.feed(b"\xe0\x07\x00\x05\x11\x00\x00\x00\x0a")
        (end,) = await short.take()
        assert isinstance(end, Disconnect) and end.reason == 0x82

    run_node(test)


def test_the_expiry_is_cut_and_said() -> None:
    async def test(node: WireNode) -> None:
        client = MqttClient(node)
        answer = await client.connect("c", properties=Properties(session_expiry_s=0xFFFFFFFF))
        assert answer.properties.session_expiry_s == 1000

    run_node(test, mqtt_session_expiry_s_max=1000)


def test_a_clean_start_forgets_everything() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe("a", qos=1)
        await client.vanish()
        await fill(node, "a", 1)
        client = await back(node, present=False, clean_start=True)
        await fill(node, "a", 1)
        assert await client.payloads() == []

    run_node(test)


def test_a_session_is_its_users_alone() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node, username="42")
        await client.subscribe("users/42", qos=1)
        await client.vanish()
        await back(node, username="43", present=False)
        await back(node, username="42", present=True)

    run_node(test)


def test_rights_that_were_taken_away_end_their_subscriptions() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node, username="42")
        await client.subscribe("a", "b", qos=1)
        await client.vanish()
        await fill(node, "a", 1)
        await fill(node, "b", 1, start=2)
        denied = TopicRules([TopicRule(filter="a", subscribe="deny")])
        node.node.subscribing._policy = Policy(denied, dev=True)
        assert await (await back(node, username="42")).payloads() == ["2"]

    run_node(test)


def test_what_retention_has_taken_is_counted_and_the_rest_delivered() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe("a", qos=1)
        await client.vanish()
        await fill(node, "a", 5)
        assert await (await back(node)).payloads() == ["4", "5"]
        assert node.node.counters.mqtt_backlogs_lost == 1

    run_node(test, topics=({"filter": "a", "history_count": 2},), recent_publications_max=0)


def test_a_backlog_that_is_all_gone_ends_the_session() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe("a", qos=1)
        await client.vanish()
        await fill(node, "a", 5)
        await back(node, present=False)

    run_node(test, topics=({"filter": "a", "history_count": 0},), recent_publications_max=0)


# The window and redelivery


@pytest.mark.parametrize("qos", [1, 2])
def test_no_more_than_the_window_is_unacknowledged(qos: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", properties=Properties(receive_maximum=3))
        client.acknowledging = False
        await client.subscribe("a", qos=qos)
        await fill(node, "a", 10, qos=qos)
        found = await client.messages()
        assert [m.payload.decode() for m in found] == numbers(1, 3)
        assert [m.packet_id for m in found] == [1, 2, 3]
        await client.publish("a", b"now", qos=0)
        assert await client.payloads() == ["now"]
        if qos == 2:
            (answer,) = await client.ack(PUBREC, 2)
            assert isinstance(answer, Ack) and (answer.kind, answer.packet_id) == (PUBREL, 2)
            assert await client.payloads() == []
        await client.ack(PUBACK if qos == 1 else PUBCOMP, 2)
        found = await client.messages()
        assert [(m.payload, m.packet_id) for m in found] == [(b"4", 4)]

    run_node(test)


@pytest.mark.parametrize("memory", [0, 1000])
def test_a_client_that_acknowledges_gets_everything_through_a_small_window(memory: int) -> None:
    async def test(node: WireNode) -> None:
        properties = Properties(receive_maximum=2, session_expiry_s=600)
        client = await lasting(node, properties=properties)
        await client.subscribe("a", qos=2)
        await client.vanish()
        await fill(node, "a", 60, qos=2)
        client = await back(node, properties=properties)
        assert await client.payloads() == numbers(1, 60)

    run_node(test, recent_publications_max=memory)


def test_what_is_not_acknowledged_comes_again_with_its_identifier() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        client.acknowledging = False
        await client.subscribe("a", qos=2)
        for qos in (1, 2, 1, 2):
            await fill(node, "a", 1, qos=qos)
        first = await client.messages()
        await client.ack(PUBACK, first[0].packet_id)
        await client.ack(PUBREC, first[1].packet_id)
        await client.vanish()
        client = await back(node, acknowledging=False)
        again = await client.take()
        assert [(a.kind, a.packet_id) for a in again if isinstance(a, Ack)] == [
            (PUBREL, first[1].packet_id)
        ]
        found = await client.messages()
        assert [(m.packet_id, m.qos, m.dup) for m in found] == [
            (first[2].packet_id, 1, True),
            (first[3].packet_id, 2, True),
        ]
        await client.vanish()
        client = await back(node)
        assert len(await client.messages()) == 2
        await client.vanish()
        assert await (await back(node)).messages() == []

    run_node(test)


def test_a_takeover_hands_the_session_on() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        client.acknowledging = False
        await client.subscribe("a", qos=1)
        await fill(node, "a", 2)
        first = await client.messages()
        new = await back(node)
        found = await new.messages()
        assert [(m.packet_id, m.dup) for m in found] == [(m.packet_id, True) for m in first]
        await client.vanish()
        await fill(node, "a", 1, start=3)
        assert await new.payloads() == ["3"]

    run_node(test)


def test_a_refused_receipt_frees_its_place() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", properties=Properties(receive_maximum=1))
        client.acknowledging = False
        await client.subscribe("a", qos=2)
        await fill(node, "a", 2, qos=2)
        (found,) = await client.messages()
        await client.ack(PUBREC, found.packet_id, 0x80)
        assert await client.payloads() == ["2"]

    run_node(test)


@pytest.mark.parametrize(("qos", "kind"), [(1, PUBREC), (1, PUBCOMP), (2, PUBACK)])
def test_an_acknowledgement_of_another_quality_is_a_mistake(qos: int, kind: int) -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        client.acknowledging = False
        await client.subscribe("a", qos=qos)
        await fill(node, "a", 1, qos=qos)
        (found,) = await client.messages()
        (end,) = await client.ack(kind, found.packet_id)
        assert isinstance(end, Disconnect) and end.reason == 0x82

    run_node(test)


# Crashes


def test_a_session_outlives_a_crash_of_the_server() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe("a", qos=1)
        await fill(node, "a", 2)
        assert await client.payloads() == ["1", "2"]
        await node.advance(2)
        async with crashed(node) as other:
            await fill(other, "a", 1, start=3)
            assert await (await back(other)).payloads() == ["3"]

    run_node(test)


@pytest.mark.parametrize("stage", ["sent", "received", "completed"])
def test_quality_two_out_is_exactly_once_through_a_crash(stage: str) -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        client.acknowledging = False
        await client.subscribe("a", qos=2)
        await fill(node, "a", 1, qos=2)
        (first,) = await client.messages()
        if stage != "sent":
            await client.ack(PUBREC, first.packet_id)
        if stage == "completed":
            await client.ack(PUBCOMP, first.packet_id)
        async with crashed(node) as other:
            client = await back(other, acknowledging=False)
            again = [a.kind for a in await client.take() if isinstance(a, Ack)]
            found = [(m.packet_id, m.dup) for m in await client.messages()]
            if stage == "sent":
                assert (found, again) == ([(first.packet_id, True)], [])
            else:
                assert (found, again) == ([], [PUBREL])

    run_node(test)


def test_quality_two_in_is_exactly_once_through_a_crash() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        client.acknowledging = False
        await client.publish("a", b"1", qos=2, packet_id=5)
        async with crashed(node) as other:
            client = await back(other, acknowledging=False)
            (answer,) = await client.publish("a", b"1", qos=2, packet_id=5, dup=True)
            assert isinstance(answer, Ack) and answer.kind == PUBREC
            assert other.node.store.head == 1
            await client.ack(PUBREL, 5)
            async with crashed(other) as third:
                client = await back(third, acknowledging=False)
                await client.publish("a", b"2", qos=2, packet_id=5)
                assert third.node.store.head == 2

    run_node(test)


def test_the_will_of_a_client_of_a_crashed_server_is_published() -> None:
    async def test(node: WireNode) -> None:
        will = Will(topic="w", payload=b"gone", qos=1, properties=Properties(will_delay_s=5))
        client = await lasting(node, will=will)
        await client.subscribe("a", qos=1)
        async with crashed(node) as other:
            watcher = await joined(other, "watcher")
            await watcher.subscribe("w", qos=1)
            await other.advance(3)
            assert await watcher.payloads() == []
            await other.advance(4)
            assert await watcher.payloads() == ["gone"]

    run_node(test)


# Full sockets


def test_a_client_that_does_not_read_is_paused_and_catches_up() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", 4)
        await client.subscribe("a")
        await fill(node, "a", 1)
        client.transport.blocked = True
        publisher = await joined(node, "p")
        for number in range(2, 40):
            await publisher.publish("a", b"%04d" % number + b"x" * 4000, qos=1)
        assert len(client.transport.unsent) < 80_000
        assert not client.transport.reading
        client.transport.drain()
        found = [payload[:4] for payload in await client.payloads()]
        assert found == ["1", *(f"{number:04d}" for number in range(2, 40))]
        assert client.transport.reading

    run_node(test)


# Shared subscriptions


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_shared_subscription_gives_each_publication_to_one_member(qos: int) -> None:
    async def test(node: WireNode) -> None:
        members = [await joined(node, name) for name in "xyz"]
        for member in members:
            await member.subscribe("$share/g/a", qos=qos)
        other = await joined(node, "other")
        await other.subscribe("$share/h/a", qos=qos)
        await fill(node, "a", 6, qos=qos)
        shares = [await member.payloads() for member in members]
        assert sorted(each for share in shares for each in share) == numbers(1, 6)
        assert [len(share) for share in shares] == [2, 2, 2]
        assert await other.payloads() == numbers(1, 6)

    run_node(test)


def test_members_that_are_full_or_gone_get_nothing() -> None:
    async def test(node: WireNode) -> None:
        slow = await joined(node, "slow", properties=Properties(receive_maximum=1))
        slow.acknowledging = False
        quick, gone = await joined(node, "quick"), await joined(node, "gone")
        for member in (slow, quick, gone):
            await member.subscribe("$share/g/a", qos=1)
        await gone.vanish()
        await fill(node, "a", 9)
        assert len(await slow.messages()) == 1
        assert len(await quick.messages()) == 8

    run_node(test)


def test_a_shared_subscription_waits_for_room_and_loses_nothing() -> None:
    async def test(node: WireNode) -> None:
        one = await joined(node, "one", properties=Properties(receive_maximum=2))
        one.acknowledging = False
        await one.subscribe("$share/g/a", qos=1)
        await fill(node, "a", 5)
        first = await one.messages()
        assert len(first) == 2
        two = await joined(node, "two")
        await two.subscribe("$share/g/a", qos=1)
        assert await two.payloads() == numbers(3, 5)
        await one.unsubscribe("$share/g/a")
        await one.ack(PUBACK, first[0].packet_id)
        assert await one.messages() == []

    run_node(test)


def test_a_shared_subscription_of_clients_that_are_away_waits_for_them() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe(Subscription("$share/g/a", 1))
        await fill(node, "a", 1)
        assert await client.payloads() == ["1"]
        await client.vanish()
        await fill(node, "a", 3, start=2)
        assert await (await back(node)).payloads() == numbers(2, 4)

    run_node(test)


def test_retained_publications_are_not_for_shared_subscriptions() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c")
        await client.publish("a", b"1", qos=1, retain=True)
        await client.subscribe("$share/g/a", qos=1)
        found: list[Publish] = await client.messages()
        assert found == []

    run_node(test)


# What was missed before


def test_a_client_that_comes_back_before_its_session_is_stored() -> None:
    async def test(node: WireNode) -> None:
        client = await joined(node, "c", properties=Properties(session_expiry_s=5))
        await client.subscribe("a", qos=1)
        other = MqttClient(node)
        client.feed(b"\xe0\x07\x00\x05\x11\x00\x00\x00\x3c")
        answer = await other.connect("c", clean_start=False, properties=LASTING)
        assert answer.session_present

    run_node(test)


def test_what_is_ephemeral_comes_also_while_retained_publications_are_read() -> None:
    async def test(node: WireNode) -> None:
        publisher = await joined(node, "p")
        await publisher.publish("kept", b"1", qos=1, retain=True)
        client = await joined(node, "c")
        asked = Subscribe(1, (Subscription("a"), Subscription("kept")))
        client.feed(encode_subscribe(5, asked))
        publisher.feed(encode_publish(5, "a", b"now"))
        assert sorted(await client.payloads()) == ["1", "now"]

    run_node(test)


def test_a_log_that_cannot_be_read_ends_who_needs_it() -> None:
    async def test(node: WireNode) -> None:
        client = await lasting(node)
        await client.subscribe("$share/g/a", qos=1)
        await client.vanish()
        await fill(node, "a", 3)
        client = MqttClient(node)

        async def fail(*_: object, **__: object) -> None:
            raise ReddotError("store_unavailable")

        read, node.node.store.read = node.node.store.read, fail  # type: ignore[method-assign,assignment]
        await client.connect("c", clean_start=False, properties=LASTING)
        (end,) = await client.take()
        assert isinstance(end, Disconnect) and end.reason == 0x89
        node.node.store.read = read  # type: ignore[method-assign]
        assert await (await back(node)).payloads() == numbers(1, 3)

    run_node(test, recent_publications_max=0)


@pytest.mark.parametrize("level", [4, 5])
def test_what_looks_like_an_acknowledgement_inside_a_payload_is_none(level: int) -> None:
    """A read may begin anywhere in a packet."""

    async def test(node: WireNode) -> None:
        client = await joined(node, "c", level)
        await client.subscribe("a", qos=1)
        await fill(node, "a", 1)
        client.acknowledging = False
        (message,) = await client.messages()
        assert message.packet_id == 1
        looks = b"\x40\x02\x00\x01"
        client.feed(encode_publish(level, "b", looks)[:-4])
        client.feed(looks)
        await settle()
        (kept,) = node.node.mqtt.clients.attached.values()
        assert list(kept.flights) == [1]
        client.feed(looks)
        await settle()
        assert not kept.flights and await client.ping()

    run_node(test)
