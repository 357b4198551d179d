"""An MQTT 5.0 device with a memory: it keeps its half of the protocol through lost connections.

A ready client does not show what it has persisted, and cannot be cut between any two packets. This
one does what section 4.3 asks of a client, and nothing else. What it remembers is what a device
would have on its disk: everything else is lost with each connection.

As a program (`python -m tests.integration.mqtt_device '{"port": …}'`) it has a real disk: a journal
that is written before the packet that depends on it, so that the process can be killed at any time.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from reddot.codecs.mqtt_decode import Decoder, Side
from reddot.codecs.mqtt_encode import (
    encode_ack,
    encode_connect,
    encode_publish,
    encode_subscribe,
)
from reddot.codecs.mqtt_packets import (
    LEVEL_5,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
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

GONE = (OSError, EOFError)
RETRY_S = 0.05
READ_BYTES = 4096


class Device:
    """Args:
    filters: what it subscribes to, at `qos`, when it has no session.
    window: publications of its own that may be unanswered.
    rng: cuts its own connection now and then, if given.

    Attributes:
        received: payloads in the order in which they became its own.
        unsent: payloads that wait; `unanswered`: by identifier, what is on the way; None: released.
        starts: times it had to begin without a session.
    """

    def __init__(
        self,
        port: int,
        name: str,
        *,
        filters: tuple[str, ...] = (),
        qos: int = 2,
        topic: str = "",
        window: int = 10,
        rng: random.Random | None = None,
    ) -> None:
        self.port = port
        self.name = name
        self.filters = filters
        self.qos = qos
        self.topic = topic
        self.window = window
        self.rng = rng
        self.received: list[bytes] = []
        self.unsent: list[bytes] = []
        self.unanswered: dict[int, bytes | None] = {}
        self.incoming: set[int] = set()
        self.subscribed = False
        self.starts = 0
        self.connections = 0
        self.attached = asyncio.Event()
        self._last_id = 0

    def note(self, event: str, packet_id: int = 0, payload: bytes = b"") -> None:
        """Something has changed that the next packet relies on."""

    async def run(self) -> None:
        """Be connected, again and again, until cancelled."""
        while True:
            try:
                await self._connection()
            except GONE:
                self.attached.clear()
                await asyncio.sleep(RETRY_S)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            properties = Properties(session_expiry_s=3600, receive_maximum=self.window)
            connect = Connect(
                level=LEVEL_5, client_id=self.name, clean_start=False, properties=properties
            )
            writer.write(encode_connect(connect))
            decoder = Decoder(side=Side.CLIENT, level=LEVEL_5)
            while not reader.at_eof():
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_S):
                        decoder.feed(await reader.read(READ_BYTES))
                while (packet := decoder.next_packet()) is not None:
                    self._take(packet, writer)
                    if self.rng is not None and self.rng.random() < 0.003:
                        raise ConnectionAbortedError
                self._publish(writer)
                await writer.drain()
        finally:
            writer.transport.abort()

    def _take(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        if isinstance(packet, Connack):
            self._begin(packet, writer)
        elif isinstance(packet, Suback):
            self.subscribed = True
            self.note("subscribed")
            self.attached.set()
        elif isinstance(packet, Publish):
            self._receive(packet, writer)
        elif isinstance(packet, Ack):
            self._acknowledged(packet, writer)
        elif isinstance(packet, Disconnect):
            raise ConnectionAbortedError(f"the server says 0x{packet.reason:02x}")

    def _begin(self, connack: Connack, writer: asyncio.StreamWriter) -> None:
        assert not connack.reason, connack
        self.connections += 1
        if not connack.session_present:
            self.starts += 1
            self.subscribed = False
            self.incoming.clear()
            self.note("started")
        for packet_id, payload in self.unanswered.items():
            if payload is None:
                writer.write(encode_ack(LEVEL_5, Ack(PUBREL, packet_id)))
            else:
                writer.write(self._packet(packet_id, payload, dup=True))
        if self.filters and not self.subscribed:
            asked = tuple(Subscription(text, self.qos) for text in self.filters)
            writer.write(encode_subscribe(LEVEL_5, Subscribe(65_000, asked)))
        else:
            self.attached.set()

    def _packet(self, packet_id: int, payload: bytes, *, dup: bool) -> bytes:
        return encode_publish(
            LEVEL_5, self.topic, payload, qos=self.qos, packet_id=packet_id, dup=dup
        )

    def _publish(self, writer: asyncio.StreamWriter) -> None:
        while self.unsent and self.attached.is_set() and len(self.unanswered) < self.window:
            self._last_id = self._last_id % 60_000 + 1
            payload = self.unsent.pop(0)
            self.unanswered[self._last_id] = payload
            self.note("sent", self._last_id, payload)
            writer.write(self._packet(self._last_id, payload, dup=False))

    def _receive(self, packet: Publish, writer: asyncio.StreamWriter) -> None:
        if packet.qos < 2:
            self.received.append(packet.payload)
            self.note("got", 0, packet.payload)
            if packet.qos:
                writer.write(encode_ack(LEVEL_5, Ack(PUBACK, packet.packet_id)))
            return
        if packet.packet_id not in self.incoming:
            self.incoming.add(packet.packet_id)
            self.received.append(packet.payload)
            self.note("got", packet.packet_id, packet.payload)
        writer.write(encode_ack(LEVEL_5, Ack(PUBREC, packet.packet_id)))

    def _acknowledged(self, ack: Ack, writer: asyncio.StreamWriter) -> None:
        if ack.kind == PUBREC:
            self.unanswered[ack.packet_id] = None
            self.note("taken", ack.packet_id)
            writer.write(encode_ack(LEVEL_5, Ack(PUBREL, ack.packet_id)))
        elif ack.kind == PUBREL:
            self.incoming.discard(ack.packet_id)
            self.note("released", ack.packet_id)
            writer.write(encode_ack(LEVEL_5, Ack(PUBCOMP, ack.packet_id)))
        else:
            self.unanswered.pop(ack.packet_id, None)
            self.note("finished", ack.packet_id)


class LastingDevice(Device):
    """Begins where its journal ends. `sent`: how many payloads it has ever sent."""

    def __init__(self, journal: Path, port: int, name: str, **changes: Any) -> None:
        super().__init__(port, name, **changes)
        self.sent = 0
        with suppress(FileNotFoundError):
            for line in read_journal(journal):
                self._replay(*line)
        self._journal = journal.open("a")

    def note(self, event: str, packet_id: int = 0, payload: bytes = b"") -> None:
        print(json.dumps([event, packet_id, payload.decode()]), file=self._journal, flush=True)

    def _replay(self, event: str, packet_id: int, payload: str) -> None:
        match event:
            case "started":
                self.starts += 1
                self.subscribed = False
                self.incoming.clear()
            case "subscribed":
                self.subscribed = True
            case "sent":
                self.sent += 1
                self._last_id = packet_id
                self.unanswered[packet_id] = payload.encode()
            case "taken":
                self.unanswered[packet_id] = None
            case "finished":
                self.unanswered.pop(packet_id, None)
            case "got":
                self.received.append(payload.encode())
                if packet_id:
                    self.incoming.add(packet_id)
            case "released":
                self.incoming.discard(packet_id)

    async def feed(self, count: int) -> None:
        """Send the numbers below `count`; in portions, so that there is always something left."""
        for start in range(self.sent, count, 25):
            self.unsent += [b"%d" % number for number in range(start, min(start + 25, count))]
            while self.unsent:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.08)


def read_journal(journal: Path) -> list[list[Any]]:
    """Its whole lines; the last one may be half there."""
    return [json.loads(line) for line in journal.read_text().split("\n")[:-1]]


async def main(plan: dict[str, Any]) -> None:
    count = plan.pop("count", 0)
    plan["filters"] = tuple(plan.get("filters", ()))
    device = LastingDevice(Path(plan.pop("journal")), **plan)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(device.run())
        tasks.create_task(device.feed(count))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
