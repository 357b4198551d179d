"""What publishers send and are answered, in JSON and NDJSON."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs.cursor import encode_cursor
from reddot.codecs.publish import (
    PublishCommand,
    answer_fields,
    decode_lines,
    decode_publish,
    encode_answer,
    encode_answers,
)
from reddot.errors import ReddotError
from reddot.model import Appended, Cursor, Publication

MIB = 1 << 20


def one(body: bytes) -> PublishCommand:
    command = decode_publish(body)
    assert isinstance(command, PublishCommand)
    return command


def code_of(body: bytes) -> str:
    with pytest.raises(ReddotError) as caught:
        decode_publish(body)
    return caught.value.code


def lines_code_of(body: bytes, lines_max: int = 100) -> str:
    with pytest.raises(ReddotError) as caught:
        decode_lines(body, lines_max=lines_max)
    return caught.value.code


def test_everything_is_read() -> None:
    command = one(
        b'{"topic":"a/b","data":[1],"event":"e","id":"i","ephemeral":true,"ttl":1.5,"retain":true}'
    )
    assert bytes(command.data) == b"[1]"
    assert (command.topic, command.event, command.id) == ("a/b", "e", "i")
    assert (command.ephemeral, command.ttl, command.retain) == (True, 1.5, True)


def test_defaults() -> None:
    command = one(b'{"topic":"a","data":null}')
    assert (command.event, command.id, command.ephemeral, command.ttl) == (None,) * 4
    assert command.retain is False


@pytest.mark.parametrize(
    "data",
    [
        *(b"1.50", b'"\\u00e9"', '"é\u2028"'.encode(), b'{"a" : 1 , "a":2}', b"[ 1,\n2 ]", b"-0"),
        *(b"123456789012345678901234567890", b"1E5", b"true", b"null", b'"]}"', b'{"\\"":"\\\\"}'),
    ],
)
@pytest.mark.parametrize("space", [b"", b" ", b"\r\n\t "])
def test_data_is_kept_as_it_came(data: bytes, space: bytes) -> None:
    body = b'%b{"topic":"a","data"%b:%b%b%b,"id":"i"}%b' % ((space,) * 3 + (data, space, space))
    assert bytes(one(body).data) == data


def test_an_array_is_a_batch_even_of_one() -> None:
    assert decode_publish(b"[]") == ()
    batch = decode_publish(b' \r\n\t[{"topic":"a","data":1},{"topic":"b","data":2}]')
    assert isinstance(batch, tuple)
    assert [(c.topic, bytes(c.data)) for c in batch] == [("a", b"1"), ("b", b"2")]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b"[", b"]", b"[{", b"nope", b"\0", b"\xff", b"\xef\xbb\xbf{}"),
        *(b'{"topic":"a","data":1', b'{"topic":"a","data":1}}', b'{"topic":"a","data":1}\0'),
        *(b'{"topic":"a","data":}', b'{"topic":"a","data":NaN}', b'{"topic":"a","data":01}'),
        *(b'{"topic":"a","data":"\n"}', b'{"topic":"a","data":[1,]}'),
        rb'{"topic":"\ud800","data":1}',
        *(b'{"topic":"\xff","data":1}', b'{"topic":"\xed\xa0\x80","data":1}', b"{'topic':'a'}"),
        *(b'{"topic":"a","data":' + b"[" * 100_000, b'{"topic":"a","data":' + b'{"a":' * 100_000),
        b'{"topic":"a","data":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
        b'[{"topic":"a","data":1},]',
    ],
    ids=range(26),
)
def test_broken_json(body: bytes) -> None:
    assert code_of(body) == "json_invalid"


@pytest.mark.parametrize(
    "body",
    [
        *(b"{}", b"5", b'"a"', b"null", b"true", b"[1]", b"[[]]", b"[null]", b'{"topic":"a"}'),
        *(b'{"data":1}', b'{"topic":1,"data":1}', b'{"topic":null,"data":1}'),
        b'{"topic":[],"data":1}',
        *(b'{"topic":"a","data":1,"event":1}', b'{"topic":"a","data":1,"id":1}'),
        *(b'{"topic":"a","data":1,"ttl":"1"}', b'{"topic":"a","data":1,"ttl":true}'),
        *(b'{"topic":"a","data":1,"ttl":1e999}', b'{"topic":"a","data":1,"retain":null}'),
        *(b'{"topic":"a","data":1,"retain":1}', b'{"topic":"a","data":1,"ephemeral":0}'),
        *(b'{"topic":"a","data":1,"other":1}', b'{"topic":"a","data":1,"Topic":"b"}'),
        *(b'{"topic":"a","data":1,"x":[[[[', b'[{"topic":"a","data":1},{}]'),
    ],
)
def test_wrong_fields(body: bytes) -> None:
    assert code_of(body) == "field_invalid"


def test_lines() -> None:
    body = b'{"topic":"a","data":1}\n\n  \r\n{"topic":"b","data":2}\r\n \t{"topic":"c","data":3}'
    assert [c.topic for c in decode_lines(body, lines_max=3)] == ["a", "b", "c"]
    assert decode_lines(b"", lines_max=3) == decode_lines(b"\n \r\n", lines_max=3) == ()


def test_lines_at_the_limit_and_beyond() -> None:
    line = b'{"topic":"a","data":1}\n'
    assert len(decode_lines(line * 3, lines_max=3)) == 3
    assert lines_code_of(line * 4, 3) == "batch_too_large"
    assert lines_code_of(line * 3 + b"nonsense", 3) == "batch_too_large"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nope", "json_invalid"),
        (b'{"topic":"a",\n"data":1}', "json_invalid"),
        (b'{"topic":"a","data":1}{"topic":"a","data":1}', "json_invalid"),
        (b'{"topic":"a","data":1}\n[{"topic":"a","data":1}]', "json_invalid"),
        (b"[]", "json_invalid"),
        (b'{"topic":"a","data":1}\r{"topic":"a","data":1}', "json_invalid"),
        (b'{"topic":"a","data":1}\n{}', "field_invalid"),
    ],
)
def test_wrong_lines(body: bytes, code: str) -> None:
    assert lines_code_of(body) == code


@given(st.lists(st.sampled_from([b"\n", b"\r\n", b" \n", b'{"topic":"a","data":1}', b" "])))
def test_lines_are_what_a_line_reader_sees(parts: list[bytes]) -> None:
    body = b"".join(parts)
    wanted = [line for line in body.split(b"\n") if line.strip()]
    try:
        commands = decode_lines(body, lines_max=1000)
    except ReddotError:
        assert any(line.count(b"{") > 1 for line in wanted)
    else:
        assert len(commands) == len(wanted)


@pytest.mark.parametrize(
    "filler", [*(b"\n", b"\r", b" ", b" \n", b"[", b"{", b","), b"[]\n", b"1\n"]
)
def test_a_body_of_separators_is_cheap(filler: bytes) -> None:
    """A million lines make no million steps (Phoenix, CVE-2026-32689)."""
    body = (filler * (MIB // len(filler) + 1))[:MIB]
    began = time.process_time()
    with pytest.raises(ReddotError, match=r"json_invalid|field_invalid"):
        decode_publish(body)
    with contextlib.suppress(ReddotError):
        assert decode_lines(body, lines_max=100) == ()
    assert time.process_time() - began < 0.1


DURABLE = Publication(topic="a", id="i", data=b"1", time_ms=0, offset=3, position=10_000)
EPHEMERAL = Publication(topic="a", id="i", data=b"1", time_ms=0)


def test_answers() -> None:
    answer = {
        "id": "i",
        "topic": "a",
        "offset": 3,
        "cursor": encode_cursor(Cursor(7, 10_000)),
        "duplicate": False,
    }
    stored, again = Appended(DURABLE, duplicate=False), Appended(DURABLE, duplicate=True)
    assert json.loads(encode_answer(stored, 7)) == answer
    assert json.loads(encode_answer(again, 7)) == answer | {"duplicate": True}
    assert json.loads(encode_answers([stored, again], 7)) == [answer, answer | {"duplicate": True}]
    assert answer_fields(stored, 7) == answer


def test_the_answer_to_an_ephemeral_one_has_no_place() -> None:
    appended = Appended(EPHEMERAL, duplicate=False)
    assert json.loads(encode_answer(appended, 7)) == {"id": "i", "topic": "a", "ephemeral": True}
    assert answer_fields(appended, 7) == {"id": "i", "topic": "a", "ephemeral": True}
