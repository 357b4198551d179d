"""MQTT on WebSocket (6): how it is negotiated, and which frames carry it.

Every other case runs on it, too, with packets split over many frames: see `links`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from websockets.frames import Opcode

from reddot.codecs.mqtt_packets import (
    PUBACK,
    Ack,
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)
from tests.conformance.client import Client
from tests.conformance.conftest import HOST, OTHER
from tests.conformance.links import WebSocket
from tests.conformance.normative import normative
from tests.integration.server import Server
from tests.unit.codecs.mqtt_values import encode
from tests.wire.wsclient import frame, handshake

CONNECT = encode(5, Connect(level=5, client_id=""))
PINGREQ = encode(5, Pingreq())
Open = Callable[..., WebSocket]


@pytest.fixture
def port(request: pytest.FixtureRequest) -> int:
    if OTHER:
        return int(OTHER.rpartition(":")[2])
    broker: Server = request.getfixturevalue("broker")
    return broker.port


@pytest.fixture
def dial(port: int) -> Iterator[Open]:
    """Opens WebSockets; all are gone at the end of the test."""
    made: list[WebSocket] = []

    def dial(**asked: str) -> WebSocket:
        made.append(WebSocket(HOST, port, **asked))
        return made[-1]

    yield dial
    for wire in made:
        wire.abort()


def connected(wire: WebSocket) -> Client:
    client = Client(wire, 5)
    wire.send(CONNECT)
    assert client.receive(Connack).reason == 0
    return client


@normative("6.0.0-4", "6.0.0-3", old=("6.0.0-3", "6.0.0-4"))
@pytest.mark.parametrize(
    "offered", ["mqtt", "mqtt, other", "other, mqtt", "other,mqtt", "mqtt, mqttv3.1"]
)
@pytest.mark.parametrize("path", ["/mqtt", "/", "/v1/ws", "/anything"])
def test_the_subprotocol_is_chosen(dial: Open, offered: str, path: str) -> None:
    wire = dial(path=path, subprotocols=offered)
    assert "sec-websocket-protocol: mqtt\r\n" in wire.head.lower()
    connected(wire).quiet()


def test_version_3_1_and_its_subprotocol(dial: Open) -> None:
    wire = dial(subprotocols="mqttv3.1")
    assert "sec-websocket-protocol: mqttv3.1\r\n" in wire.head.lower()
    client = Client(wire, 3)
    assert client.connect(Connect(level=3, client_id="c31")).reason == 0


def test_no_subprotocol_is_returned_unasked(port: int) -> None:
    """RFC 6455 section 4.2.2: only one that was offered. Some clients of devices offer none."""
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(handshake("/mqtt", host=f"{HOST}:{port}"))
        answer = connection.recv(65_536).lower()
        assert answer.startswith(b"http/1.1 ")
        assert b"sec-websocket-protocol" not in answer


@normative("6.0.0-1", old=("6.0.0-1",))
@pytest.mark.parametrize("connects_first", [True, False])
def test_a_text_frame_ends_the_connection(dial: Open, connects_first: bool) -> None:
    wire = dial()
    client = connected(wire) if connects_first else Client(wire, 5)
    wire.send_raw(frame(PINGREQ if connects_first else CONNECT, Opcode.TEXT))
    while (packet := client.next_or_end()) is not None:
        assert not isinstance(packet, Pingresp | Connack)


@normative("6.0.0-2", old=("6.0.0-2",))
def test_packets_and_frames_need_not_agree(dial: Open, topic: str) -> None:
    """All of a conversation in one frame, then with frames that end inside of packets."""
    wire = dial()
    client = Client(wire, 5)
    subscribe = encode(5, Subscribe(1, (Subscription(topic, 0),)))
    message = encode(5, Publish(topic, b"x" * 300, 1, packet_id=1))
    start = CONNECT + subscribe + message + PINGREQ * 50
    wire.send_in(len(start), start)
    assert client.receive(Connack).reason == 0
    client.receive(Suback)
    found = [client.next() for _ in range(52)]
    assert found.count(Pingresp()) == 50
    assert Ack(PUBACK, 1) in found
    packets = encode(5, Publish(topic, b"y" * 300)) * 20 + PINGREQ
    for size in (7, 100, 303, 304, 305, 306, 307, 1000):
        wire.send_in(size, packets)
        client.receive(Pingresp)
    assert [packet.payload for packet in client.settled(count=160)] == [b"y" * 300] * 160


@normative("6.0.0-2")
def test_fragments_and_empty_frames(dial: Open) -> None:
    """A message of many frames (RFC 6455 section 5.4), with a ping in it, and one of no bytes."""
    wire = dial()
    client = connected(wire)
    wire.send_raw(
        frame(b"", Opcode.BINARY)
        + frame(PINGREQ[:1], Opcode.BINARY, fin=False)
        + frame(b"?", Opcode.PING)
        + frame(b"", Opcode.CONT, fin=False)
        + frame(PINGREQ[1:] + PINGREQ, Opcode.CONT)
    )
    client.expect(Pingresp(), Pingresp())


@normative("6.0.0-2")
def test_a_connect_in_pieces(dial: Open) -> None:
    for size in range(1, len(CONNECT) + 1):
        wire = dial()
        wire.send_in(size, CONNECT)
        assert Client(wire, 5).receive(Connack).reason == 0


def test_a_length_that_is_longer_than_its_frame(dial: Open) -> None:
    """It is no claim about the frame: the rest comes later, or never."""
    wire = dial()
    client = connected(wire)
    wire.send_raw(frame(b"\x30\x7f\x00\x01t\x00", Opcode.BINARY) + frame(b"?", Opcode.PING))
    wire.send_raw(frame(bytes(0x7F - 4) + PINGREQ, Opcode.BINARY))
    client.expect(Pingresp())
