"""What every store promises about inboxes. The first lines of a test say what it is about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reddot.errors import ReddotError
from reddot.inbox import (
    Erase,
    Follow,
    Keep,
    Mark,
    Note,
    Prefer,
    Preferences,
    Quiet,
    Retract,
    Schedule,
    Settle,
    Unfollow,
)
from reddot.model import Retention
from reddot.testing import FakeClock
from tests.contract.conftest import LASTING, Backend, Settings, opened
from tests.contract.inboxes import Boxes, noted

Test = Callable[[Boxes], Awaitable[None]]
DAY_S = 86_400


@asynccontextmanager
async def boxes(
    backend: Backend, folder: Path, clock: FakeClock, **keep: Any
) -> AsyncIterator[Boxes]:
    settings = Settings(
        folder=folder,
        clock=clock,
        retention=lambda topic: Retention(1000, 1000),
        keep=Keep(**keep),
    )
    async with opened(backend, settings) as store:
        yield Boxes(store, settings.clock)


def run(backend: Backend, folder: Path, test: Test, **keep: Any) -> None:
    async def main() -> None:
        async with boxes(backend, folder, FakeClock(), **keep) as given:
            await test(given)

    asyncio.run(main())


def test_one_body_reaches_many_users_and_each_marks_for_themselves(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        appended = await box.send("n", "users/1", "users/2", "users/3")
        everything = [appended.publication, *appended.others]
        assert [p.topic for p in everything] == ["users/1", "users/2", "users/3"]
        assert [p.position for p in everything] == [1, 2, 3]
        assert {p.id for p in everything} == {"n"}
        await box.mark("2", "read", "n")
        assert [await box.unread(user) for user in "1234"] == [1, 0, 1, 0]
        page = await box.store.read(None, after=0, upto=10, limit=10)
        assert [p.data for p in page.publications[:3]] == [appended.publication.data] * 3

    run(backend, tmp_path, test)


def test_everyone_and_a_followed_topic_are_one_row_each(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("before", "news")
        await box.change(Follow(user="1", topic="news"))
        await box.change(Follow(user="2", topic="news", backfill=1))
        await box.send("all", "everyone")
        await box.send("after", "news")
        assert [await box.unread(user) for user in "123"] == [2, 3, 1]
        assert await box.ids("2") == ["after", "all", "before"]
        assert box.store.head == 5

    run(backend, tmp_path, test)


def test_unfollowing_takes_out_and_following_again_is_a_fresh_start(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        await box.change(Follow(user="1", topic="news"))
        await box.send("a", "news")
        effect = await box.effect(Unfollow(user="1", topic="news"))
        assert effect.marks == {"news": None}
        assert await box.unread("1") == 0
        await box.change(Follow(user="1", topic="news"))
        assert await box.unread("1") == 0
        assert (await box.effect(Unfollow(user="1", topic="other"))).marks == {}

    run(backend, tmp_path, test)


def test_follows_have_a_limit(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for topic in "ab":
            await box.change(Follow(user="1", topic=topic))
        await box.change(Follow(user="1", topic="a"))
        with pytest.raises(ReddotError, match="too_many_follows"):
            await box.change(Follow(user="1", topic="c"))
        await box.change(Unfollow(user="1", topic="a"))
        await box.change(Follow(user="1", topic="c"))

    run(backend, tmp_path, test, follows_max=2)


def test_categories_have_a_limit(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("1", "users/1", category="a")
        await box.send("2", "users/1", category="b")
        with pytest.raises(ReddotError, match="too_many_categories"):
            await box.send("3", "users/1", category="c")
        assert await box.counts("1") == (2, 2, {"a": 1, "b": 1})

    run(backend, tmp_path, test, categories_max=2)


def test_a_mark_upto_what_was_rendered_leaves_the_later_ones(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "users/1", category="x")
        await box.send("b", "everyone", category="y")
        page = await box.store.inbox.page("1", view="all", category=None, before=None, limit=9)
        await box.send("c", "users/1", category="x")
        await box.mark("1", "read", upto=page.position, category="y")
        assert await box.ids("1", "unread") == ["c", "a"]
        await box.mark("1", "read", upto=page.position)
        assert await box.ids("1", "unread") == ["c"]
        await box.mark("1", "seen", upto=page.position + 1)
        assert await box.counts("1") == (1, 0, {"x": 1})
        await box.mark("1", "unread", "a")
        assert await box.counts("1") == (2, 0, {"x": 2})

    run(backend, tmp_path, test)


def test_views_show_what_they_say(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for id in "abcd":
            await box.send(id, "users/1", category="even" if id in "bd" else "odd")
        await box.mark("1", "archived", "a")
        await box.mark("1", "deleted", "b")
        await box.mark("1", "read", "c")
        assert await box.ids("1") == ["d", "c"]
        assert await box.ids("1", "archived") == ["a"]
        assert await box.ids("1", "unread") == ["d"]
        assert await box.ids("1", category="odd") == ["c"]
        await box.mark("1", "unarchived", "a")
        assert await box.ids("1", "unread") == ["d", "a"]
        (item,) = (
            await box.store.inbox.page("1", view="unread", category="odd", before=None, limit=5)
        ).items
        assert (item.topic, item.position, item.read, item.seen) == ("users/1", 1, False, False)

    run(backend, tmp_path, test)


def test_pages_are_merged_and_stay_while_new_ones_arrive(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.change(Follow(user="1", topic="news"))
        for number in range(12):
            await box.send(f"n{number}", ["users/1", "everyone", "news"][number % 3])
        found: list[str] = []
        before: int | None = None
        while True:
            page = await box.store.inbox.page(
                "1", view="all", category=None, before=before, limit=5
            )
            found += [item.id for item in page.items]
            await box.send(f"late{len(found)}", "users/1")
            before = page.before
            if before is None:
                break
        assert found == [f"n{number}" for number in range(11, -1, -1)]

    run(backend, tmp_path, test)


def test_marks_of_foreign_and_unknown_ids_change_nothing(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("mine", "users/1")
        await box.send("theirs", "users/2")
        effect = await box.mark("1", "read", "theirs", "nobody's")
        assert effect.marks == {}
        assert [await box.unread(user) for user in "12"] == [1, 1]

    run(backend, tmp_path, test)


def test_what_has_expired_dies_when_settled_and_is_hidden_at_once(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        await box.send("short", "users/1", "users/2", ttl_s=10)
        await box.send("long", "users/1")
        warm = await box.store.inbox.warm([], ["users/1"])
        assert warm.notes["users/1"].due == ((box.clock.wall_ms() + 10_000, 1),)
        assert not (await box.store.inbox.due(limit=5)).settle
        box.clock.advance(10)
        assert await box.ids("1") == ["long"]
        assert (await box.store.inbox.due(limit=5)).settle
        effect = await box.settle()
        assert effect.died == {"users/1": (1,), "users/2": (1,)}
        assert not effect.more
        assert [await box.unread(user) for user in "12"] == [1, 0]
        assert not (await box.store.inbox.due(limit=5)).settle
        assert (await box.settle()).died == {}

    run(backend, tmp_path, test)


def test_retracting_takes_it_from_inboxes_and_from_the_log(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        await box.send("oops", "users/1", "users/2")
        await box.mark("2", "read", "oops")
        effect = await box.effect(Retract(id="oops", rows_max=9))
        assert effect.died == {"users/1": (1,), "users/2": (1,)}
        assert [await box.unread(user) for user in "12"] == [0, 0]
        assert await box.ids("1") == []
        page = await box.store.read(["users/1"], after=0, upto=99, limit=9)
        assert page.publications == ()
        assert not await box.store.history("users/1", before=None, limit=9)
        assert (await box.effect(Retract(id="oops", rows_max=9))).died == {}
        with pytest.raises(ReddotError, match="not_found"):
            await box.change(Retract(id="nothing", rows_max=9))

    run(backend, tmp_path, test)


def test_a_collapse_key_replaces_the_live_one(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("one", "users/1", collapse_key="build")
        await box.send("else", "users/1", collapse_key="deploy")
        second = await box.send("two", "users/1", "users/2", collapse_key="build")
        assert noted(second).replaced == 1
        assert await box.ids("1") == ["two", "else"]
        assert await box.unread("1") == 2
        await box.change(Retract(id="two", rows_max=9))
        third = await box.send("three", "users/1", collapse_key="build")
        assert noted(third).replaced == 0

    run(backend, tmp_path, test)


def test_muting_is_kept_and_told(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "users/1", category="x")
        await box.send("b", "everyone", category="y")
        wanted = Preferences(frozenset({"x"}), frozenset())
        effect = await box.effect(Prefer(user="1", preferences=wanted))
        assert effect.preferences == wanted
        assert await box.counts("1") == (1, 1, {"y": 1})
        muted = Preferences(frozenset(), frozenset({"everyone"}))
        await box.change(Prefer(user="1", preferences=muted))
        assert await box.counts("1") == (1, 1, {"x": 1})
        warm = await box.store.inbox.warm(["1"], [])
        assert (warm.people["1"].rev, warm.people["1"].preferences) == (4, muted)

    run(backend, tmp_path, test)


def test_a_mute_ends_by_itself(backend: Backend, tmp_path: Path) -> None:
    """It is due when its time has come, not before, and settling it moves the badge."""

    async def test(box: Boxes) -> None:
        await box.send("a", "users/1", category="x")
        await box.send("b", "users/1", category="y")
        now = box.clock.wall_ms()
        both = frozenset({"x", "y"})
        until = {"x": now + 5_000, "y": now + 9_000}
        quiet = Quiet(start_minute=1320, end_minute=480)
        wanted = Preferences(both, until=until, quiet=quiet)
        await box.change(Prefer(user="1", preferences=wanted))
        assert (await box.store.inbox.warm(["1"], [])).people["1"].preferences == wanted
        assert await box.unread("1") == 0
        box.clock.advance(4.999)
        assert not (await box.store.inbox.due(limit=5)).settle
        box.clock.advance(0.001)
        assert (await box.store.inbox.due(limit=5)).settle
        effect = await box.settle()
        left = Preferences(frozenset({"y"}), until={"y": now + 9_000}, quiet=quiet)
        assert (effect.unmuted, effect.more) == ({"1": left}, False)
        assert await box.counts("1") == (1, 1, {"x": 1})
        person = (await box.store.inbox.warm(["1"], [])).people["1"]
        assert (person.rev, person.preferences) == (4, left)
        assert not (await box.store.inbox.due(limit=5)).settle
        box.clock.advance(4)
        assert (await box.settle()).unmuted == {"1": Preferences(quiet=quiet)}
        assert await box.unread("1") == 2

    run(backend, tmp_path, test)


def test_mutes_that_end_are_settled_in_steps(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        ends = {"x": box.clock.wall_ms() + 1_000}
        muted = Preferences(frozenset({"x"}), until=ends)
        for user in ("1", "2", "3"):
            await box.change(Prefer(user=user, preferences=muted))
        await box.change(Erase(user="3"))
        box.clock.advance(1)
        effects = [await box.effect(Settle(rows_max=1)) for _ in range(3)]
        assert [(list(one.unmuted), one.more) for one in effects] == [
            (["1"], True),
            (["2"], True),
            ([], False),
        ]

    run(backend, tmp_path, test)


def test_a_locked_category_counts_whatever_is_muted(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "everyone", category="alarm")
        await box.send("b", "everyone", category="x")
        assert box.store.inbox.locked == {"alarm"}
        muted = Preferences(frozenset({"alarm"}), frozenset({"everyone"}))
        await box.change(Prefer(user="1", preferences=muted))
        assert await box.counts("1") == (1, 1, {"alarm": 1})
        audits = {one.topic: one for one in await box.store.inbox.audit("1")}
        assert (audits["everyone"].muted, audits["everyone"].unread) == (1, 1)

    run(backend, tmp_path, test, locked=frozenset({"alarm"}))


def test_a_scheduled_one_gets_its_position_when_it_goes_live(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Boxes) -> None:
        note = Note(topics=("users/1",), title="later")
        at = box.clock.wall_ms() + 5_000
        await box.change(Schedule(note=note, publish_ms=at, ttl_ms=None), id="s")
        assert await box.unread("1") == 0
        (waiting,) = await box.store.inbox.sent(id="s", before=None, limit=1)
        assert (waiting.state, waiting.publish_ms, waiting.topics) == (
            "scheduled",
            at,
            ("users/1",),
        )
        box.clock.advance(5)
        (due,) = (await box.store.inbox.due(limit=5)).scheduled
        assert (due.id, due.schedule.note) == ("s", note)
        await box.send("now", "users/1")
        live = await box.send("s", "users/1", scheduled=True)
        assert live.publication.position == 3
        assert await box.ids("1") == ["s", "now"]
        assert not (await box.store.inbox.due(limit=5)).scheduled
        with pytest.raises(ReddotError, match="not_found"):
            await box.send("s", "users/1", scheduled=True)

    run(backend, tmp_path, test)


def test_scheduled_ones_are_listed_until_they_go_live(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for id, publish_ms in (("b", 20), ("c", 30), ("a", 10)):
            note = Note(topics=("users/1",), category=id)
            await box.change(Schedule(note=note, publish_ms=publish_ms, ttl_ms=None), id=id)
        first = await box.store.inbox.scheduled(limit=2)
        shown = [(one.id, one.publish_ms, one.state, one.category) for one in first]
        assert shown == [("a", 10, "scheduled", "a"), ("b", 20, "scheduled", "b")]
        await box.send("a", "users/1", scheduled=True)
        await box.change(Retract(id="b", rows_max=9))
        assert [one.id for one in await box.store.inbox.scheduled(limit=9)] == ["c"]

    run(backend, tmp_path, test)


def test_a_scheduled_one_can_be_retracted(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        note = Note(topics=("users/1",))
        await box.change(Schedule(note=note, publish_ms=0, ttl_ms=None), id="s")
        await box.change(Retract(id="s", rows_max=9))
        assert not (await box.store.inbox.due(limit=5)).scheduled

    run(backend, tmp_path, test)


def test_the_same_key_is_sent_once(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        first = await box.send("k", "users/1", "users/2", keyed=True)
        again = await box.send("k", "users/1", "users/2", keyed=True)
        assert again.duplicate
        assert again.others == ()
        assert again.publication.position == first.publication.position
        with pytest.raises(ReddotError, match="id_conflict"):
            await box.send("k", "users/1", keyed=True)
        marked = Mark(user="1", state="read", ids=("k",), identity=b"x")
        assert not (await box.change(marked, id="op")).duplicate
        assert (await box.change(marked, id="op")).duplicate
        assert [await box.unread(user) for user in "12"] == [0, 1]

    run(backend, tmp_path, test)


def test_retention_by_count_keeps_the_newest(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for number in range(5):
            await box.send(f"n{number}", "users/1")
        await box.mark("1", "read", "n4")
        assert (await box.store.inbox.due(limit=1)).settle
        effect = await box.settle()
        assert effect.died == {"users/1": (1, 2)}
        assert not (await box.store.inbox.due(limit=1)).settle
        assert await box.unread("1") == 2
        await box.send("n5", "users/1")
        await box.settle()
        assert await box.ids("1", "unread") == ["n5", "n3"]
        assert await box.counts("1") == (2, 2, {"general": 2})

    run(backend, tmp_path, test, count=3)


def test_retention_by_age_deletes_everywhere(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("old", "users/1", "everyone")
        box.clock.advance(6)
        await box.send("new", "users/1")
        box.clock.advance(5)
        assert (await box.store.inbox.due(limit=1)).settle
        effect = await box.settle()
        assert effect.died == {"users/1": (1,), "everyone": (1,)}
        assert await box.unread("1") == 1
        assert not await box.store.inbox.sent(id="old", before=None, limit=1)
        later = await box.send("later", "everyone")
        assert noted(later).seq == 2
        assert await box.unread("2") == 1

    run(backend, tmp_path, test, age_ms=10_000)


def test_settling_stops_at_its_limit_and_says_so(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        for number in range(5):
            await box.send(f"n{number}", "users/1", ttl_s=1)
        box.clock.advance(1)
        effect = await box.effect(Settle(rows_max=2))
        assert effect.more
        assert effect.died == {"users/1": (1, 2)}
        while (await box.effect(Settle(rows_max=2))).more:
            pass
        assert await box.unread("1") == 0

    run(backend, tmp_path, test)


def test_search_finds_words_in_ones_own_inbox(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("1", "users/1", title="Disk full", text="on server nine")
        await box.send("2", "users/2", title="Disk full", text="on server ten")
        await box.send("3", "everyone", title="Maintenance", text="a disk is replaced")
        await box.send("4", "users/1", "users/2", title="Hello", text='"quoted" OR not')
        assert await box.ids("1", text="disk") == ["3", "1"]
        assert await box.ids("1", text="serv nine") == ["1"]
        assert await box.ids("2", text='quoted" OR') == ["4"]
        assert await box.ids("1", text="!?") == []
        await box.mark("1", "deleted", "1")
        await box.change(Retract(id="3", rows_max=9))
        assert await box.ids("1", text="disk") == []

    run(backend, tmp_path, test)


def test_sent_ones_are_listed_and_counted(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("a", "users/1", "users/2", "users/3", category="x")
        await box.send("b", "everyone")
        await box.mark("1", "read", "a")
        await box.mark("2", "seen", "a")
        (one,) = await box.store.inbox.sent(id="a", before=None, limit=1)
        assert (one.seen, one.read, one.reached, one.state) == (2, 1, 0, "live")
        assert one.topics == ("users/1", "users/2", "users/3")
        listed = await box.store.inbox.sent(id=None, before=None, limit=9)
        assert [(s.id, s.seen, s.position) for s in listed] == [("b", None, 4), ("a", None, 1)]
        assert [s.id for s in await box.store.inbox.sent(id=None, before=4, limit=9)] == ["a"]
        await box.change(Retract(id="b", rows_max=9))
        (gone,) = await box.store.inbox.sent(id="b", before=None, limit=1)
        assert gone.state == "retracted"

    run(backend, tmp_path, test)


def test_people_reached_are_added_up_and_forgotten_with_it(
    backend: Backend, tmp_path: Path
) -> None:
    async def reached(box: Boxes, id: str) -> int | None:
        found = await box.store.inbox.sent(id=id, before=None, limit=1)
        return found[0].reached if found else None

    async def test(box: Boxes) -> None:
        await box.send("a", "users/1", "users/2")
        await box.send("b", "everyone")
        head = box.store.head
        await box.store.inbox.reached({"a": 2, "b": 3, "unknown": 9})
        await box.store.inbox.reached({"b": 4})
        await box.store.inbox.reached({})
        assert [await reached(box, id) for id in ("a", "b", "unknown")] == [2, 7, None]
        assert box.store.head == head
        (listed, *_) = await box.store.inbox.sent(id=None, before=None, limit=1)
        assert listed.reached is None
        box.clock.advance(11)
        await box.settle()
        await box.send("a", "users/1")
        assert await reached(box, "a") == 0

    run(backend, tmp_path, test, age_ms=10_000)


def test_an_erased_person_leaves_nothing(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Boxes) -> None:
        await box.send("own", "users/1", title="Secret")
        await box.send("shared", "users/1", "users/2")
        await box.change(Follow(user="1", topic="news"))
        assert await box.store.inbox.users(after="", limit=9) == ["1", "2"]
        effect = await box.effect(Erase(user="1"))
        assert effect.erased
        assert await box.ids("1") == []
        assert await box.store.inbox.users(after="", limit=9) == ["2"]
        assert not await box.store.inbox.sent(id="own", before=None, limit=1)
        (shared,) = await box.store.inbox.sent(id="shared", before=None, limit=1)
        assert shared.topics == ("users/2",)
        assert await box.unread("2") == 1
        page = await box.store.read(["users/1", "$inbox"], after=0, upto=99, limit=9)
        assert [p.topic for p in page.publications if b'"1"' in p.data] == []
        assert noted(await box.send("again", "users/1")).seq == 3
        assert await box.unread("1") == 1

    run(backend, tmp_path, test)


@pytest.mark.parametrize("backend", LASTING, ids=lambda backend: backend.name)
def test_inboxes_outlive_the_process(backend: Backend, tmp_path: Path) -> None:
    async def test() -> None:
        clock = FakeClock()
        async with boxes(backend, tmp_path, clock) as box:
            await box.send("a", "users/1", ttl_s=DAY_S)
            await box.send("b", "everyone", collapse_key="k")
            await box.change(Follow(user="1", topic="news"))
            await box.send("c", "news")
            await box.mark("1", "read", "a")
            before = await box.store.inbox.warm(["1"], ["users/1", "everyone", "news"])
        async with boxes(backend, tmp_path, clock) as box:
            assert await box.store.inbox.warm(["1"], ["users/1", "everyone", "news"]) == before
            again = await box.send("d", "everyone", collapse_key="k")
            assert (noted(again).seq, noted(again).replaced) == (2, 1)
            assert await box.ids("1", "unread") == ["d", "c"]

    asyncio.run(test())
