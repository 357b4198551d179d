"""Follows and rights: a follow holds until somebody ends it; the badge is what the list shows."""

from __future__ import annotations

import pytest

from reddot.testing import DEV_SECRET
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone


def test_a_follow_outlives_the_credential_and_the_badge_is_the_list() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        granted = Someone(node, "anna", subscribe=("ops/#",))
        await granted.follow("ops/disk")
        sent = await operator.notify(to={"topic": "ops/disk"})
        revoked = Someone(node, "anna")
        assert (await revoked.unread(), await revoked.ids("?view=unread")) == (1, [sent["id"]])
        assert (await revoked.ask("PUT", "/v1/follows/ops/cpu")).code == "forbidden"
        # Nothing of it comes live: that is what the credential of a stream is asked for.
        stream = await revoked.listen()
        await operator.notify(to={"topic": "ops/disk"}, id="second")
        await node.advance(0.5)
        assert "second" not in stream.ids()
        assert stream.badges()[-1]["unread"] == 2
        assert await revoked.ids() == ["second", sent["id"]]

    run_node(test, dev=False, jwt_secret=DEV_SECRET)


def test_an_operator_ends_a_follow_and_everybody_hears_of_it() -> None:
    async def test(node: WireNode) -> None:
        operator = Someone(node, None)
        anna = Someone(node, "anna", subscribe=("ops/#",))
        await anna.follow("ops/disk")
        stream = await anna.listen()
        await operator.notify(to={"topic": "ops/disk"})
        await node.advance(0.5)
        path = "/v1/users/anna/follows"
        told = await operator.get(path)
        assert (told["follows"], told["badge"]["unread"]) == (["ops/disk"], 1)
        answer = await operator.ask("DELETE", f"{path}/ops/disk")
        assert (answer.status, answer.json["unread"]) == (200, 0)
        await operator.notify(to={"topic": "ops/disk"}, id="after")
        await node.advance(0.5)
        assert stream.badges()[-1]["unread"] == 0
        assert "after" not in stream.ids()
        assert await anna.ids() == []

    run_node(test, dev=False, jwt_secret=DEV_SECRET)


def test_an_operator_makes_somebody_follow() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        sent = await operator.notify(to={"topic": "ops/disk"})
        path = "/v1/users/anna/follows/ops/disk?backfill=1"
        answer = await operator.ask("PUT", path)
        assert (answer.status, answer.json["unread"]) == (200, 1)
        assert await anna.ids() == [sent["id"]]
        for method in ("PUT", "DELETE"):
            assert (await anna.ask(method, path)).code == "forbidden"
        assert (await anna.ask("GET", "/v1/users/anna/follows")).code == "forbidden"
        assert (await operator.ask("PUT", "/v1/users/anna/follows/users/b")).code == "field_invalid"

    run_node(test, dev=False, jwt_secret=DEV_SECRET)


@pytest.mark.parametrize("kind", ["sse", "ws"])
def test_an_unfollow_leaves_what_a_stream_has_asked_for(kind: str) -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await anna.follow("news/a")
        asking = await anna.listen(kind, "?topic=news/a")
        other = await anna.listen(kind)
        await anna.unfollow("news/a")
        await operator.notify(to="news/a", id="after")
        await node.advance(0.5)
        assert asking.ids() == ["after"]
        assert other.ids() == []

    run_node(test)


def test_what_is_followed_comes_although_a_client_no_longer_asks_for_it() -> None:
    async def test(node: WireNode) -> None:
        operator, anna = Someone(node, None), Someone(node, "anna")
        await anna.follow("news/a")
        stream = await anna.listen("ws")
        for command in ("subscribe", "unsubscribe"):
            stream.send({"type": command, "filters": ["news/a", "news/b"]})
        for topic in ("news/a", "news/b"):
            await operator.notify(to=topic, id=topic)
        await node.advance(0.5)
        assert stream.ids() == ["news/a"]
        await anna.unfollow("news/a")
        await operator.notify(to="news/a", id="after")
        await node.advance(0.5)
        assert stream.ids() == ["news/a"]

    run_node(test)
