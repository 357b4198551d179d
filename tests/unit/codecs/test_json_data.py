"""What may be published: valid JSON passes as it came, poison is stopped at the door."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.codecs.json_data import check_data
from reddot.errors import ReddotError

BYTES_MAX = 65_536
DEPTH_MAX = 32

NUMBERS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"1e309", b"1e999", b"-1e999", b"1" * 310),
    *(b"-" + b"9" * 400, b"9" * 5000, b"[" + b"7" * 310 + b"]", b"01", b"-01", b"00", b"1.", b".5"),
    *(b"+1", b"-", b"- 1", b"1e", b"1e+", b"1e5.5", b"0x10", b"1_000", b"1,000", b"0b1"),
]
STRINGS = [
    *(rb'"\ud800"', rb'"\udc00"', rb'"\uDEAD"', rb'"\ud800\u0041"', rb'"\ud83d\ud83d"'),
    *(rb'"\udc00\ud800"', rb'"\ud800x"', rb'{"\ud800":1}', rb'["ok","\udfff"]', rb'"\uD800\\u"'),
    *(b'"\xed\xa0\x80"', b'"\xed\xb0\x80"', b'"\xed\xa0\xbd\xed\xb8\x80"', b'{"\xed\xa0\x80":1}'),
    *(b'"\xff"', b'"\xc0\xaf"', b'"\xe2\x82"', b'"\xf4\x90\x80\x80"', b'"\x80"', b'{"\xff":1}'),
    *(b'"\xf8\x88\x80\x80\x80"', b'"\xc1\xbf"', b'"\xe0\x80\xaf"', b'{"a":"\xc3"}'),
    *(b'"a\nb"', b'"a\rb"', b'"a\tb"', b'"\x00"', b'"\x1f"', rb'"\x41"', rb'"\a"', rb'"\u12"'),
    *(rb'"\u12g4"', b'"a', b'"', b'"\\', b'"\\"', b"'a'", b'"a"b"', b"abc", b"`a`"),
]
STRUCTURES = [
    *(b"", b" ", b"\n", b"[", b"{", b"]", b"}", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1]]"),
    *(b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,}', b'{"a"}', b"{a:1}", b"{1:2}", b'{"a":1 "b":2}'),
    *(b"{'a':1}", b'{"a"=1}', b"{null:1}", b"{,}", b"[}", b"tru", b"TRUE", b"True", b"nul"),
    b"None",
    *(b"undefined", b"1 2", b"1;", b"//c\n1", b"/*c*/1", b"#c\n1", b"null\0", b"\0", b"\x0b1"),
    *(b"\x0c1", b"\xa01", b"\xef\xbb\xbf1", b"\xef\xbb\xbf{}", b"1\xef\xbb\xbf", b"\xfe\xff\x001"),
    *('"a"'.encode("utf-16"), '"a"'.encode("utf-16-le"), '"a"'.encode("utf-32"), b"\x1f\x8b\x08"),
    *(b"1\xe2\x80\xa8", b"\xe2\x80\xa8", b"data: 1", b"<script>", b'{"a":\xff}'),
]
DEPTHS = [
    *(b"[" * 33 + b"]" * 33, b'{"a":' * 33 + b"1" + b"}" * 33, b'[{"a":' * 17 + b"1" + b"}]" * 17),
    *(b"[" * 33, b"[" * 60_000, b"[" * 30_000 + b"]" * 30_000),
    b'{"":' * 10_000 + b"1" + b"}" * 10_000,
    *(b'["' + b'[","' * 5 + b'"' + b",[" * 33 + b"]" * 34, b"[1,[" + b"[" * 31 + b"]" * 33),
]
POISON = [*NUMBERS, *STRINGS, *STRUCTURES, *DEPTHS]

VALID = [
    *(b"null", b"true", b"false", b"0", b"-0", b"-0.0", b"1E5", b"1e-999", b"0e99999", b'""'),
    *(b"[]", b"{}", b' {"a" : [ 1 ,2 ] }\r\n', b"\t1\n", rb'"\u0000"', rb'"\ud83d\ude00"'),
    rb'"\/"',
    *(b'"\x7f"', '"é\u2028\u2029\U0001f600"'.encode(), b'{"a":1,"a":2}', b'{"__proto__":{"a":1}}'),
    *(b"9007199254740993", b"18446744073709551616", b"123456789012345678901234567890", b"9" * 308),
    *(b"0." + b"1" * 5000, b"1." + b"0" * 400, b'"' + b"9" * 400 + b'"'),
    b'["\\"' + b"9" * 400 + b'"]',
    *(b"[" * 32 + b"]" * 32, b'{"a":' * 32 + b"1" + b"}" * 32, b'"' + b"[" * 100 + b'"'),
    *(rb'["\"' + b"[{" * 40 + rb'\\"]', b"[" + b"[]," * 50 + b"[]]", b'{"a":"\\\\","b":[[]]}'),
]


def check(data: bytes) -> bytes:
    return check_data(data, bytes_max=BYTES_MAX, depth_max=DEPTH_MAX)


def outcome(data: bytes) -> str | None:
    """The error's code; None if the data was let in."""
    try:
        check(data)
    except ReddotError as error:
        return error.code
    return None


def test_there_is_enough_poison() -> None:
    assert len(set(POISON)) >= 40


@pytest.mark.parametrize("data", POISON, ids=range(len(POISON)))
def test_poison_is_refused(data: bytes) -> None:
    assert outcome(data) == "json_invalid"


@pytest.mark.parametrize("depth", [33, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_depth_bomb_is_refused(depth: int, opening: bytes, closing: bytes) -> None:
    for data in (opening * depth, opening * depth + b"1" + closing * depth):
        with pytest.raises(ReddotError) as caught:
            check_data(data, bytes_max=len(data), depth_max=DEPTH_MAX)
        assert caught.value.code == "json_invalid"


@pytest.mark.parametrize("data", VALID, ids=range(len(VALID)))
def test_what_is_valid_passes_unchanged(data: bytes) -> None:
    assert check(data) is data


@pytest.mark.parametrize("size", [2, 100, BYTES_MAX])
def test_size_at_the_limit(size: int) -> None:
    data = b'"' + b"a" * (size - 2) + b'"'
    assert check_data(data, bytes_max=size, depth_max=DEPTH_MAX) is data
    with pytest.raises(ReddotError) as caught:
        check_data(data, bytes_max=size - 1, depth_max=DEPTH_MAX)
    assert caught.value.code == "data_too_large"


def test_size_comes_before_content() -> None:
    """Something too large is not even looked at."""
    assert outcome(b"[" * (BYTES_MAX + 1)) == "data_too_large"


def test_the_greatest_double_passes() -> None:
    greatest = str(int(1.7976931348623157e308)).encode()
    assert check(greatest) is greatest
    assert math.isinf(float("2" + "0" * 308))
    assert outcome(b"2" + b"0" * 308) == "json_invalid"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(json_values, st.booleans(), st.sampled_from([None, 0, 3]))
def test_any_value_in_any_form_passes(value: object, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert check_data(data, bytes_max=1 << 20, depth_max=128) is data


@given(st.binary(max_size=60))
def test_what_passes_is_json_to_others_too(data: bytes) -> None:
    """An independent strict reader agrees with every byte that is let in."""

    def refuse(constant: str) -> object:
        raise ValueError(constant)

    if outcome(data) is None:
        json.loads(data.decode("utf-8"), parse_constant=refuse)
    else:
        assert outcome(data) == "json_invalid"
