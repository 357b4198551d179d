"""Couriers send in a process of their own: the node's side.

What sending costs (TLS, encryption, other people's servers, a library's threads) is not taken from
the loop that publishes and fans out. The node keeps rules, queue, leases and settlements; the other
process gets parcels and says what came of them. It is started with the first parcel, at a lower
priority, ends when the node does, however that ends, and is started again when it ends by itself.
Nobody knows what came of what it had in hand then.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from typing import Final

import msgspec
import structlog

from reddot.counters import Counters
from reddot.courier_opening import for_another_process
from reddot.delivery import Outcome, Parcel, Verdict
from reddot.net.pipe import Pipe
from reddot.ports import Clock, Courier
from reddot.settings import Settings

RESTART_S: Final = 1.0
"""Between two starts: a process that cannot live must not keep the machine busy with trying."""
END_S: Final = 5.0
_COMMAND: Final = (sys.executable, "-P", "-m", "reddot.courier_child")

_log = structlog.get_logger(__name__)


class Errand(msgspec.Struct, frozen=True, array_like=True):
    """What the other process is to do."""

    number: int
    courier: str
    parcel: Parcel


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What came of it."""

    number: int
    outcome: Outcome


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Report).decode


class CourierProcess:
    """One per node.

    Args:
        couriers: those of the settings, in this process: they check addresses.
    """

    def __init__(
        self,
        settings: Settings,
        couriers: Mapping[str, Courier],
        *,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self.couriers: Final[Mapping[str, Courier]] = {
            name: _Away(self, name, courier) for name, courier in couriers.items()
        }
        self._settings: Final = settings
        self._near: Final = couriers
        self._clock: Final = clock
        self._counters: Final = counters
        self._numbers: Final = count()
        self._under_way: Final[dict[int, asyncio.Future[Outcome]]] = {}
        self._starting: Final = asyncio.Lock()
        self._started_s: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._closing = False

    @property
    def pid(self) -> int | None:
        """Of the process; None: there is none."""
        return self._process.pid if self._process and self._pipe else None

    async def send(self, courier: str, parcel: Parcel) -> Outcome:
        """As `Courier.send`; waits for the process if that is not there yet.

        Raises:
            ConnectionError: it has ended before it said what came of the parcel.
        """
        try:
            pipe = self._pipe or await self._running()
        except OSError as error:
            detail = f"{type(error).__name__}: {error}"[:200]
            return Outcome(verdict=Verdict.RETRY, reason="courier_failed", detail=detail)
        number = next(self._numbers)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._under_way[number] = outcome
        try:
            pipe.send(_encode(Errand(number, courier, parcel)))
            return await outcome
        finally:
            del self._under_way[number]

    async def aclose(self) -> None:
        """End the process; what it has in hand is not waited for."""
        self._closing = True
        if self._pipe is not None:
            self._pipe.close()
        await asyncio.to_thread(self._reap, END_S)

    # ---- its life ----

    async def _running(self) -> Pipe:
        async with self._starting:  # Whoever else wants it waits for the same start.
            if self._pipe is None:
                self._pipe = await self._start()
            return self._pipe

    async def _start(self) -> Pipe:
        if self._closing:
            raise ConnectionError("the node is ending")
        if self._started_s is not None:
            self._counters.courier_restarts += 1
            await asyncio.sleep(self._started_s + RESTART_S - self._clock.monotonic())
        self._started_s = self._clock.monotonic()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                await asyncio.to_thread(self._spawn, theirs)
        except BaseException:
            ours.close()
            raise
        loop = asyncio.get_running_loop()
        _, pipe = await loop.create_connection(lambda: Pipe(self._received, self._ended), sock=ours)
        pipe.send(pickle.dumps(for_another_process(self._settings, self._near)))
        return pipe

    def _spawn(self, theirs: socket.socket) -> None:
        self._reap(0)
        # What can be imported here can be imported there, wherever this program has it from.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            _COMMAND, stdin=theirs.fileno(), env=environment
        )

    def _reap(self, patience_s: float) -> None:
        """Wait for the end of the process, and bring it about if it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # ---- what it says ----

    def _received(self, block: bytes) -> None:
        report = _decode(block)
        outcome = self._under_way.get(report.number)
        if outcome is not None and not outcome.done():
            outcome.set_result(report.outcome)

    def _ended(self) -> None:
        self._pipe = None
        if not self._closing:
            _log.error("courier_process_ended", under_way=len(self._under_way))
        for outcome in self._under_way.values():
            if not outcome.done():
                outcome.set_exception(ConnectionError("the process of couriers has ended"))


class _Away:
    """A courier whose parcels go out in the other process."""

    def __init__(self, process: CourierProcess, name: str, near: Courier) -> None:
        self._process: Final = process
        self._name: Final = name
        self._near: Final = near

    async def send(self, parcel: Parcel) -> Outcome:
        return await self._process.send(self._name, parcel)

    def check(self, address: object) -> bytes:
        return self._near.check(address)

    async def aclose(self) -> None:
        """The process is closed as a whole."""
