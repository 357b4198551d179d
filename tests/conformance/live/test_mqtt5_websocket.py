"""MQTT on WebSocket (MQTT 5.0 section 6). Everything else runs on it, too: see `wires`."""

from __future__ import annotations

import socket

import pytest
from websockets.frames import Opcode

from reddot.codecs.mqtt_packets import Connack, Connect, Pingreq, Pingresp, Publish
from tests.conformance.live.conversation import Conversation
from tests.conformance.live.wires import WebSocket
from tests.conformance.normative import normative
from tests.integration.server import Server
from tests.unit.codecs.mqtt_values import encode
from tests.wire.wsclient import frame, handshake

CONNECT = encode(5, Connect(level=5, client_id=""))
PINGREQ = encode(5, Pingreq())


def connected(broker: Server) -> tuple[Conversation, WebSocket]:
    wire = WebSocket(broker.port)
    client = Conversation(wire)
    wire.send(CONNECT)
    assert client.take(Connack).reason == 0
    return client, wire


@normative("6.0.0-4", "6.0.0-3")
@pytest.mark.parametrize("offered", ["mqtt", "mqtt, other", "other, mqtt", "other,mqtt"])
@pytest.mark.parametrize("path", ["/mqtt", "/", "/v1/ws"])
def test_the_subprotocol_is_returned(broker: Server, offered: str, path: str) -> None:
    wire = WebSocket(broker.port, path=path, subprotocols=offered)
    assert "sec-websocket-protocol: mqtt\r\n" in wire.head.lower() + "\r\n"
    client = Conversation(wire)
    wire.send(CONNECT)
    assert client.take(Connack).reason == 0
    client.drop()


def test_no_subprotocol_is_returned_unasked(broker: Server) -> None:
    """RFC 6455 section 4.2.2: only one that was offered. Some clients of devices offer none."""
    with socket.create_connection(("127.0.0.1", broker.port), timeout=5) as connection:
        connection.sendall(handshake("/mqtt", host=f"127.0.0.1:{broker.port}"))
        answer = connection.recv(65_536).lower()
        assert answer.startswith(b"http/1.1 ")
        assert b"sec-websocket-protocol" not in answer


@normative("6.0.0-1")
@pytest.mark.parametrize("connects_first", [True, False])
def test_a_text_frame_closes(broker: Server, connects_first: bool) -> None:
    wire = WebSocket(broker.port)
    client = Conversation(wire)
    if connects_first:
        wire.send(CONNECT)
        assert client.take(Connack).reason == 0
    wire.send_raw(frame(PINGREQ if connects_first else CONNECT, Opcode.TEXT))
    while (packet := client.receive()) is not None:
        assert not isinstance(packet, Pingresp | Connack)
    client.drop()


@normative("6.0.0-2")
def test_many_packets_in_one_frame(broker: Server) -> None:
    client, wire = connected(broker)
    wire.send_raw(frame(PINGREQ * 50, Opcode.BINARY))
    client.expect(*[Pingresp()] * 50)
    client.drop()


@normative("6.0.0-2")
def test_frames_that_end_inside_packets(broker: Server) -> None:
    client, wire = connected(broker)
    packets = encode(5, Publish("a", b"x" * 300, 0)) * 20 + PINGREQ
    for size in (7, 100, 303, 304, 305, 306, 307, 1000):
        pieces = (packets[at : at + size] for at in range(0, len(packets), size))
        wire.send_raw(b"".join(frame(piece, Opcode.BINARY) for piece in pieces))
        client.expect(Pingresp())
    client.drop()


@normative("6.0.0-2")
def test_fragments_and_empty_frames(broker: Server) -> None:
    """A message of many frames (RFC 6455 section 5.4), with a ping in it, and one of no bytes."""
    client, wire = connected(broker)
    wire.send_raw(
        frame(b"", Opcode.BINARY)
        + frame(PINGREQ[:1], Opcode.BINARY, fin=False)
        + frame(b"?", Opcode.PING)
        + frame(b"", Opcode.CONT, fin=False)
        + frame(PINGREQ[1:] + PINGREQ, Opcode.CONT)
    )
    client.expect(Pingresp(), Pingresp())
    client.drop()


@normative("6.0.0-2")
def test_a_connect_in_pieces(broker: Server) -> None:
    for size in range(1, len(CONNECT) + 1):
        wire = WebSocket(broker.port)
        client = Conversation(wire)
        pieces = (CONNECT[at : at + size] for at in range(0, len(CONNECT), size))
        wire.send_raw(b"".join(frame(piece, Opcode.BINARY) for piece in pieces))
        assert client.take(Connack).reason == 0
        client.drop()
