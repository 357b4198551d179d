"""Clients that nobody here wrote: `websockets`, `httpx-sse`, npm `eventsource`, and `curl`.

Each is an endless source of frames that resumes in its own way. `curl` does not resume, so it is
started anew with what it printed last, as a shell script would.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from httpx_sse import aconnect_sse
from websockets.asyncio.client import connect

from tests.integration.clients import GONE, Frame, Frames, query
from tests.integration.server import ROOT, Server

AGAIN_S: Final = 0.3
NODE_CLIENT: Final = ROOT / "tests" / "node" / "eventsource_client.mjs"
CHUNK: Final = re.compile(r"<script nonce=[\w-]+>p\((\{.*\})\)</script>")


async def lines(*command: str) -> AsyncGenerator[str, None]:
    """What a program prints, line by line, to its end. It is killed if nobody listens any more."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            yield line.decode().rstrip("\n")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def output(*command: str) -> str:
    """All that a program prints."""
    return "\n".join([line async for line in lines(*command)])


def curl(*arguments: str) -> tuple[str, ...]:
    return ("curl", "--silent", "--no-buffer", "--noproxy", "*", *arguments)


async def websockets_client(server: Server, topics: Sequence[str], folder: Path) -> Frames:
    cursor: str | None = None
    while True:
        url = f"{server.ws_url}/v1/ws?{query(topics, cursor)}"
        try:
            async with connect(url, subprotocols=["reddot.v1"], proxy=None) as connection:  # type: ignore[list-item]
                assert connection.subprotocol == "reddot.v1"
                async for text in connection:
                    frame: Frame = json.loads(text)
                    cursor = frame.get("cursor", cursor)
                    yield frame
        except GONE:
            await asyncio.sleep(AGAIN_S)


async def httpx_sse_client(server: Server, topics: Sequence[str], folder: Path) -> Frames:
    url = f"{server.url}/v1/sse?{query(topics)}"
    headers: dict[str, str] = {}
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        while True:
            try:
                async with aconnect_sse(client, "GET", url, headers=headers) as source:
                    async for event in source.aiter_sse():
                        if event.id:
                            headers["Last-Event-ID"] = event.id
                        yield {"type": event.event} | json.loads(event.data)
            except httpx.TransportError:
                await asyncio.sleep(AGAIN_S)


async def eventsource_client(server: Server, topics: Sequence[str], folder: Path) -> Frames:
    """One program for the whole test: the package reconnects by itself."""
    async for line in lines("node", str(NODE_CLIENT), f"{server.url}/v1/sse?{query(topics)}"):
        event: dict[str, Any] = json.loads(line)
        if event["type"] == "error":
            assert not event["closed"], "it has given up"
        else:
            yield {"type": event["type"]} | json.loads(event["data"])


def plain_query(topics: Sequence[str]) -> str:
    """As a person types it: with `+` and `/` as they are; only `#` would end the address."""
    return "&".join(f"topic={topic}" for topic in topics).replace("#", "%23")


async def curl_sse(server: Server, topics: Sequence[str], folder: Path) -> Frames:
    url = f"{server.url}/v1/sse?{plain_query(topics)}"
    last_id: list[str] = []
    while True:
        event: dict[str, str] = {}
        async for line in lines(*curl(*last_id, url)):
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
                continue
            if "id" in event:
                last_id = ["--header", f"Last-Event-ID: {event['id']}"]
            yield {"type": event["event"]} | json.loads(event["data"])
            event = {}
        await asyncio.sleep(AGAIN_S)


async def curl_iframe(server: Server, topics: Sequence[str], folder: Path) -> Frames:
    cursor = ""
    while True:
        url = f"{server.url}/v1/iframe?{plain_query(topics)}&cursor={cursor}"
        async for line in lines(*curl(url)):
            if found := CHUNK.fullmatch(line):
                frame: Frame = json.loads(found[1])
                cursor = frame.get("cursor", cursor)
                yield frame
        await asyncio.sleep(AGAIN_S)


async def curl_poll(server: Server, topics: Sequence[str], folder: Path) -> Frames:
    async for frame in _curl_polls(f"{server.url}/v1/poll?{plain_query(topics)}", folder):
        yield frame


async def curl_long_poll(server: Server, topics: Sequence[str], folder: Path) -> Frames:
    url = f"{server.url}/v1/longpoll?{plain_query(topics)}&wait=1"
    async for frame in _curl_polls(url, folder):
        yield frame


async def _curl_polls(url: str, folder: Path) -> Frames:
    """`curl` keeps the ETag in a file and sends it back, which is all that a poll needs."""
    etag, newer, body = folder / "etag", folder / "newer", folder / "body"
    etag.touch()
    # Not the same file for both: curl empties the second one before it knows of an answer.
    keeping = ("--etag-compare", str(etag), "--etag-save", str(newer))
    while True:
        status = await output(
            *curl(*keeping, "--output", str(body), "--write-out", "%{http_code}", url)
        )
        assert status in ("000", "200", "304"), status
        if status == "200":
            for frame in json.loads(body.read_text())["publications"]:
                yield frame
        if status != "000":
            newer.replace(etag)
        yield {"type": "status", "status": status}
        await asyncio.sleep(AGAIN_S)


CLIENTS: Final = {
    "websockets": websockets_client,
    "httpx-sse": httpx_sse_client,
    "eventsource": eventsource_client,
    "curl-sse": curl_sse,
    "curl-iframe": curl_iframe,
    "curl-poll": curl_poll,
    "curl-longpoll": curl_long_poll,
}
