"""Counts whom campaigns have reached in inboxes, now and over time. Core.

Counting is work for the store, more for a larger campaign, and nobody waits for it. So after each
turn it rests for many times as long as that took: publishing goes on as if it was not there, and
while there are very large campaigns, figures are further apart.
"""

from __future__ import annotations

from typing import Final

from reddot.core.campaigns import Campaigns, part_id
from reddot.core.figures import joined, next_ms
from reddot.core.reached import Reached
from reddot.errors import ReddotError
from reddot.outreach import Campaign, Figures
from reddot.ports import Clock, Deliveries, Inbox

AT_ONCE: Final = 50
TURN_S: Final = 1.0
"""A turn counts so many campaigns, and begins with no further one after so long."""
REST: Final = 50


class Counting:
    """One per node."""

    def __init__(
        self,
        *,
        campaigns: Campaigns,
        queue: Deliveries,
        inbox: Inbox,
        reached: Reached,
        clock: Clock,
    ) -> None:
        self._campaigns = campaigns
        self._queue = queue
        self._inbox = inbox
        self._reached = reached
        self._clock = clock

    async def count(self, campaign: Campaign) -> tuple[Figures, bool]:
        """Summed over what has gone out for it, and whether all of that is still kept.

        People are in one part only.
        """
        seen = read = delivered = kept = 0
        for index in range(campaign.sent):
            id = part_id(campaign, index)
            for one in await self._inbox.sent(id=id, before=None, limit=1):
                kept += 1
                seen += one.seen or 0
                read += one.read or 0
                delivered += (one.reached or 0) + self._reached.waiting(id)
        now_ms = self._clock.wall_ms()
        return Figures(now_ms, delivered, seen, read), kept == campaign.sent

    async def upkeep(self) -> float:
        """Count what is due, and write it down. Returns for how many seconds to rest."""
        began = self._clock.monotonic()
        for campaign in await self._queue.due_counts(limit=AT_ONCE):
            try:
                await self._advance(campaign)
            except ReddotError as error:
                if error.code != "not_found":  # It was forgotten in this very moment.
                    raise
            if self._clock.monotonic() - began >= TURN_S:
                break
        return (self._clock.monotonic() - began) * REST

    async def _advance(self, campaign: Campaign) -> None:
        figures, complete = await self.count(campaign)
        series = await self._queue.figures(campaign)
        if complete:  # Else it would seem to have reached fewer people than before.
            series = joined(series, figures)
        again_ms = next_ms(series[0].time_ms, self._clock.wall_ms()) if complete else None
        await self._campaigns.write_down_figures(campaign.id, series, again_ms)
