"""Snoozing through the whole node: late timers, two devices, limits and what operators see."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reddot.core import inbox
from reddot.node import Reddot
from reddot.testing import FakeClock, dev_settings
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone


def after(node: WireNode, seconds: float) -> str:
    now = datetime.fromtimestamp(node.clock.wall_ms() / 1000, UTC)
    return (now + timedelta(seconds=seconds)).isoformat()


async def snooze(node: WireNode, someone: Someone, seconds: float, *ids: str) -> Any:
    return await someone.mark("snoozed", *ids, until=after(node, seconds))


def test_whoever_asks_has_it_back_though_the_timer_is_late() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="everyone", id="a")
        await snooze(node, anna, 5, "a")
        node.clock.advance(5)  # No timer has run.
        assert (await anna.badge())["unread"] == 1
        assert await anna.ids() == ["a"]
        head = node.node.store.head
        await node.advance(2)
        assert node.node.store.head == head, "the timer finds nothing left to do"
        assert node.node.counters.notifications_woken == 1

    run_node(test)


def test_each_device_hears_once_that_it_is_back() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to=["anna", "bert"], id="a")
        devices = [await anna.listen(), await anna.listen("ws"), await anna.listen("iframe")]
        other = await Someone(node, "bert").listen()
        await snooze(node, anna, 3, "a")
        await node.advance(0.2)
        for device in devices:
            assert [badge["unread"] for badge in device.badges()][-1] == 0
        await node.advance(4)
        await anna.badge()
        for device in devices:
            assert device.ids() == ["a"]
            assert [badge["unread"] for badge in device.badges()][-1] == 1
        assert other.ids() == []
        found = await operator.get("/v1/notifications/a")
        assert found["counts"]["delivered_live"] == 0, "it went out before anybody was here"

    run_node(test)


def test_one_more_than_allowed_is_refused_and_counted() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        for id in "abc":
            await operator.notify(to="anna", id=id)
        await snooze(node, anna, 5, "a", "b")
        body = {"as": "snoozed", "ids": ["c"], "until": after(node, 5)}
        refused = await anna.ask("POST", "/v1/inbox/mark", body)
        assert (refused.status, refused.code) == (400, "too_many_snoozed")
        assert node.node.counters.rejected["too_many_snoozed"] == 1
        assert await anna.ids() == ["c"]
        for seconds, status in ((10, 200), (10.5, 400)):
            body = {"as": "snoozed", "ids": ["a"], "until": after(node, seconds)}
            assert (await anna.ask("POST", "/v1/inbox/mark", body)).status == status

    run_node(test, snoozed_max=2, snooze_s_max=10)


def test_the_same_op_id_is_done_once() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="anna", id="a")
        until = after(node, 5)
        await anna.mark("snoozed", "a", until=until, op_id="1")
        node.clock.advance(9)  # The answer was lost, and by now the time is over.
        await anna.mark("snoozed", "a", until=until, op_id="1")
        assert await anna.ids() == ["a"]
        await snooze(node, anna, 5, "a")
        await anna.mark("unsnoozed", "a", op_id="2")
        await snooze(node, anna, 5, "a")
        await anna.mark("unsnoozed", "a", op_id="2")
        assert await anna.ids("?view=snoozed") == ["a"]
        body = {"as": "snoozed", "ids": ["a"], "until": after(node, 6), "op_id": "1"}
        assert (await anna.ask("POST", "/v1/inbox/mark", body)).code == "id_conflict"

    run_node(test)


def test_dates_at_the_ends_of_time_are_refused_like_others() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="anna", id="a")
        for until in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "tomorrow"):
            body: dict[str, Any] = {"as": "snoozed", "ids": ["a"], "until": until}
            assert (await anna.ask("POST", "/v1/inbox/mark", body)).code == "field_invalid"
        for moment in ("9999-12-31T23:59:59-23:59",):
            body = {"to": {"users": ["anna"]}, "title": "x", "publish_at": moment}
            answer = await operator.ask("POST", "/v1/notifications", body)
            assert answer.code == "field_invalid"

    run_node(test)


def test_operators_see_it_and_an_export_has_it() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="everyone", id="a")
        await operator.notify(to="anna", id="b")
        await snooze(node, anna, 5, "a", "b")
        await anna.mark("unsnoozed", "b")
        explained = await operator.get("/v1/users/anna/badge/explain")
        topics = {topic["topic"]: topic for topic in explained["topics"]}
        assert topics["everyone"]["snoozed"] == 1
        assert (topics["users/anna"]["unread"], topics["users/anna"]["deleted"]) == (1, 1)
        assert explained["badge"]["unread"] == 1
        told = await operator.get("/v1/users/anna/export")
        assert [(one["id"], bool(one["snoozed_until"])) for one in told["inbox"]] == [
            ("b", False),
            ("a", True),
        ]
        assert (await operator.ask("DELETE", "/v1/users/anna")).status == 204
        told = await operator.get("/v1/users/anna/export")
        assert [one["id"] for one in told["inbox"]] == ["a"], "as everybody has it"
        assert told["inbox"][0]["snoozed_until"] is None

    run_node(test)


def test_what_is_taken_back_is_not_replayed() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="everyone", id="a", title="Secret")
        await snooze(node, anna, 5, "a")
        await anna.mark("unsnoozed", "a")
        stream = await anna.listen()
        assert (await operator.ask("DELETE", "/v1/notifications/a")).status == 204
        await node.advance(0.3)
        assert {
            frame["topic"] for frame in stream.frames() if frame.get("event") == "retracted"
        } == {
            "everyone",
            "users/anna",
        }
        history = await anna.get("/v1/topics/users/anna/history")
        assert "Secret" not in json.dumps(history)

    run_node(test)


def test_each_step_of_a_retraction_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many steps as people have got it back; it is answered after the last one."""
    monkeypatch.setattr(inbox, "STEP_ROWS", 1)

    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        people = {name: Someone(node, name) for name in ("anna", "bert", "carl")}
        await operator.notify(to="everyone", id="a")
        for someone in people.values():
            await snooze(node, someone, 5, "a")
            await someone.mark("unsnoozed", "a")
        streams = [await someone.listen() for someone in people.values()]
        assert (await operator.ask("DELETE", "/v1/notifications/a")).status == 204
        for someone in people.values():
            assert await someone.ids() == []
            assert (await someone.badge())["unread"] == 0
        await node.advance(0.3)
        for name, stream in zip(people, streams, strict=True):
            gone = [f["topic"] for f in stream.frames() if f.get("event") == "retracted"]
            assert gone == ["everyone", f"users/{name}"]
            assert stream.badges()[-1]["unread"] == 0

    run_node(test)


def test_many_who_have_chosen_the_same_moment(tmp_path: Path) -> None:
    """More than one turn of the timer takes: all are back after one call, whoever is not here."""
    many = 130

    async def test() -> None:
        clock = FakeClock()
        settings = dev_settings(store_url=f"sqlite:///{tmp_path / 'log.db'}", log_level="error")
        node = Reddot(settings, clock=clock)
        await node.start()
        await node.notify({"to": {"everyone": True}, "title": "Hi", "id": "a"})
        until_ms = clock.wall_ms() + 60_000
        await asyncio.gather(
            *(
                node.inboxes.mark(f"u{n}", "snoozed", ids=("a",), until_ms=until_ms)
                for n in range(many)
            )
        )
        clock.advance(60)
        await node.inboxes.upkeep()
        assert node.counters.notifications_woken == many
        assert (await node.store.inbox.due(limit=9)).waking == ()
        await node.stop()

    asyncio.run(test())
