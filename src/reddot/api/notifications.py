"""`POST /v1/notifications`, the hot route of who notifies, and `GET /v1/badge`, of who polls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import msgspec

from reddot.codecs import inbox as codec
from reddot.codecs import problem
from reddot.codecs.cursor import encode_cursor
from reddot.codecs.params import Params
from reddot.core.access import require_admin
from reddot.core.boxes import Boxes
from reddot.core.gate import Identified
from reddot.core.inbox import Inboxes, Receipt, Wanted, user_of
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Cursor
from reddot.net.exchange import Exchange
from reddot.outreach import Campaign

_FIELDS: Final = b"content-type: application/json\r\n"
_NO_STORE: Final = b"cache-control: no-store, no-transform\r\n"
_encode = msgspec.json.Encoder().encode


class Notify:
    """Answers when the notification is durable: `201`, or `202` if it waits for its time.

    Attributes:
        begin: begins a campaign; with an id if the request has one.
    """

    def __init__(
        self,
        *,
        inboxes: Inboxes,
        counters: Counters,
        epoch: int,
        data_bytes_max: int,
        data_depth_max: int,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.begin: Callable[[bytes, str | None], Awaitable[Campaign]]
        self._spawn = spawn
        self._inboxes = inboxes
        self._counters = counters
        self._epoch = epoch
        self._data_bytes_max = data_bytes_max
        self._data_depth_max = data_depth_max

    def open(self, body: bytes, identified: Identified, exchange: Exchange, fields: bytes) -> None:
        if not identified.origin_allowed:
            # Its content types need no preflight, so a foreign page could send them unseen.
            raise ReddotError("origin_forbidden")
        key = exchange.head.headers.get(b"idempotency-key")
        wanted = self.wanted(body, key)
        if wanted.segment is not None:
            require_admin(identified.actor)
            self._spawn(self._begin(body, wanted.id, exchange, fields))
            return

        def done(result: Receipt | ReddotError) -> None:
            if isinstance(result, ReddotError):
                self._refuse(result, exchange, fields)
            else:
                status = 202 if result.scheduled else 200 if result.duplicate else 201
                exchange.respond(status, _FIELDS + fields, self._answer(result))

        self._inboxes.send(identified.actor, wanted, done)

    async def _begin(self, body: bytes, id: str | None, exchange: Exchange, fields: bytes) -> None:
        """A segment is reached by a campaign, whose members are still to be found."""
        try:
            campaign = await self.begin(body, id)
        except ReddotError as error:
            self._refuse(error, exchange, fields)
            return
        receipt = Receipt(
            id=campaign.id, position=0, recipients=None, scheduled=True, duplicate=False
        )
        exchange.respond(202, _FIELDS + fields, self._answer(receipt))

    def wanted(self, body: bytes, key: bytes | None) -> Wanted:
        """What a body and an `Idempotency-Key` ask for."""
        command = codec.decode_notification(body)
        id_ = command.id
        if key is not None:
            text = key.decode("latin-1")
            if id_ is not None and id_ != text:
                raise ReddotError("field_invalid", "'id' and Idempotency-Key differ")
            id_ = text
        content = codec.encode_content(
            command, bytes_max=self._data_bytes_max, depth_max=self._data_depth_max
        )
        return Wanted(
            content=content,
            users=command.to.users,
            topic=command.to.topic,
            everyone=command.to.everyone,
            segment=command.to.segment,
            title=command.title,
            text=command.body,
            category=command.category,
            collapse_key=command.collapse_key,
            ttl_s=command.ttl,
            publish_ms=codec.publish_ms(command),
            id=id_,
            identity=b"" if id_ is None else codec.identity_of(command),
        )

    def _answer(self, receipt: Receipt) -> bytes:
        cursor = encode_cursor(Cursor(self._epoch, receipt.position))
        recipients, scheduled = receipt.recipients, receipt.scheduled
        return _encode(
            codec.ReceiptAnswer(receipt.id, recipients, cursor, scheduled, receipt.duplicate)
        )

    def _refuse(self, error: ReddotError, exchange: Exchange, fields: bytes) -> None:
        """What the store refused, after the admission has returned."""
        self._counters.reject(error.code, exchange.head.path, error.detail)
        more = b"retry-after: 1\r\n" if error.row.retry else b""
        exchange.respond(
            error.row.status, problem.FIELDS + fields + more, problem.encode_problem(error)
        )


class ShowBadge:
    """The badge with its `as_of` as ETag; 304 costs nothing."""

    def __init__(self, *, boxes: Boxes, epoch: int) -> None:
        self._boxes = boxes
        self._epoch = epoch

    def open(
        self, params: Params, identified: Identified, exchange: Exchange, fields: bytes
    ) -> None:
        user = user_of(identified.actor)
        if not self._boxes.is_ready(user):
            raise ReddotError("field_invalid", "'inbox' must not be false here")
        badge = self._boxes.badge(user)
        etag = encode_cursor(Cursor(self._epoch, badge.as_of)).encode()
        asked = params.cursor
        if asked is not None and asked.position == badge.as_of and asked.epoch == self._epoch:
            exchange.finish(304, fields + b'etag: "%b"\r\n%b\r\n' % (etag, _NO_STORE))
            return
        body = _encode(badge)
        head = b'etag: "%b"\r\n%b%bcontent-length: %d\r\n\r\n' % (
            etag,
            _FIELDS,
            _NO_STORE,
            len(body),
        )
        exchange.finish(200, fields + head + body)
