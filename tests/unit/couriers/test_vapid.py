"""The key for push services: made once, kept for this user only, its tokens last twelve hours."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.jwk import ECKey

from reddot.couriers.vapid import ORIGINS_MAX, Vapid, VapidKey, decode, encode, keep
from reddot.errors import SettingsError
from reddot.testing import FakeClock

ORIGIN = "https://push.example.com"


def claims(authorization: str) -> dict[str, object]:
    """What a push service reads after it has checked the signature with `k`."""
    token, _, key = authorization.removeprefix("vapid t=").partition(", k=")
    point = decode(key, 65)
    public = ECKey.import_key(
        {"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
    )
    return dict(jwt.decode(token, public, algorithms=["ES256"]).claims)


def test_a_token_is_signed_for_an_origin_and_used_again_until_it_is_old() -> None:
    clock = FakeClock()
    now_s = clock.wall_ms() // 1000
    vapid = Vapid(VapidKey.make(), subject="mailto:ops@example.com", clock=clock)
    first = vapid.authorization(ORIGIN)
    assert claims(first) == {"aud": ORIGIN, "exp": now_s + 43_200, "sub": "mailto:ops@example.com"}
    assert claims(vapid.authorization("https://other.example"))["aud"] == "https://other.example"
    clock.advance(11 * 3600 - 1)
    assert vapid.authorization(ORIGIN) == first
    clock.advance(1)
    assert claims(vapid.authorization(ORIGIN))["exp"] == now_s + 11 * 3600 + 43_200


def test_a_clock_that_is_set_back_gives_no_token_that_lasts_too_long() -> None:
    clock = FakeClock()
    vapid = Vapid(VapidKey.make(), subject="mailto:ops@example.com", clock=clock)
    vapid.authorization(ORIGIN)
    clock.advance(-86_400)
    assert claims(vapid.authorization(ORIGIN))["exp"] == clock.wall_ms() // 1000 + 43_200


def test_origins_that_people_choose_take_bounded_memory() -> None:
    vapid = Vapid(VapidKey.make(), subject="mailto:ops@example.com", clock=FakeClock())
    for number in range(ORIGINS_MAX + 1):
        vapid.authorization(f"https://{number}.example.com")
    assert len(vapid._tokens) == 1


def test_a_key_is_read_in_both_forms() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    key = VapidKey(private)
    number = encode(private.private_numbers().private_value.to_bytes(32))
    assert VapidKey.parse(key.pem().decode()).public == key.public
    assert VapidKey.parse(number + "\n").public == key.public
    assert len(decode(key.public, 65)) == 65


def _pem(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None) -> str:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        encode(bytes(32)),
        encode(b"\xff" * 32),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        _pem(ec.generate_private_key(ec.SECP384R1()), None),
        _pem(rsa.generate_private_key(65537, 2048), None),
        _pem(ec.generate_private_key(ec.SECP256R1()), b"password"),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        VapidKey.parse(text)


def test_a_key_is_made_once_and_for_this_user_only(tmp_path: Path) -> None:
    path = tmp_path / "reddot.db.vapid.pem"
    first = keep(path)
    assert keep(path).public == first.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [path.name]


def _public(path: Path) -> str:
    return keep(path).public


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.map(_public, [tmp_path / "key.pem"] * 4)
    assert len(set(found)) == 1


@pytest.mark.parametrize("content", [None, "no key", "\xff"])
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "nowhere" / "key.pem" if content is None else tmp_path / "key.pem"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(SettingsError) as caught:
        keep(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.exists() == (content is not None)
