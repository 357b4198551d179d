"""The page of what MQTT supports: every row is shown by a test, and it hides nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.conformance.statements import (
    ALL_5,
    ALL_311,
    CLIENTS_5,
    CLIENTS_311,
    NOT_TESTED_5,
    NOT_TESTED_311,
)

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/reference/mqtt.md").read_text(encoding="utf-8")


def test_every_row_is_shown_by_a_test_that_exists() -> None:
    files = (ROOT / "tests/conformance").glob("test_*.py")
    tests = set(re.findall(r"^def (test_\w+)", "\n".join(f.read_text() for f in files), re.M))
    rows = [line for line in PAGE.splitlines() if re.match(r"\|.*\| (yes|no) \|", line)]
    assert len(rows) > 20
    named = [re.search(r"`(test_\w+)` \|$", row) for row in rows]
    assert all(named)
    assert {found[1] for found in named if found} <= tests


def test_the_statements_without_a_test_are_those() -> None:
    told = re.findall(r"^\| (5\.0|3\.1\.1) \| ([\d.]+-\d+) \| (.*) \|$", PAGE, re.M)
    left = [("5.0", *row) for row in NOT_TESTED_5.items()]
    left += [("3.1.1", *row) for row in NOT_TESTED_311.items()]
    assert sorted(told) == sorted(left)
    counts = f"{len(ALL_5 - CLIENTS_5)} of MQTT 5.0 and {len(ALL_311 - CLIENTS_311)} of MQTT 3.1.1"
    assert counts in PAGE
