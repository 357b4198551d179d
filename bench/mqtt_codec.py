"""Claim: an MQTT packet costs about a microsecond to read, and less to write.

The codec alone, in this process but on the servers' core: a topic of 24 bytes, a payload of 100.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable
from typing import Final

from bench.laboratory import Laboratory, Line
from bench.processes import SERVER_CORE, on_core
from reddot.codecs.mqtt_decode import Decoder
from reddot.codecs.mqtt_encode import encode_ack, encode_publish
from reddot.codecs.mqtt_packets import PUBACK, Ack, Properties
from reddot.codecs.mqtt_properties import encode_properties

TOPIC: Final = "sensors/house/kitchen/t1"
PAYLOAD: Final = b"x" * 100
PROPERTIES: Final = encode_properties(
    Properties(content_type="text/plain", response_topic="answers/1", user=(("id", "1"),))
)
PER_READ: Final = 64


def _reading(raw: bytes, level: int, packets: int = 1) -> Callable[[], None]:
    decoder = Decoder(level=level)

    def read() -> None:
        decoder.feed(raw)
        assert sum(1 for _ in decoder.packets()) == packets

    return read


def _publish(qos: int, level: int, properties: bytes = b"") -> bytes:
    packet_id = 7 if qos else 0
    return encode_publish(
        level, TOPIC, PAYLOAD, qos=qos, packet_id=packet_id, properties=properties
    )


CASES: Final[dict[str, tuple[Callable[[], object], int]]] = {
    "write PUBLISH, QoS 0": (lambda: encode_publish(5, TOPIC, PAYLOAD), 1),
    "write PUBLISH, QoS 1": (lambda: encode_publish(5, TOPIC, PAYLOAD, qos=1, packet_id=7), 1),
    "write PUBACK": (lambda: encode_ack(5, Ack(PUBACK, 7)), 1),
    "read PUBLISH, QoS 0, 3.1.1": (_reading(_publish(0, 4), 4), 1),
    "read PUBLISH, QoS 0": (_reading(_publish(0, 5), 5), 1),
    "read PUBLISH, QoS 1": (_reading(_publish(1, 5), 5), 1),
    "read PUBLISH, QoS 0, 64 in one read": (
        _reading(_publish(0, 5) * PER_READ, 5, PER_READ),
        PER_READ,
    ),
    "read PUBLISH, QoS 0, three properties": (_reading(_publish(0, 5, PROPERTIES), 5), 1),
    "read PUBACK": (_reading(encode_ack(5, Ack(PUBACK, 7)), 5), 1),
}


def run(lab: Laboratory) -> list[Line]:
    lines = []
    with on_core(SERVER_CORE):
        for case, (call, packets) in CASES.items():
            times = 2000 // packets if lab.quick else 20_000 // packets
            turns = timeit.repeat(call, number=times, repeat=lab.turns)
            us = statistics.median(turns) / times / packets * 1e6
            lab.runs += [
                {"row": "mqtt_codec", "case": case, "turn": turn, "result": {"seconds": seconds}}
                for turn, seconds in enumerate(turns)
            ]
            lines.append(Line(f"MQTT 5.0 codec: {case}", f"{us:.2f} µs"))
    return lines
