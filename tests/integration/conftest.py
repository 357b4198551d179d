"""Real servers as processes of their own; see `server.Server` for what one can do."""

from __future__ import annotations

import os
import random
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server import Server, ServerFactory, Servers


@pytest.fixture
def server_factory(tmp_path: Path) -> Iterator[ServerFactory]:
    """Start servers: `server_factory(dev=True, heartbeat_sse_s=1)`.

    Each has a store of its own in the test's folder. At the end they are killed, their logs are
    shown if the test fails, and an error that one of them has logged is a failure.
    """
    servers = Servers(tmp_path)
    yield servers.start
    servers.close()
    sys.stdout.write(servers.log())
    assert servers.complaints() == []


@pytest.fixture(scope="module")
def servers_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@pytest.fixture
def shared_server(servers_of_module: Servers) -> Iterator[ServerFactory]:
    """As `server_factory`, but all tests of a module get the same server for the same settings.

    They keep out of each other's way by topics of their own, and neither stop nor kill it.
    """
    known = servers_of_module.complaints()
    yield servers_of_module.shared
    sys.stdout.write(servers_of_module.log())
    assert servers_of_module.complaints() == known


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


@pytest.fixture
def topic() -> str:
    """A topic that only this test uses."""
    return f"test-{uuid.uuid4().hex}"
