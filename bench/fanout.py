"""Claim: live fan-out, one publication at a time, costs little more than a C loop of sends.

1,000 sessions on one topic, 100 publications a second, none before the last was answered. CPU of
the server per delivery, beside a C loop, Nchan and Mosquitto at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from bench.generator import Result
from bench.laboratory import Laboratory, Line, Series, us_per_delivery
from bench.peers import Mosquitto, Nchan, Peer, Reddot, SendLoop
from bench.wire import Kind

RATIO_MAX: Final = 1.35
TARGET: Final = f"≤ {RATIO_MAX}x C loop; below Nchan and Mosquitto"
KINDS: Final[dict[type[Peer], tuple[Kind, ...]]] = {
    SendLoop: ("sse",),
    Reddot: ("sse", "websocket"),
    Nchan: ("sse", "websocket"),
    Mosquitto: ("mqtt",),
}


def case_name(peer: Peer, kind: Kind) -> str:
    return peer.name if len(KINDS[type(peer)]) == 1 else f"{peer.name} {kind}"


def run(lab: Laboratory) -> list[Line]:
    with lab.peers(lab.send_loop, lab.reddot, lab.nchan, lab.mosquitto) as (peers, absent):
        cases: dict[str, Callable[[], Result]] = {
            case_name(peer, kind): partial(lab.fan_out, peer, kind)
            for peer in peers
            for kind in KINDS[type(peer)]
        }
        found = lab.take_turns("fanout", cases)
    lab.learn_c_loop_us(found[SendLoop.name].median(us_per_delivery))
    return [_line(kind, found, absent) for kind in KINDS[Reddot]]


def _line(kind: Kind, found: dict[str, Series], absent: list[str]) -> Line:
    own = found[f"{Reddot.name} {kind}"]
    mine = own.median(us_per_delivery)
    loop = found[SendLoop.name].median(us_per_delivery)
    others = {
        name: series.median(us_per_delivery)
        for name, series in found.items()
        if name in (f"{Nchan.name} {kind}", Mosquitto.name)
    }
    beside = [f"{mine / loop:.2f}x C loop ({loop:.2f})"]
    beside += [f"{name} {us:.2f}" for name, us in others.items()]
    met = mine <= RATIO_MAX * loop and mine < min(others.values(), default=mine + 1)
    return Line(
        f"fan-out one at a time, 1,000 {kind}: CPU per delivery",
        f"{mine:.2f} µs{own.faults}",
        TARGET,
        "; ".join(beside + absent),
        met and not own.faults,
    )
