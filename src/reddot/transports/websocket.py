"""WebSocket: `GET /v1/ws`. JSON text frames both ways; commands are answered with their `ref`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from reddot.codecs import frames
from reddot.codecs import publish as publish_codec
from reddot.codecs import websocket as codec
from reddot.codecs.cursor import decode_cursor, encode_cursor
from reddot.codecs.inbox import mark_of
from reddot.codecs.json_data import check_data
from reddot.codecs.params import Params
from reddot.core.access import is_anonymous
from reddot.core.gate import Gate, Identified
from reddot.core.hub import Encoder
from reddot.core.inbox import Inboxes, user_of
from reddot.core.publishing import Publishing
from reddot.core.session import ReconnectReason, Session, State
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Appended, Cursor, Gap
from reddot.net.exchange import Exchange
from reddot.net.websocket import WebSocketLimits, WebSocketPeer, handshake

TRANSPORT = "websocket"
FIELDS = b"x-accel-buffering: no\r\n"


class _Connection:
    """One client: the session's sink, and the listener of its peer."""

    __slots__ = ("_owner", "_params", "_peer", "_session", "write")

    def __init__(
        self, owner: WebSocket, peer: WebSocketPeer, session: Session, params: Params
    ) -> None:
        self._owner = owner
        self._peer = peer
        self._session = session
        self._params = params
        self.write: Callable[[bytes], object] = peer.transport.write

    # Sink

    def send(self, frame: bytes) -> None:
        self.write(codec.encode_text(frame))

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        self.send(frames.encode_sync(cursor, gaps, session, spread_ms, badge))

    def gap(self, gap: Gap) -> None:
        self.send(frames.encode_gap(gap))

    def heartbeat(self, cursor: Cursor) -> None:
        self.send(frames.encode_heartbeat(cursor))

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        self.send(frames.encode_reconnect(retry_ms, reason))

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        if abort:
            self._peer.transport.abort()
        elif error is None:
            self._peer.close(1012, "reconnect=now")
        else:
            action = "reconnect=later" if error.row.retry else "reconnect=never"
            action = "reconnect=now" if error.code == "token_expired" else action
            self._peer.close(error.row.close, f"{error.code} {action}")

    def close_unless_known(self) -> None:
        """End a connection that came without credential or topic and has sent neither since."""
        session = self._session
        if is_anonymous(session.actor) and not session.filters:
            error = ReddotError("unauthorized", "no credential came in time")
            self._owner.subscribing.close(session, error)

    # Listener

    def pause_writing(self) -> None:
        self._session.pause_writing()

    def resume_writing(self) -> None:
        self._session.resume_writing()

    def lost(self) -> None:
        self._session.lost()

    def message(self, text: bytes) -> None:
        owner = self._owner
        owner.counters.bytes_in += len(text)
        owner.counters.requests += 1
        if self._session.state is State.PAUSED:
            # It does not read the answers it asks for.
            owner.subscribing.close(self._session, ReddotError("slow_consumer"), abort=True)
            return
        try:
            command = codec.decode_command(text)
            self._run(command)
        except ReddotError as error:
            self.refuse(error, codec.decode_ref(text))

    def refuse(self, error: ReddotError, ref: codec.Ref) -> None:
        self._owner.reject(error)
        self.send(frames.encode_error(error, ref))

    def _run(self, command: codec.Command) -> None:
        if isinstance(command, codec.Publish):
            self._publish(command)
        elif isinstance(command, codec.Subscribe):
            self._subscribe(command)
        elif isinstance(command, codec.Unsubscribe):
            self._owner.subscribing.drop_filters(self._session, command.filters)
            self.send(frames.encode_ok(command.ref))
        elif isinstance(command, codec.Mark):
            self._owner.spawn(self._mark(command))
        elif isinstance(command, codec.Auth):
            self._owner.spawn(self._auth(command))
        else:
            self.send(frames.encode_ok(command.ref))

    def _subscribe(self, command: codec.Subscribe) -> None:
        subscribing, session = self._owner.subscribing, self._session
        filters = subscribing.authorize(session.actor, command.filters, inbox=False)
        cursor = decode_cursor(command.cursor) if command.cursor else None
        if len({*session.filters, *filters}) > subscribing.limits.filters_max:
            raise ReddotError(
                "too_many_filters", f"{subscribing.limits.filters_max} filters are allowed"
            )

        def done() -> None:
            token = encode_cursor(Cursor(subscribing.hub.epoch, session.position))
            self.send(frames.encode_ok(command.ref, cursor=token))

        # What was answered to its publisher is not still to be dispatched: it comes before `ok`.
        subscribing.hub.flush()
        subscribing.add_filters(session, filters, cursor, done, asked=filters)

    def _publish(self, command: codec.Publish) -> None:
        publishing = self._owner.publishing
        data = bytes(command.data)
        check_data(
            data,
            bytes_max=publishing.limits.data_bytes_max,
            depth_max=self._owner.data_depth_max,
        )
        draft = publishing.draft(
            self._session.actor,
            topic=command.topic,
            data=data,
            event=command.event,
            id=command.id,
            ephemeral=command.ephemeral,
            ttl_s=command.ttl,
            retain=command.retain,
        )

        def done(result: Sequence[Appended] | ReddotError) -> None:
            if self._session.state is State.CLOSED:
                return
            if isinstance(result, ReddotError):
                self.refuse(result, command.ref)
                return
            answer = publish_codec.answer_fields(result[0], self._owner.subscribing.hub.epoch)
            self.send(frames.encode_ok(command.ref, **answer))

        publishing.publish([draft], done)

    async def _mark(self, command: codec.Mark) -> None:
        owner, session = self._owner, self._session
        try:
            wanted = mark_of(command, owner.subscribing.hub.cursor)
            badge = await owner.inboxes.mark(user_of(session.actor), **wanted)
        except ReddotError as error:
            if session.state is not State.CLOSED:
                self.refuse(error, command.ref)
            return
        if session.state is not State.CLOSED:
            self.send(frames.encode_ok(command.ref, badge=badge))

    async def _auth(self, command: codec.Auth) -> None:
        subscribing, session = self._owner.subscribing, self._session
        try:
            identified = await self._owner.gate.identify_fetching(
                bearer=command.token,
                cookie=None,
                ticket=None,
                origin=None,
                host=None,
                cross_site=False,
            )
            actor = identified.actor
            if actor.user is not None and session.inbox:
                await self._owner.inboxes.boxes.prepare(actor.user, actor.since_ms)
            if session.state is State.CLOSED:
                return
            subscribing.reauthorize(session, actor)
            wanted = subscribing.dots.filters(actor)
            own = tuple(t for t in wanted if t not in session.filters)
            if own and self._params.inbox:
                subscribing.add_filters(
                    session,
                    own,
                    self._params.cursor,
                    lambda: self._authorized(command.ref),
                )
            else:
                self._authorized(command.ref)
        except ReddotError as error:
            if session.state is not State.CLOSED:
                self.refuse(error, command.ref)
                subscribing.close(session, error)

    def _authorized(self, ref: codec.Ref) -> None:
        """Say so, with the badge: the sync frame came before anybody knew whose it is."""
        badge = self._owner.subscribing.dots.badge_of(self._session)
        self.send(frames.encode_ok(ref) if badge is None else frames.encode_ok(ref, badge=badge))


class WebSocket:
    """Args:
    auth_timeout_s: how long a connection without credential may stay without `auth`, where
        anonymous access gives it nothing.
    inboxes: what the `mark` command works on.
    """

    def __init__(
        self,
        *,
        subscribing: Subscribing,
        publishing: Publishing,
        gate: Gate,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        heartbeat_s: float,
        limits: WebSocketLimits,
        data_depth_max: int,
        auth_timeout_s: float,
        inboxes: Inboxes,
    ) -> None:
        self.inboxes = inboxes
        self.subscribing = subscribing
        self.publishing = publishing
        self.gate = gate
        self.counters = counters.transports[TRANSPORT]
        self.spawn = spawn
        self.reject_counter = counters
        self.data_depth_max = data_depth_max
        self._heartbeat_s = heartbeat_s
        self._limits = limits
        self._auth_timeout_s = auth_timeout_s
        self._encoders = {
            "json": Encoder(TRANSPORT, codec.encode_json, encode_badge=codec.encode_badge),
            "raw": Encoder(TRANSPORT, codec.encode_raw, encode_badge=codec.encode_badge),
        }

    def reject(self, error: ReddotError) -> None:
        self.reject_counter.reject(error.code, "websocket", error.detail)

    def open(
        self, params: Params, identified: Identified, exchange: Exchange, fields: bytes
    ) -> None:
        """Answer the handshake and begin. Errors are raised before the 101."""
        answer = handshake(exchange.head)
        if not identified.origin_allowed:
            # Its page may not use credentials, so it must not be able to send one later.
            raise ReddotError("origin_forbidden")
        actor = identified.actor
        filters = self.subscribing.authorize(
            actor, params.filters, inbox=params.inbox, may_be_empty=True
        )
        session = self.subscribing.create(
            actor=actor,
            filters=filters,
            encoder=self._encoders[params.format],
            heartbeat_s=self._heartbeat_s,
            inbox=params.inbox,
            asked=params.filters,
        )
        self.counters.requests += 1
        self.counters.bytes_in += exchange.bytes_in
        peer = WebSocketPeer(self._limits)
        exchange.stream(101, answer + FIELDS, peer)
        connection = _Connection(self, peer, session, params)
        peer.listener = connection
        session.attach(connection)
        self.subscribing.start(session, params.cursor)
        if not filters and is_anonymous(actor):
            loop = asyncio.get_running_loop()
            loop.call_later(self._auth_timeout_s, connection.close_unless_known)
