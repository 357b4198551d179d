"""What every store promises where inboxes and the log meet: each keeps its own, found by topic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from reddot.inbox import Erase, Keep, Retract
from reddot.model import Draft, Retention
from reddot.testing import FakeClock
from tests.contract.conftest import Backend, Settings, append, opened
from tests.contract.inboxes import Boxes

DAY_MS = 86_400_000
TOPIC = "users/1"


def run(
    backend: Backend,
    folder: Path,
    test: Callable[[Boxes], Awaitable[None]],
    *,
    count: int = 1000,
    keep: Keep = Keep(age_ms=DAY_MS),  # noqa: B008 - frozen
) -> None:
    async def main() -> None:
        settings = Settings(
            folder=folder,
            clock=FakeClock(),
            retention=lambda topic: Retention(count, DAY_MS),
            keep=keep,
        )
        async with opened(backend, settings) as store:
            await test(Boxes(store, settings.clock))

    asyncio.run(main())


async def publish(box: Boxes, id: str, topic: str = TOPIC) -> None:
    now = box.clock.wall_ms()
    await append(box.store, Draft(topic=topic, id=id, data=b"1", time_ms=now))


async def read(box: Boxes, after: int = 0, limit: int = 100) -> list[tuple[str, int]]:
    page = await box.store.read([TOPIC], after=after, upto=box.store.head, limit=limit)
    return [(one.id, one.offset) for one in page.publications]


async def history(box: Boxes, before: int | None = None, limit: int = 100) -> list[str]:
    found = await box.store.history(TOPIC, before=before, limit=limit)
    return [one.id for one in found]


async def mix(box: Boxes, count: int) -> None:
    """Every third is a notification; between them another topic moves the positions."""
    for number in range(1, count + 1):
        if number % 3:
            await publish(box, str(number))
        else:
            await box.send(str(number), TOPIC, "users/2")
        await publish(box, "other", "other")


def test_notifications_and_others_are_one_sequence(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await mix(box, 20)
        everything = [(str(number), number) for number in range(1, 21)]
        assert await read(box) == everything
        paged: list[tuple[str, int]] = []
        after = 0
        while after < box.store.head:
            page = await box.store.read([TOPIC], after=after, upto=box.store.head, limit=3)
            paged += [(one.id, one.offset) for one in page.publications]
            after = page.upto
        assert paged == everything
        assert await history(box) == [name for name, _ in reversed(everything)]
        for before in range(2, 21):
            newest = [str(before - 1), str(before - 2)][: before - 1]
            assert await history(box, before, 2) == newest

    run(backend, tmp_path, test)


def test_the_log_is_shorter_than_inboxes(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await mix(box, 30)
        while await box.store.trim(rows_max=2):
            pass
        assert [name for name, _ in await read(box)] == ["27", "28", "29", "30"]
        assert await history(box) == ["30", "29", "28", "27"]
        assert await history(box, 28) == ["27"]
        assert await box.unread("1") == 10
        for number in range(31, 36):
            await publish(box, str(number))
        while await box.store.trim(rows_max=2):
            pass
        # What is left of the topic's notifications is in inboxes only.
        assert [name for name, _ in await read(box)] == ["32", "33", "34", "35"]
        assert (await box.store.read([TOPIC], after=0, upto=99, limit=9)).gaps
        assert await box.unread("1") == 10

    run(backend, tmp_path, test, count=4)


def test_a_topic_of_which_the_log_has_nothing_goes_on(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await mix(box, 9)
        box.clock.advance(DAY_MS / 1000 + 1)
        while await box.store.trim(rows_max=100):
            pass
        assert await read(box) == []
        assert await history(box) == []
        assert await box.unread("1") == 3
        await publish(box, "next")
        assert await read(box) == [("next", 10)]

    run(backend, tmp_path, test, keep=Keep(age_ms=10 * DAY_MS))


def test_inboxes_are_shorter_than_the_log(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await mix(box, 15)
        await box.change(Retract(id="3", rows_max=9))
        await box.settle()
        assert await box.unread("1") == 2
        kept = [str(number) for number in range(1, 16) if number != 3]
        assert [name for name, _ in await read(box)] == kept
        assert await history(box) == kept[::-1]
        await publish(box, "16")
        assert (await read(box))[-1] == ("16", 16)
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test, keep=Keep(count=2))


def test_an_erased_person_is_not_in_the_log(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await mix(box, 9)
        await box.change(Erase(user="1"))
        assert await read(box) == []
        await publish(box, "next")
        assert await read(box) == [("next", 10)]
        assert not await box.store.inbox.verify(repair=False)
        page = await box.store.read(["users/2"], after=0, upto=box.store.head, limit=9)
        assert [one.id for one in page.publications] == ["3", "6", "9"]

    run(backend, tmp_path, test)
