"""WebSocket connections (RFC 6455): the handshake, messages in any pieces, limits, closing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from reddot.errors import ReddotError
from reddot.net.framing import HeadLimits, parse_head
from reddot.net.websocket import WebSocketLimits, WebSocketPeer, handshake
from tests.wire import wsclient
from tests.wire.fakeloop import fake_loop, run_in_fake_time
from tests.wire.transport import FakeTransport, settle
from tests.wire.wsclient import ACCEPT, Incoming, fragments, frame, text

LIMITS = WebSocketLimits()


class Listener:
    """Remembers what it is told; answers `echo …` messages on the peer's transport."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.told: list[str] = []

    def message(self, text: bytes) -> None:
        self.messages.append(text.decode())

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def lost(self) -> None:
        self.told.append("lost")


class Wire:
    """A connection after its handshake."""

    def __init__(self, limits: WebSocketLimits = LIMITS, *, encrypted: bool = False) -> None:
        self.peer = WebSocketPeer(limits)
        self.transport = FakeTransport(self.peer, encrypted=encrypted)
        self.peer.attach(self.transport)
        self.listener = Listener()
        self.peer.listener = self.listener

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.transport.feed(piece)

    @property
    def incoming(self) -> Incoming:
        return Incoming(bytes(self.transport.sent))

    @property
    def messages(self) -> list[str]:
        return self.listener.messages


def run(test: Callable[[Wire], Coroutine[Any, Any, None]]) -> None:
    async def with_wire() -> None:
        await test(Wire())

    run_in_fake_time(with_wire())


# The handshake


def fields_of(raw: bytes) -> dict[str, str]:
    answer = handshake(parse_head(raw, HeadLimits()))
    assert answer.endswith(b"\r\n")
    lines = answer.decode().removesuffix("\r\n").split("\r\n")
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def code_of(raw: bytes) -> str:
    with pytest.raises(ReddotError) as caught:
        handshake(parse_head(raw, HeadLimits()))
    return caught.value.code


def test_the_handshake_of_the_standard() -> None:
    assert fields_of(wsclient.handshake("/v1/ws")) == {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": ACCEPT,
    }


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("reddot.v1", "reddot.v1"),
        ("graphql-ws, reddot.v1", "reddot.v1"),
        ("reddot.v2", None),
        ("REDDOT.V1", None),
        ("x", None),
    ],
)
def test_our_subprotocol_is_optional(offered: str, chosen: str | None) -> None:
    fields = fields_of(wsclient.handshake("/", f"Sec-WebSocket-Protocol: {offered}"))
    assert fields.get("sec-websocket-protocol") == chosen


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "x-webkit-deflate-frame",
        "x",
    ],
)
def test_compression_is_never_agreed_on(offer: str) -> None:
    """It costs 80 KB a connection and opens the way for bombs and CRIME."""
    fields = fields_of(wsclient.handshake("/", f"Sec-WebSocket-Extensions: {offer}"))
    assert "sec-websocket-extensions" not in fields


GOOD = wsclient.handshake("/v1/ws")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"Connection: Upgrade\r\n", b"", "upgrade_required"),
        (b"Upgrade: websocket\r\n", b"", "upgrade_required"),
        (b"Upgrade: websocket", b"Upgrade: h2c", "upgrade_required"),
        (b"HTTP/1.1", b"HTTP/1.0", "upgrade_required"),
        (b"Upgrade: websocket", b"Upgrade: websocketx", "http_invalid"),
        (b"Upgrade: websocket", b"Upgrade: h2c, websocket", "http_invalid"),
        (b"Sec-WebSocket-Version: 13\r\n", b"", "http_invalid"),
        (b"Version: 13", b"Version: 8", "http_invalid"),
        (b"Version: 13", b"Version: 13, 13", "http_invalid"),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"", "http_invalid"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"", "http_invalid"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", "http_invalid"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ", "http_invalid"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"\xe9GhlIHNhbXBsZSBub25jZQ==", "http_invalid"),
        (b"Host: x", b"Host: x\r\nSec-WebSocket-Protocol: a b", "http_invalid"),
        (b"Host: x", b"Host: x\r\nSec-WebSocket-Protocol: \xe9", "http_invalid"),
        (b"Host: x", b"Host: x\r\nSec-WebSocket-Protocol: ,", "http_invalid"),
    ],
)
def test_a_wrong_handshake(old: bytes, new: bytes, code: str) -> None:
    assert old in GOOD
    assert code_of(GOOD.replace(old, new)) == code


# Messages


MESSAGES = ["", "a", "é\u2028\U0001f600", "x" * 125, "y" * 126, "z" * 65_535, "w" * 65_536]


@pytest.mark.parametrize("message", MESSAGES, ids=map(len, MESSAGES))
def test_messages_of_any_length(message: str) -> None:
    async def test(wire: Wire) -> None:
        wire.feed(text(message), text("next"))
        assert wire.messages == [message, "next"]
        assert bytes(wire.transport.sent) == b""

    run(test)


STREAM = (
    text("one")
    + frame(b"ping", Opcode.PING)
    + fragments([b"t", b"", b"w", b"o"])
    + text("")
    + frame(b"th", fin=False)
    + frame(b"in the middle", Opcode.PING)
    + frame("rée".encode()[:2], Opcode.CONT, fin=False)
    + frame("rée".encode()[2:], Opcode.CONT)
    + frame(b"", Opcode.PONG)
    + text("x" * 200)
    + text("y" * 70)
)
READ = ["one", "two", "", "thrée", "x" * 200, "y" * 70]


async def check_pieces(wire: Wire, pieces: list[bytes]) -> None:
    assert b"".join(pieces) == STREAM
    wire.feed(*pieces)
    assert wire.messages == READ
    assert wire.incoming.pongs == [b"ping", b"in the middle"]
    assert not wire.transport.closed


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 7, 10_000])
def test_messages_in_pieces_of_one_size(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    run(lambda wire: check_pieces(wire, pieces))


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_messages_cut_anywhere(cut: int) -> None:
    run(lambda wire: check_pieces(wire, [STREAM[:cut], STREAM[cut:]]))


@settings(max_examples=50)
@given(st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=30).map(sorted))
def test_messages_in_any_pieces(cuts: list[int]) -> None:
    ends = [*cuts, len(STREAM)]
    pieces = [STREAM[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
    run(lambda wire: check_pieces(wire, pieces))


def test_a_silent_connection_has_no_parser() -> None:
    """That is where the small memory of an idle session comes from."""

    async def test(wire: Wire) -> None:
        for message in ("a", "b" * 200, "c" * 65_536):
            wire.feed(text(message))
            assert wire.peer._core is None
        wire.feed(frame(b"part", fin=False))
        assert wire.peer._core is not None
        wire.feed(frame(b"end", Opcode.CONT))
        assert wire.peer._core is None

    run(test)


# Limits and mistakes: each ends the connection with its code.


def raw_frame(first: int, second: int, rest: bytes = b"") -> bytes:
    return bytes((first, second)) + rest


MASK = b"\0\0\0\0"
BAD: list[tuple[str, bytes, int]] = [
    ("unmasked", Frame(Opcode.TEXT, b"hi").serialize(mask=False), 1002),
    ("rsv1", raw_frame(0xC1, 0x80, MASK), 1002),
    ("rsv2", raw_frame(0xA1, 0x80, MASK), 1002),
    ("rsv3", raw_frame(0x91, 0x80, MASK), 1002),
    ("reserved opcode", raw_frame(0x83, 0x80, MASK), 1002),
    ("reserved control opcode", raw_frame(0x8B, 0x80, MASK), 1002),
    ("fragmented ping", raw_frame(0x09, 0x80, MASK), 1002),
    ("long ping", raw_frame(0x89, 0xFE, b"\0\x7e" + MASK + b"x" * 126), 1002),
    ("continuation of nothing", frame(b"x", Opcode.CONT), 1002),
    ("text inside a message", frame(b"a", fin=False) + text("b"), 1002),
    ("close of one byte", frame(b"\x03", Opcode.CLOSE), 1002),
    ("close code 999", frame(b"\x03\xe7", Opcode.CLOSE), 1002),
    ("close code 1005", frame(b"\x03\xed", Opcode.CLOSE), 1002),
    ("close reason no UTF-8", frame(b"\x03\xe8\xff", Opcode.CLOSE), 1007),
    ("no UTF-8", frame(b"\xff"), 1007),
    ("lone surrogate", frame(b"\xed\xa0\x80"), 1007),
    ("cut UTF-8", frame(b"\xc3"), 1007),
    ("no UTF-8 across frames", frame(b"\xc3", fin=False) + frame(b"x", Opcode.CONT), 1007),
    ("binary", frame(b"\0", Opcode.BINARY), 1003),
    ("empty binary", frame(b"", Opcode.BINARY), 1003),
    ("a long frame", frame(b"x" * 65_537), 1009),
    ("the announcement of a long frame", raw_frame(0x81, 0xFF, b"\0\0\0\0\0\x01\0\x01"), 1009),
    ("the longest frame", raw_frame(0x81, 0xFF, b"\x7f" + b"\xff" * 7), 1009),
    ("a long message", frame(b"x" * 65_536, fin=False) + frame(b"x", Opcode.CONT), 1009),
    ("129 fragments", fragments([b"x"] * 129), 1009),
    ("129 empty fragments", fragments([b""] * 129), 1009),
    ("endless fragments", frame(b"", fin=False) + frame(b"", Opcode.CONT, fin=False) * 128, 1009),
    ("21 pings", frame(b"", Opcode.PING) * 21, 1008),
    ("21 pongs", frame(b"", Opcode.PONG) * 21, 1008),
    ("101 messages", text("m") * 101, 4429),
    ("101 empty messages", text("") * 101, 4429),
]


# Here another message behind it would be a mistake of its own.
WHOLE = {name: (wrong, code) for name, wrong, code in BAD if name != "endless fragments"}


@pytest.mark.parametrize("pieces", [None, 1, 50])
@pytest.mark.parametrize(("wrong", "code"), [row[1:] for row in BAD], ids=[r[0] for r in BAD])
def test_a_mistake_ends_the_connection(wrong: bytes, code: int, pieces: int | None) -> None:
    async def test(wire: Wire) -> None:
        size = pieces or len(wrong)
        wire.feed(text("before"), *(wrong[at : at + size] for at in range(0, len(wrong), size)))
        # Nothing that follows a mistake is looked at (RFC 6455 section 7.1.7).
        wire.feed(text("after"), frame(b"after", Opcode.PING), b"\xff" * 100)
        await settle()
        assert wire.incoming.close_code == code
        assert "after" not in wire.messages
        assert b"after" not in wire.incoming.pongs
        assert wire.transport.ended or wire.transport.closed
        await fake_loop().advance(3)
        assert wire.transport.closed
        assert wire.listener.told == ["lost"]

    run(test)


@pytest.mark.parametrize(("wrong", "code"), WHOLE.values(), ids=WHOLE)
def test_nothing_behind_a_mistake_in_one_packet(wrong: bytes, code: int) -> None:
    async def test(wire: Wire) -> None:
        wire.feed(text("before") + wrong + text("after"))
        assert wire.incoming.close_code == code
        assert wire.messages[0] == "before"
        assert "after" not in wire.messages

    run(test)


def test_limits_are_not_reached_too_early() -> None:
    async def test(wire: Wire) -> None:
        wire.feed(fragments([b"x"] * LIMITS.fragments_max))
        wire.feed(fragments([b"y" * 512] * 128))
        wire.feed(frame(b"", Opcode.PING) * LIMITS.controls_per_s)
        wire.feed(text("m") * (2 * LIMITS.messages_per_s - 2))
        assert len(wire.messages) == 2 * LIMITS.messages_per_s
        assert wire.incoming.close is None
        assert wire.messages[1] == "y" * 65_536

    run(test)


def test_a_steady_client_is_never_too_fast() -> None:
    async def test(wire: Wire) -> None:
        for _ in range(20):
            wire.feed(text("m") * LIMITS.messages_per_s)
            wire.feed(frame(b"", Opcode.PING) * LIMITS.controls_per_s)
            await fake_loop().advance(1)
        assert wire.incoming.close is None

    run(test)


def test_a_client_that_is_a_little_too_fast_is_found_out() -> None:
    async def test(wire: Wire) -> None:
        for _ in range(60):
            wire.feed(text("m") * (LIMITS.messages_per_s + 2))
            await fake_loop().advance(1)
        assert wire.incoming.close_code == 4429

    run(test)


def test_pings_do_not_buy_messages() -> None:
    """The two counters share a clock and nothing else."""

    async def test(wire: Wire) -> None:
        for _ in range(20):
            wire.feed(text("m") * 70, frame(b"", Opcode.PING) * 10)
            await fake_loop().advance(1)
        assert wire.incoming.close_code == 4429

    run(test)


def test_after_a_pause_the_burst_is_back() -> None:
    async def test(wire: Wire) -> None:
        for _ in range(3):
            wire.feed(text("m") * 100)
            await fake_loop().advance(10)
        assert wire.incoming.close is None
        assert len(wire.messages) == 300

    run(test)


# Closing


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_client_that_closes(code: int) -> None:
    async def test(wire: Wire) -> None:
        wire.feed(
            text("last") + frame(Close(code, "bye").serialize(), Opcode.CLOSE) + text("after")
        )
        assert wire.messages == ["last"]
        assert wire.incoming.close == Close(code, "bye")
        wire.transport.end()
        await settle()
        assert wire.transport.closed
        assert wire.listener.told == ["lost"]

    run(test)


def test_a_client_that_closes_without_a_code() -> None:
    async def test(wire: Wire) -> None:
        wire.feed(frame(b"", Opcode.CLOSE))
        assert bytes(wire.transport.sent) == b"\x88\x00"
        await fake_loop().advance(3)
        assert wire.transport.closed

    run(test)


@pytest.mark.parametrize(
    "half",
    [b"", frame(b"half", fin=False), text("half")[:3], text("half")[:7]],
    ids=["nothing", "fragment", "head", "part"],
)
def test_we_close(half: bytes) -> None:
    async def test(wire: Wire) -> None:
        if half:
            wire.feed(half)
        wire.peer.close(4401, "token_expired reconnect=now")
        wire.peer.close(1011, "twice")
        assert wire.incoming.close == Close(4401, "token_expired reconnect=now")
        assert not wire.transport.closed
        if not half:
            wire.feed(frame(Close(4401, "").serialize(), Opcode.CLOSE))
            wire.transport.end()
            await settle()
        else:
            await fake_loop().advance(3)
        assert wire.transport.closed
        assert wire.messages == []
        assert wire.listener.told == ["lost"]

    run(test)


def test_a_client_that_goes_on_after_our_close() -> None:
    async def test(wire: Wire) -> None:
        wire.peer.close(1012, "reconnect=now")
        wire.feed(text("too late"), frame(b"", Opcode.PING))
        assert wire.messages == []
        await fake_loop().advance(3)
        assert wire.transport.closed

    run(test)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_client_that_is_gone(encrypted: bool) -> None:
    async def with_wire() -> None:
        wire = Wire(encrypted=encrypted)
        wire.feed(text("a")[:4])
        wire.transport.end()
        await settle()
        assert wire.transport.closed
        assert wire.listener.told == ["lost"]
        assert bytes(wire.transport.sent) == b""
        await fake_loop().advance(10)

    run_in_fake_time(with_wire())


def test_flow_control_is_passed_on() -> None:
    async def test(wire: Wire) -> None:
        wire.transport.blocked = True
        wire.transport.write(b"x" * 100_000)
        wire.transport.drain()
        assert wire.listener.told == ["pause", "resume"]

    run(test)


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The package would log every bad client as an error."""
    for _, wrong, _ in BAD:
        run(lambda wire, wrong=wrong: _feed(wire, wrong))  # type: ignore[misc]
    assert caplog.records == []


async def _feed(wire: Wire, wrong: bytes) -> None:
    wire.feed(wrong)


# Binary connections (MQTT)


def binary_wire(
    limits: WebSocketLimits = LIMITS,
) -> tuple[WebSocketPeer, FakeTransport, list[bytes]]:
    peer, pieces = WebSocketPeer(limits, binary=True), []
    transport = FakeTransport(peer)
    peer.attach(transport)

    class Pieces(Listener):
        def message(self, text: bytes) -> None:
            pieces.append(text)

    peer.listener = Pieces()
    return peer, transport, pieces


def test_binary_frames_are_handed_on_piece_by_piece() -> None:
    async def test() -> None:
        _, transport, pieces = binary_wire()
        transport.feed(frame(b"ab", Opcode.BINARY) + frame(b"c", Opcode.BINARY, fin=False))
        transport.feed(frame(b"d", Opcode.CONT, fin=False))
        transport.feed(frame(b"", Opcode.CONT))
        transport.feed(frame(b"\xff", Opcode.BINARY))
        assert b"".join(pieces) == b"abcd\xff"

    run_in_fake_time(test())


def test_text_on_a_binary_connection_closes_it() -> None:
    async def test() -> None:
        _, transport, pieces = binary_wire()
        transport.feed(text("x"))
        assert Incoming(bytes(transport.sent)).close_code == 1003 and pieces == []

    run_in_fake_time(test())


def test_what_is_sent_on_a_binary_connection_is_one_binary_frame() -> None:
    async def test() -> None:
        peer, transport, _ = binary_wire()
        peer.send(b"x" * 200)
        assert bytes(transport.sent) == b"\x82\x7e\x00\xc8" + b"x" * 200
        peer.end()
        await fake_loop().advance(3)
        assert transport.closed

    run_in_fake_time(test())


@pytest.mark.parametrize(
    ("offered", "chosen"), [("mqtt", "mqtt"), ("x, mqttv3.1, mqtt", "mqttv3.1")]
)
def test_mqtts_subprotocols_are_taken(offered: str, chosen: str) -> None:
    fields = fields_of(wsclient.handshake("/", f"Sec-WebSocket-Protocol: {offered}"))
    assert fields["sec-websocket-protocol"] == chosen
