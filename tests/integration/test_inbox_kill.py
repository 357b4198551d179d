"""`kill -9` while people are notified, mark and snooze: afterwards every badge is the truth.

The truth is kept by the clients: what was acknowledged must hold, what was under way may. So each
user's own clients act one after the other, and retry what was not answered with the same id.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from datetime import UTC, datetime
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
        self.snoozes = 0
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
        """Be notified, read, read back or snooze; again and again until it is acknowledged."""
        self._number += 1
        name = f"{self.user}-{self._number}"
        if self._chance.random() < 0.5 or not (self.unread or self.read):
            body: dict[str, Any] = {"to": {"users": [self.user]}, "title": name, "id": name}
            await self._until_answered(self._server, "/v1/notifications", body)
            self.unread.add(name)
            return
        if self.unread and self._chance.random() < 0.3:
            await self._snooze(self._chance.choice(sorted(self.unread)), name)
            return
        source, target = (self.unread, self.read) if self.unread else (self.read, self.unread)
        chosen = self._chance.choice(sorted(source))
        state = "read" if source is self.unread else "unread"
        body = {"ids": [chosen], "as": state, "op_id": name}
        await self._until_answered(self._mine, "/v1/inbox/mark", body)
        source.discard(chosen)
        target.add(chosen)

    async def _snooze(self, chosen: str, name: str) -> None:
        """For a moment, in which the server may die; unread after that, as it was before."""
        away_until = time.time() + self._chance.uniform(0.05, 0.4)
        until = datetime.fromtimestamp(away_until, UTC).isoformat()
        body = {"ids": [chosen], "as": "snoozed", "until": until, "op_id": name}
        # If it did not come in time, it is refused.
        self.snoozes += await self._until_answered(self._mine, "/v1/inbox/mark", body, (400,))
        await asyncio.sleep(max(0, away_until - time.time()))

    async def _until_answered(
        self, client: httpx.AsyncClient, path: str, body: dict[str, Any], no: tuple[int, ...] = ()
    ) -> bool:
        while True:
            try:
                answer = await client.post(path, json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.02)
                continue
            if answer.status_code < 300 or answer.status_code in no:
                return answer.status_code < 300
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
    snoozes = asyncio.run(_rounds(server, rng))
    assert server.stop() == 0
    path = str(server.settings["store_url"]).removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        doubles = "SELECT count(*) - count(DISTINCT id) FROM notification"
        assert connection.execute(doubles).fetchone() == (0,)
        assert snoozes
        came_back = connection.execute("SELECT count(*) FROM woken").fetchone()
        assert came_back == (snoozes,), "each once"
    connection.close()


async def _rounds(server: Server, rng: random.Random) -> int:
    """How often something was snoozed."""
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
    return sum(person.snoozes for person in people)
