"""What a store says of the person whom a delivery is for: what they want, and where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reddot.delivery import Step
from reddot.inbox import Follow, Prefer, Preferences, Quiet, Unfollow
from tests.contract.conftest import Backend
from tests.contract.queues import Queue, plan, run


def test_a_case_of_a_locked_category_knows_no_wish(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1", "push")
        quiet = Quiet(start_minute=0, end_minute=1)
        wanted = Preferences(
            frozenset({"alarm"}),
            frozenset({"users/1"}),
            frozenset({("push", "alarm")}),
            quiet=quiet,
            timezone="Asia/Tokyo",
        )
        await box.change(Prefer(user="1", preferences=wanted))
        for category in ("alarm", "ads"):
            rules = plan((Step(courier="push"),))
            await box.notify(category, "users/1", category=category, plan=rules)
        await box.expand()
        cases = {lease.notification: await box.case(lease) for lease in await box.lease("push")}
        assert (cases["alarm"].muted, cases["alarm"].quiet) == (False, None)
        assert (cases["ads"].muted, cases["ads"].quiet) == (True, quiet)
        zones = [case.timezone for case in cases.values()]
        assert zones == ["Asia/Tokyo"] * 2, "the plan's hours hold for both"

    run(backend, tmp_path, test)


def test_a_case_says_what_the_person_wants(backend: Backend, tmp_path: Path) -> None:
    async def test(box: Queue) -> None:
        await box.address("1", "mail", "push")
        await box.change(Follow(user="1", topic="news"))
        await box.notify("own", "users/1", category="ads", plan=plan((Step(courier="push"),)))
        await box.notify("news", "news")
        await box.expand()
        (push,), (mail,) = await box.lease("push"), await box.lease("mail")
        assert not (await box.case(push)).muted

        async def muted(**wanted: Any) -> tuple[bool, bool]:
            preferences = Preferences(**wanted)
            await box.change(Prefer(user="1", preferences=preferences))
            return (await box.case(push)).muted, (await box.case(mail)).muted

        assert await muted(categories=frozenset({"ads"})) == (True, False)
        assert await muted(topics=frozenset({"news"})) == (False, True)
        assert await muted(couriers=frozenset({("push", "ads"), ("mail", "ads")})) == (True, False)
        timed = {"categories": frozenset({"ads"}), "until": {"ads": box.clock.wall_ms() + 1_000}}
        assert await muted(**timed) == (True, False)
        box.clock.advance(1)  # It has ended, though nobody has settled it.
        assert await muted(**timed) == (False, False)
        assert await muted() == (False, False)
        await box.change(Unfollow(user="1", topic="news"))
        assert (await box.case(mail)).muted
        await box.queue.put_attributes("1", b'{"timezone":"Asia/Tokyo"}')
        assert (await box.case(mail)).attributes == b'{"timezone":"Asia/Tokyo"}'
        assert [one.courier for one in (await box.case(push)).addresses] == ["push"]

    run(backend, tmp_path, test)
