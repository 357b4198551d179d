"""The claim `since`: whichever way somebody comes first, the past of everyone is not theirs."""

from __future__ import annotations

import pytest

from tests.wire.node import WireNode, run_node
from tests.wire.people import STREAMS, Someone


async def two_to_everyone(node: WireNode) -> int:
    """One, ten seconds, another; a second between them, since 1970."""
    operator = Someone(node, None)
    await operator.notify(to="everyone", id="old")
    await node.advance(10)
    between = node.clock.wall_ms() // 1000 - 5
    await operator.notify(to="everyone", id="new")
    return between


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/badge"),
        ("GET", "/v1/inbox"),
        ("GET", "/v1/follows"),
        ("PUT", "/v1/follows/news"),
        ("GET", "/v1/poll"),
    ],
)
def test_every_first_question_is_answered_with_the_right_badge(method: str, path: str) -> None:
    async def test(node: WireNode) -> None:
        since = await two_to_everyone(node)
        anna = Someone(node, "anna", since_s=since, subscribe=("news",))
        answer = (await anna.ask(method, path)).json
        assert answer.get("badge", answer)["unread"] == 1
        assert await anna.ids() == ["new"]
        # It holds from then on, also for a credential that does not say it.
        assert await Someone(node, "anna").unread() == 1
        assert await Someone(node, "bert").unread() == 2

    run_node(test)


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_begins_with_the_right_badge(kind: str) -> None:
    async def test(node: WireNode) -> None:
        since = await two_to_everyone(node)
        stream = await Someone(node, "anna", since_s=since).listen(kind)
        (sync,) = stream.take()
        assert sync["badge"]["unread"] == 1

    run_node(test)


def test_it_is_written_once() -> None:
    async def test(node: WireNode) -> None:
        anna = Someone(node, "anna", since_s=await two_to_everyone(node))
        await anna.unread()
        head = node.node.store.head
        for _ in range(3):
            await anna.unread()
            await anna.ids()
        node.node.boxes.lost()
        assert await anna.unread() == 1
        assert node.node.store.head == head
        operator = Someone(node, None)
        told = await operator.get("/v1/users/anna/badge/explain")
        (everyone,) = [one for one in told["topics"] if one["topic"] == "everyone"]
        assert (everyone["total"], everyone["unread"]) == (1, 1)
        assert (await operator.get("/v1/users/anna/export"))["since"] is not None

    run_node(test)


def test_nobody_writes_while_nothing_went_to_everyone() -> None:
    async def test(node: WireNode) -> None:
        now = node.clock.wall_ms() // 1000
        assert await Someone(node, "anna", since_s=now).unread() == 0
        assert node.node.store.head == 0

    run_node(test)
