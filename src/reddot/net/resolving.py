"""Names looked up by the operating system, in threads of their own.

Net: beside the event loop's own lookups, of which there are four at once in the whole process:
names that strangers chose, and whose servers never answer, must not stand in the way of ours.
Invariants: at most `LOOKUPS_MAX` at once, one for each name however many ask; who stops waiting
stops nobody else; a lookup that never ends keeps no process from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

LOOKUPS_MAX: Final = 32


class Resolver:
    """The lookups of one process.

    Args:
        lookup: `socket.getaddrinfo`, or what stands for it.
    """

    def __init__(self, lookup: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> None:
        self._lookup: Final = lookup
        self._flights: Final[dict[str, asyncio.Future[Sequence[str]]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """All addresses of a name, as texts.

        Raises:
            OSError: it has none, or too many names are being looked up.
        """
        flight = self._flights.get(host)
        if flight is None:
            if len(self._flights) >= LOOKUPS_MAX:
                raise OSError("too many names are being looked up")
            flight = self._flights[host] = asyncio.get_running_loop().create_future()
            flight.add_done_callback(lambda done: self._landed(host, done))
            threading.Thread(
                target=self._fly, args=(host, port, flight), name="resolver", daemon=True
            ).start()
        return await asyncio.shield(flight)

    def _landed(self, host: str, done: asyncio.Future[Sequence[str]]) -> None:
        del self._flights[host]
        # If nobody waits any more, nobody else will look at what went wrong.
        if not done.cancelled():
            done.exception()

    def _fly(self, host: str, port: int, flight: asyncio.Future[Sequence[str]]) -> None:
        """In a thread of its own."""
        found: list[str] = []
        failure: OSError | None = None
        try:
            entries = self._lookup(host, port, type=socket.SOCK_STREAM)
            found = [str(entry[4][0]) for entry in entries]
        except OSError as error:
            failure = error
        except UnicodeError:
            failure = OSError("not a name")

        def land() -> None:
            if flight.done():
                return
            if failure is not None:
                flight.set_exception(failure)
            else:
                flight.set_result(found)

        try:
            flight.get_loop().call_soon_threadsafe(land)
        except RuntimeError:
            # The loop has ended meanwhile, and with it everybody who could wait.
            return
