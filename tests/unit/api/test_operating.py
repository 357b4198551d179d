"""What operators are told, and what they do: a whole node, real routes; time is fake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from reddot.api.readings import COLUMNS, ROWS_MAX
from reddot.api.recent_errors import ENTRIES_MAX, TEXT_CHARS_MAX, RecentErrors
from reddot.counters import TRANSPORTS
from reddot.testing import FakeClock
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone

WIRE: Final = Path(__file__).parents[3] / "docs" / "reference" / "wire.md"


async def publish(someone: Someone, topic: str, data: Any = 1, **more: Any) -> None:
    answer = await someone.ask("POST", "/v1/publish", {"topic": topic, "data": data} | more)
    assert answer.status in (200, 202), answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/stats"),
        ("GET", "/v1/sessions"),
        ("POST", "/v1/sessions/x/disconnect"),
        ("POST", "/v1/users/anna/disconnect"),
        ("GET", "/v1/topics"),
        ("GET", "/v1/errors"),
        ("GET", "/v1/settings"),
        ("POST", "/v1/tokens"),
        ("POST", "/v1/keys"),
        ("POST", "/v1/console/links"),
        ("GET", "/v1/console/session"),
    ],
)
def test_it_is_for_administrators_and_described(method: str, path: str) -> None:
    async def test(node: WireNode) -> None:
        anna = Someone(node, "anna")
        assert (await anna.ask(method, path)).status == 403
        (anonymous,) = await node.ask(f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert anonymous.status == 401
        described = (await anna.ask("GET", "/openapi.json")).json["paths"]
        known = path.replace("/x/", "/{id}/").replace("/anna/", "/{user}/")
        assert described[known][method.lower()]["summary"]
        assert f"`{method} {known}" in WIRE.read_text(encoding="utf-8")

    run_node(test)


# ---- figures ----


def test_figures_are_the_counters_and_a_row_for_each_second() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        await operator.listen("sse", "?topic=a")
        await node.advance(1)
        for _ in range(3):
            await publish(operator, "a")
        await publish(operator, "a", ephemeral=True)
        await operator.ask("GET", "/v1/nothing")
        await operator.ask("POST", "/v1/publish", {"topic": "#", "data": 1})
        await node.advance(1)
        stats = await operator.get("/v1/stats")
        assert (stats["ready"], stats["reason"], stats["head"]) == (True, None, 3)
        assert stats["uptime_s"] == 2
        assert stats["counters"]["published_durable"] == 3
        assert stats["rejected"] == {"topic_invalid": 1}
        assert list(stats["transports"]) == list(TRANSPORTS)
        assert stats["transports"]["sse"]["sessions"] == 1
        samples = stats["samples"]
        assert samples["columns"] == [*COLUMNS, "sessions"]
        assert (samples["last"], len(samples["rows"])) == (2, 2)
        row = dict(zip(samples["columns"], samples["rows"][-1], strict=True))
        assert (row["published"], row["delivered.sse"], row["refused"]) == (4, 4, 1)
        assert (row["notifications"], row["sessions"]) == (0, 1)
        assert row["bytes_out"] > 0

    run_node(test)


def test_only_fresh_rows_are_told_and_old_ones_go() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        await node.advance(3)
        assert len((await operator.get("/v1/stats?since=1"))["samples"]["rows"]) == 2
        assert (await operator.get("/v1/stats?since=3"))["samples"]["rows"] == []
        # A number of a start before this one.
        assert len((await operator.get("/v1/stats?since=9"))["samples"]["rows"]) == 3
        await node.advance(ROWS_MAX)
        samples = (await operator.get("/v1/stats"))["samples"]
        assert (samples["last"], len(samples["rows"])) == (ROWS_MAX + 3, ROWS_MAX)
        for wrong in ("-1", "x", "1" * 30):
            assert (await operator.ask("GET", f"/v1/stats?since={wrong}")).status == 400

    run_node(test)


def test_a_node_that_drains_says_so() -> None:
    async def test(node: WireNode) -> None:
        node.node.draining = True
        stats = await Someone(node, None).get("/v1/stats")
        assert (stats["ready"], stats["reason"]) == (False, "draining")

    run_node(test)


# ---- sessions ----


def test_sessions_are_found_ordered_and_cut() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await anna.listen("sse", "?topic=a/b")
        await node.advance(1)
        await anna.listen("ws", "?topic=a/%2B")
        await node.advance(1)
        await operator.listen("iframe", "?topic=c")

        async def found(query: str) -> list[str]:
            answer = await operator.get(f"/v1/sessions{query}")
            return [one["transport"] for one in answer["sessions"]]

        assert await found("") == ["sse", "websocket", "iframe"]
        assert await found("?order=newest") == ["iframe", "websocket", "sse"]
        assert await found("?order=newest&limit=2") == ["iframe", "websocket"]
        assert await found("?user=anna") == ["sse", "websocket"]
        assert await found("?transport=websocket") == ["websocket"]
        assert await found("?topic=a/b") == ["sse", "websocket"]
        assert await found("?topic=a/c") == ["websocket"]
        await publish(operator, "c", "x" * 5000)
        assert (await found("?order=bytes"))[0] == "iframe"
        (only,) = (await operator.get("/v1/sessions?limit=1"))["sessions"]
        assert (only["user"], only["lag"], only["age_s"]) == ("anna", 0, 2)
        assert (await operator.get("/v1/sessions?limit=1"))["count"] == 3
        for wrong in ("order=x", "transport=x", "limit=0", "limit=1001"):
            assert (await operator.ask("GET", f"/v1/sessions?{wrong}")).status == 400, wrong

    run_node(test)


def test_a_session_that_does_not_read_falls_behind() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        stream = await operator.listen("sse", "?topic=a")
        stream.transport.protocol.pause_writing()
        for _ in range(3):
            await publish(operator, "a")
        await operator.listen("sse", "?topic=a")
        answer = await operator.get("/v1/sessions?order=lag")
        shown = [(one["state"], one["lag"]) for one in answer["sessions"]]
        assert shown == [("paused", 3), ("live", 0)]

    run_node(test)


def test_one_session_is_ended_and_the_others_stay() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        first = await anna.listen()
        await anna.listen()
        sessions = (await operator.get("/v1/sessions"))["sessions"]
        path = f"/v1/sessions/{sessions[0]['id']}/disconnect"
        assert (await operator.ask("POST", path)).status == 204
        assert first.frames()[-1]["type"] == "reconnect"
        assert (await operator.get("/v1/sessions"))["sessions"] == sessions[1:]
        assert (await operator.ask("POST", path)).status == 404

    run_node(test)


def test_notifications_that_wait_are_told_apart() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        await operator.notify(to="anna", title="Now")
        await operator.notify(to="anna", title="Later", publish_at="2026-06-01T00:00:00Z")
        sent = (await operator.get("/v1/notifications"))["items"]
        assert [one["data"]["title"] for one in sent] == ["Now"]
        (waiting,) = (await operator.get("/v1/notifications?state=scheduled"))["items"]
        assert (waiting["data"]["title"], waiting["state"]) == ("Later", "scheduled")
        assert waiting["publish_at"] == "2026-06-01T00:00:00.000Z"
        assert (await operator.ask("GET", "/v1/notifications?state=live")).status == 400

    run_node(test)


# ---- topics ----


def test_topics_are_told_with_who_hears_them() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        await operator.listen("sse", "?topic=news/%23")
        await operator.listen("ws", "?topic=news/a")
        for topic in ("news/a", "news/a", "news/b", "other"):
            await publish(operator, topic, retain=topic == "news/b")
        page = await operator.get("/v1/topics?prefix=news/")
        assert page["next"] is None
        assert page["items"] == [
            {
                "topic": topic,
                "offset": offset,
                "kept": offset,
                "retained": topic == "news/b",
                "time": "2026-01-01T00:00:00.000Z",
                "subscribers": subscribers,
            }
            for topic, offset, subscribers in (("news/a", 2, 2), ("news/b", 1, 1))
        ]
        first = await operator.get("/v1/topics?limit=2")
        assert [one["topic"] for one in first["items"]] == ["news/a", "news/b"]
        rest = await operator.get(f"/v1/topics?limit=2&after={quote(first['next'])}")
        assert [one["topic"] for one in rest["items"]] == ["other"]
        assert rest["next"] is None
        for limit in (0, 501):
            assert (await operator.ask("GET", f"/v1/topics?limit={limit}")).status == 400

    run_node(test)


# ---- errors ----


def test_what_was_refused_is_told_without_secrets() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        await operator.ask("GET", "/v1/sse?ticket=secret-ticket&topic=a")
        await operator.ask("GET", "/v1/poll?topic=a", token="secret.token.value")
        await operator.ask("GET", "/v1/badge")
        await operator.ask("POST", "/v1/publish", {"topic": "a/#", "data": 1})
        await operator.ask("POST", "/v1/publish", {"topic": "a/#", "data": 1})
        await operator.ask("GET", "/v1/inbox")
        answer = await operator.get("/v1/errors")
        assert "secret" not in json.dumps(answer)
        newest = [(one["code"], one["where"], one["count"]) for one in answer["items"]]
        assert newest == [
            ("forbidden", "/v1/inbox", 1),
            ("topic_invalid", "/v1/publish", 2),
            ("forbidden", "/v1/badge", 1),
            ("unauthorized", "/v1/poll", 1),
            ("unauthorized", "/v1/sse", 1),
        ]
        assert answer["rejected"]["topic_invalid"] == 2

    run_node(test)


def test_errors_are_bounded_and_repetitions_are_one() -> None:
    clock = FakeClock()
    errors = RecentErrors(clock)
    for number in range(ENTRIES_MAX):
        errors.refused("not_found", f"/{number}", "")
    clock.advance(1)
    errors.refused("not_found", "/0", "")
    errors.refused("not_found", "/new" + "x" * 1000, "y" * 1000)
    entries = errors.newest_first()
    assert len(entries) == ENTRIES_MAX
    new, again = entries[0], entries[1]
    assert len(str(new["where"])) == len(str(new["detail"])) == TEXT_CHARS_MAX
    assert (again["where"], again["count"]) == ("/0", 2)
    assert again["first"] != again["last"]
    assert not [one for one in entries if one["where"] == "/1"]  # It had not come for longest.


def test_log_lines_are_told_without_their_traces() -> None:
    errors = RecentErrors(FakeClock())
    errors.logged({"event": "task_failed", "level": "error", "exc_info": True, "task": "x"})
    (entry,) = errors.newest_first()
    assert (entry["kind"], entry["code"], entry["where"], entry["detail"]) == (
        *("logged", "task_failed", "error", "task=x"),
    )


# ---- settings and credentials ----


def test_settings_in_force_are_told_and_secrets_are_not() -> None:
    async def test(node: WireNode) -> None:
        items = (await Someone(node, None).get("/v1/settings"))["items"]
        values = {one["name"]: one["value"] for one in items}
        assert values["sessions_max"] == 77
        assert values["jwt_secret"] == values["api_key"] == "***"
        assert "reddot-testing-secret" not in json.dumps(items)
        assert all(one["help"] and one["group"] for one in items)

    run_node(test, sessions_max=77, api_key=("rk_test_" + "k" * 43,))


def test_passwords_in_addresses_are_masked() -> None:
    from reddot.routes import _without_password

    assert _without_password("postgresql://u:p@h/db?x=@") == "postgresql://***@h/db?x=@"
    assert _without_password("sqlite:///a@b.db") == "sqlite:///a@b.db"
    assert _without_password(5) == 5
    nested = {"hook": {"urls": ("https://u:p@h/", "x")}}
    assert _without_password(nested) == {"hook": {"urls": ["https://***@h/", "x"]}}


def test_a_token_is_signed_and_does_what_it_says() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        wanted = {"user": "anna", "subscribe": ["a/#"], "lifetime_s": 60}
        signed = (await operator.ask("POST", "/v1/tokens", wanted)).json
        anna = Someone(node, "anna")
        answer = await anna.ask("GET", "/v1/poll?topic=a/b", token=signed["token"])
        assert answer.status == 200
        assert (await anna.ask("GET", "/v1/stats", token=signed["token"])).status == 403
        await node.advance(61)
        answer = await anna.ask("GET", "/v1/poll?topic=a/b", token=signed["token"])
        assert answer.json["code"] == "token_expired"

    run_node(test, dev=False)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"user": "a/b"},
        {"user": "a", "subscribe": ["a#"]},
        {"user": "a", "lifetime_s": 0},
        {"user": "a", "lifetime_s": 86_401},
        {"user": "a", "other": 1},
    ],
)
def test_a_token_that_makes_no_sense_is_not_signed(wanted: dict[str, object]) -> None:
    async def test(node: WireNode) -> None:
        answer = await Someone(node, None).ask("POST", "/v1/tokens", wanted)
        assert answer.status == 400

    run_node(test)


def test_a_key_is_made_and_kept_nowhere() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        made = (await operator.ask("POST", "/v1/keys")).json
        again = (await operator.ask("POST", "/v1/keys")).json
        assert made["key"] != again["key"]
        assert made["key"].startswith("rk_")
        assert (await operator.ask("GET", "/v1/stats", token=made["key"])).status == 401

        async def use(other: WireNode) -> None:
            asked = await Someone(other, None).ask("GET", "/v1/stats", token=made["key"])
            keys.append(asked.status)

        other = WireNode(api_key=(made["line"],))
        await other.start()
        await use(other)
        await other.stop()

    keys: list[int] = []
    run_node(test)
    assert keys == [200]
