"""The chunked transfer coding (RFC 9112 section 7.1), for answers whose end nobody knows.

A proxy that buffers hands on a chunk when it is complete, and whoever reads knows a stream that was
cut from one that has ended (section 8). Before HTTP/1.1 nobody knows it (section 6.1).
"""

from __future__ import annotations

from typing import Final

FIELD: Final = b"transfer-encoding: chunked\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"


def encode_chunk(data: bytes) -> bytes:
    """One chunk. `data` is not empty: a chunk without data is the last one."""
    assert data, "an empty chunk ends the stream"
    return b"%x\r\n%b\r\n" % (len(data), data)
