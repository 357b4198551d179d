"""What the pages about deliveries say: the order of the rules, and examples that are plans."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from reddot.codecs import plans
from reddot.core import segments
from reddot.core.once import UNKNOWN_OUTCOME
from reddot.core.reach import RULES
from reddot.setting_sources import load

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
CONCEPTS: Final = (DOCS / "concepts" / "deliveries.md").read_text(encoding="utf-8")
SETTINGS: Final = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
PAGES: Final = (DOCS / "concepts" / "deliveries.md", DOCS / "howto" / "quiet-hours.md")
EXAMPLES: Final = [
    text
    for page in PAGES
    for text in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
]


def test_the_order_of_precedence_is_the_codes() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", CONCEPTS, re.MULTILINE)
    assert rows == [(str(number), reason) for number, reason in enumerate(RULES, start=1)]


def test_the_console_has_words_for_every_reason_of_ours() -> None:
    words = (ROOT / "src/reddot/static/console/words.js").read_text(encoding="utf-8")
    known = set(re.findall(r"^  (\w+): \"", words, re.MULTILINE))
    assert known >= {*RULES, UNKNOWN_OUTCOME, "due", "courier_failed", "courier_removed"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_plan(example: str, tmp_path: Path) -> None:
    path = tmp_path / "reddot.toml"
    path.write_text(example, encoding="utf-8")
    assert load({"dev": True}, {}, path).deliveries
    assert tomllib.loads(example).keys() == {"deliveries"}


def test_the_segment_is_one_and_its_limits_are_true() -> None:
    (text,) = re.findall(r"```\n(plan = .*?)\n```", CONCEPTS)
    segment = segments.parse(text)
    assert segments.matches(segment, {"plan": "pro", "tags": ["verified"]})
    assert not segments.matches(segment, {"plan": "pro", "age": 17})
    limits = (segments.CHARS_MAX, segments.TERMS_MAX, segments.DEPTH_MAX)
    assert "{:,} characters, {} values, {} levels".format(*limits) in CONCEPTS


def test_the_limits_of_a_plan_are_true() -> None:
    said = re.sub(r"\s+", " ", SETTINGS.partition("## Deliveries")[2])
    assert f"| `total` | 1 to {plans.COUNT_MAX} |" in said
    assert f"up to {plans.SPAN_S_MAX // 86_400} days" in said
    assert (
        f"At most {plans.PLANS_MAX} plans, each with {plans.NAMES_MAX} categories, "
        f"{plans.STEPS_MAX} couriers, {plans.CAPS_MAX} caps, {plans.USERS_MAX} users on a list "
        f"and {plans.KEYWORDS_MAX} keywords of 100 characters."
    ) in said
