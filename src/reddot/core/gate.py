"""The gate: from what a request carries to who it is, and which web pages may talk to us.

Core: takes plain values, which `codecs.credentials` and the MQTT codec read from the wire.
Invariants: a credential that is there and wrong is an error, never an anonymous request; a page of
another origin gets nothing done with anybody's credential unless its origin is on the list; of API
keys only hashes are kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final, NotRequired, TypedDict, Unpack

import msgspec

from reddot.core.access import is_user_name
from reddot.core.console import ConsoleAccess
from reddot.core.tickets import Tickets
from reddot.core.tokens import TokenVerifier
from reddot.errors import ReddotError, SettingsError
from reddot.model import ANONYMOUS, Actor

API_KEY_PREFIX_CHARS: Final = 8
API_KEY_SECRET_CHARS_MIN: Final = 16
API_KEY_RANDOM_CHARS_MIN: Final = 43  # 256 bits in base64url.

_API_KEY: Final = re.compile(r"(rk_[A-Za-z0-9]{1,32})_([A-Za-z0-9_-]+)")
_API_KEY_HASHED: Final = re.compile(r"(rk_[A-Za-z0-9]{1,32}):sha256:([0-9a-f]{64})")
_RANDOM: Final = re.compile(r"[A-Za-z0-9_-]+")
_NO_HASH: Final = (bytes(32),)

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>[a-z0-9._-]+|\*(?:\.[a-z0-9_-]+){2,}|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_LABEL: Final = re.compile(r"[a-z0-9_-]+")
_LOOPBACK_ORIGIN: Final = re.compile(
    r"https?://(?:localhost|[a-z0-9-]+\.localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?"
)
_PORTS: Final = {"http": "80", "https": "443"}


def make_api_key(random_text: str) -> tuple[str, str]:
    """A new API key and the line that settings keep of it.

    Args:
        random_text: at least 256 unguessable bits in base64url.
    """
    assert len(random_text) >= API_KEY_RANDOM_CHARS_MIN, "too little randomness"
    assert _RANDOM.fullmatch(random_text), "not base64url"
    prefix = "rk_" + hashlib.sha256(random_text.encode()).hexdigest()[:API_KEY_PREFIX_CHARS]
    key = f"{prefix}_{random_text}"
    return key, f"{prefix}:sha256:{hashlib.sha256(key.encode()).hexdigest()}"


class ApiKeys:
    """The API keys of servers, as hashes by public prefix.

    A plain hash will do, because a key is random and long; a password would need a slow one.

    Args:
        lines: `rk_<prefix>_<secret>`, or `rk_<prefix>:sha256:<hex of the whole key's hash>`.
    Raises:
        SettingsError: a line is neither; the message does not repeat it.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._hashes: Final[dict[str, tuple[bytes, ...]]] = {}
        self._actors: Final[dict[str, Actor]] = {}
        for line in lines:
            prefix, digest = _hashed(line)
            self._hashes[prefix] = (*self._hashes.get(prefix, ()), digest)
            self._actors[prefix] = Actor(service=True, key=prefix)

    def actor(self, key: str) -> Actor:
        """The server whose key this is; raises `unauthorized`.

        Unknown prefixes take the same way as wrong secrets, so that time tells nothing.
        """
        found = _API_KEY.fullmatch(key)
        if found is None:
            raise _bad_api_key()
        digest = hashlib.sha256(key.encode()).digest()
        known = [hmac.compare_digest(digest, one) for one in self._hashes.get(found[1], _NO_HASH)]
        if not any(known):
            raise _bad_api_key()
        return self._actors[found[1]]


def _hashed(line: str) -> tuple[str, bytes]:
    if found := _API_KEY_HASHED.fullmatch(line):
        return found[1], bytes.fromhex(found[2])
    found = _API_KEY.fullmatch(line)
    if found is None:
        raise SettingsError("api_key must look like rk_<prefix>_<secret>")
    if len(found[2]) < API_KEY_SECRET_CHARS_MIN:
        raise SettingsError(
            f"api_key {found[1]}_… has a secret of fewer than {API_KEY_SECRET_CHARS_MIN} characters"
        )
    return found[1], hashlib.sha256(line.encode()).digest()


def _bad_api_key() -> ReddotError:
    return ReddotError("unauthorized", "the API key is not valid")


class Origins:
    """The origins of pages that may use credentials; besides the server's own.

    Origins are compared as texts, scheme, host and port (RFC 6454 section 5), so nothing that
    merely looks alike passes. `https://*.example.com` stands for one label in place of the star.

    Raises:
        SettingsError: an entry is not an origin.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._exact: Final[set[str]] = set()
        self._below: Final[set[str]] = set()
        for entry in allowed:
            origin = _serialized(entry)
            if "*" in origin:
                self._below.add(origin.replace("*", "", 1))
            else:
                self._exact.add(origin)

    def allows(self, origin: str, host: str | None) -> bool:
        """Whether `origin` is on the list, or is the one that the request was sent to.

        `null`, the origin of sandboxed frames and local files, is never allowed.
        """
        return origin in self._exact or self._allows_below(origin) or _is_own(origin, host)

    def _allows_below(self, origin: str) -> bool:
        if not self._below or not origin.startswith("https://"):
            return False
        label, dot, rest = origin.removeprefix("https://").partition(".")
        return _LABEL.fullmatch(label) is not None and f"https://{dot}{rest}" in self._below


def _serialized(entry: str) -> str:
    """An entry of the list as browsers write it: lower case, no default port."""
    found = _ORIGIN.fullmatch(entry.lower())
    if found is None or (found["host"].startswith("*") and found["scheme"] != "https"):
        raise SettingsError(
            f"allowed_origins: {entry!r:.80} is not like https://example.com:8443 "
            "or https://*.example.com"
        )
    port = found["port"]
    shown = "" if port is None or port == _PORTS.get(found["scheme"]) else f":{port}"
    return f"{found['scheme']}://{found['host']}{shown}"


def _is_own(origin: str, host: str | None) -> bool:
    """Whether a page of `origin` was served from the address in `Host`.

    The scheme cannot be compared, since a proxy may have ended TLS.
    """
    scheme, found, authority = origin.partition("://")
    return scheme in _PORTS and bool(found) and host is not None and authority == host.lower()


def is_own_page(origin: str | None, host: str | None, cross_site: bool) -> bool:
    """Whether a request is from a page of this very address, or from none."""
    return not cross_site and (origin is None or _is_own(origin, host))


class Presented(TypedDict):
    """The keywords of `Gate.identify`, which are the fields of `codecs.credentials.Credential`."""

    bearer: str | None
    cookie: str | None
    ticket: str | None
    console: NotRequired[str | None]
    origin: str | None
    host: str | None
    cross_site: bool


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """Who a request is from.

    Attributes:
        actor: who; `ANONYMOUS` if it carries no credential.
        origin_allowed: whether the page may use credentials. False only for an anonymous request,
            whose connection must then take no credential later on either.
        frame_origin: the origin that a ticket is bound to, for `postMessage`; None without one.
    """

    actor: Actor
    origin_allowed: bool = True
    frame_origin: str | None = None


class Gate:
    """Decides who a request is from.

    Args:
        verifier: for tokens; None: no key is configured, so no token is good.
        api_keys: lines of the setting; see `ApiKeys`.
        dev: pages on this machine count as listed, and names are believed.
        console: whose sessions of the console are good; None: there is no console.
    """

    def __init__(
        self,
        *,
        verifier: TokenVerifier | None,
        api_keys: Sequence[str],
        tickets: Tickets,
        origins: Origins,
        dev: bool,
        console: ConsoleAccess | None = None,
    ) -> None:
        self._console: Final = console
        self._verifier: Final = verifier
        self._api_keys: Final = ApiKeys(api_keys)
        self._tickets: Final = tickets
        self._origins: Final = origins
        self._dev: Final = dev

    def identify(
        self,
        *,
        bearer: str | None,
        cookie: str | None,
        ticket: str | None,
        origin: str | None,
        host: str | None,
        cross_site: bool,
        console: str | None = None,
    ) -> Identified | None:
        """Who this is: by ticket, bearer, session of the console or cookie, else anonymous.

        See `codecs.credentials.Credential` for the keywords. A WebSocket `auth` command is a
        bearer with the origin and host of its upgrade; an MQTT password is one without.

        Returns:
            None if keys must be fetched first: `await fetch_keys()` and call again. A second None
            means `unauthorized`. With a ticket it is never None.
        Raises:
            ReddotError: `unauthorized`, `token_expired`, `origin_forbidden`.
        """
        allowed = origin is None or self._allows(origin, host, cross_site)
        if ticket is not None:
            # First the ticket: one that was tried from a wrong page is used up.
            actor, bound = self._tickets.redeem(ticket, origin)
            _check_origin(allowed)
            return Identified(actor=actor, frame_origin=bound)
        if bearer is not None:
            _check_origin(allowed)
            if bearer.startswith("rk_"):
                return Identified(actor=self._api_keys.actor(bearer))
            return self._by_token(bearer)
        if console is not None:
            _check_origin(is_own_page(origin, host, cross_site))
            if self._console is None:
                raise ReddotError("unauthorized")
            return Identified(actor=self._console.actor(console))
        if cookie is not None:
            # Browsers add cookies to what other sites ask for, so it must not be another site.
            _check_origin(allowed and not (origin is None and cross_site))
            return self._by_token(cookie)
        return Identified(actor=ANONYMOUS, origin_allowed=allowed)

    async def identify_fetching(self, **presented: Unpack[Presented]) -> Identified:
        """`identify`, with the fetching of keys done; for callers that can wait.

        Raises:
            ReddotError: those of `identify`, and `keys_unavailable`.
        """
        found = self.identify(**presented)
        if found is None:
            await self.fetch_keys()
            found = self.identify(**presented)
        if found is None:
            raise ReddotError("unauthorized")
        return found

    async def fetch_keys(self) -> None:
        """Ask for the keys of tokens; returns also when there are no new ones.

        Raises:
            ReddotError: `keys_unavailable`.
        """
        if self._verifier is not None:
            await self._verifier.keys.refresh()

    def believe(self, user: str) -> Actor:
        """The actor of a user name without proof, as MQTT clients send it in development.

        Raises:
            ReddotError: `unauthorized` outside development and for what cannot be a user name.
        """
        if not self._dev or not is_user_name(user):
            raise ReddotError("unauthorized")
        return Actor(user=user)

    def allow_origin(self, origin: str | None, host: str | None) -> str | None:
        """The value of `Access-Control-Allow-Origin`; None: send no CORS headers.

        It is the origin itself and never `*`, since credentials are allowed with it; so answers
        need `Vary: Origin` either way.
        """
        if origin is None or not self._allows(origin, host, cross_site=False):
            return None
        return origin

    def _allows(self, origin: str, host: str | None, cross_site: bool) -> bool:
        if self._dev and _LOOPBACK_ORIGIN.fullmatch(origin):
            return True
        # `Host` alone takes http://example.com for https://example.com; the browser knows better.
        return self._origins.allows(origin, None if cross_site else host)

    def _by_token(self, token: str) -> Identified | None:
        if self._verifier is None:
            raise ReddotError("unauthorized")
        actor = self._verifier.verify(token)
        return None if actor is None else Identified(actor=actor)


def _check_origin(allowed: bool) -> None:
    if not allowed:
        raise ReddotError("origin_forbidden")
