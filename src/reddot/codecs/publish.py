"""What a publisher sends and what it is answered, in JSON (DESIGN 2.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from reddot.codecs.cursor import encode_cursor
from reddot.errors import ReddotError
from reddot.model import Appended, Cursor


class PublishCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One publication as asked for. `data` is kept as the bytes that came."""

    topic: str
    data: msgspec.Raw
    event: str | None = None
    id: str | None = None
    ephemeral: bool | None = None
    ttl: float | None = None
    retain: bool = False


_LINE: Final = re.compile(rb"\S[^\n]*")
_one = msgspec.json.Decoder(PublishCommand)
_many = msgspec.json.Decoder(list[PublishCommand])


def decode_publish(body: bytes) -> tuple[PublishCommand, ...] | PublishCommand:
    """One command, or a tuple of them when the body is a JSON array.

    Raises:
        ReddotError: `json_invalid`, or `field_invalid` with the place of the wrong field.
    """
    try:
        if body.lstrip(b" \t\r\n")[:1] == b"[":
            return tuple(_many.decode(body))
        return _one.decode(body)
    except msgspec.ValidationError as error:
        raise ReddotError("field_invalid", str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReddotError("json_invalid", str(error)) from None


def decode_lines(body: bytes, *, lines_max: int) -> tuple[PublishCommand, ...]:
    """NDJSON: one command per line; empty lines are skipped.

    Lines are counted while scanning, so that a body of line ends makes no list of a million.
    """
    commands: list[PublishCommand] = []
    for line in _LINE.finditer(body):
        if len(commands) == lines_max:
            raise ReddotError("batch_too_large", f"{lines_max} publications are allowed")
        command = decode_publish(line[0])
        if isinstance(command, tuple):
            raise ReddotError("json_invalid", "an array inside NDJSON")
        commands.append(command)
    return tuple(commands)


class Answer(msgspec.Struct, frozen=True):
    id: str
    topic: str
    offset: int
    cursor: str
    duplicate: bool


class EphemeralAnswer(msgspec.Struct, frozen=True):
    id: str
    topic: str
    ephemeral: bool = True


def answer_of(appended: Appended, epoch: int) -> Answer | EphemeralAnswer:
    publication = appended.publication
    if not publication.position:
        return EphemeralAnswer(publication.id, publication.topic)
    cursor = encode_cursor(Cursor(epoch, publication.position))
    return Answer(publication.id, publication.topic, publication.offset, cursor, appended.duplicate)


def answer_fields(appended: Appended, epoch: int) -> dict[str, object]:
    """The answer's fields, for a wire that puts them beside its own."""
    return msgspec.structs.asdict(answer_of(appended, epoch))


_encode = msgspec.json.Encoder().encode


def encode_answer(appended: Appended, epoch: int) -> bytes:
    """The answer to one publication."""
    return _encode(answer_of(appended, epoch))


def encode_answers(results: Sequence[Appended], epoch: int) -> bytes:
    """The answers to a batch, in its order."""
    return _encode([answer_of(appended, epoch) for appended in results])
