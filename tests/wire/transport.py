"""A socket for tests: what a protocol writes is collected, what a peer would do is a method.

It behaves as uvloop's transports do where it matters: callbacks come in a later loop turn, a write
after `close` is dropped, one after `write_eof` is an error, and a full buffer pauses the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

HIGH_WATER_BYTES: Final = 65_536
TURNS: Final = 30
"""Loop turns after which everything that needs neither time nor I/O has happened."""


async def settle() -> None:
    """Let everything happen that can happen now."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class FakeTransport(asyncio.Transport):
    """Attributes:
    sent: everything the peer has been sent.
    unsent: what waits because the peer does not read (`blocked`).
    ended: nothing more will be written; `closed`: the connection is gone for both.
    """

    def __init__(self, protocol: asyncio.Protocol, *, encrypted: bool = False) -> None:
        super().__init__()
        self.protocol = protocol
        self.sent = bytearray()
        self.unsent = bytearray()
        self.blocked = False
        self.ended = False
        self.closed = False
        self.aborted = False
        self.reading = True
        self.high = HIGH_WATER_BYTES
        self._closing = False
        self._paused = False
        self._encrypted = encrypted
        self._waiting = bytearray()

    # What a protocol calls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        known = {"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 8000)}
        return known.get(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return not self._encrypted

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        assert not self.ended, "write after write_eof"
        if self._closing:
            return
        if not self.blocked:
            self.sent += data
            return
        self.unsent += data
        if len(self.unsent) > self.high and not self._paused:
            self._paused = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        assert not self._encrypted
        self.ended = True

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if not self.unsent:
                self._lose(None)

    def abort(self) -> None:
        self._closing = self.aborted = True
        self.unsent.clear()
        self._lose(None)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        if self._waiting:
            waiting, self._waiting = bytes(self._waiting), bytearray()
            asyncio.get_running_loop().call_soon(self.feed, waiting)

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = HIGH_WATER_BYTES if high is None else high

    # What a peer does

    def feed(self, data: bytes) -> None:
        """Send bytes; while the protocol does not read, they wait in the kernel."""
        if not self.reading:
            self._waiting += data
        elif not self.closed:
            self.protocol.data_received(data)

    def drain(self) -> None:
        """Read everything that waits."""
        self.sent += self.unsent
        self.unsent.clear()
        self.blocked = False
        if self._closing:
            self._lose(None)
        elif self._paused:
            self._paused = False
            self.protocol.resume_writing()

    def end(self) -> None:
        """Half-close."""
        if not self.closed and not self.protocol.eof_received():
            self.close()

    def reset(self) -> None:
        """Be gone without a word."""
        self._closing = True
        self._lose(ConnectionResetError())

    def _lose(self, error: Exception | None) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        self.protocol.connection_lost(error)


Connect = Callable[[], FakeTransport]
