"""The iframe stream: `GET /v1/iframe`. For pages that can use nothing else, and to learn from.

A document grows for as long as it lives, so the stream asks to be opened anew after a number of
bytes or minutes. All sessions share one nonce, drawn at the start: chunks are encoded once, and
nothing that is published can become a script (see `codecs/iframe.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from reddot.codecs import frames, iframe
from reddot.codecs.params import Params
from reddot.core.gate import Identified
from reddot.core.hub import Encoder
from reddot.core.session import ReconnectReason, Session
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Cursor, Gap
from reddot.net.exchange import Exchange
from reddot.net.framing import Head
from reddot.net.stream import OneWayPeer

TRANSPORT = "iframe"


class _Sink:
    __slots__ = ("_left", "_nonce", "_session", "_subscribing", "_transport")

    def __init__(
        self,
        transport: asyncio.Transport,
        nonce: str,
        subscribing: Subscribing,
        session: Session,
        rotate_bytes: int,
    ) -> None:
        self._transport = transport
        self._nonce = nonce
        self._subscribing = subscribing
        self._session = session
        self._left = rotate_bytes

    def write(self, data: bytes) -> None:
        self._transport.write(data)
        self._left -= len(data)
        if self._left < 0:
            self._left = 1 << 62
            # Not from inside the hub's loop: the position is taken when the batch is out.
            asyncio.get_running_loop().call_soon(self._subscribing.move, self._session, "age", 0)

    def _send(self, frame: bytes) -> None:
        self.write(iframe.encode_chunk(self._nonce, frame))

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        self._send(frames.encode_sync(cursor, gaps, session, spread_ms, badge))

    def gap(self, gap: Gap) -> None:
        self._send(frames.encode_gap(gap))

    def heartbeat(self, cursor: Cursor) -> None:
        self._send(frames.encode_heartbeat(cursor))

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        self._send(frames.encode_reconnect(retry_ms, reason))

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        if abort:
            self._transport.abort()
            return
        if error is not None:
            self._transport.write(iframe.encode_chunk(self._nonce, frames.encode_error(error)))
        self._transport.close()


class Iframe:
    """Args:
    nonce: unguessable; one per process.
    rotate_bytes, rotate_s: after which the stream asks to be opened anew.
    allow_origin: the origin if it is on the list, given the request's host.
    """

    def __init__(
        self,
        *,
        subscribing: Subscribing,
        counters: Counters,
        heartbeat_s: float,
        nonce: str,
        rotate_bytes: int,
        rotate_s: float,
        allow_origin: Callable[[str | None, str | None], str | None],
    ) -> None:
        self._allow_origin = allow_origin
        self._subscribing = subscribing
        self._counters = counters.transports[TRANSPORT]
        self._heartbeat_s = heartbeat_s
        self._nonce = nonce
        self._rotate_bytes = rotate_bytes
        self._rotate_s = rotate_s
        encode_badge = iframe.encoder_badge(nonce)
        self._encoders = {
            "json": Encoder(TRANSPORT, iframe.encoder_json(nonce), encode_badge=encode_badge),
            "raw": Encoder(TRANSPORT, iframe.encoder_raw(nonce), encode_badge=encode_badge),
        }

    def fields(self, frame_origin: str | None) -> bytes:
        """Header fields of the document: who may embed it, and that only our scripts run."""
        ancestors = "'self'" if frame_origin is None else f"'self' {frame_origin}"
        return (
            b"content-type: text/html; charset=utf-8\r\n"
            b"cache-control: no-cache, no-store, no-transform\r\n"
            b"x-accel-buffering: no\r\n"
            b"x-content-type-options: nosniff\r\n"
            b"cross-origin-embedder-policy: require-corp\r\n"
            b"cross-origin-resource-policy: cross-origin\r\n"
            b"content-security-policy: default-src 'none'; script-src 'nonce-%b'; base-uri 'none'; "
            b"form-action 'none'; frame-ancestors %b\r\n"
            b"connection: close\r\n" % (self._nonce.encode(), ancestors.encode())
        )

    def open(
        self, params: Params, identified: Identified, exchange: Exchange, fields: bytes
    ) -> None:
        """Turn the request into the endless document."""
        actor = identified.actor
        filters = self._subscribing.authorize(actor, params.filters, inbox=params.inbox)
        session = self._subscribing.create(
            actor=actor,
            filters=filters,
            encoder=self._encoders[params.format],
            heartbeat_s=self._heartbeat_s,
            inbox=params.inbox,
            asked=params.filters,
        )
        session.age_at = min(session.age_at, session.opened_at + self._rotate_s)
        self._counters.requests += 1
        self._counters.bytes_in += exchange.bytes_in
        origin = identified.frame_origin or self._embedder(exchange.head)
        transport = exchange.stream(200, self.fields(origin) + fields, OneWayPeer(session))
        transport.write(iframe.encode_document(self._nonce, origin))
        session.attach(
            _Sink(transport, self._nonce, self._subscribing, session, self._rotate_bytes)
        )
        self._subscribing.start(session, params.cursor)

    def _embedder(self, head: Head) -> str | None:
        """The embedding page's origin if it is on the list, else None: the stream's own.

        A navigation carries no `Origin`. A false `Referer` gains nothing: frames are posted to
        that origin only, and the browser checks where they arrive.
        """
        parts = head.headers.get(b"referer", b"").decode("latin-1").split("/", 3)
        host = head.headers.get(b"host", b"").decode("latin-1")
        if len(parts) < 3 or parts[2] == host:
            return None
        return self._allow_origin(f"{parts[0]}//{parts[2]}", host)

    def refuse(self, error: ReddotError, exchange: Exchange) -> None:
        """A page cannot see the status of an iframe, so the error is handed over as a frame."""
        frame_origin = self._embedder(exchange.head)
        body = iframe.encode_document(self._nonce, frame_origin) + iframe.encode_chunk(
            self._nonce, frames.encode_error(error)
        )
        exchange.respond(error.row.status, self.fields(frame_origin), body)
