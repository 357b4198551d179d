"""Claim: 10,000 clients that come back at once, with 10 publications missed each, are served fast.

As after a deploy or a broken proxy: all connect as quickly as the server takes them, up to 1,000
handshakes under way, and resume with a cursor from before the publications. The clock stops when
the last one has got the last one it missed. From memory and from SQLite, for one topic that all
follow and for a topic of each one's own.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Final

from bench import wire
from bench.laboratory import Laboratory, Line, Series, missing
from bench.peers import API_KEY, Reddot, descriptors
from bench.poll import current_cursor
from bench.processes import NotMeasured

SESSIONS_MAX: Final = 10_000
EACH: Final = 10
AT_ONCE: Final = 1000
SECONDS_MAX: Final = 5
BATCH: Final = 100
DESCRIPTORS_RESERVED: Final = 300


def run(lab: Laboratory) -> list[Line]:
    sessions = min(SESSIONS_MAX, descriptors() - DESCRIPTORS_RESERVED)
    sessions = 1000 if lab.quick else sessions // 1000 * 1000
    all_in_memory = {
        "recent_publications_max": sessions * EACH,
        "recent_bytes_max": 1 << 30,
        "store_url": "memory://",
    }
    all_on_disk = {"recent_publications_max": 0, "store_url": "sqlite:///bench.db"}
    lines = []
    for place, settings in (("memory", all_in_memory), ("SQLite", all_on_disk)):
        for users in (1, sessions):
            lines.append(_measure(lab, place, settings, sessions, users))
    return lines


def _measure(
    lab: Laboratory, place: str, settings: dict[str, object], sessions: int, users: int
) -> Line:
    topics = "one topic" if users == 1 else "each its own topic"
    what = f"resume of {sessions:,} SSE at once, {EACH} missed each, {topics}, from {place}"
    topic = wire.NEWS if users == 1 else wire.ONE
    try:
        with lab.reddot(**settings) as peer:
            path = f"/v1/sse?topic={topic}&cursor={current_cursor(peer.port)}"
            session = wire.Session(wire.get(path), ready='"sync"')
            _publish(peer, users)

            def resume() -> dict[str, object]:
                return lab.generator.resume(
                    peer, session, sessions=sessions, users=users, each=EACH, at_once=AT_ONCE
                )

            case = f"{place}, {topics}"
            series = lab.take_turns("resume", {case: resume})[case]
    except NotMeasured as error:
        return missing(what, error)
    return _line(what, series)


def _line(what: str, series: Series) -> Line:
    seconds = series.median(lambda result: result["seconds"])
    cpu_us = series.median(lambda result: result["server_cpu_s"] / result["sessions"] * 1e6)
    return Line(
        what,
        f"{seconds:.2f} s{series.faults}",
        f"< {SECONDS_MAX} s",
        f"{cpu_us:.0f} µs CPU per session",
        seconds < SECONDS_MAX and not series.faults,
    )


def _publish(peer: Reddot, users: int) -> None:
    """`EACH` durable publications per user, numbered as the load generator expects them."""
    drafts = [
        {"topic": topic, "data": {"title": f"@T{0:016x}{number:08x}", "body": "x" * 50}}
        for number in range(1, EACH + 1)
        for topic in (
            [wire.NEWS]
            if users == 1
            else [wire.ONE.replace(wire.USER, f"{user:08d}") for user in range(users)]
        )
    ]
    client = HTTPConnection("127.0.0.1", peer.port, timeout=30)
    fields = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    for start in range(0, len(drafts), BATCH):
        client.request("POST", "/v1/publish", json.dumps(drafts[start : start + BATCH]), fields)
        answer = client.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise NotMeasured(f"publishing was answered {answer.status}: {body[:200]!r}")
    client.close()
