"""What every store promises of deliveries that are to go out once: notes of what went where."""

from __future__ import annotations

from pathlib import Path

from reddot.delivery import State
from reddot.outreach import Which
from tests.contract.conftest import Backend
from tests.contract.queues import LEASE_MS, Queue, run


def test_what_was_handed_over_is_known_to_the_next_lease_and_what_is_settled_is_not(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in "1234":
            await box.address(user)
        await box.notify("n", "everyone")
        await box.expand()
        one, two, _, four = sorted(await box.lease(), key=lambda each: each.id)
        await box.end(four, State.PENDING, due_ms=box.clock.wall_ms() + 60_000)
        noted = await box.queue.hand_over(
            {one.id: ["", "b"], two.id: [""], four.id: [""], 99: [""]}
        )
        assert set(noted) == {one.id, two.id}
        await box.end(two, State.PENDING, due_ms=box.clock.wall_ms(), attempts=1)
        box.clock.advance(LEASE_MS / 1000)
        leases = {lease.user: lease for lease in await box.lease()}
        assert {user: lease.unknown for user, lease in leases.items()} == {
            "1": ("", "b"),
            "2": (),
            "3": (),
        }
        back = leases["1"]
        await box.end(
            back, State.PENDING, due_ms=box.clock.wall_ms(), attempts=1, unknown=back.unknown
        )
        (again,) = await box.lease()
        assert again.unknown == ("", "b")

    run(backend, tmp_path, test)


def test_what_may_have_gone_out_counts_also_when_it_is_dead(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in "123":
            await box.address(user)
        await box.notify("n", "everyone")
        await box.expand()
        one, two, three = sorted(await box.lease(), key=lambda each: each.id)
        await box.queue.grant([one, two])
        granted_ms = box.clock.wall_ms()
        box.clock.advance(1)
        await box.end(one, State.DEAD, attempts=1, unknown=("",))
        await box.end(two, State.DEAD, attempts=1)
        assert (await box.case(three)).total == 1
        (found,) = await box.queue.deliveries(Which(user="1"), limit=9)
        assert (found.state, found.sent_ms) == (State.DEAD, granted_ms)
        await box.queue.click("1", "mail", ["n"])
        (found,) = await box.queue.deliveries(Which(user="1"), limit=9)
        assert found.clicked_ms == box.clock.wall_ms()
        await box.queue.retry(one.id)
        (again,) = await box.lease()
        assert (again.id, again.granted, again.unknown) == (one.id, True, ())
        assert (await box.case(three)).total == 1
        assert list(await box.store.inbox.verify(repair=False)) == []

    run(backend, tmp_path, test)
