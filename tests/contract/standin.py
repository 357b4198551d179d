"""A provider that a test controls: an HTTP server on a free port of this machine.

Written on bare sockets, because it has to misbehave: hang, drip, stop in the middle, never stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

Manner = Literal[
    "whole", "drop", "hang", "hang_body", "endless_body", "endless_head", "cut", "garbage"
]


@dataclass(frozen=True)
class Seen:
    """A request that came. Names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    raw: bytes


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    manner: Manner = "whole"


class StandIn:
    """A server for as long as the `async with` block lasts.

    Args:
        answer: what to reply to a request.
    """

    def __init__(self, answer: Callable[[Seen], Reply] | Reply | None = None) -> None:
        self._answer = answer or Reply()
        self.seen: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.sent_bytes = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.001)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split(" ")
        seen = Seen(method, target, headers, body, head + body)
        self.seen.append(seen)
        reply = self._answer if isinstance(self._answer, Reply) else self._answer(seen)
        return await self._reply(reply, reader, writer)

    async def _reply(
        self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        async def send(data: bytes) -> None:
            writer.write(data)
            self.sent_bytes += len(data)
            await writer.drain()

        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} Said\r\n{extra}".encode()
        match reply.manner:
            case "whole" if reply.status == 204:
                await send(head + b"\r\n")
                return True
            case "whole":
                await send(head + b"Content-Length: %d\r\n\r\n" % len(reply.body) + reply.body)
                return True
            case "drop":
                pass
            case "hang":
                await reader.read()
            case "hang_body":
                await send(head + b"Content-Length: 9\r\n\r\nhal")
                await reader.read()
            case "endless_body":
                await send(head + b"Connection: close\r\n\r\n")
                while not writer.is_closing():
                    await send(b"x" * 65_536)
            case "endless_head":
                await send(head)
                while not writer.is_closing():
                    await send(b"X-More: " + b"x" * 8192 + b"\r\n")
            case "cut":
                await send(head + b"Content-Length: 900\r\n\r\nhalf")
            case "garbage":
                await send(b"\x00\xff\x00 what?\r\n\r\n")
        return False
