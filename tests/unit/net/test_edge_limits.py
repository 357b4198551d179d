"""What the front door does at its limits and one beyond: the answer, the close, the count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from reddot.net.edge import EdgeLimits
from reddot.net.framing import HeadLimits
from tests.wire.answers import Answer, read_answers
from tests.wire.front import Front
from tests.wire.transport import FakeTransport, settle

HOST = b"Host: x\r\n"
HEAD = HeadLimits()
LIMITS = EdgeLimits()
LINGER_S = 3
PATHS = ["/echo", "/cold"]

Test = Callable[[Front], Coroutine[Any, Any, None]]


def run(test: Test) -> None:
    async def with_front() -> None:
        await test(Front())

    asyncio.run(with_front())


def get(path: str = "/hot", *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path.encode(), HOST, lines)


def post(path: str, length: int) -> bytes:
    """The head of a request with a body."""
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (path.encode(), HOST, length)


def chunked(path: str) -> bytes:
    head = b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n"
    return head % (path.encode(), HOST)


def the_answer(transport: FakeTransport) -> Answer:
    (answer,) = read_answers(bytes(transport.sent))
    return answer


async def check_refused(front: Front, transport: FakeTransport, code: str) -> None:
    """One problem document, the end of the stream, and the socket gone a moment later."""
    await settle()
    answer = the_answer(transport)
    assert answer.code == code
    assert answer.fields["connection"] == "close"
    assert transport.ended
    assert front.counters.rejected == {code: 1}
    # What still comes is read, so that the answer is not lost to a reset, and is not looked at.
    transport.feed(get() * 3)
    await settle()
    assert the_answer(transport).code == code
    front.advance(LINGER_S)
    await settle()
    assert transport.closed
    assert transport.protocol not in front.door.edges
    assert transport.protocol not in front.state.connections


# Sizes


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("good", "bad", "code"),
    [
        (
            get("/hot", b"X: " + b"a" * (HEAD.header_bytes_max - len(get("/hot", b"X: ")))),
            get("/hot", b"X: " + b"a" * (HEAD.header_bytes_max + 1 - len(get("/hot", b"X: ")))),
            "header_too_large",
        ),
        (
            get("/hot", *[b"X: 1"] * (HEAD.header_fields_max - 1)),
            get("/hot", *[b"X: 1"] * HEAD.header_fields_max),
            "header_too_large",
        ),
        (
            get("/hot?" + "a" * (HEAD.url_bytes_max - 5)),
            get("/hot?" + "a" * (HEAD.url_bytes_max - 4)),
            "uri_too_long",
        ),
        (get("/cold" + "a" * 8000), get("/cold" + "a" * 20_000), "uri_too_long"),
    ],
)
def test_the_size_of_a_head(good: bytes, bad: bytes, code: str, whole: bool) -> None:
    async def test(front: Front) -> None:
        for wire in (good, bad):
            transport = front.connect()
            pieces = [wire] if whole else [wire[at : at + 1000] for at in range(0, len(wire), 1000)]
            for piece in pieces:
                transport.feed(piece)
            await settle()
            if wire is good:
                assert the_answer(transport).status == 200
        await check_refused(front, transport, code)

    run(test)


@pytest.mark.parametrize("path", PATHS)
def test_the_size_of_a_body(path: str) -> None:
    async def test(front: Front) -> None:
        most = HEAD.body_bytes_max
        transport = front.connect()
        transport.feed(post(path, most))
        for _ in range(16):
            transport.feed(b"x" * (most // 16))
            await settle()
        assert the_answer(transport).body.endswith(b"x" * most)
        transport = front.connect()
        # Refused at the announcement: the client need not send it.
        transport.feed(post(path, most + 1))
        await check_refused(front, transport, "body_too_large")

    run(test)


@pytest.mark.parametrize("path", PATHS)
def test_the_size_of_a_chunked_body(path: str) -> None:
    async def test(front: Front) -> None:
        most = HEAD.body_bytes_max
        transport = front.connect()
        transport.feed(chunked(path))
        for _ in range(16):
            transport.feed(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await settle()
        transport.feed(b"0\r\n\r\n")
        await settle()
        assert the_answer(transport).body.endswith(b"x" * most)
        transport = front.connect()
        transport.feed(chunked(path))
        for _ in range(16):
            transport.feed(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await settle()
        transport.feed(b"1\r\nx\r\n")
        await check_refused(front, transport, "body_too_large")

    run(test)


@pytest.mark.parametrize("path", [*PATHS, "/deaf"])
def test_a_bad_chunk(path: str) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(chunked(path) + b"5\r\nhel")
        await settle()
        transport.feed(b"loX\r\n" + get())
        await settle()
        assert not any(seen[0] == "hot" for seen in front.seen)
        if path != "/deaf":
            await check_refused(front, transport, "http_invalid")
            return
        # It was answered before, so there is nothing more to say; but where does the next begin?
        assert the_answer(transport).body == b"cold /deaf "
        assert transport.ended

    run(test)


def test_a_bad_chunk_while_the_application_answers() -> None:
    async def test(front: Front) -> None:
        front.cold_may_answer.clear()
        transport = front.connect()
        transport.feed(chunked("/deaf") + b"5\r\nhel")
        await settle()
        transport.feed(b"loX\r\n")
        await settle()
        front.cold_may_answer.set()
        await check_refused(front, transport, "http_invalid")

    run(test)


@pytest.mark.parametrize(
    "wire", [b"nonsense\r\n\r\n", b"\x16\x03\x01\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_not_http(wire: bytes) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(get("/hot?1") + wire + get("/hot?2"))
        await settle()
        first, second = read_answers(bytes(transport.sent))
        assert (first.body, second.code) == (b"", "http_invalid") or first.body == b"1"
        assert transport.ended
        assert [seen[0] for seen in front.seen] == ["hot"]

    run(test)


def test_without_half_close_the_socket_is_closed() -> None:
    """TLS has none here."""

    async def test(front: Front) -> None:
        transport = front.connect(encrypted=True)
        transport.feed(b"nonsense\r\n\r\n")
        await settle()
        assert the_answer(transport).code == "http_invalid"
        assert transport.closed

    run(test)


def test_empty_lines_are_cheap() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        for _ in range(20):
            transport.feed(b"\r\n" * 100_000)
        transport.feed(get("/hot?1"))
        assert the_answer(transport).body == b"1"

    run(test)


# Deadlines: a tick comes once a second, so an end comes at most two seconds late and never early.


def test_a_connection_that_says_nothing() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        front.advance(LIMITS.header_timeout_s)
        assert not transport.closed
        front.advance(2)
        await settle()
        assert (transport.closed, bytes(transport.sent)) == (True, b"")
        assert not front.door.edges

    run(test)


@pytest.mark.parametrize("before", [b"", get("/hot"), get("/cold")])
def test_a_header_has_its_time_in_total(before: bytes) -> None:
    """Dribbling a byte a second does not buy another second (slowloris)."""

    async def test(front: Front) -> None:
        transport = front.connect()
        if before:
            transport.feed(before)
            await settle()
            transport.sent.clear()
        for byte in get("/hot", b"X: 1234567890")[: LIMITS.header_timeout_s]:
            transport.feed(bytes((byte,)))
            front.advance(1)
            assert transport.sent == b""
        front.advance(2)
        await check_refused(front, transport, "request_timeout")

    run(test)


def test_a_header_that_comes_at_the_last_moment() -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        wire = get("/hot?1")
        transport.feed(wire[:10])
        front.advance(LIMITS.header_timeout_s)
        transport.feed(wire[10:])
        assert the_answer(transport).body == b"1"
        # The next header has its own time.
        transport.feed(wire[:10])
        front.advance(LIMITS.header_timeout_s)
        transport.feed(wire[10:])
        assert len(read_answers(bytes(transport.sent))) == 2

    run(test)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("head", [lambda path: post(path, 100), chunked])
def test_a_body_has_its_time_in_total(path: str, head: Callable[[str], bytes]) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(head(path))
        await settle()
        for byte in b"50\r\n" + b"x" * (LIMITS.body_timeout_s - 4):
            transport.feed(bytes((byte,)))
            front.advance(1)
            await settle()
            assert transport.sent == b""
        front.advance(2)
        await check_refused(front, transport, "request_timeout")
        assert not any(seen[0] in ("hot", "cold") for seen in front.seen)

    run(test)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_comes_at_the_last_moment(path: str) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        transport.feed(post(path, 3))
        front.advance(LIMITS.body_timeout_s)
        transport.feed(b"end")
        await settle()
        assert the_answer(transport).body.endswith(b"end")

    run(test)


@pytest.mark.parametrize("path", ["/hot", "/cold"])
def test_an_idle_connection(path: str) -> None:
    async def test(front: Front) -> None:
        transport = front.connect()
        for _ in range(3):
            transport.feed(get(path))
            await settle()
            front.advance(LIMITS.idle_timeout_s)
            await settle()
            assert not transport.closed
        front.advance(2)
        await settle()
        assert transport.closed
        assert len(read_answers(bytes(transport.sent))) == 3
        assert front.counters.rejected == {}

    run(test)


@pytest.mark.parametrize("path", ["/later", "/cold"])
def test_serving_takes_as_long_as_it_takes(path: str) -> None:
    """A long poll is no idle connection."""

    async def test(front: Front) -> None:
        front.cold_may_answer.clear()
        transport = front.connect()
        transport.feed(get(path))
        await settle()
        front.advance(300)
        await settle()
        front.cold_may_answer.set()
        for exchange in front.waiting:
            exchange.respond(200, b"", b"late")
        await settle()
        assert the_answer(transport).status == 200
        # Being idle begins with the answer.
        front.advance(LIMITS.idle_timeout_s)
        assert not transport.closed

    run(test)


def test_a_client_that_does_not_read_its_answers() -> None:
    """It has as long as an idle one, and then nothing more is kept for it."""

    async def test(front: Front) -> None:
        transport = front.connect()
        transport.blocked = True
        for _ in range(30):
            transport.feed(get("/hot?" + "x" * 8000))
        front.advance(LIMITS.idle_timeout_s)
        assert not transport.closed
        front.advance(2)
        await settle()
        assert transport.aborted
        assert not front.door.edges

    run(test)


def test_the_date_is_renewed() -> None:
    async def test(front: Front) -> None:
        (before,) = await front.ask(get())
        front.door._wall = lambda: 1_767_225_661.0
        front.door.tick()
        (after,) = await front.ask(get())
        assert before.fields["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
        assert after.fields["date"] == "Thu, 01 Jan 2026 00:01:01 GMT"

    run(test)
