"""Problem documents: RFC 9457, one for every row of the error table."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from reddot.codecs.problem import FIELDS, encode_problem
from reddot.errors import ERRORS, ErrorRow, Fault, ReddotError


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_every_row_has_a_document(row: ErrorRow) -> None:
    document = json.loads(encode_problem(ReddotError(row.code, "this time")))
    assert document == {
        "type": f"/docs/errors#{row.code}",
        "title": row.title,
        "status": row.status,
        "detail": "this time",
        "code": row.code,
        "retry": row.retry,
    }


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_every_row_can_be_said_on_every_wire(row: ErrorRow) -> None:
    assert HTTPStatus(row.status) // 100 == (4 if row.fault is Fault.CLIENT else 5)
    # RFC 6455 section 7.4: defined codes a server may send, or the private ones.
    assert row.close in (1009, 1011, 1012, 1013) or 4400 <= row.close < 4500
    # MQTT 5.0 section 2.4: an error is 0x80 or more, in one byte.
    assert 0x80 <= row.mqtt <= 0xA2
    assert ERRORS[row.code] is row


def test_without_a_detail_the_title_stands_in() -> None:
    document = json.loads(encode_problem(ReddotError("forbidden")))
    assert document["detail"] == document["title"]


@pytest.mark.parametrize("detail", ['"', "\\", "\r\n", "é\u2028", "<script>", "\0"])
def test_any_detail_is_quoted(detail: str) -> None:
    encoded = encode_problem(ReddotError("forbidden", detail))
    assert json.loads(encoded)["detail"] == detail
    assert b"\n" not in encoded


def test_errors_are_not_cached() -> None:
    assert b"content-type: application/problem+json\r\n" in FIELDS
    assert b"cache-control: no-store\r\n" in FIELDS
    assert FIELDS.endswith(b"\r\n")


def test_a_code_that_is_not_in_the_table_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        ReddotError("no_such_code")
