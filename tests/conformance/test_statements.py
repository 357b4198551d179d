"""Every normative statement that concerns a server has a test, or a reason not to have one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.malformed import CONNECTS_5, CONNECTS_311, PACKETS_5, PACKETS_311
from tests.conformance.statements import (
    ALL_5,
    ALL_311,
    CLIENTS_5,
    CLIENTS_311,
    NOT_TESTED_5,
    NOT_TESTED_311,
)


def marked(old: bool) -> set[str]:
    """What the tests of this folder say they are about."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for call in calls(ast.parse(path.read_text())):
            kept = [keyword.value for keyword in call.keywords] if old else call.args
            for node in kept:
                found |= {c.value for c in ast.walk(node) if isinstance(c, ast.Constant)}
    return {str(number) for number in found}


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == (
                    "normative"
                ):
                    yield decorator


def refused(*tables: dict[str, object]) -> set[str]:
    """The statements that rows of `malformed` are about."""
    names = [name for table in tables for name in table]
    return {found[0] for name in names if (found := re.match(r"[\d.]+-\d+", name))}


TESTED_5 = marked(old=False) | refused({**PACKETS_5}, {**CONNECTS_5})
TESTED_311 = marked(old=True) | refused({**PACKETS_311}, {**CONNECTS_311})
LEVELS = [
    pytest.param(TESTED_5, ALL_5, CLIENTS_5, NOT_TESTED_5, id="5.0"),
    pytest.param(TESTED_311, ALL_311, CLIENTS_311, NOT_TESTED_311, id="3.1.1"),
]


@pytest.mark.parametrize(("tested", "known", "of_clients", "left"), LEVELS)
def test_every_statement_about_servers_has_a_test(
    tested: set[str], known: frozenset[str], of_clients: frozenset[str], left: dict[str, str]
) -> None:
    assert sorted(known - of_clients - tested - set(left)) == []


@pytest.mark.parametrize(("tested", "known", "of_clients", "left"), LEVELS)
def test_no_test_names_a_statement_that_is_none(
    tested: set[str], known: frozenset[str], of_clients: frozenset[str], left: dict[str, str]
) -> None:
    assert sorted(tested - known) == []
    assert sorted(tested & set(left)) == []
    assert of_clients <= known
