"""MQTT programs that nobody here wrote, as they come: on every listener, in both versions.

Each listens to a topic that has a retained value, so that its first line says that it listens.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Final

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.client import MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from tests.integration.certificates import certificate, free_port, wait_for
from tests.integration.clients import Reader, beside, run, until
from tests.integration.ready_clients import lines
from tests.integration.server import ROOT, Server, ServerFactory
from tests.integration.test_every_transport import attached, publish

EXAMPLES: Final = ROOT / "examples" / "mqtt"
NODE_CLIENT: Final = ROOT / "tests" / "node" / "mqtt_client.mjs"
COUNT: Final = 30
VERSIONS: Final = {"311": (4, MQTTv311), "5": (5, MQTTv5)}

pytestmark = [pytest.mark.slow, pytest.mark.service]

Payloads = AsyncGenerator[str, None]


async def mosquitto(server: Server, version: str, listener: str) -> Payloads:
    port = server.mqtt_port if listener == "tcp" else server.port
    name = "mqttv311" if version == "311" else "mqttv5"
    command = ("mosquitto_sub", "-V", name, "-h", "127.0.0.1", "-p", str(port))
    async for line in lines(*command, "-t", "news/#", "-q", "1", "-F", "%t %p"):
        yield line


async def mqttjs(server: Server, version: str, listener: str) -> Payloads:
    address = {
        "tcp": f"mqtt://127.0.0.1:{server.mqtt_port}",
        "http": f"mqtt://127.0.0.1:{server.port}",
        "ws": f"{server.ws_url}/mqtt",
    }[listener]
    level = str(VERSIONS[version][0])
    async for line in lines("node", str(NODE_CLIENT), address, level, "news/#"):
        yield line


async def aio(server: Server, version: str, listener: str) -> Payloads:
    """aiomqtt, and paho below it."""
    websocket = listener == "ws"
    async with aiomqtt.Client(
        "127.0.0.1",
        server.mqtt_port if listener == "tcp" else server.port,
        protocol=aiomqtt.ProtocolVersion(VERSIONS[version][1]),
        transport="websockets" if websocket else "tcp",
        websocket_path="/mqtt" if websocket else None,
    ) as client:
        await client.subscribe("news/#", qos=1)
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            yield f"{message.topic} {message.payload.decode()}"


def threaded(version: str, host: str, port: int, **options: str) -> Payloads:
    """paho with its own thread, as most Python programs use it."""
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        protocol=VERSIONS[version][1],
        transport="websockets" if "path" in options else "tcp",
    )
    if "path" in options:
        client.ws_set_options(path=options["path"])
    if "ca" in options:
        client.tls_set(options["ca"])
    return heard_by(client, host, port)


async def heard_by(client: paho.Client, host: str, port: int) -> Payloads:
    arrived: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def note(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        text = f"{message.topic} {message.payload.decode()}"
        loop.call_soon_threadsafe(arrived.put_nowait, text)

    client.on_connect = lambda one, *_: one.subscribe("news/#", 1)
    client.on_message = note
    gone = threading.Event()
    client.on_disconnect = lambda *_: gone.set()
    await asyncio.to_thread(client.connect, host, port)
    client.loop_start()
    try:
        while True:
            yield await arrived.get()
    finally:
        client.disconnect()
        await asyncio.to_thread(gone.wait, 5)  # Else its socket stays open.
        await asyncio.to_thread(client.loop_stop)


def paho_plain(server: Server, version: str, listener: str) -> Payloads:
    port = server.mqtt_port if listener == "tcp" else server.port
    options = {"path": "/mqtt"} if listener == "ws" else {}
    return threaded(version, "127.0.0.1", port, **options)


CLIENTS: Final[dict[str, Callable[[Server, str, str], Payloads]]] = {
    "mosquitto": mosquitto,
    "mqttjs": mqttjs,
    "aiomqtt": aio,
    "paho": paho_plain,
}
CASES: Final = [
    (client, version, listener)
    for client in CLIENTS
    for version in VERSIONS
    for listener in ("tcp", "http", "ws")
    if not (client == "mosquitto" and listener == "ws")  # Debian's speaks no WebSocket.
]


@pytest.fixture
def broker(shared_server: ServerFactory) -> Server:
    return shared_server(dev=True)


@pytest.mark.parametrize(("client", "version", "listener"), CASES)
def test_what_is_published_anywhere_arrives_in_order(
    client: str, version: str, listener: str, broker: Server
) -> None:
    run(_arrives(CLIENTS[client](broker, version, listener), broker))


async def _arrives(arriving: Payloads, broker: Server) -> None:
    mark = f"news/{id(arriving)}"
    await publish(broker, {"topic": mark, "data": "ready", "retain": True})
    got: list[str] = []

    async def listen() -> None:
        async with aclosing(arriving):
            async for line in arriving:
                got.append(line)

    async with beside(listen()):
        await until(lambda: f'{mark} "ready"' in got, 20)
        for number in range(COUNT):
            await publish(broker, {"topic": f"{mark}/n", "data": {"n": number, "text": "é<"}})
        wanted = [f'{mark}/n {{"n":{n},"text":"é<"}}' for n in range(COUNT)]
        await until(lambda: len([1 for line in got if line.startswith(f"{mark}/n")]) == COUNT, 20)
    heard = [line for line in got if line.startswith(f"{mark}/n")]
    assert [line.replace(" ", "") for line in heard] == [line.replace(" ", "") for line in wanted]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_what_mosquitto_publishes_reaches_a_browser(version: str, qos: str, broker: Server) -> None:
    async def check() -> None:
        topic = f"devices/{version}/{qos}"
        reader = Reader(broker.port, "sse", [topic])
        async with beside(reader.read_once()):
            await attached(reader)
            name = "mqttv311" if version == "311" else "mqttv5"
            command = ("mosquitto_pub", "-V", name, "-p", str(broker.port), "-t", topic, "-q", qos)
            for payload in ('{"t": 1.50}', "not json"):
                process = await asyncio.create_subprocess_exec(*command, "-m", payload)
                assert await process.wait() == 0
            await until(lambda: len(reader.publications) == 2, 10)
        first, second = reader.publications
        assert first["data"] == {"t": 1.5}
        assert second["data"] == {"base64": "bm90IGpzb24="}
        assert ("offset" in first) == (qos != "0")

    run(check())


class SecureServer(Server):
    """A server whose every listener speaks TLS, with one for MQTT alone."""

    def __init__(self, folder: Path) -> None:
        self.certificate, key = certificate(folder)
        self.mqtts_port = free_port()
        settings: dict[str, object] = {"dev": True, "tls_certfile": self.certificate}
        super().__init__(folder, settings | {"tls_keyfile": key, "mqtts_port": self.mqtts_port})


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureServer]:
    server = SecureServer(tmp_path)
    server.start_unready()
    wait_for(server.mqtts_port)
    yield server
    server.close()


def mosquitto_tls(server: SecureServer, version: str) -> Payloads:
    name = "mqttv311" if version == "311" else "mqttv5"
    command = ("mosquitto_sub", "-V", name, "-h", "localhost", "-p", str(server.mqtts_port))
    more = ("--cafile", str(server.certificate), "-t", "news/#", "-q", "1", "-F", "%t %p")
    return lines(*command, *more)


def mqttjs_tls(server: SecureServer, version: str) -> Payloads:
    trusted = ("env", f"NODE_EXTRA_CA_CERTS={server.certificate}")
    address = f"mqtts://localhost:{server.mqtts_port}"
    level = str(VERSIONS[version][0])
    return lines(*trusted, "node", str(NODE_CLIENT), address, level, "news/#")


async def aio_tls(server: SecureServer, version: str) -> Payloads:
    async with aiomqtt.Client(
        "localhost",
        server.mqtts_port,
        protocol=aiomqtt.ProtocolVersion(VERSIONS[version][1]),
        tls_context=ssl.create_default_context(cafile=str(server.certificate)),
    ) as client:
        await client.subscribe("news/#", qos=1)
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            yield f"{message.topic} {message.payload.decode()}"


def paho_tls(server: SecureServer, version: str) -> Payloads:
    return threaded(version, "localhost", server.mqtts_port, ca=str(server.certificate))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("listen", [mosquitto_tls, mqttjs_tls, aio_tls, paho_tls])
def test_over_tls(
    listen: Callable[[SecureServer, str], Payloads], version: str, secure: SecureServer
) -> None:
    async def publish_tls(payload: str, *more: str) -> None:
        where = ("-h", "localhost", "-p", str(secure.mqtts_port))
        trusted = ("--cafile", str(secure.certificate))
        command = ("mosquitto_pub", *where, *trusted, "-t", "news/a", "-q", "1", "-m", payload)
        process = await asyncio.create_subprocess_exec(*command, *more)
        assert await process.wait() == 0

    async def check() -> None:
        await publish_tls("0", "-r")
        async with aclosing(listen(secure, version)) as arriving:
            for number in range(3):
                assert await asyncio.wait_for(anext(arriving), 20) == f"news/a {number}"
                await publish_tls(str(number + 1))

    run(check())


@pytest.mark.parametrize(
    "command",
    [
        ("mosquitto_clients.sh", "127.0.0.1", "{port}"),
        ("paho_client.py", "127.0.0.1", "{port}"),
        ("mqttjs_client.mjs", "mqtt://127.0.0.1:{port}"),
    ],
    ids=lambda command: command[0],
)
def test_an_example_runs_as_it_stands(
    command: tuple[str, ...], server_factory: ServerFactory, tmp_path: Path
) -> None:
    server = server_factory(dev=True)
    name, *arguments = (word.format(port=server.port) for word in command)
    program = {"sh": "bash", "py": sys.executable, "mjs": "node"}[name.rpartition(".")[2]]
    path = tmp_path / name
    path.write_text((EXAMPLES / name).read_text())
    (tmp_path / "node_modules").symlink_to(ROOT / "tests" / "node" / "node_modules")
    done = subprocess.run(
        [program, path, *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    topic, payload = done.stdout.splitlines()[-1].split(" ", 1)
    assert topic == "rooms/kitchen/light"
    assert json.loads(payload) == {"on": True}
