"""Lookups: shared, bounded, and in nobody's way."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from reddot.net.resolving import LOOKUPS_MAX, Resolver


class Names:
    """Stands for the operating system; `gate` keeps its answers back."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()

    def __call__(self, host: str, port: int, *, type: int) -> list[Any]:
        assert type == socket.SOCK_STREAM
        self.asked.append(host)
        assert self.gate.wait(20)
        if host.startswith("no"):
            raise socket.gaierror(-2, "Name or service not known")
        return [(2, 1, 6, "", ("192.0.2.1", port)), (10, 1, 6, "", ("2001:db8::1", port, 0, 0))]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


async def landed(resolver: Resolver) -> None:
    while resolver._flights:
        await asyncio.sleep(0.005)


def test_the_operating_system_is_asked() -> None:
    async def scenario() -> None:
        assert await Resolver()("127.0.0.1", 80) == ["127.0.0.1"]
        assert await Resolver()("0x7f000001", 80) == ["127.0.0.1"]
        with pytest.raises(OSError, match="not a name"):
            await Resolver()("\ud800", 80)

    run(scenario)


def test_one_lookup_serves_all_who_ask_and_the_next_asks_anew() -> None:
    async def scenario() -> None:
        names = Names()
        resolver = Resolver(names)
        asking = [asyncio.create_task(resolver("a.example", 443)) for _ in range(5)]
        await asyncio.sleep(0)
        asking[0].cancel()
        names.gate.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [["192.0.2.1", "2001:db8::1"]] * 4
        assert names.asked == ["a.example"]
        await resolver("a.example", 443)
        assert names.asked == ["a.example", "a.example"]

    run(scenario)


def test_so_many_at_once_and_no_more() -> None:
    async def scenario() -> None:
        names = Names()
        resolver = Resolver(names)
        asking = [asyncio.create_task(resolver(f"{n}.example", 443)) for n in range(LOOKUPS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="too many"):
            await resolver("one-more.example", 443)
        # Those who are busy do not keep the loop's own lookups waiting.
        assert await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
        names.gate.set()
        await asyncio.gather(*asking)
        assert await resolver("one-more.example", 443)

    run(scenario)


def test_what_went_wrong_is_told_and_when_nobody_waits_it_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        names = Names()
        resolver = Resolver(names)
        waiting = asyncio.create_task(resolver("no.example", 443))
        given_up = asyncio.create_task(resolver("nobody.example", 443))
        await asyncio.sleep(0)
        given_up.cancel()
        names.gate.set()
        with pytest.raises(OSError, match="not known"):
            await waiting
        await landed(resolver)

    run(scenario)
    assert caplog.records == []


def test_a_lookup_that_outlives_the_loop_hurts_nobody() -> None:
    names = Names()
    resolver = Resolver(names)

    async def scenario() -> None:
        task = asyncio.create_task(resolver("a.example", 443))
        await asyncio.sleep(0)
        task.cancel()

    run(scenario)
    (thread,) = (one for one in threading.enumerate() if one.name == "resolver")
    names.gate.set()
    thread.join(10)
    assert not thread.is_alive()
