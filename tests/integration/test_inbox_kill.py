"""`kill -9` while people are notified and mark: afterwards every badge is the truth.

The truth is kept by the clients: what was acknowledged must hold, what was under way may. So each
user's own clients act one after the other, and retry what was not answered with the same id.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from typing import Any

import httpx
import pytest

from reddot.core.tokens import issue_token
from reddot.system import SystemClock
from tests.integration.server import API_KEY, SECRET, Server, ServerFactory

ROUNDS = int(os.environ.get("REDDOT_KILL_ROUNDS", "3"))
USERS = tuple(f"u{number}" for number in range(12))
KILL_AFTER_S = (0.15, 0.5)


class Person:
    """One user, whose notifications and marks come one after the other."""

    def __init__(self, user: str, url: str, seed: int) -> None:
        token = issue_token(SECRET, user=user, lifetime_s=3600, clock=SystemClock())
        self.user = user
        self.unread: set[str] = set()
        self.read: set[str] = set()
        self._number = 0
        self._chance = random.Random(seed)
        limits = httpx.Limits(max_connections=2)
        self._mine = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, limits=limits
        )
        self._server = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {API_KEY}"}, limits=limits
        )

    async def live(self, until: asyncio.Event) -> None:
        while not until.is_set():
            await self._act()

    async def _act(self) -> None:
        """Be notified, read or read back something; again and again until it is acknowledged."""
        self._number += 1
        name = f"{self.user}-{self._number}"
        if self._chance.random() < 0.5 or not (self.unread or self.read):
            body: dict[str, Any] = {"to": {"users": [self.user]}, "title": name, "id": name}
            await self._until_answered(self._server, "/v1/notifications", body)
            self.unread.add(name)
            return
        source, target = (self.unread, self.read) if self.unread else (self.read, self.unread)
        chosen = self._chance.choice(sorted(source))
        state = "read" if source is self.unread else "unread"
        body = {"ids": [chosen], "as": state, "op_id": name}
        await self._until_answered(self._mine, "/v1/inbox/mark", body)
        source.discard(chosen)
        target.add(chosen)

    async def _until_answered(
        self, client: httpx.AsyncClient, path: str, body: dict[str, Any]
    ) -> None:
        while True:
            try:
                answer = await client.post(path, json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.02)
                continue
            if answer.status_code < 300:
                return
            assert answer.status_code == 503, answer.text

    async def badge(self) -> int:
        count: int = (await self._mine.get("/v1/badge")).raise_for_status().json()["unread"]
        return count

    async def aclose(self) -> None:
        await self._mine.aclose()
        await self._server.aclose()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_every_kill_the_badges_are_the_truth(
    server_factory: ServerFactory, rng: random.Random
) -> None:
    server = server_factory(jwt_secret=SECRET, api_key=API_KEY)
    asyncio.run(_rounds(server, rng))
    assert server.stop() == 0
    path = str(server.settings["store_url"]).removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        doubles = "SELECT count(*) - count(DISTINCT id) FROM notification"
        assert connection.execute(doubles).fetchone() == (0,)
    connection.close()


async def _rounds(server: Server, rng: random.Random) -> None:
    people = [Person(user, server.url, rng.randrange(1 << 32)) for user in USERS]
    for _ in range(ROUNDS):
        until = asyncio.Event()
        lives = asyncio.gather(*(person.live(until) for person in people))
        await asyncio.sleep(rng.uniform(*KILL_AFTER_S))
        server.kill9()
        await asyncio.to_thread(server.start)
        until.set()
        await lives
        found = {person.user: await person.badge() for person in people}
        assert found == {person.user: len(person.unread) for person in people}
    await asyncio.gather(*(person.aclose() for person in people))
