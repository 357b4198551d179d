"""The JSON frames: valid JSON whose `data` is byte for byte what was published."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs import frames
from reddot.codecs.cursor import encode_cursor
from reddot.errors import ReddotError
from reddot.model import Cursor, Gap, Publication

CURSOR = Cursor(7, 10_000)
TOKEN = encode_cursor(CURSOR)


def publication(data: bytes = b"1", **changes: Any) -> Publication:
    fields: dict[str, Any] = {"topic": "a", "id": "i", "time_ms": 0, "offset": 1} | changes
    return Publication(data=data, **fields)


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, b"1970-01-01T00:00:00.000Z"),
        (999, b"1970-01-01T00:00:00.999Z"),
        (1000, b"1970-01-01T00:00:01.000Z"),
        (1_767_225_600_007, b"2026-01-01T00:00:00.007Z"),
        (951_782_399_999, b"2000-02-28T23:59:59.999Z"),
        (951_782_400_000, b"2000-02-29T00:00:00.000Z"),
        (253_402_300_799_999, b"9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(time_ms: int, text: bytes) -> None:
    assert frames.encode_time(time_ms) == text


def test_a_durable_publication() -> None:
    encoded = frames.encode_publication(
        publication(b'{"n":1}', topic="users/42", id="u-1", offset=17, event="notification"), CURSOR
    )
    assert encoded == (
        b'{"type":"publication","cursor":"%b","topic":"users/42","id":"u-1","offset":17,'
        b'"event":"notification","time":"1970-01-01T00:00:00.000Z","data":{"n":1}}' % TOKEN.encode()
    )


def test_an_ephemeral_publication_has_neither_cursor_nor_offset() -> None:
    encoded = frames.encode_publication(publication(offset=0), None)
    assert json.loads(encoded).keys() == {"type", "topic", "id", "event", "time", "data"}


@pytest.mark.parametrize("data", [b" 1 ", b'{"a" :\n1.50}', b"1E5", b'"\\u00e9"', '"é"'.encode()])
def test_data_is_never_encoded_again(data: bytes) -> None:
    encoded = frames.encode_publication(publication(data), CURSOR)
    assert encoded.endswith(b'"data":' + data + b"}")


names = st.text(st.characters(codec="utf-8"), min_size=1)


@given(names, names, names)
def test_any_name_is_quoted(topic: str, id_: str, event: str) -> None:
    encoded = frames.encode_publication(publication(topic=topic, id=id_, event=event), CURSOR)
    frame = json.loads(encoded)
    assert (frame["topic"], frame["id"], frame["event"]) == (topic, id_, event)


@given(st.binary())
def test_binary_data_is_base64(data: bytes) -> None:
    encoded = frames.data_json(publication(data, binary=True))
    assert encoded == frames.data_text(publication(data, binary=True))
    assert json.loads(encoded).keys() == {"base64"}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'"<li>hi</li>"', b"<li>hi</li>"),
        (b'"a\\nb\\"c"', b'a\nb"c'),
        (b' "padded" ', b"padded"),
        ('"é\\u00e9"'.encode(), "éé".encode()),
        (b'""', b""),
        (b'["a"]', b'["a"]'),
        (b' {"a":1}', b' {"a":1}'),
        (b"null", b"null"),
    ],
)
def test_raw_text(data: bytes, text: bytes) -> None:
    assert frames.data_text(publication(data)) == text


def test_sync_is_complete_without_gaps() -> None:
    frame = json.loads(frames.encode_sync(CURSOR, [], "s-1", 500))
    assert frame == {
        "type": "sync",
        "cursor": TOKEN,
        "complete": True,
        "gaps": [],
        "session": "s-1",
        "spread_ms": 500,
    }


def test_sync_names_its_gaps() -> None:
    frame = json.loads(frames.encode_sync(CURSOR, [Gap("é/#", "trimmed")], "s", 500))
    assert (frame["complete"], frame["gaps"]) == (False, [{"topic": "é/#", "reason": "trimmed"}])


def test_small_frames() -> None:
    assert json.loads(frames.encode_gap(Gap("a", "epoch"))) == {
        "type": "gap",
        "topic": "a",
        "reason": "epoch",
    }
    assert json.loads(frames.encode_reconnect(5, "drain")) == {
        "type": "reconnect",
        "retry_ms": 5,
        "reason": "drain",
    }
    assert json.loads(frames.encode_heartbeat(CURSOR)) == {"type": "heartbeat", "cursor": TOKEN}


@pytest.mark.parametrize("ref", [0, -1, 7, 10**30, "", "r", "é\u2028"])
def test_a_ref_is_echoed(ref: str | int) -> None:
    assert json.loads(frames.encode_ok(ref, offset=3)) == {"type": "ok", "ref": ref, "offset": 3}
    answer = json.loads(frames.encode_error(ReddotError("forbidden"), ref))
    assert (answer["type"], answer["ref"], answer["code"]) == ("error", ref, "forbidden")


def test_without_a_ref_there_is_none() -> None:
    assert json.loads(frames.encode_ok(None)) == {"type": "ok"}
    assert "ref" not in json.loads(frames.encode_error(ReddotError("forbidden")))


def test_an_error_says_what_a_problem_document_says() -> None:
    assert json.loads(frames.encode_error(ReddotError("rate_limited", "slower"))) == {
        "type": "error",
        "code": "rate_limited",
        "status": 429,
        "title": "Too many requests.",
        "retry": True,
        "detail": "slower",
    }
    assert "detail" not in json.loads(frames.encode_error(ReddotError("rate_limited")))
