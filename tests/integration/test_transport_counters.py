"""What `/metrics` says of each transport: who came, who went on, who stayed, who went and why."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.integration.clients import run, until
from tests.integration.server import API_KEY, SECRET, ServerFactory
from tests.integration.tokens import user_token

pytestmark = pytest.mark.slow


def test_a_life_is_counted(server_factory: ServerFactory) -> None:
    server = server_factory(jwt_secret=SECRET, api_key=API_KEY, heartbeat_sse_s=1)
    bearer = {"Authorization": f"Bearer {user_token('42', subscribe=['news'])}"}

    def counted(name: str, **labels: str) -> float:
        return server.metric(f"reddot_transport_{name}_total", **labels)

    async def check() -> None:
        address = f"{server.url}/v1/sse?topic=news"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(address)).status_code == 401
            assert counted("refused", transport="sse") == 1
            cursor = ""
            async with client.stream("GET", address, headers=bearer) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        cursor = line.removeprefix("id: ")
                        if counted("proven", transport="sse"):
                            break
            await until(lambda: counted("closed", transport="sse", reason="client") == 1)
            assert counted("resumed", transport="sse") == 0
            async with client.stream("GET", f"{address}&cursor={cursor}", headers=bearer) as again:
                await anext(again.aiter_lines())
                assert counted("resumed", transport="sse") == 1
                assert counted("opened", transport="sse") == 2
                assert counted("proven", transport="sse") == 1
                await client.post(
                    f"{server.url}/v1/users/42/disconnect",
                    headers={"Authorization": f"Bearer {API_KEY}"},
                )
                await until(lambda: counted("closed", transport="sse") == 2)
            poll = f"{server.url}/v1/longpoll?topic=news&wait="
            first = await client.get(f"{poll}0", headers=bearer)
            etag = {"If-None-Match": f'"{first.json()["cursor"]}"'}
            assert (await client.get(f"{poll}1", headers=bearer | etag)).status_code == 304
            assert counted("closed", transport="long_poll", reason="age") == 1
            waiting = asyncio.create_task(client.get(f"{poll}20", headers=bearer | etag))
            await until(lambda: server.metric("reddot_sessions", transport="long_poll") == 1)
            await client.post(
                f"{server.url}/v1/publish",
                json={"topic": "news", "data": 1},
                headers={"Authorization": f"Bearer {API_KEY}"},
            )
            assert (await waiting).status_code == 200
            assert counted("closed", transport="long_poll", reason="answered") == 1
            assert counted("refused", transport="long_poll") == 0

    run(check())
