"""Inboxes in memory: loaded at one moment, moved by the log, forgotten when in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from reddot.errors import ReddotError
from reddot.inbox import Follow, Mark, Warm
from tests.unit.core.boxes_rig import Rig


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_happens_while_loading_is_counted_once() -> None:
    async def test() -> None:
        rig = Rig()
        await rig.notify("users/a")
        rig.hand_on()
        rig.held.gate.clear()
        loading = asyncio.create_task(rig.unread("a"))
        await turns()
        await rig.notify("users/a")
        rig.hand_on()
        rig.held.gate.set()
        assert await loading == 2
        assert rig.boxes.badge("a").as_of == 2

    run(test())


def test_a_store_ahead_of_the_hub_is_waited_for() -> None:
    async def test() -> None:
        rig = Rig()
        await rig.notify("users/a")
        loading = asyncio.create_task(rig.unread("a"))
        await turns()
        assert not loading.done()
        rig.hand_on()
        assert await loading == 1

    run(test())


def test_those_who_load_together_ask_once() -> None:
    async def test() -> None:
        rig = Rig()
        await asyncio.gather(*(rig.boxes.prepare(f"u{number}") for number in range(50)))
        assert len(rig.held.asked) <= 4
        assert len(rig.boxes) == 50

    run(test())


def test_many_come_with_their_own_topics_in_one_question() -> None:
    async def test() -> None:
        rig = Rig()
        people = [f"u{number}" for number in range(50)]
        await rig.boxes.prepare_all(people)
        assert len(rig.held.asked) == 1
        assert all(rig.boxes.is_ready(user) for user in people)
        await rig.boxes.prepare_all(people)
        await rig.boxes.prepare("u1")
        assert len(rig.held.asked) == 1

    run(test())


def test_changes_move_what_is_in_memory_without_asking_again() -> None:
    async def test() -> None:
        rig = Rig()
        assert await rig.unread("a") == 0
        asked = len(rig.held.asked)
        await rig.notify("users/a", "users/b")
        await rig.notify("everyone")
        await rig.change(Mark(user="a", state="read", ids=("n1",)))
        await rig.change(Mark(user="b", state="read", ids=("n1",)))
        rig.hand_on()
        assert await rig.unread("a") == 1
        assert len(rig.held.asked) == asked

    run(test())


def test_a_publication_that_does_not_say_what_it_changed_makes_memory_ask_again() -> None:
    async def test() -> None:
        rig = Rig()
        await rig.change(Follow(user="a", topic="news"))
        rig.hand_on()
        assert await rig.unread("a") == 0
        await rig.notify("news")
        rig.hand_on(mute=True)
        assert not rig.boxes.is_ready("a")
        assert await rig.unread("a") == 1
        await rig.change(Mark(user="a", state="read", ids=("n2",)))
        rig.hand_on(mute=True)
        assert await rig.unread("a") == 0

    run(test())


def test_what_is_loaded_beside_such_a_publication_is_not_believed() -> None:
    async def test() -> None:
        rig = Rig()
        rig.held.gate.clear()
        loading = asyncio.create_task(rig.unread("a"))
        await turns()
        await rig.notify("users/a")
        rig.hand_on(mute=True)
        rig.held.gate.set()
        assert await loading == 1

    run(test())


def test_a_hole_in_the_log_makes_memory_forget_everybody() -> None:
    async def test() -> None:
        rig = Rig()
        assert await rig.unread("a") == 0
        await rig.notify("users/a")
        rig.position = rig.waiting.pop().position
        rig.boxes.lost()
        assert len(rig.boxes) == 0
        assert await rig.unread("a") == 1

    run(test())


def test_what_is_due_is_settled_before_a_badge_is_shown() -> None:
    async def test() -> None:
        rig = Rig()
        await rig.notify("users/ttl")
        rig.hand_on()
        assert await rig.unread("ttl") == 1
        rig.clock.advance(10)
        assert not rig.boxes.is_ready("ttl")
        assert await rig.unread("ttl") == 0
        assert rig.boxes.badge("ttl").as_of == 2

    run(test())


def test_people_beyond_the_limit_go_the_oldest_first() -> None:
    async def test() -> None:
        rig = Rig(inbox_people_cached_max=3)
        for user in "abcd":
            await rig.boxes.prepare(user)
        assert len(rig.boxes) == 3
        assert [rig.boxes.is_ready(user) for user in "abcd"] == [False, True, True, True]

    run(test())


def test_masks_beyond_their_bytes_go_and_come_back() -> None:
    async def test() -> None:
        rig = Rig(inbox_masks_bytes_max=2_000)
        for number in range(10):
            await rig.notify(f"users/u{number}")
        rig.hand_on()
        for _ in range(2):
            for number in range(10):
                assert await rig.unread(f"u{number}") == 1
        ready = sum(rig.boxes.is_ready(f"u{number}") for number in range(10))
        assert 1 <= ready < 10

    run(test())


def test_a_store_that_fails_is_an_error_for_those_who_wait_and_only_for_them() -> None:
    async def test() -> None:
        rig = Rig()
        rig.held.error = ReddotError("store_unavailable")
        with pytest.raises(ReddotError, match="store_unavailable"):
            await rig.boxes.prepare("a")
        rig.held.error = None
        assert await rig.unread("a") == 0

    run(test())


def test_memory_that_is_too_small_is_said_and_not_tried_for_ever() -> None:
    async def test() -> None:
        rig = Rig()
        forget = rig.boxes._install

        def lose(users: list[str], topics: list[str], warm: Warm) -> None:
            forget(users, topics, warm)
            rig.boxes.lost()

        rig.boxes._install = lose  # type: ignore[method-assign]
        with pytest.raises(ReddotError, match="overloaded"):
            await rig.boxes.prepare("a")

    run(test())
