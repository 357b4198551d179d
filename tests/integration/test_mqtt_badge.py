"""The red dot over MQTT: `users/{user}/badge` is a retained value that changes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiomqtt
import httpx
import pytest
from paho.mqtt.client import MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.clients import run, until
from tests.integration.server import Server

pytestmark = pytest.mark.slow


class Device:
    """What a phone of user 42 has heard: badges with whether they were retained, and messages."""

    def __init__(self) -> None:
        self.badges: list[tuple[bool, dict[str, Any]]] = []
        self.messages: list[dict[str, Any]] = []

    async def listen(self, port: int, version: int, filters: list[str], qos: int) -> None:
        protocol = aiomqtt.ProtocolVersion(version)
        async with aiomqtt.Client("127.0.0.1", port, username="42", protocol=protocol) as client:
            for text in filters:
                await client.subscribe(text, qos=qos)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                data = json.loads(message.payload)
                if message.topic.value == "users/42/badge":
                    self.badges.append((message.retain, data))
                else:
                    self.messages.append(data)

    def unread(self) -> list[int]:
        return [badge["unread"] for _, badge in self.badges]


async def notify(client: httpx.AsyncClient, admin: str, title: str) -> str:
    answer = await client.post(
        "/v1/notifications",
        json={"to": {"users": ["42"]}, "title": title, "category": "mention"},
        headers={"Authorization": f"Bearer {admin}"},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def dev_token(client: httpx.AsyncClient, **claims: object) -> str:
    answer = await client.post("/v1/dev/token", json=claims)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("version", [MQTTv311, MQTTv5], ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("filters", [["users/42", "users/42/badge"], ["users/42/#"]])
def test_a_device_shows_the_dot(server: Server, filters: list[str], version: int, qos: int) -> None:
    async def check() -> None:
        device = Device()
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            admin = await dev_token(client, user="boss", admin=True)
            user = await dev_token(client, user="42")
            listening = asyncio.create_task(device.listen(server.port, version, filters, qos))
            await until(lambda: device.badges)
            retained, badge = device.badges[0]
            assert retained
            assert (badge["unread"], badge["by_category"]) == (0, {})

            id_ = await notify(client, admin, "hello")
            await until(lambda: device.unread()[-1] == 1 and device.messages)
            assert device.messages[0]["title"] == "hello"
            assert device.badges[-1][0] is False
            assert device.badges[-1][1]["by_category"] == {"mention": 1}

            marked = await client.post(
                "/v1/inbox/mark",
                json={"ids": [id_], "as": "read"},
                headers={"Authorization": f"Bearer {user}"},
            )
            assert marked.status_code == 200, marked.text
            await until(lambda: device.unread()[-1] == 0)
            as_of = [badge["as_of"] for _, badge in device.badges]
            assert as_of == sorted(as_of)
            listening.cancel()

    run(check())


def test_a_subscription_brings_the_inbox(server: Server) -> None:
    """`inbox: 1` on SUBSCRIBE: what is for the user, what the user follows, and the badge."""

    async def check() -> None:
        heard: list[tuple[str, Any]] = []
        properties: Any = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
        properties.UserProperty = [("reddot", "1"), ("inbox", "1")]

        async def listen() -> None:
            async with aiomqtt.Client(
                "127.0.0.1", server.port, username="42", protocol=aiomqtt.ProtocolVersion.V5
            ) as device:
                await device.subscribe("everyone", properties=properties)
                async for message in device.messages:
                    assert isinstance(message.payload, bytes)
                    heard.append((message.topic.value, json.loads(message.payload)))

        def has(topic: str, **fields: object) -> bool:
            return any(t == topic and fields.items() <= data.items() for t, data in heard)

        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            admin = await dev_token(client, user="boss", admin=True)
            user = {"Authorization": f"Bearer {await dev_token(client, user='42')}"}

            async def send(title: str, **to: object) -> None:
                answer = await client.post(
                    "/v1/notifications",
                    json={"to": to, "title": title},
                    headers={"Authorization": f"Bearer {admin}"},
                )
                answer.raise_for_status()

            (await client.put("/v1/follows/alerts", headers=user)).raise_for_status()
            listening = asyncio.create_task(listen())
            await until(lambda: has("users/42/badge", unread=0))
            await send("for me", users=["42"])
            await send("for all", everyone=True)
            await send("followed", topic="alerts")
            await send("not followed", topic="news")
            await until(lambda: has("users/42/badge", unread=3))
            (await client.put("/v1/follows/news", headers=user)).raise_for_status()
            (await client.delete("/v1/follows/alerts", headers=user)).raise_for_status()
            await send("followed by now", topic="news")
            await send("not any more", topic="alerts")
            await until(lambda: has("news", title="followed by now"))
            titles = [data["title"] for topic, data in heard if topic != "users/42/badge"]
            assert titles == ["for me", "for all", "followed", "followed by now"]
            listening.cancel()

    run(check())
