"""Real servers as processes of their own; see `server.Server` for what one can do."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server import Server, ServerFactory

LOG_CHARS_SHOWN = 4000


@pytest.fixture
def server_factory(tmp_path: Path) -> Iterator[ServerFactory]:
    """Start servers: `server_factory(dev=True, heartbeat_sse_s=1)`.

    Each has a store of its own in the test's folder. At the end they are killed, their logs are
    shown if the test fails, and an error that one of them has logged is a failure.
    """
    servers: list[Server] = []

    def make(**settings: object) -> Server:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        server = Server(folder, settings)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()
    for server in servers:
        sys.stdout.write(f"--- log of {server.url}\n{server.log()[-LOG_CHARS_SHOWN:]}\n")
    assert [line for server in servers for line in server.complaints()] == []


@pytest.fixture
def server(server_factory: ServerFactory) -> Server:
    """A development server: anonymous clients may do everything but read people's topics."""
    return server_factory(dev=True)


@pytest.fixture
def rng() -> random.Random:
    """A schedule that `SEED=n` repeats; the seed is shown when the test fails."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    sys.stdout.write(f"SEED={seed}\n")
    return random.Random(seed)
