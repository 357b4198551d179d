"""The table of plans: what the settings say, or what was put over HTTP in its place. Core."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from reddot.core.reach import plan_for
from reddot.delivery import ANY_CATEGORY, Plan
from reddot.errors import ReddotError
from reddot.ports import Deliveries

CATEGORIES_KNOWN_MAX: Final = 1_000
_decode = msgspec.json.Decoder(tuple[Plan, ...]).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Plans:
    """One per node.

    Args:
        settings: the table of the settings.
        couriers: that there are; a plan cannot name others.

    Attributes:
        table: what holds.
        given: whether it was put.
        couriers: that there are.
    """

    def __init__(self, settings: Sequence[Plan], *, couriers: Collection[str] = ()) -> None:
        self.settings = tuple(settings)
        self.table = self.settings
        self.given = False
        self.couriers = frozenset(couriers)
        self._texts: dict[str, str] = {}

    def text_of(self, category: str) -> str:
        """The plan of a category as JSON; empty: it reaches nobody beside the inbox."""
        text = self._texts.get(category)
        if text is None:
            if len(self._texts) >= CATEGORIES_KNOWN_MAX:
                self._texts.clear()
            plan = plan_for(self.table, category)
            text = "" if plan is None or not plan.steps else _encode(plan).decode()
            self._texts[category] = text
        return text

    @property
    def categories(self) -> frozenset[str]:
        """Those that plans name."""
        named = frozenset(one for plan in self.table for one in plan.categories)
        return named - {ANY_CATEGORY}

    async def load(self, queue: Deliveries) -> None:
        """Take the table that was put, if one was."""
        data = await queue.plans()
        self._take(None if data is None else _decode(data))

    async def put(self, queue: Deliveries, plans: Sequence[Plan] | None) -> None:
        """Put a table in place of the one of the settings; None: that one again.

        Raises:
            ReddotError: `field_invalid` if one names a courier that there is not.
        """
        if plans is not None:
            self._check(plans)
        await queue.put_plans(None if plans is None else _encode(plans))
        self._take(None if plans is None else tuple(plans))

    def _check(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            for step in plan.steps:
                if step.courier not in self.couriers:
                    raise ReddotError("field_invalid", f"there is no courier {step.courier!r:.80}")

    def _take(self, plans: tuple[Plan, ...] | None) -> None:
        self.given = plans is not None
        self.table = self.settings if plans is None else plans
        self._texts.clear()
