"""The contracts of import-linter hold, and each of them bites.

The second half plants one violation at a time in a copy of the package and expects the contract
that it breaks to say so. A contract that nothing can break is decoration.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = "import sys; from importlinter.cli import lint_imports_command as main; sys.exit(main())"


def lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package `reddot` in a folder, with the repository's contracts."""
    only = [option for contract in contracts for option in ("--contract", contract)]
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo"]
    return subprocess.run(
        [sys.executable, "-c", LINT, *config, *only],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_hold() -> None:
    done = lint(ROOT / "src")
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Violation:
    """One forbidden arrow.

    Attributes:
        contract: id of the contract that has to catch it.
        module: the importing module, as a path in the package.
        line: what is added to it.
        said: what import-linter has to say.
    """

    contract: str
    module: str
    line: str
    said: str


VIOLATIONS = {
    "hub to transport": Violation(
        "layers",
        "core/hub.py",
        "import reddot.transports.sse",
        "reddot.core is not allowed to import reddot.transports",
    ),
    "hub to transport, for typing only": Violation(
        "layers",
        "core/hub.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import reddot.transports.sse",
        "reddot.core is not allowed to import reddot.transports",
    ),
    "core to codec": Violation(
        "core",
        "core/feed.py",
        "import reddot.codecs.sse",
        "reddot.core is not allowed to import reddot.codecs",
    ),
    "core to net": Violation(
        "layers",
        "core/session.py",
        "import reddot.net.exchange",
        "reddot.core is not allowed to import reddot.net",
    ),
    "transport to transport": Violation(
        "transports",
        "transports/sse.py",
        "import reddot.transports.iframe",
        "reddot.transports.sse is not allowed to import reddot.transports.iframe",
    ),
    "store to store": Violation(
        "stores",
        "stores/sqlite.py",
        "import reddot.stores.memory",
        "reddot.stores.sqlite is not allowed to import reddot.stores.memory",
    ),
    "bus to bus": Violation(
        "buses",
        "buses/nats.py",
        "import reddot.buses.local",
        "reddot.buses.nats is not allowed to import reddot.buses.local",
    ),
    "courier to courier": Violation(
        "couriers",
        "couriers/webhook.py",
        "import reddot.couriers.web_push",
        "reddot.couriers.webhook is not allowed to import reddot.couriers.web_push",
    ),
    "courier to settings": Violation(
        "settings",
        "couriers/webhook.py",
        "import reddot.courier_settings",
        "reddot.couriers is not allowed to import reddot.courier_settings",
    ),
    "codec to asyncio": Violation(
        "pure",
        "codecs/sse.py",
        "import asyncio",
        "reddot.codecs is not allowed to import asyncio",
    ),
    "core to the clock": Violation(
        "core",
        "core/session.py",
        "import time",
        "reddot.core is not allowed to import time",
    ),
    "transport to settings": Violation(
        "settings",
        "transports/sse.py",
        "import reddot.settings",
        "reddot.transports is not allowed to import reddot.settings",
    ),
    "model to ports": Violation(
        "layers",
        "model.py",
        "import reddot.ports",
        "reddot.model is not allowed to import reddot.ports",
    ),
    "api to store, inside a function": Violation(
        "layers",
        "api/publish.py",
        "def hide() -> None:\n    import reddot.stores.sqlite",
        "reddot.api is not allowed to import reddot.stores",
    ),
    "client to server": Violation(
        "client",
        "tail.py",
        "import reddot.codecs.frames",
        "reddot.tail is not allowed to import reddot.codecs",
    ),
    "an unplaced module": Violation(
        "layers",
        "spare.py",
        "",
        "reddot.spare",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_planted_violation_is_caught(violation: Violation, tmp_path: Path) -> None:
    package = tmp_path / "reddot"
    shutil.copytree(ROOT / "src" / "reddot", package, ignore=shutil.ignore_patterns("__pycache__"))
    _touch_imported(package, violation.line)
    with (package / violation.module).open("a") as module:
        module.write(f"\n{violation.line}\n")
    done = lint(tmp_path, violation.contract)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1, done.stdout + done.stderr
    assert violation.said in said


def _touch_imported(package: Path, line: str) -> None:
    """Make the imported module if it is one of ours and not there (yet, or any more)."""
    _, _, name = line.rpartition("import ")
    if name.startswith("reddot."):
        path = package.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if not path.with_suffix("").is_dir():
            path.touch()


# A back end that is too long for one file has parts named after it, `sqlite_writer` of `sqlite`.
# No contract can say "or a part of its own", so this does.


def strangers(folder: Path) -> Iterator[str]:
    """Imports between modules of one folder that belong to different back ends."""
    stems = [path.stem for path in folder.glob("*.py")]

    def door(module: str) -> str:
        return min((s for s in stems if f"{module}_".startswith(f"{s}_")), key=len)

    for path in folder.glob("*.py"):
        for imported in _neighbours(ast.parse(path.read_text()), folder.name):
            if imported in stems and door(imported) != door(path.stem):
                yield f"{path.stem} imports {imported}"


def _neighbours(tree: ast.Module, folder: str) -> Iterator[str]:
    prefix = f"reddot.{folder}."
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith(prefix):
                yield name.removeprefix(prefix).partition(".")[0]


@pytest.mark.parametrize("folder", ["transports", "stores", "buses"])
def test_back_ends_share_no_parts(folder: str) -> None:
    assert not list(strangers(ROOT / "src" / "reddot" / folder))


@pytest.mark.parametrize(
    "line",
    [
        "from reddot.stores.sqlite_writer import Writer",
        "from reddot.stores import sqlite_writer",
        "import reddot.stores.sqlite",
    ],
)
def test_a_shared_part_is_caught(line: str, tmp_path: Path) -> None:
    folder = tmp_path / "stores"
    folder.mkdir()
    (folder / "sqlite.py").write_text("from reddot.stores.sqlite_writer import Writer")
    (folder / "sqlite_writer.py").write_text("import reddot.stores.sqlite_topics")
    (folder / "sqlite_topics.py").touch()
    (folder / "memory.py").touch()
    assert not list(strangers(folder))
    (folder / "memory.py").write_text(line)
    assert len(list(strangers(folder))) == 1
