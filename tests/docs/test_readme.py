"""What README.md says to type is typed here, and does what README.md says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text()
COMMANDS: Final = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
REDDOT: Final = Path(sys.executable).with_name("reddot")


def _command(start: str) -> list[str]:
    """The words of the README's command that begins with `start`."""
    lines = [line for block in COMMANDS for line in block.splitlines() if line.startswith(start)]
    assert len(lines) == 1, f"{start!r} is {len(lines)} times in README.md"
    return shlex.split(lines[0], comments=True)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The README's server, on a free port."""
    words = _command("reddot serve")
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([REDDOT, *words[1:], "--port", "0"], cwd=tmp_path, stderr=log)
        try:
            for _ in range(200):
                found = re.search(r"http://127\.0\.0\.1:\d+", (tmp_path / "log").read_text())
                if found:
                    break
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.05)
            assert found
            yield found[0]
        finally:
            server.terminate()
            assert server.wait(20) == 0
    assert (tmp_path / "reddot.db").exists()


def test_sixty_seconds(address: str, tmp_path: Path) -> None:
    """Subscribe, publish with curl, read the answer and the publication."""
    words = _command("reddot subscribe")
    tail = subprocess.Popen(
        [REDDOT, *words[1:], "--url", address, "--count", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        curl = [w.replace("http://127.0.0.1:8000", address) for w in _command("curl")]
        for _ in range(100):
            answer = subprocess.run([*curl, "-s"], capture_output=True, text=True, check=True)
            fields = json.loads(answer.stdout)
            assert {"id", "topic", "offset", "cursor", "duplicate"} == fields.keys()
            assert fields["topic"] == "news/sports"
            if tail.poll() is not None:
                break
            time.sleep(0.1)
        out, _ = tail.communicate(timeout=10)
    finally:
        tail.kill()
        tail.wait()
    assert "2:1" in out


def test_the_two_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in COMMANDS[0].splitlines():
        target = line.split()[1]
        assert f"\n{target}:" in makefile
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_transport_table_is_the_code() -> None:
    from reddot.api.openapi import PATHS

    routes = set(re.findall(r"`GET (/v1/\w+)", README))
    assert routes - {"/v1/badge"} == {
        path for path in PATHS if "subscribe" in PATHS[path].get("get", {}).get("tags", ())
    }
