"""An event loop whose clock moves when told, for code that asks the loop for the time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.wire.transport import settle


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """`time` stands still between calls of `advance`."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__()

    def time(self) -> float:
        return self.now_s

    async def advance(self, seconds: float) -> None:
        """Let time pass and everything happen that is due."""
        self.now_s += seconds
        await settle()


def run_in_fake_time(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        runner.run(main)


def fake_loop() -> FakeTimeLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeTimeLoop)
    return loop
