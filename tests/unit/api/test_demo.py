"""The server part of the demo: its files, its limits, who may press its buttons, its publisher."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final

import httpx
import pytest
from starlette.applications import Starlette

from reddot.api.demo import (
    BODY_BYTES_MAX,
    CUT_SECONDS,
    RATE_PER_MINUTE_MAX,
    SIZE_BYTES_MAX,
    WATCH_SECONDS,
    Publisher,
    Rate,
    demo_data,
    demo_routes,
)
from reddot.counters import TRANSPORTS, Counters
from reddot.errors import ReddotError

HOST: Final = "demo.test:8000"
SAME_ORIGIN: Final = {"Origin": f"http://{HOST}"}


class Site:
    """A site that remembers what the demo asked of it."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.asked: list[object] = []
        self.published: list[bytes] = []
        self.refuses = False

    async def publish(
        self, topic: str, data: bytes, *, event: str, ephemeral: bool = False
    ) -> object:
        if self.refuses:
            raise ReddotError("overloaded")
        self.published.append(data)
        return None

    def cut_connections(self, seconds: float) -> None:
        self.asked.append(seconds)

    def restart_hub(self) -> None:
        self.asked.append("restart")

    def wall_ms(self) -> int:
        return 1_764_000_000_123


def request(
    site: Site,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> httpx.Response:
    """One request to a fresh application around `site`."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=demo_routes(site)))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            return await client.request(method, path, headers=headers, content=body)

    return asyncio.run(ask())


def post_rate(body: bytes, headers: Mapping[str, str] = SAME_ORIGIN) -> httpx.Response:
    return request(Site(), "POST", "/v1/demo/rate", headers=headers, body=body)


# ---- files ----


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/demo", "text/html; charset=utf-8"),
        ("/demo/demo.css", "text/css; charset=utf-8"),
        ("/demo/look/look.css", "text/css; charset=utf-8"),
        ("/demo/main.js", "text/javascript; charset=utf-8"),
    ],
)
def test_a_file_is_served_under_a_strict_policy(path: str, media_type: str) -> None:
    answer = request(Site(), "GET", path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_a_file_that_the_browser_has_costs_nothing() -> None:
    etag = request(Site(), "GET", "/demo").headers["etag"]
    again = request(Site(), "GET", "/demo", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert request(Site(), "GET", "/demo", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("name", ["none.js", "..%2Fdemo.css", "..%2F..%2Fapi%2Fdemo.py", "%00"])
def test_nothing_but_the_files_is_served(name: str) -> None:
    answer = request(Site(), "GET", f"/demo/{name}")
    assert answer.status_code == 404


def test_every_module_that_the_page_imports_is_served() -> None:
    seen: set[str] = set()
    waiting = ["main.js", "look/theme.js"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        answer = request(Site(), "GET", f"/demo/{name}")
        assert answer.status_code == 200, name
        waiting += [part.split('"')[0] for part in answer.text.split('from "./')[1:]]
    assert {"link.js", "tally.js", "transports.js"} <= seen


# ---- figures ----


def test_now_is_the_clock_that_stamps_publications() -> None:
    answer = request(Site(), "GET", "/v1/demo/now")
    assert answer.json() == {"now_ms": 1_764_000_000_123}
    assert answer.headers["cache-control"] == "no-store"


def test_the_figures_are_those_of_the_counters() -> None:
    site = Site()
    site.counters.transports["sse"].bytes_out = 42
    figures = request(site, "GET", "/v1/demo/counters").json()
    assert set(figures["transports"]) == set(TRANSPORTS)
    assert figures["transports"]["sse"] == {
        "sessions": 0,
        "requests": 0,
        "deliveries": 0,
        "bytes_in": 0,
        "bytes_out": 42,
    }
    assert figures["publisher"] == {"per_minute": 0, "size": 0, "published": 0, "refused": 0}


# ---- buttons ----


def test_the_fault_buttons_reach_the_site() -> None:
    site = Site()
    assert request(site, "POST", "/v1/demo/cut", headers=SAME_ORIGIN).status_code == 200
    assert request(site, "POST", "/v1/demo/restart", headers=SAME_ORIGIN).status_code == 200
    assert site.asked == [CUT_SECONDS, "restart"]


@pytest.mark.parametrize("path", ["/v1/demo/cut", "/v1/demo/restart", "/v1/demo/rate"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.test"},
        {"Origin": "http://demo.test"},
        {"Origin": f"http://{HOST}.evil.test"},
        {"Origin": f"http://evil.test/{HOST}"},
    ],
)
def test_another_site_may_press_nothing(path: str, headers: dict[str, str]) -> None:
    site = Site()
    body = b'{"per_minute":60,"size":64}'
    answer = request(site, "POST", path, headers=headers, body=body)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "origin_forbidden"
    assert not site.asked
    assert not site.published


@pytest.mark.parametrize("path", ["/v1/demo/cut", "/v1/demo/restart", "/v1/demo/rate"])
def test_a_link_or_an_image_presses_nothing(path: str) -> None:
    assert request(Site(), "GET", path).status_code == 405


# ---- limits of the publisher's settings ----


def test_a_rate_at_the_limits_is_taken() -> None:
    body = json.dumps({"per_minute": RATE_PER_MINUTE_MAX, "size": SIZE_BYTES_MAX}).encode()
    answer = post_rate(body)
    assert answer.status_code == 200
    assert answer.json()["per_minute"] == RATE_PER_MINUTE_MAX
    assert answer.json()["size"] == SIZE_BYTES_MAX


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"per_minute": RATE_PER_MINUTE_MAX + 1, "size": 64}, "field_invalid"),
        ({"per_minute": 60, "size": SIZE_BYTES_MAX + 1}, "field_invalid"),
        ({"per_minute": -1, "size": 64}, "field_invalid"),
        ({"per_minute": 60, "size": -1}, "field_invalid"),
        ({"per_minute": "60", "size": 64}, "field_invalid"),
        ({"per_minute": 60}, "field_invalid"),
        ({"per_minute": 60, "size": 64, "topic": "x"}, "field_invalid"),
    ],
)
def test_a_rate_beyond_the_limits_is_refused(body: object, code: str) -> None:
    answer = post_rate(json.dumps(body).encode())
    assert answer.status_code == 400
    assert answer.json()["code"] == code


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"per_minute":NaN,"size":1}'])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    answer = post_rate(body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "json_invalid"


def test_a_body_has_a_limit() -> None:
    rate = b'{"per_minute":0,"size":0}'
    assert post_rate(rate.ljust(BODY_BYTES_MAX)).status_code == 200
    answer = post_rate(rate.ljust(BODY_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"


# ---- what is published, and when ----


@pytest.mark.parametrize("size", [32, 33, 1000, SIZE_BYTES_MAX])
@pytest.mark.parametrize("number", [1, 123_456])
def test_data_has_the_size_asked_for(number: int, size: int) -> None:
    data = demo_data(number, size)
    assert len(data) == size
    assert json.loads(data)["n"] == number


def test_data_is_never_cut_below_what_it_needs() -> None:
    assert json.loads(demo_data(7, 0)) == {"n": 7, "text": ""}


class Timeline:
    """A clock that only sleeping moves; `stall` is what each sleep takes too long."""

    def __init__(self, *, stall: float = 0) -> None:
        self.now = 1000.0
        self._stall = stall
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + self._stall
        await asyncio.sleep(0)


async def run_to_the_end(publisher: Publisher, rate: Rate) -> None:
    publisher.set_rate(rate)
    while publisher.rate.per_minute:
        await asyncio.sleep(0)


def test_the_publisher_stops_once_nobody_watches() -> None:
    site, timeline = Site(), Timeline()
    publisher = Publisher(site, monotonic=timeline.monotonic, sleep=timeline.sleep)
    asyncio.run(run_to_the_end(publisher, Rate(per_minute=120, size=64)))
    assert len(site.published) == WATCH_SECONDS * 2
    assert timeline.now - 1000 == pytest.approx(WATCH_SECONDS)


def test_watching_keeps_the_publisher_going() -> None:
    site, timeline = Site(), Timeline()
    publisher = Publisher(site, monotonic=timeline.monotonic, sleep=timeline.sleep)

    async def watch_for_a_minute() -> None:
        publisher.set_rate(Rate(per_minute=60, size=64))
        while publisher.rate.per_minute:
            if timeline.now < 1060:
                publisher.watched()
            await asyncio.sleep(0)

    asyncio.run(watch_for_a_minute())
    assert 60 < len(site.published) <= 60 + WATCH_SECONDS


def test_late_ticks_are_dropped() -> None:
    site, timeline = Site(), Timeline(stall=5)
    publisher = Publisher(site, monotonic=timeline.monotonic, sleep=timeline.sleep)
    asyncio.run(run_to_the_end(publisher, Rate(per_minute=60, size=64)))
    assert len(site.published) <= WATCH_SECONDS / 5 + 1
    assert max(timeline.slept) <= 1


def test_a_server_that_refuses_is_asked_again() -> None:
    site, timeline = Site(), Timeline()
    site.refuses = True
    publisher = Publisher(site, monotonic=timeline.monotonic, sleep=timeline.sleep)
    asyncio.run(run_to_the_end(publisher, Rate(per_minute=60, size=64)))
    assert publisher.refused == publisher.published == WATCH_SECONDS
    assert not site.published


def test_a_new_rate_replaces_the_old_one() -> None:
    site = Site()
    publisher = Publisher(site)

    async def change_twice() -> None:
        publisher.set_rate(Rate(per_minute=1, size=64))
        await asyncio.sleep(0)
        publisher.set_rate(Rate(per_minute=1, size=64))
        await asyncio.sleep(0)
        publisher.set_rate(Rate(per_minute=0, size=0))
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in others if not task.done()]

    asyncio.run(change_twice())
    assert [json.loads(data)["n"] for data in site.published] == [1, 2]
