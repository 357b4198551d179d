"""`reddot doctor` against a real server, and against one that is too busy or not there."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.integration.server import API_KEY, SECRET, Server, ServerFactory, environment

TRANSPORTS: Final = ["short_poll", "long_poll", "iframe", "sse", "mqtt", "websocket"]

pytestmark = pytest.mark.slow


def doctor(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reddot", "doctor", url],
        env=environment({}) | {"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    first, *rest = done.stdout.splitlines()
    assert first.startswith("server")
    return {line[:12].strip(): line[12:] for line in rest}


@pytest.fixture
def production(server_factory: ServerFactory) -> Server:
    """Nobody may subscribe without a credential; the doctor works all the same."""
    return server_factory(jwt_secret=SECRET, api_key=API_KEY)


def test_everything_works_from_here(production: Server) -> None:
    done = doctor(production.url)
    assert (done.returncode, done.stderr) == (0, "")
    found = findings(done)
    assert list(found) == TRANSPORTS
    assert all(line.startswith("works, ") for line in found.values())


def test_a_server_without_probes(server_factory: ServerFactory) -> None:
    done = doctor(server_factory(dev=True, diag_probes_max=0).url)
    found = findings(done)
    assert done.returncode == 1
    assert found["short_poll"].startswith("works")
    assert found["mqtt"].startswith("works")
    assert found["sse"].startswith("busy")
    assert found["long_poll"].startswith("busy")
    assert found["websocket"].startswith("blocked")


def test_nobody_is_there() -> None:
    done = doctor("http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("reddot: http://127.0.0.1:9: ")
    assert len(done.stderr.splitlines()) == 1
