"""Bytes on the wire, for every server that is measured: how a session is opened and how one
publishes. Pure; the load generator fills the placeholders in (loadgen.c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["sse", "websocket", "mqtt"]

USER: Final = "{USER__}"
MARK: Final = "{MARK____________________}"
NEWS: Final = "bench/news"
ONE: Final = f"bench/user/{USER}"

# What is published, about 100 bytes as a notification has: the same for every server.
DATA: Final = f'{{"title":"{MARK}","body":"{"x" * 50}"}}'


@dataclass(frozen=True)
class Session:
    """A request that opens a session.

    Attributes:
        ready: the session is live when this has come; or
        ready_bytes: when as many bytes have; with neither, when the request was sent.
    """

    request: bytes
    ready: str = ""
    ready_bytes: int = 0


@dataclass(frozen=True)
class Publish:
    """What a publisher sends at once.

    Attributes:
        answers: how many answers it gets; 0: none.
        status: how the status of a good answer begins.
        hello: what a publisher says first, answered with `hello_bytes` bytes.
    """

    request: bytes
    answers: int = 1
    status: str = "2"
    hello: bytes = b""
    hello_bytes: int = 0


def get(path: str, *fields: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", "")
    return "\r\n".join(lines).encode()


def post(path: str, body: str, *fields: str) -> bytes:
    length = f"Content-Length: {len(body)}"
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", *fields, length, "", body)
    return "\r\n".join(lines).encode()


def upgrade(path: str) -> bytes:
    """A WebSocket handshake (RFC 6455 section 4.1)."""
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    version = "Sec-WebSocket-Version: 13"
    return get(path, "Connection: Upgrade", "Upgrade: websocket", key, version)


# ---- MQTT 3.1.1, as far as it is needed ----


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def _packet(first: int, body: bytes) -> bytes:
    """MQTT 3.1.1 section 2.2: type and flags, remaining length, the rest."""
    length, left = bytearray(), len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([first, *length]) + body


# Clean session, no keep-alive, and an empty client identifier: the server chooses one.
MQTT_CONNECT: Final = _packet(0x10, _text("MQTT") + b"\x04\x02\x00\x00" + _text(""))
CONNACK_BYTES: Final = 4
SUBACK_BYTES: Final = 5


def mqtt_connect(user: str, password: str) -> bytes:
    body = _text("MQTT") + b"\x04\xc2\x00\x00" + _text("") + _text(user) + _text(password)
    return _packet(0x10, body)


def mqtt_subscribe(topic: str, qos: int = 0) -> bytes:
    return _packet(0x82, b"\x00\x01" + _text(topic) + bytes((qos,)))


def mqtt_publish(topic: str, data: str, packet_id: int = 0) -> bytes:
    """QoS 1 if there is an identifier, else 0."""
    if packet_id:
        return _packet(0x32, _text(topic) + packet_id.to_bytes(2, "big") + data.encode())
    return _packet(0x30, _text(topic) + data.encode())
