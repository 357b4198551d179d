"""Short polling: `GET /v1/poll`. Answered now; 304 when the client's cursor is still current."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from reddot.codecs import poll, problem
from reddot.codecs.params import Params
from reddot.core.gate import Identified
from reddot.core.hub import Encoder
from reddot.core.polling import Answer, Polling
from reddot.core.subscribing import Subscribing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Actor
from reddot.net.exchange import Exchange

TRANSPORT = "short_poll"


class ShortPoll:
    """Args:
    spawn: runs a coroutine in the background; only for answers that need the store.
    """

    def __init__(
        self,
        *,
        subscribing: Subscribing,
        polling: Polling,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._subscribing = subscribing
        self._polling = polling
        self._counters = counters.transports[TRANSPORT]
        self._spawn = spawn
        self._encoders = {
            "json": Encoder(TRANSPORT, poll.encode_json),
            "raw": Encoder(TRANSPORT, poll.encode_raw),
        }

    def open(
        self, params: Params, identified: Identified, exchange: Exchange, fields: bytes
    ) -> None:
        """Answer one poll. `fields` are the CORS fields of this client."""
        filters = self._subscribing.authorize(identified.actor, params.filters, inbox=params.inbox)
        self._counters.requests += 1
        self._counters.bytes_in += exchange.bytes_in
        answer = self._polling.now(filters, params.cursor)
        if answer is not None:
            self._answer(params, identified.actor, answer, exchange, fields)
        else:
            self._spawn(self._read(params, identified.actor, filters, exchange, fields))

    async def _read(
        self,
        params: Params,
        actor: Actor,
        filters: tuple[str, ...],
        exchange: Exchange,
        fields: bytes,
    ) -> None:
        try:
            answer = await self._polling.read(filters, params.cursor)
        except ReddotError as error:
            exchange.respond(
                error.row.status, problem.FIELDS + fields, problem.encode_problem(error)
            )
        else:
            self._answer(params, actor, answer, exchange, fields)

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
