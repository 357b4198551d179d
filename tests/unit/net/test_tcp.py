"""Sockets without HTTP: whose first byte is MQTT's, and how they end."""

from __future__ import annotations

import asyncio

from reddot.net.tcp import LINGER_S, TcpPeer
from tests.wire.fakeloop import fake_loop, run_in_fake_time
from tests.wire.front import Front
from tests.wire.transport import FakeTransport, settle


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def message(self, data: bytes) -> None:
        self.told.append(data)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def lost(self) -> None:
        self.told.append("lost")


def attached(*, encrypted: bool = False) -> tuple[TcpPeer, FakeTransport, Listener]:
    peer, listener = TcpPeer(), Listener()
    transport = FakeTransport(peer, encrypted=encrypted)
    peer.attach(transport)
    peer.listener = listener
    return peer, transport, listener


def test_bytes_and_flow_control_are_passed_on() -> None:
    async def test() -> None:
        peer, transport, listener = attached()
        transport.feed(b"ab")
        transport.blocked = True
        peer.send(b"x" * 70_000)
        transport.drain()
        transport.end()
        await settle()
        assert listener.told == [b"ab", "pause", "resume", "lost"]

    run_in_fake_time(test())


def test_an_end_is_a_half_close_and_then_a_moment() -> None:
    async def test() -> None:
        peer, transport, listener = attached()
        peer.send(b"last")
        peer.end()
        peer.end()
        transport.feed(b"too late")
        assert transport.ended and not transport.closed and listener.told == []
        await fake_loop().advance(LINGER_S - 0.1)
        assert not transport.closed
        await fake_loop().advance(0.2)
        assert transport.aborted and bytes(transport.sent) == b"last"

    run_in_fake_time(test())


def test_a_client_that_closes_too_ends_the_moment() -> None:
    async def test() -> None:
        peer, transport, listener = attached()
        peer.end()
        transport.end()
        await settle()
        assert transport.closed and not transport.aborted and listener.told == ["lost"]

    run_in_fake_time(test())


def test_an_encrypted_connection_has_no_half_close() -> None:
    async def test() -> None:
        peer, transport, _ = attached(encrypted=True)
        peer.end()
        assert transport.closed

    run_in_fake_time(test())


def test_the_edge_hands_over_what_begins_with_mqtts_first_byte() -> None:
    async def test() -> None:
        front = Front()
        taken: list[tuple[asyncio.Transport, bytes]] = []
        front.door.mqtt = lambda transport, data: taken.append((transport, data))
        transport = front.connect()
        transport.feed(b"\x10\x0c")
        await settle()
        assert taken == [(transport, b"\x10\x0c")]
        assert not front.door.edges and not transport.sent

    run_in_fake_time(test())


def test_the_edge_does_not_after_a_request_or_without_mqtt() -> None:
    async def test() -> None:
        front = Front()
        refused = front.connect()
        refused.feed(b"\x10\x0c\r\n\r\n")
        await settle()
        assert refused.sent.startswith(b"HTTP/1.1 400 ")
        taken: list[bytes] = []
        front.door.mqtt = lambda transport, data: taken.append(data)
        second = front.connect()
        second.feed(b"GET /hot?1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await settle()
        second.feed(b"\x10\x0c\r\n\r\n")
        await settle()
        assert b"HTTP/1.1 400 " in second.sent and taken == []

    run_in_fake_time(test())
