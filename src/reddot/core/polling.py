"""The use case of polling: what a client with a cursor has missed, answered without a session."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reddot.core.hub import Hub
from reddot.core.recent import Recent
from reddot.model import Cursor, Gap, Publication
from reddot.ports import Clock, Store


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a poll is answered.

    Attributes:
        cursor: where the next poll goes on.
        live: whether `cursor` is the hub's position of this very loop turn, so that a long poll
            may join the hub without missing anything.
    """

    publications: Sequence[Publication]
    cursor: Cursor
    gaps: Sequence[Gap] = ()
    live: bool = False


class Polling:
    """Args:
    publications_max: most publications in one answer; the rest is for the next poll.
    """

    def __init__(
        self, *, hub: Hub, recent: Recent, store: Store, clock: Clock, publications_max: int
    ) -> None:
        self._hub = hub
        self._recent = recent
        self._store = store
        self._clock = clock
        self._max = publications_max

    def now(self, filters: tuple[str, ...], cursor: Cursor | None) -> Answer | None:
        """The answer from memory; None if the store has to be read."""
        here = self._hub.cursor
        if cursor is None:
            if self._store.retained_count:
                return None
            return Answer(publications=(), cursor=here, live=True)
        if cursor.epoch != here.epoch or cursor.position > self._store.head:
            gaps = [Gap(text, "epoch") for text in filters]
            return Answer(publications=(), cursor=here, gaps=gaps)
        found = self._recent.since(filters, cursor.position)
        if found is None:
            return None
        found = self._unexpired(found)
        if len(found) > self._max:
            found = found[: self._max]
            return Answer(publications=found, cursor=Cursor(here.epoch, found[-1].position))
        # A cursor from a publisher's answer may be a little ahead of the hub.
        newest = cursor if cursor.position > here.position else here
        return Answer(publications=found, cursor=newest, live=newest is here)

    async def read(self, filters: tuple[str, ...], cursor: Cursor | None) -> Answer:
        """The answer with the store's help: the first publications after `cursor`."""
        here = self._hub.cursor
        if cursor is None:
            retained = await self._store.retained(
                filters, after=0, upto=here.position, limit=self._max
            )
            return Answer(publications=retained, cursor=here)
        position = cursor.position
        gaps: dict[str, Gap] = {}
        while position < here.position:
            page = await self._store.read(
                filters, after=position, upto=here.position, limit=self._max
            )
            gaps.update((gap.topic, gap) for gap in page.gaps)
            position = page.upto
            if page.publications or gaps:
                return Answer(
                    publications=page.publications,
                    cursor=Cursor(here.epoch, position),
                    gaps=list(gaps.values()),
                )
        return Answer(publications=(), cursor=Cursor(here.epoch, position))

    def _unexpired(self, found: Sequence[Publication]) -> list[Publication]:
        now = self._clock.wall_ms()
        return [p for p in found if p.expires_ms is None or p.expires_ms > now]
