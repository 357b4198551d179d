"""`reddot doctor`: which transports work from this machine, by the probes below `/v1/diag`.

As the browser's `diagnose.js` measures it: pieces that were written over a while and came at
once were held back by something on the way.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Literal

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

PATIENCE_S: Final = 6.0
QUESTIONS: Final = 3
MQTT_CONNECT: Final = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
MQTT_CONNACK: Final = 0x20
_STAMP: Final = re.compile(r'"sent_ms":(\d+)')

Result = Literal["works", "held back", "blocked", "busy"]


class Finding(msgspec.Struct, frozen=True):
    """About one transport.

    Attributes:
        ms: from the question to the first data; of a held answer without the holding.
    """

    result: Result
    why: str
    ms: float | None = None


_BUSY: Final = Finding("busy", "the server has no room for another probe; ask again")


async def examine(url: str) -> dict[str, Finding]:
    """Try every way; one finding per transport.

    Raises:
        httpx.HTTPError: the server does not answer at all.
    """
    address = httpx.URL(url.rstrip("/") + "/v1/diag/")
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        ms = await _latency(client, address)
        findings = {"short_poll": Finding("works", "answered", ms)}
        for name, probe in {
            "long_poll": _long_poll(client, address),
            "iframe": _stream(client, address.join("iframe")),
            "sse": _stream(client, address.join("sse")),
            "mqtt": _mqtt(address),
            "websocket": _websocket(address),
        }.items():
            findings[name] = await _answered(probe)
    return findings


async def _answered(probe: Awaitable[Finding]) -> Finding:
    try:
        return await asyncio.wait_for(probe, PATIENCE_S)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        return _BUSY if status == 429 else Finding("blocked", f"answered HTTP {status}")
    except TimeoutError:
        return Finding("blocked", "silent")
    except (httpx.HTTPError, WebSocketException, OSError, EOFError) as error:
        return Finding("blocked", str(error) or type(error).__name__)


async def _latency(client: httpx.AsyncClient, address: httpx.URL) -> float:
    took = []
    for _ in range(QUESTIONS):
        asked = time.perf_counter()
        (await client.get(address.join("seen"))).raise_for_status()
        took.append(time.perf_counter() - asked)
    return min(took) * 1000


async def _long_poll(client: httpx.AsyncClient, address: httpx.URL) -> Finding:
    asked = time.perf_counter()
    answer = (await client.get(address.join("longpoll"))).raise_for_status().json()
    held = answer["sent_ms"] - answer["asked_ms"]
    return Finding("works", f"held for {held} ms", (time.perf_counter() - asked) * 1000 - held)


async def _stream(client: httpx.AsyncClient, address: httpx.URL) -> Finding:
    asked = time.perf_counter()
    async with client.stream("GET", address) as answer:
        answer.raise_for_status()
        return await _timed(answer.aiter_lines(), asked)


async def _websocket(address: httpx.URL) -> Finding:
    asked = time.perf_counter()
    async with connect(str(_upgraded(address.join("ws"))), proxy=None) as socket:

        async def texts() -> AsyncIterator[str]:
            async for message in socket:
                yield str(message)

        return await _timed(texts(), asked)


async def _mqtt(address: httpx.URL) -> Finding:
    """Any answer to CONNECT will do: a refusal has come through as well."""
    asked = time.perf_counter()
    url = str(_upgraded(address.join("/mqtt")))
    async with connect(url, subprotocols=[Subprotocol("mqtt")], proxy=None) as socket:
        await socket.send(MQTT_CONNECT)
        answer = await socket.recv()
        if not answer or answer[0] != MQTT_CONNACK:
            return Finding("blocked", "CONNECT is answered with something else")
    return Finding("works", "CONNECT is answered", (time.perf_counter() - asked) * 1000)


def _upgraded(address: httpx.URL) -> httpx.URL:
    return address.copy_with(scheme=address.scheme.replace("http", "ws"))


async def _timed(texts: AsyncIterator[str], asked: float) -> Finding:
    """What the stamps say, against when they came."""
    sent: list[int] = []
    came: list[float] = []
    async for text in texts:
        for stamp in _STAMP.findall(text):
            sent.append(int(stamp))
            came.append(time.perf_counter())
    if len(came) < 2:
        return Finding("blocked", "ended early")
    first_ms = (came[0] - asked) * 1000
    written_ms, arrived_ms = sent[-1] - sent[0], (came[-1] - came[0]) * 1000
    if arrived_ms >= written_ms / 2:
        return Finding("works", "each piece came when it was written", first_ms)
    why = f"what was written over {written_ms} ms came within {arrived_ms:.0f} ms"
    return Finding("held back", why, first_ms)


def report(url: str, findings: dict[str, Finding]) -> list[str]:
    """Lines for the person at the terminal."""
    lines = [f"server      {url}"]
    for name, finding in findings.items():
        ms = "" if finding.ms is None else f", {finding.ms:.0f} ms"
        lines.append(f"{name:<12}{finding.result}{ms}, {finding.why}")
    return lines


def run(url: str, tell: Callable[[str], None]) -> bool:
    """Examine, and tell; whether everything works."""
    findings = asyncio.run(examine(url))
    for line in report(url, findings):
        tell(line)
    return all(finding.result == "works" for finding in findings.values())
