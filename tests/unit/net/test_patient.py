"""Which thread runs the loop: the patient one, and the calling one where that does not get on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from threading import Event, current_thread, main_thread
from typing import Any, TypeVarTuple

import pytest

from reddot.net.patient import run_patiently

Ts = TypeVarTuple("Ts")


class Watched(asyncio.SelectorEventLoop):
    """Attributes:
    stopped: somebody does not want to wait for the patient thread any longer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stopped = Event()

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if callback == self.stop:
            self.stopped.set()
        return super().call_soon_threadsafe(callback, *args, context=context)


async def until_it_was(names: list[str], wanted: str) -> None:
    """Note which thread this is in, until it is that one."""
    while names[-1:] != [wanted]:
        names.append("calling" if current_thread() is main_thread() else current_thread().name)
        await asyncio.sleep(0)


def run(work: Callable[[Watched], Coroutine[Any, Any, None]], **options: Any) -> None:
    loop = Watched()
    task = loop.create_task(work(loop))
    try:
        run_patiently(loop, task, **options)
        assert not loop.is_running()
    finally:
        loop.close()
    task.result()


def test_it_is_the_patient_one() -> None:
    names: list[str] = []
    run(lambda _: until_it_was(names, "patient"), answer_s=60)
    assert names == ["patient"]


def test_where_that_does_not_get_on_it_is_the_calling_one_for_a_while() -> None:
    names: list[str] = []

    async def work(loop: Watched) -> None:
        await until_it_was(names, "patient")
        loop.stopped.wait()  # As somebody who gets nothing: it is over when nobody waits any more.
        await until_it_was(names, "calling")
        await until_it_was(names, "patient")

    run(work, ask_s=0, answer_s=0.001, press_s=0)


def test_it_gives_way_before_it_runs_anything() -> None:
    calls: list[str] = []

    async def work(_: Watched) -> None:
        calls.append("work")

    run(work, give_way=lambda: calls.append("give way"))
    assert calls == ["give way", "work"]


def test_work_that_fails_ends_it_too() -> None:
    async def work(_: Watched) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(work)
