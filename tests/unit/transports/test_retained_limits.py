"""One retained topic more than a user may have, or than all may have, on each wire."""

from __future__ import annotations

import pytest

from reddot.codecs.mqtt_packets import PUBACK, Ack, Disconnect, Will
from tests.unit.transports.mqtt_rig import joined
from tests.wire.mqttclient import MqttClient
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone

LIMITS = {"retained_topics_per_user_max": 2, "retained_topics_max": 4}
CODE = "too_many_retained"


async def connected(node: WireNode, user: str | None, level: int = 5) -> MqttClient:
    return await joined(node, "c", level, username=user)


async def reason(client: MqttClient, topic: str, payload: bytes = b"1") -> int:
    """What PUBACK says to a retained publication."""
    (answer,) = await client.publish(topic, payload, qos=1, retain=True)
    assert isinstance(answer, Ack) and answer.kind == PUBACK
    return answer.reason


def test_mqtt_is_refused_with_quota_exceeded() -> None:
    async def test(node: WireNode) -> None:
        mine, yours, operator = [await connected(node, user) for user in ("42", "7", None)]
        assert [await reason(mine, topic) for topic in "abc"] == [0, 0, 0x97]
        assert node.node.counters.rejected == {CODE: 1}
        assert [await reason(mine, "a", data) for data in (b"2", b"")] == [0, 0]
        assert [await reason(yours, topic) for topic in "abc"] == [0, 0, 0x97]
        assert [await reason(operator, topic) for topic in "cde"] == [0, 0, 0x97]
        assert node.node.store.retained_count == 4

    run_node(test, **LIMITS)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_an_old_client_goes_on_and_it_is_counted(qos: int) -> None:
    async def test(node: WireNode) -> None:
        client = await connected(node, "42", 4)
        for topic in "abc":
            answers = await client.publish(topic, b"1", qos=qos, retain=True)
            assert not any(isinstance(answer, Disconnect) for answer in answers)
            assert len(answers) == qos
        assert node.node.counters.rejected == {CODE: 1}
        assert node.node.store.retained_count == 2
        assert await client.ping()

    run_node(test, **LIMITS)


def test_a_will_beyond_the_limit_is_counted() -> None:
    async def test(node: WireNode) -> None:
        client = await connected(node, "42")
        assert [await reason(client, topic) for topic in "ab"] == [0, 0]
        will = Will(topic="gone", payload=b"x", qos=1, retain=True)
        await (await joined(node, "d", username="42", will=will)).vanish()
        assert node.node.counters.rejected == {CODE: 1}
        assert node.node.store.retained_count == 2

    run_node(test, **LIMITS)


def test_http_and_websocket_are_refused_by_name() -> None:
    async def test(node: WireNode) -> None:
        person = Someone(node, "42", publish=["#"])

        def retained(*topics: str) -> object:
            return [{"topic": topic, "data": 1, "retain": True} for topic in topics]

        assert (await person.ask("POST", "/v1/publish", retained(*"ab"))).status == 200
        answer = await person.ask("POST", "/v1/publish", retained("a", "c"))
        assert (answer.status, answer.code) == (400, CODE)
        stream = await person.listen("ws")
        stream.send({"type": "publish", "ref": 1, "topic": "c", "data": 1, "retain": True})
        stream.send({"type": "publish", "ref": 2, "topic": "a", "data": 2, "retain": True})
        await node.advance(0)
        refused, accepted = stream.take()[-2:]
        assert (refused["type"], refused["code"]) == ("error", CODE)
        assert accepted["type"] == "ok"
        assert node.node.counters.rejected == {CODE: 2}

    run_node(test, **LIMITS)
