"""`POST /v1/publish`: one publication, an array, or NDJSON. The hot route of publishers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reddot.codecs import problem
from reddot.codecs import publish as codec
from reddot.codecs.json_data import check_data
from reddot.codecs.publish import PublishCommand
from reddot.core.gate import Identified
from reddot.core.publishing import Publishing
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Actor, Appended, Draft
from reddot.net.exchange import Exchange

_FIELDS: Final = b"content-type: application/json\r\n"
_NDJSON: Final = b"application/x-ndjson"
_JSON: Final = frozenset(
    # The third is what `curl -d` says of anything.
    (b"application/json", b"text/plain", b"application/x-www-form-urlencoded")
)


class Publish:
    """Answers when what was published is durable; 202 at once if all of it is ephemeral."""

    def __init__(
        self, *, publishing: Publishing, counters: Counters, epoch: int, data_depth_max: int
    ) -> None:
        self._publishing = publishing
        self._counters = counters
        self._epoch = epoch
        self._data_depth_max = data_depth_max

    def open(self, body: bytes, identified: Identified, exchange: Exchange, fields: bytes) -> None:
        if not identified.origin_allowed:
            # These content types need no preflight, so a foreign page could send them unseen.
            raise ReddotError("origin_forbidden")
        headers = exchange.head.headers
        kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
        key = headers.get(b"idempotency-key")
        if kind == _NDJSON:
            limit = self._publishing.limits.publish_batch_max
            commands = codec.decode_lines(body, lines_max=limit)
            self._publish_many(commands, key, identified.actor, exchange, fields)
        elif kind not in _JSON:
            raise ReddotError("media_type", "send application/json or application/x-ndjson")
        else:
            command = codec.decode_publish(body)
            if isinstance(command, tuple):
                self._publish_many(command, key, identified.actor, exchange, fields)
            else:
                self._publish_one(command, key, identified.actor, exchange, fields)

    def _draft(self, actor: Actor, command: PublishCommand, key: bytes | None) -> Draft:
        data = bytes(command.data)
        limits = self._publishing.limits
        check_data(data, bytes_max=limits.data_bytes_max, depth_max=self._data_depth_max)
        id_ = command.id
        if key is not None:
            text = key.decode("latin-1")
            if id_ is not None and id_ != text:
                raise ReddotError("field_invalid", "'id' and Idempotency-Key differ")
            id_ = text
        return self._publishing.draft(
            actor,
            topic=command.topic,
            data=data,
            event=command.event,
            id=id_,
            ephemeral=command.ephemeral,
            ttl_s=command.ttl,
            retain=command.retain,
        )

    def _publish_one(
        self,
        command: PublishCommand,
        key: bytes | None,
        actor: Actor,
        exchange: Exchange,
        fields: bytes,
    ) -> None:
        draft = self._draft(actor, command, key)

        def done(result: Sequence[Appended] | ReddotError) -> None:
            if isinstance(result, ReddotError):
                self._refuse(result, exchange, fields)
            else:
                status = 202 if draft.ephemeral else 200
                body = codec.encode_answer(result[0], self._epoch)
                exchange.respond(status, _FIELDS + fields, body)

        self._publishing.publish((draft,), done)

    def _publish_many(
        self,
        commands: Sequence[PublishCommand],
        key: bytes | None,
        actor: Actor,
        exchange: Exchange,
        fields: bytes,
    ) -> None:
        limit = self._publishing.limits.publish_batch_max
        if len(commands) > limit:
            raise ReddotError("batch_too_large", f"{limit} publications are allowed")
        if not commands:
            raise ReddotError("field_invalid", "the batch is empty")
        if key is not None:
            raise ReddotError("field_invalid", "Idempotency-Key goes with one publication")
        drafts = [self._draft(actor, command, None) for command in commands]

        def done(result: Sequence[Appended] | ReddotError) -> None:
            if isinstance(result, ReddotError):
                self._refuse(result, exchange, fields)
            else:
                status = 202 if all(draft.ephemeral for draft in drafts) else 200
                body = codec.encode_answers(result, self._epoch)
                exchange.respond(status, _FIELDS + fields, body)

        self._publishing.publish(drafts, done)

    def _refuse(self, error: ReddotError, exchange: Exchange, fields: bytes) -> None:
        """What the store refused, after the admission has returned."""
        self._counters.reject(error.code, exchange.head.path, error.detail)
        more = b"retry-after: 1\r\n" if error.row.retry else b""
        exchange.respond(
            error.row.status, problem.FIELDS + fields + more, problem.encode_problem(error)
        )
