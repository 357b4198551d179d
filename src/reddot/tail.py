"""The client behind `reddot subscribe`: one stream of frames over any of six transports.

Beside `cli`, which alone uses it. It knows the wire (DESIGN 2.1) and nothing of the server's
code. Invariants: the cursor of every frame that carries one is kept and sent when it attaches
again; no publication is yielded twice; only a refusal that will not go away ends the stream.
Time, sleep and chance come in as arguments, so tests neither sleep nor guess.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from reddot.tail_frames import (
    FRAME_BYTES_MAX,
    Backoff,
    Frame,
    IframeParser,
    Interrupted,
    Seen,
    SseParser,
    check_close,
    check_error_frame,
    check_status,
    frame_of_event,
    parse_frame,
    parse_poll,
    reconnect_frame,
)
from reddot.tail_mqtt import attach_mqtt

SUBPROTOCOL: Final = Subprotocol("reddot.v1")
STABLE_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 10.0
POLL_INTERVAL_S: Final = 1.0
LONGPOLL_WAIT_S: Final = 25.0
SILENT_HEARTBEATS: Final = 2.5
HEARTBEAT_S: Final = 15.0
HEARTBEAT_WEBSOCKET_S: Final = 25.0


class Transport(Enum):
    """How to attach; the value is also the last part of the address, but for WebSocket."""

    POLL = "poll"
    LONGPOLL = "longpoll"
    IFRAME = "iframe"
    SSE = "sse"
    WEBSOCKET = "websocket"
    MQTT = "mqtt"


# ---- attaching: one generator per transport, each ends or raises when the connection does ----


@dataclass(frozen=True, slots=True)
class Target:
    """What every transport needs to attach.

    Attributes:
        url: of the server, such as `http://127.0.0.1:8000`.
        heartbeat_s: how often the server says something at least.
        sleep: waits between short polls.
    """

    client: httpx.AsyncClient
    url: str
    filters: tuple[str, ...]
    token: str | None
    transport: Transport
    heartbeat_s: float
    sleep: Callable[[float], Awaitable[None]]

    @property
    def silence_s(self) -> float:
        return SILENT_HEARTBEATS * self.heartbeat_s

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def address(self, cursor: str | None, **more: str) -> httpx.URL:
        """The transport's address; only the filters, without a user's inbox.

        `+` and `#` in filters are escaped by httpx.
        """
        name = "ws" if self.transport is Transport.WEBSOCKET else self.transport.value
        query = [("topic", one) for one in self.filters] + [("inbox", "false"), *more.items()]
        if cursor is not None:
            query.append(("cursor", cursor))
        return httpx.URL(f"{self.url.rstrip('/')}/v1/{name}", params=query)


async def _poll(target: Target, cursor: str | None) -> AsyncGenerator[Frame, None]:
    """Short and long polls, one after the other."""
    long = target.transport is Transport.LONGPOLL
    address = target.address(None, **({"wait": f"{LONGPOLL_WAIT_S:g}"} if long else {}))
    silence_s = target.silence_s + (LONGPOLL_WAIT_S if long else 0)
    timeout = httpx.Timeout(CONNECT_TIMEOUT_S, read=silence_s)
    first = True
    while True:
        headers = {} if cursor is None else {"If-None-Match": f'"{cursor}"'}
        answer = await target.client.get(address, headers=target.headers | headers, timeout=timeout)
        frames = _poll_frames(answer, first=first)
        for frame in frames:
            yield frame
        cursor, first = frames[-1].cursor or cursor, False
        # An answer with publications may have been cut at its limit: ask at once for the rest.
        if not long and not any(frame.type == "publication" for frame in frames):
            await target.sleep(POLL_INTERVAL_S)


def _poll_frames(answer: httpx.Response, *, first: bool) -> list[Frame]:
    if answer.status_code != 304:
        check_status(answer.status_code, answer.content, answer.headers.get("retry-after"))
        return parse_poll(answer.content, first=first)
    frames = [Frame(type="sync")] if first else []
    frames.append(
        Frame(type="heartbeat", cursor=answer.headers.get("etag", "").strip('" ') or None)
    )
    # A server that is about to stop answers the polls it holds, and spreads when they come back.
    if retry_after := answer.headers.get("retry-after"):
        frames.append(reconnect_frame(retry_after))
    return frames


@asynccontextmanager
async def _stream(target: Target, cursor: str | None) -> AsyncIterator[httpx.Response]:
    """An endless answer; silence for 2.5 heartbeats ends it with `httpx.ReadTimeout`."""
    timeout = httpx.Timeout(CONNECT_TIMEOUT_S, read=target.silence_s)
    address = target.address(cursor)
    async with target.client.stream(
        "GET", address, headers=target.headers, timeout=timeout
    ) as answer:
        body = b"" if answer.status_code == 200 else await answer.aread()
        check_status(answer.status_code, body, answer.headers.get("retry-after"))
        yield answer


async def _sse(target: Target, cursor: str | None) -> AsyncGenerator[Frame, None]:
    parser = SseParser()
    async with _stream(target, cursor) as answer:
        async for chunk in answer.aiter_bytes():
            for event in parser.feed(chunk):
                yield frame_of_event(event)


async def _iframe(target: Target, cursor: str | None) -> AsyncGenerator[Frame, None]:
    parser = IframeParser()
    async with _stream(target, cursor) as answer:
        async for chunk in answer.aiter_bytes():
            for frame in parser.feed(chunk):
                yield frame


async def _websocket(target: Target, cursor: str | None) -> AsyncGenerator[Frame, None]:
    address = str(target.address(cursor)).replace("http", "ws", 1)
    try:
        async with connect(
            address,
            additional_headers=target.headers,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            open_timeout=CONNECT_TIMEOUT_S,
            ping_interval=None,
            close_timeout=1,
            max_size=FRAME_BYTES_MAX,
        ) as socket:
            while True:
                async with asyncio.timeout(target.silence_s):
                    text = await socket.recv()
                yield parse_frame(text)
    except InvalidStatus as error:
        answer = error.response
        retry_after = answer.headers.get("Retry-After")
        check_status(answer.status_code, bytes(answer.body or b""), retry_after)
    except ConnectionClosed as error:
        close = error.rcvd
        check_close(close.code if close else None, close.reason if close else "")


async def _mqtt(target: Target, cursor: str | None) -> AsyncGenerator[Frame, None]:
    async with aclosing(attach_mqtt(target.url, target.filters, target.token, cursor)) as frames:
        async for frame in frames:
            yield frame


_ATTACH: Final[dict[Transport, Callable[[Target, str | None], AsyncGenerator[Frame, None]]]] = {
    Transport.POLL: _poll,
    Transport.LONGPOLL: _poll,
    Transport.IFRAME: _iframe,
    Transport.SSE: _sse,
    Transport.WEBSOCKET: _websocket,
    Transport.MQTT: _mqtt,
}


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def attach(target: Target, cursor: str | None) -> AsyncGenerator[Frame, None]:
    """The frames of one connection. Ends with `Refused` or `Interrupted`, nothing else."""
    try:
        async with aclosing(_ATTACH[target.transport](target, cursor)) as frames:
            async for frame in frames:
                yield check_error_frame(frame)
    except (httpx.RequestError, InvalidHandshake, OSError, TimeoutError) as error:
        raise Interrupted(_said(error)) from None
    raise Interrupted("the server ended the stream")


# ---- the tail ----


def _ignore(notice: str) -> None:
    """Nobody wants to hear of interruptions."""


async def follow(
    attach_at: Callable[[str | None], AsyncGenerator[Frame, None]],
    cursor: str | None,
    *,
    notice: Callable[[str], None],
    sleep: Callable[[float], Awaitable[None]],
    fraction: Callable[[], float],
    monotonic: Callable[[], float],
) -> AsyncGenerator[Frame, None]:
    """Attach, and attach again at the last cursor whenever that ends with `Interrupted`.

    Args:
        attach_at: one connection, from a cursor on.
        notice, sleep, fraction, monotonic: as for `tail`.
    """
    seen, backoff = Seen(), Backoff(fraction)
    while True:
        started = monotonic()
        try:
            async with aclosing(attach_at(cursor)) as frames:
                async for frame in frames:
                    cursor = frame.cursor or cursor
                    if frame.type == "reconnect":
                        reason = f"asked to reconnect ({frame.reason})"
                        raise Interrupted(reason, (frame.retry_ms or 0) / 1000)
                    if seen.fresh(frame):
                        yield frame
        except Interrupted as interruption:
            if monotonic() - started >= STABLE_S:
                backoff.reset()
            wait_s = interruption.retry_s
            wait_s = backoff.wait_s() if wait_s is None else wait_s
            notice(f"{interruption}; next try in {wait_s:.1f} s")
            await sleep(wait_s)


async def tail(
    url: str,
    filters: Sequence[str],
    *,
    transport: Transport = Transport.SSE,
    cursor: str | None = None,
    token: str | None = None,
    heartbeat_s: float | None = None,
    notice: Callable[[str], None] = _ignore,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    fraction: Callable[[], float] = random.random,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Frame, None]:
    """All frames on the filters from `cursor` on, across disconnects and server restarts.

    Args:
        url: of the server.
        filters: at least one.
        cursor: where to begin; None: from now on.
        token: a token, sent as `Authorization: Bearer`.
        heartbeat_s: the server's; None: its default for the transport.
        notice: is told of every interruption, one line.
        sleep: waits so many seconds.
        fraction: a number in [0, 1) for jitter.
        monotonic: seconds, for telling a stable connection from one that fails at once.
    Yields:
        Every frame but doubles and `reconnect`.
    Raises:
        Refused: the server will not have it; another try would be the same.
    """
    websocket = transport is Transport.WEBSOCKET
    beat_s = heartbeat_s or (HEARTBEAT_WEBSOCKET_S if websocket else HEARTBEAT_S)
    async with httpx.AsyncClient() as client:
        target = Target(client, url, tuple(filters), token, transport, beat_s, sleep)
        frames = follow(
            partial(attach, target),
            cursor,
            notice=notice,
            sleep=sleep,
            fraction=fraction,
            monotonic=monotonic,
        )
        async with aclosing(frames):
            async for frame in frames:
                yield frame
