"""Long polling: `GET /v1/longpoll?wait=25`. As short polling, but held until something arrives.

A waiting poll is a member of the hub like any stream, so while nothing happens it costs nothing,
and all who wait for the same thing are answered with bytes that were encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from reddot.codecs import poll, problem
from reddot.codecs.params import Params
from reddot.core.gate import Identified
from reddot.core.hub import Encoder
from reddot.core.polling import Answer, Polling
from reddot.core.session import ReconnectReason, Session, State
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import Badge
from reddot.model import Actor, Cursor, Gap
from reddot.net.exchange import Exchange

TRANSPORT = "long_poll"
WAIT_S_DEFAULT = 25.0


def _join(frames: Sequence[bytes], _cursor: Cursor) -> bytes:
    return poll.encode_items(frames)


def _no_items(_badge: Badge, _cursor: Cursor) -> bytes:
    """A badge alone: it is put into every answer."""
    return b""


class _Waiting:
    """The sink of a waiting poll: the first write is its answer and its end."""

    __slots__ = ("_exchange", "_fields", "_session", "_subscribing")

    def __init__(
        self, subscribing: Subscribing, session: Session, exchange: Exchange, fields: bytes
    ) -> None:
        self._subscribing = subscribing
        self._session = session
        self._exchange = exchange
        self._fields = fields

    def write(self, data: bytes) -> None:
        subscribing, session = self._subscribing, self._session
        cursor = subscribing.hub.cursor
        if session.state is not State.LIVE:
            cursor = Cursor(cursor.epoch, session.position)
        subscribing.forget(session, "answered")
        badge = subscribing.dots.badge_of(session)
        if badge is not None:
            rest = poll.encode_own(data, cursor, badge)
        elif data:
            rest = poll.encode_shared(data, cursor)
        else:
            rest = poll.encode_answer((), cursor)
        self._exchange.finish(200, self._fields + rest)

    def sync(
        self,
        cursor: Cursor,
        gaps: Sequence[Gap],
        session: str,
        spread_ms: int,
        badge: Badge | None = None,
    ) -> None:
        raise AssertionError("a waiting poll is live from the start")

    def gap(self, gap: Gap) -> None:
        """End with the cursor it came with: the next poll reads the log, and tells the gaps."""
        if self._session.state is not State.CLOSED:  # One gap is enough.
            self._subscribing.forget(self._session, "answered")
            self._unchanged()

    def _unchanged(self, fields: bytes = b"") -> None:
        """Answer a session that was forgotten: only then it knows its place in the log."""
        here = Cursor(self._subscribing.hub.epoch, self._session.position)
        self._exchange.finish(304, self._fields + fields + poll.encode_unchanged(here))

    def heartbeat(self, cursor: Cursor) -> None:
        """The deadline is its age; there is nothing to say before."""

    def reconnect(self, retry_ms: int, reason: ReconnectReason) -> None:
        if reason != "reauth":
            after = b"retry-after: %d\r\n" % (retry_ms // 1000) if reason == "drain" else b""
            self._unchanged(after)

    def close(self, error: ReddotError | None, *, abort: bool = False) -> None:
        if abort:
            self._exchange.abort()
        elif error is not None:
            self._exchange.respond(
                error.row.status, problem.FIELDS + self._fields, problem.encode_problem(error)
            )


class LongPoll:
    """Args:
    wait_s_max: the longest a client may ask to be held.
    """

    def __init__(
        self,
        *,
        subscribing: Subscribing,
        polling: Polling,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        wait_s_max: float,
        now: Callable[[], float],
    ) -> None:
        self._subscribing = subscribing
        self._polling = polling
        self._counters = counters.transports[TRANSPORT]
        self._spawn = spawn
        self._wait_s_max = wait_s_max
        self._now = now
        self._encoders = {
            "json": Encoder(TRANSPORT, poll.encode_json, _join, True, _no_items),
            "raw": Encoder(TRANSPORT, poll.encode_raw, _join, True, _no_items),
        }

    def open(
        self, params: Params, identified: Identified, exchange: Exchange, fields: bytes
    ) -> None:
        """Answer now, or at the first publication, or with 304 at the deadline."""
        actor = identified.actor
        filters = self._subscribing.authorize(actor, params.filters, inbox=params.inbox)
        self._counters.requests += 1
        self._counters.bytes_in += exchange.bytes_in
        answer = self._polling.now(filters, params.cursor)
        if answer is None:
            self._spawn(self._read(params, identified, filters, exchange, fields))
        elif not self._wait(params, identified, filters, answer, exchange, fields):
            self._answer(params, actor, answer, exchange, fields)

    async def _read(
        self,
        params: Params,
        identified: Identified,
        filters: tuple[str, ...],
        exchange: Exchange,
        fields: bytes,
    ) -> None:
        try:
            answer = await self._polling.read(filters, params.cursor)
            if params.cursor is not None and not answer.publications and not answer.gaps:
                # Nothing up to a moment ago; from there on memory knows.
                answer = self._polling.now(filters, answer.cursor) or answer
                if self._wait(params, identified, filters, answer, exchange, fields):
                    return
            self._answer(params, identified.actor, answer, exchange, fields)
        except ReddotError as error:
            exchange.respond(
                error.row.status, problem.FIELDS + fields, problem.encode_problem(error)
            )

    def _wait(
        self,
        params: Params,
        identified: Identified,
        filters: tuple[str, ...],
        answer: Answer,
        exchange: Exchange,
        fields: bytes,
    ) -> bool:
        """Join the hub if there is nothing to answer; the caller answers otherwise."""
        if answer.publications or answer.gaps or not answer.live or params.cursor is None:
            return False
        actor = identified.actor
        if poll.is_news(self._subscribing.dots.badge_for(actor, inbox=params.inbox), params.cursor):
            return False
        wait_s = WAIT_S_DEFAULT if params.wait_s is None else params.wait_s
        wait_s = min(wait_s, self._wait_s_max)
        session = self._subscribing.create(
            actor=actor,
            filters=filters,
            encoder=self._encoders[params.format],
            heartbeat_s=wait_s + 1,
            inbox=params.inbox,
        )
        session.age_at = self._now() + wait_s
        session.attach(_Waiting(self._subscribing, session, exchange, fields))
        self._subscribing.wait(session)
        exchange.on_gone(session.lost)
        return True

    def _answer(
        self, params: Params, actor: Actor, answer: Answer, exchange: Exchange, fields: bytes
    ) -> None:
        status, rest = poll.encode_result(
            answer.publications,
            answer.cursor,
            answer.gaps,
            encode=self._encoders[params.format].encode,
            asked=params.cursor,
            badge=self._subscribing.dots.badge_for(actor, inbox=params.inbox),
        )
        self._counters.deliveries += len(answer.publications)
        self._counters.bytes_out += exchange.finish(status, fields + rest)
