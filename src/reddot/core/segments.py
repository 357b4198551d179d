"""Segments: people chosen by what is known of them, `plan = 'pro' and not country in ('DE', 'AT')`.

Core: pure. `parse` reads the text, `matches` asks it about one person, `str` of it is the text
again. The parser is ours because the language is eight lines, and a limit on its length, depth and
terms and an error with its place are most of the work:

    any      = all { "or" all }
    all      = one { "and" one }
    one      = "not" one | "(" any ")" | name test
    test     = ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value | "in" "(" value { "," value } ")"
    value    = text | number | "true" | "false"
    text     = in ' or ", which is doubled where the text has it itself
    number   = as in JSON
    name     = word { "." word }

Words of the language may be written in any case; names and texts are compared letter by letter.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from reddot.errors import ReddotError

CHARS_MAX: Final = 2000
TERMS_MAX: Final = 200
DEPTH_MAX: Final = 20

Value = str | bool | int | float
Attribute = Value | list[Value | None] | None
Operator = Literal["=", "!=", "<", "<=", ">", ">="]


class Compare(msgspec.Struct, frozen=True):
    """One attribute against one value."""

    name: str
    operator: Operator
    value: Value

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {_written(self.value)}"


class In(msgspec.Struct, frozen=True):
    """One attribute against several values."""

    name: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.name} in ({', '.join(map(_written, self.values))})"


class Not(msgspec.Struct, frozen=True):
    part: Segment

    def __str__(self) -> str:
        return f"not {_inside(self.part, And, Or)}"


class And(msgspec.Struct, frozen=True):
    """Two parts or more."""

    parts: tuple[Segment, ...]

    def __str__(self) -> str:
        return " and ".join(_inside(part, And, Or) for part in self.parts)


class Or(msgspec.Struct, frozen=True):
    """Two parts or more."""

    parts: tuple[Segment, ...]

    def __str__(self) -> str:
        return " or ".join(_inside(part, Or) for part in self.parts)


Segment = Compare | In | Not | And | Or


def _inside(part: Segment, *weaker: type[And | Or]) -> str:
    return f"({part})" if isinstance(part, weaker) else str(part)


def _written(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


# ---- asking ----


def matches(segment: Segment, attributes: Mapping[str, Attribute]) -> bool:
    """Whether somebody with these attributes is in the segment.

    Texts compare with texts, numbers with numbers, true with false; everything else, and an
    attribute that is missing or null, is never equal, less or greater. A list is whatever one of
    its values is. `!=` is `not … =`.
    """
    if isinstance(segment, Compare):
        values = _values(attributes.get(segment.name))
        if segment.operator == "!=":
            return not any(_compare(operator.eq, one, segment.value) for one in values)
        compare = _OPERATORS[segment.operator]
        return any(_compare(compare, one, segment.value) for one in values)
    if isinstance(segment, In):
        values = _values(attributes.get(segment.name))
        return any(_compare(operator.eq, a, b) for a in values for b in segment.values)
    if isinstance(segment, Not):
        return not matches(segment.part, attributes)
    if isinstance(segment, And):
        return all(matches(part, attributes) for part in segment.parts)
    return any(matches(part, attributes) for part in segment.parts)


_OPERATORS: Final[dict[Operator, Callable[[Value, Value], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _values(attribute: Attribute) -> list[Value | None]:
    return attribute if isinstance(attribute, list) else [attribute]


def _compare(compare: Callable[[Value, Value], bool], one: Value | None, other: Value) -> bool:
    return _kind(one) is _kind(other) and compare(one, other)  # type: ignore[arg-type]


def _kind(value: object) -> type | None:
    """For Python true is 1; here it is not."""
    if isinstance(value, bool | str):
        return type(value)
    return float if isinstance(value, int | float) else None


# ---- reading ----

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<name>[^\W\d]\w*(?:\.\w+)*)
    | (?P<sign>!=|<=|>=|[=<>(),])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_WORDS: Final = frozenset({"and", "or", "not", "in", "true", "false"})


def parse(text: str) -> Segment:
    """The segment that the text describes.

    Raises:
        ReddotError: `field_invalid`; the detail says at which character, counted from 1.
    """
    if len(text) > CHARS_MAX:
        raise ReddotError("field_invalid", f"a segment has at most {CHARS_MAX} characters")
    return _Parser(text).whole()


class _Parser:
    """Recursive descent; `kind` and `word` are the token that comes next, `at` is its place."""

    def __init__(self, text: str) -> None:
        self._text: Final = text
        self._next = 0
        self._terms = 0
        self._depth = 0
        self._step()

    def whole(self) -> Segment:
        segment = self._any()
        if self.kind != "end":
            raise self._refused("'and', 'or' or the end")
        return segment

    def _step(self) -> str:
        """Take the token that comes next, and look at the one after it."""
        taken = getattr(self, "word", "")
        found = _TOKEN.match(self._text, self._next)
        if found is None:
            blank = len(self._text) - len(self._text[self._next :].lstrip())
            raise _wrong(blank, f"{self._text[blank]!r} is not expected here")
        self.kind = str(found.lastgroup)
        self.word = found[self.kind]
        self.at = found.start(self.kind)
        self._next = found.end()
        if self.kind == "name" and self.word.lower() in _WORDS:
            self.kind, self.word = "word", self.word.lower()
        return taken

    def _any(self) -> Segment:
        parts = [self._all()]
        while (self.kind, self.word) == ("word", "or"):
            self._step()
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Segment:
        parts = [self._one()]
        while (self.kind, self.word) == ("word", "and"):
            self._step()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Segment:
        if (self.kind, self.word) == ("word", "not"):
            return Not(self._deeper(self._one))
        if (self.kind, self.word) == ("sign", "("):
            segment = self._deeper(self._any)
            self._sign(")")
            return segment
        if self.kind != "name":
            raise self._refused("a name, 'not' or '('")
        return self._test(self._step())

    def _deeper(self, read: Callable[[], Segment]) -> Segment:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _wrong(self.at, f"more than {DEPTH_MAX} levels of 'not' and '('")
        self._step()
        segment = read()
        self._depth -= 1
        return segment

    def _test(self, name: str) -> Segment:
        if self.kind == "sign" and self.word in ("!=", *_OPERATORS):
            sign: Operator = self._step()  # type: ignore[assignment]  # one of them
            return Compare(name, sign, self._value())
        if (self.kind, self.word) != ("word", "in"):
            raise self._refused("a comparison or 'in'")
        self._step()
        self._sign("(")
        values = [self._value()]
        while (self.kind, self.word) == ("sign", ","):
            self._step()
            values.append(self._value())
        self._sign(")")
        return In(name, tuple(values))

    def _value(self) -> Value:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise _wrong(self.at, f"more than {TERMS_MAX} values")
        if self.kind == "text":
            quote = self.word[0]
            return self._step()[1:-1].replace(quote * 2, quote)
        if self.kind == "number":
            at = self.at
            return _number(self._step(), at)
        if self.kind == "word" and self.word in ("true", "false"):
            return self._step() == "true"
        raise self._refused("a text in quotes, a number, true or false")

    def _sign(self, sign: str) -> None:
        if (self.kind, self.word) != ("sign", sign):
            raise self._refused(f"'{sign}'")
        self._step()

    def _refused(self, expected: str) -> ReddotError:
        found = "the end" if self.kind == "end" else repr(self.word[:40])
        return _wrong(self.at, f"expected {expected}, not {found}")


def _number(word: str, at: int) -> int | float:
    number = int(word) if word.lstrip("-").isdigit() else float(word)
    if not math.isfinite(number) or len(word) > 40:
        raise _wrong(at, "the number is too large")
    return number


def _wrong(at: int, message: str) -> ReddotError:
    return ReddotError("field_invalid", f"segment, character {at + 1}: {message}")
