"""What every hot route has in front of it: origin, credential, parameters, errors.

A keep-alive client repeats its head byte for byte; what was derived from it is kept in the head's
memo, for as long as the credential is good.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

import msgspec
import structlog

from reddot.codecs import problem
from reddot.codecs.credentials import Credential, credential_of
from reddot.codecs.params import Params, parse_params
from reddot.core.gate import Gate, Identified
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.net.exchange import Exchange, Handler
from reddot.net.framing import Head
from reddot.ports import Clock

_log = structlog.get_logger("reddot.api")

CORS_MAX_AGE_S: Final = 600
VARY: Final = b"vary: origin\r\n"
ATTACHING: Final = {
    "/v1/poll": "short_poll",
    "/v1/longpoll": "long_poll",
    "/v1/iframe": "iframe",
    "/v1/sse": "sse",
    "/v1/ws": "websocket",
    "/mqtt": "mqtt",
}
"""Where clients attach, and by which transport."""

Open = Callable[[Params, Identified, Exchange, bytes], None]
OpenBody = Callable[[bytes, Identified, Exchange, bytes], None]


class Admitted(msgspec.Struct, frozen=True):
    """What a head says, worked out. `fields` are the CORS fields of the answer."""

    params: Params
    identified: Identified
    fields: bytes


class Warmth(Protocol):
    """Inboxes in memory: `core.boxes.Boxes`."""

    def is_ready(self, user: str, since_ms: int | None = None) -> bool: ...

    async def prepare(self, user: str, since_ms: int | None = None) -> None: ...


class Admission:
    """Wraps what a route does into a handler of the edge.

    Args:
        boxes: what is asked with GET by a user who wants the inbox finds it in memory.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        clock: Clock,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        boxes: Warmth,
    ) -> None:
        self._boxes = boxes
        self._gate = gate
        self._clock = clock
        self._counters = counters
        self._spawn = spawn

    def get(
        self, open_: Open, *, refuse: Callable[[ReddotError, Exchange], None] | None = None
    ) -> Mapping[str, Handler]:
        """Methods of a route that is asked with GET. `refuse` writes errors in its own way."""

        def handle(head: Head, body: bytes, exchange: Exchange) -> None:
            def go(admitted: Admitted) -> None:
                actor = admitted.identified.actor
                if (
                    actor.user is None
                    or not admitted.params.inbox
                    or self._boxes.is_ready(actor.user, actor.since_ms)
                ):
                    open_(admitted.params, admitted.identified, exchange, admitted.fields)
                else:
                    self._spawn(self._open_warm(actor.user, admitted, exchange, open_, refuse))

            self._admit(head, exchange, go, refuse)

        return self._methods("GET", handle)

    async def _open_warm(
        self,
        user: str,
        admitted: Admitted,
        exchange: Exchange,
        open_: Open,
        refuse: Callable[[ReddotError, Exchange], None] | None,
    ) -> None:
        """Bring the user's inbox into memory first."""
        try:
            await self._boxes.prepare(user, admitted.identified.actor.since_ms)
            open_(admitted.params, admitted.identified, exchange, admitted.fields)
        except ConnectionError:
            return  # The client went meanwhile.
        except ReddotError as error:
            self._refuse(error, exchange, admitted.fields, refuse)
        except Exception:  # noqa: BLE001 - the one boundary for our own bugs
            self._mistake(exchange, admitted.fields, refuse)

    def post(self, open_: OpenBody, *, alone: bool = True) -> Mapping[str, Handler]:
        """Methods of a route that is asked with POST.

        Args:
            alone: False: other methods are cold routes.
        """

        def handle(head: Head, body: bytes, exchange: Exchange) -> None:
            def go(admitted: Admitted) -> None:
                open_(body, admitted.identified, exchange, admitted.fields)

            self._admit(head, exchange, go, None)

        methods = self._methods("POST", handle)
        if alone:
            return methods
        return {name: one for name, one in methods.items() if name not in ("*", "OPTIONS")}

    def _methods(self, method: str, handle: Handler) -> Mapping[str, Handler]:
        def preflight(head: Head, body: bytes, exchange: Exchange) -> None:
            fields = self._cors_fields(credential_of(head.headers, None))
            allow = b"allow: %b, OPTIONS\r\n" % method.encode()
            if fields != VARY:
                fields += (
                    b"access-control-allow-methods: %b\r\n"
                    b"access-control-allow-headers: authorization, content-type, idempotency-key, "
                    b"if-none-match, last-event-id\r\n"
                    b"access-control-max-age: %d\r\n" % (method.encode(), CORS_MAX_AGE_S)
                )
            exchange.respond(204, fields + allow)

        def other(head: Head, body: bytes, exchange: Exchange) -> None:
            error = ReddotError("method_not_allowed", f"use {method}")
            self.refuse(error, exchange, b"allow: %b, OPTIONS\r\n" % method.encode())

        return {method: handle, "OPTIONS": preflight, "*": other}

    def _admit(
        self,
        head: Head,
        exchange: Exchange,
        go: Callable[[Admitted], None],
        refuse: Callable[[ReddotError, Exchange], None] | None,
    ) -> None:
        fields = b""
        try:
            admitted: Admitted | None = head.memo
            if admitted is None or not self._still_good(admitted):
                # First who may read the answer: a page must be able to see that it is refused.
                fields = self._cors_fields(credential_of(head.headers, None))
                params = parse_params(head.query, head.headers)
                credential = credential_of(head.headers, params.ticket)
                identified = self._gate.identify(**msgspec.structs.asdict(credential))
                if identified is None:
                    self._spawn(self._admit_fetching(params, credential, exchange, go, refuse))
                    return
                admitted = Admitted(params, identified, fields)
                # A ticket is good once, and a session of the console may be ended any moment.
                if params.ticket is None and credential.console is None:
                    head.memo = admitted
            fields = admitted.fields
            go(admitted)
        except ReddotError as error:
            self._refuse(error, exchange, fields, refuse)
        except Exception:  # noqa: BLE001 - the one boundary for our own bugs
            self._mistake(exchange, fields, refuse)

    async def _admit_fetching(
        self,
        params: Params,
        credential: Credential,
        exchange: Exchange,
        go: Callable[[Admitted], None],
        refuse: Callable[[ReddotError, Exchange], None] | None,
    ) -> None:
        """The same for a token whose key has to be fetched first."""
        fields = self._cors_fields(credential)
        try:
            identified = await self._gate.identify_fetching(**msgspec.structs.asdict(credential))
            go(Admitted(params, identified, fields))
        except ConnectionError:
            return  # The client went while its keys were fetched.
        except ReddotError as error:
            self._refuse(error, exchange, fields, refuse)
        except Exception:  # noqa: BLE001 - the one boundary for our own bugs
            self._mistake(exchange, fields, refuse)

    def _still_good(self, admitted: Admitted) -> bool:
        expires_ms = admitted.identified.actor.expires_ms
        return expires_ms is None or expires_ms > self._clock.wall_ms()

    def _cors_fields(self, credential: Credential) -> bytes:
        origin = self._gate.allow_origin(credential.origin, credential.host)
        if origin is None:
            return VARY
        return VARY + (
            b"access-control-allow-origin: %b\r\n"
            b"access-control-allow-credentials: true\r\n"
            b"access-control-expose-headers: etag, retry-after\r\n" % origin.encode("latin-1")
        )

    def _mistake(
        self,
        exchange: Exchange,
        fields: bytes,
        refuse: Callable[[ReddotError, Exchange], None] | None,
    ) -> None:
        """The one boundary for our own bugs: one line with the trace, and a 500."""
        _log.exception("route_failed", path=exchange.head.path)
        self._refuse(ReddotError("internal"), exchange, fields, refuse)

    def _refuse(
        self,
        error: ReddotError,
        exchange: Exchange,
        fields: bytes,
        refuse: Callable[[ReddotError, Exchange], None] | None,
    ) -> None:
        transport = ATTACHING.get(exchange.head.path)
        if transport is not None:
            self._counters.transports[transport].refused += 1
        if refuse is None:
            self.refuse(error, exchange, fields)
        else:
            self._counters.reject(error.code, exchange.head.path, error.detail)
            refuse(error, exchange)

    def refuse(self, error: ReddotError, exchange: Exchange, fields: bytes) -> None:
        """Answer with a problem document."""
        self._counters.reject(error.code, exchange.head.path, error.detail)
        more = b"www-authenticate: Bearer\r\n" if error.row.status == 401 else b""
        if error.row.status in (429, 503):
            more = b"retry-after: 5\r\n"
        if error.row.status == 426:
            more = b"upgrade: websocket\r\n"  # RFC 9110 section 15.5.22.
        exchange.respond(
            error.row.status, problem.FIELDS + fields + more, problem.encode_problem(error)
        )
