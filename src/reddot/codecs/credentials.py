"""What a request says about who sent it: the fields that `core.gate` decides on.

Pure: header bytes in, one value out. Strict: a credential that is there and cannot be read becomes
an empty text, which no check accepts, so that a broken one never turns into an anonymous request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

COOKIE: Final = "reddot_token"
CONSOLE_COOKIE: Final = "reddot_console"
CONSOLE_HEADER: Final = "reddot-console"
"""Only the console's own page sends it: no form can, and no other page is allowed to."""

# RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1).
_BEARER: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """The fields, undecided. Their names are the keywords of `Gate.identify`.

    Attributes:
        bearer: token or API key of `Authorization`; empty if the header is not `Bearer …`.
        cookie: value of the cookie `reddot_token`; empty if it is malformed or there are several.
        ticket: the parameter `ticket` of the URL.
        console: value of the cookie `reddot_console`, if the request says that it is the
            console's by the header `reddot-console`; empty if there is no good one.
        origin: `Origin`, as sent.
        host: `Host`, as sent.
        cross_site: the browser says that another site's page began this request
            (`Sec-Fetch-Site: cross-site`, W3C Fetch Metadata).
    """

    bearer: str | None = None
    cookie: str | None = None
    ticket: str | None = None
    console: str | None = None
    origin: str | None = None
    host: str | None = None
    cross_site: bool = False


def credential_of(headers: Mapping[bytes, bytes], ticket: str | None) -> Credential:
    """The credential of a request.

    Args:
        headers: lower-case names; several `Cookie` fields joined by `; ` (RFC 9113 section 8.2.3).
        ticket: the query parameter, decoded.
    """
    return Credential(
        bearer=_bearer(headers.get(b"authorization")),
        cookie=_cookie(headers.get(b"cookie"), COOKIE.encode()),
        ticket=ticket,
        console=_console(headers),
        origin=_text(headers.get(b"origin")),
        host=_text(headers.get(b"host")),
        cross_site=headers.get(b"sec-fetch-site") == b"cross-site",
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _bearer(value: bytes | None) -> str | None:
    if value is None:
        return None
    found = _BEARER.fullmatch(value.strip(b" \t"))
    return found[1].decode("ascii") if found else ""


def _console(headers: Mapping[bytes, bytes]) -> str | None:
    if CONSOLE_HEADER.encode() not in headers:
        return None
    return _cookie(headers.get(b"cookie"), CONSOLE_COOKIE.encode()) or ""


def _cookie(value: bytes | None, name: bytes) -> str | None:
    """The one cookie of a name (RFC 6265 section 4.2.1).

    A second one with another value was planted by a sibling domain, and nothing says which of
    them is ours.
    """
    if value is None or name not in value:
        return None
    values: set[bytes] = set()
    for pair in value.split(b";"):
        key, _, content = pair.partition(b"=")
        if key.strip(b" \t") == name:
            values.add(content.strip(b" \t"))
    if not values:
        return None
    one = values.pop()
    if values or _TOKEN.fullmatch(one) is None:
        return ""
    return one.decode("ascii")
