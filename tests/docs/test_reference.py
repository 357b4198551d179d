"""The reference pages of settings and commands: complete, and their tables not out of date.

Run this file as a script to write the generated tables anew.
"""

from __future__ import annotations

import re
import sys
import tomllib
from enum import Enum
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from msgspec.structs import fields

from reddot import cli
from reddot.cli_client import Exit
from reddot.codecs.plans import WrittenPlan
from reddot.setting_sources import CLIENT_VARIABLES, load
from reddot.settings import SETTINGS, Setting, TopicRuleSetting

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference"
BEGIN: Final = "<!-- generated: begin -->\n"
END: Final = "<!-- generated: end -->\n"


def settings_tables() -> str:
    groups: dict[str, list[Setting]] = {}
    for row in SETTINGS:
        groups.setdefault(row.group, []).append(row)
    return "\n".join(f"### {group}\n\n{_table(rows)}" for group, rows in groups.items())


def _table(rows: list[Setting]) -> str:
    lines = ["| name | values | default | what it does |", "|---|---|---|---|"]
    for row in rows:
        secret = " May be a file: `" + row.variable + "_FILE`." if row.secret else ""
        lines.append(f"| `{row.name}` | {_values(row)} | {_default(row)} | {row.help}{secret} |")
    return "\n".join(lines) + "\n"


def _values(row: Setting) -> str:
    if row.low is None:
        return row.kind.replace("|", ", ")
    return f"{row.low:.12g} to {row.high:.12g} {row.unit}".rstrip()


def _default(row: Setting) -> str:
    if row.default in (None, (), {}):
        return "none"
    return f"`{str(row.default).lower() if isinstance(row.default, bool) else row.default}`"


def command_tables() -> str:
    group: Any = typer.main.get_command(cli.app)
    return "\n".join(_command(name, command) for name, command in group.commands.items())


def _own(command: Any) -> list[Any]:
    """A command's parameters, without the flags that `serve` and `config` take for all settings."""
    settings = {row.name for row in SETTINGS}
    if settings <= {one.name for one in command.params}:
        return [one for one in command.params if one.name not in settings]
    return list(command.params)


def _command(name: str, command: Any) -> str:
    own = _own(command)
    arguments = "".join(f" {one.metavar}" for one in own if not one.opts[0].startswith("-"))
    lines = [f"### `reddot {name}{arguments}`", "", _prose(command.help), ""]
    if len(own) < len(command.params):
        lines += ["Takes every [setting](settings.md#all-settings) as a flag, and:", ""]
    options = [one for one in own if one.opts[0].startswith("-") and one.name != "help"]
    if options:
        lines += ["| flag | what it does |", "|---|---|", *map(_option, options)]
    return "\n".join(lines).rstrip() + "\n"


def _prose(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text).replace("<", "&lt;")


def _option(option: Any) -> str:
    default = option.default.value if isinstance(option.default, Enum) else option.default
    metavar = f" {option.metavar}" if option.metavar else ""
    notes = []
    if isinstance(option.default, Enum):
        notes.append("One of " + ", ".join(f"`{one.value}`" for one in type(option.default)) + ".")
    if default not in (None, False, ()):
        notes.append(f"Default: `{default}`.")
    if option.envvar:
        notes.append(f"Variable: `{option.envvar}`.")
    return f"| `{option.opts[0]}{metavar}` | {' '.join([option.help or '', *notes])} |"


PAGES: Final = {"settings.md": settings_tables, "cli.md": command_tables}


def renewed(page: str) -> str:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    assert mark, f"{page} has lost its marks"
    return f"{head}{BEGIN}\n{PAGES[page]()}\n{END}{tail}"


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_part_is_not_out_of_date(page: str) -> None:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    assert text == renewed(page), f"run: python {Path(__file__).name}"


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_every_setting_is_documented(row: Setting) -> None:
    assert f"| `{row.name}` |" in (REFERENCE / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", TopicRuleSetting.model_fields)
def test_every_key_of_a_topic_rule_is_documented_with_its_default(key: str) -> None:
    field = TopicRuleSetting.model_fields[key]
    line = next(
        line
        for line in (REFERENCE / "settings.md").read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{key}` |")
    )
    default = "required" if field.is_required() else f"`{field.default!s}`"
    assert default.lower() in line.lower()


@pytest.mark.parametrize("key", [field.encode_name for field in fields(WrittenPlan)])
def test_every_key_of_a_plan_is_documented(key: str) -> None:
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert f"| `{key}` |" in page.partition("## Deliveries")[2].partition("## All settings")[0]


def test_every_command_and_flag_is_documented() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    group: Any = typer.main.get_command(cli.app)
    for name, command in group.commands.items():
        section = page.partition(f"### `reddot {name}")[2].partition("\n### ")[0]
        assert section, name
        for one in _own(command):
            known = one.metavar if one.param_type_name == "argument" else one.opts[0]
            assert known in section or one.name == "help", f"{name} {known}"


def test_every_exit_code_and_variable_is_documented() -> None:
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    for code in Exit:
        assert f"| {code.value} |" in page
    for variable in CLIENT_VARIABLES | {"REDDOT_API_KEY"}:
        assert f"`{variable}`" in page


def test_the_example_is_a_file_that_starts(tmp_path: Path) -> None:
    page = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert tomllib.loads(example)["topics"]
    (tmp_path / "reddot.toml").write_text(example)
    assert len(load({}, {}, tmp_path / "reddot.toml").topics) == 2


if __name__ == "__main__":
    for name in PAGES:
        (REFERENCE / name).write_text(renewed(name), encoding="utf-8")
    sys.exit(0)
