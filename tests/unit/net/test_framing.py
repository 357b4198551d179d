"""Where a message ends: each head and body is refused, or framed as RFC 9112 says and no other way.

A request that two servers in a row frame differently is a smuggled request.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.errors import ReddotError
from reddot.net.framing import ChunkedBody, Head, HeadLimits, check_partial, parse_head

LIMITS = HeadLimits()
START = "POST /p HTTP/1.1"
HOST = "Host: x"


def lines(*fields: str, start: str = START, host: str | None = HOST) -> bytes:
    """A head of these lines, well ended."""
    all_lines = [start, *([host] if host else ()), *fields]
    return "".join(f"{line}\r\n" for line in all_lines).encode("latin-1") + b"\r\n"


def head(*fields: str, start: str = START, host: str | None = HOST) -> Head:
    return parse_head(lines(*fields, start=start, host=host), LIMITS)


def code_of(raw: bytes, limits: HeadLimits = LIMITS) -> str:
    with pytest.raises(ReddotError) as caught:
        parse_head(raw, limits)
    return caught.value.code


BAD_LENGTHS = [
    *("5, 5", "5,6", "+5", "-5", "0x5", "5_0", "5.0", "", "5 5", "\x0b5", "5\x0c", "\xb25"),
    "\xa05",
]
BAD_CODINGS = [
    *("xchunked", "chunkedx", "identity", "gzip", "", "gzip, chunked", "chunked, gzip"),
    "chunked;q=1",
    *('"chunked"', "chunked,", ",chunked", "\x0bchunked", "chunked\x0c", "chunked chunked"),
]
SMUGGLING = [
    # two lengths, or one that is none
    lines("Content-Length: 5", "Transfer-Encoding: chunked"),
    lines("Transfer-Encoding: chunked", "Content-Length: 5"),
    lines("Content-Length: 5", "Content-Length: 6"),
    lines("Content-Length: 5", "Content-Length: 5"),
    *(lines(f"Content-Length: {text}") for text in BAD_LENGTHS),
    lines("Content-Length : 5"),
    lines("Content-Length\t: 5"),
    lines("Content-Length\0: 5"),
    # codings that are not exactly "chunked"
    *(lines(f"Transfer-Encoding: {text}") for text in BAD_CODINGS),
    lines("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    lines("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    lines("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
    lines("Transfer-Encoding : chunked"),
    # obsolete folding
    lines("X: a", " Content-Length: 5"),
    lines("X: a", "\tTransfer-Encoding: chunked"),
    lines("Transfer-Encoding:", " chunked"),
    lines(" Content-Length: 5", host=None),
    # a CR or LF of its own is not a line end
    b"POST /p HTTP/1.1\nHost: x\n\nGET /q HTTP/1.1\r\nHost: y\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\n\nGET /q HTTP/1.1\r\nHost: y\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\n\r\nGET /q HTTP/1.1\r\nHost: y\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\r\nGET /q HTTP/1.1\r\nHost: y\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\rGET /q HTTP/1.1\r\nHost: y\r\n\r\n",
    b"POST /p HTTP/1.1\nHost: x\r\n\r\n",
    b"POST /p HTTP/1.1\rHost: x\r\n\r\n",
    lines("X: a\rTransfer-Encoding: chunked"),
    lines("X: a\nTransfer-Encoding: chunked"),
    lines("X: a\n\nGET /q HTTP/1.1"),
    # fields that change meaning when repeated
    lines("Host: y"),
    lines("Authorization: Bearer a", "Authorization: Bearer b"),
    lines("Content-Type: text/plain", "Content-Type: application/json"),
    lines("Origin: https://a.example", "Origin: https://b.example"),
    # no fields at all
    *map(lines, ("No colon", ": empty", "X\xe9: 1", "X(: 1", "X Y: 1", "X\0: 1")),
    *map(lines, ("X: \0", "X: \x01", "X: \x7f", "X: \x0b")),
]
START_LINES = [
    *("", "POST", "POST /p", "POST /p HTTP/1", "POST /p HTTP/2.0", "POST /p HTTP/0.9"),
    "POST /p http/1.1",
    *("POST /p HTTP/1.2", "POST /p HTTP/1.10", "POST /p HTTP/01.1", "POST /p HTTP/1.1 "),
    "POST /p HTTP /1.1",
    *("POST /p FOO/1.1", "POST /p x HTTP/1.1", "POST\t/p HTTP/1.1", " POST /p HTTP/1.1"),
    "post /p HTTP/1.1",
    *("FOO /p HTTP/1.1", "POST /p\0 HTTP/1.1", "POST /\xe9 HTTP/1.1", "POST /p\tq HTTP/1.1"),
    "HTTP/1.1 200 OK",
    *("POST @e/p HTTP/1.1", "POST e HTTP/1.1", "POST ?a HTTP/1.1", "POST \\p HTTP/1.1"),
    "POST /p\x0bq HTTP/1.1",
    *("CONNECT e:1 HTTP/1.1", "PRI * HTTP/2.0", "POST  HTTP/1.1", "\x16\x03\x01"),
    "\x10\x0c\x04MQTT",
]


def test_there_is_enough_to_refuse() -> None:
    assert len(set(SMUGGLING)) >= 30


@pytest.mark.parametrize("raw", SMUGGLING, ids=range(len(SMUGGLING)))
def test_a_head_that_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    assert code_of(raw) == "http_invalid"


@pytest.mark.parametrize("start", START_LINES)
def test_a_wrong_request_line_is_refused(start: str) -> None:
    assert code_of(lines(start=start)) == "http_invalid"


def test_http_1_1_needs_a_host() -> None:
    assert code_of(lines(host=None)) == "http_invalid"
    assert head(start="POST /p HTTP/1.0", host=None).path == "/p"


@pytest.mark.parametrize(
    ("field", "length"),
    [
        ("Content-Length: 5", 5),
        ("content-length:5", 5),
        ("CONTENT-LENGTH: \t5\t ", 5),
        ("Content-Length: 00005", 5),
        ("Content-Length: 0", 0),
        ("X-Content-Length: 5", 0),
        ("Content_Length: 5", 0),
        ("Transfer-Encoding: chunked", -1),
        ("Transfer-Encoding: Chunked ", -1),
        ("Transfer_Encoding: chunked", 0),
        ("TE: chunked", 0),
    ],
)
def test_the_length_of_a_body(field: str, length: int) -> None:
    assert head(field).length == length


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/v1/publish", "/v1/publish", b""),
        ("/p?a=1&b", "/p", b"a=1&b"),
        ("/p?", "/p", b""),
        ("/p?a?b", "/p", b"a?b"),
        # The path stays as it came: hot routes are matched exactly and nothing is resolved.
        ("/v1/%70ublish", "/v1/%70ublish", b""),
        ("/%2e%2e/v1", "/%2e%2e/v1", b""),
        ("/a/../v1/publish", "/a/../v1/publish", b""),
        ("//evil/v1/publish", "//evil/v1/publish", b""),
        ("/v1/publish;x", "/v1/publish;x", b""),
        ("/v1/publish/", "/v1/publish/", b""),
        ("/V1/PUBLISH", "/V1/PUBLISH", b""),
        ("/v1/publish%00", "/v1/publish%00", b""),
        ("/@evil", "/@evil", b""),
        ("*", "*", b""),
        # Absolute form (RFC 9112 section 3.2.2): the authority is not looked at.
        ("http://evil/v1/publish?x", "/v1/publish", b"x"),
        ("http://evil", "/", b""),
    ],
)
def test_the_target(target: str, path: str, query: bytes) -> None:
    found = head(start=f"GET {target} HTTP/1.1")
    assert (found.path, found.query) == (path, query)


@pytest.mark.parametrize(
    ("start", "connection", "stays"),
    [
        ("GET /p HTTP/1.1", None, True),
        ("GET /p HTTP/1.1", "keep-alive", True),
        ("GET /p HTTP/1.1", "close", False),
        ("GET /p HTTP/1.1", "Close", False),
        ("GET /p HTTP/1.1", "keep-alive, close", False),
        ("GET /p HTTP/1.1", "x ,close", False),
        ("GET /p HTTP/1.1", "closed", True),
        ("GET /p HTTP/1.0", None, False),
        ("GET /p HTTP/1.0", "keep-alive", False),
    ],
)
@pytest.mark.parametrize("length", [None, 0, 5])
def test_whether_the_connection_stays(
    start: str, connection: str | None, stays: bool, length: int | None
) -> None:
    fields = [f"Connection: {connection}"] if connection else []
    fields += [f"Content-Length: {length}"] if length is not None else []
    assert head(*fields, start=start).keep_alive is stays


@pytest.mark.parametrize(
    ("start", "fields", "upgrade"),
    [
        ("GET /p HTTP/1.1", ("Connection: Upgrade", "Upgrade: websocket"), True),
        ("GET /p HTTP/1.1", ("Connection: keep-alive, upgrade", "Upgrade: h2c"), True),
        ("GET /p HTTP/1.1", ("Upgrade: websocket",), False),
        ("GET /p HTTP/1.1", ("Connection: Upgrade",), False),
        # RFC 9110 section 7.8: an upgrade in HTTP/1.0 is ignored.
        ("GET /p HTTP/1.0", ("Connection: Upgrade", "Upgrade: websocket"), False),
    ],
)
def test_an_upgrade(start: str, fields: tuple[str, ...], upgrade: bool) -> None:
    assert head(*fields, start=start).upgrade is upgrade


def test_fields_are_lower_case_and_joined() -> None:
    found = head("X-A: 1", "x-a:2", "Cookie: a=1", "COOKIE: b=2", "Accept: ", "Y:\t padded \t")
    assert found.headers == {
        b"host": b"x",
        b"x-a": b"1, 2",
        b"cookie": b"a=1; b=2",
        b"accept": b"",
        b"y": b"padded",
    }


def test_an_empty_line_before_a_request_is_skipped() -> None:
    """RFC 9112 section 2.2: some clients send one behind a body."""
    assert parse_head(b"\r\n" + lines(), LIMITS).path == "/p"


# Limits


def test_header_bytes_at_the_limit_and_beyond() -> None:
    room = LIMITS.header_bytes_max - len(lines("X: "))
    assert parse_head(lines("X: " + "a" * room), LIMITS).headers[b"x"] == b"a" * room
    assert code_of(lines("X: " + "a" * (room + 1))) == "header_too_large"


def test_header_fields_at_the_limit_and_beyond() -> None:
    fields = [f"X{n}: 1" for n in range(LIMITS.header_fields_max - 1)]
    assert len(head(*fields).headers) == LIMITS.header_fields_max
    assert code_of(lines(*fields, "Y: 1")) == "header_too_large"
    repeated = ["X: 1"] * LIMITS.header_fields_max
    assert code_of(lines(*repeated)) == "header_too_large"


def test_url_bytes_at_the_limit_and_beyond() -> None:
    longest = "/" + "a" * (LIMITS.url_bytes_max - 1)
    assert head(start=f"GET {longest} HTTP/1.1").path == longest
    assert code_of(lines(start=f"GET {longest}a HTTP/1.1")) == "uri_too_long"
    assert code_of(lines(start=f"GET /?{longest} HTTP/1.1")) == "uri_too_long"


def test_body_bytes_at_the_limit_and_beyond() -> None:
    most = LIMITS.body_bytes_max
    assert head(f"Content-Length: {most}").length == most
    for length in (most + 1, 10**15, 10**16, 10**18):
        assert code_of(lines(f"Content-Length: {length}")) == "body_too_large"
    for length in (1 << 64, 10**30):
        assert code_of(lines(f"Content-Length: {length}")) in ("body_too_large", "http_invalid")


@given(st.integers(1, 40_000))
def test_the_answer_does_not_depend_on_how_a_head_arrives(size: int) -> None:
    """One that is too large is refused with the same code, whole and piece by piece."""
    url = lines(start=f"GET /{'a' * size} HTTP/1.1")
    field = lines("X: " + "a" * size)
    for raw in (url, field):
        whole, partial = None, None
        try:
            parse_head(raw, LIMITS)
        except ReddotError as error:
            whole = error.code
        try:
            for end in range(1000, len(raw), 1000):
                check_partial(raw[:end], LIMITS)
            parse_head(raw, LIMITS)
        except ReddotError as error:
            partial = error.code
        assert whole == partial


def test_a_partial_head_within_its_limits_may_go_on() -> None:
    check_partial(b"", LIMITS)
    check_partial(lines()[:-2], LIMITS)
    check_partial(b"GET /" + b"a" * (LIMITS.url_bytes_max - 1), LIMITS)
    with pytest.raises(ReddotError, match="uri_too_long"):
        check_partial(b"GET /" + b"a" * (LIMITS.url_bytes_max + 40), LIMITS)
    with pytest.raises(ReddotError, match="header_too_large"):
        check_partial(b"GET / HTTP/1.1\r\nX: " + b"a" * LIMITS.header_bytes_max, LIMITS)


# Chunked bodies


def read_chunked(wire: bytes, step: int | None = None, most: int = 1000) -> tuple[bytes, bytes]:
    """Content and rest of a complete body, fed in pieces."""
    body = ChunkedBody(most)
    at = 0
    while not body.complete and at < len(wire):
        piece = wire[at : at + (step or len(wire))]
        taken = body.feed(piece)
        assert 0 < taken <= len(piece)
        assert taken == len(piece) or body.complete
        at += taken
    assert body.complete
    return bytes(body.content), wire[at:]


def chunked_code_of(wire: bytes, step: int | None = None, most: int = 1000) -> str:
    with pytest.raises(ReddotError) as caught:
        read_chunked(wire, step, most)
    return caught.value.code


CHUNKED = [
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", b"hello world"),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"00000005\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5\r\n\r\n\r\n0\r\n0\r\n\r\n", b"\r\n\r\n0"),
    # RFC 9112 section 7.1.1: unknown extensions are ignored.
    (b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"hello"),
    (b'5; a="\x80;"\r\nhello\r\n0\r\n\r\n', b"hello"),
    (b"5;" + b"a" * 1020 + b"\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5\r\nhello\r\n0\r\nX: 1\r\nY: 2\r\n\r\n", b"hello"),
    (b"5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n", b"hello"),
]
BAD_SIZES = [
    *(b"", b"x", b"-5", b"+5", b" 5", b"5 ", b"5\t", b"5 ;a", b"5\x0c", b"5\0", b"\xb25", b"5\xa0"),
    *(b"0x5", b"5h", b"5_0", b"5.0", b"5 5", b";a", b"000000005", b"100000005", b"F" * 16),
    b"f" * 17,
    *(b"5\r", b"5;a\rb", b"\r5", b"\n5", b"5\nhello", b"5;a\nhello", b"5;" + b"a" * 1100),
    b"0" * 2000,
]
BAD_CHUNKED = [
    *(b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n"),
    *(b"5\r\nhello0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"5\r\nhell\r\n0\r\n\r\n"),
    *(b"5\r\nhello\r\n0\n\r\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\r\n\r\r\n\r\n"),
    *(b"0\r\nX: 1\n\r\n", b"0\r\nX: a\rb\r\n\r\n", b"0\r\nGET /q HTTP/1.1\r\n\r\n"),
    b"0\r\nX\r\n\r\n",
    *(b"0\r\n: x\r\n\r\n", b"0\r\n X: 1\r\n\r\n", b"0\r\nX : 1\r\n\r\n", b"0\r\nX\xe9: 1\r\n\r\n"),
    *(b"0\r\nX: " + b"a" * 1100 + b"\r\n\r\n", b"0\r\n" + b"X: 1\r\n" * 1100 + b"\r\n"),
    *(size + b"\r\nhello\r\n0\r\n\r\n" for size in BAD_SIZES),
]
STEPS = [None, 1, 2, 3, 7]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("wire", "content"), CHUNKED, ids=range(len(CHUNKED)))
def test_a_chunked_body(wire: bytes, content: bytes, step: int | None) -> None:
    assert read_chunked(wire + b"GET /next", step) == (content, b"GET /next")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("wire", BAD_CHUNKED, ids=range(len(BAD_CHUNKED)))
def test_a_bad_chunked_body(wire: bytes, step: int | None) -> None:
    assert chunked_code_of(wire, step) == "http_invalid"


def test_chunked_content_at_the_limit_and_beyond() -> None:
    assert read_chunked(b"3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n")[0] == b"a" * 1000
    # Refused at the announcement, before the bytes have come.
    assert chunked_code_of(b"3e9\r\n") == "body_too_large"
    assert chunked_code_of(b"FFFFFFFF\r\n") == "body_too_large"
    assert chunked_code_of(b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\n") == "body_too_large"
    assert chunked_code_of(b"1\r\na\r\n" * 1001) == "body_too_large"


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 50), st.booleans())
def test_any_content_in_any_pieces(chunks: list[bytes], step: int, upper: bool) -> None:
    sizes = [f"{len(chunk):X}" if upper else f"{len(chunk):x}" for chunk in chunks]
    wire = b"".join(b"%b\r\n%b\r\n" % (s.encode(), c) for s, c in zip(sizes, chunks, strict=True))
    content, rest = read_chunked(wire + b"0\r\n\r\n" + b"rest", step, most=10_000)
    assert content == b"".join(chunks)
    assert rest == b"rest"


@given(st.binary(max_size=100), st.integers(1, 20))
def test_any_bytes_end_the_same_however_they_come(wire: bytes, step: int) -> None:
    def outcome(pieces: int) -> tuple[str, bytes]:
        body, at = ChunkedBody(1000), 0
        try:
            while not body.complete and at < len(wire):
                at += body.feed(wire[at : at + pieces])
        except ReddotError as error:
            return error.code, b""
        return ("complete", bytes(body.content)) if body.complete else ("partial", b"")

    assert outcome(step) == outcome(len(wire) or 1)
