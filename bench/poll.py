"""Claim: a poll that is told "nothing new" (304) costs next to nothing.

64 clients on keep-alive connections, each with its own topic and a current cursor, each asking
again as soon as it is answered. The badge will be polled the same way; it does not exist yet, so
this is `/v1/poll`.
"""

from __future__ import annotations

from functools import partial
from http.client import HTTPConnection
from typing import Final

from bench import wire
from bench.generator import Result
from bench.laboratory import Laboratory, Line, answers_per_s, us_per_request
from bench.peers import Reddot

CLIENTS: Final = 64
RATE_MIN: Final = 50_000


def current_cursor(port: int) -> str:
    """The ETag of a first poll."""
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", f"/v1/poll?topic={wire.NEWS}")
    answer = client.getresponse()
    answer.read()
    client.close()
    return (answer.getheader("ETag") or "").strip('"')


def _poll(lab: Laboratory, peer: Reddot) -> Result:
    condition = f'If-None-Match: "{current_cursor(peer.port)}"'
    return lab.generator.publish(
        peer,
        wire.Publish(wire.get(f"/v1/poll?topic={wire.ONE}", condition), status="304"),
        users=CLIENTS,
        publishers=CLIENTS,
        own_user=True,
        seconds=lab.seconds(3),
    )


def run(lab: Laboratory) -> list[Line]:
    with lab.reddot() as peer:
        series = lab.take_turns("poll", {peer.name: partial(_poll, lab, peer)})[peer.name]
    rate, us = series.median(answers_per_s), series.median(us_per_request)
    p99 = series.median(lambda result: result["answer_us"]["p99"]) / 1000
    return [
        Line(
            f"poll answered 304, {CLIENTS} clients (no badge yet)",
            f"{rate:,.0f}/s, {us:.1f} µs CPU, p99 {p99:.1f} ms",
            f"≥ {RATE_MIN:,}/s",
            lab.scaled(us),
            rate >= RATE_MIN,
            rate * lab.slowness >= RATE_MIN,
        )
    ]
