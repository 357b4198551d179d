"""The wheel holds everything that a server needs, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

import reddot

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "reddot"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Reddot's wheel, built as a release builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*build, str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_every_file_of_the_package_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == source


@pytest.mark.parametrize(
    ("folder", "suffix"),
    [
        ("reddot/", "py.typed"),
        ("reddot/static/", ".js"),
        ("reddot/stores/migrations/", ".sql"),
        ("reddot/couriers/providers/", ".toml"),
    ],
)
def test_files_that_are_not_python_are_in_the_wheel(
    wheel: zipfile.ZipFile, folder: str, suffix: str
) -> None:
    assert [n for n in wheel.namelist() if n.startswith(folder) and n.endswith(suffix)]


def test_the_wheel_names_its_version_its_command_and_its_license(wheel: zipfile.ZipFile) -> None:
    info = f"reddot-{reddot.__version__}.dist-info"
    metadata = BytesParser().parsebytes(wheel.read(f"{info}/METADATA"))
    assert metadata["Name"] == "reddot"
    assert metadata["Version"] == reddot.__version__
    assert metadata["License-Expression"] == "MIT"
    assert b"reddot = reddot.cli:main" in wheel.read(f"{info}/entry_points.txt")
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_what_is_installed_from_it_runs(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """What README.md's `pip install .` makes, with the dependencies that are here."""
    path = str(wheel.filename)
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", "here"]
    subprocess.run([sys.executable, *install, path], cwd=tmp_path, check=True)
    script = """
import reddot.api.script as script
from reddot.cli import main
assert "here" in script.__file__, script.__file__
assert set(script.load_scripts()) == set(script.FILES)
main()
"""
    run = [sys.executable, "-c", script, "--help"]
    environment = {"PYTHONPATH": str(tmp_path / "here"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert "serve" in done.stdout


def test_every_dependency_is_pinned() -> None:
    """`make setup` installs what constraints.txt says, so no requirement may be without a pin."""
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {_name(pin) for pin in pins if "==" in pin}
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(table["project"]["dependencies"])
    wanted += [
        name for extra in table["project"]["optional-dependencies"].values() for name in extra
    ]
    wanted += [name for group in table["dependency-groups"].values() for name in group]
    assert {_name(requirement) for requirement in wanted} <= pinned


def _name(requirement: str) -> str:
    """The normalized name of a requirement (PEP 503)."""
    bare = requirement.replace("=", " ").replace(">", " ").replace("<", " ").split()[0]
    return bare.replace("_", "-").replace(".", "-").lower()
