"""The routes of campaigns: one notification to many, counted before and watched after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from reddot.api.reception import Caller, Reception
from reddot.codecs import deliveries as codec
from reddot.core.campaigns import Campaigns
from reddot.core.counting import Counting
from reddot.outreach import Campaign, lane_of
from reddot.ports import Clock, Deliveries, Entropy

PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100


class CampaignRoutes:
    """Puts its routes into a reception.

    Args:
        check: refuses a notification that could not be sent.
    """

    def __init__(
        self,
        *,
        campaigns: Campaigns,
        queue: Deliveries,
        counting: Counting,
        clock: Clock,
        entropy: Entropy,
        check: Callable[[bytes], object],
    ) -> None:
        self._campaigns = campaigns
        self._queue = queue
        self._counting = counting
        self._clock = clock
        self._entropy = entropy
        self._check = check

    def register(self, reception: Reception) -> None:
        add = reception.add
        add("POST", "/v1/audiences/count", "deliver", "How many it would reach now", self.count)
        add("GET", "/v1/campaigns", "deliver", "Campaigns, newest first", self.listed)
        add("POST", "/v1/campaigns", "deliver", "Begin a campaign, now or later", self.create)
        one = "/v1/campaigns/{id}"
        add("GET", one, "deliver", "A campaign and its progress", self.show)
        add("GET", f"{one}/counts", "deliver", "Whom it has reached in inboxes", self.counts)
        add("POST", f"{one}/pause", "deliver", "Let a campaign rest", self.pause)
        add("POST", f"{one}/resume", "deliver", "Let it go on", self.resume)
        add("POST", f"{one}/cancel", "deliver", "End a campaign", self.cancel)

    async def count(self, caller: Caller) -> Any:
        caller.require_admin()
        to = codec.decode_audience(caller.body)
        if to.segment is not None:
            return {"count": await self._campaigns.count(to.segment)}
        if to.users:
            return {"count": len(set(to.users))}
        return {"count": await self._queue.audience(to.topic)}

    async def create(self, caller: Caller) -> Any:
        caller.require_admin()
        return codec.campaign_fields(await self.begin(caller.body, None))

    async def begin(self, body: bytes, id: str | None) -> Campaign:
        """Store the campaign that a body asks for; an id is an idempotency key."""
        self._check(body)
        fresh = self._entropy.publication_id() if id is None else id
        campaign = codec.campaign_of(body, id=fresh, now_ms=self._clock.wall_ms())
        return await self._campaigns.create(campaign)

    async def listed(self, caller: Caller) -> Any:
        caller.require_admin()
        limit = caller.number("limit", PAGE_DEFAULT, 1, PAGE_MAX)
        found = await self._queue.campaigns(before=caller.place_before(), limit=limit)
        return {
            "items": [codec.campaign_fields(one) for one in found],
            "next": str(found[-1].number) if len(found) == limit else None,
        }

    async def show(self, caller: Caller) -> Any:
        caller.require_admin()
        campaign = await self._campaigns.get(caller.place["id"])
        progress = await self._queue.progress(lane_of(campaign))
        return codec.campaign_fields(campaign) | {"progress": codec.progress_fields(progress)}

    async def counts(self, caller: Caller) -> Any:
        """Now, as far as it can still be counted; and as it was written down since the start."""
        caller.require_admin()
        campaign = await self._campaigns.get(caller.place["id"])
        series = await self._queue.figures(campaign)
        now, complete = await self._counting.count(campaign)
        return codec.counts_fields(now if complete or not series else series[-1], series)

    async def pause(self, caller: Caller) -> Any:
        caller.require_admin()
        return codec.campaign_fields(await self._campaigns.pause(caller.place["id"]))

    async def resume(self, caller: Caller) -> Any:
        caller.require_admin()
        return codec.campaign_fields(await self._campaigns.resume(caller.place["id"]))

    async def cancel(self, caller: Caller) -> Any:
        caller.require_admin()
        return codec.campaign_fields(await self._campaigns.cancel(caller.place["id"]))
