"""Paying a session what it is owed: in pieces, so that what is written at once is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reddot.core.hub import Hub
from reddot.core.session import Backfill, Session, State
from reddot.counters import Counters
from reddot.model import Cursor, Publication
from reddot.ports import Clock

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


class Payer:
    """Encodes and writes what comes from the log and not from the hub."""

    def __init__(self, *, hub: Hub, clock: Clock, counters: Counters) -> None:
        self._hub = hub
        self._clock = clock
        self._counters = counters

    def pay(
        self,
        session: Session,
        place: Session | Backfill,
        chunk: Sequence[Publication],
        cursor: Cursor | None = None,
    ) -> bool:
        """Write a chunk and move the place behind it.

        Returns: whether the session is still catching up; a write may pause, hold or end it.
        """
        frames = self.encode(session, chunk, cursor)
        if session.state is not State.HELD:  # A session that was held knows its place.
            # Before the write: a waiting poll ends in it, and says how far it has come.
            place.position = chunk[-1].position
        if frames:
            here = cursor or Cursor(self._hub.epoch, chunk[-1].position)
            self.write(session, frames, here)
        return session.is_catching_up()

    def encode(
        self, session: Session, publications: Sequence[Publication], cursor: Cursor | None
    ) -> list[bytes]:
        """The frames of a chunk, up to where the session was held, if it was."""
        encoder, epoch, now = session.encoder, self._hub.epoch, self._clock.wall_ms()
        encode = encoder.encode if cursor is None else encoder.retained or encoder.encode
        frames: list[bytes] = []
        for publication in publications:
            if publication.expires_ms is None or publication.expires_ms > now:
                frame = encode(publication, cursor or Cursor(epoch, publication.position))
                if session.state is State.HELD:
                    break
                if frame:
                    frames.append(frame)
        return frames

    def write(self, session: Session, frames: Sequence[bytes], cursor: Cursor) -> None:
        encoder = session.encoder
        data = encoder.join(frames, cursor)
        counters = self._counters.transports[encoder.transport]
        counters.deliveries += len(frames)
        counters.bytes_out += len(data)
        session.bytes_own += len(data)
        session.write(data)
