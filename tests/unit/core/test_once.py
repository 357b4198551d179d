"""Couriers that are to be given nothing twice: what is known to have failed is tried again, what
nobody knows the outcome of is a dead letter, and what was not handed over is as if nothing were."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pytest

from reddot.core.once import NO_WORD, UNKNOWN_OUTCOME
from reddot.delivery import Cap, Outcome, Parcel, State
from reddot.errors import ReddotError
from reddot.inbox import Erase, Prefer, Preferences, Quiet
from reddot.outreach import Settled, Which
from reddot.stores.memory_deliveries import MemoryDeliveries
from tests.sim.post import BAD, BUSY, LOST, SENT, Post, ScriptedCourier, plan, run

DEAD = f"dead {UNKNOWN_OUTCOME}"
LEASE_S = 20


def post_once(*couriers: str, **limits: Any) -> Post:
    names = couriers or ("mail",)
    return Post(*names, once=names, delivery_lease_s=LEASE_S, **limits)


async def hung(post: Post, count: int, courier: str = "mail") -> asyncio.Event:
    """As many attempts under way as may be; the provider has them and says nothing."""
    gate = post.couriers[courier].gate = asyncio.Event()
    await post.address(*(f"{n}" for n in range(count)), courier=courier)
    await post.notify("n", plan=plan(courier))
    await post.settle_down()
    return gate


async def reasons(post: Post, **which: Any) -> Counter[str]:
    return Counter(f"{state.value} {why}" for state, why in (await post.states(**which)).values())


def test_what_was_handed_over_when_a_node_died_is_dead_and_all_else_goes_out() -> None:
    async def test() -> None:
        post = post_once(delivery_concurrency_max=3)
        mail = post.couriers["mail"]
        await hung(post, 10)
        assert (mail.running, post.dispatcher.outlets["mail"].in_hand) == (3, 6)
        handed_over = {one.user for one in mail.asked}
        mail.gate = None
        await post.crash()
        await post.advance(LEASE_S + 1)
        assert await reasons(post) == {DEAD: 3, "sent due": 7}
        assert {key[1] for key, end in (await post.states()).items() if end[1] != "due"} == (
            handed_over
        )
        assert len({one.id for one in mail.asked}) == len(mail.asked) == 10
        assert post.counters.deliveries["mail", "dead", UNKNOWN_OUTCOME] == 3
        (dead, *_) = await post.store.deliveries.deliveries(Which(state=State.DEAD), limit=9)
        assert (dead.detail, dead.attempts) == (NO_WORD, 1)

    run(test())


def test_it_waits_for_no_rule_to_be_dead() -> None:
    """Whoever has looked meanwhile may have got it all the same, and that is to be seen."""

    async def test() -> None:
        post = post_once()
        await hung(post, 1)
        await post.crash()
        await post.see("0", "n")
        await post.advance(LEASE_S + 1)
        assert await post.state("n", "0") == DEAD

    run(test())


def test_a_time_out_is_dead_at_once_and_a_refusal_is_tried_again() -> None:
    async def test() -> None:
        post = post_once()
        answers = {"1": iter([LOST]), "2": iter([BUSY, BUSY, SENT]), "3": iter([BUSY, LOST])}
        mail = post.couriers["mail"]
        mail.answer = lambda parcel: next(answers[parcel.user])
        await post.address("1", "2", "3")
        await post.notify("n", plan=plan())
        await post.advance(60)
        assert await post.state("n", "1") == DEAD
        assert await post.state("n", "2") == "sent due"
        assert await post.state("n", "3") == DEAD
        (one,) = await post.store.deliveries.deliveries(Which(user="3"), limit=1)
        assert (one.detail, one.attempts) == ("timeout", 2)

    run(test())


def test_without_the_setting_it_is_tried_again() -> None:
    async def test() -> None:
        post = Post(delivery_lease_s=LEASE_S)
        answers = iter([LOST, SENT])
        await hung(post, 1)
        await post.crash()
        post.couriers["mail"].gate = None
        post.couriers["mail"].answer = lambda parcel: next(answers)
        await post.advance(60)
        assert await post.state("n", "0") == "sent due"
        assert len(post.couriers["mail"].asked) == 3

    run(test())


def test_a_courier_that_raises_or_hangs_may_have_sent_it() -> None:
    async def test() -> None:
        post = Post("mail", "push", once=("mail", "push"), delivery_lease_s=0.04)

        def broken(parcel: Parcel) -> Outcome:
            raise ValueError("a bug")

        post.couriers["mail"].answer = broken
        post.couriers["push"].gate = asyncio.Event()
        await post.address("1")
        await post.address("1", courier="push")
        await post.notify("n", "users/1", plan=plan("mail", "push"))
        await post.settle_down()
        while post.tasks:
            await asyncio.gather(*post.tasks)
        assert await post.state("n") == DEAD
        assert await post.state("n", courier="push") == DEAD
        details = {one.detail for one in await post.store.deliveries.deliveries(limit=9)}
        assert details == {"courier_failed ValueError: a bug", "timeout"}

    run(test())


@pytest.mark.parametrize(
    ("phone", "laptop", "end"),
    [
        ([LOST], [SENT], "sent due"),
        ([LOST], [BAD], DEAD),
        ([LOST], [BUSY, SENT], "sent due"),
        ([LOST], [BUSY, BAD], DEAD),
        ([LOST], [BUSY, LOST], DEAD),
        ([SENT], [BUSY, LOST], "sent due"),
    ],
)
def test_of_several_addresses_those_known_to_have_failed_are_tried_again(
    phone: list[Outcome], laptop: list[Outcome], end: str
) -> None:
    async def test() -> None:
        post = post_once()
        answers = {b'"1phone"': iter(phone), b'"1laptop"': iter(laptop)}
        post.couriers["mail"].answer = lambda parcel: next(answers[parcel.address])
        await post.address("1", slot="phone")
        await post.address("1", slot="laptop")
        await post.notify("n", "users/1", plan=plan())
        await post.advance(60)
        assert await post.state("n") == end
        asked = Counter(one.address for one in post.couriers["mail"].asked)
        assert asked == {b'"1phone"': len(phone), b'"1laptop"': len(laptop)}

    run(test())


def test_a_death_between_two_attempts_is_remembered_by_address() -> None:
    """One address may have it, the other has refused; then the node dies, and comes back."""

    async def test() -> None:
        post = post_once(delivery_backoff_s=40, delivery_backoff_s_max=40)
        mail = post.couriers["mail"]
        mail.answer = lambda parcel: LOST if b"phone" in parcel.address else BUSY
        await post.address("1", slot="phone")
        await post.address("1", slot="laptop")
        await post.notify("n", "users/1", plan=plan())
        await post.settle_down()
        assert await post.state("n") == "pending http_503"
        await post.crash()
        mail.answer = lambda parcel: BAD
        await post.advance(60)
        assert Counter(one.address for one in mail.asked) == {b'"1phone"': 1, b'"1laptop"': 2}
        assert await post.state("n") == DEAD

    run(test())


@pytest.mark.parametrize("how", ["the rules say wait", "it is given back"])
def test_it_is_remembered_through_whatever_else_happens(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        post = post_once()
        mail = post.couriers["mail"]
        mail.answer = lambda parcel: LOST if b"phone" in parcel.address else BUSY
        await post.address("1", slot="phone")
        await post.address("1", slot="laptop")
        await post.notify("n", "users/1", plan=plan())
        await post.settle_down()
        mail.answer = lambda parcel: SENT
        if how == "it is given back":
            Unwilling(post, monkeypatch, fails=0)
        else:  # It is midnight, and quiet until four minutes past.
            quiet = Preferences(quiet=Quiet(start_minute=23 * 60, end_minute=4))
            await post.boxes.change(Prefer(user="1", preferences=quiet))
            await post.advance(60)
            assert await post.state("n") == "pending quiet_hours"
        await post.advance(300)
        assert await post.state("n") == "sent due"
        assert Counter(one.address for one in mail.asked) == {b'"1phone"': 1, b'"1laptop"': 2}

    run(test())


def test_an_operator_may_send_it_again() -> None:
    async def test() -> None:
        post = post_once()
        await hung(post, 1)
        await post.crash()
        post.couriers["mail"].gate = None
        await post.advance(LEASE_S + 1)
        (dead,) = await post.store.deliveries.deliveries(Which(state=State.DEAD), limit=9)
        await post.store.deliveries.retry(dead.id)
        await post.advance(1)
        assert await post.state("n", "0") == "sent due"
        first, second = post.couriers["mail"].asked
        assert first.id == second.id

    run(test())


def test_what_may_have_gone_out_counts_for_caps_and_totals() -> None:
    async def test() -> None:
        post = post_once()
        capped = plan(caps=(Cap(count=2, window_s=3600),), total_max=3)
        answers = iter([LOST, BAD, SENT])
        post.couriers["mail"].answer = lambda parcel: next(answers)
        await post.address("1")
        for name in ("lost", "bad", "good", "late"):
            await post.notify(name, "users/1", plan=capped)
            await post.advance(1)
        assert await post.state("lost") == DEAD
        assert await post.state("bad") == "dead http_400"
        assert await post.state("good") == "sent due"
        assert await post.state("late") == "pending capped"

    run(test())


def test_a_digest_may_have_gone_out_as_a_whole() -> None:
    """Nothing of it goes into the next one: under another id nobody could tell the double."""

    async def test() -> None:
        post = post_once()
        mail = post.couriers["mail"]
        mail.gate = asyncio.Event()
        await post.address("1")
        digest = plan(digest_s=5)
        for name in ("a", "b", "c"):
            await post.notify(name, "users/1", plan=digest)
        await post.advance(6)
        assert [one.message.count for one in mail.asked] == [3]
        mail.gate = None
        await post.crash()
        await post.notify("d", "users/1", plan=digest)
        await post.advance(LEASE_S + 10)
        assert [await post.state(name) for name in "abcd"] == [DEAD, DEAD, DEAD, "sent due"]
        assert [one.message.id for one in mail.asked[1:]] == ["d"]
        assert mail.asked[1].message.count == 1
        for dead in await post.store.deliveries.deliveries(Which(state=State.DEAD), limit=9):
            await post.store.deliveries.retry(dead.id)
        await post.advance(10)
        assert await reasons(post) == {"sent due": 2, "folded digest": 2}

    run(test())


def test_what_may_have_gone_out_is_in_no_later_digest() -> None:
    """Also where the later one falls due, and gathers what else is due, before it is dead."""

    async def test() -> None:
        post = post_once(delivery_concurrency_max=1)
        mail = post.couriers["mail"]
        mail.gate = asyncio.Event()
        await post.address("1")
        digest = plan(digest_s=5)
        for name in ("a", "b"):
            await post.notify(name, "users/1", plan=digest)
        await post.advance(6)
        mail.gate = None
        await post.crash()
        queue = post.store.deliveries
        assert isinstance(queue, MemoryDeliveries)
        for lane in queue._lanes.values():
            lane.turns["mail"] = 1_000  # Other lanes come first.
        post.clock.advance(LEASE_S - 5)
        await post.notify("c", "users/1", plan=digest)
        await post.settle_down()
        assert await post.state("c") == "pending digest"
        post.clock.advance(10)
        await post.settle_down()
        assert [await post.state(name) for name in "abc"] == [DEAD, DEAD, "sent due"]
        assert [one.message.count for one in mail.asked] == [2, 1]

    run(test())


def test_a_drain_waits_for_what_it_would_bury_and_buries_nothing() -> None:
    async def test() -> None:
        post = post_once(delivery_concurrency_max=2)
        gate = await hung(post, 6)
        post.dispatcher.drain()
        assert post.dispatcher.busy_once
        gate.set()
        post.couriers["mail"].gate = None
        while post.tasks:
            await asyncio.gather(*post.tasks)
        await post.settle_down()
        assert not post.dispatcher.busy_once
        assert await reasons(post) == {"sent due": 2, "pending released": 2, "pending ": 2}
        post.start()
        await post.advance(1)
        assert await reasons(post) == {"sent due": 6}
        assert len(post.couriers["mail"].asked) == 6

    run(test())


def test_a_drain_waits_until_it_is_written_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        post = post_once()
        gate = await hung(post, 1)
        settle, disk = post.store.deliveries.settle, asyncio.Event()

        async def slowly(results: Sequence[Settled], holds: Mapping[int, int] | None) -> None:
            await disk.wait()
            await settle(results, holds)

        monkeypatch.setattr(post.store.deliveries, "settle", slowly)
        post.dispatcher.drain()
        gate.set()
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(post.couriers["mail"].accepted) == 1
        assert post.dispatcher.busy
        assert post.dispatcher.busy_once
        disk.set()
        while post.tasks:
            await asyncio.gather(*post.tasks)
        assert await post.state("n", "0") == "sent due"
        assert not post.dispatcher.busy
        assert not post.dispatcher.busy_once

    run(test())


class Unwilling:
    """A store whose note of what is handed over fails, or says that it is not ours any more."""

    def __init__(self, post: Post, monkeypatch: pytest.MonkeyPatch, *, fails: int) -> None:
        self._inner = post.store.deliveries.hand_over
        self._fails = fails
        self.calls = 0
        self.between: Callable[[], object] = lambda: None
        monkeypatch.setattr(post.store.deliveries, "hand_over", self)

    async def __call__(self, unknown: Mapping[int, Sequence[str]]) -> Collection[int]:
        self.calls += 1
        if self.calls <= self._fails:
            raise ReddotError("store_unavailable", "for a moment")
        noted = await self._inner(unknown)
        self.between()
        return [] if self.calls == 1 else noted


@pytest.mark.parametrize("fails", [0, 1])
def test_nothing_goes_out_that_is_not_noted_before(
    monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    """Neither where the note failed, nor of what somebody else has in hand by now."""

    async def test() -> None:
        post = post_once(delivery_concurrency_max=4)
        store = Unwilling(post, monkeypatch, fails=fails)
        at_first: list[int] = []
        store.between = lambda: at_first.append(len(post.couriers["mail"].asked))
        await post.address(*(f"{n}" for n in range(10)))
        await post.notify("n", plan=plan())
        await post.advance(2)
        assert at_first[0] == 0
        assert await reasons(post) == {"sent due": 10}
        assert len(post.couriers["mail"].asked) == 10
        assert post.dispatcher.outlets["mail"].in_hand == 0

    run(test())


def test_who_is_erased_just_before_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        post = post_once(delivery_concurrency_max=2)
        note = post.store.deliveries.hand_over

        async def erasing(unknown: Mapping[int, Sequence[str]]) -> Collection[int]:
            for user in "01":
                await post.boxes.change(Erase(user=user))
            return await note(unknown)

        monkeypatch.setattr(post.store.deliveries, "hand_over", erasing)
        await post.address(*"0123")
        await post.notify("n", plan=plan())
        await post.settle_down()
        assert post.couriers["mail"].reached == [("n", "2"), ("n", "3")]

    run(test())


def test_a_drain_that_comes_while_it_is_noted_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        post = post_once()
        store = Unwilling(post, monkeypatch, fails=0)
        store.calls = 1
        store.between = post.dispatcher.drain
        await post.address("1")
        await post.notify("n", plan=plan())
        await post.settle_down()
        assert post.couriers["mail"].asked == []
        assert await post.state("n") == "pending released"
        assert not post.dispatcher.busy
        monkeypatch.undo()
        post.start()
        await post.advance(1)
        assert await post.state("n") == "sent due"

    run(test())


def test_what_has_ended_is_settled_at_once() -> None:
    """It does not wait for others: until then a death would make a dead letter of it."""

    async def test() -> None:
        post = post_once()
        slow = asyncio.Event()
        mail = post.couriers["mail"]

        class Mixed(ScriptedCourier):
            async def send(self, parcel: Parcel) -> Outcome:
                if parcel.user == "0":
                    await slow.wait()
                return await super().send(parcel)

        post.couriers["mail"] = mixed = Mixed(mail.answer)
        post.start()
        await post.address("0", "1")
        await post.notify("n", plan=plan())
        await post.dispatcher.turn()
        await post.dispatcher.turn()
        for _ in range(50):
            await asyncio.sleep(0)
        assert await reasons(post) == {"leased ": 1, "sent due": 1}
        slow.set()
        await post.settle_down()
        assert len(mixed.accepted) == 2

    run(test())
