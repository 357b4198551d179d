"""What every store promises about the queue of deliveries."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from reddot.delivery import State
from reddot.errors import ReddotError
from reddot.inbox import Erase, Follow, Prefer, Preferences, Retract, Unfollow
from reddot.outreach import Address, Campaign, Figures, Passage, Past, Settled, Stage, Which
from reddot.testing import FakeClock
from tests.contract.conftest import LASTING, Backend, Settings, opened
from tests.contract.queues import DAY_S, LEASE_MS, TWO, Queue, plan, run

# ---- expanding ----


def test_a_plan_makes_a_delivery_per_person_and_courier_with_an_address(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        await box.address("1", "push", "mail")
        await box.address("2", "mail")
        await box.notify("n", "users/1", "users/2", "users/3", plan=plan(TWO))
        await box.send("silent", "users/1")
        await box.expand()
        found = await box.queue.deliveries(Which(notification="n"), limit=10)
        now = box.clock.wall_ms()
        assert {(one.user, one.courier, one.due_ms - now) for one in found} == {
            ("1", "push", 60_000),
            ("1", "mail", 600_000),
            ("2", "mail", 600_000),
        }
        assert await box.queue.deliveries(Which(notification="silent"), limit=10) == []

    run(backend, tmp_path, test)


def test_followers_and_everyone_are_those_in_whose_inbox_it_is(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in "123":
            await box.address(user)
        await box.change(Follow(user="1", topic="news"))
        await box.change(Follow(user="4", topic="news"))  # has no address
        await box.notify("n", "news")
        await box.change(Follow(user="2", topic="news"))  # came later
        await box.notify("all", "everyone")
        await box.expand()
        assert await box.states("n") == {"1": "pending"}
        assert await box.states("all") == dict.fromkeys("123", "pending")

    run(backend, tmp_path, test)


@pytest.mark.parametrize(
    "topics", [("everyone",), ("news",), tuple(f"users/{n}" for n in range(9))]
)
def test_expanding_goes_in_steps_and_makes_each_delivery_once(
    backend: Backend, tmp_path: Path, topics: tuple[str, ...]
) -> None:
    async def test(box: Queue) -> None:
        for user in range(9):
            await box.address(f"{user}")
            await box.change(Follow(user=f"{user}", topic="news"))
        await box.notify("n", *topics)
        assert await box.expand(rows_max=2) >= 5
        assert await box.states("n") == {f"{user}": "pending" for user in range(9)}

    run(backend, tmp_path, test)


def test_no_notification_waits_for_a_large_one_to_be_worked_out(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in range(40):
            await box.address(f"{user}")
        await box.notify("large", "everyone")
        await box.queue.expand(rows_max=2)
        await box.notify("small", "users/7")
        await box.queue.expand(rows_max=2)
        assert await box.states("small") == {"7": "pending"}
        assert len(await box.states("large")) < 40

    run(backend, tmp_path, test)


def test_a_notification_that_is_refused_brings_nothing(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1")
        await box.notify("n", "users/1", keyed=True)
        await box.notify("n", "users/1", keyed=True)  # a duplicate
        with pytest.raises(ReddotError):
            await box.notify("n", "users/1", keyed=True, title="other")
        await box.expand()
        assert len(await box.queue.deliveries(limit=10)) == 1

    run(backend, tmp_path, test)


# ---- leasing ----


def test_the_couriers_are_those_that_something_waits_for(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        assert await box.queue.couriers() == []
        await box.address("1", "push", "mail")
        await box.address("2", "mail")
        await box.notify("a", "users/1", "users/2", plan=plan(TWO))
        await box.notify("b", "users/1", plan=plan(TWO))
        await box.expand()
        assert await box.queue.couriers() == ["mail", "push"]
        box.clock.advance(60)
        assert len(await box.lease("push")) == 2
        assert await box.queue.couriers() == ["mail"]

    run(backend, tmp_path, test)


def test_what_is_due_is_leased_once_and_again_when_the_lease_has_ended(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        await box.address("1", "push", "mail")
        await box.notify("n", "users/1", plan=plan(TWO))
        await box.expand()
        now = box.clock.wall_ms()
        assert await box.queue.next_ms(["push", "mail"]) == now + 60_000
        assert await box.queue.next_ms(["mail"]) == now + 600_000
        assert await box.who("push") == []
        box.clock.advance(60)
        assert await box.who("push") == [("n", "1")]
        assert await box.who("push") == []
        assert await box.queue.next_ms(["mail"]) == now + 60_000 + LEASE_MS
        box.clock.advance(LEASE_MS / 1000)
        assert await box.who("push") == [("n", "1")]
        assert await box.who("mail") == []

    run(backend, tmp_path, test)


def test_lanes_take_turns_whatever_they_hold(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        for user in range(60):
            await box.address(f"{user}")
        await box.notify("a", "everyone")
        box.clock.advance(1)
        await box.notify("b", "everyone")
        await box.notify("c", "users/1")
        await box.expand()
        first = Counter(name for name, _ in await box.who(limit=9))
        assert first["c"] == 1
        assert min(first["a"], first["b"]) >= 3
        got: Counter[str] = Counter()
        for _ in range(10):
            got.update(name for name, _ in await box.who(limit=5))
        assert abs(got["a"] - got["b"]) <= 5

    run(backend, tmp_path, test)


def test_more_lanes_than_are_leased_at_once_all_get_their_turn(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in range(6):
            await box.address(f"{user}")
        for name in "abcdef":
            await box.notify(name, "everyone")
        await box.expand()
        got = Counter[str]()
        for _ in range(6):
            got.update(name for name, _ in await box.who(limit=2))
        assert got == dict.fromkeys("abcdef", 2)

    run(backend, tmp_path, test)


def test_a_lane_on_hold_or_paused_gives_nothing_and_the_others_go_on(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        await box.address("1")
        await box.notify("a", "users/1")
        await box.notify("b", "users/1")
        await box.expand()
        a, b = await box.lease()
        now = box.clock.wall_ms()
        back = [Settled(lease=one, state=State.PENDING, due_ms=now) for one in (a, b)]
        await box.queue.settle(back, {a.lane: now + 5_000})
        assert await box.who() == [("b", "1")]
        box.clock.advance(5)
        await box.queue.control(a.lane, paused=True)
        assert await box.who() == []
        await box.queue.control(a.lane, paused=False)
        assert await box.who() == [("a", "1")]

    run(backend, tmp_path, test)


# ---- what is known ----


def test_a_case_says_what_has_become_of_the_notification(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1")
        for name in ("seen", "read", "archived", "deleted"):
            await box.notify(name, "users/1")
        await box.notify("retracted", "users/1")
        await box.notify("old", "users/1", collapse_key="k")
        await box.notify("new", "users/1", collapse_key="k")
        await box.notify("short", "users/1", ttl_s=10)
        for state in ("read", "archived", "deleted"):
            await box.mark("1", state, state)
        await box.change(Retract(id="retracted", rows_max=9))
        await box.expand()
        leases = {one.notification: one for one in await box.lease()}
        cases = {name: await box.case(one) for name, one in leases.items()}
        assert {name for name, case in cases.items() if case.seen} == {
            "read",
            "archived",
            "deleted",
        }
        assert {name for name, case in cases.items() if not case.live} == {"retracted", "old"}
        await box.mark("1", "seen", "seen")
        assert (await box.case(leases["seen"])).seen
        assert not (await box.case(leases["new"])).seen
        box.clock.advance(10)
        assert not (await box.case(leases["short"])).live
        message = cases["new"].message
        assert message is not None
        assert (message.id, message.title, message.collapse_key) == ("new", "new", "k")

    run(backend, tmp_path, test)


def test_what_is_granted_or_sent_counts_and_what_has_failed_does_not(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in ("1", "2", "3", "4"):
            await box.address(user)
        await box.notify("n", "everyone")
        await box.notify("other", "users/4", category="ads")
        await box.expand()
        one, two, three, four, other = sorted(await box.lease(), key=lambda each: each.id)
        now = box.clock.wall_ms()
        await box.queue.grant([one, two, three, other])
        assert [(await box.case(each)).total for each in (one, four)] == [2, 3]
        assert (await box.case(four)).past == (Past(now, "mail", "ads"),)
        assert (await box.case(four, since_ms=now + 1)).past == ()
        box.clock.advance(1)
        await box.end(one, State.SENT, attempts=1)
        await box.end(two, State.DEAD, attempts=1)
        await box.end(three, State.PENDING, attempts=1, due_ms=now)  # may have gone out
        assert (await box.case(four)).total == 2
        (again,) = await box.lease()
        assert again.granted
        assert (again.user, again.attempts) == ("3", 1)
        assert (await box.case(again)).total == 1
        await box.end(again, State.SKIPPED)
        assert (await box.case(four)).total == 1

    run(backend, tmp_path, test)


def test_a_grant_that_led_to_nothing_is_taken_back(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1")
        await box.notify("n", "users/1")
        await box.expand()
        (lease,) = await box.lease()
        await box.queue.grant([lease])
        await box.end(lease, State.PENDING, due_ms=box.clock.wall_ms())
        (lease,) = await box.lease()
        assert not lease.granted
        await box.queue.grant([lease])
        box.clock.advance(LEASE_MS / 1000)  # as after a crash
        (lease,) = await box.lease()
        assert lease.granted
        await box.end(lease, State.PENDING, due_ms=box.clock.wall_ms())
        (lease,) = await box.lease()
        assert lease.granted

    run(backend, tmp_path, test)


# ---- settling ----


def test_only_moves_of_the_table_from_a_lease_are_made(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1")
        await box.notify("n", "users/1")
        await box.expand()
        (lease,) = await box.lease()
        await box.end(lease, State.SENT, attempts=1, reason="due")
        await box.end(lease, State.DEAD, attempts=2)
        (found,) = await box.queue.deliveries(limit=10)
        assert (found.state, found.attempts, found.reason) == (State.SENT, 1, "due")
        assert found.sent_ms == box.clock.wall_ms()

    run(backend, tmp_path, test)


def test_a_gone_address_is_forgotten_unless_it_has_been_replaced(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        await box.address("1", slot="a")
        await box.address("1", slot="b")
        await box.notify("n", "users/1")
        await box.expand()
        (lease,) = await box.lease()
        gone = (await box.case(lease)).addresses
        new = Address(user="1", courier="mail", slot="b", value=b'"new"')
        await box.queue.put_address(new)
        await box.end(lease, State.SKIPPED, gone=gone)
        assert await box.queue.addresses("1") == [new]

    run(backend, tmp_path, test)


@pytest.mark.parametrize(("approved", "state"), [(True, "pending"), (False, "skipped")])
def test_held_ones_move_when_an_administrator_has_spoken(
    backend: Backend, tmp_path: Path, approved: bool, state: str
) -> None:
    async def test(box: Queue) -> None:
        for user in "123":
            await box.address(user)
        await box.notify("n", "everyone")
        await box.expand()
        first, *rest, late = await box.lease()
        for lease in (first, *rest):
            await box.end(lease, State.HELD, reason="keyword")
        assert len(await box.queue.deliveries(Which(state=State.HELD), limit=9)) == 2
        lane = await box.queue.lane("n")
        await box.queue.control(lane, approved=approved)
        assert (await box.case(late)).approved is approved
        while await box.queue.upkeep(rows_max=1):
            pass
        await box.end(late, State.HELD, reason="keyword")  # judged before
        while await box.queue.upkeep(rows_max=1):
            pass
        assert await box.states("n") == dict.fromkeys("123", state)
        assert len(await box.lease()) == (3 if approved else 0)

    run(backend, tmp_path, test)


def test_what_is_cancelled_stops_and_what_is_in_hand_comes_to_its_end(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in "1234":
            await box.address(user)
        await box.notify("n", "everyone", lane=-1)
        await box.expand()
        one, two, three = await box.lease(limit=3)
        await box.end(three, State.HELD)
        noted = [one for one in await box.queue.progress(-1) if one.state is not Passage.MADE]
        assert sum(one.count for one in noted) == 1
        await box.queue.control(-1, cancelled=True)
        assert await box.who() == []
        while await box.queue.upkeep(rows_max=2):
            pass
        await box.end(one, State.SENT)
        await box.end(two, State.PENDING, attempts=1, due_ms=0)
        assert await box.queue.waiting(-1)
        while await box.queue.upkeep(rows_max=2):
            pass
        states = Counter((await box.states("n")).values())
        assert states == {"sent": 1, "cancelled": 3}
        assert not await box.queue.waiting(-1)
        progress = Counter[str]()
        for each in await box.queue.progress(-1):
            progress[each.state.value] += each.count
        assert progress == {"made": 4, "sent": 1, "cancelled": 3, "held": 0}

    run(backend, tmp_path, test)


def test_a_digest_is_leased_together_across_notifications(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1")
        await box.notify("a", "users/1")
        await box.notify("b", "users/1")
        await box.expand()
        a, b = await box.lease()
        due_ms = box.clock.wall_ms() + 60_000
        await box.end(a, State.PENDING, due_ms=due_ms, digest=True)
        assert (await box.case(b)).digest_ms == due_ms
        await box.end(b, State.PENDING, due_ms=due_ms, digest=True)
        box.clock.advance(60)
        (head,) = await box.lease(limit=1)
        assert head.digest
        until_ms = box.clock.wall_ms() + LEASE_MS
        rest = await box.queue.lease_digest("1", "mail", limit=9, until_ms=until_ms)
        assert {head.notification, *(one.notification for one in rest)} == {"a", "b"}
        assert await box.who() == []

    run(backend, tmp_path, test)


# ---- people ----


def test_addresses_are_limited_per_person_and_courier(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1", slot="a")
        await box.address("1", slot="b")
        await box.address("1", slot="b")
        await box.address("1", "push")
        with pytest.raises(ReddotError, match="too_many_addresses"):
            await box.address("1", slot="c")
        assert await box.queue.drop_address("1", "mail", "a")
        assert not await box.queue.drop_address("1", "mail", "a")
        await box.address("1", slot="c")
        assert await box.queue.drop_address("1", "mail")
        assert [one.courier for one in await box.queue.addresses("1")] == ["push"]

    run(backend, tmp_path, test, addresses_max=2)


def test_attributes_are_paged_and_forgotten(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        for user in "cab":
            await box.queue.put_attributes(user, b'{"n":1}')
        await box.queue.put_attributes("b", b"{}")
        assert await box.queue.attributes("a") == b'{"n":1}'
        assert await box.queue.attributes("b") == b"{}"
        assert await box.queue.people(after="", limit=1) == [("a", b'{"n":1}')]
        assert await box.queue.people(after="a", limit=5) == [("c", b'{"n":1}')]

    run(backend, tmp_path, test)


def test_an_audience_is_counted(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        assert await box.queue.audience(None) == await box.queue.audience("news") == 0
        for user in "123":
            await box.change(Follow(user=user, topic="news"))
        await box.change(Follow(user="1", topic="sport"))
        await box.send("own", "users/4", "users/4/below")
        await box.address("5", "push", "mail")
        await box.queue.put_attributes("1", b'{"n":1}')
        await box.queue.put_attributes("6", b'{"n":1}')
        await box.change(Prefer(user="7", preferences=Preferences(categories=frozenset({"x"}))))
        assert await box.queue.audience("news") == 3
        assert await box.queue.audience(None) == 7
        await box.change(Unfollow(user="3", topic="news"))
        assert await box.queue.audience("news") == 2
        for user in "1245":
            await box.change(Erase(user=user))
        assert await box.queue.audience("news") == await box.queue.audience("sport") == 0
        assert await box.queue.audience(None) == 3

    run(backend, tmp_path, test)


def test_who_is_forgotten_is_forgotten_here_as_well(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        for user in "12":
            await box.address(user)
            await box.queue.put_attributes(user, b'{"n":1}')
        await box.notify("n", "everyone")
        await box.notify("own", "users/1")
        await box.expand()
        await box.queue.grant(await box.lease())
        await box.change(Erase(user="1"))
        assert await box.queue.addresses("1") == []
        assert await box.queue.attributes("1") == b"{}"
        assert await box.queue.deliveries(Which(user="1"), limit=9) == []
        assert await box.states("n") == {"2": "leased"}
        assert list(await box.store.inbox.verify(repair=False)) == []

    run(backend, tmp_path, test)


def test_deliveries_are_forgotten_in_small_steps_when_they_are_old(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in "123":
            await box.address(user)
        await box.notify("old", "everyone")
        await box.expand()
        await box.queue.grant(await box.lease())
        box.clock.advance(DAY_S)
        await box.notify("new", "everyone")
        await box.expand()
        steps = 0
        while count := await box.queue.upkeep(rows_max=2):
            assert count <= 2
            steps += 1
        assert steps >= 2
        assert await box.states("old") == {}
        assert await box.states("new") == dict.fromkeys("123", "pending")

    run(backend, tmp_path, test, age_ms=DAY_S * 1000)


def test_what_is_wrong_in_the_tables_is_said_and_repaired(tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        for user in "123":
            await box.address(user)
        await box.notify("n", "everyone")
        await box.expand()
        await box.queue.grant(await box.lease(limit=1))
        with sqlite3.connect(tmp_path / "log.db") as other:
            other.execute("UPDATE lane SET granted = 7")
            other.execute("UPDATE lane_due SET ready_ms = NULL")
        other.close()
        assert await box.who() == []
        faults = list(await box.store.inbox.verify(repair=True))
        assert [fault.split()[0] for fault in faults] == ["1", "2"]
        assert list(await box.store.inbox.verify(repair=False)) == []
        assert len(await box.who()) == 2

    run(LASTING[0], tmp_path, test)


# ---- over a restart ----


@pytest.mark.parametrize("backend", LASTING, ids=lambda one: one.name)
def test_a_restart_resumes_where_it_was(backend: Backend, tmp_path: Path) -> None:
    settings = Settings(tmp_path, FakeClock())

    async def first() -> None:
        async with opened(backend, settings) as store:
            box = Queue(store, settings.clock)
            for user in range(9):
                await box.address(f"{user}")
            await box.notify("n", "everyone")
            assert await box.queue.expand(rows_max=4)
            (lease, *_) = await box.lease(limit=2)
            await box.end(lease, State.SENT, attempts=1)
            campaign = Campaign(
                id="c", stage=Stage.DONE, command=b"", start_ms=1, time_ms=1, count_ms=1
            )
            await box.queue.put_campaign(campaign, figures=[Figures(1, 2, 3, 4)])

    async def second() -> None:
        async with opened(backend, settings) as store:
            box = Queue(store, settings.clock)
            await box.expand()
            assert len(await box.states("n")) == 9
            assert len(await box.who()) == 7
            (campaign,) = await box.queue.due_counts(limit=9)
            assert list(await box.queue.figures(campaign)) == [Figures(1, 2, 3, 4)]
            settings.clock.advance(LEASE_MS / 1000)
            assert len(await box.who()) == 8
            assert await store.inbox.verify(repair=False) == []

    asyncio.run(first())
    asyncio.run(second())
