"""The pages agree with the code: tables are complete, links lead somewhere.

Run this file as a script to write the generated tables anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from reddot.api.openapi import PATHS
from reddot.api.ops import COUNTERS, TRANSPORT_COUNTERS
from reddot.counters import TRANSPORTS
from reddot.errors import ERRORS

ROOT: Final = Path(__file__).parents[2]
REFERENCE: Final = ROOT / "docs" / "reference"
BEGIN: Final = "<!-- generated: begin -->\n"
END: Final = "<!-- generated: end -->\n"
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")])


def error_table() -> str:
    lines = ["| code | HTTP | WebSocket | fault | retry | |", "|---|---|---|---|---|---|"]
    for row in ERRORS.values():
        retry = "yes" if row.retry else "no"
        lines.append(
            f"| `{row.code}` | {row.status} | {row.close} | {row.fault.value} | {retry} "
            f"| {row.title} |"
        )
    return "\n".join(lines) + "\n"


def metric_table() -> str:
    lines = ["| metric | labels | |", "|---|---|---|"]
    lines += [f"| `reddot_{name}_total` | | {text} |" for name, text in COUNTERS.items()]
    lines.append("| `reddot_rejected_total` | `code` | Requests and commands refused. |")
    lines.append(
        "| `reddot_deliveries_total` | `courier`, `state`, `reason` |"
        " Deliveries that came into a state, by courier and reason. |"
    )
    lines.append(
        "| `reddot_circuit_open` | `courier` |"
        " 1 while a courier is left alone because its provider fails, else 0. |"
    )
    lines.append("| `reddot_sessions` | `transport` | Open sessions. |")
    lines += [
        f"| `reddot_transport_{name}_total` | `transport` | {text} |"
        for name, text in TRANSPORT_COUNTERS.items()
    ]
    lines.append("| `reddot_transport_closed_total` | `transport`, `reason` | Sessions ended. |")
    lines.append("| `reddot_head` | | Newest durable position. |")
    return "\n".join(lines) + "\n"


GENERATED: Final = {"errors.md": error_table, "metrics.md": metric_table}


def _parts(page: Path) -> tuple[str, str, str]:
    before, _, rest = page.read_text().partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


@pytest.mark.parametrize("name", GENERATED)
def test_generated_table_is_current(name: str) -> None:
    assert _parts(REFERENCE / name)[1] == GENERATED[name](), f"run: python {__file__}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{target} in {page.name}"


def test_every_transport_is_on_the_wire_page() -> None:
    text = (REFERENCE / "wire.md").read_text().lower()
    for transport in TRANSPORTS:
        if transport != "mqtt":
            assert transport.replace("_", " ").removesuffix(" poll") in text


def test_every_hot_route_is_on_the_wire_page() -> None:
    text = (REFERENCE / "wire.md").read_text()
    assert [path for path in PATHS if path not in text] == []


def test_what_the_client_weighs_is_its_budget() -> None:
    """What the page says is what `js/build.js` refuses to exceed."""
    build = (ROOT / "js" / "build.js").read_text()
    budgets = re.findall(r"(?:js\"': |(?:SERVED|INSIDE)_MAX = )(\d+_\d{3})", build)
    _, section = (ROOT / "docs" / "howto" / "client.md").read_text().split("## What it weighs")
    rows = re.findall(r"^\|[^|]+\| (\d+,\d{3}) \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(budget.replace("_", ",") for budget in budgets)
    assert len(rows) == 6


def main() -> None:
    for name, table in GENERATED.items():
        before, _, after = _parts(REFERENCE / name)
        (REFERENCE / name).write_text(before + BEGIN + table() + END + after)


if __name__ == "__main__":
    main()
