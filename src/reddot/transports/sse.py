"""Server-sent events: `GET /v1/sse`. The browser's EventSource resumes by itself.

It sends the last event id, our cursor, in `Last-Event-ID`, so a native EventSource loses nothing.
Each event is a chunk of the answer, by what is encoded once for all; before HTTP/1.1 it is bare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from reddot.codecs import sse
from reddot.codecs.params import Params
from reddot.core.gate import Identified
from reddot.core.hub import Encode, Encoder
from reddot.core.session import ReconnectReason, Session
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Cursor, Gap
from reddot.net.chunked import FIELD, LAST_CHUNK, encode_chunk
from reddot.net.exchange import Exchange
from reddot.net.stream import OneWayPeer

TRANSPORT = "sse"
_FIELDS = (
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache, no-transform\r\n"
    b"x-accel-buffering: no\r\n"
    b"connection: close\r\n"
)


class _Sink:
    """Of HTTP/1.0. The core writes to `write` what the session's encoder made."""

    __slots__ = ("_transport", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.write: Callable[[bytes], object] = transport.write

    def _send(self, event: bytes) -> None:
        self.write(event)

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        self._send(sse.encode_sync(cursor, gaps, session, spread_ms, badge))

    def gap(self, gap: Gap) -> None:
        self._send(sse.encode_gap(gap))

    def heartbeat(self, cursor: Cursor) -> None:
        self._send(sse.encode_heartbeat(cursor))

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        self._send(sse.encode_reconnect(retry_ms, reason))

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        """A stream has no word for an error: its client reconnects and is told by the status."""
        if abort:
            self._transport.abort()
        else:
            self._transport.close()


class _ChunkedSink(_Sink):
    __slots__ = ()

    def _send(self, event: bytes) -> None:
        self.write(encode_chunk(event))

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        if not abort:
            self.write(LAST_CHUNK)
        super().close(error, abort=abort)


def _encoder(encode: Encode) -> Encoder:
    return Encoder(TRANSPORT, encode, encode_badge=sse.encode_badge)


def _chunked(encode: Encode) -> Encoder:
    return Encoder(
        TRANSPORT,
        lambda publication, cursor: encode_chunk(encode(publication, cursor)),
        encode_badge=lambda badge, cursor: encode_chunk(sse.encode_badge(badge, cursor)),
    )


class Sse:
    def __init__(self, *, subscribing: Subscribing, counters: Counters, heartbeat_s: float) -> None:
        self._subscribing = subscribing
        self._counters = counters.transports[TRANSPORT]
        self._heartbeat_s = heartbeat_s
        formats: dict[str, Encode] = {"json": sse.encode_json, "raw": sse.encode_raw}
        self._encoders = {
            (name, chunked): (_chunked if chunked else _encoder)(encode)
            for name, encode in formats.items()
            for chunked in (False, True)
        }

    def open(
        self, params: Params, identified: Identified, exchange: Exchange, fields: bytes
    ) -> None:
        """Turn the request into a stream; errors are raised before anything is written."""
        actor, chunked = identified.actor, exchange.head.chunks
        filters = self._subscribing.authorize(actor, params.filters, inbox=params.inbox)
        session: Session = self._subscribing.create(
            actor=actor,
            filters=filters,
            encoder=self._encoders[params.format, chunked],
            heartbeat_s=self._heartbeat_s,
            inbox=params.inbox,
            asked=params.filters,
        )
        self._counters.requests += 1
        self._counters.bytes_in += exchange.bytes_in
        fields = _FIELDS + (FIELD if chunked else b"") + fields
        sink = _ChunkedSink if chunked else _Sink
        session.attach(sink(exchange.stream(200, fields, OneWayPeer(session))))
        self._subscribing.start(session, params.cursor)
