"""The doctor's probes: what they tell, who is told, and how many run at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from reddot.api.diag import BEATS, HEADER_CHARS_MAX, Probes, told
from reddot.core.gate import Gate, Origins
from reddot.core.tickets import Tickets
from reddot.counters import Counters
from reddot.net.exchange import StreamPeer
from reddot.net.framing import Head, HeadLimits, parse_head
from reddot.system import SystemClock, SystemEntropy

HERE = "http://server.test"


class Transport(asyncio.Transport):
    """What a stream writes; `closing` may be set by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


class Asked:
    """An exchange that remembers its answer."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.bytes_in = 0
        self.transport = Transport()
        self.status = 0
        self.fields = b""

    def respond(self, status: int, fields: bytes, body: bytes = b"") -> int:
        self.status, self.fields = status, fields
        return 0

    def finish(self, status: int, rest: bytes) -> int:
        raise NotImplementedError

    def stream(self, status: int, fields: bytes, peer: StreamPeer) -> asyncio.Transport:
        self.status, self.fields = status, fields
        return self.transport

    def abort(self) -> None:
        raise NotImplementedError

    def on_gone(self, callback: Callable[[], None]) -> None: ...


class Clinic:
    """Probes whose waiting the test ends with `go`."""

    def __init__(self, *, probes_max: int = 2, origins: tuple[str, ...] = ()) -> None:
        clock = SystemClock()
        self.counters = Counters()
        self.go = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        gate = Gate(
            verifier=None,
            api_keys=(),
            tickets=Tickets(clock=clock, entropy=SystemEntropy(), lifetime_s=30),
            origins=Origins(origins),
            dev=False,
        )
        self.probes = Probes(
            gate=gate,
            counters=self.counters,
            wall_ms=lambda: 1_764_000_000_123,
            nonce=lambda: "nonce",
            probes_max=probes_max,
            spawn=self.spawn,
            sleep=self.sleep,
        )
        transport = httpx.ASGITransport(Starlette(routes=self.probes.routes()))
        self.http = httpx.AsyncClient(transport=transport, base_url=HERE)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def sleep(self, _seconds: float) -> None:
        await self.go.wait()

    def open(self, path: str, *fields: str) -> Asked:
        lines = [f"GET {path} HTTP/1.1", "Host: server.test", *fields, "", ""]
        asked = Asked(parse_head("\r\n".join(lines).encode(), HeadLimits()))
        self.probes.hot_routes()[path]["GET"](asked.head, b"", asked)
        return asked


def run(check: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(check())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("via", "1.1 cache.internal (squid/5), HTTP/2 edge-7, nonsense", "1.1 *, HTTP/2 *, *"),
        ("via", "internal-name", "*"),
        ("x-forwarded-for", "10.1.2.3, 192.0.2.7", "2 entries"),
        ("x-real-ip", "192.0.2.7", "1 entry"),
        ("forwarded", "for=192.0.2.7;by=10.0.0.1", "1 entry"),
        ("connection", "keep-alive\x00\x7f\xe9", "keep-alive???"),
        ("connection", "k" * (HEADER_CHARS_MAX + 1), "k" * HEADER_CHARS_MAX),
    ],
)
def test_fields_are_told_without_names_and_addresses(name: str, value: str, said: str) -> None:
    assert told(name, value) == said


def test_what_was_seen() -> None:
    async def check() -> None:
        clinic = Clinic()
        headers = {"Via": "1.1 inside", "Cookie": "reddot_token=a.b.c", "X-Secret": "not told"}
        answer = await clinic.http.get("/v1/diag/seen", headers=headers)
        seen = answer.json()
        assert seen["now_ms"] == 1_764_000_000_123
        assert seen["http_version"] == "1.1"
        assert seen["cookie"] is True
        assert seen["headers"]["via"] == "1.1 *"
        assert "a.b.c" not in answer.text
        assert "not told" not in answer.text
        assert answer.headers["cache-control"].startswith("no-store")

    run(check)


@pytest.mark.parametrize("path", ["/v1/diag/seen", "/v1/diag/longpoll"])
def test_only_origins_on_the_list_are_answered(path: str) -> None:
    async def check() -> None:
        clinic = Clinic(origins=("https://good.example",))
        clinic.go.set()
        good = await clinic.http.get(path, headers={"Origin": "https://good.example"})
        assert good.headers["access-control-allow-origin"] == "https://good.example"
        assert good.headers["timing-allow-origin"] == "https://good.example"
        assert (await clinic.http.get(path, headers={"Origin": HERE})).status_code == 200
        evil = await clinic.http.get(path, headers={"Origin": "https://evil.example"})
        assert evil.json()["code"] == "origin_forbidden"
        assert "access-control-allow-origin" not in evil.headers

    run(check)


@pytest.mark.parametrize("path", ["/v1/diag/sse", "/v1/diag/iframe"])
def test_streams_write_their_beats_and_end(path: str) -> None:
    async def check() -> None:
        clinic = Clinic()
        clinic.go.set()
        asked = clinic.open(path)
        await asyncio.gather(*clinic.tasks)
        text = b"".join(asked.transport.written)
        assert asked.status == 200
        assert text.count(b'"sent_ms":1764000000123') == BEATS
        assert len(text) < 3 * 1024
        assert asked.transport.closing
        assert clinic.probes.running == 0
        assert clinic.open(path, "Origin: https://evil.example").status == 403

    run(check)


def test_a_stream_that_nobody_reads_ends_early() -> None:
    async def check() -> None:
        clinic = Clinic()
        asked = clinic.open("/v1/diag/sse")
        await asyncio.sleep(0)
        asked.transport.closing = True
        clinic.go.set()
        await asyncio.gather(*clinic.tasks)
        assert len(asked.transport.written) == 2  # The empty beginning, and one beat.
        assert clinic.probes.running == 0

    run(check)


def test_beyond_the_limit_it_is_answered_429() -> None:
    async def check() -> None:
        clinic = Clinic(probes_max=2)
        asked = clinic.open("/v1/diag/sse")
        held = asyncio.create_task(clinic.http.get("/v1/diag/longpoll"))
        while clinic.probes.running < 2:
            await asyncio.sleep(0)
        assert clinic.open("/v1/diag/iframe").status == 429
        refused = await clinic.http.get("/v1/diag/longpoll")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert clinic.counters.rejected == {"rate_limited": 2}
        clinic.go.set()
        assert (await held).status_code == 200
        await asyncio.gather(*clinic.tasks)
        assert clinic.open("/v1/diag/iframe").status == 200
        assert asked.status == 200

    run(check)


def test_zero_switches_the_probes_off() -> None:
    async def check() -> None:
        clinic = Clinic(probes_max=0)
        assert clinic.open("/v1/diag/sse").status == 429
        assert (await clinic.http.get("/v1/diag/seen")).status_code == 200

    run(check)


def test_a_plain_question_at_the_websocket_is_told_to_upgrade() -> None:
    async def check() -> None:
        answer = await Clinic().http.get("/v1/diag/ws")
        assert (answer.status_code, answer.json()["code"]) == (426, "upgrade_required")

    run(check)


def test_the_page_runs_nothing_but_its_own() -> None:
    async def check() -> None:
        clinic = Clinic()
        page = await clinic.http.get("/v1/diag")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert "script-src 'self'" in page.headers["content-security-policy"]
        for name in ("diag.js", "diag.css", "look/look.css"):
            assert (await clinic.http.get(f"/v1/diag/{name}")).status_code == 200
        missing = await clinic.http.get("/v1/diag/../settings.py")
        assert missing.status_code == 404

    run(check)
