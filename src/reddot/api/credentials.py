"""`POST /v1/tickets` and, in development, `POST /v1/dev/token`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from reddot.core.access import is_anonymous, is_user_name
from reddot.core.gate import Identified
from reddot.core.tickets import Tickets
from reddot.core.topics import check_filter
from reddot.errors import ReddotError
from reddot.net.exchange import Exchange

_LOOPBACK: Final = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_FIELDS: Final = b"content-type: application/json\r\ncache-control: no-store\r\n"


class IssueTicket:
    """A one-time ticket for `EventSource` and iframes, which cannot set header fields.

    It stands for the credential that asked for it and is bound to the page's origin.
    """

    def __init__(self, *, tickets: Tickets, lifetime_s: int) -> None:
        self._tickets = tickets
        self._lifetime_s = lifetime_s

    def open(self, body: bytes, identified: Identified, exchange: Exchange, fields: bytes) -> None:
        if is_anonymous(identified.actor):
            raise ReddotError("unauthorized", "a ticket stands for a credential")
        origin = exchange.head.headers.get(b"origin")
        text = None if origin is None else origin.decode("latin-1")
        ticket = self._tickets.issue(identified.actor, text)
        answer = {"ticket": ticket, "expires_in": self._lifetime_s}
        exchange.respond(200, _FIELDS + fields, msgspec.json.encode(answer))


class DevTokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /v1/dev/token` takes."""

    user: str
    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    admin: bool = False
    since: int | None = None


class IssueDevToken:
    """A signed token for whoever asks; exists in development only, on loopback only.

    Args:
        issue: signs a token for the request.
    """

    def __init__(self, *, issue: Callable[[DevTokenRequest], str]) -> None:
        self._issue = issue

    def open(self, body: bytes, identified: Identified, exchange: Exchange, fields: bytes) -> None:
        # A foreign name that resolves to this machine makes a foreign page look like our own.
        host = exchange.head.headers.get(b"host", b"").lower()
        if not identified.origin_allowed or not _LOOPBACK.fullmatch(host):
            raise ReddotError("origin_forbidden", "only for pages and tools on this machine")
        try:
            request = msgspec.json.decode(body, type=DevTokenRequest)
        except msgspec.ValidationError as error:
            raise ReddotError("field_invalid", str(error)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ReddotError("json_invalid", str(error)) from None
        if not is_user_name(request.user):
            raise ReddotError("field_invalid", "'user' cannot be a user's name")
        for text in (*request.subscribe, *request.publish):
            check_filter(text)
        answer = {"token": self._issue(request), "user": request.user}
        exchange.respond(200, _FIELDS + fields, msgspec.json.encode(answer))
