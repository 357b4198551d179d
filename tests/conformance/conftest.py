"""Clients of a live server, over TCP and over WebSocket, at both levels.

`CONFORMANCE_BROKER=host:port:websocket-port` runs the suite against another broker. That is how the
suite itself is examined: what a broker of long standing fails is a mistake of a test, or known.
"""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest

from reddot.codecs.mqtt_packets import Connect
from tests.conformance.client import Client, Link, TcpLink, WebSocketLink, properties
from tests.integration.server import Servers

OTHER: Final = os.environ.get("CONFORMANCE_BROKER", "")


class Clients:
    """Makes clients of one server; all are gone at the end of the test."""

    def __init__(self, wire: str, level: int, host: str, port: int, websocket_port: int) -> None:
        self.level = level
        self._wire = wire
        self._host = host
        self._ports = {"tcp": port, "websocket": websocket_port}
        self._links: list[Link] = []

    def open(self, level: int = 0) -> Client:
        """A client that has sent nothing."""
        make = TcpLink if self._wire == "tcp" else WebSocketLink
        link: Link = make(self._host, self._ports[self._wire])
        self._links.append(link)
        return Client(link, level or self.level)

    def connect(self, client_id: str = "", *, level: int = 0, **fields: Any) -> Client:
        """A client that was accepted. `fields` are those of `Connect`, others are properties."""
        client = self.open(level)
        own = {name: fields.pop(name) for name in list(fields) if name in Connect.__struct_fields__}
        packet = Connect(
            level=client.level, client_id=client_id, properties=properties(**fields), **own
        )
        assert client.connect(packet).reason == 0
        return client

    def keep(self, client_id: str, *, clean: bool = False, level: int = 0, **fields: Any) -> Client:
        """A client whose session outlives the connection."""
        if (level or self.level) == 5:
            fields.setdefault("session_expiry_s", 60)
        return self.connect(client_id, level=level, clean_start=clean, **fields)

    def close(self) -> None:
        for link in self._links:
            link.abort()


@pytest.fixture(scope="session")
def development_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("servers"))
    with socket.socket() as reservation:  # As `Server` does for its port.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        servers.start(dev=True, mqtt_port=reservation.getsockname()[1])
        yield servers
    servers.close()


@pytest.fixture
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int, int]]:
    """Host, port and WebSocket port of a development server, or of the other broker."""
    if OTHER:
        host, port, websocket_port = OTHER.split(":")
        yield host, int(port), int(websocket_port)
        return
    servers: Servers = request.getfixturevalue("development_servers")
    [server] = servers.started
    known = servers.complaints()
    yield "127.0.0.1", int(str(server.settings["mqtt_port"])), server.port
    sys.stdout.write(servers.log())
    assert servers.complaints() == known


@pytest.fixture(params=["tcp", "websocket"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5.0"])
def clients(
    wire: str, request: pytest.FixtureRequest, address: tuple[str, int, int]
) -> Iterator[Clients]:
    """Of both levels."""
    made = Clients(wire, request.param, *address)
    yield made
    made.close()


@pytest.fixture
def five(wire: str, address: tuple[str, int, int]) -> Iterator[Clients]:
    """Of 5.0 only."""
    made = Clients(wire, 5, *address)
    yield made
    made.close()


@pytest.fixture
def four(wire: str, address: tuple[str, int, int]) -> Iterator[Clients]:
    """Of 3.1.1 only."""
    made = Clients(wire, 4, *address)
    yield made
    made.close()


@pytest.fixture
def topic() -> str:
    """A topic that only this test uses."""
    return f"test/{uuid.uuid4().hex}"


@pytest.fixture
def name() -> str:
    """A client identifier that only this test uses, in the form that 3.1.3-5 guarantees."""
    return uuid.uuid4().hex[:20]
