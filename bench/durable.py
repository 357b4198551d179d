"""Claim: a durable publish is fast, because everything that waits becomes one transaction.

The whole way over HTTP keep-alive, with SQLite and `synchronous=FULL`: the answer comes when the
publication is on the disk. Each connection waits for its answer; each request is for one of 1,000
users' topics. Inbox and badge are not part of it yet.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.generator import Result
from bench.laboratory import Laboratory, Line, Series, answers_per_s, us_per_request
from bench.peers import Reddot
from bench.wire import USER

USERS: Final = 1000
IN_FLIGHT: Final = (1, 16, 128)
RATE_MIN: Final = 25_000
P99_MS_MAX: Final = 20


def _publish(lab: Laboratory, peer: Reddot, in_flight: int) -> Result:
    return lab.generator.publish(
        peer,
        peer.durable(f"users/{USER}"),
        users=USERS,
        publishers=in_flight,
        seconds=lab.seconds(5),
    )


def run(lab: Laboratory) -> list[Line]:
    with lab.reddot(store_url="sqlite:///bench.db") as peer:
        cases = {str(count): partial(_publish, lab, peer, count) for count in IN_FLIGHT}
        found = lab.take_turns("durable", cases)
    return [_line(lab, count, found[str(count)]) for count in IN_FLIGHT]


def _line(lab: Laboratory, in_flight: int, series: Series) -> Line:
    rate = series.median(answers_per_s)
    p50 = series.median(lambda result: result["answer_us"]["p50"]) / 1000
    p99 = series.median(lambda result: result["answer_us"]["p99"]) / 1000
    us = series.median(us_per_request)
    judged = in_flight == IN_FLIGHT[-1]
    return Line(
        f"durable publish (SQLite, fsync), {in_flight} in flight",
        f"{rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {us:.0f} µs CPU",
        f"≥ {RATE_MIN:,}/s, p99 < {P99_MS_MAX} ms" if judged else "",
        lab.scaled(us),
        (rate >= RATE_MIN and p99 < P99_MS_MAX) if judged else None,
        (rate * lab.slowness >= RATE_MIN and p99 < P99_MS_MAX) if judged else None,
    )
