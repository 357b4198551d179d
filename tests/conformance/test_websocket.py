"""MQTT over WebSocket (6): how it is negotiated, and which frames carry it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

from reddot.codecs.mqtt_encode import encode_connect, encode_publish
from reddot.codecs.mqtt_packets import Connect
from tests.conformance.client import TIMEOUT_S
from tests.conformance.normative import normative

CONNECT = encode_connect(Connect(level=4, client_id=""))
CONNACK = b"\x20\x02\x00\x00"


@contextmanager
def opened(port: int, *offers: str, path: str = "/mqtt") -> Iterator[ClientConnection]:
    opening = open_websocket(
        f"ws://127.0.0.1:{port}{path}",
        subprotocols=[Subprotocol(offer) for offer in offers],
        open_timeout=TIMEOUT_S,
        close_timeout=TIMEOUT_S,
    )
    with opening as connection:
        yield connection


@normative("6.0.0-3", "6.0.0-4", old=("6.0.0-3", "6.0.0-4"))
@pytest.mark.parametrize("offers", [["mqtt"], ["other", "mqtt"], ["mqtt", "mqttv3.1"]])
def test_the_subprotocol_is_chosen(address: tuple[str, int, int], offers: list[str]) -> None:
    with opened(address[2], *offers) as connection:
        assert connection.subprotocol == "mqtt"
        connection.send(CONNECT)
        assert connection.recv(TIMEOUT_S) == CONNACK


@pytest.mark.parametrize("path", ["/mqtt", "/", "/anything"])
def test_any_path_will_do(address: tuple[str, int, int], path: str) -> None:
    with opened(address[2], "mqtt", path=path) as connection:
        connection.send(CONNECT)
        assert connection.recv(TIMEOUT_S) == CONNACK


def test_version_3_1_and_its_subprotocol(address: tuple[str, int, int]) -> None:
    with opened(address[2], "mqttv3.1") as connection:
        assert connection.subprotocol == "mqttv3.1"
        connection.send(encode_connect(Connect(level=3, client_id="c31")))
        assert connection.recv(TIMEOUT_S) == CONNACK


@normative("6.0.0-1", old=("6.0.0-1",))
@pytest.mark.parametrize("before", [b"", CONNECT])
def test_a_text_frame_ends_the_connection(address: tuple[str, int, int], before: bytes) -> None:
    with opened(address[2], "mqtt") as connection:
        if before:
            connection.send(before)
            assert connection.recv(TIMEOUT_S) == CONNACK
        connection.send("text")
        with pytest.raises(ConnectionClosed):
            connection.recv(TIMEOUT_S)


@normative("6.0.0-2", old=("6.0.0-2",))
def test_packets_and_frames_need_not_agree(address: tuple[str, int, int], topic: str) -> None:
    subscribe = b"\x82" + bytes((len(topic) + 5,)) + b"\x00\x01"
    subscribe += len(topic).to_bytes(2, "big") + topic.encode() + b"\x00"
    message = encode_publish(4, topic, b"x" * 300)
    stream = CONNECT + subscribe + message + message
    with opened(address[2], "mqtt") as connection:
        connection.send(stream[:5])
        connection.send([stream[5:9], b"", stream[9:20]])  # One message of three fragments.
        connection.send(b"")
        connection.ping()
        connection.send(stream[20 : len(stream) - 300])
        connection.send(stream[len(stream) - 300 :])
        expected = CONNACK + b"\x90\x03\x00\x01\x00" + message + message
        found = b""
        while len(found) < len(expected):
            data = connection.recv(TIMEOUT_S)
            assert isinstance(data, bytes)
            found += data
        assert found == expected


def test_a_length_that_is_longer_than_its_frame(address: tuple[str, int, int]) -> None:
    """It is no claim about the frame: the rest comes later, or never."""
    with opened(address[2], "mqtt") as connection:
        connection.send(CONNECT + b"\x30\x7f\x00\x01t")
        assert connection.recv(TIMEOUT_S) == CONNACK
        connection.ping().wait(TIMEOUT_S)
