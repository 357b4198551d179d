"""The one table of errors: code, whose fault, retry or not, and its face on every wire.

Lowest layer: imports nothing of ours. Core raises `ReddotError` with a code from the table; each
wire translates at its edge, once. A code that is not in `ERRORS` cannot be raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Fault(Enum):
    """Who has to change something for the error to go away."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row of the table.

    Attributes:
        code: stable machine-readable name, `snake_case`.
        status: HTTP status (RFC 9110).
        close: WebSocket close code (RFC 6455 section 7.4; 4xxx are ours).
        mqtt: MQTT 5.0 reason code.
        fault: whose fault it is.
        retry: whether the same request may succeed later, unchanged.
        title: one line for a person; the same for every occurrence (RFC 9457 `title`).
    """

    code: str
    status: int
    close: int
    mqtt: int
    fault: Fault
    retry: bool
    title: str


_C, _S = Fault.CLIENT, Fault.SERVER

_ROWS: Final = (
    # what was asked is malformed
    ErrorRow("http_invalid", 400, 4400, 0x81, _C, False, "The HTTP request is malformed."),
    ErrorRow("json_invalid", 400, 4400, 0x99, _C, False, "The JSON is malformed."),
    ErrorRow("field_invalid", 400, 4400, 0x83, _C, False, "A field has a wrong value."),
    ErrorRow("command_invalid", 400, 4400, 0x82, _C, False, "The command is not known."),
    ErrorRow("mqtt_invalid", 400, 4400, 0x82, _C, False, "The MQTT packet is malformed."),
    ErrorRow("topic_invalid", 400, 4400, 0x90, _C, False, "The topic name is not valid."),
    ErrorRow("topic_missing", 400, 4400, 0x90, _C, False, "No topic was given."),
    ErrorRow("filter_invalid", 400, 4400, 0x8F, _C, False, "The topic filter is not valid."),
    ErrorRow("cursor_invalid", 400, 4400, 0x83, _C, False, "The cursor is not valid."),
    # who asks
    ErrorRow("unauthorized", 401, 4401, 0x87, _C, False, "A valid credential is needed."),
    ErrorRow("token_expired", 401, 4401, 0x87, _C, False, "The credential has expired."),
    ErrorRow("forbidden", 403, 4403, 0x87, _C, False, "The credential does not allow this."),
    ErrorRow("origin_forbidden", 403, 4403, 0x87, _C, False, "This origin is not on the list."),
    # where
    ErrorRow("not_found", 404, 4400, 0x83, _C, False, "There is nothing here."),
    ErrorRow("method_not_allowed", 405, 4400, 0x83, _C, False, "This method is not allowed here."),
    ErrorRow("upgrade_required", 426, 4400, 0x82, _C, False, "This is a WebSocket address."),
    # limits
    ErrorRow("request_timeout", 408, 4400, 0x82, _C, True, "The request came too slowly."),
    ErrorRow("id_conflict", 409, 4400, 0x83, _C, False, "The id was used for other content."),
    ErrorRow("data_too_large", 413, 1009, 0x95, _C, False, "The data is too large."),
    ErrorRow("body_too_large", 413, 1009, 0x95, _C, False, "The request body is too large."),
    ErrorRow("batch_too_large", 413, 1009, 0x95, _C, False, "Too many publications at once."),
    ErrorRow("uri_too_long", 414, 4400, 0x95, _C, False, "The address is too long."),
    ErrorRow("media_type", 415, 4400, 0x99, _C, False, "The content type is not accepted."),
    ErrorRow("header_too_large", 431, 4400, 0x95, _C, False, "The request header is too large."),
    ErrorRow("too_many_filters", 400, 4400, 0x97, _C, False, "Too many topic filters."),
    ErrorRow("too_many_retained", 400, 4400, 0x97, _C, False, "Too many retained topics."),
    ErrorRow("too_many_follows", 400, 4400, 0x97, _C, False, "Too many followed topics."),
    ErrorRow("too_many_categories", 400, 4400, 0x97, _C, False, "Too many categories."),
    ErrorRow("too_many_snoozed", 400, 4400, 0x97, _C, False, "Too much is snoozed."),
    ErrorRow("too_many_addresses", 400, 4400, 0x97, _C, False, "Too many addresses."),
    ErrorRow("not_possible", 409, 4400, 0x83, _C, False, "It is not in a state for this."),
    ErrorRow("rate_limited", 429, 4429, 0x96, _C, True, "Too many requests."),
    ErrorRow("slow_consumer", 408, 4408, 0x97, _C, True, "The client reads too slowly."),
    # us
    ErrorRow("internal", 500, 1011, 0x80, _S, True, "The server made a mistake."),
    ErrorRow("too_many_sessions", 503, 1013, 0x97, _S, True, "The server is full."),
    ErrorRow("draining", 503, 1012, 0x8B, _S, True, "The server is shutting down."),
    ErrorRow("overloaded", 503, 1013, 0x89, _S, True, "The server is overloaded."),
    ErrorRow("store_unavailable", 503, 1013, 0x88, _S, True, "The store does not answer."),
    ErrorRow("keys_unavailable", 503, 1013, 0x88, _S, True, "The token keys cannot be fetched."),
)

ERRORS: Final[dict[str, ErrorRow]] = {row.code: row for row in _ROWS}


class ReddotError(Exception):
    """An error that a client may see.

    Args:
        code: a key of `ERRORS`.
        detail: what was wrong this time, for a person. Never holds a secret.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.row: Final = ERRORS[code]
        self.detail: Final = detail
        super().__init__(f"{code}: {detail or self.row.title}")

    @property
    def code(self) -> str:
        return self.row.code


class SettingsError(Exception):
    """A setting is unknown or out of range. The start stops; the message is one clear line."""


class StoreError(Exception):
    """The store cannot be opened: locked, newer schema, damaged. The message is one clear line."""
