"""The dispatcher on a store in memory, with couriers that answer as they are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from reddot.core import deliveries
from reddot.core.breaker import CIRCUITS, Breaker, Circuit
from reddot.core.deliveries import AHEAD_S
from reddot.delivery import Cap, Outcome, State, Verdict
from reddot.inbox import Quiet, Retract
from reddot.outreach import Lease, Settled, Which
from reddot.testing import FakeClock
from tests.sim.post import BAD, BUSY, GONE, SENT, Post, ScriptedCourier, plan, run


def test_each_courier_of_the_plan_has_its_turn_until_it_was_seen() -> None:
    async def test() -> None:
        post = Post("push", "mail")
        await post.address("1", "2", courier="push")
        await post.address("1", "2", courier="mail")
        await post.notify("n", "users/1", "users/2", plan=plan(("push", 10), ("mail", 60)))
        await post.advance(9)
        assert post.couriers["push"].asked == []
        await post.advance(1)
        assert sorted(post.couriers["push"].reached) == [("n", "1"), ("n", "2")]
        await post.see("1", "n")
        await post.advance(60)
        assert post.couriers["mail"].reached == [("n", "2")]
        assert await post.state("n") == "skipped seen"
        assert post.counters.deliveries["mail", "skipped", "seen"] == 1

    run(test())


def test_a_parcel_says_what_is_to_be_said_and_keeps_its_id() -> None:
    async def test() -> None:
        post = Post()
        answers = iter([BUSY, SENT])
        post.couriers["mail"].answer = lambda parcel: next(answers)
        await post.address("1")
        await post.notify("before", "users/1", plan=plan(("mail", 1_000)))
        await post.notify("n", "users/1", plan=plan(), text="all of it", ttl_s=100)
        await post.advance(10)
        first, second = post.couriers["mail"].asked
        assert first.id == second.id
        assert (first.attempt, second.attempt) == (1, 2)
        assert (first.message.title, first.message.body) == ("n", "all of it")
        assert (first.address, first.unread) == (b'"1"', 2)
        assert first.ttl_s == 100 > second.ttl_s
        assert await post.state("n") == "sent due"

    run(test())


def test_what_has_died_before_it_was_due_goes_nowhere() -> None:
    async def test() -> None:
        post = Post()
        await post.address("1")
        await post.notify("retracted", "users/1", plan=plan(("mail", 10)))
        await post.notify("expired", "users/1", plan=plan(("mail", 10)), ttl_s=5)
        await post.boxes.change(Retract(id="retracted", rows_max=9))
        await post.advance(20)
        assert post.couriers["mail"].asked == []
        assert {await post.state(id) for id in ("retracted", "expired")} == {"skipped dead"}

    run(test())


def test_attempts_end_as_a_dead_letter_with_the_last_reason() -> None:
    async def test() -> None:
        post = Post(delivery_attempts_max=3, breaker_failures_max=100)
        post.couriers["mail"].answer = lambda parcel: BUSY if parcel.user == "1" else BAD
        await post.address("1", "2")
        await post.notify("n", plan=plan())
        await post.advance(60)
        assert Counter(one.user for one in post.couriers["mail"].asked) == {"1": 3, "2": 1}
        assert await post.state("n", "1") == "dead http_503"
        assert await post.state("n", "2") == "dead http_400"
        (dead,) = await post.store.deliveries.deliveries(Which(user="2"), limit=1)
        assert dead.detail == "no such number"
        post.couriers["mail"].answer = lambda parcel: SENT
        await post.store.deliveries.retry(dead.id)
        await post.advance(1)
        assert await post.state("n", "2") == "sent due"

    run(test())


def test_a_wait_that_the_provider_asks_for_is_kept_and_bounded() -> None:
    async def test() -> None:
        post = Post(delivery_backoff_s_max=50)
        asked = {"1": 30.0, "2": 10_000.0}
        post.couriers["mail"].answer = lambda parcel: Outcome(
            verdict=Verdict.RETRY, reason="http_429", retry_after_s=asked[parcel.user]
        )
        await post.address("1", "2")
        await post.notify("n", plan=plan())
        await post.advance(29)
        assert len(post.couriers["mail"].asked) == 2
        await post.advance(1)
        assert len(post.couriers["mail"].asked) == 3
        await post.advance(20)
        assert len(post.couriers["mail"].asked) == 4

    run(test())


def test_an_address_that_is_gone_is_forgotten() -> None:
    async def test() -> None:
        post = Post()
        post.couriers["mail"].answer = lambda p: GONE if p.address == b'"1old"' else SENT
        await post.address("1", slot="old")
        await post.notify("a", "users/1", plan=plan())
        await post.advance(1)
        assert await post.state("a") == "skipped no_address"
        assert await post.store.deliveries.addresses("1") == []
        await post.address("1", slot="old")
        await post.address("1", slot="new")
        await post.notify("b", "users/1", plan=plan())
        await post.advance(1)
        assert await post.state("b") == "sent due"
        assert [one.slot for one in await post.store.deliveries.addresses("1")] == ["new"]

    run(test())


def test_only_addresses_that_have_not_got_it_are_tried_again() -> None:
    async def test() -> None:
        post = Post()
        first = iter([SENT, BUSY, SENT])
        post.couriers["mail"].answer = lambda parcel: next(first)
        await post.address("1", slot="phone")
        await post.address("1", slot="laptop")
        await post.notify("n", "users/1", plan=plan())
        await post.advance(10)
        asked = post.couriers["mail"].asked
        assert [one.address for one in asked] == [b'"1laptop"', b'"1phone"', b'"1phone"']
        assert len({one.id for one in asked}) == 2
        assert await post.state("n") == "sent due"

    run(test())


def test_a_courier_that_raises_or_hangs_stops_nobody() -> None:
    async def test() -> None:
        post = Post("mail", "push", delivery_lease_s=0.04, delivery_attempts_max=1)

        def broken(parcel: object) -> Outcome:
            raise ValueError("a bug")

        post.couriers["mail"].answer = broken
        post.couriers["push"].gate = asyncio.Event()
        await post.address("1")
        await post.address("1", courier="push")
        await post.notify("n", "users/1", plan=plan("mail", "push"))
        await post.settle_down()
        await asyncio.gather(*post.tasks)
        await post.settle_down()
        assert await post.state("n") == "dead courier_failed"
        assert await post.state("n", courier="push") == "dead timeout"

    run(test())


def test_what_waits_for_a_courier_that_was_removed_ends_when_it_is_due() -> None:
    async def test() -> None:
        post = Post("push", "mail")
        for courier in post.couriers:
            await post.address("1", "2", courier=courier)
        await post.notify("n", "users/1", "users/2", plan=plan(("push", 10), ("mail", 60)))
        await post.advance(1)
        del post.couriers["push"]
        await post.crash()  # It comes back with other settings.
        await post.dispatcher.adopt()
        await post.see("2", "n")
        await post.advance(20)
        assert await post.state("n", "1", "push") == "dead courier_removed"
        assert await post.state("n", "2", "push") == "skipped seen"
        await post.advance(60)
        assert post.couriers["mail"].reached == [("n", "1")]
        (dead,) = await post.store.deliveries.deliveries(Which(user="1", state=State.DEAD), limit=9)
        post.couriers["push"] = ScriptedCourier()
        await post.crash()
        await post.store.deliveries.retry(dead.id)
        await post.advance(1)
        assert await post.state("n", "1", "push") == "sent due"

    run(test())


def test_attempts_at_once_are_bounded_per_courier() -> None:
    async def test() -> None:
        post = Post("mail", "push", delivery_concurrency_max=3)
        for courier in post.couriers:
            await post.address(*(f"{n}" for n in range(20)), courier=courier)
        mail = post.couriers["mail"]
        mail.gate = asyncio.Event()
        await post.notify("n", plan=plan("mail", "push"))
        await post.settle_down()
        assert (mail.running, post.dispatcher.outlets["mail"].in_hand) == (3, 6)
        assert len(post.couriers["push"].accepted) == 20
        mail.gate.set()
        mail.gate = None
        await post.advance(1)
        assert len(mail.accepted) == 20
        assert mail.most == 3

    run(test())


def test_attempts_of_a_courier_are_paced_and_no_lease_ends_while_they_wait() -> None:
    async def test() -> None:
        post = Post(delivery_attempts_per_s=2, delivery_concurrency_max=50, delivery_lease_s=20)
        await post.address(*(f"{n}" for n in range(30)))
        await post.notify("n", plan=plan())
        await post.settle_down()
        mail = post.couriers["mail"]
        # One has gone out and is settled; ten at most can begin within a quarter of a lease.
        assert (len(mail.accepted), post.dispatcher.outlets["mail"].in_hand) == (1, 9)
        for second in range(1, 14):
            await post.advance(1, step_s=0.5)
            assert len(mail.accepted) == 1 + 2 * second
        await post.advance(5, step_s=0.5)
        assert sorted(user for _, user in mail.reached) == sorted(f"{n}" for n in range(30))

    run(test())


def test_what_goes_out_in_a_moment_is_taken_in_hand_at_once() -> None:
    async def test() -> None:
        post = Post(delivery_attempts_per_s=50)
        await post.address(*(f"{n}" for n in range(100)))
        post.couriers["mail"].gate = asyncio.Event()
        await post.notify("n", plan=plan())
        await post.settle_down()
        assert post.dispatcher.outlets["mail"].in_hand == int(50 * AHEAD_S)

    run(test())


def test_no_more_than_a_round_is_leased_or_settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "ROUND_MAX", 10)

    async def test() -> None:
        post = Post(delivery_concurrency_max=11)
        queue, rounds = post.store.deliveries, Counter[str]()
        lease, settle = queue.lease, queue.settle

        async def leasing(courier: str, *, limit: int, until_ms: int) -> Sequence[Lease]:
            rounds["leased"] = max(rounds["leased"], limit)
            return await lease(courier, limit=limit, until_ms=until_ms)

        async def settling(
            results: Sequence[Settled], holds: Mapping[int, int] | None = None
        ) -> None:
            rounds["settled"] = max(rounds["settled"], len(results))
            await settle(results, holds)

        monkeypatch.setattr(queue, "lease", leasing)
        monkeypatch.setattr(queue, "settle", settling)
        await post.address(*(f"{n}" for n in range(60)))
        gate = post.couriers["mail"].gate = asyncio.Event()
        await post.notify("n", plan=plan())
        await post.settle_down()
        assert post.couriers["mail"].running == 11
        assert post.dispatcher.outlets["mail"].in_hand == 20
        post.couriers["mail"].gate = None
        gate.set()
        await post.advance(2)
        assert len(post.couriers["mail"].accepted) == 60
        assert rounds == {"leased": 10, "settled": 10}

    run(test())


def test_a_provider_that_fails_is_left_alone_for_a_while() -> None:
    async def test() -> None:
        post = Post(breaker_failures_max=4, breaker_open_s=30, delivery_concurrency_max=2)
        mail = post.couriers["mail"]
        mail.answer = lambda parcel: BUSY
        await post.address(*(f"{n}" for n in range(20)))
        await post.notify("n", plan=plan())
        await post.advance(29)
        assert len(mail.asked) <= 5
        before = len(mail.asked)
        await post.advance(2)
        assert len(mail.asked) == before + 1
        mail.answer = lambda parcel: SENT
        await post.advance(60)
        assert len(set(mail.reached)) == 20

    run(test())


def test_caps_hold_whatever_is_under_way() -> None:
    async def test() -> None:
        post = Post("mail", "push")
        for courier in post.couriers.values():
            courier.gate = asyncio.Event()
        await post.address("1")
        await post.address("1", courier="push")
        capped = plan("mail", "push", caps=(Cap(count=3, window_s=3600),))
        for n in range(6):
            await post.notify(f"{n}", "users/1", plan=capped)
        await post.settle_down()
        assert sum(courier.running for courier in post.couriers.values()) == 3
        for courier in post.couriers.values():
            assert courier.gate is not None
            courier.gate.set()
            courier.gate = None
        await post.advance(3_500, step_s=100)
        assert sum(len(one.accepted) for one in post.couriers.values()) == 3
        await post.advance(200, step_s=100)
        assert sum(len(one.accepted) for one in post.couriers.values()) == 6

    run(test())


def test_a_total_is_never_exceeded_and_a_rate_is_kept() -> None:
    async def test() -> None:
        post = Post(delivery_concurrency_max=50)
        await post.address(*(f"{n}" for n in range(40)))
        await post.notify("n", plan=plan(total_max=25, per_s_max=10))
        await post.settle_down()
        assert len(post.couriers["mail"].accepted) == 10
        await post.advance(1)
        assert len(post.couriers["mail"].accepted) == 20
        await post.advance(5)
        assert len(post.couriers["mail"].accepted) == 25
        reasons = Counter(reason for _, reason in (await post.states()).values())
        assert reasons == {"due": 25, "total_reached": 15}

    run(test())


def test_what_waits_for_review_goes_out_when_it_is_approved() -> None:
    async def test() -> None:
        post = Post()
        await post.address("1", "2")
        reviewed = plan(keywords=("prize",))
        await post.notify("good", plan=reviewed, text="You have won a PRIZE")
        await post.notify("bad", plan=reviewed, text="prize!")
        await post.advance(5)
        assert await post.state("good") == "held keyword"
        queue = post.store.deliveries
        await queue.control(await queue.lane("good"), approved=True)
        await queue.control(await queue.lane("bad"), approved=False)
        while await queue.upkeep(rows_max=1):
            pass
        await post.advance(5)
        assert sorted(post.couriers["mail"].reached) == [("good", "1"), ("good", "2")]
        assert await post.state("bad") == "skipped rejected"

    run(test())


def test_a_digest_is_one_delivery_of_what_has_not_been_seen() -> None:
    async def test() -> None:
        post = Post()
        await post.address("1")
        digest = plan(digest_s=60)
        for name in ("a", "b", "c", "d"):
            await post.notify(name, "users/1", plan=digest)
            await post.advance(10)
        await post.see("1", "b", state="read")
        assert post.couriers["mail"].accepted == []
        await post.advance(60)
        (parcel,) = post.couriers["mail"].accepted
        assert (parcel.message.count, parcel.message.title) == (3, "d (+2)")
        assert parcel.message.body == "d\nc\na"
        assert await post.state("a") == "sent due"
        assert await post.state("b") == "skipped seen"
        assert await post.state("c") == "folded digest"

    run(test())


def test_a_digest_that_fails_is_tried_again_as_a_whole() -> None:
    async def test() -> None:
        post = Post()
        answers = iter([BUSY, SENT])
        post.couriers["mail"].answer = lambda parcel: next(answers)
        await post.address("1")
        digest = plan(digest_s=5, caps=(Cap(count=1, window_s=600),))
        for name in ("a", "b", "c"):
            await post.notify(name, "users/1", plan=digest)
        await post.advance(30)
        first, second = post.couriers["mail"].asked
        assert first.message == second.message
        assert first.id == second.id
        assert second.message.count == 3

    run(test())


def test_nights_are_those_of_the_person() -> None:
    async def test() -> None:
        post = Post()
        await post.address("1", "2")
        await post.store.deliveries.put_attributes("2", b'{"timezone":"Asia/Tokyo"}')
        # It is midnight in Greenwich, and nine in the morning in Tokyo.
        night = plan(quiet=Quiet(start_minute=22 * 60, end_minute=7 * 60))
        await post.notify("n", plan=night)
        await post.advance(60, step_s=60)
        assert post.couriers["mail"].reached == [("n", "2")]
        await post.advance(7 * 3600, step_s=600)
        assert post.couriers["mail"].reached == [("n", "2"), ("n", "1")]

    run(test())


def test_a_drain_gives_back_what_has_not_begun() -> None:
    async def test() -> None:
        post = Post(delivery_concurrency_max=2)
        mail = post.couriers["mail"]
        mail.gate = asyncio.Event()
        await post.address(*(f"{n}" for n in range(4)))
        await post.notify("n", plan=plan())
        await post.settle_down()
        post.dispatcher.drain()
        assert post.dispatcher.busy
        mail.gate.set()
        mail.gate = None
        await asyncio.gather(*post.tasks)
        await post.settle_down()
        assert not post.dispatcher.busy
        states = Counter(state.value for state, _ in (await post.states()).values())
        assert states == {"sent": 2, "pending": 2}
        post.start()
        await post.advance(1)
        assert len(mail.accepted) == 4

    run(test())


def test_ids_differ_by_notification_person_courier_and_slot() -> None:
    async def test() -> None:
        post = Post("mail", "push")
        for courier in post.couriers:
            await post.address("1", "2", courier=courier)
        await post.notify("a", plan=plan("mail", "push"))
        await post.notify("b", plan=plan("mail", "push"))
        await post.advance(1)
        ids = [parcel.id for one in post.couriers.values() for parcel in one.accepted]
        assert len(ids) == len(set(ids)) == 8

    run(test())


@pytest.mark.parametrize("blame", [True, False])
def test_a_breaker_moves_by_its_table(blame: bool) -> None:
    clock = FakeClock()
    breaker = Breaker(clock=clock, failures_max=2, open_s=10)
    for verdict in (True, False, True):
        breaker.record(blame=verdict)
    assert breaker.room(9) == 9
    breaker.record(blame=True)
    assert (breaker.circuit, breaker.room(9), breaker.wait_s) == (Circuit.OPEN, 0, 10)
    breaker.record(blame=False)
    assert breaker.room(9) == 0
    clock.advance(10)
    assert (breaker.room(9), breaker.circuit) == (1, Circuit.HALF_OPEN)
    breaker.record(blame=blame)
    assert breaker.circuit is (Circuit.OPEN if blame else Circuit.CLOSED)
    assert set(CIRCUITS) == set(Circuit)
