"""Keys from an address: when they are fetched, what is kept, and which keys are taken."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from reddot.errors import ReddotError, SettingsError
from reddot.net import jwks
from reddot.net.jwks import JwksKeys, parse_key_set

URL = "https://issuer.example/keys"
RSA, RSA_OTHER = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
EC, ED = ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def wall_ms(self) -> int:
        raise AssertionError("waits are measured on the monotonic clock")

    def monotonic(self) -> float:
        return self.now_s


def public(key: Any, **more: object) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


class Source:
    """An address that a test controls; it can be slow, broken and changed."""

    def __init__(self, body: bytes | Exception) -> None:
        self.body = body
        self.fetches = 0
        self.gate: asyncio.Event | None = None

    async def __call__(self, url: str) -> bytes:
        assert url == URL
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.body, Exception):
            raise self.body
        return self.body


def ring(body: bytes | Exception) -> tuple[JwksKeys, Source, FakeClock]:
    clock, source = FakeClock(), Source(body)
    return JwksKeys(URL, clock=clock, fetch=source), source, clock


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(bounded())


# ---- when ----


def test_keys_are_fetched_at_the_first_question() -> None:
    async def scenario() -> None:
        keys, source, _ = ring(key_set(public(RSA, kid="a")))
        assert not keys.known
        assert keys.find("a", "RS256") is None
        await keys.refresh()
        found = keys.find("a", "RS256")
        assert found is not None
        assert found.as_dict()["n"] == RSA.as_dict()["n"]
        assert keys.known
        assert keys.failure == ""
        assert source.fetches == 1

    run(scenario)


def test_a_thousand_unknown_kids_cause_one_fetch() -> None:
    async def scenario() -> None:
        keys, source, clock = ring(key_set(public(RSA, kid="a")))
        await keys.refresh()
        clock.now_s += 30
        for number in range(1000):
            clock.now_s += 0.029  # 29 s in all
            if keys.find(f"unknown-{number}", "RS256") is None and not keys.known:
                await keys.refresh()
        assert source.fetches == 2
        await asyncio.gather(*(keys.refresh() for _ in range(1000)))
        assert source.fetches == 2

    run(scenario)


def test_an_unknown_kid_may_ask_every_30_seconds() -> None:
    async def scenario() -> None:
        keys, source, clock = ring(key_set(public(RSA, kid="a")))
        await keys.refresh()
        source.body = key_set(public(RSA, kid="a"), public(RSA_OTHER, kid="b"))
        clock.now_s += 29.9
        await keys.refresh()
        assert (keys.find("b", "RS256"), keys.known) == (None, True)
        clock.now_s += 0.1
        assert not keys.known
        await keys.refresh()
        assert keys.find("b", "RS256") is not None
        assert source.fetches == 2

    run(scenario)


def test_many_callers_make_one_fetch_and_all_wait_for_it() -> None:
    async def scenario() -> None:
        keys, source, _ = ring(key_set(public(RSA, kid="a")))
        source.gate = asyncio.Event()
        waiting = [asyncio.create_task(keys.refresh()) for _ in range(100)]
        await asyncio.sleep(0)
        assert not keys.known  # nobody is turned away while the answer is under way
        source.gate.set()
        await asyncio.gather(*waiting)
        assert source.fetches == 1
        assert keys.find("a", "RS256") is not None

    run(scenario)


def test_nobody_is_turned_away_while_a_rotated_key_is_fetched() -> None:
    async def scenario() -> None:
        keys, source, clock = ring(key_set(public(RSA, kid="a")))
        await keys.refresh()
        clock.now_s += 60
        source.gate = asyncio.Event()
        first = asyncio.create_task(keys.refresh())
        await asyncio.sleep(0)
        assert keys.find("b", "RS256") is None
        assert not keys.known
        assert keys.find("a", "RS256") is not None
        source.gate.set()
        await first
        assert keys.known

    run(scenario)


def test_a_caller_that_leaves_does_not_take_the_fetch_along() -> None:
    async def scenario() -> None:
        keys, source, _ = ring(key_set(public(RSA, kid="a")))
        source.gate = asyncio.Event()
        leaving = asyncio.create_task(keys.refresh())
        staying = asyncio.create_task(keys.refresh())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        source.gate.set()
        await staying
        assert source.fetches == 1
        assert keys.find("a", "RS256") is not None

    run(scenario)


def test_a_set_is_fetched_again_after_ten_minutes() -> None:
    async def scenario() -> None:
        keys, source, clock = ring(key_set(public(RSA, kid="a")))
        await keys.refresh()
        clock.now_s += 599.9
        assert keys.find("a", "RS256") is not None
        clock.now_s += 0.1
        assert keys.find("a", "RS256") is None
        assert not keys.known
        source.body = key_set(public(RSA_OTHER, kid="b"))
        await keys.refresh()
        assert keys.find("a", "RS256") is None  # withdrawn
        assert keys.find("b", "RS256") is not None

    run(scenario)


@pytest.mark.parametrize(
    "broken",
    [
        OSError("refused"),
        TimeoutError(),
        ValueError("status 500"),
        b"<html>",
        b"",
        b"null",
        b"[]",
        b'{"keys":5}',
        b'{"keys":[5]}',
        b'{"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"AAAA"}]}',
        b'{"keys":' + b"[" * 5000,
        b'{"keys":[{"x":' + b"[" * 5000,
        b" " * (jwks.SET_BYTES_MAX + 1),
    ],
)
def test_the_last_good_keys_are_kept(broken: bytes | Exception) -> None:
    async def scenario() -> None:
        keys, source, clock = ring(key_set(public(RSA, kid="a")))
        await keys.refresh()
        source.body = broken
        clock.now_s += 3600
        assert keys.find("a", "RS256") is None
        await keys.refresh()
        assert keys.find("a", "RS256") is not None
        assert keys.failure != ""
        assert source.fetches == 2
        source.body = key_set(public(RSA, kid="a"))
        clock.now_s += 30
        assert keys.find("a", "RS256") is None  # still too old, and it may be asked again
        await keys.refresh()
        assert keys.failure == ""

    run(scenario)


def test_without_any_keys_it_is_the_servers_fault() -> None:
    async def scenario() -> None:
        keys, source, clock = ring(OSError("refused"))
        for _ in range(3):
            with pytest.raises(ReddotError) as caught:
                await keys.refresh()
            assert caught.value.code == "keys_unavailable"
            assert not keys.known
        assert source.fetches == 1
        clock.now_s += 30
        source.body = key_set(public(RSA, kid="a"))
        await keys.refresh()
        assert keys.known

    run(scenario)


def test_a_fetch_takes_five_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT_S", 0)

    async def scenario() -> None:
        keys, source, _ = ring(b"")
        source.gate = asyncio.Event()
        with pytest.raises(ReddotError):
            await keys.refresh()
        assert keys.failure == "TimeoutError"

    run(scenario)


def test_closing_gives_up_a_fetch() -> None:
    async def scenario() -> None:
        keys, source, _ = ring(key_set(public(RSA)))
        source.gate = asyncio.Event()
        waiting = asyncio.create_task(keys.refresh())
        await asyncio.sleep(0)
        await keys.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await keys.aclose()

    run(scenario)


# ---- which keys ----


def names(*keys: dict[str, Any]) -> set[tuple[str | None, str]]:
    return set(parse_key_set(key_set(*keys)))


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(RSA, {"RS256"}), (EC, {"ES256"}), (ED, {"EdDSA", "Ed25519"})],
)
def test_three_kinds_are_taken(key: Any, algorithms: set[str]) -> None:
    found = names(public(key, kid="k"))
    assert found == {(kid, alg) for kid in ("k", None) for alg in algorithms}


@pytest.mark.parametrize(
    "more",
    [{"use": "sig"}, {"key_ops": ["verify"]}, {"alg": "RS256"}, {"x5t": "x", "issuer": "me"}],
)
def test_what_a_key_may_say(more: dict[str, Any]) -> None:
    assert ("k", "RS256") in names(public(RSA, kid="k", **more))


def test_a_keys_alg_narrows_what_it_is_for() -> None:
    assert names(public(ED, kid="k", alg="EdDSA")) == {("k", "EdDSA"), (None, "EdDSA")}


WEAK_N = urlsafe_b64encode(b"\xc5" * 127 + b"\xc1").decode().rstrip("=")

UNUSABLE: dict[str, Any] = {
    "shared secret": OctKey.generate_key(256).as_dict(private=True),
    "shared secret for HS256": {**OctKey.generate_key(256).as_dict(private=True), "alg": "HS256"},
    "private RSA": RSA.as_dict(private=True),
    "private EC": EC.as_dict(private=True),
    "for encryption": public(RSA, use="enc"),
    "use null": public(RSA, use=None),
    "for signing only": public(RSA, key_ops=["sign"]),
    "no operations": public(RSA, key_ops=[]),
    "operations text": public(RSA, key_ops="verify"),
    "another alg": public(RSA, alg="RS512"),
    "PSS": public(RSA, alg="PS256"),
    "HS256 on RSA": public(RSA, alg="HS256"),
    "alg none": public(RSA, alg="none"),
    "alg number": public(RSA, alg=1),
    "P-384": public(ECKey.generate_key("P-384")),
    "secp256k1": public(ECKey.generate_key("secp256k1")),
    "Ed448": public(OKPKey.generate_key("Ed448")),
    "X25519": public(OKPKey.generate_key("X25519")),
    "RSA with a curve": public(RSA, crv="P-256"),
    "weak RSA": {"kty": "RSA", "n": WEAK_N, "e": "AQAB"},
    "broken RSA": {"kty": "RSA", "n": "!!", "e": "AQAB"},
    "half RSA": {"kty": "RSA", "n": WEAK_N},
    "point off the curve": public(EC, x=public(EC)["y"]),
    "short Ed25519": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
    "kid number": public(RSA, kid=5),
    "kid null": public(RSA, kid=None),
    "kty list": {"kty": ["RSA"]},
    "unknown kind": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    "empty": {},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_keys_are_left_out_and_the_others_kept(name: str) -> None:
    with pytest.raises(ValueError, match="no usable key"):
        parse_key_set(key_set(UNUSABLE[name]))
    assert names(UNUSABLE[name], public(ED, kid="good", alg="EdDSA")) == {
        ("good", "EdDSA"),
        (None, "EdDSA"),
    }


def test_without_a_kid_there_must_be_one_choice() -> None:
    two = names(public(RSA, kid="a"), public(RSA_OTHER, kid="b"), public(EC, kid="c"))
    assert two == {("a", "RS256"), ("b", "RS256"), ("c", "ES256"), (None, "ES256")}
    assert names(public(EC)) == {(None, "ES256")}


def test_of_two_keys_with_one_name_the_first_is_taken() -> None:
    found = parse_key_set(key_set(public(RSA, kid="a"), public(RSA_OTHER, kid="a")))
    assert found[("a", "RS256")].as_dict()["n"] == public(RSA)["n"]


def test_the_largest_set_is_read() -> None:
    body = key_set(public(RSA, kid="a"))
    padded = body + b" " * (jwks.SET_BYTES_MAX - len(body))
    assert ("a", "RS256") in parse_key_set(padded)
    with pytest.raises(ValueError, match="longer"):
        parse_key_set(padded + b" ")


# ---- the address and the fetch itself ----


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/keys",
        "http://localhost:9000/keys",
        "http://127.0.0.1/keys",
        "http://[::1]:1/k",
    ],
)
def test_good_addresses(url: str) -> None:
    JwksKeys(url, clock=FakeClock())


@pytest.mark.parametrize(
    "url",
    [
        *("http://issuer.example/keys", "http://10.0.0.1/keys", "file:///etc/passwd", "https://"),
        *(
            "",
            "issuer.example",
            "ftp://localhost/k",
            "http://localhost.evil.example/",
            "//localhost",
        ),
        *("http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/", "http:///keys"),
    ],
)
def test_bad_addresses(url: str) -> None:
    with pytest.raises(SettingsError):
        JwksKeys(url, clock=FakeClock())


@asynccontextmanager
async def server(answer: bytes, *, endless: bool = False) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        with suppress(ConnectionError):
            await writer.drain()
            while endless:
                writer.write(b" " * 4096)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/keys"
    finally:
        listening.close()


def http_answer(status: str, body: bytes, *lines: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines])
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + body


def test_the_fetch_over_a_socket() -> None:
    async def scenario() -> None:
        async with server(http_answer("200 OK", key_set(public(RSA, kid="a")))) as url:
            keys = JwksKeys(url, clock=FakeClock())
            await keys.refresh()
            assert keys.find("a", "RS256") is not None

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http_answer("404 Not Found", b""), "status 404"),
        (http_answer("302 Found", b"", "Location: http://127.0.0.1:1/"), "status 302"),
        (http_answer("200 OK", b" " * (jwks.SET_BYTES_MAX + 1)), "longer than"),
        (b"nonsense\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
    ],
)
def test_answers_that_do_not_count(answer: bytes, reason: str) -> None:
    async def scenario() -> None:
        async with server(answer) as url:
            keys = JwksKeys(url, clock=FakeClock())
            with pytest.raises(ReddotError):
                await keys.refresh()
            assert reason in keys.failure

    run(scenario)


def test_an_answer_without_end_is_left_at_its_limit() -> None:
    async def scenario() -> None:
        async with server(b"HTTP/1.1 200 OK\r\n\r\n", endless=True) as url:
            with pytest.raises(ValueError, match="longer than"):
                await jwks.fetch(url)

    run(scenario)


def test_nobody_there() -> None:
    async def scenario() -> None:
        async with server(b"") as url:
            pass
        keys = JwksKeys(url, clock=FakeClock())
        with pytest.raises(ReddotError):
            await keys.refresh()
        assert "ConnectError" in keys.failure

    run(scenario)
