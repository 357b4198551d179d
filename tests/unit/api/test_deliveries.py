"""Deliveries from outside: a whole node, real routes; couriers answer as told."""

from __future__ import annotations

from reddot.couriers.vapid import Vapid, VapidKey
from reddot.couriers.web_push import WebPush
from reddot.delivery import Outcome, Parcel
from reddot.net.outbound import Guard, Outbound
from reddot.testing import FakeClock
from tests.sim.post import BAD, BUSY, SENT
from tests.unit.api.office import Office, add_people, run
from tests.wire.people import Someone

SUBSCRIPTION = {
    "endpoint": "https://push.example.net/abc",
    "expirationTime": None,
    "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx"
        "aOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
}


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


def test_dead_letters_are_sent_again_by_what_they_are_of_some_at_a_time() -> None:
    async def test(office: Office) -> None:
        await add_people(office)
        office.mail.answer = lambda parcel: BAD
        await office.operator.notify(to=["p0", "p1"], title="Alone")
        campaign = {"to": {"segment": "plan in ('pro', 'free')"}, "title": "Sale", "id": "sale"}
        await office.ask("POST", "/v1/campaigns", campaign)
        await office.node.advance(16)
        path = "/v1/deliveries/retry"
        office.mail.answer = lambda parcel: SENT
        assert await office.ask("POST", path, {"campaign": "sale", "reason": "timeout"}) == {
            "retried": 0,
            "next": None,
        }
        dead = (await office.ask("GET", "/v1/deliveries?campaign=sale&courier=mail"))["items"]
        assert len(dead) == 6
        first = await office.ask("POST", path, {"campaign": "sale", "limit": 4})
        assert first == {"retried": 4, "next": str(dead[3]["id"])}
        rest = await office.ask("POST", path, {"campaign": "sale", "before": first["next"]})
        assert rest == {"retried": 2, "next": None}
        await office.node.advance(2)
        assert sorted(parcel.user for parcel in office.mail.accepted) == [f"p{n}" for n in range(6)]
        assert await office.ask("POST", path, {"user": "p0", "limit": 1}) == {
            "retried": 1,
            "next": None,
        }
        assert await office.ask("POST", path, {}) == {"retried": 1, "next": None}
        await office.ask("POST", path, {"campaign": "none"}, status=404)
        await office.ask("GET", "/v1/deliveries?campaign=none", status=404)
        refused: list[object] = [
            {"campaigns": "sale"},
            {"limit": 501},
            {"limit": 0},
            {"before": "x"},
        ]
        for wrong in [*refused, []]:
            await office.ask("POST", path, wrong, status=400)
        assert (await Someone(office.node, "p0").ask("POST", path, {})).status == 403

    run(test)


def test_many_held_texts_are_decided_at_once() -> None:
    plans = [{"couriers": [{"courier": "mail"}], "keywords": ["prize"]}]

    async def test(office: Office) -> None:
        await office.address("a")
        ids = [(await office.operator.notify(to="a", title=f"Prize {n}"))["id"] for n in range(3)]
        await office.node.advance(2)
        path = "/v1/deliveries/review"
        wanted = {"approve": True, "notifications": [*ids[:2], "none"]}
        assert await office.ask("POST", path, wanted) == {"decided": 2, "unknown": ["none"]}
        await office.ask("POST", path, {"approve": False, "notifications": ids[2:]})
        await office.node.advance(6)
        assert [await office.journey(id) for id in ids] == [
            {"a": "sent due"},
            {"a": "sent due"},
            {"a": "skipped rejected"},
        ]
        for names in ([], ["n"] * 101):
            wrong = {"approve": True, "notifications": names}
            await office.ask("POST", path, wrong, status=400)

    run(test, deliveries=plans)


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


def test_a_time_zone_that_nobody_knows_is_refused_and_the_one_before_stays() -> None:
    async def test(office: Office) -> None:
        path = "/v1/users/a/attributes"
        known = {"plan": "pro", "timezone": "Asia/Tokyo"}
        await office.attributes(a=known)
        for zone in ("Mars/Base", "localtime", "", "../UTC", "europe berlin", 1, True, ["UTC"]):
            problem = await office.ask("PUT", path, {"timezone": zone}, status=400)
            assert problem["code"] == "field_invalid"
            assert problem["detail"].startswith(f"'timezone': {zone!r} is no time zone")
        assert await office.ask("GET", path) == known
        for nothing in ({"timezone": None}, {"timezones": "Mars/Base"}):
            await office.ask("PUT", path, nothing)

    run(test)


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


class Accepted(WebPush):
    """Web Push whose push service takes everything."""

    def __init__(self) -> None:
        clock = FakeClock()
        vapid = Vapid(VapidKey.make(), subject="mailto:a@example.com", clock=clock)
        super().__init__(outbound=Outbound(Guard(())), vapid=vapid, clock=clock)

    async def send(self, parcel: Parcel) -> Outcome:
        return SENT


def test_a_click_stands_in_the_journey() -> None:
    plans = [{"couriers": [{"courier": "browser"}, {"courier": "mail"}]}]

    async def test(office: Office) -> None:
        anna = Someone(office.node, "anna")
        await office.address("anna")
        await anna.ask("POST", "/v1/push/subscriptions", SUBSCRIPTION)
        sent = await office.operator.notify(to=["anna"])
        await office.node.advance(2)
        path, ids = "/v1/push/clicks", [sent["id"]]
        assert (await anna.ask("POST", path, {"ids": [*ids, "none"]})).status == 204
        found = (await office.ask("GET", f"/v1/notifications/{ids[0]}/deliveries"))["items"]
        clicked = {one["courier"]: one["clicked"] is not None for one in found}
        assert clicked == {"browser": True, "mail": False}
        for wrong in ({"ids": ["n"] * 101}, {"ids": [1]}, {"id": "n"}):
            assert (await anna.ask("POST", path, wrong)).status == 400
        assert (await office.operator.ask("POST", path, {"ids": ids})).status == 403

    run(test, couriers={"browser": Accepted()}, deliveries=plans)


def test_a_campaign_says_how_many_have_clicked() -> None:
    plans = [{"couriers": [{"courier": "browser"}, {"courier": "mail"}]}]

    async def test(office: Office) -> None:
        for user in ("anna", "bob"):
            await office.address(user)
            await Someone(office.node, user).ask("POST", "/v1/push/subscriptions", SUBSCRIPTION)
        body = {"to": {"everyone": True}, "title": "Sale", "id": "sale"}
        await office.ask("POST", "/v1/campaigns", body)
        await office.node.advance(12)
        for _ in range(2):
            await Someone(office.node, "anna").ask("POST", "/v1/push/clicks", {"ids": ["sale"]})
        progress = (await office.ask("GET", "/v1/campaigns/sale"))["progress"]
        sent = {"made": 2, "sent": 2, "open": 0}
        assert progress["totals"] == {"browser": sent | {"clicked": 1}, "mail": sent}
        minutes = {one["state"]: one["time"] for one in progress["minutes"]}
        assert minutes["clicked"] == minutes["sent"]

    run(test, couriers={"browser": Accepted()}, deliveries=plans)


def test_browsers_subscribe_and_their_number_is_limited() -> None:
    push = Accepted()

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
        anna = Someone(office.node, "anna")
        assert (await anna.ask("POST", "/v1/push/clicks", {"ids": ["n"]})).status == 204

    run(test)


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
