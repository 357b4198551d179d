"""Claim: a notification costs little more than a publication: log, inbox and badge are one commit.

The whole way over HTTP keep-alive, with SQLite and `synchronous=FULL`: each request notifies one of
10,000 users, and is answered when body, log row and inbox row are on the disk. Beside it: the
badge polled with a current ETag, by clients that ask again as soon as they are answered.
"""

from __future__ import annotations

from functools import partial
from http.client import HTTPConnection
from typing import Final

from bench import wire
from bench.generator import Result
from bench.laboratory import Laboratory, Line, Series, answers_per_s, us_per_request
from bench.peers import API_KEY, Reddot
from reddot.core.tokens import issue_token
from reddot.system import SystemClock

USERS: Final = 10_000
IN_FLIGHT: Final = (1, 16, 128)
CLIENTS: Final = 64
NOTIFY_RATE_MIN: Final = 25_000
BADGE_RATE_MIN: Final = 50_000
P99_MS_MAX: Final = 20
SECRET: Final = "a secret of the benchmark, 32 bytes long"
BODY: Final = f'{{"to":{{"users":["{wire.USER}"]}},"title":"{"t" * 30}","body":"{"x" * 60}"}}'


def _request() -> wire.Publish:
    fields = (f"Authorization: Bearer {API_KEY}", "Content-Type: application/json")
    return wire.Publish(wire.post("/v1/notifications", BODY, *fields), status="201")


def _notify(lab: Laboratory, peer: Reddot, in_flight: int) -> Result:
    return lab.generator.publish(
        peer, _request(), users=USERS, publishers=in_flight, seconds=lab.seconds(5)
    )


def _etag(port: int, fields: dict[str, str]) -> str:
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/v1/badge", headers=fields)
    answer = client.getresponse()
    answer.read()
    client.close()
    return answer.getheader("ETag") or ""


def _badge(lab: Laboratory, peer: Reddot) -> Result:
    token = issue_token(SECRET, user="42", lifetime_s=3600, clock=SystemClock())
    bearer = f"Bearer {token}"
    condition = f"If-None-Match: {_etag(peer.port, {'Authorization': bearer})}"
    request = wire.get("/v1/badge", f"Authorization: {bearer}", condition)
    return lab.generator.publish(
        peer,
        wire.Publish(request, status="304"),
        users=CLIENTS,
        publishers=CLIENTS,
        seconds=lab.seconds(3),
    )


def run(lab: Laboratory) -> list[Line]:
    with lab.reddot(store_url="sqlite:///bench.db", jwt_secret=SECRET) as peer:
        cases = {str(count): partial(_notify, lab, peer, count) for count in IN_FLIGHT}
        found = lab.take_turns("notify", cases)
        badges = lab.take_turns("badge", {"badge": partial(_badge, lab, peer)})["badge"]
    lines = [_line(lab, count, found[str(count)]) for count in IN_FLIGHT]
    return [*lines, _badge_line(lab, badges)]


def _line(lab: Laboratory, in_flight: int, series: Series) -> Line:
    rate, us = series.median(answers_per_s), series.median(us_per_request)
    p50 = series.median(lambda result: result["answer_us"]["p50"]) / 1000
    p99 = series.median(lambda result: result["answer_us"]["p99"]) / 1000
    judged = in_flight == IN_FLIGHT[-1]
    return Line(
        f"notification to one of {USERS:,} users (SQLite, fsync), {in_flight} in flight",
        f"{rate:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {us:.0f} µs CPU",
        f"≥ {NOTIFY_RATE_MIN:,}/s, p99 < {P99_MS_MAX} ms" if judged else "",
        lab.scaled(us),
        (rate >= NOTIFY_RATE_MIN and p99 < P99_MS_MAX) if judged else None,
        (rate * lab.slowness >= NOTIFY_RATE_MIN and p99 < P99_MS_MAX) if judged else None,
    )


def _badge_line(lab: Laboratory, series: Series) -> Line:
    rate, us = series.median(answers_per_s), series.median(us_per_request)
    return Line(
        f"badge polled, answered 304, {CLIENTS} clients",
        f"{rate:,.0f}/s, {us:.1f} µs CPU",
        f"≥ {BADGE_RATE_MIN:,}/s",
        lab.scaled(us),
        rate >= BADGE_RATE_MIN,
        rate * lab.slowness >= BADGE_RATE_MIN,
    )
