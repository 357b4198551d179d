"""Campaigns in memory, the reference for the others. Layer: stores; part of `stores.memory`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from reddot.errors import ReddotError
from reddot.outreach import Campaign, Figures, Stage
from reddot.ports import Clock

LOOKED_AT: Final = (Stage.SCHEDULED, Stage.STARTING, Stage.RUNNING)


class MemoryCampaigns:
    """`ports.Deliveries` as far as it is about campaigns; see there."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._campaigns: dict[str, Campaign] = {}
        self._parts: dict[tuple[int, int], tuple[str, ...]] = {}
        self._figures: dict[int, tuple[Figures, ...]] = {}

    async def put_campaign(
        self,
        campaign: Campaign,
        part: Sequence[str] | None = None,
        figures: Sequence[Figures] | None = None,
    ) -> Campaign:
        if not campaign.number:
            if campaign.id in self._campaigns:
                raise ReddotError("id_conflict", "there is a campaign with this id")
            number = 1 + max((one.number for one in self._campaigns.values()), default=0)
            campaign = msgspec.structs.replace(campaign, number=number)
        self._campaigns[campaign.id] = campaign
        if part is not None:
            self._parts[campaign.number, campaign.parts - 1] = tuple(part)
        if figures is not None:
            self._figures[campaign.number] = tuple(figures)
        return campaign

    async def campaign(self, id: str) -> Campaign | None:
        return self._campaigns.get(id)

    async def campaigns(self, *, before: int | None, limit: int) -> Sequence[Campaign]:
        newest = sorted(self._campaigns.values(), key=lambda one: -one.number)
        return [one for one in newest if before is None or one.number < before][:limit]

    async def due_campaigns(self, *, limit: int) -> Sequence[Campaign]:
        now_ms = self._clock.wall_ms()
        due = [
            one
            for one in self._campaigns.values()
            if one.stage in LOOKED_AT and one.start_ms <= now_ms
        ]
        return sorted(due, key=lambda one: (one.start_ms, one.number))[:limit]

    async def due_counts(self, *, limit: int) -> Sequence[Campaign]:
        now_ms = self._clock.wall_ms()
        found = [
            (one.count_ms, one.number, one)
            for one in self._campaigns.values()
            if one.count_ms is not None and one.count_ms <= now_ms
        ]
        return [one for *_, one in sorted(found)[:limit]]

    async def figures(self, campaign: Campaign) -> Sequence[Figures]:
        return self._figures.get(campaign.number, ())

    async def part(self, campaign: Campaign, index: int) -> Sequence[str]:
        return self._parts.get((campaign.number, index), ())

    # ---- what is not kept ----

    def leave_out_of_campaigns(self, user: str) -> None:
        """Forget that somebody is a member of any."""
        for key, users in self._parts.items():
            self._parts[key] = tuple(one for one in users if one != user)

    def forget_campaigns(self, kept_ms: int, *, but: Collection[int]) -> list[int]:
        """Forget what is over and older than that; their numbers."""
        old = [
            one
            for one in self._campaigns.values()
            if one.stage not in LOOKED_AT and one.time_ms <= kept_ms and one.number not in but
        ]
        for one in old:
            del self._campaigns[one.id]
            self._figures.pop(one.number, None)
            self._parts = {k: users for k, users in self._parts.items() if k[0] != one.number}
        return [one.number for one in old]
