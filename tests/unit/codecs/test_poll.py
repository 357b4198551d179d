"""The answer of a poll, from its ETag on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reddot.codecs import poll
from reddot.codecs.cursor import decode_cursor, encode_cursor
from reddot.model import Cursor, Gap, Publication

CURSOR = Cursor(7, 10_000)
TOKEN = encode_cursor(CURSOR)


def publication(position: int, data: bytes = b"1") -> Publication:
    return Publication(
        topic="a", id=f"i{position}", data=data, time_ms=0, offset=position, position=position
    )


def split(rest: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Header fields and body of what follows a status line."""
    head, separator, body = rest.partition(b"\r\n\r\n")
    assert separator
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
    return fields, body


def read(rest: bytes) -> Any:
    """The body of an answer, its length and cursor checked against the header."""
    fields, body = split(rest)
    assert int(fields[b"content-length"]) == len(body)
    answer = json.loads(body)
    assert fields[b"etag"].decode() == f'"{answer["cursor"]}"'
    assert fields[b"content-type"] == b"application/json"
    assert fields[b"cache-control"] == b"no-store, no-transform"
    return answer


def test_an_empty_answer() -> None:
    assert read(poll.encode_answer([], CURSOR)) == {
        "cursor": TOKEN,
        "complete": True,
        "publications": [],
    }


def test_gaps_are_said() -> None:
    answer = read(poll.encode_answer([], CURSOR, [Gap("a/#", "epoch")]))
    assert answer["complete"] is False
    assert answer["gaps"] == [{"topic": "a/#", "reason": "epoch"}]


def test_publications_carry_their_own_cursors() -> None:
    found = [publication(8), publication(9, b'"\\u00e9"')]
    status, rest = poll.encode_result(found, CURSOR, (), encode=poll.encode_json, asked=CURSOR)
    answer = read(rest)
    assert status == 200
    assert [p["data"] for p in answer["publications"]] == [1, "é"]
    cursors = [decode_cursor(p["cursor"]) for p in answer["publications"]]
    assert cursors == [Cursor(7, 8), Cursor(7, 9)]


def test_raw_is_only_what_was_published() -> None:
    found = [publication(8, b'{"a": 1}'), publication(9, b'"t"')]
    _, rest = poll.encode_result(found, CURSOR, (), encode=poll.encode_raw, asked=None)
    assert read(rest)["publications"] == [{"a": 1}, "t"]


def test_nothing_new_for_a_client_with_a_cursor_is_a_304() -> None:
    status, rest = poll.encode_result((), CURSOR, (), encode=poll.encode_json, asked=Cursor(7, 1))
    fields, body = split(rest)
    assert (status, body) == (304, b"")
    assert fields[b"etag"].decode() == f'"{TOKEN}"'
    # RFC 9110 section 15.4.5: what a 200 would have said about the representation, not its length.
    assert b"content-length" not in fields


@pytest.mark.parametrize("gaps", [(), (Gap("a", "trimmed"),)])
def test_a_client_without_a_cursor_or_with_a_gap_gets_a_body(gaps: tuple[Gap, ...]) -> None:
    asked = CURSOR if gaps else None
    status, rest = poll.encode_result((), CURSOR, gaps, encode=poll.encode_json, asked=asked)
    assert status == 200
    assert read(rest)["complete"] is (not gaps)
