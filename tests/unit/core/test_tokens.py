"""Tokens: what is accepted, a corpus of what is not, keys, expiry, and the bounded memory."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from reddot.core import tokens
from reddot.core.tokens import KeyRings, StaticKeys, TokenVerifier, issue_token
from reddot.errors import ReddotError, SettingsError
from reddot.model import Actor

NOW_S = 1_800_000_000
SECRET = "a secret of more than thirty-two bytes"
ISSUER, AUDIENCE = "https://issuer.example", "reddot"

RSA = RSAKey.generate_key(2048)
RSA_OTHER = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")
RSA_PEM = RSA.as_pem(private=False).decode()


class FakeClock:
    def __init__(self) -> None:
        self.now_s = float(NOW_S)

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic(self) -> float:
        return self.now_s


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims, changed; None leaves one out."""
    good = {"sub": "42", "iss": ISSUER, "aud": AUDIENCE, "iat": NOW_S, "exp": NOW_S + 600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def raw_token(header: bytes, payload: bytes, secret: bytes = SECRET.encode()) -> str:
    """A token signed by hand, so that nothing in between is careful."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def hs(header: dict[str, Any] | None = None, **changes: Any) -> str:
    full = {"alg": "HS256", "typ": "JWT", **(header or {})}
    return raw_token(json.dumps(full).encode(), json.dumps(claims(**changes)).encode())


class _Any(jws.JWSRegistry):
    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def signed(key: Key, alg: str, header: dict[str, Any] | None = None, **changes: Any) -> str:
    registry = _Any(strict_check_header=False)
    full = {"alg": alg, **(header or {})}
    return jws.serialize_compact(full, json.dumps(claims(**changes)), key, registry=registry)


def verifier(clock: FakeClock | None = None, **options: Any) -> TokenVerifier:
    return TokenVerifier(
        **{
            "keys": StaticKeys(secret=SECRET, public_key=RSA_PEM),
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "clock": clock or FakeClock(),
            **options,
        }
    )


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ReddotError) as caught:
        call()
    return caught.value.code


# ---- what is accepted ----


def test_the_actor_is_what_the_claims_say() -> None:
    grants = {"subscribe": ["news/#"], "publish": ["chat/+"], "admin": True}
    actor = verifier().verify(hs(reddot=grants, jti="one"))
    assert actor == Actor(
        user="42",
        subscribe=("news/#",),
        publish=("chat/+",),
        admin=True,
        expires_ms=(NOW_S + 600) * 1000,
        key="one",
    )


@pytest.mark.parametrize(
    ("key", "alg"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA"), (ED, "Ed25519")]
)
@pytest.mark.filterwarnings("error")
def test_public_keys(key: Key, alg: str) -> None:
    pem = key.as_pem(private=False).decode()  # type: ignore[union-attr]
    ring = StaticKeys(public_key=pem)
    actor = verifier(keys=ring).verify(signed(key, alg))
    assert actor is not None
    assert actor.user == "42"
    assert ring.find("any", "HS256") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", AUDIENCE]},
        {"exp": NOW_S + 1},
        {"exp": NOW_S + 0.5},
        {"exp": NOW_S + 86_400},
        {"iat": None, "exp": NOW_S + 10_000_000},
        {"iat": NOW_S + 30},
        {"nbf": NOW_S + 30},
        {"nbf": NOW_S - 5, "scope": "profile", "roles": [1, {"a": None}]},
        {"sub": "x" * 256},
        {"sub": None, "reddot": {"publish": ["#"]}},
        {"sub": None, "reddot": {"admin": True}},
        {"reddot": {"subscribe": [], "future": 1}},
        {"reddot": {}},
    ],
)
def test_good_claims(changes: dict[str, Any]) -> None:
    token = raw_token(b'{"alg":"HS256"}', json.dumps(claims(**changes)).encode())
    assert verifier().verify(token) is not None


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "2026-01"},
        {"kid": "A+b/" * 10 + "abc="},
        {"typ": "at+jwt"},
        {"typ": "jwt"},
        {"x5t": "abc", "cty": "JWT", "custom": 1},
    ],
)
def test_good_headers(header: dict[str, Any]) -> None:
    assert verifier().verify(hs(header)) is not None


def test_parties_are_not_asked_for_unless_configured() -> None:
    free = verifier(issuer=None, audience=None)
    assert free.verify(hs(iss="anybody", aud="anything")) is not None
    assert free.verify(hs(iss=None, aud=None)) is not None


# ---- what is not ----

NONE_PAYLOAD = b64(json.dumps(claims()).encode())
GOOD = hs()
HEAD, BODY, SIGNATURE = GOOD.split(".")
JWK = {"kty": "oct", "k": b64(b"attacker attacker attacker attacker")}


def none_token(alg: object, signature: str = "") -> str:
    return f"{b64(json.dumps({'alg': alg}).encode())}.{NONE_PAYLOAD}.{signature}"


def confused(pem: str) -> str:
    """The public key used as if it were the shared secret."""
    header = b'{"alg":"HS256","typ":"JWT"}'
    return raw_token(header, json.dumps(claims()).encode(), pem.encode())


BAD: dict[str, str] = {
    # no signature at all
    "none": none_token("none"),
    "None": none_token("None"),
    "NONE": none_token("NONE"),
    "nOnE": none_token("nOnE"),
    "none with a signature": none_token("none", SIGNATURE),
    "none with a space": none_token("none "),
    "empty alg": none_token(""),
    "null alg": none_token(None),
    "list alg": none_token(["HS256"]),
    "no alg": f"{b64(b'{}')}.{NONE_PAYLOAD}.{SIGNATURE}",
    "no signature": f"{HEAD}.{BODY}.",
    # another key or algorithm than the key is for
    "public key as secret": confused(RSA_PEM),
    "public key as secret, stripped": confused(RSA_PEM.strip()),
    "wrong secret": raw_token(b'{"alg":"HS256"}', json.dumps(claims()).encode(), b"x" * 40),
    "another RSA key": signed(RSA_OTHER, "RS256"),
    "HS512": signed(OctKey.import_key(SECRET), "HS512"),
    "RS512": signed(RSA, "RS512"),
    "PS256": signed(RSA, "PS256"),
    "ES256 without such a key": signed(EC, "ES256"),
    "EdDSA without such a key": signed(ED, "EdDSA"),
    "lower-case alg": hs({"alg": "hs256"}),
    "RS256 header on an HS256 signature": hs({"alg": "RS256"}),
    "two algs": raw_token(b'{"alg":"HS256","alg":"none"}', json.dumps(claims()).encode()),
    # headers that lead somewhere
    "crit": hs({"crit": ["exp"], "exp": 1}),
    "crit unknown": hs({"crit": ["foo"]}),
    "crit empty": hs({"crit": []}),
    "crit null": hs({"crit": None}),
    "embedded jwk": raw_token(
        json.dumps({"alg": "HS256", "jwk": JWK}).encode(),
        json.dumps(claims()).encode(),
        urlsafe_b64decode(JWK["k"] + "=="),
    ),
    "jwk beside a good signature": hs({"jwk": JWK}),
    "jku": hs({"jku": "https://evil.example/keys"}),
    "x5u": hs({"x5u": "https://evil.example/cert"}),
    "x5c": hs({"x5c": ["MIIB"]}),
    "b64": hs({"b64": False, "crit": ["b64"]}),
    "b64 alone": hs({"b64": True}),
    "kid as path": hs({"kid": "../../dev/null"}),
    "kid as SQL": hs({"kid": "x' UNION SELECT 'k"}),
    "kid with NUL": hs({"kid": "a\0b"}),
    "kid empty": hs({"kid": ""}),
    "kid too long": hs({"kid": "k" * 65}),
    "kid number": hs({"kid": 1}),
    "kid list": hs({"kid": ["a"]}),
    "logout token": hs({"typ": "logout+jwt"}),
    "security event": hs({"typ": "secevent+jwt"}),
    "typ number": hs({"typ": 5}),
    # not a token
    "empty": "",
    "dots": "..",
    "one part": "abc",
    "two parts": f"{HEAD}.{BODY}",
    "four parts": f"{GOOD}.x",
    "five parts": "a.b.c.d.e",
    "text": "not a token",
    "not ASCII": GOOD + "é",
    "lone surrogate": GOOD + "\ud800",
    "newline": GOOD + "\n",
    "padding": f"{HEAD}=.{BODY}.{SIGNATURE}",
    "standard base64": f"{HEAD}.{BODY}.++//{SIGNATURE[4:]}",
    "bad base64 header": f"!{HEAD}.{BODY}.{SIGNATURE}",
    "bad base64 payload": f"{HEAD}.!!!!.{SIGNATURE}",
    "header not JSON": raw_token(b"{alg:HS256}", json.dumps(claims()).encode()),
    "header a text": raw_token(b'"alg"', json.dumps(claims()).encode()),
    "header a list": raw_token(b'["alg"]', json.dumps(claims()).encode()),
    "header a number": raw_token(b"5", json.dumps(claims()).encode()),
    "header null": raw_token(b"null", json.dumps(claims()).encode()),
    "header not UTF-8": raw_token(b'{"alg":"\xff"}', json.dumps(claims()).encode()),
    "header deep": raw_token(b"[" * 380, json.dumps(claims()).encode()),
    "payload not JSON": raw_token(b'{"alg":"HS256"}', b"hello"),
    "payload a list": raw_token(b'{"alg":"HS256"}', b"[]"),
    "payload empty": raw_token(b'{"alg":"HS256"}', b""),
    "payload deep": raw_token(b'{"alg":"HS256"}', b'{"x":' + b"[" * 5000),
    "payload not UTF-8": raw_token(b'{"alg":"HS256"}', b'{"sub":"\xff\xfe","exp":9999999999}'),
    "huge": raw_token(b'{"alg":"HS256"}', b" " * 8192 + json.dumps(claims()).encode()),
    "signature cut": GOOD[:-4],
    "signature of another": f"{HEAD}.{BODY}.{hs(sub='7').split('.')[2]}",
    "payload of another": f"{HEAD}.{hs(sub='7').split('.')[1]}.{SIGNATURE}",
    # claims
    "no exp": hs(exp=None),
    "exp text": hs(exp="9999999999"),
    "exp true": hs(exp=True),
    "exp negative": hs(exp=-1),
    "exp after year 9999": hs(iat=None, exp=253_402_300_800),
    "exp NaN": raw_token(b'{"alg":"HS256"}', b'{"sub":"42","exp":NaN}'),
    "exp infinite": raw_token(b'{"alg":"HS256"}', b'{"sub":"42","exp":1e999}'),
    "nbf in the future": hs(nbf=NOW_S + 31),
    "nbf text": hs(nbf="now"),
    "iat in the future": hs(iat=NOW_S + 31),
    "made for too long": hs(exp=NOW_S + 86_401),
    "wrong iss": hs(iss="https://evil.example"),
    "iss as prefix": hs(iss=ISSUER + ".evil.example"),
    "iss as part": hs(iss=ISSUER[:-1]),
    "iss list": hs(iss=[ISSUER]),
    "no iss": hs(iss=None),
    "wrong aud": hs(aud="other"),
    "aud as part": hs(aud="reddot2"),
    "aud list without us": hs(aud=["a", "b"]),
    "aud empty list": hs(aud=[]),
    "aud object": hs(aud={"reddot": 1}),
    "no aud": hs(aud=None),
    "no sub and no grants": hs(sub=None),
    "no sub and empty grants": hs(sub=None, reddot={"subscribe": []}),
    "sub empty": hs(sub=""),
    "sub with slash": hs(sub="42/x"),
    "sub plus": hs(sub="+"),
    "sub hash": hs(sub="#"),
    "sub with wildcard": hs(sub="4#"),
    "sub with NUL": hs(sub="4\x002"),
    "sub with newline": hs(sub="42\n"),
    "sub with C1 control": hs(sub="4\x852"),
    "sub too long": hs(sub="x" * 257),
    "sub number": hs(sub=42),
    "sub list": hs(sub=["42"]),
    "reddot text": hs(reddot="admin"),
    "reddot list": hs(reddot=["admin"]),
    "admin text": hs(reddot={"admin": "true"}),
    "admin number": hs(reddot={"admin": 1}),
    "subscribe text": hs(reddot={"subscribe": "#"}),
    "subscribe numbers": hs(reddot={"subscribe": [1]}),
    "bad filter": hs(reddot={"subscribe": ["a/#/b"]}),
    "bad publish filter": hs(reddot={"publish": ["a+"]}),
    "empty filter": hs(reddot={"publish": [""]}),
    "jti number": hs(jti=5),
}


def test_the_corpus_is_large() -> None:
    assert len(BAD) >= 100


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens(name: str) -> None:
    assert code_of(lambda: verifier().verify(BAD[name])) == "unauthorized"


@pytest.mark.parametrize(
    "name", [name for name in BAD if name.startswith(("none", "wrong sec", "crit", "kid", "jwk"))]
)
def test_the_answer_does_not_say_what_was_wrong_before_the_signature(name: str) -> None:
    with pytest.raises(ReddotError) as caught:
        verifier().verify(BAD[name])
    assert caught.value.detail == ""


def test_the_good_token_of_the_corpus_is_good() -> None:
    assert verifier().verify(GOOD) is not None


@given(
    st.text(max_size=200)
    | st.lists(st.binary(max_size=60), max_size=4).map(lambda parts: ".".join(map(b64, parts)))
)
def test_nothing_else_is_ever_raised(text: str) -> None:
    assert code_of(lambda: verifier().verify(text)) == "unauthorized"


@given(st.binary(max_size=200))
def test_any_signed_payload_gets_an_answer(payload: bytes) -> None:
    assert code_of(lambda: verifier().verify(raw_token(b'{"alg":"HS256"}', payload))) in (
        "unauthorized",
        "token_expired",
    )


def test_a_token_of_the_largest_size_is_read_and_the_next_is_not() -> None:
    good = json.dumps(claims()).encode()
    made = [raw_token(b'{"alg":"HS256"}', b" " * count + good) for count in range(5800, 6100)]
    by_size = {len(token): token for token in made}
    assert verifier().verify(by_size[tokens.TOKEN_BYTES_MAX]) is not None
    longer = min(size for size in by_size if size > tokens.TOKEN_BYTES_MAX)
    assert longer <= tokens.TOKEN_BYTES_MAX + 2  # base64 leaves out every fourth length
    assert code_of(lambda: verifier().verify(by_size[longer])) == "unauthorized"


# ---- time ----


def test_a_token_ends_at_its_second() -> None:
    clock = FakeClock()
    one = verifier(clock)
    token = hs(exp=NOW_S + 10)
    clock.now_s = NOW_S + 9.999
    assert one.verify(token) is not None
    clock.now_s = NOW_S + 10
    assert code_of(lambda: one.verify(token)) == "token_expired"  # from memory
    assert code_of(lambda: verifier(clock).verify(token)) == "token_expired"


def test_only_a_token_that_is_good_otherwise_is_called_expired() -> None:
    expired: dict[str, Any] = {"iat": NOW_S - 100, "exp": NOW_S - 50}
    assert code_of(lambda: verifier().verify(hs(**expired))) == "token_expired"
    assert code_of(lambda: verifier().verify(hs(**expired, iss="other"))) == "unauthorized"
    assert code_of(lambda: verifier().verify(hs(**expired)[:-3])) == "unauthorized"


def test_lifetime_can_be_set_and_turned_off() -> None:
    assert verifier(lifetime_s_max=0).verify(hs(exp=NOW_S + 10**8)) is not None
    assert verifier(lifetime_s_max=60).verify(hs(exp=NOW_S + 60)) is not None
    with pytest.raises(ReddotError, match="longer than 60 seconds"):
        verifier(lifetime_s_max=60).verify(hs(exp=NOW_S + 61))


def test_leeway_can_be_set() -> None:
    assert code_of(lambda: verifier(leeway_s=0).verify(hs(nbf=NOW_S + 1))) == "unauthorized"


# ---- keys ----


class Ring:
    """A ring whose keys a test changes; counts lookups and questions."""

    def __init__(self, keys: dict[tuple[str | None, str], Key], *, known: bool = True) -> None:
        self.keys = keys
        self.known = known
        self.found: list[tuple[str | None, str]] = []
        self.asked = 0

    def find(self, kid: str | None, alg: str) -> Key | None:
        self.found.append((kid, alg))
        return self.keys.get((kid, alg))

    async def refresh(self) -> None:
        self.asked += 1
        self.known = True


def test_an_unknown_key_is_asked_for_once() -> None:
    ring = Ring({}, known=False)
    one = verifier(keys=ring)
    token = signed(RSA, "RS256", {"kid": "new"})
    assert one.verify(token) is None
    asyncio.run(ring.refresh())
    assert code_of(lambda: one.verify(token)) == "unauthorized"
    ring.keys[("new", "RS256")] = RSA
    assert one.verify(token) is not None


def test_two_issuers_with_the_same_kid_do_not_share_keys() -> None:
    first = verifier(keys=Ring({("k1", "RS256"): RSA}), issuer="https://a.example")
    second = verifier(keys=Ring({("k1", "RS256"): RSA_OTHER}), issuer="https://b.example")
    for_first = signed(RSA, "RS256", {"kid": "k1"}, iss="https://a.example")
    assert first.verify(for_first) is not None
    assert code_of(lambda: second.verify(for_first)) == "unauthorized"
    forged = signed(RSA, "RS256", {"kid": "k1"}, iss="https://b.example")
    assert code_of(lambda: second.verify(forged)) == "unauthorized"
    assert code_of(lambda: first.verify(forged)) == "unauthorized"


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith(("kid", "jku", "x5u"))])
def test_a_hostile_header_is_not_even_looked_up(name: str) -> None:
    ring = Ring({}, known=False)
    assert code_of(lambda: verifier(keys=ring).verify(BAD[name])) == "unauthorized"
    assert ring.found == []


def test_a_key_name_is_only_looked_up() -> None:
    ring = Ring({})
    token = hs({"kid": "....etc.passwd"})
    assert code_of(lambda: verifier(keys=ring).verify(token)) == "unauthorized"
    assert ring.found == [("....etc.passwd", "HS256")]


def test_the_first_ring_that_knows_a_key_has_it() -> None:
    secret, other = StaticKeys(secret=SECRET), Ring({("k", "RS256"): RSA}, known=False)
    rings = KeyRings(secret, other)
    assert rings.find("k", "HS256") is secret.find(None, "HS256")
    assert rings.find("k", "RS256") is RSA
    assert rings.find("k", "ES256") is None
    assert not rings.known
    asyncio.run(rings.refresh())
    assert other.asked == 1
    assert rings.known


def test_static_keys_answer_at_once() -> None:
    ring = StaticKeys(secret=SECRET)
    assert ring.known
    asyncio.run(ring.refresh())
    assert ring.find("whatever", "HS256") is not None
    assert ring.find(None, "none") is None


def test_a_secret_may_be_32_bytes_and_not_less() -> None:
    assert StaticKeys(secret="é" * 16).find(None, "HS256") is not None
    with pytest.raises(SettingsError):
        StaticKeys(secret="x" * 31)


WEAK_RSA = """-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDdlatRjRjogo3WojgGHFHYLugd
UWAY9iR3fy4arWNA1KoS8kVw33cJibXr8bvwUAUparCwlvdbH6dvEOfou0/gCFQs
HUfQrSDv+MuSUMAe8jzKE4qW+jK+xQU9a03GUnKHkkle+Q0pX/g6jXZ7r1/xAK5D
o2kQ+X5xK9cipRgEKwIDAQAB
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize(
    "options",
    [
        {"secret": RSA_PEM},
        {"public_key": RSA.as_pem(private=True).decode()},
        {"public_key": ED.as_pem(private=True).decode()},
        {"public_key": ECKey.generate_key("P-384").as_pem().decode()},
        {"public_key": OKPKey.generate_key("Ed448").as_pem().decode()},
        {"public_key": OKPKey.generate_key("X25519").as_pem().decode()},
        {"public_key": WEAK_RSA},
        {"public_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"},
        {"public_key": ""},
        {"public_key": SECRET},
    ],
)
def test_keys_that_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        StaticKeys(**options)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


# ---- memory ----


def test_a_known_token_is_not_verified_again() -> None:
    ring = Ring({(None, "RS256"): RSA})
    one = verifier(keys=ring)
    token = signed(RSA, "RS256")
    assert one.verify(token) is one.verify(token)


def test_a_token_dies_with_its_key() -> None:
    ring = Ring({(None, "RS256"): RSA})
    one = verifier(keys=ring)
    token = signed(RSA, "RS256")
    assert one.verify(token) is not None
    ring.keys[(None, "RS256")] = RSA_OTHER
    assert code_of(lambda: one.verify(token)) == "unauthorized"
    del ring.keys[(None, "RS256")]
    assert code_of(lambda: one.verify(token)) == "unauthorized"


def test_the_oldest_token_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "VERIFIED_MAX", 3)
    one = verifier()
    made = [hs(sub=str(number)) for number in range(4)]
    actors = [one.verify(token) for token in made]
    assert len(one._verified) == 3
    assert one.verify(made[3]) is actors[3]
    again = one.verify(made[0])
    assert again == actors[0]
    assert again is not actors[0]
    assert len(one._verified) == 3


def test_no_token_is_kept() -> None:
    one = verifier()
    one.verify(GOOD)
    assert GOOD not in repr(one._verified)
    assert SIGNATURE not in repr(one._verified)


# ---- making tokens ----


def test_an_issued_token_is_accepted() -> None:
    clock = FakeClock()
    token = issue_token(
        SECRET,
        user="42",
        subscribe=["a/#"],
        publish=["b"],
        admin=True,
        lifetime_s=60,
        clock=clock,
        issuer=ISSUER,
        audience=AUDIENCE,
    )
    assert verifier(clock).verify(token) == Actor(
        user="42", subscribe=("a/#",), publish=("b",), admin=True, expires_ms=(NOW_S + 60) * 1000
    )


def test_an_issued_token_says_no_more_than_asked() -> None:
    token = issue_token(SECRET, user="42", lifetime_s=60, clock=FakeClock())
    payload = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    assert payload == {"sub": "42", "iat": NOW_S, "exp": NOW_S + 60}


def test_a_short_secret_signs_nothing() -> None:
    with pytest.raises(SettingsError):
        issue_token("short", user="42", lifetime_s=60, clock=FakeClock())
