"""In CI a skipped test is a failed one, so that a missing service cannot look like a pass."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPPED_TEST = "import pytest\n\ndef test_it():\n    pytest.skip('no nginx here')\n"
SKIPPED_FILE = "import pytest\n\npytest.skip('no nginx here', allow_module_level=True)\n"


def run_pytest(folder: Path, *, ci: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder of its own under the global conftest."""
    shutil.copy(CONFTEST, folder)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:anyio", "-ra"],
        cwd=folder,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("source", [SKIPPED_TEST, SKIPPED_FILE])
def test_a_skip_fails_in_ci(tmp_path: Path, source: str) -> None:
    (tmp_path / "test_it.py").write_text(source)
    done = run_pytest(tmp_path, ci="true")
    assert done.returncode not in (0, 5)
    assert "CI may skip nothing: " in done.stdout
    assert "no nginx here" in done.stdout


def test_a_skip_passes_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SKIPPED_TEST)
    done = run_pytest(tmp_path, ci="")
    assert done.returncode == 0
    assert "1 skipped" in done.stdout
