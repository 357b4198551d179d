"""The use cases of the inbox: send, retract, mark, follow, prefer, erase; and what lets things die.

Every change is a draft of its own and takes the next position, so it is durable before it is
answered, and every badge has an `as_of`. Whoever changes something is answered with the badge as it
is then or later. Reading goes to the store, badges come from `core.boxes`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from reddot.core import muting
from reddot.core.access import Policy, is_anonymous, is_user_name
from reddot.core.boxes import Boxes
from reddot.core.plans import Plans
from reddot.core.publishing import Publishing, check_name, ttl_ms_of
from reddot.core.recent import Recent
from reddot.core.topics import check_topic, is_exact
from reddot.counters import Counters
from reddot.errors import ReddotError
from reddot.inbox import (
    CATEGORY_DEFAULT,
    EVENT_NOTIFICATION,
    INBOX_TOPIC,
    STEP_ROWS,
    Asked,
    Badge,
    Change,
    Effect,
    Erase,
    Follow,
    Join,
    Mark,
    Note,
    Prefer,
    Preferences,
    Retract,
    Schedule,
    Scheduled,
    Settle,
    Snooze,
    Unfollow,
    Wake,
)
from reddot.model import EVERYONE, USERS_ROOT, Actor, Appended, Draft, Publication
from reddot.ports import Clock, Entropy, Inbox, Store

DUE_BATCH: Final = 50
PUBLISH_AHEAD_MS: Final = 366 * 86_400_000
MUTE_AHEAD_MS: Final = 366 * 86_400_000
EVENT_RETRACTED: Final = "retracted"

Done = Callable[["Receipt | ReddotError"], None]


class InboxLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the inbox; the defaults are those of the settings table."""

    notification_users_max: int = 1_000
    mark_ids_max: int = 1_000
    category_bytes_max: int = 64
    backfill_max: int = 100
    mutes_max: int = 500
    snooze_s_max: int = 366 * 86_400


class Wanted(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A notification as its sender asks for it.

    Attributes:
        users, topic, everyone, segment: to whom; exactly one of them is given. A segment is a
            campaign's, which sends to its members as users.
        content: what the receivers get as `data`, as JSON.
        publish_ms: when it goes live; None: now.
        identity: what has to be equal for a retry to be one.
        lane: of its campaign; 0: it is on its own.
    """

    content: bytes
    users: tuple[str, ...] = ()
    topic: str | None = None
    everyone: bool = False
    segment: str | None = None
    title: str = ""
    text: str = ""
    category: str = CATEGORY_DEFAULT
    collapse_key: str | None = None
    ttl_s: float | None = None
    publish_ms: int | None = None
    id: str | None = None
    identity: bytes = b""
    lane: int = 0


class Receipt(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the sender is answered.

    Attributes:
        recipients: users it was sent to; None: whoever follows the topic.
        position: of its first publication; of its request while it is scheduled.
    """

    id: str
    position: int
    recipients: int | None
    scheduled: bool
    duplicate: bool


class Inboxes:
    """One per node.

    Attributes:
        to_deliver: called when something is to be delivered beside the inbox.
    """

    def __init__(
        self,
        *,
        publishing: Publishing,
        inbox: Inbox,
        boxes: Boxes,
        recent: Recent,
        policy: Policy,
        clock: Clock,
        entropy: Entropy,
        counters: Counters,
        limits: InboxLimits,
        plans: Plans,
    ) -> None:
        self.to_deliver: Callable[[], None] = _nobody
        self.limits = limits
        self.plans = plans
        self.store = inbox
        self.boxes = boxes
        self._publishing = publishing
        self._recent = recent
        self._policy = policy
        self._clock = clock
        self._entropy = entropy
        self._counters = counters
        boxes.settle = self.settle
        boxes.join = self._join
        boxes.wake = self.wake

    # ---- sending ----

    def send(self, actor: Actor, wanted: Wanted, done: Done) -> None:
        """Send, or store for later. `done` is called when it is durable.

        Raises:
            ReddotError: `field_invalid`, `topic_invalid`, `batch_too_large`, `data_too_large`,
                `unauthorized`, `forbidden`.
        """
        topics = self._topics(actor, wanted)
        self._check(wanted)
        now = self._clock.wall_ms()
        ttl_ms = None if wanted.ttl_s is None else ttl_ms_of(wanted.ttl_s)
        scheduled = wanted.publish_ms is not None and wanted.publish_ms > now
        note = Note(
            topics=topics,
            category=wanted.category,
            title=wanted.title,
            text=wanted.text,
            collapse_key=wanted.collapse_key,
            identity=wanted.identity,
            plan=self.plans.text_of(wanted.category),
            lane=wanted.lane,
        )
        change: Note | Schedule = note
        if scheduled and wanted.publish_ms is not None:
            change = Schedule(
                note=note,
                publish_ms=wanted.publish_ms,
                ttl_ms=ttl_ms,
                identity=wanted.identity,
            )
        draft = Draft(
            topic=INBOX_TOPIC if scheduled else topics[0],
            id=self._entropy.publication_id() if wanted.id is None else wanted.id,
            data=wanted.content,
            time_ms=now,
            event=EVENT_NOTIFICATION,
            keyed=wanted.id is not None,
            expires_ms=None if ttl_ms is None or scheduled else now + ttl_ms,
            inbox=change,
        )
        recipients = len(wanted.users) or None

        def stored(results: Sequence[Appended] | ReddotError) -> None:
            if isinstance(results, ReddotError):
                done(results)
                return
            appended = results[0]
            self._counters.notifications += not appended.duplicate
            if note.plan:
                self.to_deliver()
            done(
                Receipt(
                    id=draft.id,
                    position=appended.publication.position,
                    recipients=recipients,
                    scheduled=scheduled,
                    duplicate=appended.duplicate,
                )
            )

        self._publishing.publish((draft,), stored)

    def _topics(self, actor: Actor, wanted: Wanted) -> tuple[str, ...]:
        """Where it goes, checked against the sender's rights."""
        if wanted.users:
            most = self.limits.notification_users_max
            if len(wanted.users) > most:
                raise ReddotError("batch_too_large", f"{most} users are allowed")
            for user in wanted.users:
                if not is_user_name(user):
                    raise ReddotError("field_invalid", f"{user!r:.80} cannot be a user's name")
            topics = tuple([f"{USERS_ROOT}/{user}" for user in dict.fromkeys(wanted.users)])
        elif wanted.segment is not None:
            raise ReddotError("field_invalid", "a segment is reached by a campaign")
        else:
            topics = (EVERYONE if wanted.topic is None else wanted.topic,)
            limits = self._publishing.limits
            check_topic(
                topics[0], bytes_max=limits.topic_bytes_max, levels_max=limits.topic_levels_max
            )
        if not (actor.service or actor.admin):
            for topic in topics:
                self._policy.check_publish(actor, topic)
        elif topics[0].startswith("$"):
            raise ReddotError("forbidden", "topics that begin with '$' are the server's")
        return topics

    def _check(self, wanted: Wanted) -> None:
        most = self._publishing.limits.data_bytes_max
        if len(wanted.content) > most:
            raise ReddotError("data_too_large", f"{most} bytes are allowed")
        if wanted.category is not CATEGORY_DEFAULT:  # By identity: the usual one costs nothing.
            check_name(wanted.category, "category", self.limits.category_bytes_max)
        if wanted.collapse_key is not None:
            check_name(wanted.collapse_key, "collapse_key")
        if wanted.id is not None:
            check_name(wanted.id, "id")
        ahead = 0 if wanted.publish_ms is None else wanted.publish_ms - self._clock.wall_ms()
        if ahead > PUBLISH_AHEAD_MS:
            raise ReddotError("field_invalid", "'publish_at' is more than a year ahead")

    async def retract(self, id: str) -> None:
        """Take a notification back; returns when it is in no inbox. Raises `not_found`."""
        effect = await self._change(Retract(id=id, rows_max=STEP_ROWS))
        self._tell(effect)
        if effect.more:
            await self.settle()

    def _tell(self, effect: Effect) -> None:
        """Tell clients what was taken back, and replay it no more."""
        for id, topics in effect.retracted.items():
            for topic in topics:
                self._recent.silence(topic, id)
                self._publishing.announce(self._retracted(topic, id))

    def _retracted(self, topic: str, id: str) -> Publication:
        """What tells clients that show it to take it off."""
        return Publication(
            topic=topic,
            id=self._entropy.publication_id(),
            data=msgspec.json.encode({"id": id}),
            time_ms=self._clock.wall_ms(),
            event=EVENT_RETRACTED,
        )

    # ---- what people do ----

    async def mark(
        self,
        user: str,
        state: Asked,
        *,
        ids: tuple[str, ...] = (),
        upto: int | None = None,
        category: str | None = None,
        until_ms: int | None = None,
        op_id: str | None = None,
    ) -> Badge:
        """Set a state; the badge after that. The same `op_id` is done once.

        Args:
            until_ms: with `snoozed` alone, when they come back.

        Raises:
            ReddotError: `field_invalid`, `batch_too_large`, `id_conflict`; with `snoozed` also
                `not_found` and `too_many_snoozed`.
        """
        if (upto is None) == (not ids):
            raise ReddotError("field_invalid", "give 'ids' or 'upto'")
        if len(ids) > self.limits.mark_ids_max:
            raise ReddotError("batch_too_large", f"{self.limits.mark_ids_max} ids are allowed")
        if category is not None and (upto is None or state == "seen"):
            raise ReddotError("field_invalid", "'category' goes with 'upto', and not with 'seen'")
        if (until_ms is None) == (state == "snoozed"):
            raise ReddotError("field_invalid", "'until' goes with 'snoozed', and only with it")
        asked = (state, ids, upto, category, *([] if until_ms is None else [until_ms]))
        identity = repr(asked).encode(errors="surrogatepass")
        change: Change
        if state == "snoozed" or state == "unsnoozed":
            change = self._snooze(user, ids, until_ms, identity)
        else:
            change = Mark(
                user=user, state=state, ids=ids, upto=upto, category=category, identity=identity
            )
        await self._change(change, key=None if op_id is None else check_name(op_id, "op_id"))
        return await self.badge(user)

    def _snooze(
        self, user: str, ids: tuple[str, ...], until_ms: int | None, identity: bytes
    ) -> Change:
        """Hide some until a time; None: they come back now."""
        if not ids:
            raise ReddotError("field_invalid", "snoozing is of 'ids'")
        if until_ms is None:
            return Wake(user=user, ids=ids, identity=identity)
        # Whether it is over says the store: what is asked again may have been done in time.
        if until_ms - self._clock.wall_ms() > self.limits.snooze_s_max * 1000:
            most = self.limits.snooze_s_max
            raise ReddotError("field_invalid", f"'until' is at most {most} seconds ahead")
        return Snooze(user=user, ids=ids, until_ms=until_ms, identity=identity)

    async def follow(self, user: str, topic: str, *, by: Actor, backfill: int = 0) -> Badge:
        """Count a topic from now on, until somebody unfollows.

        Args:
            by: who wants it: the user, or an operator. Raises what subscribing to it would.
        """
        self._check_followed(topic)
        self._policy.check_subscribe(by, topic)
        if not 0 <= backfill <= self.limits.backfill_max:
            most = self.limits.backfill_max
            raise ReddotError("field_invalid", f"'backfill' is between 0 and {most}")
        await self._change(Follow(user=user, topic=topic, backfill=backfill))
        return await self.badge(user)

    async def unfollow(self, user: str, topic: str) -> Badge:
        self._check_followed(topic)
        await self._change(Unfollow(user=user, topic=topic))
        return await self.badge(user)

    def _check_followed(self, topic: str) -> None:
        limits = self._publishing.limits
        check_topic(topic, bytes_max=limits.topic_bytes_max, levels_max=limits.topic_levels_max)
        assert is_exact(topic), "a topic has no wildcard"
        if topic == EVERYONE or topic.partition("/")[0] in (USERS_ROOT, INBOX_TOPIC):
            raise ReddotError("field_invalid", "this topic is in the inbox without following it")

    async def prefer(self, user: str, preferences: Preferences) -> Badge:
        """Replace the preferences; mutes that have ended by now are left out.

        Raises:
            ReddotError: `field_invalid`, also for a mute of a locked category.
        """
        now_ms = self._clock.wall_ms()
        self._check_mutes(preferences, now_ms)
        preferences = muting.in_force(preferences, now_ms)
        await self._change(Prefer(user=user, preferences=preferences))
        return await self.badge(user)

    def _check_mutes(self, preferences: Preferences, now_ms: int) -> None:
        mutes = len(preferences.categories) + len(preferences.topics) + len(preferences.couriers)
        if mutes > self.limits.mutes_max:
            raise ReddotError("field_invalid", f"{self.limits.mutes_max} mutes are allowed")
        for category in preferences.categories:
            timed = category in preferences.until
            self._check_muted(category, "muted.until" if timed else "muted.categories")
        for courier, category in preferences.couriers:
            check_name(courier, "courier")
            self._check_muted(category, f"muted.couriers.{courier}")
        for topic in preferences.topics:
            check_topic(topic)
        if max(preferences.until.values(), default=0) > now_ms + MUTE_AHEAD_MS:
            raise ReddotError("field_invalid", "muted.until: more than a year ahead")

    def _check_muted(self, category: str, place: str) -> None:
        check_name(category, "category", self.limits.category_bytes_max)
        if category in self.store.locked:
            raise ReddotError("field_invalid", f"{place}: {category!r} cannot be muted")

    async def enter(self, actor: Actor) -> str:
        """Whose inbox this is about; it is in memory, and begins when the user came to be one.

        Raises:
            ReddotError: as `user_of`, and as `Boxes.prepare`.
        """
        user = user_of(actor)
        await self.boxes.prepare(user, actor.since_ms)
        return user

    async def _join(self, user: str, since_ms: int) -> None:
        await self._change(Join(user=user, since_ms=since_ms))

    async def badge(self, user: str) -> Badge:
        await self.boxes.prepare(user)
        return self.boxes.badge(user)

    async def erase(self, user: str) -> None:
        """Forget a person."""
        if not is_user_name(user):
            raise ReddotError("field_invalid", "no user's name")
        await self._change(Erase(user=user))
        self._recent.silence(f"{USERS_ROOT}/{user}", None)
        self._recent.silence(INBOX_TOPIC, None)

    # ---- upkeep ----

    async def settle(self) -> None:
        """Let everything die that is due, in steps between which publishing goes on."""
        more = True
        while more:
            effect = await self._change(Settle(rows_max=STEP_ROWS))
            self._tell(effect)
            more = effect.more

    async def upkeep(self) -> None:
        """What a timer calls about once a second: whatever is due is sent, woken or settled."""
        due = await self.store.due(limit=DUE_BATCH)
        for one in due.scheduled:
            await self._go_live(one)
        if due.settle:
            await self.settle()
        while due.waking:
            # Many have chosen the same morning: they share transactions.
            await asyncio.gather(*map(self.wake, due.waking))
            due = await self.store.due(limit=DUE_BATCH)

    async def wake(self, user: str) -> None:
        """Bring back what a user has snoozed and what is due."""
        await self._change(Wake(user=user))

    async def _go_live(self, one: Scheduled) -> None:
        now, ttl_ms = self._clock.wall_ms(), one.schedule.ttl_ms
        note = one.schedule.note
        plan = self.plans.text_of(note.category)
        note = msgspec.structs.replace(note, scheduled=True, plan=plan)
        draft = Draft(
            topic=note.topics[0],
            id=one.id,
            data=one.data,
            time_ms=now,
            event=EVENT_NOTIFICATION,
            expires_ms=None if ttl_ms is None else now + ttl_ms,
            inbox=note,
        )
        try:
            await self._append(draft)
        except ReddotError as error:
            if error.code != "not_found":  # It was retracted in this very moment.
                raise
        else:
            self._counters.notifications += 1
            self.to_deliver()

    # ---- changing ----

    async def _change(self, change: Change, *, key: str | None = None) -> Effect:
        """Append a change; returns when it is durable and memory has followed."""
        user = getattr(change, "user", "")
        draft = Draft(
            topic=INBOX_TOPIC,
            id=self._entropy.publication_id() if key is None else f"{user}/{key}",
            data=b"null",
            time_ms=self._clock.wall_ms(),
            event=type(change).__name__.lower(),
            keyed=key is not None,
            inbox=change,
        )
        appended = await self._append(draft)
        self._counters.inbox_changes += not appended.duplicate
        if isinstance(change, Wake):
            self._counters.notifications_woken += len(appended.others)
        effect = appended.publication.inbox
        return effect if isinstance(effect, Effect) else Effect()

    async def _append(self, draft: Draft) -> Appended:
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()

        def done(result: Sequence[Appended] | ReddotError) -> None:
            if answer.cancelled():
                return
            if isinstance(result, ReddotError):
                answer.set_exception(result)
            else:
                answer.set_result(result[0])

        self._publishing.publish((draft,), done)
        appended = await answer
        last = appended.others[-1] if appended.others else appended.publication
        await self.boxes.reached(last.position)
        return appended


def _nobody() -> None:
    """Who is told of what is to be delivered, before there is somebody."""


async def erase(store: Store, user: str, clock: Clock, entropy: Entropy) -> None:
    """Forget a person in a store that no node has open."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    draft = Draft(
        topic=INBOX_TOPIC,
        id=entropy.publication_id(),
        data=b"null",
        time_ms=clock.wall_ms(),
        event="erase",
        inbox=Erase(user=user),
    )

    def done(result: Sequence[Appended] | ReddotError) -> None:
        if isinstance(result, ReddotError):
            answer.set_exception(result)
        else:
            answer.set_result(None)

    store.append((draft,), done)
    await answer


def user_of(actor: Actor) -> str:
    """Whose inbox this is about. Raises `unauthorized` or `forbidden` if nobody's."""
    if actor.user is None:
        code = "unauthorized" if is_anonymous(actor) else "forbidden"
        raise ReddotError(code, "only people have an inbox")
    return actor.user
