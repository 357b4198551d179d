"""The inboxes of a node whose test is about something else: nobody is in memory, nothing is due."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from reddot.core.access import Policy
from reddot.core.boxes import Boxes, BoxLimits
from reddot.core.dots import Dots
from reddot.core.hub import Hub
from reddot.core.reached import Reached
from reddot.counters import Counters
from reddot.ports import Clock, Store


def quiet_dots(
    *,
    store: Store,
    hub: Hub,
    policy: Policy,
    clock: Clock,
    counters: Counters,
    spawn: Callable[[Coroutine[Any, Any, None]], object],
) -> Dots:
    """The real ones, whom the hub does not tell anything."""
    boxes = Boxes(
        inbox=store.inbox,
        clock=clock,
        position=lambda: hub.position,
        spawn=spawn,
        limits=BoxLimits(),
    )
    return Dots(
        boxes=boxes,
        policy=policy,
        reached=Reached(inbox=store.inbox, counters=counters),
        clock=clock,
        counters=counters,
        cursor=lambda: hub.cursor,
        later=lambda seconds, work: None,
        spawn=spawn,
        interval_s=0,
    )
