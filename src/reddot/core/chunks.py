"""Catching up in pieces: what is written at once is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reddot.model import Publication

CHUNK_BYTES: Final = 65_536
OVERHEAD_BYTES: Final = 256
"""What a frame has besides the data."""


def chunks(publications: Sequence[Publication]) -> Iterator[Sequence[Publication]]:
    """Runs that are written at once: bounded, so that a full buffer is noticed in time."""
    start = size = 0
    for index, publication in enumerate(publications):
        size += len(publication.data) + OVERHEAD_BYTES
        if size >= CHUNK_BYTES:
            yield publications[start : index + 1]
            start, size = index + 1, 0
    if start < len(publications):
        yield publications[start:]
