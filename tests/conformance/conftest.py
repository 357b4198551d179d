"""One list of cases, and whose: every case runs on bytes, over TCP and over WebSocket.

`CONFORMANCE_BROKER=host:port:websocket-port` runs the suite against another broker. That is how the
suite itself is examined: what a broker of long standing fails is a mistake of a test, or known.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from reddot.codecs.mqtt_packets import Connect
from tests.conformance.client import Client, properties
from tests.conformance.links import Bytes, Place, TcpPlace, WebSocketPlace
from tests.integration.server import API_KEY, SECRET, Server, Servers

OTHER: Final = os.environ.get("CONFORMANCE_BROKER", "")
WIRES: Final = ["tcp", "websocket"] if OTHER else ["bytes", "tcp", "websocket"]
HOST: Final = "127.0.0.1"
HOUR_S: Final = 3600


class Clients:
    """Makes clients of one server; all are gone at the end of the test.

    Attributes:
        place: the server, and the way to its bytes.
    """

    def __init__(self, place: Place, level: int) -> None:
        self.level: Final = level
        self.place: Final = place
        self._own = uuid.uuid4().hex[:12]
        self._made: list[Client] = []

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._made:
            client.link.abort()

    def open(self, level: int = 0) -> Client:
        """A client that has sent nothing."""
        client = Client(self.place.link(), level or self.level)
        self._made.append(client)
        return client

    def asks(self, short: str = "", *, level: int = 0, **fields: Any) -> Connect:
        """A CONNECT. `fields` are its own, others are properties.

        Args:
            short: what makes the client's identifier within this test; empty: it has none.
        """
        own = {name: fields.pop(name) for name in list(fields) if name in Connect.__struct_fields__}
        client_id = own.pop("client_id", self._own + short if short else "")
        said = properties(**fields)
        return Connect(level=level or self.level, client_id=client_id, properties=said, **own)

    def connect(
        self, short: str = "", *, level: int = 0, present: bool = False, **fields: Any
    ) -> Client:
        """A client that was accepted.

        Args:
            present: whether it must find its session.
        """
        client = self.open(level)
        answer = client.connect(self.asks(short, level=level, **fields))
        assert (answer.reason, answer.session_present) == (0, present), answer
        return client

    def keep(self, short: str, *, level: int = 0, **fields: Any) -> Client:
        """A client whose session begins, and outlives the connection."""
        return self.connect(short, level=level, **self._lasting(level, fields))

    def back(self, short: str = "", *, level: int = 0, **fields: Any) -> Client:
        """The next connection of such a client."""
        present = (level or self.level) > 3  # Before, nobody was told.
        return self.connect(short, level=level, present=present, **self._lasting(level, fields))

    def _lasting(self, level: int, fields: dict[str, Any]) -> dict[str, Any]:
        expiry = {"session_expiry_s": HOUR_S} if (level or self.level) == 5 else {}
        return {"clean_start": False} | expiry | fields


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Live servers for all tests; each setting that differs makes one."""
    servers = Servers(tmp_path_factory.mktemp("conformance"))
    yield servers
    servers.close()


@pytest.fixture
def live(servers: Servers) -> Iterator[Servers]:
    """As `servers`; fails if one of them has logged an error meanwhile."""
    known = servers.complaints()
    yield servers
    sys.stdout.write(servers.log())
    assert servers.complaints() == known


@pytest.fixture
def broker(live: Servers) -> Server:
    """A development server: who connects without a name may do everything."""
    return live.shared(dev=True)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def placed(wire: str, request: pytest.FixtureRequest, **settings: Any) -> Iterator[Place]:
    kind = WebSocketPlace if wire == "websocket" else TcpPlace
    if OTHER:
        host, port, websocket_port = OTHER.split(":")
        yield kind(host, int(websocket_port if wire == "websocket" else port))
    elif wire == "bytes":
        made = Bytes(**settings)
        yield made
        made.close()
    else:
        server = request.getfixturevalue("live").shared(**settings)
        yield kind(HOST, server.port if wire == "websocket" else server.mqtt_port)


@pytest.fixture
def place(wire: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A development server, or the other broker."""
    with placed(wire, request, dev=True) as found:
        yield found


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5.0"])
def clients(place: Place, request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Of both levels."""
    with Clients(place, request.param) as made:
        yield made


@pytest.fixture
def five(place: Place) -> Iterator[Clients]:
    """Of 5.0 only."""
    with Clients(place, 5) as made:
        yield made


@pytest.fixture
def four(place: Place) -> Iterator[Clients]:
    """Of 3.1.1 only."""
    with Clients(place, 4) as made:
        yield made


@pytest.fixture
def three(place: Place) -> Iterator[Clients]:
    """Of 3.1 only."""
    with Clients(place, 3) as made:
        yield made


@pytest.fixture
def secured(wire: str, request: pytest.FixtureRequest) -> Iterator[Clients]:
    """Of 5.0, on a server that believes nobody."""
    if OTHER:
        pytest.skip("another broker has other credentials")
    with (
        placed(wire, request, dev=False, jwt_secret=SECRET, api_key=API_KEY) as place,
        Clients(place, 5) as made,
    ):
        yield made


@pytest.fixture
def topic() -> str:
    """A topic that only this test uses."""
    return f"test/{uuid.uuid4().hex}"


BUT_WEBSOCKET: Final = pytest.mark.parametrize(
    "wire", [wire for wire in WIRES if wire != "websocket"], indirect=True
)
"""For tests that have to let seconds pass, which has nothing to do with frames."""
