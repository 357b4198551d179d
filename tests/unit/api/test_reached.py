"""`delivered_live` of a notification: right at once, and the same after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from reddot.node import Reddot
from reddot.testing import dev_settings
from tests.wire.node import WireNode, run_node
from tests.wire.people import Someone

ID = "n"


async def delivered(node: WireNode) -> Any:
    return (await Someone(node, None).get(f"/v1/notifications/{ID}"))["counts"]["delivered_live"]


def test_people_are_counted_once_before_and_after_the_upkeep() -> None:
    async def test(node: WireNode) -> None:
        anna, bert = Someone(node, "anna"), Someone(node, "bert")
        for someone in (anna, anna, bert):
            await someone.listen()
        await Someone(node, None).notify(to="everyone", id=ID)
        assert await delivered(node) == 2
        await node.advance(5)
        assert node.node.reached.waiting(ID) == 0
        assert await delivered(node) == 2
        # Who comes later finds it in the inbox, and was not reached live.
        await Someone(node, "cy").listen()
        await node.advance(5)
        assert await delivered(node) == 2

    run_node(test)


def test_a_stop_loses_no_count(tmp_path: Path) -> None:
    settings = dev_settings(store_url=f"sqlite:///{tmp_path / 'log.db'}", log_level="error")

    async def count() -> int | None:
        node = Reddot(settings)
        await node.start()
        try:
            if not node.store.head:
                await node.notify({"to": {"users": ["anna"]}, "title": "Hi", "id": ID})
                node.reached.add(ID, 3)
            (sent,) = await node.store.inbox.sent(id=ID, before=None, limit=1)
            return sent.reached
        finally:
            await node.stop()

    assert asyncio.run(count()) == 0
    assert asyncio.run(count()) == 3
