"""What every store promises about new users: what went to everyone before them is not theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reddot.inbox import Erase, Join
from tests.contract.conftest import Backend
from tests.contract.inboxes import Boxes
from tests.contract.test_inbox import run


async def five_seconds_apart(box: Boxes) -> list[int]:
    """Five to everyone, with others between them; when each was sent."""
    times = []
    for number in range(5):
        times.append(box.clock.wall_ms())
        await box.send(f"n{number}", "everyone")
        await box.send(f"own{number}", "users/1")
        box.clock.advance(5)
    return times


@pytest.mark.parametrize("number", range(5))
def test_what_was_sent_before_is_not_in_the_inbox(
    backend: Backend, tmp_path: Path, number: int
) -> None:
    async def test(box: Boxes) -> None:
        times = await five_seconds_apart(box)
        since_ms = times[number] + 1
        effect = await box.effect(Join(user="1", since_ms=since_ms))
        assert effect.since_ms == since_ms
        later = [f"n{one}" for one in range(number + 1, 5)]
        assert [id for id in await box.ids("1") if id.startswith("n")] == later[::-1]
        assert await box.counts("1") == (
            len(later) + 5,
            len(later) + 5,
            {"general": 5 + len(later)},
        )
        assert await box.unread("2") == 5
        await box.mark("1", "read", upto=99)
        await box.mark("1", "unread", "n0", "own0")
        assert await box.unread("1") == 1
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test)


def test_one_who_was_there_before_everything_loses_nothing(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        times = await five_seconds_apart(box)
        effect = await box.effect(Join(user="1", since_ms=times[0]))
        assert effect.marks == {}
        assert await box.unread("1") == 10
        assert (await box.effect(Join(user="3", since_ms=0))).marks == {}

    run(backend, tmp_path, test)


def test_the_latest_time_holds_and_marks_above_it_stay(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        times = await five_seconds_apart(box)
        await box.mark("2", "read", "n0", "n3")
        await box.mark("2", "archived", "n4")
        await box.effect(Join(user="2", since_ms=times[2]))
        assert await box.ids("2", "unread") == ["n2"]
        again = await box.effect(Join(user="2", since_ms=times[0]))
        assert (again.since_ms, again.marks) == (None, {})
        await box.effect(Join(user="2", since_ms=times[3]))
        assert await box.ids("2", "unread") == []
        assert await box.ids("2", "archived") == ["n4"]
        person = (await box.store.inbox.warm(["2"], [])).people["2"]
        assert person.since_ms == times[3]
        await box.effect(Erase(user="2"))
        assert await box.unread("2") == 5

    run(backend, tmp_path, test)
