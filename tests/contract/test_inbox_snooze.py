"""What every store promises about snoozing: hidden until its time, then as new, exactly once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from reddot.errors import ReddotError
from reddot.inbox import (
    STEP_ROWS,
    Effect,
    Erase,
    Follow,
    Noted,
    Prefer,
    Preferences,
    Retract,
    Settle,
    Snooze,
    Unfollow,
    Wake,
)
from reddot.model import Appended, Publication
from reddot.testing import FakeClock
from tests.contract.conftest import LASTING, Backend
from tests.contract.inboxes import Boxes
from tests.contract.test_inbox import boxes, run


async def snooze(box: Boxes, user: str, *ids: str, seconds: int = 10) -> Effect:
    until_ms = box.clock.wall_ms() + seconds * 1000
    return await box.effect(Snooze(user=user, ids=ids, until_ms=until_ms))


async def wake(box: Boxes, user: str, *ids: str) -> list[Publication]:
    """What comes back: what is due, or these."""
    appended: Appended = await box.change(Wake(user=user, ids=ids or None))
    return list(appended.others)


async def page(box: Boxes, user: str, view: Any = "all") -> list[tuple[Any, ...]]:
    found = await box.store.inbox.page(user, view=view, category=None, before=None, limit=100)
    return [(item.id, item.topic, item.seen, item.read, item.snoozed_ms) for item in found.items]


@pytest.mark.parametrize("topic", ["users/1", "news", "everyone"])
def test_it_is_hidden_and_comes_back_as_new(backend: Backend, tmp_path: Path, topic: str) -> None:
    async def test(box: Boxes) -> None:
        for user in "12":
            await box.change(Follow(user=user, topic="news"))
        sent = await box.send("a", topic, category="x", ttl_s=99)
        await box.send("b", "users/1")
        await box.mark("1", "seen", "a", "b")
        await box.mark("1", "read", "a")
        until_ms = box.clock.wall_ms() + 10_000
        await snooze(box, "1", "a")
        assert await box.counts("1") == (1, 0, {"general": 1})
        assert await box.ids("1") == await box.ids("1", "unread") == ["b"]
        assert await page(box, "1", "snoozed") == [("a", topic, True, False, until_ms)]
        assert await box.ids("1", "snoozed", category="x") == ["a"]
        assert await box.ids("1", "snoozed", category="general") == []
        if topic != "users/1":
            assert await box.unread("2") == 1, "it is snoozed for one person"

        box.clock.advance(9.999)
        assert (await box.store.inbox.due(limit=9)).waking == ()
        assert await wake(box, "1") == []
        box.clock.advance(0.001)
        assert (await box.store.inbox.due(limit=9)).waking == ("1",)
        (back,) = await wake(box, "1")
        assert (back.topic, back.id, back.data) == ("users/1", "a", sent.publication.data)
        assert back.event == "notification"
        assert isinstance(back.inbox, Noted)
        assert back.inbox.again
        assert back.position == box.store.head
        assert await page(box, "1") == [
            ("a", "users/1", False, False, None),
            ("b", "users/1", True, False, None),
        ]
        assert await box.counts("1") == (2, 1, {"general": 1, "x": 1})
        assert await box.ids("1", "snoozed") == []
        assert await wake(box, "1") == [], "once"
        assert (await box.store.inbox.due(limit=9)).waking == ()
        read = await box.store.read(["users/1"], after=0, upto=99, limit=99)
        assert [p.id for p in read.publications][-1] == "a"

    run(backend, tmp_path, test)


def test_it_can_be_woken_at_once_and_again_is_as_good(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone")
        await box.send("b", "users/1")
        await snooze(box, "1", "a", "b")
        assert [p.id for p in await wake(box, "1", "a", "unknown")] == ["a"]
        assert await wake(box, "1", "a") == []
        assert await box.ids("1") == ["a"]
        assert await box.ids("1", "snoozed") == ["b"]
        await snooze(box, "1", "a")
        assert await box.unread("1") == 0
        box.clock.advance(10)
        assert [p.id for p in await wake(box, "1")] == ["b", "a"], "in the order of their places"
        assert await box.counts("1") == (2, 2, {"general": 2})

    run(backend, tmp_path, test)


def test_snoozing_again_moves_the_time(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "users/1")
        await snooze(box, "1", "a", seconds=5)
        await snooze(box, "1", "a", seconds=20)
        box.clock.advance(19)
        assert await wake(box, "1") == []
        box.clock.advance(1)
        assert [p.id for p in await wake(box, "1")] == ["a"]

    run(backend, tmp_path, test)


def test_all_of_the_ids_or_none(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "users/1")
        await box.send("gone", "users/1")
        await box.send("expired", "users/1", ttl_s=1)
        await box.send("others", "users/2")
        await box.mark("1", "deleted", "gone")
        box.clock.advance(1)
        for wrong in ("gone", "expired", "others", "unknown"):
            with pytest.raises(ReddotError, match="not_found"):
                await snooze(box, "1", "a", wrong)
        assert await box.ids("1", "snoozed") == []

    run(backend, tmp_path, test)


def test_they_have_a_limit_and_the_dead_do_not_count(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for id in "abcd":
            await box.send(id, "everyone" if id == "a" else "users/1")
        await snooze(box, "1", "a", "b")
        await snooze(box, "1", "a", "b")
        with pytest.raises(ReddotError, match="too_many_snoozed"):
            await snooze(box, "1", "c")
        assert await box.ids("1") == ["d", "c"], "nothing has changed"
        await box.change(Retract(id="b", rows_max=9))
        await snooze(box, "1", "c")
        with pytest.raises(ReddotError, match="too_many_snoozed"):
            await snooze(box, "1", "d")
        await wake(box, "1", "a")
        await snooze(box, "1", "d")

    run(backend, tmp_path, test, snoozed_max=2)


def test_what_has_died_does_not_come_back(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("retracted", "everyone")
        await box.send("expired", "everyone", ttl_s=5)
        await box.send("replaced", "everyone", collapse_key="k")
        await snooze(box, "1", "retracted", "expired", "replaced")
        await box.change(Retract(id="retracted", rows_max=9))
        await box.send("newer", "everyone", collapse_key="k")
        assert await box.ids("1") == ["newer"], "what replaces it is news, and not snoozed"
        assert await box.ids("1", "snoozed") == ["expired"]
        box.clock.advance(10)
        assert await wake(box, "1") == []
        assert (await box.store.inbox.due(limit=9)).waking == ()
        assert await box.ids("1") == ["newer"]

    run(backend, tmp_path, test)


def test_what_has_come_back_dies_with_its_notification(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone", ttl_s=60)
        await box.send("b", "users/1", "users/2")
        await box.send("c", "everyone", collapse_key="k")
        await box.send("d", "users/1", collapse_key="k")
        for user in "12":
            await snooze(box, user, *"abc")
            await wake(box, user, *"abc")
        await snooze(box, "1", "a", "b")
        await wake(box, "1", "a", "b")
        retracted = await box.effect(Retract(id="b", rows_max=9))
        assert {name: len(seqs) for name, seqs in retracted.died.items()} == {
            "users/1": 3,
            "users/2": 2,
        }
        read = await box.store.read(["users/1"], after=0, upto=99, limit=99)
        assert [p.data for p in read.publications if p.id == "b" and p.expires_ms != 0] == []
        sent = await box.send("e", "everyone", collapse_key="k")
        (told,) = sent.others
        assert isinstance(told.inbox, Effect)
        assert set(told.inbox.died) == {"users/1", "users/2"}
        assert await box.ids("1") == ["e", "a", "d"]
        assert await box.ids("2") == ["e", "a"]
        await box.send("f", "users/1", collapse_key="k")
        assert await box.ids("1") == ["f", "e", "a"]
        box.clock.advance(60)
        assert {*(await box.settle()).died} == {"everyone", "users/1", "users/2"}
        assert await box.ids("2") == ["e"]
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test)


def test_marks_of_a_snoozed_one(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for id in "abcd":
            await box.send(id, "users/1")
        await snooze(box, "1", *"abcd")
        # On a device that still shows it, or in one go up to what was shown.
        for state in ("read", "unread", "seen", "archived", "deleted"):
            await box.mark("1", state, upto=box.store.head)
            await box.mark("1", state, upto=box.store.head, **{"category": "general"})
            assert await box.ids("1", "snoozed") == ["d", "c", "b", "a"]
        await box.mark("1", "unread", "a")
        assert await box.unread("1") == 0
        await box.mark("1", "archived", "b")
        await box.mark("1", "deleted", "c")
        assert await box.ids("1", "archived") == ["b"]
        await snooze(box, "1", "b")
        assert await box.ids("1", "archived") == []
        assert await box.ids("1", "snoozed") == ["d", "b", "a"]
        box.clock.advance(10)
        assert [p.id for p in await wake(box, "1")] == ["a", "b", "d"]
        assert await box.counts("1") == (3, 3, {"general": 3})

    run(backend, tmp_path, test)


def test_follows_and_mutes(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.change(Follow(user="1", topic="news"))
        await box.send("a", "news", category="x")
        await box.send("b", "news", category="y")
        await snooze(box, "1", "a", "b")
        await wake(box, "1", "b")
        await box.change(Unfollow(user="1", topic="news"))
        assert await box.ids("1", "snoozed") == []
        box.clock.advance(10)
        assert await wake(box, "1") == []
        assert await box.ids("1") == ["b"], "what has come back is their own"
        await box.change(Prefer(user="1", preferences=Preferences(topics=frozenset(["news"]))))
        assert await box.unread("1") == 1
        await box.change(Prefer(user="1", preferences=Preferences(frozenset(["y"]))))
        assert await box.unread("1") == 0
        await box.change(Follow(user="1", topic="news", backfill=9))
        assert await box.ids("1") == ["b", "a"]

    run(backend, tmp_path, test)


def test_a_backfill_leaves_out_what_is_there_already(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for user in "12":
            await box.change(Follow(user=user, topic="news"))
        for id in ("back", "again", "archived", "deleted", "retracted", "other"):
            await box.send(id, "news")
            await snooze(box, "1", id)
            if id != "other":
                await wake(box, "1", id)
        await snooze(box, "1", "again")
        await box.mark("1", "archived", "archived")
        await box.mark("1", "deleted", "deleted")
        await box.change(Retract(id="retracted", rows_max=9))
        for user in "12":
            await box.change(Unfollow(user=user, topic="news"))
            await box.change(Follow(user=user, topic="news", backfill=9))
        assert await page(box, "1") == [
            ("other", "news", False, False, None),
            ("deleted", "news", False, False, None),
            ("back", "users/1", False, False, None),
        ], "a follow is a fresh start of the topic, and of nothing else"
        assert await box.ids("1", "archived") == ["archived"]
        assert await box.ids("1", "snoozed") == ["again"]
        assert await box.counts("1") == (3, 3, {"general": 3})
        assert await box.unread("2") == 5, "what somebody else has got back is theirs"
        box.clock.advance(10)
        assert [p.id for p in await wake(box, "1")] == ["again"]
        assert await box.ids("1") == ["again", "other", "deleted", "back"]
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test)


def test_it_is_kept_until_it_has_been_back(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone")
        await snooze(box, "1", "a", seconds=30)
        box.clock.advance(30)
        await box.settle()
        assert [p.id for p in await wake(box, "1")] == ["a"]
        box.clock.advance(9)
        await box.settle()
        assert await box.ids("1") == ["a"]
        box.clock.advance(2)
        assert {*(await box.settle()).died} >= {"users/1"}
        assert await box.counts("1") == (0, 0, {})
        assert not await box.store.inbox.sent(id="a", before=None, limit=1)
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test, age_ms=10_000)


def test_retention_by_count_takes_what_is_snoozed(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone")
        await snooze(box, "1", "a")
        await wake(box, "1", "a")
        await snooze(box, "1", "a")
        for number in range(3):
            await box.send(f"n{number}", "users/1")
        await box.settle()
        box.clock.advance(10)
        assert await wake(box, "1") == []
        assert (await box.store.inbox.due(limit=9)).waking == ()
        assert await box.unread("1") == 3
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test, count=3)


def test_nobody_asks_until_even_retention_has_taken_it(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("first", "everyone")
        await box.send("a", "everyone")
        await snooze(box, "1", "a")
        await box.send("b", "everyone")
        await snooze(box, "1", "first", seconds=50)
        box.clock.advance(21)
        await box.settle()
        assert await wake(box, "1", "a") == await wake(box, "1") == []
        assert (await box.store.inbox.due(limit=9)).waking == ()
        assert await box.ids("1", "snoozed") == ["first"]
        await snooze(box, "1", "first")

    run(backend, tmp_path, test, age_ms=10_000)


def test_the_sender_counts_each_person_once(backend: Backend, tmp_path: Path) -> None:
    async def counts(box: Boxes) -> tuple[int | None, int | None]:
        (one,) = await box.store.inbox.sent(id="a", before=None, limit=1)
        return one.seen, one.read

    async def test(box: Boxes) -> None:
        await box.send("a", "users/1", "users/2")
        await box.mark("1", "read", "a")
        await snooze(box, "1", "a")
        assert await counts(box) == (1, 0), "seen, and not read as long as it is to come back"
        await wake(box, "1", "a")
        assert await counts(box) == (1, 0)
        await snooze(box, "1", "a")
        await wake(box, "1", "a")
        await box.mark("2", "read", "a")
        assert await counts(box) == (2, 1)
        await box.mark("1", "read", "a")
        assert await counts(box) == (2, 2)
        listed = await box.store.inbox.sent(id=None, before=None, limit=9)
        assert [one.id for one in listed] == ["a"]

    run(backend, tmp_path, test)


def test_the_audit_and_a_search_know_of_it(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone", title="Disk full")
        await snooze(box, "1", "a")
        assert await box.ids("1", text="disk") == []
        assert await box.ids("1", "snoozed", text="disk") == ["a"]
        audits = {one.topic: one for one in await box.store.inbox.audit("1")}
        assert (audits["everyone"].snoozed, audits["everyone"].read) == (1, 0)
        await wake(box, "1", "a")
        assert await box.ids("1", text="disk") == ["a"]
        audits = {one.topic: one for one in await box.store.inbox.audit("1")}
        assert (audits["everyone"].deleted, audits["users/1"].unread) == (1, 1)

    run(backend, tmp_path, test)


def test_an_erased_person_has_snoozed_nothing(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone", title="All")
        await box.send("b", "users/1")
        await snooze(box, "1", "a", "b")
        await wake(box, "1", "a")
        await box.change(Erase(user="1"))
        box.clock.advance(10)
        assert (await box.store.inbox.due(limit=9)).waking == ()
        assert await box.store.inbox.users(after="", limit=9) == []
        assert await box.ids("2") == ["a"], "what others have is left"
        await box.change(Retract(id="a", rows_max=9))
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test)


@pytest.mark.parametrize("backend", LASTING, ids=lambda backend: backend.name)
def test_it_outlives_the_process(backend: Backend, tmp_path: Path) -> None:
    async def test() -> None:
        clock = FakeClock()
        topics = ["users/1", "everyone"]
        async with boxes(backend, tmp_path, clock) as box:
            await box.send("a", "everyone")
            await box.send("b", "users/1")
            await snooze(box, "1", "a", "b")
            await wake(box, "1", "b")
            before = await box.store.inbox.warm(["1"], topics)
        clock.advance(10)
        async with boxes(backend, tmp_path, clock) as box:
            assert await box.store.inbox.warm(["1"], topics) == before
            assert (await box.store.inbox.due(limit=9)).waking == ("1",)
            assert [p.id for p in await wake(box, "1")] == ["a"]
            assert await box.ids("1") == ["a", "b"]
            assert not await box.store.inbox.verify(repair=False)

    asyncio.run(test())


PEOPLE = [f"p{number}" for number in range(5)]


async def all_got_back(box: Boxes, *ids: str) -> None:
    for user in PEOPLE:
        await snooze(box, user, *ids)
        await wake(box, user, *ids)


async def still_there(box: Boxes, id: str) -> int:
    """How many people have it in their list; their badges say the same, and nothing is wrong."""
    there = 0
    for user in PEOPLE:
        ids = await box.ids(user)
        assert await box.unread(user) == len(ids)
        there += id in ids
    assert not await box.store.inbox.verify(repair=False)
    return there


def test_what_very_many_have_got_back_is_retracted_in_steps(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone")
        await box.send("other", "everyone")
        await all_got_back(box, "a", "other")
        effect = await box.effect(Retract(id="a", rows_max=2))
        assert set(effect.retracted["a"]) == set(effect.died), "those who are told"
        assert (len(effect.died), effect.more) == (2, True)
        assert await still_there(box, "a") == 4
        (sent,) = await box.store.inbox.sent(id="a", before=None, limit=1)
        assert sent.state == "retracted"
        assert (await box.store.inbox.due(limit=9)).settle
        again = await box.effect(Retract(id="a", rows_max=2))
        assert (again.died, again.more) == ({}, True), "and whoever asks again waits, too"
        left = [user for user in PEOPLE if "a" in await box.ids(user)]
        await snooze(box, left[0], "a")
        assert await wake(box, left[0], "a") == [], "it is never heard again"
        effect = await box.effect(Settle(rows_max=3))
        assert effect.retracted == {"a": tuple(effect.died)}
        assert (len(effect.died), effect.more) == (3, True)
        assert await still_there(box, "a") == 1
        assert (await box.effect(Settle(rows_max=3))).more is False
        assert await still_there(box, "a") == 0
        assert await still_there(box, "other") == 5
        assert not (await box.store.inbox.due(limit=9)).settle

    run(backend, tmp_path, test)


def test_it_expires_and_is_forgotten_in_steps(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone", ttl_s=20)
        await all_got_back(box, "a")
        box.clock.advance(20)
        died = steps = 0
        while (effect := await box.effect(Settle(rows_max=2))).more:
            assert len(effect.died) <= 2
            assert effect.retracted == {}, "nobody has taken it back"
            died, steps = died + len(effect.died), steps + 1
            assert not await box.store.inbox.verify(repair=False)
        assert (died + len(effect.died), steps) == (6, 3)
        box.clock.advance(80)
        steps = 0
        while (await box.effect(Settle(rows_max=2))).more:
            steps += 1
            assert not await box.store.inbox.verify(repair=False)
        assert steps < 9
        assert not await box.store.inbox.sent(id="a", before=None, limit=1)
        assert not (await box.store.inbox.due(limit=9)).settle

    run(backend, tmp_path, test, age_ms=90_000)


def test_one_more_than_a_step_is_replaced_in_two(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone", collapse_key="k")
        people = [f"p{number}" for number in range(STEP_ROWS + 1)]
        for what in (snooze, wake):
            await asyncio.gather(*(what(box, user, "a") for user in people))
        (told,) = (await box.send("b", "everyone", collapse_key="k")).others
        assert isinstance(told.inbox, Effect)
        assert (len(told.inbox.died), told.inbox.more) == (STEP_ROWS, True)
        assert (await box.store.inbox.due(limit=9)).settle
        effect = await box.settle()
        assert (len(effect.died), effect.more) == (1, False)
        assert [await box.ids(user) for user in PEOPLE] == [["b"]] * 5
        assert not await box.store.inbox.verify(repair=False)

    run(backend, tmp_path, test)


@pytest.mark.parametrize("backend", LASTING, ids=lambda backend: backend.name)
def test_a_restart_goes_on_with_what_was_dying(backend: Backend, tmp_path: Path) -> None:
    async def test() -> None:
        clock = FakeClock()
        async with boxes(backend, tmp_path, clock) as box:
            await box.send("a", "everyone")
            await all_got_back(box, "a")
            await box.change(Retract(id="a", rows_max=3))
        async with boxes(backend, tmp_path, clock) as box:
            assert (await box.store.inbox.due(limit=9)).settle
            assert await still_there(box, "a") == 3
            effect = await box.settle()
            assert len(effect.retracted["a"]) == 3
            assert await still_there(box, "a") == 0

    asyncio.run(test())
