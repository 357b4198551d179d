"""HTTP/1.1 message framing: the head as a value, and where a body ends.

Heads are parsed by `httptools` (llhttp, strict); this module adds what a front door must refuse
(RFC 9112): obsolete folding, repeated fields that change meaning, wrong lengths. Sans-I/O.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final

import httptools
import msgspec

from reddot.errors import ReddotError

HEAD_END: Final = b"\r\n\r\n"

_SINGLE: Final = frozenset(
    (
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"if-none-match",
        b"last-event-id",
        b"origin",
        b"transfer-encoding",
    )
)


class Head(msgspec.Struct, kw_only=True):
    """A request's head. Equal bytes share one object, so it is not changed after parsing.

    Attributes:
        raw: the bytes it was parsed from, blank line included.
        path: as it came, not percent-decoded: hot routes match exactly.
        headers: lower-case names; repeated fields joined as RFC 9110 section 5.3 says.
        length: of the body; 0 for none; -1 for chunked.
        keep_alive: whether the connection goes on after the answer.
        chunks: whether the answer may be chunked: it is not HTTP/1.0 (RFC 9112 section 6.1).
        memo: a place for whoever handles the route to keep what it derived from the head.
    """

    raw: bytes
    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    length: int
    keep_alive: bool
    chunks: bool
    upgrade: bool
    memo: Any = None


class HeadLimits(msgspec.Struct, frozen=True, kw_only=True):
    header_bytes_max: int = 16_384
    header_fields_max: int = 64
    url_bytes_max: int = 8_192
    body_bytes_max: int = 1_048_576


class _Collector:
    """What llhttp calls back."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.rstrip(b" \t")))


def _join_fields(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in headers:
            if name in _SINGLE:
                raise ReddotError("http_invalid", f"field '{name.decode('latin-1')}' repeated")
            headers[name] += (b"; " if name == b"cookie" else b", ") + value
        else:
            headers[name] = value
    return headers


def _body_length(headers: dict[bytes, bytes], limits: HeadLimits) -> int:
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or b"content-length" in headers:
            raise ReddotError("http_invalid", "only 'chunked', and not beside a length")
        return -1
    text = headers.get(b"content-length", b"0")
    if not text.isdigit():
        raise ReddotError("http_invalid", "Content-Length is not a number")
    if len(text) > 15 or int(text) > limits.body_bytes_max:
        raise ReddotError("body_too_large", f"{limits.body_bytes_max} bytes are allowed")
    return int(text)


def check_partial(data: bytes, limits: HeadLimits) -> None:
    """Refuse a head that is too large, also one that is not complete yet.

    Raises:
        ReddotError: `uri_too_long`, `header_too_large`.
    """
    line = data.find(b"\r\n")
    if (len(data) if line < 0 else line) > limits.url_bytes_max + 32:
        raise ReddotError("uri_too_long", f"{limits.url_bytes_max} bytes are allowed")
    if len(data) > limits.header_bytes_max:
        raise ReddotError("header_too_large", f"{limits.header_bytes_max} bytes are allowed")


def parse_head(raw: bytes, limits: HeadLimits) -> Head:
    """The head that ends with the blank line at the end of `raw`.

    Raises:
        ReddotError: `http_invalid`, `uri_too_long`, `header_too_large`, `body_too_large`.
    """
    check_partial(raw, limits)
    if b"\r\n " in raw or b"\r\n\t" in raw or b"\0" in raw:
        raise ReddotError("http_invalid", "folded field or NUL")
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    upgrade = False
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        upgrade = True
    except httptools.HttpParserError as error:
        raise ReddotError("http_invalid", str(error)) from None
    if len(collector.url) > limits.url_bytes_max:
        raise ReddotError("uri_too_long", f"{limits.url_bytes_max} bytes are allowed")
    if len(collector.fields) > limits.header_fields_max:
        raise ReddotError("header_too_large", f"{limits.header_fields_max} fields are allowed")
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise ReddotError("http_invalid", "only HTTP/1.1 and HTTP/1.0 are spoken")
    headers = _join_fields(collector.fields)
    if version == "1.0":
        headers.pop(b"expect", None)  # RFC 9110 section 10.1.1.
    if version == "1.1" and b"host" not in headers:
        raise ReddotError("http_invalid", "no Host field")
    path, query = _split_target(collector.url)
    return Head(
        raw=raw,
        method=parser.get_method().decode(),
        path=path,
        query=query,
        headers=headers,
        length=_body_length(headers, limits),
        keep_alive=version == "1.1" and not _has_close(headers),
        chunks=version == "1.1",
        upgrade=version == "1.1" and upgrade and b"upgrade" in headers,
    )


def _has_close(headers: dict[bytes, bytes]) -> bool:
    options = headers.get(b"connection", b"").lower().split(b",")
    return b"close" in [option.strip(b" \t") for option in options]


def _split_target(url: bytes) -> tuple[str, bytes]:
    try:
        parsed = httptools.parse_url(url)
        return (parsed.path or b"/").decode("ascii"), parsed.query or b""
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise ReddotError("http_invalid", "the request target is not valid") from None


class _Part(Enum):
    SIZE = 1
    DATA = 2
    DATA_END = 3
    TRAILER = 4
    DONE = 5


_LINE_BYTES_MAX: Final = 1024
_TRAILERS_BYTES_MAX: Final = 4096
_FIELD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:")


class ChunkedBody:
    """The end of a chunked body (RFC 9112 section 7.1), and its content.

    Strict: sizes are hexadecimal digits, lines end with CRLF, extensions are bounded.
    """

    def __init__(self, body_bytes_max: int) -> None:
        self.content = bytearray()
        self._max = self._room = body_bytes_max
        self._part = _Part.SIZE
        self._left = 0
        self._line = b""
        self._trailers = 0

    @property
    def complete(self) -> bool:
        return self._part is _Part.DONE

    def feed(self, data: bytes) -> int:
        """Take bytes; returns how many belong to this body.

        Raises:
            ReddotError: `http_invalid`, `body_too_large`.
        """
        at = 0
        while at < len(data) and self._part is not _Part.DONE:
            if self._part is _Part.DATA:
                taken = data[at : at + self._left]
                self.content += taken
                self._left -= len(taken)
                at += len(taken)
                if not self._left:
                    self._part = _Part.DATA_END
                continue
            end = data.find(b"\n", at)
            piece = data[at:] if end < 0 else data[at : end + 1]
            at += len(piece)
            self._line += piece
            if len(self._line) > _LINE_BYTES_MAX:
                raise ReddotError("http_invalid", "a chunk line is too long")
            if self._part is _Part.DATA_END and self._line not in (b"\r", b"\r\n"):
                raise ReddotError("http_invalid", "a chunk is longer than its size")
            if end >= 0:
                line, self._line = self._line, b""
                if not line.endswith(b"\r\n"):
                    raise ReddotError("http_invalid", "a chunk line ends without CR")
                if b"\r" in line[:-2]:
                    raise ReddotError("http_invalid", "a CR inside a chunk line")
                self._take_line(line[:-2])
        return at

    def _take_line(self, line: bytes) -> None:
        if self._part is _Part.DATA_END:
            self._part = _Part.SIZE
        elif self._part is _Part.SIZE:
            digits = line.partition(b";")[0]
            if not digits or len(digits) > 8 or digits.strip(b"0123456789abcdefABCDEF"):
                raise ReddotError("http_invalid", "a chunk size is not a number")
            self._left = int(digits, 16)
            self._room -= self._left
            if self._room < 0:
                raise ReddotError("body_too_large", f"{self._max} bytes are allowed")
            self._part = _Part.DATA if self._left else _Part.TRAILER
        elif line:
            self._trailers += len(line)
            if not _FIELD.match(line):
                raise ReddotError("http_invalid", "a trailer is not a field")
            if self._trailers > _TRAILERS_BYTES_MAX:
                raise ReddotError("http_invalid", "the trailers are too long")
        else:
            self._part = _Part.DONE
