"""Campaigns: one notification to many, counted, begun at a time, paused, cancelled, watched. Core.

A segment becomes personal notifications to at most `PART` people each: an inbox has them like any
other, and nobody is made to follow something. Who is a member is written down while the campaign
starts, each person looked at once; from then on it is fixed. Each part has its own id, so a start
that a crash has interrupted goes on without sending twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import msgspec

from reddot.core.inbox import PUBLISH_AHEAD_MS, Inboxes, Receipt, Wanted
from reddot.core.publishing import check_name
from reddot.core.segments import Attribute, Segment, matches, parse
from reddot.errors import ReddotError
from reddot.model import Actor
from reddot.outreach import STAGES, Campaign, Figures, Stage, lane_of
from reddot.ports import Clock, Deliveries

PART: Final = 1_000
PARTS_MAX: Final = 99_999
PARTS_AT_ONCE: Final = 20
"""Parts sent before other campaigns have their turn."""
LOOKED_AT: Final = 500
"""People looked at in one step; other work goes on in between."""
DUE_MAX: Final = 1_000
SENDER: Final = Actor(admin=True)

_attributes = msgspec.json.Decoder(dict[str, Attribute]).decode


class CampaignLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of campaigns; the defaults are those of the settings table."""

    audience_people_max: int = 1_000_000
    notification_users_max: int = 1_000


class Campaigns:
    """One per node.

    Attributes:
        wanted: makes what is sent of a campaign's command.
    """

    def __init__(
        self,
        *,
        queue: Deliveries,
        inboxes: Inboxes,
        clock: Clock,
        hint: Callable[[], None],
        limits: CampaignLimits,
    ) -> None:
        self.wanted: Callable[[bytes], Wanted]
        self._queue = queue
        self._inboxes = inboxes
        self._clock = clock
        self._hint = hint
        self._limits = limits
        self._one_at_a_time = asyncio.Lock()

    # ---- what operators ask for ----

    async def create(self, campaign: Campaign) -> Campaign:
        """Store a campaign; the same one again is the one that there is.

        Raises:
            ReddotError: `id_conflict`, `field_invalid`.
        """
        check_name(part_id(campaign, PARTS_MAX), "id")
        if campaign.segment is not None:
            parse(campaign.segment)
        if campaign.start_ms - self._clock.wall_ms() > PUBLISH_AHEAD_MS:
            raise ReddotError("field_invalid", "'publish_at' is more than a year ahead")
        known = await self._queue.campaign(campaign.id)
        if known is not None and known.command == campaign.command:
            return known
        return await self._queue.put_campaign(campaign)

    async def pause(self, id: str) -> Campaign:
        return await self._change(id, Stage.PAUSED, control={"paused": True})

    async def resume(self, id: str) -> Campaign:
        campaign = await self.get(id)
        if campaign.paused_at is None:
            raise ReddotError("not_possible", f"it is {campaign.stage.value}, not paused")
        moved = await self._change(id, campaign.paused_at, control={"paused": False})
        self._hint()
        return moved

    async def cancel(self, id: str) -> Campaign:
        """What is in inboxes stays there; nothing more goes there or elsewhere."""
        return await self._change(id, Stage.CANCELLED, control={"cancelled": True})

    async def write_down_figures(
        self, id: str, figures: Sequence[Figures], count_ms: int | None
    ) -> None:
        """Keep what it has reached so far, and when to count again."""
        await self._change(id, figures=figures, count_ms=count_ms)

    async def get(self, id: str) -> Campaign:
        """Raises `not_found`."""
        campaign = await self._queue.campaign(id)
        if campaign is None:
            raise ReddotError("not_found", "no such campaign")
        return campaign

    async def _change(
        self,
        id: str,
        stage: Stage | None = None,
        *,
        part: list[str] | None = None,
        figures: Sequence[Figures] | None = None,
        control: dict[str, bool] | None = None,
        **fields: Any,
    ) -> Campaign:
        """Change what is stored now, one at a time; `control` is what its lane is told."""
        async with self._one_at_a_time:
            campaign = await self.get(id)
            if stage is not None:
                if stage not in STAGES[campaign.stage]:
                    raise ReddotError("not_possible", f"it is {campaign.stage.value}")
                paused_at = campaign.stage if stage is Stage.PAUSED else None
                fields |= {"stage": stage, "paused_at": paused_at}
            if control is not None:
                await self._queue.control(lane_of(campaign), **control)
            changed = msgspec.structs.replace(campaign, **fields)
            return await self._queue.put_campaign(changed, part, figures)

    # ---- audiences ----

    async def count(self, text: str) -> int:
        """How many people a segment has now. Raises `field_invalid`."""
        segment, count = parse(text), 0
        async for _, users in self._look(segment, ""):
            count += len(users)
        return count

    async def _look(
        self, segment: Segment, after: str
    ) -> AsyncIterator[tuple[str | None, list[str]]]:
        """Members, step by step: up to whom was looked, None: at all; and who of them is one."""
        place: str | None = after
        while place is not None:
            page = await self._queue.people(after=place, limit=LOOKED_AT)
            users = [user for user, data in page if matches(segment, _known(data))]
            place = page[-1][0] if len(page) == LOOKED_AT else None
            yield place, users
            await asyncio.sleep(0)

    # ---- upkeep ----

    async def upkeep(self) -> None:
        """What a timer calls about once a second: begin what is due, and see what has ended."""
        for campaign in await self._queue.due_campaigns(limit=DUE_MAX):
            try:
                await self._advance(campaign)
            except ReddotError as error:
                if error.row.retry or error.code == "not_possible":  # Somebody was faster.
                    continue
                await self._give_up(campaign.id, str(error))

    async def _give_up(self, id: str, error: str) -> Campaign:
        return await self._change(id, Stage.CANCELLED, control={"cancelled": True}, error=error)

    async def _advance(self, campaign: Campaign) -> None:
        if campaign.stage is Stage.SCHEDULED:
            campaign = await self._change(campaign.id, Stage.STARTING)
        if campaign.stage is Stage.STARTING:
            await self._start(campaign)
        elif not await self._queue.waiting(lane_of(campaign)):
            await self._change(campaign.id, Stage.DONE)

    async def _start(self, campaign: Campaign) -> None:
        """Write down the members, then send; each step is durable before the next."""
        if campaign.segment is not None and campaign.place is not None:
            await self._write_down(campaign, parse(campaign.segment))
        for _ in range(PARTS_AT_ONCE):
            campaign = await self.get(campaign.id)
            if campaign.stage is not Stage.STARTING:
                return
            if campaign.sent >= max(1, campaign.parts):
                await self._change(campaign.id, Stage.RUNNING)
                return
            await self._send(campaign)
            count_ms = campaign.count_ms or self._clock.wall_ms()
            await self._change(campaign.id, sent=campaign.sent + 1, count_ms=count_ms)

    async def _write_down(self, campaign: Campaign, segment: Segment) -> None:
        """Note the members in parts, until it is done or was stopped."""
        rest: list[str] = []
        async for place, users in self._look(segment, campaign.place or ""):
            rest += users
            while len(rest) >= self._part or (place is None and rest):
                part, rest = rest[: self._part], rest[self._part :]
                campaign = await self._change(
                    campaign.id,
                    part=part,
                    place=part[-1],
                    members=campaign.members + len(part),
                    parts=campaign.parts + 1,
                )
            if campaign.members > self._limits.audience_people_max:
                most = self._limits.audience_people_max
                campaign = await self._give_up(campaign.id, f"more than {most} members")
            if campaign.stage is not Stage.STARTING:
                return
        await self._change(campaign.id, place=None)

    @property
    def _part(self) -> int:
        return min(PART, self._limits.notification_users_max)

    async def _send(self, campaign: Campaign) -> None:
        """Send one part, or what has no parts, as one notification."""
        wanted = self.wanted(campaign.command)
        wanted = msgspec.structs.replace(
            wanted,
            segment=None,
            id=part_id(campaign, campaign.sent),
            lane=lane_of(campaign),
            identity=b"campaign",
        )
        if campaign.segment is not None:
            users = await self._queue.part(campaign, campaign.sent)
            if not users:
                return
            wanted = msgspec.structs.replace(wanted, users=tuple(users))
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(result: Receipt | ReddotError) -> None:
            if answer.cancelled():
                return
            if isinstance(result, ReddotError):
                answer.set_exception(result)
            else:
                answer.set_result(None)

        self._inboxes.send(SENDER, wanted, done)
        await answer


def part_id(campaign: Campaign, index: int) -> str:
    """The id of one of a campaign's notifications."""
    return campaign.id if campaign.segment is None else f"{campaign.id}.{index}"


def _known(data: bytes) -> dict[str, Attribute]:
    try:
        return _attributes(data)
    except msgspec.MsgspecError:
        return {}
