"""MQTT on a real server: every listener, beside the other transports, away, and slow."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect as websocket_connect

from reddot.codecs.mqtt_encode import encode_connect, encode_publish, encode_subscribe
from reddot.codecs.mqtt_packets import Connect, Subscribe, Subscription
from tests.integration.certificates import certificate, free_port, wait_for
from tests.integration.clients import STREAMS, Reader, beside, run, until
from tests.integration.mqtt_device import Device
from tests.integration.server import Server, ServerFactory

CONNECT = encode_connect(Connect(level=4, client_id="probe"))
CONNACK = b"\x20\x02\x00\x00"
SUBSCRIBE = encode_subscribe(4, Subscribe(1, (Subscription("a"),)))
SUBACK = b"\x90\x03\x00\x01\x00"
PUBLISH = encode_publish(4, "a", b"7")


def talk(connection: socket.socket | ssl.SSLSocket) -> None:
    """Subscribe and hear oneself."""
    connection.settimeout(10)
    for sent, answer in ((CONNECT, CONNACK), (SUBSCRIBE, SUBACK), (PUBLISH, PUBLISH)):
        connection.sendall(sent)
        found = b""
        while len(found) < len(answer):
            data = connection.recv(100)
            assert data, "closed"
            found += data
        assert found == answer


@pytest.mark.parametrize("which", ["port", "mqtt_port"])
def test_mqtt_is_on_its_port_and_on_the_http_port(shared_server: ServerFactory, which: str) -> None:
    server = shared_server(dev=True)
    with socket.create_connection(("127.0.0.1", getattr(server, which))) as connection:
        talk(connection)


def test_a_load_balancer_may_say_whom_it_speaks_for(server_factory: ServerFactory) -> None:
    server = server_factory(dev=True, mqtt_proxy_protocol=True)
    with socket.create_connection(("127.0.0.1", server.mqtt_port)) as connection:
        connection.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 1883\r\n")
        talk(connection)
    with socket.create_connection(("127.0.0.1", server.mqtt_port)) as connection:
        connection.settimeout(10)
        connection.sendall(CONNECT)
        try:
            answer = connection.recv(100)
        except ConnectionResetError:
            answer = b""
        assert answer == b""


@pytest.mark.parametrize(
    ("path", "protocols"), [("/mqtt", ["mqtt"]), ("/", ["mqtt"]), ("/v1/x", ["mqttv3.1", "other"])]
)
def test_mqtt_is_on_websocket_at_any_path_in_any_pieces(
    shared_server: ServerFactory, path: str, protocols: list[str]
) -> None:
    server = shared_server(dev=True)
    with websocket_connect(
        server.ws_url + path,
        subprotocols=protocols,  # type: ignore[arg-type]
        compression=None,
    ) as client:
        assert client.subprotocol == protocols[0]
        whole = CONNECT + SUBSCRIBE + PUBLISH
        for start in range(0, len(whole), 3):
            client.send(whole[start : start + 3])
        found = b""
        while len(found) < len(CONNACK + SUBACK + PUBLISH):
            data = client.recv(timeout=10)
            assert isinstance(data, bytes)
            found += data
        assert found == CONNACK + SUBACK + PUBLISH


@pytest.mark.parametrize("alpn", [None, ["mqtt"]])
def test_mqtt_over_tls(tmp_path: Path, alpn: list[str] | None) -> None:
    pem, private = certificate(tmp_path)
    port = free_port()
    server = Server(
        tmp_path, {"dev": True, "tls_certfile": pem, "tls_keyfile": private, "mqtts_port": port}
    )
    server.start_unready()
    try:
        context = ssl.create_default_context(cafile=str(pem))
        if alpn:
            context.set_alpn_protocols(alpn)
        for each in (port, server.port):
            wait_for(each)
            with (
                socket.create_connection(("127.0.0.1", each)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                if alpn and each == port:
                    assert connection.selected_alpn_protocol() == "mqtt"
                talk(connection)
    finally:
        server.close()


# One order


def test_every_transport_sees_the_same_order(server: Server, topic: str) -> None:
    run(one_order(server, topic))


async def one_order(server: Server, topic: str) -> None:
    readers = [Reader(server.port, transport, [topic]) for transport in STREAMS]
    devices = [Device(server.mqtt_port, f"d{qos}", filters=(topic,), qos=qos) for qos in (0, 1, 2)]
    publishers = [Device(server.port, f"p{qos}", topic=topic, qos=qos) for qos in (1, 2)]
    each = 200
    work = [reader.run() for reader in readers]
    work += [device.run() for device in (*devices, *publishers)]
    async with beside(*work):
        await asyncio.gather(*(reader.attached.wait() for reader in readers))
        await asyncio.gather(*(device.attached.wait() for device in devices))
        for qos, publisher in enumerate(publishers):
            publisher.unsent = [b'"%d-%d"' % (qos, number) for number in range(each)]
        async with httpx.AsyncClient(base_url=server.url) as http:
            for number in range(each):
                body = {"topic": topic, "data": f"http-{number}"}
                assert (await http.post("/v1/publish", json=body)).status_code == 200
        await until(lambda: all(len(device.received) == 3 * each for device in devices))
        await asyncio.gather(*(reader.until(3 * each) for reader in readers))
    orders = [[payload.decode().strip('"') for payload in one.received] for one in devices]
    orders += [[one["data"] for one in reader.publications] for reader in readers]
    assert all(order == orders[0] for order in orders)
    for source in ("0", "1", "http"):
        numbers = [int(one.split("-")[1]) for one in orders[0] if one.split("-")[0] == source]
        assert numbers == list(range(each))


# Away, and slow


def test_a_device_that_was_off_gets_what_it_missed_in_order(server: Server, topic: str) -> None:
    run(away(server, topic))


async def away(server: Server, topic: str) -> None:
    device = Device(server.port, "device", filters=(topic,), qos=1)
    async with beside(device.run()):
        await device.attached.wait()
    async with httpx.AsyncClient(base_url=server.url) as http:
        for start in range(0, 2000, 100):
            batch = [{"topic": topic, "data": start + n} for n in range(100)]
            assert (await http.post("/v1/publish", json=batch)).status_code == 200
    await asyncio.to_thread(server.restart)
    async with beside(device.run()):
        await until(lambda: len(device.received) >= 1000)
        await asyncio.sleep(0.2)
    # The topic keeps its newest thousand; what was trimmed is counted.
    assert device.received == [b"%d" % number for number in range(1000, 2000)]
    assert device.starts == 1


@pytest.mark.slow
def test_a_client_that_does_not_read_costs_a_bounded_amount(server: Server, topic: str) -> None:
    clients = []
    for _ in range(20):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.mqtt_port))
        asked = encode_subscribe(4, Subscribe(1, (Subscription(topic),)))
        client.sendall(encode_connect(Connect(level=4, client_id="")) + asked)
        assert client.recv(4) == CONNACK
        clients.append(client)
    body = [{"topic": topic, "data": "x" * 20_000}] * 20
    with httpx.Client(base_url=server.url) as http:
        http.post("/v1/publish", json=body).raise_for_status()
        before = server.rss_bytes()
        for _ in range(10):
            http.post("/v1/publish", json=body).raise_for_status()
    assert server.metric("reddot_transport_paused_total", transport="mqtt") >= 20
    # 200 publications of 20 KB: for 20 clients that would be 80 MB. In memory they are once.
    assert server.rss_bytes() - before < 16 * 1024 * 1024
    for client in clients:
        client.close()


# Programs


@pytest.mark.service
@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="no mosquitto-clients")
@pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquittos_clients(
    shared_server: ServerFactory, topic: str, version: str, qos: str
) -> None:
    server = shared_server(dev=True)
    place = ["-h", "127.0.0.1", "-p", str(server.mqtt_port), "-V", version, "-q", qos]
    listening = subprocess.Popen(
        [
            "stdbuf",
            "-oL",
            "mosquitto_sub",
            *place,
            "-t",
            f"{topic}/#",
            "-v",
            "-C",
            "3",
            "-W",
            "20",
            "-d",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listening.stdout is not None
    for line in listening.stdout:
        if "Subscribed" in line:
            break
    for number in range(2):
        message = ["-t", f"{topic}/x", "-m", f"hello {number}"]
        subprocess.run(["mosquitto_pub", *place, *message], check=True, timeout=20)
    httpx.post(f"{server.url}/v1/publish", json={"topic": f"{topic}/y", "data": 7})
    said = [line.strip() for line in listening.stdout if line.startswith(topic)]
    assert listening.wait(20) == 0
    listening.stdout.close()
    assert said == [f"{topic}/x hello 0", f"{topic}/x hello 1", f"{topic}/y 7"]
