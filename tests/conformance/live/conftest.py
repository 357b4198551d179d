"""A broker per module, and clients that speak to it over TCP and over WebSocket in turn."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator

import pytest

from tests.conformance.live.guests import Guests
from tests.conformance.live.wires import Wire
from tests.integration.server import API_KEY, SECRET, Server, Servers


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of one module; each setting that differs makes one."""
    servers = Servers(tmp_path_factory.mktemp("conformance"))
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def broker(servers: Servers) -> Server:
    """A development server: who connects without a name may do everything."""
    return servers.shared(dev=True)


@pytest.fixture(params=list(Wire), ids=lambda wire: str(wire.value))
def wire(request: pytest.FixtureRequest) -> Wire:
    found: Wire = request.param
    return found


@pytest.fixture
def guests(servers: Servers, broker: Server, wire: Wire) -> Iterator[Guests]:
    """Makes clients; ends them, and fails if the server has logged an error meanwhile."""
    known = servers.complaints()
    guests = Guests(broker, wire)
    yield guests
    guests.close()
    sys.stdout.write(servers.log())
    assert servers.complaints() == known


@pytest.fixture
def secured(servers: Servers, guests: Guests) -> Iterator[Guests]:
    """As `guests`, on a server that believes nobody."""
    server = servers.shared(jwt_secret=SECRET, api_key=API_KEY)
    secured = Guests(server, guests.wire)
    yield secured
    secured.close()


@pytest.fixture
def topic() -> str:
    """A topic that only this test uses."""
    return f"c{uuid.uuid4().hex[:12]}"
