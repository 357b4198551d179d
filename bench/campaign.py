"""Claim: while a campaign is worked off, publishing and fan-out go on as if there were none.

50,000 deliveries by webhook to a stand-in on another core, which answers 204 to everything. Beside
it durable publications one after the other, and live fan-out to 1,000 sessions: without a
campaign, with one at 100 deliveries a second, and with one as fast as it goes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from bench.generator import Result
from bench.laboratory import Laboratory, Line, Series, us_per_delivery
from bench.peers import API_KEY, Reddot
from bench.processes import GENERATOR_CORE, accepts, free_port, pinned, start
from bench.wire import USER
from reddot.model import Retention
from reddot.outreach import Address
from reddot.stores.sqlite import SqliteStore
from reddot.system import SystemClock

PEOPLE: Final = 50_000
QUICK_PEOPLE: Final = 5_000
BATCH: Final = 1_000
SLOW_PER_S: Final = 100
KEY: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RATIO_MAX: Final = 1.05
CASES: Final = ("none", f"{SLOW_PER_S}/s", "unlimited")


def run(lab: Laboratory) -> list[Line]:
    people = QUICK_PEOPLE if lab.quick else PEOPLE
    publishing: dict[str, Series] = {}
    fan_out: dict[str, Series] = {}
    sent: dict[str, int] = {}
    with _stand_in(lab) as port:
        # A server for each: what one measurement leaves behind is not in the next.
        for case in CASES:
            with _campaign(lab, port, case, people) as peer:
                measured = {f"fanout {case}": partial(lab.fan_out, peer, "sse")}
                fan_out[case] = lab.take_turns("campaign", measured)[f"fanout {case}"]
            with _campaign(lab, port, case, people) as peer:
                measured = {f"publish {case}": partial(_publish, lab, peer)}
                publishing[case] = lab.take_turns("campaign", measured)[f"publish {case}"]
                sent[case] = _sent(peer.server.port)
    return [
        *_lines("durable publish, one in flight, p50", _p50_us, publishing, sent),
        *_lines("fan-out to 1,000 sse, CPU per delivery", us_per_delivery, fan_out, sent),
    ]


def _publish(lab: Laboratory, peer: Reddot) -> Result:
    return lab.generator.publish(
        peer, peer.durable(f"users/{USER}"), users=100, publishers=1, seconds=lab.seconds(3)
    )


def _p50_us(result: Result) -> float:
    return float(result["answer_us"]["p50"])


def _lines(
    what: str,
    metric: Callable[[Result], float],
    found: dict[str, Series],
    sent: dict[str, int],
) -> Iterator[Line]:
    quiet = found[CASES[0]].median(metric)
    for case in CASES:
        mine = found[case].median(metric)
        judged = case == CASES[1]
        yield Line(
            f"{what}; campaign: {case}",
            f"{mine:.1f} µs, {mine / quiet:.2f}x without{found[case].faults};"
            f" {sent[case]:,} delivered meanwhile",
            f"≤ {RATIO_MAX}x" if judged else "",
            "",
            mine <= RATIO_MAX * quiet if judged else None,
            mine <= RATIO_MAX * quiet if judged else None,
        )


# ---- the campaign ----


@contextmanager
def _campaign(lab: Laboratory, port: int, case: str, people: int) -> Iterator[Reddot]:
    folder = lab.folder()
    asyncio.run(_fill(folder / "bench.db", people))
    plan: dict[str, object] = {"categories": ["offer"], "couriers": [{"courier": "hook"}]}
    if case == CASES[1]:
        plan["per_second"] = SLOW_PER_S
    hook = {"type": "webhook", "keys": [KEY], "url": f"http://127.0.0.1:{port}/"}
    with Reddot(
        folder,
        store_url="sqlite:///bench.db",
        couriers=json.dumps({"hook": hook}),
        deliveries=json.dumps([plan]),
        outbound_allowed="127.0.0.1",
    ) as peer:
        if case != CASES[0]:
            _begin(peer.server.port)
        yield peer


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


def _begin(port: int) -> None:
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"to": {"everyone": True}, "title": "Sale", "category": "offer"})
    fields = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    client.request("POST", "/v1/campaigns", body, fields)
    assert client.getresponse().status == 200
    client.close()


def _sent(port: int) -> int:
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/metrics")
    text = client.getresponse().read().decode()
    client.close()
    lines = [one for one in text.splitlines() if one.startswith("reddot_deliveries_total{")]
    return sum(int(float(one.split()[-1])) for one in lines if 'state="sent"' in one)


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
