"""The key by which push services know this server (RFC 8292): making, keeping, signing with it."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from reddot.errors import SettingsError
from reddot.ports import Clock

LIFETIME_S: Final = 12 * 3600
"""Of a token; push services refuse more than 24 hours."""
RENEW_S: Final = 3600
"""A token that lives shorter than this is not used any more."""
ORIGINS_MAX: Final = 256


class VapidKey:
    """One key pair on P-256.

    Attributes:
        public: the uncompressed point in base64url: `applicationServerKey` in a browser.
    """

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private: Final = private
        point = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.public: Final = encode(point)
        self.jwk: Final = ECKey.import_key(self.pem())

    @classmethod
    def make(cls) -> VapidKey:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def parse(cls, text: str) -> VapidKey:
        """A PEM text, or the 32 bytes of the private number in base64url.

        Raises:
            ValueError: it is neither, or on another curve.
        """
        if "-----BEGIN" not in text:
            number = int.from_bytes(decode(text.strip(), 32))
            return cls(ec.derive_private_key(number, ec.SECP256R1()))
        try:
            private = serialization.load_pem_private_key(text.encode(), password=None)
        except (TypeError, ValueError, UnsupportedAlgorithm):
            raise ValueError("is not a private key without a password") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise ValueError("is not a key on the curve P-256")
        return cls(private)

    def pem(self) -> bytes:
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def keep(path: Path) -> VapidKey:
    """The key in this file, which is made, for this user only, if it is not there.

    Raises:
        SettingsError: it cannot be made, or holds no key.
    """
    try:
        if not path.exists():
            _write(path, VapidKey.make().pem())
        return VapidKey.parse(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"the VAPID key in {path}: {reason}") from None


def _write(path: Path, pem: bytes) -> None:
    """The whole file or none: it appears under its name when it is complete."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)
    try:
        # Not `rename`: if another process was faster, its key holds.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


class Vapid:
    """Signs for push services; one token per service, used again until it is old.

    Args:
        subject: how a push service reaches the operator, `mailto:` or `https:`.
    """

    def __init__(self, key: VapidKey, *, subject: str, clock: Clock) -> None:
        self.key: Final = key
        self._subject: Final = subject
        self._clock: Final = clock
        self._tokens: dict[str, tuple[int, str]] = {}

    def authorization(self, origin: str) -> str:
        """The `Authorization` field for requests to this origin (RFC 8292 section 3)."""
        now_s = self._clock.wall_ms() // 1000
        expires_s, token = self._tokens.get(origin, (0, ""))
        if not now_s + RENEW_S < expires_s <= now_s + LIFETIME_S:
            expires_s = now_s + LIFETIME_S
            claims = {"aud": origin, "exp": expires_s, "sub": self._subject}
            token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self.key.jwk)
            if len(self._tokens) >= ORIGINS_MAX:
                # People choose origins; who is forgotten is signed for again.
                self._tokens.clear()
            self._tokens[origin] = (expires_s, token)
        return f"vapid t={token}, k={self.key.public}"


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str, length: int) -> bytes:
    """Base64url of exactly so many bytes, padded or not; some browsers write plain base64.

    Raises:
        ValueError: it is not.
    """
    url_safe = text.rstrip("=").replace("+", "-").replace("/", "_")
    if len(url_safe) != -(-length * 4 // 3) or not url_safe.isascii():
        raise ValueError(f"is not base64url of {length} bytes")
    data = urlsafe_b64decode(url_safe + "=" * (-len(url_safe) % 4))
    if len(data) != length:
        raise ValueError(f"is not base64url of {length} bytes")
    return data
