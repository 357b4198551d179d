"""Claim: an idle session costs a few kilobytes.

Resident memory (RSS) of all processes of the server, as a difference: between 1,000 and 5,000
sessions, so that what the server has anyway is not counted. Kernel memory of sockets is not in it;
it is the same for every server. Then CPU while nothing happens but heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench import wire
from bench.generator import Result
from bench.laboratory import Laboratory, Line, missing
from bench.peers import Peer
from bench.poll import current_cursor
from bench.processes import NotMeasured
from bench.wire import Kind, Session

STEPS: Final = (1000, 5000)
KIB: Final = 1024


@dataclass(frozen=True)
class _Case:
    what: str
    kib_max: float
    session: Callable[[Peer], Session]
    peer: str = "reddot"
    own_topics: bool = True


def _stream(kind: Kind, topic: str = wire.ONE) -> Callable[[Peer], Session]:
    return lambda peer: peer.session(kind, topic)


def _long_poll(peer: Peer) -> Session:
    path = f"/v1/longpoll?wait=60&topic={wire.ONE}&cursor={current_cursor(peer.port)}"
    return Session(wire.get(path))


CASES: Final = (
    _Case("SSE, each its own topic", 4, _stream("sse")),
    _Case("SSE, all one topic", 4, _stream("sse", wire.NEWS), own_topics=False),
    _Case("WebSocket, each its own topic", 9, _stream("websocket")),
    _Case("WebSocket, all one topic", 9, _stream("websocket", wire.NEWS), own_topics=False),
    _Case("waiting long poll, each its own topic", 0, _long_poll),
    _Case("Nchan SSE, each its own topic", 0, _stream("sse"), "nchan"),
    _Case("Nchan WebSocket, each its own topic", 0, _stream("websocket"), "nchan"),
)


def run(lab: Laboratory) -> list[Line]:
    return [_measure(lab, case) for case in CASES]


def _measure(lab: Laboratory, case: _Case) -> Line:
    what = f"idle memory per session: {case.what}"
    idle_seconds = 2 if lab.quick or case.session is _long_poll else 30
    make: Callable[[], Peer] = lab.reddot if case.peer == "reddot" else lab.nchan
    try:
        with make() as peer:
            users = STEPS[-1] if case.own_topics else 1
            result = lab.generator.hold(
                peer, case.session(peer), steps=STEPS, users=users, idle_seconds=idle_seconds
            )
    except NotMeasured as error:
        return missing(what, error)
    lab.runs.append({"row": "memory", "case": case.what, "turn": 0, "result": result})
    kib = _kib_per_session(result)
    cpu = result["idle_cpu_s"] / result["idle_seconds"] / STEPS[-1] * 1e6
    return Line(
        what,
        f"{kib:.1f} KiB",
        f"≤ {case.kib_max} KiB" if case.kib_max else "",
        "" if idle_seconds < 30 else f"idle CPU {cpu:.1f} µs per session and second",
        kib <= case.kib_max if case.kib_max else None,
    )


def _kib_per_session(result: Result) -> float:
    low, high = result["steps"]
    return float((high["rss"] - low["rss"]) / (high["sessions"] - low["sessions"]) / KIB)
