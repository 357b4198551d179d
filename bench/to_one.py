"""Claim: an ephemeral publish to one of 1,000 connected users over HTTP keep-alive is cheap.

Eight publishers, each waiting for its answer; every request is for another user. The whole way:
request, check, match, encode, write, answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from bench import wire
from bench.generator import Result
from bench.laboratory import SESSIONS, Laboratory, Line, answers_per_s, us_per_request
from bench.peers import Nchan, Peer, Reddot
from bench.wire import Kind

US_MAX: Final = 12
TARGET: Final = f"≤ {US_MAX} µs; ahead of Nchan"
PUBLISHERS: Final = 8
KINDS: Final[tuple[Kind, ...]] = ("sse", "websocket")


def _publish(lab: Laboratory, peer: Peer, kind: Kind) -> Result:
    return lab.generator.publish(
        peer,
        peer.publish(wire.ONE),
        session=peer.session(kind, wire.ONE),
        sessions=SESSIONS,
        users=SESSIONS,
        publishers=PUBLISHERS,
        seconds=lab.seconds(3),
    )


def run(lab: Laboratory) -> list[Line]:
    with lab.peers(lab.reddot, lab.nchan) as (peers, absent):
        cases: dict[str, Callable[[], Result]] = {
            f"{peer.name} {kind}": partial(_publish, lab, peer, kind)
            for peer in peers
            for kind in KINDS
        }
        found = lab.take_turns("to_one", cases)
    lines = []
    for kind in KINDS:
        own = found[f"{Reddot.name} {kind}"]
        mine = own.median(us_per_request)
        beside = [lab.scaled(mine)]
        ahead = True
        if other := found.get(f"{Nchan.name} {kind}"):
            theirs = other.median(us_per_request)
            beside.append(f"Nchan {theirs:.1f} µs, {other.median(answers_per_s):,.0f}/s")
            ahead = mine < theirs
        lines.append(
            Line(
                f"ephemeral publish to one of 1,000 {kind}: CPU per publish",
                f"{mine:.1f} µs, {own.median(answers_per_s):,.0f}/s{own.faults}",
                TARGET,
                "; ".join(beside + absent),
                mine <= US_MAX and ahead and not own.faults,
                mine / lab.slowness <= US_MAX and ahead and not own.faults,
            )
        )
    return lines
