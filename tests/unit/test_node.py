"""How long a node that is asked to end waits for deliveries."""

from __future__ import annotations

import asyncio

import pytest

from reddot.delivery import Plan, Step
from reddot.node import DRAIN_ATTEMPTS_S, Reddot
from reddot.outreach import Address
from reddot.testing import dev_settings
from tests.contract.couriers import WHSEC
from tests.sim.post import ScriptedCourier


@pytest.mark.parametrize("unknown_outcome", ["retry", "dead"])
def test_it_waits_as_long_as_it_can_for_an_attempt_that_would_not_be_made_again(
    unknown_outcome: str,
) -> None:
    table = {"type": "webhook", "keys": [WHSEC], "unknown_outcome": unknown_outcome}
    settings = dev_settings(couriers={"hook": table}, drain_timeout_s=15, log_level="error")
    plan = Plan(steps=(Step(courier="hook"),))
    settings = settings.model_copy(update={"deliveries": (plan,)})

    async def test() -> None:
        hook = ScriptedCourier()
        hook.gate = asyncio.Event()
        node = Reddot(settings, couriers={"hook": hook})
        await node.start()
        queue = node.store.deliveries
        await queue.put_address(Address(user="1", courier="hook", value=b'"x"'))
        await node.notify({"to": {"users": ["1"]}, "title": "Hi"})
        while not hook.running:
            await asyncio.sleep(0)
        node.dispatcher.drain()
        once = unknown_outcome == "dead"
        waits_s = 15 - DRAIN_ATTEMPTS_S if once else DRAIN_ATTEMPTS_S
        assert node._busy(waits_s - 0.1)
        assert not node._busy(waits_s)
        hook.gate.set()
        await node.drain()
        (delivery,) = await queue.deliveries(limit=9)
        assert delivery.state.value == "sent"
        await node.stop()

    asyncio.run(test())
