"""From bus hints in any order to the log's order: contiguous positions, holes read from the store.

The bus may lose, double and reorder. What the feed dispatches is 1, 2, 3 … as the store has it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.model import Publication
from reddot.ports import Store

REPAIR_PAGE: Final = 500


class Feed:
    """One per node.

    Args:
        start: everything up to this position is taken as dispatched.
        dispatch: gets every durable publication once, in order, and ephemeral ones as they come.
        lost: told when retention has taken what was never dispatched; everything up to the given
            position can only be read from the store.
        spawn: runs a coroutine in the background.
        held_max: how many hints beyond a hole are kept; more are dropped, the store has them.
    """

    def __init__(
        self,
        *,
        start: int,
        store: Store,
        dispatch: Callable[[Publication], None],
        lost: Callable[[int], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        counters: Counters,
        held_max: int = 1024,
    ) -> None:
        self.top = start
        self._store = store
        self._dispatch = dispatch
        self._lost = lost
        self._spawn = spawn
        self._counters = counters
        self._held: dict[int, Publication] = {}
        self._held_max = held_max
        self._repairing = False

    def hint(self, publications: Sequence[Publication]) -> None:
        """Take what the bus brought."""
        for publication in publications:
            position = publication.position
            if position == self.top + 1:
                self._dispatch(publication)
                self.top = position
                if self._held:
                    self._held.pop(position, None)
            elif not position:
                self._dispatch(publication)
            elif position > self.top and len(self._held) < self._held_max:
                self._held[position] = publication
        if self._held:
            self._drain()
            self.check()

    def check(self) -> None:
        """Compare with the store; call on a timer, so that a lost last hint costs only time."""
        if self._store.head > self.top and not self._repairing:
            self._repairing = True
            self._spawn(self._repair())

    def _accept(self, publication: Publication) -> None:
        self._dispatch(publication)
        self.top = publication.position
        if self._held:
            self._held.pop(self.top, None)

    def _drain(self) -> None:
        while (following := self._held.pop(self.top + 1, None)) is not None:
            self._accept(following)

    def _fill(self, publications: Sequence[Publication]) -> None:
        for publication in publications:
            if publication.position > self.top:
                self._counters.feed_holes += 1
                self._accept(publication)

    async def _repair(self) -> None:
        """Read what is missing. Positions that have expired stay holes."""
        try:
            while self._store.head > self.top:
                after = self.top
                page = await self._store.read(
                    None, after=after, upto=self._store.head, limit=REPAIR_PAGE
                )
                if page.gaps:
                    self._lost(max(self.top, page.upto))
                else:
                    self._fill(page.publications)
                self.top = max(self.top, page.upto)
                for position in [p for p in self._held if p <= self.top]:
                    del self._held[position]
                self._drain()
        except ReddotError:
            return  # The store does not answer; the next check tries again.
        finally:
            self._repairing = False
