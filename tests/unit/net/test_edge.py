"""The front door on a fake socket: order, framing, reuse, disconnects. Limits have their file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.answers import Answer, read_answers
from tests.wire.front import Front, Peer
from tests.wire.transport import FakeTransport, settle

HOST = b"Host: x\r\n"


def request(
    method: str, path: str, body: bytes = b"", *, fields: bytes = b"", version: str = "1.1"
) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    start = f"{method} {path} HTTP/{version}\r\n".encode()
    return start + HOST + fields + length + b"\r\n" + body


def chunked(path: str, *chunks: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\n".encode() + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    parts = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return head + b"".join(parts) + b"0\r\n\r\n"


def run(test: Callable[[Front], Coroutine[Any, Any, None]]) -> None:
    async def with_front() -> None:
        await test(Front())

    asyncio.run(with_front())


def bodies(answers: list[Answer]) -> list[bytes]:
    return [answer.body for answer in answers]


# Order and framing: however the bytes come, the answers are the same.

REQUEST_LIKE = b"two\r\n\r\nGET /hot?x HTTP/1.1\r\n\r\n"
PIPELINE: list[tuple[bytes, str, bytes]] = [
    (request("GET", "/hot?1"), "GET", b"1"),
    (request("POST", "/echo", REQUEST_LIKE), "POST", REQUEST_LIKE),
    (request("GET", "/cold/3"), "GET", b"cold /cold/3 "),
    (request("POST", "/cold/4", b"four"), "POST", b"cold /cold/4 four"),
    (request("HEAD", "/hot?5"), "HEAD", b""),
    (chunked("/echo", b"si", b"x", b"6" * 20), "POST", b"six" + b"6" * 20),
    (chunked("/cold/7", b"sev", b"en\r\n0\r\n"), "POST", b"cold /cold/7 seven\r\n0\r\n"),
    (b"\r\n" + request("GET", "/hot?8"), "GET", b"8"),
    (request("GET", "/chunked"), "GET", b"cold /chunked "),
    (b"\r\n\r\n" + request("POST", "/hot?9", b"ignored"), "POST", b"9"),
    (request("POST", "/deaf", b"not read"), "POST", b"cold /deaf "),
    (request("HEAD", "/cold/10"), "HEAD", b""),
    (request("GET", "/hot?11", b"a body"), "GET", b"11"),
    (request("GET", "/cold/12"), "GET", b"cold /cold/12 "),
    (request("GET", "/cold/13"), "GET", b"cold /cold/13 "),
    (request("POST", "/echo"), "POST", b""),
]
WIRE = b"".join(wire for wire, _, _ in PIPELINE)
METHODS = [method for _, method, _ in PIPELINE]
WANTED = [body for _, _, body in PIPELINE]


async def send_in_pieces(pieces: list[bytes], pauses: list[bool]) -> FakeTransport:
    front = Front()
    transport = front.connect()
    for index, piece in enumerate(pieces):
        transport.feed(piece)
        if pauses[index % len(pauses)]:
            await settle()
    await settle()
    for _ in PIPELINE:  # a cold answer needs some turns, and one follows the other
        await settle()
    return transport


def check_pieces(pieces: list[bytes], pauses: list[bool]) -> None:
    assert b"".join(pieces) == WIRE
    transport = asyncio.run(send_in_pieces(pieces, pauses))
    assert bodies(read_answers(bytes(transport.sent), METHODS)) == WANTED
    assert not transport.closed
    assert transport.reading


def test_one_after_the_other() -> None:
    check_pieces([wire for wire, _, _ in PIPELINE], [True])


def test_all_at_once() -> None:
    check_pieces([WIRE], [False])


@pytest.mark.parametrize("pauses", [[False], [True, *[False] * 30]])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64])
def test_in_pieces_of_one_size(size: int, pauses: list[bool]) -> None:
    check_pieces([WIRE[at : at + size] for at in range(0, len(WIRE), size)], pauses)


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, len(WIRE) - 1), unique=True, max_size=40).map(sorted),
    st.lists(st.booleans(), min_size=1, max_size=8),
)
def test_in_any_pieces(cuts: list[int], pauses: list[bool]) -> None:
    ends = [*cuts, len(WIRE)]
    check_pieces([WIRE[a:b] for a, b in zip([0, *cuts], ends, strict=True)], pauses)


@settings(max_examples=40)
@given(st.permutations(range(len(PIPELINE))), st.integers(1, 200))
def test_in_any_order(order: list[int], size: int) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        wire = b"".join(PIPELINE[index][0] for index in order)
        for at in range(0, len(wire), size):
            transport.feed(wire[at : at + size])
        for _ in order:
            await settle()
        answers = read_answers(bytes(transport.sent), [METHODS[index] for index in order])
        assert bodies(answers) == [WANTED[index] for index in order]

    run(test)


def test_an_answer_that_waits_holds_back_those_behind_it() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(request("GET", "/hot?1") + request("GET", "/later"))
        transport.feed(request("GET", "/hot?3") + request("GET", "/cold/4"))
        transport.feed(request("GET", "/later"))
        await settle()
        assert bodies(read_answers(bytes(transport.sent))) == [b"1"]
        assert len(front.waiting) == 1
        front.waiting[0].respond(200, b"", b"2")
        await settle()
        assert bodies(read_answers(bytes(transport.sent))) == [b"1", b"2", b"3", b"cold /cold/4 "]
        front.waiting[1].respond(200, b"", b"5")
        assert bodies(read_answers(bytes(transport.sent)))[-1] == b"5"

    run(test)


def test_a_cold_answer_that_waits_holds_back_those_behind_it() -> None:
    async def test(front: Front) -> None:
        front.cold_may_answer.clear()
        transport = front.connect()
        transport.feed(request("GET", "/cold/1") + request("GET", "/hot?2"))
        await settle()
        assert transport.sent == b""
        front.cold_may_answer.set()
        await settle()
        assert bodies(read_answers(bytes(transport.sent))) == [b"cold /cold/1 ", b"2"]

    run(test)


def test_what_is_pipelined_is_bounded() -> None:
    """The kernel holds back a client that does not wait; then every request is still answered."""

    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(request("GET", "/later"))
        count = 0
        while transport.reading:
            transport.feed(request("POST", "/echo", b"x" * 1000) * 10)
            count += 10
            assert count < 200
        transport.feed(request("GET", "/hot?end"))
        front.waiting[0].respond(200, b"", b"first")
        await settle()
        answers = bodies(read_answers(bytes(transport.sent)))
        assert answers == [b"first", *[b"x" * 1000] * count, b"end"]

    run(test)


def test_answers_nobody_reads_are_bounded() -> None:
    """A client that asks and does not read is not worked for until it has read."""

    async def test(front: Front) -> None:
        transport = front.connect()
        transport.blocked = True
        for _ in range(300):
            transport.feed(request("POST", "/echo", b"x" * 10_000))
        assert len(transport.unsent) < 200_000
        while transport.unsent:
            transport.drain()
            await settle()
        assert len(read_answers(bytes(transport.sent))) == 300

    run(test)


# One request


def test_hot_answers_have_a_date_and_a_length() -> None:
    async def test(front: Front) -> None:
        (answer,) = await front.ask(request("GET", "/hot?a"))
        assert answer.fields == {
            "date": "Thu, 01 Jan 2026 00:00:00 GMT",
            "content-type": "text/plain",
            "content-length": "1",
        }

    run(test)


def test_head_has_the_fields_of_get_and_no_body() -> None:
    async def test(front: Front) -> None:
        (get,) = await front.ask(request("GET", "/hot?abc"))
        (head,) = await front.ask(request("HEAD", "/hot?abc"), "HEAD")
        assert head.fields == get.fields
        assert (get.body, head.body) == (b"abc", b"")

    run(test)


def test_no_content_has_no_length() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(request("GET", "/later"))
        front.waiting[0].respond(204, b"")
        transport.feed(request("GET", "/hot?next"))
        first, second = read_answers(bytes(transport.sent))
        assert (first.status, second.body) == (204, b"next")

    run(test)


@pytest.mark.parametrize("path", ["/hot?x", "/cold", "/later"])
@pytest.mark.parametrize(
    ("fields", "version"),
    [(b"Connection: close\r\n", "1.1"), (b"", "1.0"), (b"Connection: keep-alive\r\n", "1.0")],
)
def test_the_last_request_of_a_connection(path: str, fields: bytes, version: str) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        last = request("GET", path, fields=fields, version=version)
        transport.feed(last + request("GET", "/hot?y"))
        await settle()
        for exchange in front.waiting:
            exchange.respond(200, b"", b"late")
        await settle()
        (answer,) = read_answers(bytes(transport.sent))
        assert answer.fields["connection"] == "close"
        assert transport.closed
        assert ("hot", "GET", "/hot", b"") not in front.seen[1:]

    run(test)


def test_expect_100_continue() -> None:
    async def test(front: Front) -> None:
        for path in ("/echo", "/cold"):
            whole = request("POST", path, b"body", fields=b"Expect: 100-continue\r\n")
            head, body = whole[:-4], whole[-4:]
            transport = front.connect()
            transport.feed(head)
            await settle()
            assert transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
            transport.feed(body)
            await settle()
            (answer,) = read_answers(bytes(transport.sent))
            assert answer.interim == [100]
            assert answer.body.endswith(b"body")

    run(test)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_nobody_is_told_to_go_on_who_need_not_be(version: str) -> None:
    """RFC 9110 section 10.1.1: not when the body is there, and never in HTTP/1.0."""

    async def test(front: Front) -> None:
        fields = b"Expect: 100-continue\r\n"
        whole = request("POST", "/echo", b"body", fields=fields, version=version)
        transport = front.connect()
        if version == "1.1":
            transport.feed(whole)
        else:
            transport.feed(whole[:-4])
            transport.feed(whole[-4:])
        (answer,) = read_answers(bytes(transport.sent))
        assert (answer.interim, answer.body) == ([], b"body")

    run(test)


def test_a_head_does_not_leak_into_another() -> None:
    """Equal heads are parsed once, in a process and on a connection; others are other requests."""

    async def test(front: Front) -> None:
        one, two = front.connect(), front.connect()
        for transport in (one, two, one):
            transport.feed(request("POST", "/hot?a", b"1", fields=b"X: 1\r\n"))
            transport.feed(request("POST", "/hot?b", b"1", fields=b"X: 1\r\n"))
            transport.feed(request("POST", "/echo", b"22", fields=b"X: 1\r\n"))
            transport.feed(request("POST", "/echo", b"333", fields=b"X: 1\r\n"))
            transport.feed(request("POST", "/echo", b"1", fields=b"X: 2\r\n"))
        assert bodies(read_answers(bytes(two.sent))) == [b"a", b"b", b"22", b"333", b"1"]
        assert bodies(read_answers(bytes(one.sent))) == [b"a", b"b", b"22", b"333", b"1"] * 2

    run(test)


def test_more_heads_than_are_kept() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        for number in range(5000):
            transport.feed(request("POST", f"/hot?{number}"))
        transport.feed(request("POST", "/hot?0"))
        answers = bodies(read_answers(bytes(transport.sent)))
        assert answers == [*(b"%d" % number for number in range(5000)), b"0"]
        assert len(front.door.heads) < 5000

    run(test)


# Clients that go


@pytest.mark.parametrize("path", ["/later", "/cold"])
def test_a_client_that_goes_while_it_is_served(path: str) -> None:
    async def test(front: Front) -> None:
        front.cold_may_answer.clear()
        transport = front.connect()
        transport.feed(request("GET", path) + request("GET", "/hot?x"))
        await settle()
        transport.reset()
        await settle()
        front.cold_may_answer.set()
        for exchange in front.waiting:
            assert exchange.respond(200, b"", b"late") == 0
        await settle()
        assert transport.sent == b""
        assert front.gone == front.waiting
        assert not front.door.edges
        assert not front.state.connections

    run(test)


def test_whoever_asks_too_late_is_told_at_once_that_the_client_has_gone() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(request("GET", "/later"))
        transport.reset()
        await settle()
        told: list[str] = []
        front.waiting[0].on_gone(lambda: told.append("gone"))
        assert told == ["gone"]

    run(test)


@pytest.mark.parametrize("wire", [b"", b"GET /h", request("POST", "/echo", b"four")[:-1]])
def test_a_client_that_goes_in_the_middle(wire: bytes) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        if wire:
            transport.feed(wire)
        transport.end()
        await settle()
        assert (bytes(transport.sent), transport.closed) == (b"", True)
        assert not front.door.edges
        front.advance(60)
        assert front.counters.rejected == {}

    run(test)


def test_an_answer_that_is_dropped() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(request("GET", "/later"))
        front.waiting[0].abort()
        await settle()
        assert transport.aborted
        assert transport.sent == b""
        assert not front.door.edges

    run(test)


# Streams


def test_a_stream_takes_the_socket() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(request("GET", "/hot?1") + request("GET", "/stream") + b"behind it")
        await settle()
        (peer,) = front.peers
        assert transport.protocol is peer
        assert peer.received == b"behind it"
        peer.transport.write(b"event")
        transport.feed(b", more")
        first, second = read_answers(bytes(transport.sent))
        assert (first.body, second.body) == (b"1", b"event")
        assert peer.received == b"behind it, more"
        front.advance(3600)
        assert not transport.closed
        transport.reset()
        await settle()
        assert peer.told == ["lost"]

    run(test)


def test_a_stream_for_a_client_that_has_gone_is_no_mistake() -> None:
    """The credential may have been looked up for a while."""

    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(request("GET", "/later"))
        exchange = front.waiting[0]
        transport.reset()
        await settle()
        with pytest.raises(ConnectionError):
            exchange.stream(200, b"", Peer())

    run(test)


# Upgrades and shutdown


@pytest.mark.parametrize("path", ["/hot?1", "/cold/1"])
def test_an_upgrade_to_something_else_is_ignored(path: str) -> None:
    """Java and curl offer HTTP/2 with their first request and go on in HTTP/1.1."""

    async def test(front: Front) -> None:
        fields = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
        transport = front.connect()
        for _ in range(2):
            transport.feed(request("GET", path, fields=fields))
            await settle()
            transport.feed(request("POST", "/cold/2", b"body", fields=fields))
            await settle()
            transport.feed(request("GET", "/hot?3") + request("GET", "/cold/4"))
            await settle()
        wanted = [b"1" if path == "/hot?1" else b"cold /cold/1 "]
        wanted += [b"cold /cold/2 body", b"3", b"cold /cold/4 "]
        assert bodies(read_answers(bytes(transport.sent))) == wanted * 2
        # The connection is still the edge's: its deadlines hold.
        front.advance(40)
        await settle()
        assert transport.closed

    run(test)


def test_a_cold_websocket_is_the_applications() -> None:
    async def test(front: Front) -> None:
        fields = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        fields += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        answers = await front.ask(request("GET", "/cold/ws", fields=fields))
        assert [answer.status for answer in answers] == [403]

    run(test)


@pytest.mark.parametrize("path", ["/later", "/cold"])
def test_a_shutdown_lets_the_answer_finish(path: str) -> None:
    async def test(front: Front) -> None:
        front.cold_may_answer.clear()
        idle, busy = front.connect(), front.connect()
        busy.feed(request("GET", path))
        await settle()
        for connection in list(front.state.connections):
            connection.shutdown()
        await settle()
        assert idle.closed
        assert not busy.closed
        front.cold_may_answer.set()
        for exchange in front.waiting:
            exchange.respond(200, b"", b"late")
        await settle()
        (answer,) = read_answers(bytes(busy.sent))
        assert answer.status == 200
        assert busy.closed

    run(test)
