"""Who is there, asked over HTTP: sessions of every kind, rights, the topic's rule, pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.wire.node import WireNode, run_node
from tests.wire.people import STREAMS, Someone
from tests.wire.transport import settle

RULES = [
    {"filter": "rooms/#", "presence": True},
    {"filter": "secret/#", "presence": True, "subscribe": "deny"},
]


def presence(topic: str, query: str = "") -> str:
    return f"/v1/topics/{quote(topic)}/presence{query}"


def test_sessions_are_counted_by_user_whatever_their_transport_and_filter() -> None:
    async def test(node: WireNode) -> None:
        anna, bert = Someone(node, "anna"), Someone(node, "bert")
        for kind in STREAMS:
            await anna.listen(kind, "?topic=rooms/1")
        wild = await bert.listen("sse", "?topic=rooms/%2B&inbox=false")
        await bert.listen("sse", "?topic=rooms/2")
        node.connect().feed(b"GET /v1/sse?topic=rooms/%23 HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await anna.get(presence("rooms/1")) == {
            "topic": "rooms/1",
            "users": {"anna": len(STREAMS), "bert": 1},
            "count": 2,
            "anonymous": 1,
            "next": None,
        }
        wild.transport.reset()
        await settle()
        assert (await anna.get(presence("rooms/1")))["users"] == {"anna": len(STREAMS)}
        assert (await anna.get(presence("rooms/3")))["users"] == {}

    run_node(test, topics=RULES)


def test_one_who_reads_slowly_is_there() -> None:
    async def test(node: WireNode) -> None:
        anna = Someone(node, "anna")
        stream = await anna.listen("sse", "?topic=rooms/1")
        stream.transport.get_protocol().pause_writing()
        (session,) = node.node.subscribing.sessions.values()
        assert session.state.value == "paused"
        assert (await anna.get(presence("rooms/1")))["users"] == {"anna": 1}

    run_node(test, topics=RULES)


def test_pages_follow_each_other() -> None:
    async def test(node: WireNode) -> None:
        names = [f"user{number}" for number in range(5)]
        for name in reversed(names):
            await Someone(node, name).listen("sse", "?topic=rooms/1")
        anna = Someone(node, "anna")
        page = await anna.get(presence("rooms/1", "?limit=2"))
        assert (list(page["users"]), page["count"]) == (names[:2], 5)
        page = await anna.get(presence("rooms/1", f"?limit=3&after={page['next']}"))
        assert (list(page["users"]), page["count"], page["next"]) == (names[2:], 5, None)
        for query in ("?limit=0", "?limit=1001", "?limit=x"):
            assert (await anna.ask("GET", presence("rooms/1", query))).code == "field_invalid"

    run_node(test, topics=RULES)


@pytest.mark.parametrize(
    ("topic", "code"),
    [("plain", "not_found"), ("secret/1", "forbidden"), ("users/bert", "forbidden")],
)
def test_who_may_not_ask(topic: str, code: str) -> None:
    async def test(node: WireNode) -> None:
        anna: Any = Someone(node, "anna")
        assert (await anna.ask("GET", presence(topic))).code == code

    run_node(test, topics=RULES)
