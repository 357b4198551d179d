"""The cold routes of the inbox: what people read and do, and what senders and operators ask."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from reddot.api.exporting import export_user
from reddot.api.reception import Caller, Reception
from reddot.codecs import inbox as codec
from reddot.codecs.frames import data_json
from reddot.codecs.preferences import PreferencesAnswer, WishesAnswer, decode_preferences, wishes_of
from reddot.core.access import Policy, is_user_name
from reddot.core.inbox import Inboxes
from reddot.core.muting import allowed
from reddot.core.presence import Presence
from reddot.core.quiet import is_zone
from reddot.core.reached import Reached
from reddot.core.ruling import timezone_of
from reddot.core.topics import check_topic
from reddot.errors import ReddotError
from reddot.inbox import View
from reddot.model import Actor, Cursor
from reddot.ports import Store

PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100
PRESENT_DEFAULT: Final = 100
PRESENT_MAX: Final = 1_000
OPERATOR: Final = Actor(admin=True)
"""Whose right to subscribe counts when a server's key makes somebody follow."""
SEARCH_CHARS_MAX: Final = 200
VIEWS: Final = get_args(View)


class InboxRoutes:
    """Puts its routes into a reception."""

    def __init__(
        self,
        *,
        inboxes: Inboxes,
        store: Store,
        reached: Reached,
        policy: Policy,
        presence: Presence,
    ) -> None:
        self._inboxes = inboxes
        self._store = store
        self._reached = reached
        self._policy = policy
        self._presence = presence

    def register(self, reception: Reception) -> None:
        add = reception.add
        add("GET", "/v1/inbox", "inbox", "A page of one's own inbox", self.page)
        add("POST", "/v1/inbox/mark", "inbox", "Set the state of notifications", self.mark)
        add("GET", "/v1/follows", "inbox", "The topics that one follows", self.follows)
        add("PUT", "/v1/follows/{topic:path}", "inbox", "Follow a topic", self.follow)
        add("DELETE", "/v1/follows/{topic:path}", "inbox", "Unfollow a topic", self.unfollow)
        add("GET", "/v1/preferences", "inbox", "What one wants to hear of", self.preferences)
        add("PUT", "/v1/preferences", "inbox", "Replace what one wants to hear of", self.prefer)
        add("GET", "/v1/notifications", "notify", "What was sent, newest first", self.sent)
        one = "/v1/notifications/{id:path}"
        add("GET", one, "notify", "A notification and its counts", self.inspect)
        add("DELETE", one, "notify", "Take a notification back", self.retract)
        add("GET", "/v1/topics/{topic:path}/history", "subscribe", "History", self.history)
        add("GET", "/v1/topics/{topic:path}/presence", "subscribe", "Who is there", self.presence)
        user = "/v1/users/{user}"
        add("GET", f"{user}/badge/explain", "operate", "Why a badge is what it is", self.explain)
        add("GET", f"{user}/follows", "operate", "What a user follows", self.follows_of)
        follows = f"{user}/follows/{{topic:path}}"
        add("PUT", follows, "operate", "Make a user follow a topic", self.follow_for)
        add("DELETE", follows, "operate", "End a user's follow", self.unfollow_for)
        add("GET", f"{user}/export", "operate", "All that is kept of a user", self.export)
        add("DELETE", user, "operate", "Forget a user", self.erase)
        for path in ("/v1/inbox", "/v1/inbox/mark", "/v1/follows", "/v1/follows/{topic:path}"):
            reception.add_preflight(path)
        for path in ("/v1/preferences", "/v1/notifications", one):
            reception.add_preflight(path)

    # ---- people ----

    async def page(self, caller: Caller) -> Any:
        user = await self._inboxes.enter(caller.actor)
        view = caller.query.get("view", "all")
        if view not in VIEWS:
            raise ReddotError("field_invalid", f"'view' is one of {', '.join(VIEWS)}")
        text = caller.query.get("q")
        if text is not None and len(text) > SEARCH_CHARS_MAX:
            raise ReddotError("field_invalid", f"'q' has at most {SEARCH_CHARS_MAX} characters")
        page = await self._inboxes.store.page(
            user,
            view=view,  # type: ignore[arg-type] # It is one of them.
            category=caller.query.get("category"),
            before=caller.place_before(),
            limit=caller.number("limit", PAGE_DEFAULT, 1, PAGE_MAX),
            text=text,
        )
        badge = await self._inboxes.badge(user)
        return codec.page_of(page, badge, self._store.epoch)

    async def mark(self, caller: Caller) -> Any:
        user = await self._inboxes.enter(caller.actor)
        here = Cursor(self._store.epoch, self._store.head)
        command = codec.decode_mark(caller.body)
        return await self._inboxes.mark(user, **codec.mark_of(command, here))

    async def follows(self, caller: Caller) -> Any:
        return await self._follows(await self._inboxes.enter(caller.actor))

    async def _follows(self, user: str) -> Any:
        badge = await self._inboxes.badge(user)
        return codec.FollowsAnswer(tuple(sorted(self._inboxes.boxes.follows(user))), badge)

    async def follow(self, caller: Caller) -> Any:
        user = await self._inboxes.enter(caller.actor)
        return await self._follow(caller, user, caller.actor)

    async def _follow(self, caller: Caller, user: str, by: Actor) -> Any:
        backfill = caller.number("backfill", 0, 0, self._inboxes.limits.backfill_max)
        topic = caller.place["topic"]
        return await self._inboxes.follow(user, topic, by=by, backfill=backfill)

    async def unfollow(self, caller: Caller) -> Any:
        user = await self._inboxes.enter(caller.actor)
        return await self._inboxes.unfollow(user, caller.place["topic"])

    async def preferences(self, caller: Caller) -> Any:
        return await self._preferences(await self._inboxes.enter(caller.actor))

    async def _preferences(self, user: str) -> PreferencesAnswer:
        """What somebody wants, and what there is to choose from."""
        plans, locked = self._inboxes.plans, self._inboxes.store.locked
        attributes = await self._store.deliveries.attributes(user)
        wanted = self._wanted(user)
        return PreferencesAnswer(
            muted=wanted.muted,
            quiet=wanted.quiet,
            couriers=sorted(plans.couriers),
            categories=sorted(plans.categories | locked),
            locked=sorted(locked),
            timezone=wanted.timezone or timezone_of(attributes),
        )

    def _wanted(self, user: str) -> WishesAnswer:
        preferences = self._inboxes.boxes.preferences(user)
        return wishes_of(allowed(preferences, self._inboxes.store.locked))

    async def prefer(self, caller: Caller) -> Any:
        user = await self._inboxes.enter(caller.actor)
        timezone = self._inboxes.boxes.preferences(user).timezone
        preferences = decode_preferences(caller.body, timezone=timezone, is_zone=is_zone)
        badge = await self._inboxes.prefer(user, preferences)
        return msgspec.structs.replace(await self._preferences(user), badge=badge)

    # ---- senders ----

    async def sent(self, caller: Caller) -> Any:
        caller.require_admin()
        limit = caller.number("limit", PAGE_DEFAULT, 1, PAGE_MAX)
        if "state" in caller.query:
            return await self._waiting(caller.query["state"], limit)
        found = await self._inboxes.store.sent(id=None, before=caller.place_before(), limit=limit)
        more = len(found) == limit
        return codec.SentPageAnswer(
            items=tuple([codec.sent_of(one) for one in found]),
            next=str(found[-1].position) if more else None,
        )

    async def _waiting(self, state: str, limit: int) -> Any:
        if state != "scheduled":
            raise ReddotError("field_invalid", "'state' can only be 'scheduled'")
        found = await self._inboxes.store.scheduled(limit=limit)
        return codec.SentPageAnswer(tuple([codec.sent_of(one) for one in found]), None)

    async def inspect(self, caller: Caller) -> Any:
        caller.require_admin()
        id_ = caller.place["id"]
        found = await self._inboxes.store.sent(id=id_, before=None, limit=1)
        if not found:
            raise ReddotError("not_found", "no such notification")
        return codec.sent_of(found[0], reached=self._reached.waiting(id_))

    async def retract(self, caller: Caller) -> None:
        caller.require_admin()
        await self._inboxes.retract(caller.place["id"])

    # ---- topics ----

    async def history(self, caller: Caller) -> Any:
        topic = check_topic(caller.place["topic"])
        self._policy.check_subscribe(caller.actor, topic)
        limit = caller.number("limit", PAGE_DEFAULT, 1, PAGE_MAX)
        found = await self._store.history(topic, before=caller.place_before(), limit=limit)
        return {
            "items": [codec.publication_fields(one, data_json(one)) for one in found],
            "next": str(found[-1].offset) if len(found) == limit else None,
        }

    async def presence(self, caller: Caller) -> Any:
        return self._presence.of(
            caller.actor,
            caller.place["topic"],
            after=caller.query.get("after", ""),
            limit=caller.number("limit", PRESENT_DEFAULT, 1, PRESENT_MAX),
        )

    # ---- one person ----

    async def explain(self, caller: Caller) -> Any:
        caller.require_admin()
        user = user_in(caller)
        badge = await self._inboxes.badge(user)
        audits = await self._inboxes.store.audit(user)
        return {
            "user": user,
            "badge": badge,
            "muted": self._wanted(user).muted,
            "topics": codec.audit_fields(audits),
        }

    async def follows_of(self, caller: Caller) -> Any:
        caller.require_admin()
        return await self._follows(user_in(caller))

    async def follow_for(self, caller: Caller) -> Any:
        caller.require_admin()
        return await self._follow(caller, user_in(caller), OPERATOR)

    async def unfollow_for(self, caller: Caller) -> Any:
        caller.require_admin()
        return await self._inboxes.unfollow(user_in(caller), caller.place["topic"])

    async def export(self, caller: Caller) -> Any:
        caller.require_admin()
        return await export_user(self._store, user_in(caller))

    async def erase(self, caller: Caller) -> None:
        caller.require_admin()
        await self._inboxes.erase(user_in(caller))


def user_in(caller: Caller) -> str:
    """The user that an address names; raises `field_invalid`."""
    user = caller.place["user"]
    if not is_user_name(user):
        raise ReddotError("field_invalid", "no user's name")
    return user
