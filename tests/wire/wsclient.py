"""A WebSocket client's end of a wire: frames to bytes, bytes to frames, without any I/O.

Frames are read by the client core of the `websockets` package, which checks what a client must.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3.


def handshake(path: str, *fields: str, host: str = "x") -> bytes:
    """A client's request to open a connection."""
    lines = [
        *(f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket"),
        *("Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", *fields),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """A masked frame, as only clients send them."""
    return Frame(opcode, data, fin).serialize(mask=True)


def text(message: str) -> bytes:
    return frame(message.encode())


def fragments(parts: Sequence[bytes]) -> bytes:
    """One text message in so many frames."""
    last = len(parts) - 1
    return b"".join(
        frame(part, Opcode.CONT if index else Opcode.TEXT, fin=index == last)
        for index, part in enumerate(parts)
    )


class Incoming:
    """What the server has sent so far.

    Attributes:
        texts: whole messages; pongs: payloads; close: what the close frame says, or None.
    """

    def __init__(self, wire: bytes) -> None:
        core = Protocol(CLIENT, state=OPEN, max_size=None)
        core.receive_data(wire)
        assert core.parser_exc is None, core.parser_exc
        frames = [event for event in core.events_received() if isinstance(event, Frame)]
        self.texts = [bytes(f.data).decode() for f in frames if f.opcode is Opcode.TEXT]
        self.pongs = [bytes(f.data) for f in frames if f.opcode is Opcode.PONG]
        closes = [Close.parse(f.data) for f in frames if f.opcode is Opcode.CLOSE]
        assert len(closes) <= 1
        self.close = closes[0] if closes else None

    @property
    def close_code(self) -> int | None:
        return None if self.close is None else int(self.close.code)
