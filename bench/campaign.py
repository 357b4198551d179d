"""Claim: while a campaign is worked off, publishing and fan-out go on as if there were none.

A campaign by webhook to a stand-in on another core, which answers 204 to everything. Beside it
durable publications one after the other, and live fan-out to 1,000 sessions. The same server takes
turns: the campaign rests, the campaign goes on; at the pace that a courier has by default, at twice
that, and as fast as it goes. What the process that sends for couriers uses is stated apart: it runs
on the server's core too, at a lower priority, and is not in the server's figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from bench.generator import Result
from bench.laboratory import Laboratory, Line, us_per_delivery
from bench.peers import API_KEY, Reddot
from bench.processes import (
    GENERATOR_CORE,
    NotMeasured,
    Server,
    accepts,
    free_port,
    pinned,
    start,
)
from bench.wire import USER
from reddot.model import Retention
from reddot.outreach import Address
from reddot.stores.sqlite import SqliteStore
from reddot.system import SystemClock

PEOPLE: Final = {50: 10_000, 100: 20_000, 0: 200_000}
"""So many that somebody is left in the last turn, by attempts a second; 0: no limit."""
PACE: Final = 50
"""What a courier has unless the operator says otherwise: up to there it must not be felt."""
QUICK_PEOPLE: Final = 10_000
BATCH: Final = 1_000
KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RATIO_MAX: Final = 1.05
PATIENCE_S: Final = 120
SETTLE_S: Final = 1
"""While there is a campaign the server does not become idle."""


def run(lab: Laboratory) -> list[Line]:
    lines: list[Line] = []
    with _stand_in(lab) as port:
        for per_s, people in PEOPLE.items():
            with _campaign(lab, port, per_s, QUICK_PEOPLE if lab.quick else people) as it:
                turns = _turns(lab, it)
            lines += _lines(per_s, turns)
    return lines


@dataclass(frozen=True)
class Turn:
    """One measurement without the campaign, and the one with it that followed.

    Attributes:
        sent: deliveries while the second was taken.
        child_s: CPU that the process of couriers used for them.
    """

    without: Result
    beside: Result
    sent: int
    child_s: float

    def ratio(self, metric: Callable[[Result], float]) -> float:
        return metric(self.beside) / metric(self.without)


def _turns(lab: Laboratory, campaign: Campaign) -> dict[str, list[Turn]]:
    cases: dict[str, Callable[[], Result]] = {
        "fanout": lambda: lab.fan_out(campaign.peer, "sse", settle_seconds=SETTLE_S),
        "publish": lambda: _publish(lab, campaign.peer),
    }
    found: dict[str, list[Turn]] = {name: [] for name in cases}
    for turn in range(lab.turns):
        for name, case in cases.items():
            campaign.rest()
            without = case()
            campaign.go_on()
            sent, child_s = campaign.sent(), campaign.child_s()
            beside = case()
            one = Turn(without, beside, campaign.sent() - sent, campaign.child_s() - child_s)
            if one.sent < 10:
                raise NotMeasured("the campaign is over, or does not go on")
            found[name].append(one)
            for which, result in (("without", without), ("beside", beside)):
                case_name = f"{name} {which} {_pace(campaign.per_s)}"
                run = {"row": "campaign", "case": case_name, "turn": turn, "result": result}
                lab.runs.append(run | {"sent": one.sent, "child_s": one.child_s})
    return found


def _publish(lab: Laboratory, peer: Reddot) -> Result:
    return lab.generator.publish(
        peer,
        peer.durable(f"users/{USER}"),
        users=100,
        publishers=1,
        seconds=lab.seconds(3),
        settle_seconds=SETTLE_S,
    )


def _p50_us(result: Result) -> float:
    return float(result["answer_us"]["p50"])


def _p99_us(result: Result) -> float:
    return float(result["answer_us"]["p99"])


def _pace(per_s: int) -> str:
    return f"{per_s} a second" if per_s else "as fast as it goes"


def _lines(per_s: int, turns: dict[str, list[Turn]]) -> Iterator[Line]:
    rate, judged = _pace(per_s), per_s == PACE
    yield _line("durable publish, one in flight, p50", rate, turns["publish"], _p50_us, judged)
    yield _line("durable publish, one in flight, p99", rate, turns["publish"], _p99_us, False)
    what = "fan-out to 1,000 sse, CPU per delivery"
    yield _line(what, rate, turns["fanout"], us_per_delivery, judged)


def _line(
    what: str,
    rate: str,
    turns: Sequence[Turn],
    metric: Callable[[Result], float],
    judged: bool,
) -> Line:
    without, beside = (
        statistics.median(metric(result) for result in results)
        for results in ([one.without for one in turns], [one.beside for one in turns])
    )
    ratios = [one.ratio(metric) for one in turns]
    ratio = statistics.median(ratios)
    sent = sum(one.sent for one in turns)
    child_us = sum(one.child_s for one in turns) / sent * 1e6
    return Line(
        f"{what}; campaign: {rate}",
        f"{without:.1f} µs without, {beside:.1f} with: {ratio:.2f}x"
        f" ({min(ratios):.2f} to {max(ratios):.2f}){_faults(turns)}",
        f"≤ {RATIO_MAX}x" if judged else "",
        f"{sent:,} webhooks meanwhile; process of couriers: {child_us:.0f} µs each",
        ratio <= RATIO_MAX if judged else None,
        ratio <= RATIO_MAX if judged else None,
    )


def _faults(turns: Sequence[Turn]) -> str:
    names = ("lost", "doubled", "wrong")
    results = [result for one in turns for result in (one.without, one.beside)]
    counts = {name: sum(result.get(name, 0) for result in results) for name in names}
    return "".join(f", {count} {name}" for name, count in counts.items() if count)


# ---- the campaign ----


class NodeAlone(Server):
    """A server whose figures are those of the node, without the process of its couriers."""

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.process.pid,)


class Campaign:
    """A campaign under way, and the server that has it."""

    def __init__(self, peer: Reddot, per_s: int) -> None:
        self.peer = peer
        self.per_s = per_s
        self._whole = peer.server
        server = peer.server
        peer.server = NodeAlone(server.name, server.port, server.process, server.log)
        body = {"to": {"everyone": True}, "title": "Sale", "category": "offer"}
        self._path = f"/v1/campaigns/{self._ask('POST', '/v1/campaigns', body)['id']}"

    def rest(self) -> None:
        """Pause, and wait until what was in hand has gone out."""
        self._ask("POST", f"{self._path}/pause")
        before = -1
        while before != (before := self.sent()):
            time.sleep(0.5)

    def go_on(self) -> None:
        """Resume, and wait until it has come into its stride."""
        before = self.sent()
        self._ask("POST", f"{self._path}/resume")
        self._wait(lambda: self.sent() > before + 10)

    def made(self, people: int) -> None:
        """Wait until all deliveries are in the queue."""
        totals = "progress", "totals", "hook", "made"
        self._wait(lambda: _within(self._ask("GET", self._path), totals) >= people)

    def sent(self) -> int:
        text = self._request("GET", "/metrics").decode()
        lines = [one for one in text.splitlines() if one.startswith("reddot_deliveries_total{")]
        return sum(int(float(one.split()[-1])) for one in lines if 'state="sent"' in one)

    def child_s(self) -> float:
        """CPU of the process of couriers so far."""
        return sum(_cpu_s(pid) for pid in self._whole.pids[1:])

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise NotMeasured("the campaign does not go on")
            time.sleep(0.1)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(self._request(method, path, body))

    def _request(self, method: str, path: str, body: object = None) -> bytes:
        client = HTTPConnection("127.0.0.1", self._whole.port, timeout=30)
        fields = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
        client.request(method, path, None if body is None else json.dumps(body), fields)
        answer = client.getresponse()
        data = answer.read()
        client.close()
        assert answer.status == 200, data
        return data


def _within(value: Any, names: Sequence[str]) -> int:
    for name in names:
        value = value.get(name, {})
    return value or 0


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _campaign(lab: Laboratory, port: int, per_s: int, people: int) -> Iterator[Campaign]:
    folder = lab.folder()
    asyncio.run(_fill(folder / "bench.db", people))
    plan = {"categories": ["offer"], "couriers": [{"courier": "hook"}]}
    hook = {"type": "webhook", "keys": [KEY], "url": f"http://127.0.0.1:{port}/"}
    with Reddot(
        folder,
        store_url="sqlite:///bench.db",
        couriers=json.dumps({"hook": hook}),
        deliveries=json.dumps([plan]),
        outbound_allowed="127.0.0.1",
        delivery_attempts_per_s=per_s,
    ) as peer:
        campaign = Campaign(peer, per_s)
        campaign.made(people)
        yield campaign


async def _fill(path: Path, people: int) -> None:
    store = SqliteStore(
        path,
        clock=SystemClock(),
        retention=lambda topic: Retention(1000, 86_400_000),
        new_epoch=lambda: 1,
    )
    await store.open()
    for first in range(0, people, BATCH):
        await asyncio.gather(
            *(
                store.deliveries.put_address(
                    Address(user=f"{number:06}", courier="hook", value=b'"x"')
                )
                for number in range(first, min(first + BATCH, people))
            )
        )
    await store.aclose()


# ---- the provider ----


@contextmanager
def _stand_in(lab: Laboratory) -> Iterator[int]:
    port = free_port()
    script = Path(__file__).with_name("standin.py")
    command = pinned(GENERATOR_CORE, [sys.executable, str(script), str(port)])
    server = start("stand-in", command, port=port, folder=lab.folder(), ready=accepts)
    try:
        yield port
    finally:
        server.stop()
