"""Runs a loop in what is left of the processor, and never gets nothing.

Net. The scheduler's policy for what is idle gives way at once to whoever wakes up; a low priority
does only at the next tick, milliseconds later. But beside somebody who never sleeps, what is idle
gets a third of a percent, and a thread that has this policy may not give it up again. So there are
two threads to run the loop, one at a time: a patient one, and, where that does not get on, another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Final

ASK_S: Final = 1.0
"""Between two questions to the patient thread."""
ANSWER_S: Final = 0.2
"""It gets on if it answers within this time."""
PRESS_S: Final = 10.0
"""So long the other one goes on in its place."""


def give_way() -> None:
    """Let everybody else go before the calling thread. There is no way back."""
    # Elsewhere than on Linux there is no such policy, and a sandbox may forbid it.
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def run_patiently(
    loop: asyncio.AbstractEventLoop,
    end: asyncio.Future[Any],
    *,
    give_way: Callable[[], None] = give_way,
    ask_s: float = ASK_S,
    answer_s: float = ANSWER_S,
    press_s: float = PRESS_S,
) -> None:
    """Run the loop until `end` is done: in a patient thread, or in the calling one for a while."""
    end.add_done_callback(lambda _: loop.stop())
    while not end.done():
        _until_it_does_not_get_on(loop, give_way, ask_s, answer_s)
        if not end.done():
            pressed = loop.call_later(press_s, loop.stop)
            loop.run_forever()
            pressed.cancel()


def _until_it_does_not_get_on(
    loop: asyncio.AbstractEventLoop, give_way: Callable[[], None], ask_s: float, answer_s: float
) -> None:
    """Have a patient thread run the loop, until it is stopped or does not answer."""

    def run() -> None:
        give_way()
        loop.run_forever()

    thread = Thread(target=run, name="patient")
    thread.start()
    while thread.is_alive():
        answered = Event()
        loop.call_soon_threadsafe(answered.set)
        if not answered.wait(answer_s):
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
        thread.join(ask_s)
