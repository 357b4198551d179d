"""Small asyncio clients for load: one function per transport, all yielding the same frames.

They exist because a ready client costs too much for thousands of connections, and because one
reader must be able to hop between transports. Ready-made clients have `test_clients.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.integration.mqtt_client import mqtt_frames

Frame = dict[str, Any]
Frames = AsyncGenerator[Frame, None]

TRANSPORTS: Final = ("poll", "longpoll", "iframe", "sse", "ws")
ALL_TRANSPORTS: Final = (*TRANSPORTS, "mqtt", "mqtt0")
"""MQTT is there at quality of service 1 and 0. It knows no query parameters."""
STREAMS: Final = ("iframe", "sse", "ws")
POLL_INTERVAL_S: Final = 0.02
LINE_BYTES_MAX: Final = 1 << 17
GONE: Final = (OSError, EOFError, ConnectionClosed, InvalidHandshake)
"""What a client sees of a server that went away."""

_CHUNK: Final = re.compile(rb"<script nonce=[^>]+>p\((\{.*\})\)</script>\n")
_json = msgspec.json.Decoder().decode


def run(main: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` on the loop that leaves the most of the machine to the server."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def until(holds: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait until what other tasks do makes something true."""
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run `work` while the block runs. An error in it ends the block at once."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one) for one in work]
        yield
        for task in running:
            task.cancel()


class Refused(Exception):
    """The server answered a request with an error."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        super().__init__(f"{status}: {body.decode()}")


async def _connection(port: int, receive_buffer_bytes: int | None) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    if receive_buffer_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    try:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    except BaseException:
        connection.close()
        raise
    return connection


class Http:
    """One HTTP/1.1 connection that is kept; `await Http.open(port)`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, receive_buffer_bytes: int | None = None) -> Http:
        connection = await _connection(port, receive_buffer_bytes)
        return cls(*await asyncio.open_connection(sock=connection, limit=LINE_BYTES_MAX))

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str]]:
        """Send a request; returns status and header of the answer, whose body is not read yet."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in head[1:-2])
        return int(head[0].split()[1]), {name.lower(): value.strip() for name, _, value in fields}

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        status, fields = await self.send(method, target, headers, body)
        return status, fields, await self.reader.readexactly(int(fields.get("content-length", "0")))

    def abort(self) -> None:
        self.writer.transport.abort()


class Publisher:
    """Publishes over one kept connection, and remembers what was acknowledged.

    Attributes:
        acknowledged: `(topic, offset)` to id, of durable publications.
    """

    def __init__(self, port: int) -> None:
        self.acknowledged: dict[tuple[str, int], str] = {}
        self.duplicates = 0
        self._port = port
        self._http: Http | None = None

    async def publish(self, *publications: Mapping[str, object]) -> None:
        """Publish all in one request; raises one of `GONE`, or `Refused`."""
        try:
            if self._http is None:
                self._http = await Http.open(self._port)
            status, _, body = await self._http.request(
                "POST", "/v1/publish", {}, json.dumps(publications).encode()
            )
        except (*GONE, asyncio.CancelledError):
            self.close()
            raise
        if status != 200:
            raise Refused(status, body)
        for answer in _json(body):
            self.acknowledged[answer["topic"], answer["offset"]] = answer["id"]
            self.duplicates += answer["duplicate"]

    async def publish_surely(self, *publications: Mapping[str, object]) -> None:
        """Try until it is acknowledged. The publications must carry ids."""
        while True:
            try:
                return await self.publish(*publications)
            except GONE:
                await asyncio.sleep(0.02)

    def close(self) -> None:
        if self._http is not None:
            self._http.abort()
            self._http = None


# ---- one connection on any transport ----


def query(topics: Iterable[str], cursor: str | None = None, **more: str | float | None) -> str:
    pairs = [("topic", topic) for topic in topics]
    pairs += [("cursor", cursor)] if cursor else []
    pairs += [(name, str(value)) for name, value in more.items() if value is not None]
    return urlencode(pairs)


def frames(
    port: int,
    transport: str,
    topics: Sequence[str],
    cursor: str | None = None,
    *,
    token: str | None = None,
    inbox: str | None = None,
    receive_buffer_bytes: int | None = None,
) -> Frames:
    """The frames of one connection, until it ends. A poll's answer is told as frames, too.

    Who stops iterating stops reading; a small `receive_buffer_bytes` lets the server feel it soon.
    """
    if transport in ("mqtt", "mqtt0"):
        qos = 0 if transport == "mqtt0" else 1
        return _mqtt(port, topics, cursor, token, receive_buffer_bytes, qos)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if transport == "poll":
        return _polls(port, "/v1/poll", topics, cursor, headers, inbox)
    if transport == "longpoll":
        return _polls(port, "/v1/longpoll", topics, cursor, headers, inbox)
    target = f"/v1/{transport}?{query(topics, cursor, inbox=inbox)}"
    if transport == "ws":
        return _websocket(port, target, headers, receive_buffer_bytes)
    parse = _iframe_frames if transport == "iframe" else _sse_frames
    return _stream(port, target, headers, parse, receive_buffer_bytes)


async def _polls(
    port: int,
    path: str,
    topics: Sequence[str],
    cursor: str | None,
    headers: Mapping[str, str],
    inbox: str | None,
) -> Frames:
    http = await Http.open(port)
    try:
        while True:
            target = f"{path}?{query(topics, cursor, inbox=inbox)}"
            status, fields, body = await http.request("GET", target, headers)
            if status not in (200, 304):
                raise Refused(status, body)
            answer: Frame = _json(body) if status == 200 else {"publications": ()}
            for gap in answer.get("gaps", ()):
                yield gap | {"type": "gap"}
            for publication in answer["publications"]:
                yield publication
            cursor = fields["etag"].strip('"')
            yield {"type": "heartbeat", "cursor": cursor}
            if "retry-after" in fields:
                retry_ms = int(fields["retry-after"]) * 1000
                yield {"type": "reconnect", "retry_ms": retry_ms, "reason": "drain"}
                return
            if fields.get("connection") == "close":
                return
            if path == "/v1/poll":
                await asyncio.sleep(POLL_INTERVAL_S)
    finally:
        http.abort()


async def _stream(
    port: int,
    target: str,
    headers: Mapping[str, str],
    parse: Callable[[asyncio.StreamReader], Frames],
    receive_buffer_bytes: int | None,
) -> Frames:
    http = await Http.open(port, receive_buffer_bytes)
    try:
        status, _ = await http.send("GET", target, headers)
        if status != 200:
            raise Refused(status, await http.reader.read(10_000))
        async for frame in parse(http.reader):
            yield frame
    finally:
        http.abort()


async def _sse_frames(reader: asyncio.StreamReader) -> Frames:
    """Complete events only: what the end of the connection cuts off has not arrived."""
    event: dict[bytes, bytes] = {}
    while line := await reader.readline():
        if line == b"\n":
            if b"data" in event:
                place = {"cursor": event[b"id"].decode()} if b"id" in event else {}
                yield {"type": event[b"event"].decode()} | place | _json(event[b"data"])
            event = {}
        else:
            name, _, value = line.rstrip(b"\n").partition(b": ")
            event[name] = value


async def _iframe_frames(reader: asyncio.StreamReader) -> Frames:
    while line := await reader.readline():
        if found := _CHUNK.fullmatch(line):
            yield _json(found[1])


async def _websocket(
    port: int, target: str, headers: Mapping[str, str], receive_buffer_bytes: int | None
) -> Frames:
    connection = await connect(
        f"ws://127.0.0.1:{port}{target}",
        additional_headers=headers,
        compression=None,
        max_queue=1,
        ping_interval=None,
        proxy=None,
        sock=await _connection(port, receive_buffer_bytes),
    )
    try:
        async for text in connection:
            yield _json(text)
    except ConnectionClosed:
        return
    finally:
        connection.transport.abort()


async def _mqtt(
    port: int,
    topics: Sequence[str],
    cursor: str | None,
    token: str | None,
    receive_buffer_bytes: int | None,
    qos: int,
) -> Frames:
    """On the HTTP port, by its first byte."""
    connection = await _connection(port, receive_buffer_bytes)
    reader, writer = await asyncio.open_connection(sock=connection, limit=LINE_BYTES_MAX)
    async for frame in mqtt_frames(reader, writer, topics, cursor, token, qos):
        yield frame


# ---- a client that resumes ----


class Reader:
    """Reads on one transport at a time, always from its cursor, and keeps what came.

    Attributes:
        transport: may be changed between two connections.
        publications: all that came, doubles included.
        others: frames that are no publications, heartbeats and syncs left out.
        attached: set when the first frame has come.
    """

    def __init__(
        self, port: int, transport: str, topics: Sequence[str], cursor: str | None = None
    ) -> None:
        self.transport = transport
        self.cursor = cursor
        self.publications: list[Frame] = []
        self.others: list[Frame] = []
        self.attached = asyncio.Event()
        self.connections = 0
        self._port = port
        self._topics = topics

    def take(self, frame: Frame) -> None:
        if frame["type"] == "publication":
            self.publications.append(frame)
        elif frame["type"] not in ("sync", "heartbeat") or not frame.get("complete", True):
            self.others.append(frame)
        self.cursor = frame.get("cursor", self.cursor)
        self.attached.set()

    def connect(self, receive_buffer_bytes: int | None = None) -> Frames:
        """The frames of a new connection, which goes on at the cursor."""
        self.connections += 1
        return frames(
            self._port,
            self.transport,
            self._topics,
            self.cursor,
            receive_buffer_bytes=receive_buffer_bytes,
        )

    async def read_once(self) -> None:
        """One connection, until it ends or is refused."""
        async with aclosing(self.connect()) as arriving:
            async for frame in arriving:
                self.take(frame)

    async def run(self) -> None:
        """Connect again and again."""
        while True:
            try:
                await self.read_once()
            except GONE:
                await asyncio.sleep(0.02)

    @property
    def places(self) -> set[tuple[str, int]]:
        """Topic and offset of all that came."""
        return {(p["topic"], p["offset"]) for p in self.publications}

    async def until(self, count: int) -> None:
        """Wait until so many different publications have come."""
        # Counting is dear, so first wait until there may be enough.
        await until(lambda: len(self.publications) >= count and len(self.places) >= count)


def check_complete(publications: Iterable[Frame], expected: Mapping[tuple[str, int], str]) -> int:
    """Assert that each expected publication came, in order per topic, and nothing else.

    Returns: how many came more than once, which a resume may cause.
    """
    seen: dict[tuple[str, int], str] = {}
    newest: dict[str, int] = {}
    doubles = 0
    for publication in publications:
        topic, offset = publication["topic"], publication["offset"]
        if (topic, offset) in seen:
            doubles += 1
            assert seen[topic, offset] == publication["id"], "one place, two publications"
            continue
        seen[topic, offset] = publication["id"]
        assert offset > newest.get(topic, 0), f"{topic} {offset} came after {newest[topic]}"
        newest[topic] = offset
    missing = sorted(expected.keys() - seen.keys())
    assert not missing, f"{len(missing)} of {len(expected)} lost: {missing[:5]}"
    assert seen == expected
    return doubles
