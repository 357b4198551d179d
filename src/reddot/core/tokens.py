"""JSON Web Tokens of people and servers: verified with a configured key, and made for tools.

Core: reads no clock and no network; keys come from a `KeyRing`, time from `ports.Clock`.
Invariants: the key decides which algorithms may use it, never the token (RFC 8725 section 3.1);
nothing inside a token leads to a key, except `kid` as a name to look up; claims are read only
after the signature held; every rejection is `unauthorized` or `token_expired`.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Protocol

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from reddot.core.access import is_user_name
from reddot.core.topics import check_filter
from reddot.errors import ReddotError, SettingsError
from reddot.model import Actor
from reddot.ports import Clock

TOKEN_BYTES_MAX: Final = 8192
VERIFIED_MAX: Final = 10_000
SECRET_BYTES_MIN: Final = 32
LEEWAY_S_DEFAULT: Final = 30
LIFETIME_S_MAX_DEFAULT: Final = 86_400

ALGORITHMS: Final = ("HS256", "RS256", "ES256", "EdDSA", "Ed25519")

_TIME_S_MAX: Final = 253_402_300_799  # The last second of the year 9999.
# A plain name, or a hash in the other base64 alphabet, as Amazon Cognito names its keys.
_KID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}|[A-Za-z0-9+/]{43}=")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# They bring a key, say where one is, or change what is signed. This server wants none of it.
_HEADERS_REFUSED: Final = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc"})
# What the library raises for hostile input. It also trips over a header that is no object.
_MALFORMED: Final = (JoseError, ValueError, TypeError, AttributeError)


class KeyRing(Protocol):
    """Where verification keys come from."""

    @property
    def known(self) -> bool:
        """Whether a miss of `find` is final: asking the source now would be useless or too often.

        False until the first keys are there.
        """
        ...

    def find(self, kid: str | None, alg: str) -> Key | None:
        """The key for a token that names `kid` and `alg`, if `alg` is one the key is for."""
        ...

    async def refresh(self) -> None:
        """Ask the source if it may be asked now; many callers make one question.

        Raises:
            ReddotError: `keys_unavailable` if there has never been an answer.
        """
        ...


class StaticKeys:
    """Keys from settings: a secret, a public key, or both. `kid` does not matter to them.

    Args:
        secret: for HS256, at least 32 bytes (RFC 7518 section 3.2).
        public_key: PEM text of an RSA (2,048 bits or more), EC P-256 or Ed25519 public key.
    Raises:
        SettingsError: a key is weak, private or of another kind.
    """

    known: Final = True

    def __init__(self, *, secret: str | None = None, public_key: str | None = None) -> None:
        self._keys: Final[dict[str, Key]] = {}
        if secret is not None:
            self._keys["HS256"] = secret_key(secret)
        if public_key is not None:
            key, algorithms = _public_key(public_key)
            self._keys.update(dict.fromkeys(algorithms, key))

    def find(self, kid: str | None, alg: str) -> Key | None:
        return self._keys.get(alg)

    async def refresh(self) -> None:
        """Nothing to ask."""


class KeyRings:
    """Several rings as one; the first that finds a key has it."""

    def __init__(self, *rings: KeyRing) -> None:
        self._rings: Final = rings

    @property
    def known(self) -> bool:
        return all(ring.known for ring in self._rings)

    def find(self, kid: str | None, alg: str) -> Key | None:
        for ring in self._rings:
            if (key := ring.find(kid, alg)) is not None:
                return key
        return None

    async def refresh(self) -> None:
        for ring in self._rings:
            await ring.refresh()


def secret_key(secret: str) -> OctKey:
    """The HS256 key of a secret; raises `SettingsError` if it is too short or a public key."""
    if len(secret.encode()) < SECRET_BYTES_MIN:
        raise SettingsError(f"jwt_secret must have at least {SECRET_BYTES_MIN} bytes")
    try:
        return OctKey.import_key(secret)
    except ValueError:
        raise SettingsError("jwt_secret is a public key; set it as jwt_public_key") from None


_PEM_KINDS: Final[tuple[tuple[type[RSAKey | ECKey | OKPKey], str, tuple[str, ...]], ...]] = (
    (RSAKey, "", ("RS256",)),
    (ECKey, "P-256", ("ES256",)),
    (OKPKey, "Ed25519", ("EdDSA", "Ed25519")),
)


def _public_key(pem: str) -> tuple[Key, tuple[str, ...]]:
    for kind, curve, algorithms in _PEM_KINDS:
        try:
            with warnings.catch_warnings():
                # The library warns about short RSA keys; here that is a refusal.
                warnings.simplefilter("error", SecurityWarning)
                key = kind.import_key(pem)
        except (JoseError, ValueError, TypeError, SecurityWarning):
            continue
        if key.is_private:
            raise SettingsError("jwt_public_key is a private key; give its public half")
        if not curve or getattr(key, "curve_name", "") == curve:
            return key, algorithms
    raise SettingsError(
        "jwt_public_key must be the PEM text of an RSA (2048 bits or more), "
        "EC P-256 or Ed25519 public key"
    )


class _Only(jws.JWSRegistry):
    """The library's registry, cut down to one algorithm, and open to headers it does not know.

    RFC 7515 section 4 wants unknown headers ignored; the harmful ones are refused before.
    """

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        if self.allowed is None or name not in self.allowed:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRIES: Final = {name: _Only(name) for name in ALGORITHMS}

_Time = Annotated[float, msgspec.Meta(ge=0, le=_TIME_S_MAX)]


class _Grants(msgspec.Struct, frozen=True):
    """The claim `reddot`."""

    subscribe: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    admin: bool = False
    since: _Time | None = None


class _Claims(msgspec.Struct, frozen=True):
    """The claims that matter here (RFC 7519 section 4.1); others are let be."""

    exp: _Time
    sub: str | None = None
    iat: _Time | None = None
    nbf: _Time | None = None
    iss: str | None = None
    aud: str | tuple[str, ...] | None = None
    jti: str = ""
    reddot: _Grants = _Grants()


_CLAIMS: Final = msgspec.json.Decoder(_Claims)


class _Verified(msgspec.Struct, frozen=True):
    """A token that held, and the key it held with."""

    actor: Actor
    kid: str | None
    alg: str
    key: Key


class TokenVerifier:
    """Turns a token into the actor it speaks for.

    Args:
        keys: where keys come from.
        issuer: what `iss` must be, exactly; None: not asked for.
        audience: what `aud` must be or hold, exactly; None: not asked for.
        leeway_s: how far the issuer's clock may be ahead, for `nbf` and `iat`. `exp` has none: a
            credential ends at the same moment at the door and on a live connection.
        lifetime_s_max: longest time from `iat` to `exp`, if `iat` is there; 0: any.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        issuer: str | None,
        audience: str | None,
        clock: Clock,
        leeway_s: int = LEEWAY_S_DEFAULT,
        lifetime_s_max: int = LIFETIME_S_MAX_DEFAULT,
    ) -> None:
        self.keys: Final = keys
        self._issuer: Final = issuer
        self._audience: Final = audience
        self._clock: Final = clock
        self._leeway_s: Final = leeway_s
        self._lifetime_s_max: Final = lifetime_s_max
        # By digest and not by token, so that a memory dump holds no credential.
        self._verified: Final[dict[bytes, _Verified]] = {}

    def verify(self, token: str) -> Actor | None:
        """The actor, or None if the key is not known yet: `await keys.refresh()`, then ask again.

        A second None means that there is no such key.

        Raises:
            ReddotError: `token_expired` for a token in which only the time is wrong, else
                `unauthorized`.
        """
        if len(token) > TOKEN_BYTES_MAX or not token.isascii():
            raise _invalid()
        digest = hashlib.sha256(token.encode()).digest()
        seen = self._verified.get(digest)
        # A key that was withdrawn or replaced takes what it signed with it.
        if seen is not None and self.keys.find(seen.kid, seen.alg) is seen.key:
            self._check_expiry(seen.actor)
            return seen.actor
        message = _parsed(token)
        kid, alg = message.protected.get("kid"), message.protected["alg"]
        key = self.keys.find(kid, alg)
        if key is None:
            if self.keys.known:
                raise _invalid()
            return None
        _check_signature(message, alg, key)
        actor = self._actor(message.payload)
        self._check_expiry(actor)
        self._remember(digest, _Verified(actor, kid, alg, key))
        return actor

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified.pop(digest, None)
        if len(self._verified) >= VERIFIED_MAX:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified

    def _actor(self, payload: bytes) -> Actor:
        try:
            claims = _CLAIMS.decode(payload)
        except (ValueError, RecursionError):
            raise _invalid("its claims are malformed, or it has no 'exp'") from None
        self._check_parties(claims)
        self._check_times(claims)
        grants = claims.reddot
        if claims.sub is None and grants == _Grants():
            raise _invalid("it names no user in 'sub' and grants nothing")
        if claims.sub is not None and not is_user_name(claims.sub):
            raise _invalid("its 'sub' cannot be a user name")
        return Actor(
            user=claims.sub,
            subscribe=_checked_filters(grants.subscribe),
            publish=_checked_filters(grants.publish),
            admin=grants.admin,
            expires_ms=int(claims.exp * 1000),
            key=claims.jti,
            since_ms=None if grants.since is None else int(grants.since * 1000),
        )

    def _check_parties(self, claims: _Claims) -> None:
        if self._issuer is not None and claims.iss != self._issuer:
            raise _invalid("its 'iss' is not the configured issuer")
        if self._audience is None:
            return
        named = claims.aud if isinstance(claims.aud, tuple) else (claims.aud,)
        if self._audience not in named:
            raise _invalid("its 'aud' does not name this server")

    def _check_times(self, claims: _Claims) -> None:
        latest_s = self._clock.wall_ms() / 1000 + self._leeway_s
        if claims.nbf is not None and claims.nbf > latest_s:
            raise _invalid("its 'nbf' lies in the future")
        if claims.iat is None:
            return
        # Without this, a far future `iat` would hide a long lifetime.
        if claims.iat > latest_s:
            raise _invalid("its 'iat' lies in the future")
        if self._lifetime_s_max and claims.exp - claims.iat > self._lifetime_s_max:
            raise _invalid(f"it is made for longer than {self._lifetime_s_max} seconds")

    def _check_expiry(self, actor: Actor) -> None:
        if actor.expires_ms is not None and self._clock.wall_ms() >= actor.expires_ms:
            raise ReddotError("token_expired")


def _parsed(token: str) -> jws.CompactSignature:
    """The parts of a token whose header may be believed as far as finding a key."""
    try:
        message = jws.extract_compact(token.encode())
    except _MALFORMED:
        raise _invalid() from None
    header: Any = message.protected
    if not isinstance(header, dict) or not _HEADERS_REFUSED.isdisjoint(header):
        raise _invalid()
    kid, kind = header.get("kid"), header.get("typ", "JWT")
    if kid is not None and not (isinstance(kid, str) and _KID.fullmatch(kid)):
        raise _invalid()
    # Logout tokens, security events and the like are signed with the same keys (RFC 8725 3.11).
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise _invalid()
    if header.get("alg") not in ALGORITHMS:
        raise _invalid()
    return message


def _check_signature(message: jws.CompactSignature, alg: str, key: Key) -> None:
    try:
        held = jws.validate_compact(message, key, registry=_REGISTRIES[alg])
    except _MALFORMED:
        held = False
    if not held:
        raise _invalid()


def _checked_filters(filters: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(check_filter(text) for text in filters)
    except ReddotError:
        raise _invalid("the claim 'reddot' holds a filter that is not valid") from None


def _invalid(reason: str = "") -> ReddotError:
    """One answer for all that happens before the signature holds; then the issuer may know why."""
    return ReddotError("unauthorized", f"the token is not valid: {reason}" if reason else "")


def issue_token(
    secret: str,
    *,
    user: str | None,
    subscribe: Sequence[str] = (),
    publish: Sequence[str] = (),
    admin: bool = False,
    since_s: int | None = None,
    lifetime_s: int,
    clock: Clock,
    issuer: str | None = None,
    audience: str | None = None,
    name: str | None = None,
) -> str:
    """A token that a verifier with the same secret, issuer and audience accepts; HS256.

    Args:
        name: its `jti`.

    Raises:
        SettingsError: the secret is too short.
    """
    now_s = clock.wall_ms() // 1000
    grants: Mapping[str, object] = {
        "subscribe": list(subscribe),
        "publish": list(publish),
        "admin": admin,
        "since": since_s,
    }
    claims: Mapping[str, object] = {
        "sub": user,
        "iss": issuer,
        "aud": audience,
        "iat": now_s,
        "exp": now_s + lifetime_s,
        "jti": name,
        "reddot": {name: value for name, value in grants.items() if value} or None,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    header = {"alg": "HS256", "typ": "JWT"}
    payload = msgspec.json.encode(given)
    return jws.serialize_compact(header, payload, secret_key(secret), registry=_REGISTRIES["HS256"])
