"""The slim protocol of one-way streams, and what an exchange promises to them."""

from __future__ import annotations

import asyncio

import pytest

from reddot.net.exchange import StreamPeer
from reddot.net.stream import OneWayPeer
from tests.wire.transport import FakeTransport, settle


class Listener:
    def __init__(self) -> None:
        self.told: list[str] = []

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def lost(self) -> None:
        self.told.append("lost")


def test_a_one_way_stream() -> None:
    async def main() -> None:
        listener = Listener()
        peer = OneWayPeer(listener)
        transport = FakeTransport(peer)
        peer.attach(transport)
        transport.feed(b"what a client says here is of no interest")
        assert listener.told == []
        transport.blocked = True
        peer.transport.write(b"x" * 100_000)
        transport.drain()
        assert listener.told == ["pause", "resume"]
        transport.reset()
        await settle()
        assert listener.told == ["pause", "resume", "lost"]

    asyncio.run(main())


def test_a_client_that_half_closes_has_gone() -> None:
    """Browsers do not; a stream that nobody can end would stay for ever."""

    async def main() -> None:
        listener = Listener()
        transport = FakeTransport(OneWayPeer(listener))
        transport.end()
        await settle()
        assert transport.closed
        assert listener.told == ["lost"]

    asyncio.run(main())


def test_a_stream_costs_little() -> None:
    """An idle session is this object, the session and the socket (DESIGN 6)."""
    assert not hasattr(OneWayPeer(Listener()), "__dict__")


def test_a_peer_must_say_what_it_does_with_the_socket() -> None:
    with pytest.raises(NotImplementedError):
        StreamPeer().attach(FakeTransport(StreamPeer()))
