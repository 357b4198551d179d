"""Results for people (a Markdown table) and for programs (JSON), under one name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.laboratory import Line


@dataclass(frozen=True)
class Section:
    """What one row has measured.

    Attributes:
        foreign_cores: how many cores others kept busy meanwhile.
        seconds: how long it took.
    """

    row: str
    lines: tuple[Line, ...]
    foreign_cores: float
    seconds: float


def markdown(facts: Mapping[str, object], sections: Sequence[Section]) -> str:
    head = [
        f"# Benchmarks, {facts['date']}",
        "",
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB; Linux "
        f"{facts['kernel']}; data on {facts['file_system']}, fsync {facts['fsync_ms']} ms. Load "
        f"average at the start: {facts['load_average']:.2f}.",
        "",
        f"Commit {facts['commit']}{' with changes' if facts['modified'] else ''}; "
        f"`{facts['command']}`. Python {facts['python']}, SQLite {facts['sqlite']}, uvloop "
        f"{facts['uvloop']}, nginx {facts['nginx']}, Nchan {facts['nchan']}, Mosquitto "
        f"{facts['mosquitto']}.",
        "",
        "| what | target | measured | | beside, in the same run | others' load, cores |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        f"| {line.what} | {line.target} | {line.measured} | {_bold(line)} | {line.beside} | "
        f"{section.foreign_cores:.2f} |"
        for section in sections
        for line in section.lines
    ]
    return "\n".join([*head, *rows, ""])


def _bold(line: Line) -> str:
    return f"**{line.verdict}**" if line.met is False else line.verdict


def save(
    folder: Path,
    name: str,
    facts: Mapping[str, object],
    sections: Sequence[Section],
    runs: Sequence[Mapping[str, Any]],
) -> Path:
    """Write `name`.json and `name`.md; return the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": dict(facts),
        "sections": [
            {**asdict(s), "lines": [{**asdict(x), "verdict": x.verdict} for x in s.lines]}
            for s in sections
        ],
        "runs": list(runs),
    }
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    path = folder / f"{name}.md"
    path.write_text(markdown(facts, sections))
    return path
