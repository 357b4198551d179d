"""The red dot from outside: a whole node, real routes, every transport; time is fake."""

from __future__ import annotations

import json

import pytest

from tests.wire.node import WireNode, run_node
from tests.wire.people import STREAMS, Someone, unread_of
from tests.wire.transport import settle


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_begins_with_the_badge_and_hears_every_change(kind: str) -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        first = await operator.notify(to="anna", category="mention")
        stream = await anna.listen(kind)
        (sync,) = stream.take()
        assert sync["badge"] == {
            "as_of": 1,
            "unread": 1,
            "unseen": 1,
            "by_category": {"mention": 1},
        }
        await operator.notify(to="anna", title="Again")
        await node.advance(0.5)
        publication, badge = stream.take()
        assert publication["data"] == {"title": "Again", "category": "general"}
        assert publication["event"] == "notification"
        assert unread_of(badge) == (2, 2)
        assert badge["by_category"] == {"general": 1, "mention": 1}
        answered = await anna.mark("read", first["id"], publication["id"])
        assert unread_of(answered) == (0, 0)
        await node.advance(0.5)
        (badge,) = stream.take()
        assert (badge.pop("type"), badge) == ("badge", answered)

    run_node(test)


def test_a_stream_without_the_inbox_hears_no_badge() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen("sse", "?topic=a&inbox=false")
        await operator.notify(to="anna")
        await node.advance(1)
        (sync,) = stream.take()
        assert "badge" not in sync

    run_node(test)


def test_badges_of_a_burst_are_one_frame_per_interval_and_the_last_is_sent() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        for _ in range(30):
            await operator.notify(to="anna")
        await node.advance(1)
        counts = [badge["unread"] for badge in stream.badges()]
        assert counts[-1] == 30
        assert len(counts) <= 2

    run_node(test)


def test_a_late_answer_never_wins() -> None:
    """What a client keeps is the badge with the greatest `as_of`, however they overtake."""

    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        sent = await operator.notify(to="anna")
        late = await anna.badge()  # Asked now, and arriving after what is pushed below.
        await anna.mark("read", sent["id"])
        await node.advance(0.5)
        arrived = [*stream.badges(), late]
        kept = {"as_of": -1}
        for badge in arrived:
            if badge["as_of"] > kept["as_of"]:
                kept = badge
        assert (late["unread"], kept["unread"]) == (1, 0)
        assert late["as_of"] < kept["as_of"]

    run_node(test)


def test_every_session_of_a_user_hears_zero() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        streams = [await anna.listen(kind) for kind in STREAMS]
        sent = await operator.notify(to="anna")
        await node.advance(0.5)
        await anna.mark("read", sent["id"])
        await node.advance(0.5)
        assert [[b["unread"] for b in stream.badges()] for stream in streams] == [[1, 0]] * 3

    run_node(test)


def test_polls_carry_the_badge_and_hear_of_a_mark_made_elsewhere() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        sent = await operator.notify(to="anna")
        first = await anna.get("/v1/poll")
        assert unread_of(first["badge"]) == (1, 1)
        cursor = first["cursor"]
        answer = await anna.ask("GET", "/v1/poll", None, f'if-none-match: "{cursor}"')
        assert answer.status == 304
        await anna.mark("read", sent["id"])
        answer = await anna.ask("GET", "/v1/poll", None, f'if-none-match: "{cursor}"')
        assert (answer.status, answer.json["publications"]) == (200, [])
        assert unread_of(answer.json["badge"]) == (0, 0)
        again = await anna.ask("GET", f"/v1/poll?cursor={answer.json['cursor']}")
        assert again.status == 304

    run_node(test)


def test_a_long_poll_is_answered_by_a_notification_and_by_a_badge_alone() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        cursor = (await anna.get("/v1/poll"))["cursor"]
        waiting = node.connect()
        waiting.feed(anna.request("GET", f"/v1/longpoll?cursor={cursor}"))
        await settle()
        assert not waiting.sent
        sent = await operator.notify(to="anna")
        await settle()
        body = json.loads(bytes(waiting.sent).partition(b"\r\n\r\n")[2])
        assert [p["id"] for p in body["publications"]] == [sent["id"]]
        assert unread_of(body["badge"]) == (1, 1)
        waiting.sent.clear()
        waiting.feed(anna.request("GET", f"/v1/longpoll?cursor={body['cursor']}"))
        await settle()
        assert not waiting.sent
        await anna.mark("archived", sent["id"])
        await node.advance(0.5)
        body = json.loads(bytes(waiting.sent).partition(b"\r\n\r\n")[2])
        assert body["publications"] == []
        assert unread_of(body["badge"]) == (0, 0)

    run_node(test)


def test_the_badge_route_has_an_etag() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        answer = await anna.ask("GET", "/v1/badge")
        assert answer.json == {"as_of": 0, "unread": 0, "unseen": 0, "by_category": {}}
        await operator.notify(to="anna")
        answer = await anna.ask("GET", "/v1/badge", None, f"if-none-match: {answer.fields['etag']}")
        assert answer.json["unread"] == 1
        again = await anna.ask("GET", "/v1/badge", None, f"if-none-match: {answer.fields['etag']}")
        assert (again.status, again.fields["etag"]) == (304, answer.fields["etag"])
        await operator.notify(to="bert")
        again = await anna.ask("GET", "/v1/badge", None, f"if-none-match: {answer.fields['etag']}")
        assert again.status == 304
        assert (await operator.ask("GET", "/v1/badge")).code == "forbidden"

    run_node(test)


def test_a_follow_while_connected_brings_the_topic_at_once() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        await operator.notify(to="news/a", id="before")
        assert (await anna.follow("news/a"))["unread"] == 0
        await operator.notify(to="news/a", id="while")
        await node.advance(0.5)
        assert stream.ids() == ["while"]
        assert stream.badges()[-1]["unread"] == 1
        assert (await anna.get("/v1/follows"))["follows"] == ["news/a"]
        await anna.unfollow("news/a")
        await operator.notify(to="news/a", id="after")
        await node.advance(0.5)
        assert stream.ids() == ["while"]
        assert stream.badges()[-1]["unread"] == 0
        again = await anna.listen()
        assert again.take()[0]["badge"]["unread"] == 0

    run_node(test)


def test_a_follow_is_there_after_a_reconnect_with_what_was_missed() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await anna.follow("news/a")
        cursor = (await anna.get("/v1/poll"))["cursor"]
        await operator.notify(to="news/a", id="missed")
        stream = await anna.listen("sse", f"?cursor={cursor}")
        assert stream.ids() == ["missed"]

    run_node(test)


def test_who_follows_needs_the_right_to_subscribe() -> None:
    async def test(node: WireNode) -> None:
        anna = Someone(node, "anna", subscribe=["news/#"])
        assert (await anna.ask("PUT", "/v1/follows/news/a")).status == 200
        assert (await anna.ask("PUT", "/v1/follows/secret/a")).code == "forbidden"
        assert (await anna.ask("PUT", "/v1/follows/everyone")).code == "field_invalid"
        assert (await anna.ask("PUT", "/v1/follows/users/bert")).code == "field_invalid"
        assert (await anna.ask("PUT", "/v1/follows/a%2B")).code == "topic_invalid"
        wrong = await anna.ask("PUT", "/v1/follows/news/b?backfill=101")
        assert wrong.code == "field_invalid"

    run_node(test, topics=[{"filter": "secret/#", "subscribe": "deny"}])


def test_who_may_notify() -> None:
    async def test(node: WireNode) -> None:
        anna = Someone(node, "anna", publish=["news/#", "users/bert/#"])
        body = {"to": {"topic": "news/a"}, "title": "x"}
        assert (await anna.ask("POST", "/v1/notifications", body)).status == 201
        body = {"to": {"users": ["bert"]}, "title": "x"}
        assert (await anna.ask("POST", "/v1/notifications", body)).status == 201
        for to in ({"users": ["carl"]}, {"everyone": True}, {"topic": "$inbox"}):
            answer = await anna.ask("POST", "/v1/notifications", {"to": to, "title": "x"})
            assert answer.code == "forbidden"
        for method, path in [("GET", "/v1/notifications"), ("DELETE", "/v1/notifications/x")]:
            assert (await anna.ask(method, path)).code == "forbidden"

    run_node(test, dev=False)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"to": {}, "title": "x"}, "field_invalid"),
        ({"to": {"users": ["a"], "everyone": True}, "title": "x"}, "field_invalid"),
        ({"to": {"users": ["a/b"]}, "title": "x"}, "field_invalid"),
        ({"to": {"users": ["a", "b", "c"]}, "title": "x"}, "batch_too_large"),
        ({"to": {"users": ["a"]}, "title": ""}, "field_invalid"),
        ({"to": {"users": ["a"]}, "title": "x", "priority": "huge"}, "field_invalid"),
        ({"to": {"users": ["a"]}, "title": "x", "ttl": 0}, "field_invalid"),
        ({"to": {"users": ["a"]}, "title": "x", "publish_at": "tomorrow"}, "field_invalid"),
        ({"to": {"users": ["a"]}, "title": "x", "publish_at": "2026-01-02T00:00"}, "field_invalid"),
        (
            {"to": {"users": ["a"]}, "title": "x", "publish_at": "2099-01-02T00:00:00Z"},
            "field_invalid",
        ),
        ({"to": {"users": ["a"]}, "title": "x", "category": "c" * 65}, "field_invalid"),
        ({"to": {"topic": "a/+"}, "title": "x"}, "topic_invalid"),
        ({"to": {"users": ["a"]}, "title": "x", "data": "y" * 70_000}, "data_too_large"),
        ({"to": {"users": ["a"]}, "title": "x", "actions": [{"title": "a"}] * 6}, "field_invalid"),
        ({"to": {"users": ["a"]}, "title": "x", "colour": 1}, "field_invalid"),
    ],
)
def test_a_wrong_notification_is_refused(body: dict[str, object], code: str) -> None:
    async def test(node: WireNode) -> None:
        answer = await Someone(node, None).ask("POST", "/v1/notifications", body)
        assert answer.code == code

    run_node(test, notification_users_max=2)


def test_the_same_id_is_one_notification() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        body = {"to": {"users": ["anna", "bert"]}, "title": "x"}
        key = "idempotency-key: k1"
        first = await operator.ask("POST", "/v1/notifications", body, key)
        again = await operator.ask("POST", "/v1/notifications", body, key)
        assert (first.status, again.status) == (201, 200)
        assert again.json == first.json | {"duplicate": True}
        other = await operator.ask("POST", "/v1/notifications", body | {"title": "y"}, key)
        assert other.code == "id_conflict"
        assert await anna.unread() == 1

    run_node(test)


def test_what_has_expired_is_gone_when_somebody_asks_however_late_the_timer() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="anna", ttl=10)
        await operator.notify(to="everyone", ttl=10)
        assert await anna.unread() == 2
        node.clock.advance(10)
        badge = await anna.badge()
        assert (badge["unread"], badge["as_of"]) == (0, 3)

    run_node(test)


def test_the_timer_takes_what_has_expired_from_who_is_here() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        await operator.notify(to="anna", ttl=10)
        await node.advance(5)
        assert stream.badges()[-1]["unread"] == 1
        await node.advance(7)
        assert stream.badges()[-1]["unread"] == 0

    run_node(test)


def test_a_scheduled_one_goes_out_at_its_time_and_may_expire_after_it() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        at = "2026-01-01T00:01:00Z"
        sent = await operator.notify(to="anna", publish_at=at, ttl=30)
        assert sent["scheduled"]
        found = await operator.get(f"/v1/notifications/{sent['id']}")
        assert (found["state"], found["publish_at"]) == ("scheduled", "2026-01-01T00:01:00.000Z")
        await node.advance(59)
        assert stream.badges() == []
        await node.advance(3)
        assert stream.ids() == [sent["id"]]
        assert stream.badges()[-1]["unread"] == 1
        await node.advance(31)
        assert stream.badges()[-1]["unread"] == 0

    run_node(test)


def test_a_retracted_one_is_gone_live_on_resume_and_in_the_list() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        cursor = (await anna.get("/v1/poll"))["cursor"]
        stream = await anna.listen()
        sent = await operator.notify(to="anna")
        await node.advance(0.5)
        gone = await operator.ask("DELETE", f"/v1/notifications/{sent['id']}")
        assert gone.status == 204
        await node.advance(0.5)
        last = [frame for frame in stream.frames() if frame["type"] == "publication"][-1]
        assert (last["event"], last["data"]) == ("retracted", {"id": sent["id"]})
        assert stream.badges()[-1]["unread"] == 0
        later = await anna.listen("sse", f"?cursor={cursor}")
        assert later.ids() == []
        assert await anna.ids() == []
        assert (await operator.ask("DELETE", "/v1/notifications/none")).code == "not_found"

    run_node(test)


def test_collapsing_shows_one() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        for percent in (10, 50, 90):
            await operator.notify(to="anna", title=f"{percent} %", collapse_key="upload")
            await node.advance(0.5)
        assert [badge["unread"] for badge in stream.badges()] == [1, 1, 1]
        page = await anna.get("/v1/inbox")
        assert [item["data"]["title"] for item in page["items"]] == ["90 %"]

    run_node(test)


def test_mark_all_with_the_cursor_of_the_page_leaves_later_ones() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="anna", id="a", category="x")
        await operator.notify(to="everyone", id="b")
        page = await anna.get("/v1/inbox")
        await operator.notify(to="anna", id="c")
        badge = await anna.mark("read", upto=page["cursor"])
        assert badge["unread"] == 1
        assert await anna.ids("?view=unread") == ["c"]
        assert await anna.ids("?category=x") == ["a"]
        wrong = await anna.ask("POST", "/v1/inbox/mark", {"as": "read", "upto": "1q83vEw.1"})
        assert wrong.code == "cursor_invalid"

    run_node(test)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"as": "read"}, "field_invalid"),
        ({"as": "read", "ids": ["a"], "upto": "x"}, "cursor_invalid"),
        ({"as": "eaten", "ids": ["a"]}, "field_invalid"),
        ({"as": "read", "ids": ["a"], "category": "c"}, "field_invalid"),
        ({"as": "read", "ids": ["a", "b", "c"]}, "batch_too_large"),
        ({"as": "read", "ids": ["a"], "op_id": "\n"}, "field_invalid"),
    ],
)
def test_a_wrong_mark_is_refused(body: dict[str, object], code: str) -> None:
    async def test(node: WireNode) -> None:
        assert (await Someone(node, "a").ask("POST", "/v1/inbox/mark", body)).code == code

    run_node(test, mark_ids_max=2)


def test_an_operation_is_done_once() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await operator.notify(to="anna", id="a")
        first = await anna.mark("read", "a", op_id="1")
        await anna.mark("unread", "a", op_id="2")
        again = await anna.mark("read", "a", op_id="1")
        assert (first["unread"], again["unread"]) == (0, 1)
        body = {"as": "unread", "ids": ["a"], "op_id": "1"}
        assert (await anna.ask("POST", "/v1/inbox/mark", body)).code == "id_conflict"

    run_node(test)


def test_marking_over_a_websocket() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen("ws")
        await operator.notify(to="anna", id="a")
        await node.advance(0.5)
        stream.take()
        stream.send({"type": "mark", "as": "read", "ids": ["a"], "ref": 7})
        await node.advance(0.5)
        answers = {frame["type"]: frame for frame in stream.take()}
        assert answers["ok"]["ref"] == 7
        assert answers["ok"]["badge"]["unread"] == answers["badge"]["unread"] == 0
        stream.send({"type": "mark", "as": "read", "ref": 8})
        await settle()
        (refused,) = stream.take()
        assert (refused["ref"], refused["code"]) == (8, "field_invalid")

    run_node(test)


def test_authorizing_a_websocket_brings_the_inbox() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await anna.follow("news/a")
        await operator.notify(to="news/a")
        stream = await Someone(node, None).listen("ws", "?topic=x")
        stream.take()
        stream.send({"type": "auth", "token": anna.token})
        await settle()
        (ok,) = stream.take()
        assert ok["badge"]["unread"] == 1
        await operator.notify(to="news/a", id="live")
        await node.advance(0.5)
        assert stream.ids() == ["live"]
        assert stream.badges()[-1]["unread"] == 2

    run_node(test)


def test_a_session_that_could_not_take_a_badge_gets_it_when_it_drains() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        stream.transport.blocked = True
        for _ in range(3):
            await operator.notify(to="anna", data="x" * 30_000)
        await node.advance(0.5)
        assert stream.badges() == []
        stream.transport.drain()
        await node.advance(0.5)
        assert len(stream.ids()) == 3
        assert stream.badges()[-1]["unread"] == 3

    run_node(test)


def test_the_operator_sees_what_was_sent_and_why_a_badge_is_what_it_is() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await anna.listen()
        sent = await operator.notify(to=["anna", "bert"])
        await operator.notify(to="everyone")
        await anna.mark("read", sent["id"])
        found = await operator.get(f"/v1/notifications/{sent['id']}")
        assert found["counts"] == {"seen": 1, "read": 1, "delivered_live": 1}
        assert found["topics"] == ["users/anna", "users/bert"]
        listed = await operator.get("/v1/notifications?limit=1")
        assert len(listed["items"]) == 1
        more = await operator.get(f"/v1/notifications?limit=5&before={listed['next']}")
        assert [one["id"] for one in more["items"]] == [sent["id"]]
        explained = await operator.get("/v1/users/anna/badge/explain")
        assert explained["badge"]["unread"] == 1
        topics = {topic.pop("topic"): topic for topic in explained["topics"]}
        assert (topics["everyone"]["unread"], topics["users/anna"]["read"]) == (1, 1)

    run_node(test)


def test_export_and_erase() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await anna.follow("news/a")
        await operator.notify(to="anna", title="Secret")
        stream = await anna.listen()
        told = await operator.get("/v1/users/anna/export")
        assert told["follows"] == ["news/a"]
        assert [item["data"]["title"] for item in told["inbox"]] == ["Secret"]
        assert (await operator.ask("DELETE", "/v1/users/anna")).status == 204
        await node.advance(0.5)
        assert stream.badges()[-1]["unread"] == 0
        told = await operator.get("/v1/users/anna/export")
        assert (told["follows"], told["inbox"], told["preferences"]) == ([], [], None)
        assert (await anna.ask("DELETE", "/v1/users/anna")).code == "forbidden"

    run_node(test)


def test_sessions_history_search_and_disconnect() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        stream = await anna.listen()
        (session,) = (await operator.get("/v1/sessions"))["sessions"]
        assert (session["user"], session["transport"], session["state"]) == ("anna", "sse", "live")
        for title in ("Disk full", "All well"):
            await operator.notify(to="anna", title=title)
        history = await anna.get("/v1/topics/users/anna/history?limit=1")
        assert [one["data"]["title"] for one in history["items"]] == ["All well"]
        older = await anna.get(f"/v1/topics/users/anna/history?before={history['next']}")
        assert [one["offset"] for one in older["items"]] == [1]
        assert (await anna.ask("GET", "/v1/topics/users/bert/history")).code == "forbidden"
        found = await anna.get("/v1/inbox?q=disk")
        assert [item["data"]["title"] for item in found["items"]] == ["Disk full"]
        answer = await operator.ask("POST", "/v1/users/anna/disconnect")
        assert answer.json == {"sessions": 1}
        assert stream.frames()[-1]["type"] == "reconnect"
        assert (await operator.get("/v1/sessions"))["sessions"] == []

    run_node(test)


def test_pages_of_the_inbox_follow_each_other() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        for number in range(5):
            await operator.notify(to="anna", id=f"n{number}")
        page = await anna.get("/v1/inbox?limit=2")
        assert [item["id"] for item in page["items"]] == ["n4", "n3"]
        page = await anna.get(f"/v1/inbox?limit=9&before={page['next']}")
        assert [item["id"] for item in page["items"]] == ["n2", "n1", "n0"]
        assert page["next"] is None
        for query in ("limit=0", "limit=101", "view=some", "before=x"):
            assert (await anna.ask("GET", f"/v1/inbox?{query}")).code == "field_invalid"

    run_node(test)
