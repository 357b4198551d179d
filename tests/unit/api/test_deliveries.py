"""Deliveries and campaigns from outside: a whole node, real routes; couriers answer as told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from reddot.couriers.vapid import Vapid, VapidKey
from reddot.couriers.web_push import WebPush
from reddot.net.outbound import Guard, Outbound
from reddot.testing import FakeClock
from tests.sim.post import BAD, BUSY, SENT, ScriptedCourier
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone

MAIL = [{"couriers": [{"courier": "mail", "after": 10}]}]
SUBSCRIPTION = {
    "endpoint": "https://push.example.net/abc",
    "expirationTime": None,
    "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
        "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
}


class Office:
    """A node with one scripted courier, `mail`, and an operator."""

    def __init__(self, node: WireNode, mail: ScriptedCourier) -> None:
        self.node = node
        self.mail = mail
        self.operator = Someone(node, None)

    async def ask(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        answer = await self.operator.ask(method, path, body)
        assert answer.status == status, answer
        return answer.json if answer.body else None

    async def address(self, *users: str) -> None:
        for user in users:
            await self.ask("PUT", f"/v1/users/{user}/addresses/mail", f"{user}@example.com")

    async def attributes(self, **people: Mapping[str, object]) -> None:
        for user, known in people.items():
            await self.ask("PUT", f"/v1/users/{user}/attributes", known)

    async def journey(self, id: str) -> dict[str, str]:
        found = await self.ask("GET", f"/v1/notifications/{id}/deliveries")
        return {one["user"]: f"{one['state']} {one['reason']}" for one in found["items"]}


def run(test: Callable[[Office], Awaitable[None]], **settings: Any) -> None:
    mail = ScriptedCourier()
    couriers = {"mail": mail} | settings.pop("couriers", {})

    async def main(node: WireNode) -> None:
        await test(Office(node, mail))

    run_node(main, couriers=couriers, **({"deliveries": MAIL} | settings))


def test_one_post_lights_the_dot_and_reaches_who_has_not_looked() -> None:
    async def test(office: Office) -> None:
        anna, ben = Someone(office.node, "anna"), Someone(office.node, "ben")
        await office.address("anna", "ben")
        sent = await office.operator.notify(to=["anna", "ben"], title="Hello")
        assert (await anna.badge())["unread"] == 1
        await anna.mark("seen", sent["id"])
        await office.node.advance(12)
        (parcel,) = office.mail.accepted
        assert (parcel.user, parcel.message.title, parcel.unread) == ("ben", "Hello", 1)
        assert parcel.address == b'"ben@example.com"'
        assert await office.journey(sent["id"]) == {"anna": "skipped seen", "ben": "sent due"}
        metrics = (await office.operator.ask("GET", "/metrics")).body.decode()
        line = 'reddot_deliveries_total{courier="mail",reason="seen",state="skipped"} 1.0'
        assert line in metrics
        assert (await ben.badge())["unread"] == 1

    run(test)


def test_an_open_circuit_shows_in_the_metrics() -> None:
    async def test(office: Office) -> None:
        async def shown() -> str:
            text = (await office.operator.ask("GET", "/metrics")).body.decode()
            return next(one for one in text.splitlines() if one.startswith("reddot_circuit_open{"))

        assert await shown() == 'reddot_circuit_open{courier="mail"} 0.0'
        office.mail.answer = lambda parcel: BUSY
        await office.address("anna", "ben")
        await office.operator.notify(to=["anna", "ben"])
        await office.node.advance(12)
        assert await shown() == 'reddot_circuit_open{courier="mail"} 1.0'

    run(test, breaker_failures_max=2)


def test_a_journey_has_pages_and_times() -> None:
    async def test(office: Office) -> None:
        await office.address("a", "b", "c")
        sent = await office.operator.notify(to=["a", "b", "c"])
        await office.node.advance(1)
        path = f"/v1/notifications/{sent['id']}/deliveries?limit=2"
        page = await office.ask("GET", path)
        rest = await office.ask("GET", f"{path}&before={page['next']}")
        assert [one["user"] for one in page["items"] + rest["items"]] == ["c", "b", "a"]
        assert rest["next"] is None
        one = page["items"][0]
        assert (one["state"], one["courier"], one["attempts"]) == ("pending", "mail", 0)
        assert one["due"] == "2026-01-01T00:00:10.000Z"
        assert await office.ask("GET", f"{path}&user=a") == {"items": rest["items"], "next": None}

    run(test)


def test_dead_letters_are_listed_and_sent_again() -> None:
    async def test(office: Office) -> None:
        office.mail.answer = lambda parcel: BAD
        await office.address("a")
        await office.operator.notify(to="a")
        await office.node.advance(12)
        (dead,) = (await office.ask("GET", "/v1/deliveries"))["items"]
        assert (dead["state"], dead["reason"], dead["detail"]) == (
            "dead",
            "http_400",
            "no such number",
        )
        office.mail.answer = lambda parcel: SENT
        await office.ask("POST", f"/v1/deliveries/{dead['id']}/retry", status=204)
        await office.node.advance(2)
        assert len(office.mail.accepted) == 1
        await office.ask("POST", f"/v1/deliveries/{dead['id']}/retry", status=409)
        await office.ask("POST", "/v1/deliveries/99/retry", status=404)
        await office.ask("POST", "/v1/deliveries/x/retry", status=404)
        assert (await office.ask("GET", "/v1/deliveries?state=dead"))["items"] == []
        await office.ask("GET", "/v1/deliveries?state=sent", status=400)

    run(test)


def test_held_texts_are_approved_or_rejected() -> None:
    plans = [{"couriers": [{"courier": "mail"}], "keywords": ["prize"]}]

    async def test(office: Office) -> None:
        await office.address("a")
        good = (await office.operator.notify(to="a", title="A prize"))["id"]
        bad = (await office.operator.notify(to="a", title="Prize!"))["id"]
        await office.node.advance(2)
        held = (await office.ask("GET", "/v1/deliveries?state=held"))["items"]
        assert [one["notification"] for one in held] == [bad, good]
        path = "/v1/notifications/{}/review"
        await office.ask("POST", path.format(good), {"approve": True}, status=204)
        await office.ask("POST", path.format(bad), {"approve": False}, status=204)
        await office.ask("POST", path.format("none"), {"approve": True}, status=404)
        await office.ask("POST", path.format(bad), {"approve": "yes"}, status=400)
        await office.node.advance(4)
        assert await office.journey(good) == {"a": "sent due"}
        assert await office.journey(bad) == {"a": "skipped rejected"}

    run(test, deliveries=plans)


def test_attributes_are_flat_and_bounded() -> None:
    async def test(office: Office) -> None:
        known = {"plan": "pro", "age": 3, "tags": ["a", "b"], "vip": True, "left": None}
        await office.attributes(a=known)
        path = "/v1/users/a/attributes"
        assert await office.ask("GET", path) == known
        await office.ask("PUT", path, {"address": {"city": "x"}}, status=400)
        await office.ask("PUT", path, ["x"], status=400)
        await office.ask("PUT", path, {f"n{n}": n for n in range(101)}, status=400)
        # `{"x":"…"}` of the limit's size, and one byte more.
        await office.ask("PUT", path, {"x": "y" * (2048 - 9)})
        await office.ask("PUT", path, {"x": "y" * (2048 - 8)}, status=413)
        await office.ask("PUT", path, {})
        assert await office.ask("GET", path) == {}

    run(test, attributes_bytes_max=2048)


def test_addresses_are_known_by_courier() -> None:
    async def test(office: Office) -> None:
        path = "/v1/users/a/addresses/mail"
        await office.ask("GET", path, status=404)
        await office.address("a")
        await office.ask("PUT", path, "new@example.com")
        (one,) = (await office.ask("GET", path))["addresses"]
        assert (one["courier"], one["address"]) == ("mail", "new@example.com")
        assert len((await office.ask("GET", "/v1/users/a/addresses"))["addresses"]) == 1
        await office.ask("PUT", "/v1/users/a/addresses/pigeon", "roof", status=404)
        await office.ask("PUT", path, "x" * 63, status=413)
        await office.ask("DELETE", path, status=204)
        await office.ask("DELETE", path, status=404)

    run(test, address_bytes_max=64)


def test_only_operators_may_ask_for_other_people() -> None:
    async def test(office: Office) -> None:
        anna = Someone(office.node, "anna")
        for method, path in (
            ("GET", "/v1/users/anna/attributes"),
            ("PUT", "/v1/users/anna/addresses/mail"),
            ("GET", "/v1/deliveries"),
            ("GET", "/v1/plans"),
            ("POST", "/v1/campaigns"),
            ("POST", "/v1/audiences/count"),
            ("GET", "/v1/notifications/x/deliveries"),
            ("POST", "/v1/notifications/x/review"),
        ):
            answer = await anna.ask(method, path, {} if method != "GET" else None)
            assert answer.status == 403, (method, path)
        segment = {"to": {"segment": "a = 1"}, "title": "x"}
        assert (await anna.ask("POST", "/v1/notifications", segment)).status == 403

    run(test)


def test_browsers_subscribe_and_their_number_is_limited() -> None:
    clock = FakeClock()
    key = VapidKey.make()
    outbound = Outbound(Guard(()))
    vapid = Vapid(key, subject="mailto:a@example.com", clock=clock)
    push = WebPush(outbound=outbound, vapid=vapid, clock=clock)

    async def test(office: Office) -> None:
        anna = Someone(office.node, "anna")
        assert (await anna.get("/v1/push/key"))["key"] == push.public_key
        path = "/v1/push/subscriptions"
        other = SUBSCRIPTION | {"endpoint": "https://push.example.net/other"}
        third = SUBSCRIPTION | {"endpoint": "https://push.example.net/third"}
        for one in (SUBSCRIPTION, other, SUBSCRIPTION):
            assert (await anna.ask("POST", path, one)).status == 204
        refused = await anna.ask("POST", path, third)
        assert (refused.status, refused.json["code"]) == (400, "too_many_addresses")
        bad = SUBSCRIPTION | {"endpoint": "http://10.0.0.1/"}
        assert (await anna.ask("POST", path, bad)).json["code"] == "field_invalid"
        assert (await office.operator.ask("POST", path, SUBSCRIPTION)).status == 403
        assert (
            await anna.ask("DELETE", path, {"endpoint": SUBSCRIPTION["endpoint"]})
        ).status == 204
        found = await office.ask("GET", "/v1/users/anna/addresses/browser")
        assert [one["address"]["endpoint"] for one in found["addresses"]] == [other["endpoint"]]

    run(test, couriers={"browser": push}, addresses_max=2)


def test_without_web_push_there_is_no_key() -> None:
    async def test(office: Office) -> None:
        await office.ask("GET", "/v1/push/key", status=404)

    run(test)


def test_people_mute_a_category_on_a_courier() -> None:
    async def test(office: Office) -> None:
        anna = Someone(office.node, "anna")
        await office.address("anna")
        muted = {"muted": {"couriers": {"mail": ["ads"]}}}
        answer = await anna.ask("PUT", "/v1/preferences", muted)
        assert answer.json["muted"]["couriers"] == {"mail": ["ads"]}
        ads = await office.operator.notify(to="anna", category="ads")
        news = await office.operator.notify(to="anna", category="news")
        await office.node.advance(12)
        assert await office.journey(ads["id"]) == {"anna": "skipped muted"}
        assert await office.journey(news["id"]) == {"anna": "sent due"}
        assert (await anna.badge())["unread"] == 2
        for names, status in ((["b", "c"], 200), (["b", "c", "d"], 400)):
            body = {"muted": {"categories": ["a"], "couriers": {"mail": names}}}
            assert (await anna.ask("PUT", "/v1/preferences", body)).status == status

    run(test, mutes_max=3)


def test_plans_are_put_over_the_ones_of_the_settings() -> None:
    async def test(office: Office) -> None:
        await office.address("a")
        shown = await office.ask("GET", "/v1/plans")
        assert (shown["source"], shown["couriers"]) == ("settings", ["mail"])
        at_once = [{"categories": ["now"], "couriers": [{"courier": "mail", "after": 0}]}]
        put = await office.ask("PUT", "/v1/plans", at_once)
        assert (put["source"], put["plans"]) == ("api", at_once)
        assert put["settings"] == shown["plans"]
        now = (await office.operator.notify(to="a", category="now"))["id"]
        other = (await office.operator.notify(to="a"))["id"]
        await office.node.advance(2)
        assert await office.journey(now) == {"a": "sent due"}
        assert await office.journey(other) == {}
        await office.ask("PUT", "/v1/plans", [{"couriers": [{"courier": "no"}]}], status=400)
        await office.ask("PUT", "/v1/plans", [{"couriers": 1}], status=400)
        assert (await office.ask("DELETE", "/v1/plans"))["plans"] == shown["plans"]

    run(test)


# ---- campaigns ----

PRO = "plan = 'pro'"


async def _people(office: Office, count: int = 6) -> None:
    known = {f"p{n}": {"plan": "pro" if n % 2 else "free"} for n in range(count)}
    await office.attributes(**known)
    await office.address(*known)


def test_a_segment_is_counted_fixed_at_its_start_and_reached() -> None:
    async def test(office: Office) -> None:
        await _people(office)
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
        counts = {"delivered_live": 0, "seen": 0, "read": 0}
        assert await office.ask("GET", "/v1/campaigns/sale/counts") == counts
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
        await _people(office)
        body = {"to": {"segment": "plan in ('pro', 'free')"}, "title": "x", "id": "c"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(15)
        assert [await Someone(office.node, f"p{n}").unread() for n in range(6)] == [1] * 6
        assert sorted(parcel.user for parcel in office.mail.accepted) == [f"p{n}" for n in range(6)]
        shown = await office.ask("GET", "/v1/campaigns/c")
        assert (shown["state"], shown["members"]) == ("done", 6)

    run(test, notification_users_max=per_part)


def test_what_a_campaign_has_reached_is_summed_over_its_parts() -> None:
    async def test(office: Office) -> None:
        await _people(office)
        people = [Someone(office.node, f"p{n}") for n in range(6)]
        body = {"to": {"segment": "plan in ('pro', 'free')"}, "title": "x", "id": "c"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(3)
        assert (await office.ask("GET", "/v1/campaigns/c"))["parts"] == 3
        await people[0].mark("seen", "c.0")
        await people[1].mark("read", "c.0")
        await people[5].mark("read", "c.2")
        counts = await office.ask("GET", "/v1/campaigns/c/counts")
        assert counts == {"delivered_live": 0, "seen": 3, "read": 2}
        await office.ask("GET", "/v1/campaigns/none/counts", status=404)

    run(test, notification_users_max=2)


def test_what_a_campaign_holds_is_counted_until_it_is_reviewed() -> None:
    plans = [{"couriers": [{"courier": "mail"}], "keywords": ["prize"]}]

    async def test(office: Office) -> None:
        await _people(office)
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
        await _people(office)
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
        await _people(office, 20)
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
        await _people(office)
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
