"""Reading credentials off a request: strict, so that a broken one is never anonymous."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs.credentials import Credential, credential_of

TOKEN = "eyJh.eyJz-_.c2ln"


def bearer(value: bytes) -> str | None:
    return credential_of({b"authorization": value}, None).bearer


def cookie(value: bytes) -> str | None:
    return credential_of({b"cookie": value}, None).cookie


def test_nothing_is_nothing() -> None:
    assert credential_of({}, None) == Credential()


def test_everything_is_read() -> None:
    headers = {
        b"authorization": b"Bearer " + TOKEN.encode(),
        b"cookie": b"theme=dark; reddot_token=abc; x=y",
        b"origin": b"https://app.example.com",
        b"host": b"push.example.com:8443",
        b"sec-fetch-site": b"cross-site",
    }
    assert credential_of(headers, "t1") == Credential(
        bearer=TOKEN,
        cookie="abc",
        ticket="t1",
        origin="https://app.example.com",
        host="push.example.com:8443",
        cross_site=True,
    )


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  ", b" Bearer "])
def test_the_scheme_is_written_as_one_likes(scheme: bytes) -> None:
    assert bearer(scheme + TOKEN.encode()) == TOKEN


def test_an_api_key_is_a_bearer() -> None:
    assert bearer(b"Bearer rk_12345678_abc-_=") == "rk_12345678_abc-_="


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b" ", b"Bearer", b"Bearer ", b"Basic dXNlcjpwYXNz", b"Digest a=b", b"Bearer a b"),
        *(b"Bearer a,b", b"Bearer: abc", b"Bearer\tabc", b"Bearer =", b"Bearer a=b", b"abc"),
        *(b"Bearer \xc3\xa9", b'Bearer "abc"', b"Bearer abc\x00", b"XBearer abc"),
    ],
)
def test_a_broken_header_is_a_broken_credential(value: bytes) -> None:
    assert bearer(value) == ""


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"reddot_token=abc", "abc"),
        (b"a=1;reddot_token=abc;b=2", "abc"),
        (b"reddot_token = abc ", "abc"),
        (b"reddot_token=abc; reddot_token=abc", "abc"),
        # none of ours
        (b"", None),
        (b"a=1; b=2", None),
        (b"xreddot_token=abc", None),
        (b"reddot_tokens=abc", None),
        (b"Reddot_Token=abc", None),
        (b"a=reddot_token", None),
        # ours, and no good
        (b"reddot_token", ""),
        (b"reddot_token=", ""),
        (b'reddot_token="abc"', ""),
        (b"reddot_token=a b", ""),
        (b"reddot_token=\xff", ""),
        (b"reddot_token=abc; reddot_token=def", ""),
        (b"reddot_token=abc; reddot_token=", ""),
    ],
)
def test_the_cookie(value: bytes, read: str | None) -> None:
    assert cookie(value) == read


@pytest.mark.parametrize("site", [b"same-origin", b"same-site", b"none", b"", b"Cross-Site"])
def test_other_sites_are_told_by_one_word(site: bytes) -> None:
    assert not credential_of({b"sec-fetch-site": site}, None).cross_site


def test_an_empty_ticket_is_a_ticket() -> None:
    assert credential_of({}, "").ticket == ""


@given(
    st.dictionaries(st.sampled_from([b"authorization", b"cookie", b"origin", b"host"]), st.binary())
)
def test_any_bytes_are_read(headers: dict[bytes, bytes]) -> None:
    read = credential_of(headers, None)
    assert (read.bearer is None) == (b"authorization" not in headers)
    assert (read.origin is None) == (b"origin" not in headers)


@pytest.mark.parametrize(
    ("cookie", "header", "expected"),
    [
        (b"reddot_console=a.b.c", True, "a.b.c"),
        (b"x=1; reddot_console=a.b.c; y=2", True, "a.b.c"),
        (b"reddot_console=a.b.c", False, None),
        (b"reddot_console=a; reddot_console=b", True, ""),
        (b"reddot_console=a b", True, ""),
        (b"reddot_console=", True, ""),
        (b"reddot_token=a.b.c", True, ""),
        (None, True, ""),
        (None, False, None),
    ],
)
def test_the_consoles_cookie_counts_with_its_header_only(
    cookie: bytes | None, header: bool, expected: str | None
) -> None:
    headers = {b"cookie": cookie} if cookie is not None else {}
    if header:
        headers[b"reddot-console"] = b"1"
    assert credential_of(headers, None).console == expected
