"""Claim: many clients can connect in a short time.

From TCP connect to the first frame, 64 handshakes under way at any time, up to 5,000 sessions that
stay; the first 1,000 warm the server up and are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from bench import wire
from bench.generator import Result
from bench.laboratory import Laboratory, Line
from bench.peers import Nchan, Peer, Reddot
from bench.wire import Kind

STEPS: Final = (1000, 5000)
KINDS: Final[tuple[Kind, ...]] = ("sse", "websocket")


def _connect(lab: Laboratory, peer: Peer, kind: Kind) -> Result:
    session = peer.session(kind, wire.ONE)
    return lab.generator.hold(peer, session, steps=STEPS, users=STEPS[-1], idle_seconds=0)


def _per_s(result: Result) -> float:
    step = result["steps"][-1]
    return float(step["opened"] / step["seconds"])


def _us(result: Result) -> float:
    step = result["steps"][-1]
    return float(step["server_cpu_s"] / step["opened"] * 1e6)


def run(lab: Laboratory) -> list[Line]:
    with lab.peers(lab.reddot, lab.nchan) as (peers, absent):
        cases: dict[str, Callable[[], Result]] = {
            f"{peer.name} {kind}": partial(_connect, lab, peer, kind)
            for peer in peers
            for kind in KINDS
        }
        found = lab.take_turns("connect", cases)
    text = {
        name: f"{series.median(_per_s):,.0f}/s, {series.median(_us):.0f} µs CPU each"
        for name, series in found.items()
    }
    lines = []
    for kind in KINDS:
        beside = [f"{Nchan.name} {text[n]}" for n in text if n == f"{Nchan.name} {kind}"]
        measured = text[f"{Reddot.name} {kind}"]
        lines.append(Line(f"connect rate, {kind}", measured, "", "; ".join(beside + absent)))
    return lines
