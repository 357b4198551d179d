"""Claim: while a campaign is worked off, publishing and fan-out go on as if there were none.

A campaign by webhook to a stand-in on another core, which answers 204 to everything. Beside it
durable publications one after the other, and live fan-out to 1,000 sessions. The same server takes
many short turns, off on, on off, off on ...: the campaign rests, the campaign goes on; at the pace
that a courier has by default, and as fast as it goes. Each turn is compared with the one beside it,
and what is said is the median of those ratios and within what it lies, whatever the ratios are
distributed like. The same is done with a campaign that rests in every turn: what that finds is the
machine's. The figures are those of the node with everything it does for the campaign; what that is
by itself, and what the process that sends for couriers uses, is stated apart. That process has a
core that the node does not want, or, in turns of their own, shares the node's. The core that the
node does not want is the load generator's, which goes first on it: else its clock would also tell
how long it has waited for couriers.
"""

from __future__ import annotations

import asyncio
import json
import math
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
from bench.laboratory import SESSIONS, Laboratory, Line, us_per_delivery, us_per_request
from bench.peers import API_KEY, Reddot
from bench.processes import (
    GENERATOR_CORE,
    NotMeasured,
    Server,
    accepts,
    cpu_s,
    free_port,
    pinned,
    start,
)
from bench.wire import USER
from reddot.model import Retention
from reddot.outreach import Address
from reddot.stores.sqlite import SqliteStore
from reddot.system import SystemClock

PACE: Final = 50
"""What a courier has unless the operator says otherwise: up to there it must not be felt."""
QUICK_PEOPLE: Final = 10_000
BATCH: Final = 1_000
KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RATIO_MAX: Final = 1.05
UNSURE: Final = 0.05
"""How likely the true median is outside of what is stated."""
PATIENCE_S: Final = 120
TURN_S: Final = 2.0
ALONE_S: Final = 5.0
"""So long the server does nothing but the campaign, to see what that uses by itself."""
SETTLE_S: Final = 0.3
"""While there is a campaign the server does not become idle."""


@dataclass(frozen=True)
class Setup:
    """One campaign, and where it runs.

    Attributes:
        per_s: attempts a second; 0: no limit.
        spare_core: couriers have the core of the load generator, not that of the node.
        pairs: turns with and without.
        people: so many that somebody is left in the last turn.
        rests: it never goes on.
    """

    per_s: int
    spare_core: bool
    pairs: int
    people: int
    rests: bool = False

    def __str__(self) -> str:
        if self.rests:
            return "none, to see what the machine makes of nothing"
        pace = f"{self.per_s} a second" if self.per_s else "as fast as it goes"
        return f"{pace}, {'a core for couriers' if self.spare_core else 'one core for all'}"


SETUPS: Final = (
    Setup(per_s=PACE, spare_core=False, pairs=22, people=1_000, rests=True),
    Setup(per_s=PACE, spare_core=True, pairs=22, people=15_000),
    Setup(per_s=PACE, spare_core=False, pairs=22, people=15_000),
    Setup(per_s=0, spare_core=False, pairs=6, people=150_000),
)


@dataclass(frozen=True)
class Measured:
    """One turn.

    Attributes:
        sent: deliveries of the campaign meanwhile.
        child_s: CPU that the process of couriers used for them.
    """

    result: Result
    sent: int
    child_s: float


@dataclass(frozen=True)
class Pair:
    """A turn without the campaign and the one with it, next to each other."""

    without: Measured
    beside: Measured

    def ratio(self, metric: Metric) -> float:
        return metric(self.beside) / metric(self.without)


Metric = Callable[[Measured], float]


def run(lab: Laboratory) -> list[Line]:
    lines: list[Line] = []
    with _stand_in(lab) as port:
        for setup in SETUPS:
            with _campaign(lab, port, setup) as it:
                own_us = 0.0 if setup.rests else it.own_us(lab.seconds(ALONE_S))
                pairs = _turns(lab, it)
            lines += _lines(setup, pairs, own_us)
    return lines


def _turns(lab: Laboratory, campaign: Campaign) -> dict[str, list[Pair]]:
    cases: dict[str, Callable[[], Result]] = {
        "publish": lambda: _publish(lab, campaign.peer),
        "fanout": lambda: lab.fan_out(
            campaign.peer, "sse", seconds=TURN_S, settle_seconds=SETTLE_S
        ),
    }
    found: dict[str, list[Pair]] = {name: [] for name in cases}
    for turn in range(2 if lab.quick else campaign.setup.pairs):
        # Off on, on off: what becomes slower or faster meanwhile does so for both alike.
        order = (False, True) if turn % 2 == 0 else (True, False)
        both: dict[bool, dict[str, Measured]] = {}
        for is_on in order:
            campaign.switch(on=is_on and not campaign.setup.rests)
            both[is_on] = {name: campaign.beside(case) for name, case in cases.items()}
        for name in cases:
            pair = Pair(both[False][name], both[True][name])
            if pair.beside.sent < 10 and not campaign.setup.rests:
                raise NotMeasured("the campaign is over, or does not go on")
            found[name].append(pair)
            _keep(lab, campaign, name, turn, pair)
    return found


def _keep(lab: Laboratory, campaign: Campaign, name: str, turn: int, pair: Pair) -> None:
    for which, one in (("without", pair.without), ("beside", pair.beside)):
        case = f"{name} {which} {campaign.setup}"
        run = {"row": "campaign", "case": case, "turn": turn, "result": one.result}
        lab.runs.append(run | {"sent": one.sent, "child_s": one.child_s})


def _publish(lab: Laboratory, peer: Reddot) -> Result:
    return lab.generator.publish(
        peer,
        peer.durable(f"users/{USER}"),
        users=100,
        publishers=1,
        seconds=lab.seconds(TURN_S),
        settle_seconds=SETTLE_S,
    )


# ---- what is said of it ----


def _lines(setup: Setup, pairs: dict[str, list[Pair]], own_us: float) -> Iterator[Line]:
    publish, fan_out = "durable publish, one in flight", f"fan-out to {SESSIONS:,} sse"
    judged = setup.per_s == PACE and not setup.rests
    for what, name, metric, is_judged in (
        (f"{publish}, p50", "publish", _us("answer_us", "p50"), judged),
        (f"{publish}, p99", "publish", _us("answer_us", "p99"), judged),
        (f"{publish}, node's CPU each", "publish", _each(us_per_request), False),
        (f"{fan_out}, last one p50", "fanout", _us("last_us", "p50"), judged),
        (f"{fan_out}, node's CPU per delivery", "fanout", _each(us_per_delivery), judged),
    ):
        title = f"{what}; campaign: {setup}"
        yield _line(title, pairs[name], metric, is_judged, own_us)


def _line(
    title: str, pairs: Sequence[Pair], metric: Metric, is_judged: bool, own_us: float
) -> Line:
    without, beside = (
        statistics.median(map(metric, some))
        for some in ([one.without for one in pairs], [one.beside for one in pairs])
    )
    ratios = [one.ratio(metric) for one in pairs]
    low, high = interval_of_median(ratios, UNSURE)
    met = high <= RATIO_MAX if is_judged else None
    return Line(
        title,
        f"{without:.1f} µs without, {beside:.1f} with: {statistics.median(ratios):.3f}x"
        f" ({low:.3f} to {high:.3f}, {len(pairs)} pairs){_faults(pairs)}",
        f"≤ {RATIO_MAX}x, all of it" if is_judged else "",
        _sent(pairs, own_us),
        met,
        met,
    )


def _sent(pairs: Sequence[Pair], own_us: float) -> str:
    sent = sum(one.beside.sent for one in pairs)
    if not sent:
        return ""
    child_us = sum(one.beside.child_s for one in pairs) / sent * 1e6
    return (
        f"{sent:,} webhooks meanwhile; each by itself {own_us:.0f} µs of the node's CPU,"
        f" {child_us:.0f} of the process of couriers"
    )


def interval_of_median(values: Sequence[float], unsure: float) -> tuple[float, float]:
    """Between which two of the values the median of what they were drawn from lies.

    By rank: how many values lie below it is a throw of as many coins. With too few values to be
    sure, all of them.
    """
    ordered, count = sorted(values), len(values)
    below = tail = 0
    for rank in range(count // 2):
        tail += math.comb(count, rank)
        if tail / 2**count > unsure / 2:
            break
        below = rank
    return ordered[below], ordered[count - 1 - below]


def _us(name: str, which: str) -> Metric:
    return lambda one: float(one.result[name][which])


def _each(metric: Callable[[Result], float]) -> Metric:
    return lambda one: metric(one.result)


def _faults(pairs: Sequence[Pair]) -> str:
    names = ("lost", "doubled", "wrong")
    results = [one.result for pair in pairs for one in (pair.without, pair.beside)]
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

    def __init__(self, peer: Reddot, setup: Setup) -> None:
        self.peer = peer
        self.setup = setup
        self._whole = peer.server
        self._is_on = True
        server = peer.server
        peer.server = NodeAlone(server.name, server.port, server.process, server.log)
        body = {"to": {"everyone": True}, "title": "Sale", "category": "offer"}
        self._path = f"/v1/campaigns/{self._ask('POST', '/v1/campaigns', body)['id']}"

    def switch(self, *, on: bool) -> None:
        if on != self._is_on:
            self._go_on() if on else self._rest()
            self._is_on = on

    def beside(self, case: Callable[[], Result]) -> Measured:
        sent, child_s = self.sent(), self._child_s()
        result = case()
        return Measured(result, self.sent() - sent, self._child_s() - child_s)

    def own_us(self, seconds: float) -> float:
        """CPU of the node for a delivery while there is nothing else to do."""
        used: dict[bool, float] = {}
        for is_on in (False, True):
            self.switch(on=is_on)
            before, sent = cpu_s(self._whole.process.pid), self.sent()
            time.sleep(seconds)
            used[is_on] = cpu_s(self._whole.process.pid) - before
        return (used[True] - used[False]) / max(self.sent() - sent, 1) * 1e6

    def _rest(self) -> None:
        """Pause, and wait until what was in hand has gone out."""
        self._ask("POST", f"{self._path}/pause")
        before = -1
        while before != (before := self.sent()):
            time.sleep(0.4)

    def _go_on(self) -> None:
        """Resume, and wait until it has come into its stride."""
        before = self.sent()
        self._ask("POST", f"{self._path}/resume")
        self._wait(lambda: self.sent() > before + 10)

    def made(self, people: int) -> None:
        """Wait until all deliveries are in the queue."""
        totals = "progress", "totals", "hook", "made"
        self._wait(lambda: _within(self._ask("GET", self._path), totals) >= people)

    def move_couriers(self, core: int) -> None:
        """Have their process run there, as it does by itself on a machine with a core to spare.

        The load generator has that core too, and goes first: its waiting is not the node's.
        """
        self._wait(lambda: len(self._whole.pids) > 1)
        for pid in self._whole.pids[1:]:
            os.sched_setaffinity(pid, {core})
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))

    def sent(self) -> int:
        text = self._request("GET", "/metrics").decode()
        lines = [one for one in text.splitlines() if one.startswith("reddot_deliveries_total{")]
        return sum(int(float(one.split()[-1])) for one in lines if 'state="sent"' in one)

    def _child_s(self) -> float:
        """CPU of the process of couriers so far."""
        return sum(map(cpu_s, self._whole.pids[1:]))

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


@contextmanager
def _campaign(lab: Laboratory, port: int, setup: Setup) -> Iterator[Campaign]:
    folder = lab.folder()
    people = QUICK_PEOPLE if lab.quick else setup.people
    asyncio.run(fill(folder / "bench.db", people))
    plan = {"categories": ["offer"], "couriers": [{"courier": "hook"}]}
    hook = {"type": "webhook", "keys": [KEY], "url": f"http://127.0.0.1:{port}/"}
    with Reddot(
        folder,
        store_url="sqlite:///bench.db",
        couriers=json.dumps({"hook": hook}),
        deliveries=json.dumps([plan]),
        outbound_allowed="127.0.0.1",
        delivery_attempts_per_s=setup.per_s,
    ) as peer:
        campaign = Campaign(peer, setup)
        campaign.made(people)
        if setup.spare_core:
            campaign.move_couriers(GENERATOR_CORE)
        yield campaign


async def fill(path: Path, people: int) -> None:
    """Make a store in which so many people have an address with the courier `hook`."""
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
