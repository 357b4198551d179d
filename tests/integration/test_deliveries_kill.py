"""50,000 deliveries over three couriers with one failure in five, and two `kill -9`.

What is shown: every delivery ends as sent, dead or skipped, with its reason; each has one id for
all its attempts, and no two have the same; what the provider has accepted is what the store calls
sent; nobody has got more than the cap allows.

With `unknown_outcome = "dead"` nothing is sent to the provider once more that it has accepted: what
was under way when the process died is a dead letter that says so, accepted or not. Without it, in a
smaller run, it is sent again under the same id: the provider hears of it twice and can tell. What
the provider has refused is in both tried again under the same id; that is no double.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reddot.core.once import UNKNOWN_OUTCOME
from tests.integration.post_process import CAPPED, COURIERS
from tests.integration.server import ROOT, environment

KILLS_AT = (0.24, 0.6)
IN_HAND_MAX = 16
"""Of one courier: twice what may be under way at once."""
WAIT_S = 240


class Provider:
    """Accepts, refuses one in fifty for good, and is busy for the rest of one in five.

    Attributes:
        accepted: id → who and what it was for.
        doubles: attempts of what was accepted already.
    """

    def __init__(self, chance: random.Random) -> None:
        self.accepted: dict[str, tuple[str, str, str]] = {}
        self.asked: dict[str, set[tuple[str, str, str]]] = {}
        self.doubles = 0
        self.grown = asyncio.Event()
        self._chance = chance

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = self._answer(json.loads(line))
                writer.write(json.dumps(answer).encode() + b"\n")
        except (ConnectionError, ValueError):
            pass  # It was killed in the middle of a line.
        finally:
            writer.close()

    def _answer(self, parcel: dict[str, Any]) -> dict[str, Any]:
        key = (parcel["notification"], parcel["user"], parcel["courier"])
        self.asked.setdefault(parcel["id"], set()).add(key)
        luck = self._chance.random()
        verdict, reason = "sent", "ok"
        if parcel["id"] in self.accepted:
            self.doubles += 1
        elif luck < 0.02:
            verdict, reason = "failed", "http_400"
        elif luck < 0.2:
            verdict, reason = "retry", "http_503"
        else:
            self.accepted[parcel["id"]] = key
            self.grown.set()
        return {"n": parcel["n"], "verdict": verdict, "reason": reason, "blame": verdict == "retry"}

    async def reached(self, count: int) -> None:
        while len(self.accepted) < count:
            self.grown.clear()
            await self.grown.wait()


def _rows(path: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def _run(
    path: Path, log: Path, provider: Provider, unknown_outcome: str, people: int
) -> None:
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    module = "tests.integration.post_process"
    argv = [sys.executable, "-m", module, str(path), str(port), unknown_outcome]
    with log.open("ab") as output:
        for kill_at in (*KILLS_AT, None):
            more = [str(people)] if kill_at == KILLS_AT[0] else []
            process = await asyncio.create_subprocess_exec(
                *argv, *more, cwd=ROOT, env=environment({}), stdout=output, stderr=output
            )
            try:
                if kill_at is None:
                    await _finished(path)
                else:
                    await provider.reached(int(kill_at * _total(people)))
            finally:
                process.kill()
                await process.wait()
    server.close()


def _total(people: int) -> int:
    return people * len(COURIERS) + 2 * int(people * CAPPED)


async def _finished(path: Path) -> None:
    waiting = "SELECT count(*) FROM delivery WHERE state < 3"
    unworked = "SELECT count(*) FROM outreach WHERE place IS NOT NULL"
    while _rows(path, waiting)[0][0] or _rows(path, unworked)[0][0]:
        await asyncio.sleep(0.25)


@pytest.mark.slow
@pytest.mark.timeout(WAIT_S + 30)
@pytest.mark.parametrize(("unknown_outcome", "people"), [("dead", 15_000), ("retry", 3_000)])
def test_after_two_kills_each_delivery_was_made_or_says_why_not(
    unknown_outcome: str, people: int, tmp_path: Path, rng: random.Random
) -> None:
    path, log = tmp_path / "reddot.db", tmp_path / "node.log"

    async def main() -> Provider:
        provider = Provider(rng)
        await asyncio.wait_for(_run(path, log, provider, unknown_outcome, people), WAIT_S)
        return provider

    provider = asyncio.run(main())
    assert log.read_text() == ""
    rows = _rows(
        path,
        "SELECT n.id, user, courier, delivery.state, reason FROM delivery"
        " JOIN notification AS n USING (num)",
    )
    total = _total(people)
    assert len(rows) == total
    ends = Counter((code, reason) for *_, code, reason in rows)
    known = {(3, "due"), (4, "capped"), (7, "http_400"), (7, "http_503"), (7, UNKNOWN_OUTCOME)}
    assert set(ends) <= known, ends
    assert ends[3, "due"] > total * 0.9
    assert ends[7, "http_503"] <= 5  # Eight times in a row.
    sent = {(id, user, courier) for id, user, courier, code, _ in rows if code == 3}
    unknown = {(id, user, courier) for id, user, courier, _, why in rows if why == UNKNOWN_OUTCOME}
    accepted = set(provider.accepted.values())
    assert sent <= accepted <= sent | unknown
    assert len(provider.accepted) == len(accepted)
    in_hand = len(KILLS_AT) * len(COURIERS) * IN_HAND_MAX
    if unknown_outcome == "dead":
        assert provider.doubles == 0
        assert 0 < len(unknown) <= in_hand
    else:
        assert provider.doubles <= in_hand
        assert not unknown
    assert all(len(keys) == 1 for keys in provider.asked.values())
    assert len(provider.asked) == len({key for keys in provider.asked.values() for key in keys})
    news = _rows(path, "SELECT id FROM notification WHERE topics IN (SELECT id FROM topic)")
    offers = Counter(user for id, user, _ in provider.accepted.values() if (id,) not in news)
    assert max(offers.values()) == 1
    assert len(offers) > people * CAPPED * 0.9
    assert _rows(path, "PRAGMA integrity_check") == [("ok",)]
