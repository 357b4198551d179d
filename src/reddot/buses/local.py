"""The bus of a single node: what is announced is heard at once. Layer: buses.

Invariants: `hint` runs inside `announce`, in the loop's thread, in the order of the calls.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from reddot.model import Publication
from reddot.ports import Hint


class LocalBus:
    """`ports.Bus` without other nodes. Loses, doubles and reorders nothing."""

    def __init__(self) -> None:
        self._hint: Hint | None = None

    def listen(self, hint: Hint) -> None:
        """Call `hint` with what is announced from now on. One listener."""
        assert self._hint is None, "a bus has one listener"
        self._hint = hint

    def announce(self, publications: Sequence[Publication]) -> None:
        """Hand over at once. After `aclose`, and before `listen`, nobody hears it."""
        if self._hint is not None:
            self._hint(publications)

    async def watch(self, add: Collection[str], drop: Collection[str]) -> None:
        """Nothing to do: everything announced is heard."""

    async def aclose(self) -> None:
        """Stop calling the listener. Safe to call twice."""
        self._hint = None
