"""An MQTT 5.0 client for load, on the codec's client side; it yields the frames of `clients.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from reddot.codecs.mqtt_decode import Decoder, Side
from reddot.codecs.mqtt_encode import encode_ack, encode_connect, encode_subscribe
from reddot.codecs.mqtt_packets import (
    PUBACK,
    Ack,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Properties,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)

Frames = AsyncGenerator[dict[str, Any], None]
READ_BYTES = 65_536

_json = msgspec.json.Decoder().decode


class MqttRefused(Exception):
    """The broker said no, with this reason code."""

    def __init__(self, reason: int) -> None:
        self.reason = reason
        super().__init__(f"0x{reason:02X}")


async def _packets(reader: asyncio.StreamReader) -> AsyncGenerator[Packet, None]:
    decoder = Decoder(side=Side.CLIENT, level=5)
    while data := await reader.read(READ_BYTES):
        decoder.feed(data)
        while (packet := decoder.next_packet()) is not None:
            yield packet


def _connect(token: str | None) -> bytes:
    return encode_connect(
        Connect(
            level=5,
            client_id="",
            password=None if token is None else token.encode(),
            properties=Properties(user=(("reddot", "1"),)),
        )
    )


def _subscribe(topics: Sequence[str], cursor: str | None, qos: int) -> bytes:
    said = () if cursor is None else (("cursor", cursor),)
    wanted = tuple(Subscription(topic, qos) for topic in topics)
    return encode_subscribe(5, Subscribe(1, wanted, Properties(user=said)))


def _publication(packet: Publish) -> dict[str, Any]:
    said = dict(packet.properties.user)
    frame: dict[str, Any] = {"type": "publication", "topic": packet.topic, "id": said["id"]}
    if "offset" in said:
        frame |= {"offset": int(said["offset"]), "cursor": said["cursor"]}
    return frame | {"data": _json(packet.payload)}


def _sync(packet: Suback, cursor: str | None) -> dict[str, Any]:
    said = packet.properties.user
    for reason in packet.reasons:
        if reason >= 0x80:
            raise MqttRefused(reason)
    frame: dict[str, Any] = {"type": "sync", "complete": all(name != "gap" for name, _ in said)}
    return frame | ({"cursor": dict(said)["cursor"]} if cursor is None else {})


async def mqtt_frames(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    topics: Sequence[str],
    cursor: str | None,
    token: str | None,
    qos: int,
) -> Frames:
    """The frames of one connection. A delivery is acknowledged when the next one is asked for."""
    writer.write(_connect(token) + _subscribe(topics, cursor, qos))
    try:
        async for packet in _packets(reader):
            if isinstance(packet, Publish):
                yield _publication(packet)
                if packet.qos:
                    writer.write(encode_ack(5, Ack(PUBACK, packet.packet_id)))
            elif isinstance(packet, Suback):
                yield _sync(packet, cursor)
            elif isinstance(packet, Connack):
                if packet.reason:
                    raise MqttRefused(packet.reason)
            elif isinstance(packet, Disconnect):
                return
    finally:
        writer.transport.abort()
