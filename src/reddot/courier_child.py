"""Couriers send in a process of their own: that process. `courier_process.py` starts it.

The first thing that comes are the settings, of which it opens the couriers; then parcels, each
answered when it is done. It holds nothing that is not at the node too.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Final

import msgspec
import uvloop

from reddot.core.deliveries import attempt
from reddot.courier_opening import open_couriers
from reddot.courier_process import Errand, Report
from reddot.net.patient import run_patiently
from reddot.net.pipe import Pipe
from reddot.ports import Courier
from reddot.settings import Settings
from reddot.system import SystemClock

NICENESS: Final = 10
"""Where node and couriers want the same core all the time, the node gets nine tenths of it."""
REPORT_S: Final = 0.005
"""So long what has come of a parcel waits for others that are under way: each report by itself
would wake up the node, and somebody who publishes waits for that."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Errand).decode


class Child:
    """What the process does until the node is gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: Final[asyncio.Future[None]] = loop.create_future()
        self._opened: Final[asyncio.Future[None]] = loop.create_future()
        self._couriers: Mapping[str, Courier] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._reports: Final[list[bytes]] = []
        self._under_way = 0

    async def open(self, end: socket.socket) -> None:
        """Return when it has couriers, or the other end is closed; then `ended` is done."""
        _, self._pipe = await asyncio.get_running_loop().create_connection(
            lambda: Pipe(self._received, lambda: self.ended.set_result(None)), sock=end
        )
        await asyncio.wait([self._opened, self.ended], return_when=asyncio.FIRST_COMPLETED)

    def _received(self, block: bytes) -> None:
        if not self._couriers:
            settings: Settings = pickle.loads(block)  # noqa: S301 - from our own parent
            # Their threads have the priority of whoever starts them, and later that is too low.
            self._couriers = open_couriers(settings, clock=SystemClock(), start_threads=True)
            self._opened.set_result(None)
            return
        self._under_way += 1
        task = asyncio.get_running_loop().create_task(self._run(_decode(block)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, errand: Errand) -> None:
        outcome = await attempt(self._couriers[errand.courier], errand.parcel)
        self._under_way -= 1
        self._reports.append(_encode(Report(errand.number, outcome)))
        if not self._under_way:
            self._report()
        elif len(self._reports) == 1:
            asyncio.get_running_loop().call_later(REPORT_S, self._report)

    def _report(self) -> None:
        for report in self._reports:  # One write: the loop joins them.
            self._pipe.send(report)
        self._reports.clear()


def main() -> None:
    """Serve the socket that is the standard input. Signals are the node's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICENESS)
    loop = uvloop.new_event_loop()
    child = Child(loop)
    loop.run_until_complete(child.open(socket.socket(fileno=sys.stdin.fileno())))
    run_patiently(loop, child.ended)
    # Threads of libraries that still wait for somebody must not keep us.
    os._exit(0)


if __name__ == "__main__":
    main()
