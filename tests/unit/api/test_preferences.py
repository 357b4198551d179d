"""What people want to hear of, from outside: mutes that end, quiet hours, what is locked."""

from __future__ import annotations

import pytest

from reddot.codecs.frames import encode_time
from reddot.codecs.plans import clock_of
from reddot.inbox import Prefer, Preferences
from tests.unit.api.office import Office, run
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone


def test_preferences_mute_and_are_given_back() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        await operator.notify(to="anna", category="ad")
        muted = {"categories": ["ad"], "topics": [], "couriers": {}, "until": {}}
        answer = await anna.ask("PUT", "/v1/preferences", {"muted": muted})
        assert answer.json["badge"]["unread"] == 0
        wanted = {"muted": muted, "quiet": None}
        choices = {"couriers": [], "categories": [], "locked": [], "timezone": "UTC"}
        assert await anna.get("/v1/preferences") == wanted | choices
        await node.advance(0.5)
        assert stream.badges()[-1]["unread"] == 0
        assert await anna.ids() != []
        many = {"muted": {"categories": ["a", "b"], "topics": ["c"]}}
        assert (await anna.ask("PUT", "/v1/preferences", many)).code == "field_invalid"
        for names, status in (("b", 200), ("bc", 400)):
            until = dict.fromkeys(names, at(node, 60))
            timed = {"muted": {"categories": ["a", "b"], "until": until}}
            assert (await anna.ask("PUT", "/v1/preferences", timed)).status == status

    run_node(test, mutes_max=2)


def at(node: WireNode, seconds: float) -> str:
    return encode_time(node.clock.wall_ms() + int(seconds * 1000)).decode()


def test_a_mute_ends_by_itself_and_is_pushed() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        await operator.notify(to="anna", category="ad")
        end = at(node, 60)
        answer = await anna.ask("PUT", "/v1/preferences", {"muted": {"until": {"ad": end}}})
        assert answer.json["badge"]["unread"] == 0
        assert answer.json["muted"]["categories"] == ["ad"]
        explained = await operator.get("/v1/users/anna/badge/explain")
        assert explained["muted"]["until"] == {"ad": end}
        exported = await operator.get("/v1/users/anna/export")
        assert exported["preferences"]["muted"]["until"] == {"ad": end}
        await node.advance(1)
        assert stream.badges()[-1]["unread"] == 0
        await node.advance(61)
        assert stream.badges()[-1]["unread"] == 1
        assert (await anna.get("/v1/preferences"))["muted"]["until"] == {}

    run_node(test)


def test_a_mute_that_has_ended_ends_on_read_when_the_timer_lags() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="anna", category="ad")
        body = {"muted": {"until": {"ad": at(node, 60)}}}
        before = (await anna.ask("PUT", "/v1/preferences", body)).json["badge"]
        node.clock.advance(60)
        after = await anna.badge()
        assert (before["unread"], after["unread"]) == (0, 1)
        assert after["as_of"] > before["as_of"]
        stale = await anna.ask("PUT", "/v1/preferences", body)  # What ended says nothing.
        assert (stale.json["badge"]["unread"], stale.json["muted"]["categories"]) == (1, [])

    run_node(test)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"muted": {"categories": ["alarm"]}}, "muted.categories: 'alarm' cannot be muted"),
        ({"muted": {"until": {"alarm": "2027-01-01T00:00:00Z"}}}, "muted.until: 'alarm'"),
        ({"muted": {"couriers": {"mail": ["ad", "alarm"]}}}, "muted.couriers.mail: 'alarm'"),
        ({"muted": {"until": {"ad": "9999-01-01T00:00:00Z"}}}, "more than a year"),
        ({"muted": {"until": {"ad": "0001-01-01T00:00:00+01:00"}, "x": 1}}, "unknown field"),
        ({"muted": {"until": {"ad": "2027-01-01T00:00:00"}}}, "needs an offset"),
        ({"muted": {"until": {"ad": 5}}}, "muted.until"),
        ({"quiet": {"start": "22:00"}}, "missing required field `end`"),
        ({"quiet": {"start": "24:00", "end": "08:00"}}, "quiet.start"),
        ({"quiet": {"start": "08:00", "end": "08:00"}}, "begins when it ends"),
        ({"couriers": []}, "unknown field `couriers`"),
        ({"timezone": "Mars/Olympus"}, "'timezone': 'Mars/Olympus' is no time zone"),
        ({"timezone": ""}, "'timezone': '' is no time zone"),
        ({"timezone": "../etc/passwd"}, "is no time zone that is known here"),
        ({"timezone": 5}, "timezone"),
    ],
)
def test_what_is_wrong_with_preferences_is_said(body: dict[str, object], place: str) -> None:
    async def test(node: WireNode) -> None:
        anna = Someone(node, "anna")
        kept = {
            "muted": {"topics": ["t"]},
            "quiet": {"start": "22:00", "end": "08:00"},
            "timezone": "Asia/Tokyo",
        }
        assert (await anna.ask("PUT", "/v1/preferences", kept)).status == 200
        answer = await anna.ask("PUT", "/v1/preferences", body)
        assert (answer.status, answer.code) == (400, "field_invalid")
        assert place in answer.json["detail"]
        told = await anna.get("/v1/preferences")
        assert (told["quiet"], told["locked"]) == (kept["quiet"], ["alarm"])
        assert (told["muted"]["topics"], told["timezone"]) == (["t"], "Asia/Tokyo")

    run_node(test, locked_categories=["alarm"])


def test_a_mute_that_ended_long_ago_is_none() -> None:
    async def test(node: WireNode) -> None:
        anna = Someone(node, "anna")
        body = {"muted": {"until": {"ad": "0001-01-01T00:00:00+01:00"}}}
        answer = await anna.ask("PUT", "/v1/preferences", body)
        assert (answer.status, answer.json["muted"]["categories"]) == (200, [])

    run_node(test)


def test_what_is_locked_counts_and_a_mute_of_before_is_forgotten() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="anna", category="alarm")
        stored = Preferences(frozenset({"alarm", "ad"}), couriers=frozenset({("mail", "alarm")}))
        await node.node.inboxes._change(Prefer(user="anna", preferences=stored))
        assert (await anna.badge())["unread"] == 1
        muted = {"categories": ["ad"], "topics": [], "couriers": {}, "until": {}}
        told = await anna.get("/v1/preferences")
        assert (told["muted"], told["categories"]) == (muted, ["alarm"])
        assert (await operator.get("/v1/users/anna/badge/explain"))["muted"] == muted
        assert (await anna.ask("PUT", "/v1/preferences", {"muted": told["muted"]})).status == 200

    run_node(test, locked_categories=["alarm"])


def test_people_have_quiet_hours_of_their_own() -> None:
    """By their own clock; urgent ones pass, and so do those of a locked category."""

    async def test(office: Office) -> None:
        anna = Someone(office.node, "anna")
        await office.address("anna")
        zone = {"timezone": "Asia/Shanghai"}
        await office.ask("PUT", "/v1/users/anna/attributes", zone)
        now_ms = office.node.clock.wall_ms() + 8 * 3_600_000
        start, end = (clock_of(now_ms // 60_000 % 1440), clock_of((now_ms // 60_000 + 2) % 1440))
        answer = await anna.ask("PUT", "/v1/preferences", {"quiet": {"start": start, "end": end}})
        assert answer.json["quiet"] == {"start": start, "end": end}
        assert (answer.json["timezone"], answer.json["couriers"]) == ("Asia/Shanghai", ["mail"])
        held = await office.operator.notify(to="anna")
        urgent = await office.operator.notify(to="anna", priority="urgent")
        locked = await office.operator.notify(to="anna", category="alarm")
        await office.node.advance(12)
        assert await office.journey(held["id"]) == {"anna": "pending quiet_hours"}
        assert await office.journey(urgent["id"]) == {"anna": "sent due"}
        assert await office.journey(locked["id"]) == {"anna": "sent due"}
        await office.node.advance(120)
        assert await office.journey(held["id"]) == {"anna": "sent due"}

    run(test, locked_categories=["alarm"])


def test_people_say_where_their_clock_is() -> None:
    """It wins over what the operator knows, until they take it back."""

    async def test(office: Office) -> None:
        anna = Someone(office.node, "anna")
        await office.address("anna")
        await office.ask("PUT", "/v1/users/anna/attributes", {"timezone": "Asia/Shanghai"})
        now_ms = office.node.clock.wall_ms() + 9 * 3_600_000
        start, end = (clock_of(now_ms // 60_000 % 1440), clock_of((now_ms // 60_000 + 2) % 1440))
        quiet = {"quiet": {"start": start, "end": end}}
        for body, told in (
            (quiet, "Asia/Shanghai"),
            ({"timezone": "Asia/Tokyo"} | quiet, "Asia/Tokyo"),
            (quiet, "Asia/Tokyo"),  # Who leaves it out does not speak of it.
        ):
            answer = await anna.ask("PUT", "/v1/preferences", body)
            assert answer.json["timezone"] == told
        await office.ask("PUT", "/v1/users/anna/attributes", {"timezone": "Asia/Shanghai", "a": 1})
        exported = await office.operator.get("/v1/users/anna/export")
        assert exported["preferences"]["timezone"] == "Asia/Tokyo"
        held = await office.operator.notify(to="anna")
        await office.node.advance(12)
        assert await office.journey(held["id"]) == {"anna": "pending quiet_hours"}
        answer = await anna.ask("PUT", "/v1/preferences", {"timezone": None} | quiet)
        assert answer.json["timezone"] == "Asia/Shanghai"
        sent = await office.operator.notify(to="anna")
        await office.node.advance(12)
        assert await office.journey(sent["id"]) == {"anna": "sent due"}

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
