"""The PROXY protocol, versions 1 and 2: what a load balancer says before its client's first byte.

Its specification is haproxy's `proxy-protocol.txt`. Only where the header ends is of interest here;
nothing is decided by a client's address.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from reddot.net.tcp import TakeSocket

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V1_BYTES_MAX: Final = 107
V2_BYTES_MAX: Final = 16 + 4096
HEADER_TIMEOUT_S: Final = 5.0


def header_bytes(data: bytes) -> int | None:
    """How long the header at the beginning of `data` is; None: it has not all come.

    Raises:
        ValueError: it is none.
    """
    if data[:12] == SIGNATURE[: len(data)]:
        return _version_2(data)
    end = data.find(b"\r\n", 0, V1_BYTES_MAX) + 2
    if data[:6] != b"PROXY "[: len(data)] or (end == 1 and len(data) >= V1_BYTES_MAX):
        raise ValueError("no PROXY header")
    return end if end > 1 else None


def _version_2(data: bytes) -> int | None:
    if len(data) < 16:
        return None
    if data[12] not in (0x20, 0x21):
        raise ValueError("no PROXY header of version 2")
    size = 16 + int.from_bytes(data[14:16], "big")
    if size > V2_BYTES_MAX:
        raise ValueError("a PROXY header that is too long")
    return size if len(data) >= size else None


class Proxied(asyncio.Protocol):
    """A connection up to the end of its PROXY header; without one it is cut off."""

    def __init__(self, take: TakeSocket, write_buffer_bytes_max: int) -> None:
        self._take = take
        self._write_buffer_bytes_max = write_buffer_bytes_max
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._write_buffer_bytes_max)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEADER_TIMEOUT_S, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            end = header_bytes(self._data)
        except ValueError:
            self._transport.abort()
            return
        if end is not None:
            self._timer.cancel()
            self._take(self._transport, self._data[end:])

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
