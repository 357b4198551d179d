"""Segments: what they mean (SQLite says the same), what is refused and where."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reddot.core.segments import (
    CHARS_MAX,
    DEPTH_MAX,
    TERMS_MAX,
    And,
    Attribute,
    Compare,
    In,
    Not,
    Or,
    Segment,
    Value,
    matches,
    parse,
)
from reddot.errors import ReddotError

ANN: Final[dict[str, Attribute]] = {
    "plan": "pro",
    "age": 30,
    "score": 1.5,
    "beta": True,
    "tags": ["vip", "early", 7, None],
    "address.city": "Graz",
    "nothing": None,
    "empty": [],
    "名字": "安",
    "since": "2026-03-01",
}


@pytest.mark.parametrize(
    "text",
    [
        "plan = 'pro'",
        'plan = "pro"',
        "PLAN = 'x' or plan='pro'",
        "age >= 30 AND age <= 30.0 And age<31 and age>29.99",
        "score = 1.5 and score = 15e-1",
        "beta = true and beta = TRUE",
        "tags = 'vip' and tags = 7 and not tags = 'new'",
        "tags != 'new' and not tags != 'vip'",
        "tags in ('new', 'early')",
        "tags > 6",
        "address.city = 'Graz'",
        "名字 = '安'",
        "since >= '2026-01-01' and since < '2027'",
        "nothing != 'x' and empty != 'x' and missing != 'x'",
        "not missing = 'x' and not (missing < 1 or missing >= 1)",
        "not plan in ('free')",
        "a = 1 and b = 1 or plan = 'pro'",
        "plan = 'pro' or a = 1 and b = 1",
        "not a = 1 and plan = 'pro'",
        "not not plan = 'pro'",
    ],
)
def test_ann_is_in(text: str) -> None:
    assert matches(parse(text), ANN)


@pytest.mark.parametrize(
    "text",
    [
        "plan = 'Pro'",
        "Plan = 'pro'",
        "plan != 'pro'",
        "beta = 1",
        "age = true",
        "age = '30'",
        "plan > 1",
        "nothing = 'x'",
        "nothing in ('x', 1, false)",
        "empty = ''",
        "missing < 1 or missing > 1",
        "address = 'Graz'",
        "(a = 1 or plan = 'pro') and b = 1",
    ],
)
def test_ann_is_not_in(text: str) -> None:
    assert not matches(parse(text), ANN)


def test_what_is_no_scalar_is_never_equal() -> None:
    odd: Any = {"a": {"b": 1}, "c": [[1], {"d": 2}]}
    assert not matches(parse("a = 1 or a = 'b' or c = 1 or c < 9"), odd)


# ---- refused, and where ----


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("", 1, "expected a name, 'not' or '(', not the end"),
        ("   ", 4, "not the end"),
        ("plan", 5, "a comparison or 'in'"),
        ("plan = ", 8, "not the end"),
        ("plan = pro", 8, "a text in quotes"),
        ("plan == 'pro'", 7, "a text in quotes"),
        ("plan = 'pro", 8, '"\'" is not expected'),
        ("plan = 'pro' country = 'AT'", 14, "expected 'and', 'or' or the end, not 'country'"),
        ("plan in 'pro'", 9, "expected '('"),
        ("plan in ()", 10, "a text in quotes"),
        ("plan in ('a'", 13, "expected ')'"),
        ("plan in ('a',)", 14, "a text in quotes"),
        ("plan not in ('a')", 6, "a comparison or 'in'"),
        ("(plan = 'pro'", 14, "expected ')'"),
        ("plan = 'pro')", 13, "the end, not ')'"),
        ("and a = 1", 1, "a name"),
        ("a = 1 and", 10, "a name"),
        ("in = 1", 1, "a name"),
        ("a.and.b = 1 or a. = 1", 17, "not expected"),
        ("a = 1x", 5, "not expected"),
        ("a = 01.", 5, "not expected"),
        ("a = 1e999", 5, "too large"),
        ("a = " + "9" * 41, 5, "too large"),
        ("a = +1", 5, "not expected"),
        ("a = \u0661", 5, "not expected"),
        ("a-b = 1", 2, "not expected"),
        ("a; drop table x", 2, "not expected"),
    ],
)
def test_it_says_where_it_is_wrong(text: str, at: int, said: str) -> None:
    with pytest.raises(ReddotError) as caught:
        parse(text)
    assert caught.value.code == "field_invalid"
    assert caught.value.detail.startswith(f"segment, character {at}: ")
    assert said in caught.value.detail


def test_its_limits() -> None:
    longest = "a = '" + "x" * (CHARS_MAX - 6) + "'"
    assert parse(longest)
    deepest = "not (" * (DEPTH_MAX // 2) + "a = 1" + ")" * (DEPTH_MAX // 2)
    assert parse(deepest)
    assert parse(f"a in ({','.join(['1'] * TERMS_MAX)})")
    assert parse(" or ".join(["(a=1)"] * TERMS_MAX))
    for beyond, said in [
        (longest + " ", f"{CHARS_MAX} characters"),
        ("not " + deepest, f"{DEPTH_MAX} levels"),
        (f"a in ({','.join(['1'] * (TERMS_MAX + 1))})", f"{TERMS_MAX} values"),
        (" or ".join(["a=1"] * (TERMS_MAX + 1)), f"{TERMS_MAX} values"),
        ("(" * CHARS_MAX, f"{DEPTH_MAX} levels"),
    ]:
        with pytest.raises(ReddotError, match=said):
            parse(beyond)


# ---- any segment ----

words = st.sampled_from(("plan", "age", "tags", "a.b", "missing", "名字"))
texts = st.text("abI'\"() é", max_size=3)
numbers = st.integers(-3, 3) | st.sampled_from((0.5, -1.5, 1e30, 2.0))
values: st.SearchStrategy[Value] = texts | numbers | st.booleans()
leaves: st.SearchStrategy[Segment] = st.builds(
    Compare, words, st.sampled_from(("=", "!=", "<", "<=", ">", ">=")), values
) | st.builds(In, words, st.lists(values, min_size=1, max_size=3).map(tuple))


def _branches(parts: st.SearchStrategy[Segment]) -> st.SearchStrategy[Segment]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, parts) | st.builds(And, several) | st.builds(Or, several)


segments = st.recursive(leaves, _branches, max_leaves=8)
people = st.dictionaries(
    words, values | st.none() | st.lists(values | st.none(), max_size=3), max_size=6
)


@settings(max_examples=200)
@given(segments)
def test_written_and_read_again_it_is_the_same(segment: Segment) -> None:
    assert parse(str(segment)) == segment


@settings(max_examples=200, deadline=None)
@given(segments, people)
def test_sqlite_chooses_the_same_people(segment: Segment, person: dict[str, Attribute]) -> None:
    """The same question in another language, with another idea of NULL and of true."""
    question, parameters = _sql(segment)
    rows = [row for name, value in person.items() for row in _rows(name, value)]
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE a (name TEXT, kind TEXT, value)")
    database.executemany("INSERT INTO a VALUES (?, ?, ?)", rows)
    ((chosen,),) = database.execute(f"SELECT {question}", parameters)
    database.close()
    assert matches(segment, person) == bool(chosen)


def _rows(name: str, value: Attribute) -> Iterator[tuple[str, str, Any]]:
    for one in value if isinstance(value, list) else [value]:
        if one is not None:
            yield name, _kind(one), one


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "number"


def _sql(segment: Segment) -> tuple[str, list[Any]]:
    if isinstance(segment, Compare):
        sign = "=" if segment.operator == "!=" else segment.operator
        found = f"EXISTS (SELECT 1 FROM a WHERE name = ? AND kind = ? AND value {sign} ?)"  # noqa: S608
        negated = "NOT " if segment.operator == "!=" else ""
        return negated + found, [segment.name, _kind(segment.value), segment.value]
    if isinstance(segment, In):
        parts: tuple[Segment, ...] = tuple(Compare(segment.name, "=", v) for v in segment.values)
        return _joined(parts, " OR ")
    if isinstance(segment, Not):
        question, parameters = _sql(segment.part)
        return f"NOT ({question})", parameters
    return _joined(segment.parts, " AND " if isinstance(segment, And) else " OR ")


def _joined(parts: tuple[Segment, ...], word: str) -> tuple[str, list[Any]]:
    questions, parameters = zip(*map(_sql, parts), strict=True)
    return word.join(f"({one})" for one in questions), [p for ps in parameters for p in ps]


PIECES: Final = [
    *("a", "a.b", "and", "or", "not", "in", "(", ")", ",", "=", "!=", "<", ">=", "'x'", '"', "'"),
    *("1", "-1.5e3", "true", " ", "\n", "\0", "\ud800", "é", "1e400", "\u0661", "\u2028"),
]


def test_ten_thousand_times_garbage_is_refused_and_nothing_else_happens() -> None:
    chance = random.Random(1)
    refused = 0
    for _ in range(10_000):
        text = "".join(chance.choices(PIECES, k=chance.randrange(30)))
        refused += not _is_read(text)
    assert 5_000 < refused < 10_000


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    _is_read(text)


def _is_read(text: str) -> bool:
    """Whether it is a segment, which then is what it says it is."""
    try:
        segment = parse(text)
    except ReddotError as error:
        if not error.detail.startswith("segment, character "):
            raise
        return False
    assert parse(str(segment)) == segment
    assert matches(segment, ANN) in (True, False)
    return True
