"""Outbound WebSocket frames (RFC 6455 section 5.2), encoded once for all sessions.

Server frames are not masked, so the same bytes serve every client. Inbound frames go through the
`websockets` package's Sans-I/O core, in `net/websocket.py`. Commands are decoded here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from reddot.codecs import frames
from reddot.codecs.publish import PublishCommand
from reddot.errors import ReddotError
from reddot.model import Cursor, Publication

Ref = str | int | None


_TEXT: Final = b"\x81"
_BINARY: Final = b"\x82"


def encode_text(payload: bytes) -> bytes:
    """One unfragmented text frame."""
    return _head(_TEXT, len(payload)) + payload


def encode_binary(payload: bytes) -> bytes:
    """One unfragmented binary frame."""
    return _head(_BINARY, len(payload)) + payload


def _head(kind: bytes, size: int) -> bytes:
    if size < 126:
        return kind + bytes((size,))
    if size < 65536:
        return kind + b"\x7e" + size.to_bytes(2, "big")
    return kind + b"\x7f" + size.to_bytes(8, "big")


def encode_json(publication: Publication, cursor: Cursor | None) -> bytes:
    return encode_text(frames.encode_publication(publication, cursor))


def encode_raw(publication: Publication, cursor: Cursor | None) -> bytes:
    return encode_text(frames.data_text(publication))


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe", forbid_unknown_fields=True):
    filters: tuple[str, ...]
    cursor: str | None = None
    ref: Ref = None


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe", forbid_unknown_fields=True):
    filters: tuple[str, ...]
    ref: Ref = None


class Publish(PublishCommand, frozen=True, tag="publish", forbid_unknown_fields=True):
    ref: Ref = None


class Auth(msgspec.Struct, frozen=True, tag="auth", forbid_unknown_fields=True):
    token: str
    ref: Ref = None


class Ping(msgspec.Struct, frozen=True, tag="ping", forbid_unknown_fields=True):
    ref: Ref = None


Command = Subscribe | Unsubscribe | Publish | Auth | Ping
_NAMES: Final = frozenset(("subscribe", "unsubscribe", "publish", "auth", "ping"))

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Command)


class _Named(msgspec.Struct):
    type: str


class _Envelope(msgspec.Struct):
    ref: Ref = None


_named = msgspec.json.Decoder(_Named)
_envelope = msgspec.json.Decoder(_Envelope)


def decode_command(text: bytes) -> Command:
    """The command in a client's text message.

    Raises:
        ReddotError: `json_invalid`, `command_invalid` (no such command), `field_invalid`.
    """
    try:
        command: Command = _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise ReddotError(_blame(text), str(error)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReddotError("json_invalid", str(error)) from None
    return command


def _blame(text: bytes) -> str:
    """The code for JSON that is no command; what follows the first mistake may be no JSON."""
    try:
        known = _named.decode(text).type in _NAMES
    except msgspec.ValidationError:
        known = False
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "json_invalid"
    return "field_invalid" if known else "command_invalid"


def decode_ref(text: bytes) -> Ref:
    """The `ref` of a command that could not be decoded, for the error's answer; None if none."""
    try:
        return _envelope.decode(text).ref
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
