"""The PROXY protocol: where its header ends, in any pieces; what is none is cut off."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reddot.net.proxy import HEADER_TIMEOUT_S, SIGNATURE, V1_BYTES_MAX, Proxied, header_bytes
from tests.wire.fakeloop import fake_loop, run_in_fake_time
from tests.wire.transport import FakeTransport, settle

V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 1883\r\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes(12)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
UNKNOWN = b"PROXY UNKNOWN\r\n"


@pytest.mark.parametrize("header", [V1, V2, LOCAL, UNKNOWN])
def test_a_header_ends_where_it_ends(header: bytes) -> None:
    assert header_bytes(header) == header_bytes(header + b"\x10\x0c\r\n") == len(header)
    for end in range(len(header)):
        assert header_bytes(header[:end]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\x0c",
        b"GET / HTTP/1.1\r\n",
        b"PROXY " + b"x" * V1_BYTES_MAX,
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="PROXY"):
        header_bytes(data)


@given(st.binary(max_size=200))
def test_anything_is_a_header_or_refused_or_waited_for(data: bytes) -> None:
    try:
        end = header_bytes(data)
    except ValueError:
        return
    assert end is None or 0 < end <= len(data)


def connected() -> tuple[FakeTransport, list[bytes]]:
    taken: list[bytes] = []
    protocol = Proxied(lambda transport, data: taken.append(data), 65_536)
    transport = FakeTransport(protocol)
    protocol.connection_made(transport)
    return transport, taken


def test_the_socket_is_handed_on_behind_its_header() -> None:
    async def test() -> None:
        transport, taken = connected()
        transport.feed(V1[:7])
        transport.feed(V1[7:] + b"\x10")
        assert taken == [b"\x10"]
        await fake_loop().advance(HEADER_TIMEOUT_S + 1)
        assert not transport.closed

    run_in_fake_time(test())


def test_no_header_in_time_or_none_at_all() -> None:
    async def test() -> None:
        slow, taken = connected()
        slow.feed(b"PROXY ")
        wrong, _ = connected()
        wrong.feed(b"\x10\x0c")
        assert wrong.aborted
        await fake_loop().advance(HEADER_TIMEOUT_S + 1)
        assert slow.aborted and taken == []
        await asyncio.sleep(0)
        await settle()

    run_in_fake_time(test())
