"""Claim: what becomes ready together is delivered together, with one write per session.

The same 1,000 sessions, ten publications at once: Reddot gets them as one array, Nchan as ten
pipelined requests, Mosquitto as ten packets in one write. Compared with the C loop's one send per
delivery, which is what it costs to deliver them one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from bench.fanout import KINDS, case_name
from bench.generator import Result
from bench.laboratory import Laboratory, Line, us_per_delivery
from bench.peers import Reddot, SendLoop

RATIO_MAX: Final = 0.4
TARGET: Final = f"≤ {RATIO_MAX}x C loop, one send per delivery"
BURST: Final = 10
BURSTS_PER_S: Final = 10


def run(lab: Laboratory) -> list[Line]:
    with lab.peers(lab.send_loop, lab.reddot, lab.nchan, lab.mosquitto) as (peers, absent):
        cases: dict[str, Callable[[], Result]] = {
            case_name(peer, kind): (
                partial(lab.fan_out, peer, kind)
                if isinstance(peer, SendLoop)
                else partial(lab.fan_out, peer, kind, burst=BURST, rate=BURSTS_PER_S)
            )
            for peer in peers
            for kind in KINDS[type(peer)]
        }
        found = lab.take_turns("burst", cases)
    us = {name: series.median(us_per_delivery) for name, series in found.items()}
    loop = us[SendLoop.name]
    lines = []
    for kind in KINDS[Reddot]:
        own = f"{Reddot.name} {kind}"
        others = [f"{n} {v:.2f}" for n, v in us.items() if not n.startswith((Reddot.name, "C "))]
        beside = [f"{us[own] / loop:.2f}x C loop ({loop:.2f})", *others, *absent]
        lines.append(
            Line(
                f"fan-out in bursts of {BURST}, 1,000 {kind}: CPU per delivery",
                f"{us[own]:.2f} µs{found[own].faults}",
                TARGET,
                "; ".join(beside),
                us[own] <= RATIO_MAX * loop and not found[own].faults,
            )
        )
    return lines
