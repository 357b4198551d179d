"""The run queue of the simulation: what is ready, and a seed that says what runs next.

Stands where the event loop stands in the product. Every callback and every step of a coroutine is
one entry; which entry runs next is drawn, so every interleaving of a real loop, and some more, can
come up. Nothing sleeps, and one seed gives one run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Generator
from typing import Any, cast

Work = Coroutine[Any, Any, None]


class Turn:
    """Awaited by simulated I/O: the coroutine goes on when its entry in the queue is drawn."""

    def __await__(self) -> Generator[Turn, None, None]:
        yield self


class Schedule:
    """Args:
    chance: draws everything that happens in the world, and nothing else draws from it.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._ready: list[tuple[Process, Callable[[], object]]] = []

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, process: Process, call: Callable[[], object]) -> None:
        self._ready.append((process, call))

    def step(self) -> None:
        """Run one entry. What belongs to a process that has died is dropped instead."""
        ready = self._ready
        index = int(self._chance.random() * len(ready))
        ready[index], ready[-1] = ready[-1], ready[index]
        process, call = ready.pop()
        if process.alive:
            call()

    def settle(self, steps_max: int = 10_000) -> None:
        """Run until nothing is ready."""
        for _ in range(steps_max):
            if not self._ready:
                return
            self.step()
        raise AssertionError("the queue does not run empty")


class Process:
    """What dies together: its callbacks never run again, its coroutines are closed."""

    def __init__(self, schedule: Schedule) -> None:
        self.alive = True
        self._schedule = schedule
        self._tasks: set[Work] = set()

    def call_soon(self, call: Callable[[], object]) -> None:
        """The product's `schedule`: one turn later."""
        self._schedule.add(self, call)

    def spawn(self, work: Work) -> None:
        """The product's `spawn`: a coroutine in the background."""
        self._tasks.add(work)
        self._schedule.add(self, lambda: self._go_on(work))

    def _go_on(self, work: Work) -> None:
        try:
            work.send(None)
        except StopIteration:
            self._tasks.discard(work)
        else:
            self._schedule.add(self, lambda: self._go_on(work))

    def die(self) -> None:
        self.alive = False
        for work in list(self._tasks):
            work.close()
        self._tasks.clear()


class _Soon:
    """The one thing a store asks of a running loop."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def call_soon(self, call: Callable[..., object], *args: object) -> None:
        self.calls.append(lambda: call(*args))


def deferred(call: Callable[[], object]) -> list[Callable[[], object]]:
    """Run `call` under a loop that runs nothing; returns what it was asked to call soon."""
    soon = _Soon()
    asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", soon))
    try:
        call()
    finally:
        asyncio._set_running_loop(None)
    return soon.calls


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    work.close()
    raise AssertionError("it waits")
