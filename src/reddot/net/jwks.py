"""Verification keys from a JWK Set address (RFC 7517 section 5), fetched when they are needed.

Net: one HTTP request, no idea of tokens or topics. Satisfies the `KeyRing` that `core.tokens` asks
for, in which the types of the keys are the library's.
Invariants: the address is configuration and never comes from a token; one fetch at a time, and at
most one per 30 s whatever is asked for; a failed fetch leaves the last good keys in place; only
public keys for signatures of three kinds are taken, so a set cannot bring a shared secret.
"""

from __future__ import annotations

import asyncio
import ipaddress
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, Key

from reddot.errors import ReddotError, SettingsError
from reddot.ports import Clock

LIFETIME_S: Final = 600
REFETCH_S: Final = 30
FETCH_TIMEOUT_S: Final = 5
SET_BYTES_MAX: Final = 65_536

Fetch = Callable[[str], Awaitable[bytes]]

# (kty, crv) of a key, and the algorithms it may be used with.
_KINDS: Final = {
    ("RSA", None): ("RS256",),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),
}


async def fetch(url: str) -> bytes:
    """The body of a 200 answer; redirects are not followed.

    Raises:
        OSError, ValueError: no such answer, or one beyond `SET_BYTES_MAX`.
    """
    # Imported here, because a server without JWKS needs neither its start-up time nor its memory.
    import httpx

    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            # Raw, so that a compressed answer is measured, and refused, as what it is.
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > SET_BYTES_MAX:
                    raise ValueError(f"longer than {SET_BYTES_MAX} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    return bytes(body)


class JwksKeys:
    """The keys of one issuer's address. Keys of two addresses never mix: make two of these.

    Args:
        url: https, or http on this machine.
        fetch: gets the body of the address; raises `OSError` or `ValueError` if it cannot.
    Raises:
        SettingsError: the address is neither.

    Attributes:
        failure: why the last fetch failed; empty if it did not.
    """

    def __init__(self, url: str, *, clock: Clock, fetch: Fetch = fetch) -> None:
        _check_url(url)
        self._url: Final = url
        self._clock: Final = clock
        self._fetch: Final = fetch
        self._keys: dict[tuple[str | None, str], Key] | None = None
        self._loaded_s = 0.0
        self._asked_s: float | None = None
        self._flight: asyncio.Task[None] | None = None
        self.failure = ""

    @property
    def known(self) -> bool:
        return self._keys is not None and self._flight is None and not self._may_ask()

    def _may_ask(self) -> bool:
        return self._asked_s is None or self._clock.monotonic() - self._asked_s >= REFETCH_S

    def find(self, kid: str | None, alg: str) -> Key | None:
        """The key, or None; also None if the set is too old and may be asked for now.

        A token without `kid` finds the only key of its algorithm, if there is just one.
        """
        if self._keys is None:
            return None
        if self._clock.monotonic() - self._loaded_s >= LIFETIME_S and self._may_ask():
            return None
        return self._keys.get((kid, alg))

    async def refresh(self) -> None:
        """Fetch if the last fetch began 30 s ago or earlier, or wait for the one under way.

        Raises:
            ReddotError: `keys_unavailable` if no fetch has ever succeeded.
        """
        if self._flight is None and self._may_ask():
            self._asked_s = self._clock.monotonic()
            self._flight = asyncio.create_task(self._load(), name="jwks")
        if self._flight is not None:
            # A caller that goes away must not take the fetch from the others.
            await asyncio.shield(self._flight)
        if self._keys is None:
            raise ReddotError("keys_unavailable")

    async def _load(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                body = await self._fetch(self._url)
            self._keys = parse_key_set(body)
            self._loaded_s = self._clock.monotonic()
            self.failure = ""
        except (OSError, ValueError, RecursionError) as error:
            # TimeoutError is an OSError.
            self.failure = str(error) or type(error).__name__
        finally:
            self._flight = None

    async def aclose(self) -> None:
        """Give up a fetch under way."""
        if (flight := self._flight) is not None:
            flight.cancel()
            await asyncio.wait([flight])


def parse_key_set(body: bytes) -> dict[tuple[str | None, str], Key]:
    """The usable keys of a JWK Set by `kid` and algorithm; `kid` None where there is one choice.

    A key that cannot be used is left out, as RFC 7517 section 5 asks for. Of two keys with the
    same name and algorithm the first is taken.

    Raises:
        ValueError: not a JWK Set, too long, or without a single usable key.
    """
    if len(body) > SET_BYTES_MAX:
        raise ValueError(f"longer than {SET_BYTES_MAX} bytes")
    found: dict[tuple[str | None, str], Key] = {}
    unnamed: dict[str, list[Key]] = {}
    for jwk in msgspec.json.decode(body, type=_KeySet).keys:
        if (key := _usable_key(jwk)) is None:
            continue
        for alg in _algorithms(jwk):
            unnamed.setdefault(alg, []).append(key)
            if key.kid is not None:
                found.setdefault((key.kid, alg), key)
    if not unnamed:
        raise ValueError("no usable key")
    found.update({(None, alg): keys[0] for alg, keys in unnamed.items() if len(keys) == 1})
    return found


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def _algorithms(jwk: dict[str, Any]) -> tuple[str, ...]:
    """The algorithms of the key's kind, narrowed to its `alg` if it states one."""
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not (crv is None or isinstance(crv, str)):
        return ()
    possible = _KINDS.get((kty, crv), ())
    return tuple(alg for alg in possible if jwk.get("alg") in (None, alg))


def _usable_key(jwk: dict[str, Any]) -> Key | None:
    # A set that publishes a private half has given its key away.
    if not _algorithms(jwk) or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        with warnings.catch_warnings():
            # The library warns about short RSA keys; here that is a refusal.
            warnings.simplefilter("error", SecurityWarning)
            return JWKRegistry.import_key(jwk)
    except (JoseError, ValueError, TypeError, SecurityWarning):
        return None


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host and parts.scheme == "https":
        return
    if parts.scheme != "http" or not _is_loopback(host):
        raise SettingsError("jwt_jwks_url must begin with https://")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
