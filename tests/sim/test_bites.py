"""The simulation bites: each of these mistakes, planted in the core, is found within a few seeds.

A variant stands for a way to write the core wrong that looks right. If one of them is no longer
found, the simulation has become blind to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from reddot.core.feed import Feed
from reddot.core.hub import Group, Hub
from reddot.core.polling import Polling
from reddot.core.recent import Recent
from reddot.core.session import Session, State
from reddot.core.subscribing import Subscribing
from reddot.errors import ReddotError
from reddot.model import Cursor, Gap, Page, Publication
from tests.sim.truth import Violation
from tests.sim.world import run

SEEDS_MAX: Final = 200


def write_all(self: Subscribing, session: Session, page: Page) -> None:
    if frames := self._payer.encode(session, page.publications, None):
        self._payer.write(session, frames, Cursor(self.hub.epoch, page.upto))


Plant = Callable[[pytest.MonkeyPatch], None]


def history_after_live(patch: pytest.MonkeyPatch) -> None:
    """A session joins the hub first and reads what it has missed afterwards."""

    def start(self: Subscribing, session: Session, cursor: Cursor | None) -> None:
        self._register(session)
        if cursor is None or self._foreign(cursor):
            gaps = [Gap(text, "epoch") for text in session.filters] if cursor else []
            self._sync(session, gaps)
        else:
            session.position = min(cursor.position, self.hub.position)
            self._sync(session, ())
            self._spawn(history(self, session, session.position))
        if session.is_catching_up():
            self._go_live(session)

    async def history(self: Subscribing, session: Session, after: int) -> None:
        page = await self._store.read(
            session.filters, after=after, upto=self.hub.position, limit=1000
        )
        if session.state is not State.CLOSED:
            write_all(self, session, page)

    patch.setattr(Subscribing, "start", start)


def nothing_between_page_and_live(patch: pytest.MonkeyPatch) -> None:
    """After the store was read a session joins at once: what came meanwhile is skipped."""

    async def read(self: Subscribing, session: Session) -> None:
        told: dict[str, int] = {}
        try:
            while session.is_catching_up() and await self._read_page(session, told, 1000):
                pass
        except ReddotError as error:
            self.close(session, error)
        session.reading = False
        if session.is_catching_up() and session.synced and not session.backfills:
            self._go_live(session)
        else:
            self._advance(session)

    patch.setattr(Subscribing, "_read", read)


def position_after_the_writes(patch: pytest.MonkeyPatch) -> None:
    """The hub's position moves when the frames are out: who leaves in a write gets them again."""

    def flush(self: Hub) -> None:
        pending, self._pending = self._pending, []
        for publication in pending:
            if publication.position:
                self._recent.add(publication)
        self._flush_many(pending)
        positions = [p.position for p in pending if p.position]
        self.position = positions[-1] if positions else self.position

    patch.setattr(Hub, "flush", flush)


def position_forgotten_by_pause(patch: pytest.MonkeyPatch) -> None:
    """A paused session comes back where the log is by then, not where it left."""

    def resume(self: Subscribing, session: Session) -> None:
        if session.state is State.PAUSED:
            session.position = self.hub.position
            original(self, session)

    original = Subscribing.resume
    patch.setattr(Subscribing, "resume", resume)


def position_of_joining_kept(patch: pytest.MonkeyPatch) -> None:
    """Leaving the hub does not note the place, so a session reads again what it has been given."""

    def leave(self: Subscribing, session: Session) -> None:
        joined_at = session.position
        original(self, session)
        session.position = joined_at

    original = Subscribing._leave
    patch.setattr(Subscribing, "_leave", leave)


def holes_not_repaired(patch: pytest.MonkeyPatch) -> None:
    """What is newer than the top is dispatched as it comes, whatever is missing below it."""

    def hint(self: Feed, publications: Sequence[Publication]) -> None:
        for publication in publications:
            if publication.position > self.top or not publication.position:
                self._accept(publication)

    patch.setattr(Feed, "hint", hint)


def cursor_of_the_store(patch: pytest.MonkeyPatch) -> None:
    """The first cursor says how far the log is, and not how far this node has handed it out."""

    def sync(self: Subscribing, session: Session, gaps: Sequence[Gap]) -> None:
        session.synced = True
        session.sink.sync(Cursor(self.hub.epoch, self._store.head), gaps, session.id, 500)

    patch.setattr(Subscribing, "_sync", sync)


def poll_cursor_of_the_store(patch: pytest.MonkeyPatch) -> None:
    """A poll is answered with the store's head as its cursor."""

    def now(self: Polling, filters: tuple[str, ...], cursor: Cursor | None) -> Any:
        answer = original(self, filters, cursor)
        if answer is not None and answer.live and not answer.gaps:
            cursor = Cursor(self._hub.epoch, self._store.head)
            answer = type(answer)(publications=answer.publications, cursor=cursor, live=True)
        return answer

    original = Polling.now
    patch.setattr(Polling, "now", now)


def floor_not_moved(patch: pytest.MonkeyPatch) -> None:
    """Memory forgets its oldest publication and still answers for it."""

    def evict(self: Recent) -> None:
        floor = self.floor
        original(self)
        self.floor = floor

    original = Recent._evict
    patch.setattr(Recent, "_evict", evict)


def gaps_not_told(patch: pytest.MonkeyPatch) -> None:
    """What has been trimmed is passed over in silence."""

    def tell(self: Subscribing, session: Session, page: Page, told: dict[str, int]) -> None:
        if not session.synced:
            self._sync(session, ())

    patch.setattr(Subscribing, "_tell_gaps", tell)


def added_while_reading(patch: pytest.MonkeyPatch) -> None:
    """A page is taken although the filters have changed while it was read."""

    async def read_page(
        self: Subscribing, session: Session, told: dict[str, int], limit: int
    ) -> bool:
        if session.backfills and session.synced:
            return await original(self, session, told, limit)
        upto = self.hub.position
        page = await self._store.read(
            session.filters, after=session.position, upto=upto, limit=1000
        )
        if session.is_catching_up():
            self._tell_gaps(session, page, told)
            write_all(self, session, page)
            session.position = page.upto
        return False

    original = Subscribing._read_page
    patch.setattr(Subscribing, "_read_page", read_page)


def filters_left_behind(patch: pytest.MonkeyPatch) -> None:
    """A group that becomes empty stays in the index."""

    def leave(self: Hub, group: Group, member: Session) -> None:
        del group.members[member]
        group.writes = None

    patch.setattr(Hub, "leave", leave)


PLANTS: Final[list[Plant]] = [
    history_after_live,
    nothing_between_page_and_live,
    position_after_the_writes,
    position_forgotten_by_pause,
    position_of_joining_kept,
    holes_not_repaired,
    cursor_of_the_store,
    poll_cursor_of_the_store,
    floor_not_moved,
    gaps_not_told,
    added_while_reading,
    filters_left_behind,
]


def run_all() -> None:
    for seed in range(SEEDS_MAX):
        run(seed)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_mistake_is_found(monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    plant(monkeypatch)
    with pytest.raises(Violation):
        run_all()
