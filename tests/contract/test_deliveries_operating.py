"""What every store promises operators: dead letters, clicks, figures of campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from reddot.delivery import State
from reddot.errors import ReddotError
from reddot.outreach import Campaign, Figures, Passage, Stage, Which
from tests.contract.conftest import Backend
from tests.contract.queues import DAY_S, TWO, Queue, plan, run


def test_the_dead_are_listed_and_sent_again(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        for user in "12":
            await box.address(user)
        await box.notify("n", "everyone")
        await box.expand()
        for lease in await box.lease():
            await box.end(lease, State.DEAD, attempts=8, reason="http_400", detail="no such")
        dead = await box.queue.deliveries(Which(state=State.DEAD), limit=1)
        assert [(one.user, one.reason, one.detail) for one in dead] == [
            ("2", "http_400", "no such")
        ]
        rest = await box.queue.deliveries(Which(state=State.DEAD), before=dead[0].id, limit=5)
        assert [one.user for one in rest] == ["1"]
        await box.queue.retry(dead[0].id)
        with pytest.raises(ReddotError, match="not_possible"):
            await box.queue.retry(dead[0].id)
        with pytest.raises(ReddotError, match="not_found"):
            await box.queue.retry(99)
        (lease,) = await box.lease()
        assert (lease.user, lease.attempts) == ("2", 0)

    run(backend, tmp_path, test)


def test_the_dead_are_found_by_what_they_are_of_and_sent_again_together(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in "123":
            await box.address(user, "push", "mail")
        await box.notify("n", "everyone", plan=plan(TWO), lane=-7)
        await box.notify("other", "everyone", plan=plan(TWO))
        await box.expand()
        box.clock.advance(DAY_S)
        leases = [*await box.lease("push"), *await box.lease("mail")]
        for one in leases:
            reason = "http_400" if one.user == "1" else "timeout"
            await box.end(one, State.DEAD, reason=reason)

        async def find(**which: Any) -> set[tuple[str, str, str]]:
            found = await box.queue.deliveries(Which(state=State.DEAD, **which), limit=99)
            assert [one.id for one in found] == sorted((one.id for one in found), reverse=True)
            return {(one.notification, one.user, one.courier) for one in found}

        assert len(await find()) == 12
        assert await find(lane=-7, courier="mail", reason="http_400") == {("n", "1", "mail")}
        assert await find(notification="other", user="3") == {
            ("other", "3", "push"),
            ("other", "3", "mail"),
        }
        assert await find(lane=-8) == set()
        mine = [one.id for one in leases if one.lane == -7 and one.courier == "mail"]
        assert await box.queue.retry_all([*mine, 99]) == 3
        assert await box.queue.retry_all(mine) == 0
        assert len(await find()) == 9
        assert {one.user for one in await box.lease()} == set("123")
        progress = [one for one in await box.queue.progress(-7) if one.state is State.DEAD]
        assert sum(one.count for one in progress) == 3

    run(backend, tmp_path, test)


def test_a_click_is_noted_once_on_what_was_sent(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        for user in "12":
            await box.address(user, "push", "mail")
        for id in ("a", "b"):
            await box.notify(id, "users/1", "users/2", plan=plan(TWO))
        await box.expand()
        box.clock.advance(DAY_S)
        for lease in [*await box.lease("push"), *await box.lease("mail")]:
            if lease.notification == "a":
                await box.end(lease, State.SENT, reason="due")
        now = box.clock.wall_ms()
        await box.queue.click("1", "push", ["a", "b", "none"])
        box.clock.advance(5)
        await box.queue.click("1", "push", ["a"])
        found = await box.queue.deliveries(limit=99)
        clicked = {(one.notification, one.user, one.courier): one.clicked_ms for one in found}
        assert {key: ms for key, ms in clicked.items() if ms is not None} == {
            ("a", "1", "push"): now
        }

    run(backend, tmp_path, test)


def test_clicks_of_a_campaign_are_summed_in_the_minute_of_what_was_clicked(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        for user in "123":
            await box.address(user, "push")
        await box.notify("sale", "everyone", plan=plan(TWO), lane=-7)
        await box.notify("alone", "users/1", plan=plan(TWO))
        await box.expand()
        box.clock.advance(DAY_S)
        for lease in await box.lease("push"):
            await box.end(lease, State.SENT, reason="due")
        sent = box.clock.wall_ms() // 60_000
        for user, ids in (("1", ["sale", "alone"]), ("1", ["sale"]), ("2", ["sale"])):
            box.clock.advance(300)
            await box.queue.click(user, "push", ids)
        clicks = [one for one in await box.queue.progress(-7) if one.state is Passage.CLICKED]
        assert [(one.minute, one.courier, one.count) for one in clicks] == [(sent, "push", 2)]

    run(backend, tmp_path, test)


def test_what_is_cancelled_is_not_sent_again(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1")
        await box.notify("n", "users/1")
        await box.expand()
        (lease,) = await box.lease()
        await box.end(lease, State.DEAD)
        await box.queue.control(lease.lane, cancelled=True)
        with pytest.raises(ReddotError, match="cancelled"):
            await box.queue.retry(lease.id)
        assert await box.queue.retry_all([lease.id]) == 0
        assert await box.states("n") == {"1": "dead"}

    run(backend, tmp_path, test)


def test_campaigns_are_counted_when_it_is_time_and_their_figures_replaced(
    backend: Backend, tmp_path: Path
) -> None:
    async def test(box: Queue) -> None:
        now = box.clock.wall_ms()

        async def put(id: str, count_ms: int | None, *figures: Figures) -> Campaign:
            known = await box.queue.campaign(id) or Campaign(
                id=id, stage=Stage.DONE, command=b"{}", start_ms=now, time_ms=now
            )
            changed = msgspec.structs.replace(known, count_ms=count_ms)
            return await box.queue.put_campaign(changed, figures=figures or None)

        async def due(limit: int = 9) -> list[str]:
            return [one.id for one in await box.queue.due_counts(limit=limit)]

        await put("never", None)
        a = await put("a", now + 2_000)
        await put("b", now + 1_000)
        assert await due() == []
        assert await box.queue.figures(a) == type(await box.queue.figures(a))()
        box.clock.advance(2)
        assert (await due(), await due(limit=1)) == (["b", "a"], ["b"])
        series = (Figures(now, 1, 2, 3), Figures(now + 1, 2**40, 0, 4))
        await put("a", now + 60_000, *series)
        assert await due() == ["b"]
        await put("a", None)
        assert list(await box.queue.figures(a)) == list(series), "what is not given stays"
        await put("a", None, *series[:1])
        assert list(await box.queue.figures(a)) == list(series[:1])
        box.clock.advance(DAY_S)
        while await box.queue.upkeep(rows_max=10):
            pass
        assert list(await box.queue.figures(a)) == []

    run(backend, tmp_path, test, age_ms=DAY_S * 1000)
