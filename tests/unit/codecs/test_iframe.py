"""The iframe stream: nothing that is published can become markup or script, and none is changed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs import frames, iframe
from reddot.model import Cursor, Gap, Publication
from reddot.tail_frames import IframeParser
from tests.wire.xss import PAYLOADS

NONCE = "n0nce-_1"
CURSOR = Cursor(7, 10_000)
FORBIDDEN = [b"<", b">", b"&", b"'", "\u2028".encode(), "\u2029".encode()]
_CALL = re.compile(r"p\((?:JSON\.parse\((?P<text>.*)\)|(?P<value>.*))\)", re.DOTALL)


class Document(HTMLParser):
    """What a browser would make of the bytes: its elements, and the texts of its scripts."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._depth = 0
        self.feed(html.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._depth += tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "script"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.scripts.append(data)


def publication(data: bytes, *, topic: str = "a", event: str = "message") -> Publication:
    return Publication(topic=topic, id="i", data=data, time_ms=0, event=event, offset=1)


def frame_of(chunk: bytes) -> object:
    """The value that the chunk's one script hands to the parent."""
    document = Document(chunk)
    assert document.elements == [("script", {"nonce": NONCE})]
    (script,) = document.scripts
    found = _CALL.fullmatch(script)
    assert found is not None
    return json.loads(json.loads(found["text"]) if found["text"] else found["value"])


def check_inert(chunk: bytes) -> None:
    inside = chunk.removeprefix(b"<script nonce=%b>" % NONCE.encode()).removesuffix(b"</script>\n")
    assert len(inside) < len(chunk)
    for forbidden in FORBIDDEN:
        assert forbidden not in inside


def test_there_are_enough_payloads() -> None:
    assert len(set(PAYLOADS)) >= 60


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_payload_arrives_as_text(payload: str, ascii_only: bool) -> None:
    value = {payload: [payload], "x": payload}
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    chunk = iframe.encoder_json(NONCE)(publication(data, topic=payload, event=payload), CURSOR)
    check_inert(chunk)
    frame = frame_of(chunk)
    assert isinstance(frame, dict)
    assert (frame["data"], frame["topic"], frame["event"]) == (value, payload, payload)
    raw = iframe.encoder_raw(NONCE)(publication(data), CURSOR)
    check_inert(raw)
    assert frame_of(raw) == value


@given(st.text(st.characters(codec="utf-8")), st.booleans(), st.sampled_from([None, 2]))
def test_any_text_arrives(text: str, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps([text, {text: 1}], ensure_ascii=ascii_only, indent=indent).encode()
    chunk = iframe.encoder_raw(NONCE)(publication(data), CURSOR)
    check_inert(chunk)
    assert frame_of(chunk) == [text, {text: 1}]


@given(st.binary())
def test_escaping_leaves_no_special_byte(data: bytes) -> None:
    escaped = iframe.escape_script(data)
    assert not any(forbidden in escaped for forbidden in FORBIDDEN)


@given(st.text("<>&'\u2028\u2029ab\"\\", min_size=1))
def test_escaping_keeps_the_value(text: str) -> None:
    assert json.loads(iframe.escape_script(json.dumps(text, ensure_ascii=False).encode())) == text


@pytest.mark.parametrize(
    "data",
    [
        *(b'{"__proto__":{"a":1}}', b'{"__proto__":1,"__proto__":2}', b'[{"__proto__":null}]'),
        *(rb'{"\u005f_proto__":1}', rb'{"__\u0070roto__":1}', rb'{"__pr\u006fto\u005F_":1}'),
        *(b'{"__proto__":"<>&\'\xe2\x80\xa8\\"\\\\"}', b'{\n"__proto__": 1\r\n}', b'"__proto__"'),
    ],
)
def test_a_prototype_is_data_like_any_other(data: bytes) -> None:
    """An object literal would take it for the object's prototype, so it must not stand in one."""
    for encoder in (iframe.encoder_json(NONCE), iframe.encoder_raw(NONCE)):
        chunk = encoder(publication(data), CURSOR)
        check_inert(chunk)
        assert b">p(JSON.parse(" in chunk
        frame = frame_of(chunk)
        assert json.loads(data) in (frame, isinstance(frame, dict) and frame.get("data"))


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_our_own_client_reads_it(payload: str) -> None:
    data = json.dumps({payload: payload}).encode()
    chunk = iframe.encoder_json(NONCE)(publication(data), CURSOR)
    (frame,) = IframeParser().feed(iframe.encode_document(NONCE, None) + chunk)
    assert json.loads(bytes(frame.data)) == {payload: payload}


def test_the_document_begins_with_more_than_safari_waits_for() -> None:
    html = iframe.encode_document(NONCE, None)
    assert html.startswith(b"<!doctype html>")
    assert html.index(b"<script") > 1024
    document = Document(html)
    assert [tag for tag, _ in document.elements] == ["meta", "title", "script"]
    assert document.elements[-1][1] == {"nonce": NONCE}


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        (None, "location.origin"),
        ("https://app.example.com", '"https://app.example.com"'),
        ("http://[::1]:8000", '"http://[::1]:8000"'),
        ("</script><script>alert(1)</script>", r'"\u003c/script\u003e\u003cscript'),
        ('";alert(1);"', r'"\";alert(1);\""'),
    ],
)
def test_the_document_names_its_only_reader(origin: str | None, target: str) -> None:
    (script,) = Document(iframe.encode_document(NONCE, origin)).scripts
    assert script.startswith(f"var o={target}")
    assert "postMessage(m,o)" in script
    assert "*" not in script


def test_control_frames() -> None:
    sync = frames.encode_sync(CURSOR, [Gap("a", "epoch")], "s", 500)
    assert frame_of(iframe.encode_chunk(NONCE, sync)) == json.loads(sync)


def test_chunks_can_be_told_apart_by_line() -> None:
    """One write may hold several; a reader without a DOM splits them at line ends."""
    encode = iframe.encoder_json(NONCE)
    chunks = encode(publication(b"1"), CURSOR) + encode(publication(b"2"), CURSOR)
    assert chunks.count(b"\n") == 2
    assert len(Document(chunks).scripts) == 2
