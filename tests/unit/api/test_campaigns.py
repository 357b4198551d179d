"""Campaigns from outside: a whole node, real routes; couriers answer as told."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.unit.api.office import Office, add_people, run
from tests.wire.people import Someone

PRO = "plan = 'pro'"


def test_a_segment_is_counted_fixed_at_its_start_and_reached() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        audience = {"segment": PRO}
        assert await office.ask("POST", "/v1/audiences/count", audience) == {"count": 3}
        await office.ask("POST", "/v1/audiences/count", {"segment": "plan ="}, status=400)
        wanted = {"to": audience, "title": "Sale", "id": "sale"}
        answer = await office.operator.ask("POST", "/v1/notifications", wanted)
        assert (answer.status, answer.json["id"]) == (202, "sale")
        await office.node.advance(3)
        late = Someone(office.node, "late")
        await office.attributes(late={"plan": "pro"})
        await office.node.advance(12)
        assert {parcel.user for parcel in office.mail.accepted} == {"p1", "p3", "p5"}
        assert await late.unread() == 0
        assert await Someone(office.node, "p1").unread() == 1
        assert await Someone(office.node, "p2").unread() == 0
        shown = await office.ask("GET", "/v1/campaigns/sale")
        assert (shown["state"], shown["members"]) == ("done", 3)
        assert shown["progress"]["totals"] == {"mail": {"made": 3, "sent": 3, "open": 0}}
        assert sum(one["count"] for one in shown["progress"]["minutes"]) == 6
        assert shown["parts"] == 1
        counts = await office.ask("GET", "/v1/campaigns/sale/counts")
        assert counts.pop("samples")
        assert counts == {"delivered_live": 0, "seen": 0, "read": 0}
        again = await office.operator.ask("POST", "/v1/notifications", wanted)
        assert again.status == 202
        conflict = await office.operator.ask("POST", "/v1/notifications", wanted | {"title": "No"})
        assert (conflict.status, conflict.json["code"]) == (409, "id_conflict")
        await office.node.advance(12)
        assert len(office.mail.accepted) == 3

    run(test)


@pytest.mark.parametrize("per_part", [1, 2, 1000])
def test_a_large_segment_is_sent_in_parts_to_each_once(per_part: int) -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        body = {"to": {"segment": "plan in ('pro', 'free')"}, "title": "x", "id": "c"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(15)
        assert [await Someone(office.node, f"p{n}").unread() for n in range(6)] == [1] * 6
        assert sorted(parcel.user for parcel in office.mail.accepted) == [f"p{n}" for n in range(6)]
        shown = await office.ask("GET", "/v1/campaigns/c")
        assert (shown["state"], shown["members"]) == ("done", 6)

    run(test, notification_users_max=per_part)


def test_every_kind_of_audience_is_counted_before_sending() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        for user in ("p1", "x", "y"):
            await office.ask("PUT", f"/v1/users/{user}/follows/news/sport")
        path = "/v1/audiences/count"
        for to, count in (
            ({"topic": "news/sport"}, 3),
            ({"topic": "news"}, 0),
            ({"everyone": True}, 8),
            ({"users": ["a", "b", "a"]}, 2),
            ({"segment": "plan = 'pro'"}, 3),
        ):
            assert await office.ask("POST", path, to) == {"count": count}
        for wrong in ({}, {"everyone": False}, {"topic": "a", "everyone": True}, {"user": "a"}):
            await office.ask("POST", path, wrong, status=400)
        assert (await Someone(office.node, "p1").ask("POST", path, {"topic": "a"})).status == 403

    run(test)


def test_what_a_campaign_has_reached_is_summed_over_its_parts() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        people = [Someone(office.node, f"p{n}") for n in range(6)]
        body = {"to": {"segment": "plan in ('pro', 'free')"}, "title": "x", "id": "c"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(3)
        assert (await office.ask("GET", "/v1/campaigns/c"))["parts"] == 3
        await people[0].mark("seen", "c.0")
        await people[1].mark("read", "c.0")
        await people[5].mark("read", "c.2")
        counts = await office.ask("GET", "/v1/campaigns/c/counts")
        counts.pop("samples")
        assert counts == {"delivered_live": 0, "seen": 3, "read": 2}
        await office.ask("GET", "/v1/campaigns/none/counts", status=404)

    run(test, notification_users_max=2)


def test_what_a_campaign_has_reached_is_written_down_with_nobody_looking() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        campaign = {"to": {"segment": "plan = 'pro'"}, "title": "Sale", "id": "sale"}
        begun_ms = office.node.clock.wall_ms()
        await office.ask("POST", "/v1/campaigns", campaign)
        await office.node.advance(60)
        await Someone(office.node, "p1").mark("seen", "sale.0")
        await office.node.advance(60)
        await Someone(office.node, "p3").mark("read", "sale.0")
        await office.node.advance(60)
        counts = await office.ask("GET", "/v1/campaigns/sale/counts")
        taken = counts.pop("samples")
        assert counts == {"delivered_live": 0, "seen": 2, "read": 1}
        samples = [(one["seen"], one["read"]) for one in taken]
        assert samples == [(0, 0)] * samples.count((0, 0)) + [(1, 0)] * 6 + [(2, 1)] * 6
        assert 5 <= samples.count((0, 0)) <= 7
        first, last = (datetime.fromisoformat(taken[at]["time"]) for at in (0, -1))
        assert 0 < first.timestamp() * 1000 - begun_ms < 3_000
        assert (last - first).total_seconds() == pytest.approx(170, abs=11)

    run(test)


def test_a_campaign_that_has_left_the_inboxes_keeps_its_figures() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        await office.ask(
            "POST", "/v1/campaigns", {"to": {"users": ["p1"]}, "title": "a", "id": "a"}
        )
        await office.node.advance(5)
        await Someone(office.node, "p1").mark("seen", "a")
        await office.node.advance(30)
        await office.ask("DELETE", "/v1/users/p1", status=204)
        await office.node.advance(30)
        counts = await office.ask("GET", "/v1/campaigns/a/counts")
        assert counts["seen"] == counts["samples"][-1]["seen"] == 1
        await office.node.advance(60)
        assert (await office.ask("GET", "/v1/campaigns/a/counts"))["samples"] == counts["samples"]

    run(test)


def test_what_a_campaign_holds_is_counted_until_it_is_reviewed() -> None:
    plans = [{"couriers": [{"courier": "mail"}], "keywords": ["prize"]}]

    async def test(office: Office) -> None:
        await add_people(office)
        body = {"to": {"segment": PRO}, "title": "A prize", "id": "c"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(5)
        totals = (await office.ask("GET", "/v1/campaigns/c"))["progress"]["totals"]["mail"]
        assert totals == {"made": 3, "held": 3, "open": 3}
        await office.ask("POST", "/v1/notifications/c.0/review", {"approve": True}, status=204)
        await office.node.advance(5)
        totals = (await office.ask("GET", "/v1/campaigns/c"))["progress"]["totals"]["mail"]
        assert totals == {"made": 3, "held": 0, "sent": 3, "open": 0}

    run(test, deliveries=plans)


def test_a_segment_beyond_the_limit_is_cancelled_with_its_reason() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        body = {"to": {"segment": PRO}, "title": "x", "id": "exact"}
        await office.ask("POST", "/v1/campaigns", body)
        body = {"to": {"segment": "plan != ''"}, "title": "x", "id": "more"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(3)
        shown = await office.ask("GET", "/v1/campaigns/more")
        assert (shown["state"], shown["error"]) == ("cancelled", "more than 3 members")
        assert (await office.ask("GET", "/v1/campaigns/exact"))["state"] == "running"
        assert await Someone(office.node, "p2").unread() == 0

    run(test, audience_people_max=3)


def test_a_campaign_waits_pauses_resumes_and_is_cancelled() -> None:
    plans = [{"couriers": [{"courier": "mail"}], "per_second": 1}]

    async def test(office: Office) -> None:
        await add_people(office, 20)
        body = {
            "to": {"everyone": True},
            "title": "x",
            "id": "c",
            "publish_at": "2026-01-01T00:00:10Z",
        }
        assert (await office.ask("POST", "/v1/campaigns", body))["state"] == "scheduled"
        await office.node.advance(9)
        assert office.mail.asked == []
        await office.node.advance(4)
        some = len(office.mail.accepted)
        assert 1 <= some <= 4
        assert (await office.ask("POST", "/v1/campaigns/c/pause"))["state"] == "paused"
        await office.node.advance(1)
        some = len(office.mail.accepted)
        await office.node.advance(10)
        assert len(office.mail.accepted) == some
        await office.ask("POST", "/v1/campaigns/c/pause", status=409)
        assert (await office.ask("POST", "/v1/campaigns/c/resume"))["state"] == "running"
        await office.node.advance(1)
        more = len(office.mail.accepted)
        assert some < more < 20
        await office.ask("POST", "/v1/campaigns/c/cancel")
        await office.node.advance(5)
        shown = await office.ask("GET", "/v1/campaigns/c")
        totals = shown["progress"]["totals"]["mail"]
        assert totals == {
            "made": 20,
            "sent": len(office.mail.accepted),
            "cancelled": 20 - len(office.mail.accepted),
            "open": 0,
        }
        for word in ("pause", "resume", "cancel"):
            await office.ask("POST", f"/v1/campaigns/c/{word}", status=409)
        await office.ask("GET", "/v1/campaigns/none", status=404)

    run(test, deliveries=plans)


def test_a_campaign_that_cannot_be_sent_says_why_and_holds_up_no_other() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        body = {"to": {"everyone": True}, "title": "x", "category": "four", "id": "bad"}
        await office.ask("POST", "/v1/campaigns", body)
        body = {"to": {"everyone": True}, "title": "x", "category": "one", "id": "good"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(3)
        bad = await office.ask("GET", "/v1/campaigns/bad")
        assert bad["state"] == "cancelled"
        assert bad["error"].startswith("field_invalid")
        assert (await office.ask("GET", "/v1/campaigns/good"))["state"] == "running"
        listed = await office.ask("GET", "/v1/campaigns?limit=1")
        assert [one["id"] for one in listed["items"]] == ["good"]
        rest = await office.ask("GET", f"/v1/campaigns?before={listed['next']}")
        assert [one["id"] for one in rest["items"]] == ["bad"]

    run(test, category_bytes_max=3)
