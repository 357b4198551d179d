"""The routes of deliveries: where people can be reached, what became of it, and the plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from reddot.api.reception import Caller, Reception
from reddot.codecs import deliveries as codec
from reddot.codecs.plans import decode_plans, plans_fields
from reddot.core.access import is_user_name
from reddot.core.inbox import user_of
from reddot.core.plans import Plans
from reddot.core.quiet import is_zone
from reddot.delivery import State
from reddot.errors import ReddotError
from reddot.outreach import Address, Which, lane_of
from reddot.ports import Clock, Courier, Deliveries

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 500
LISTED: Final = (State.DEAD, State.HELD)
SOUGHT: Final = ("campaign", "notification", "user", "courier", "reason")
"""What deliveries are looked for by, besides their state."""


class Push(msgspec.Struct, frozen=True):
    """Web Push, if there is a courier of that kind: its name, and the key browsers subscribe to."""

    courier: str
    key: str


class DeliveryRoutes:
    """Puts its routes into a reception.

    Args:
        hint: told that something may be due that was not.
    """

    def __init__(
        self,
        *,
        queue: Deliveries,
        couriers: Mapping[str, Courier],
        push: Push | None,
        plans: Plans,
        clock: Clock,
        hint: Callable[[], None],
        address_bytes_max: int,
        attributes_bytes_max: int,
    ) -> None:
        self._queue = queue
        self._couriers = couriers
        self._push = push
        self._plans = plans
        self._clock = clock
        self._hint = hint
        self._address_bytes_max = address_bytes_max
        self._attributes_bytes_max = attributes_bytes_max

    def register(self, reception: Reception) -> None:
        add = reception.add
        user = "/v1/users/{user}"
        add("GET", f"{user}/attributes", "deliver", "What is known of a person", self.attributes)
        add("PUT", f"{user}/attributes", "deliver", "Know a person", self.put_attributes)
        add("GET", f"{user}/addresses", "deliver", "All addresses of a person", self.addresses)
        one = f"{user}/addresses/{{courier}}"
        add("GET", one, "deliver", "Where a courier reaches a person", self.address)
        add("PUT", one, "deliver", "Know where a courier reaches a person", self.put_address)
        add("DELETE", one, "deliver", "Forget it", self.drop_address)
        add("GET", "/v1/push/key", "push", "The key browsers subscribe to", self.push_key)
        push = "/v1/push/subscriptions"
        add("POST", push, "push", "Reach oneself on this browser", self.subscribe)
        add("DELETE", push, "push", "Not any more", self.unsubscribe)
        add("POST", "/v1/push/clicks", "push", "Something that came was clicked", self.click)
        note = "/v1/notifications/{id:path}"
        add("GET", f"{note}/deliveries", "deliver", "What became of it, by person", self.journey)
        add("POST", f"{note}/review", "deliver", "Approve or reject what is held", self.review)
        many = "/v1/deliveries"
        add("GET", many, "deliver", "Dead letters, or what is held", self.listed)
        add("POST", f"{many}/retry", "deliver", "Send many dead ones again", self.retry_all)
        add("POST", f"{many}/review", "deliver", "Decide about many texts", self.review_all)
        add("POST", f"{many}/{{id}}/retry", "deliver", "Send a dead one again", self.retry)
        add("GET", "/v1/plans", "deliver", "The table of plans", self.plans)
        add("PUT", "/v1/plans", "deliver", "Replace the table of plans", self.put_plans)
        add("DELETE", "/v1/plans", "deliver", "The table of the settings again", self.drop_plans)
        for path in (push, "/v1/push/key", "/v1/push/clicks"):
            reception.add_preflight(path)

    # ---- people, by whoever runs the application ----

    async def attributes(self, caller: Caller) -> Any:
        caller.require_admin()
        return msgspec.Raw(await self._queue.attributes(_user(caller)))

    async def put_attributes(self, caller: Caller) -> Any:
        caller.require_admin()
        data = codec.decode_attributes(
            caller.body, bytes_max=self._attributes_bytes_max, is_zone=is_zone
        )
        await self._queue.put_attributes(_user(caller), data)
        return msgspec.Raw(data)

    async def addresses(self, caller: Caller) -> Any:
        caller.require_admin()
        found = await self._queue.addresses(_user(caller))
        return {"addresses": [codec.address_fields(one) for one in found]}

    async def address(self, caller: Caller) -> Any:
        caller.require_admin()
        courier = self._courier(caller)
        found = await self._queue.addresses(_user(caller))
        mine = [codec.address_fields(one) for one in found if one.courier == courier]
        if not mine:
            raise ReddotError("not_found", "there is no address")
        return {"addresses": mine}

    async def put_address(self, caller: Caller) -> Any:
        caller.require_admin()
        courier = self._courier(caller)
        address = self._checked(courier, caller.body, user=_user(caller), slot="")
        if self._push is not None and courier == self._push.courier:
            address = msgspec.structs.replace(address, slot=slot_of(caller.body))
        await self._queue.put_address(address)
        return codec.address_fields(address)

    async def drop_address(self, caller: Caller) -> None:
        caller.require_admin()
        if not await self._queue.drop_address(_user(caller), caller.place["courier"]):
            raise ReddotError("not_found", "there is no address")

    def _courier(self, caller: Caller) -> str:
        courier = caller.place["courier"]
        if courier not in self._couriers:
            raise ReddotError("not_found", "there is no such courier")
        return courier

    def _checked(self, courier: str, body: bytes, *, user: str, slot: str) -> Address:
        given = codec.decode_address(body, bytes_max=self._address_bytes_max)
        value = self._couriers[courier].check(given)
        now_ms = self._clock.wall_ms()
        return Address(user=user, courier=courier, slot=slot, value=value, time_ms=now_ms)

    # ---- people, by themselves ----

    async def push_key(self, _caller: Caller) -> Any:
        return {"key": self._pushed().key}

    async def subscribe(self, caller: Caller) -> None:
        user, courier = user_of(caller.actor), self._pushed().courier
        slot = slot_of(caller.body)
        await self._queue.put_address(self._checked(courier, caller.body, user=user, slot=slot))

    async def unsubscribe(self, caller: Caller) -> None:
        user, courier = user_of(caller.actor), self._pushed().courier
        await self._queue.drop_address(user, courier, slot_of(caller.body))

    async def click(self, caller: Caller) -> None:
        """Good also where there is no Web Push any more: the browser is to forget it then."""
        user, ids = user_of(caller.actor), codec.decode_clicks(caller.body)
        if self._push is not None and ids:
            await self._queue.click(user, self._push.courier, ids)

    def _pushed(self) -> Push:
        if self._push is None:
            raise ReddotError("not_found", "there is no Web Push here")
        return self._push

    # ---- what became of it ----

    async def journey(self, caller: Caller) -> Any:
        caller.require_admin()
        limit = caller.number("limit", PAGE_DEFAULT, 1, PAGE_MAX)
        which = Which(notification=caller.place["id"], user=caller.query.get("user"))
        found = await self._queue.deliveries(which, before=caller.place_before(), limit=limit)
        return codec.page_of(found, limit)

    async def listed(self, caller: Caller) -> Any:
        caller.require_admin()
        limit = caller.number("limit", PAGE_DEFAULT, 1, PAGE_MAX)
        words = {state.value: state for state in LISTED}
        state = words.get(caller.query.get("state", State.DEAD.value))
        if state is None:
            raise ReddotError("field_invalid", f"'state' is one of {', '.join(words)}")
        asked = {name: caller.query[name] for name in SOUGHT if name in caller.query}
        which = await self._which(state, **asked)
        found = await self._queue.deliveries(which, before=caller.place_before(), limit=limit)
        return codec.page_of(found, limit)

    async def _which(
        self, state: State, *, campaign: str | None = None, **names: str | None
    ) -> Which:
        """What is looked for; raises `not_found` if there is no such campaign."""
        lane = None
        if campaign is not None:
            found = await self._queue.campaign(campaign)
            if found is None:
                raise ReddotError("not_found", "no such campaign")
            lane = lane_of(found)
        return Which(lane=lane, state=state, **names)

    async def retry(self, caller: Caller) -> None:
        caller.require_admin()
        text = caller.place["id"]
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise ReddotError("not_found", "no such delivery")
        await self._queue.retry(int(text))
        self._hint()

    async def retry_all(self, caller: Caller) -> Any:
        """Newest first; `next` goes into `before`, so that going on ends, whatever dies again."""
        caller.require_admin()
        again = codec.decode_again(caller.body)
        which = await self._which(State.DEAD, **{name: getattr(again, name) for name in SOUGHT})
        before = None if again.before is None else int(again.before)
        found = await self._queue.deliveries(which, before=before, limit=again.limit + 1)
        some = [one.id for one in found[: again.limit]]
        retried = await self._queue.retry_all(some)
        self._hint()
        return {"retried": retried, "next": str(some[-1]) if len(found) > again.limit else None}

    async def review(self, caller: Caller) -> None:
        """For the whole notification, or the whole campaign: it is about their text."""
        caller.require_admin()
        approve = codec.decode_review(caller.body)
        lane = await self._queue.lane(caller.place["id"])
        await self._queue.control(lane, approved=approve)

    async def review_all(self, caller: Caller) -> Any:
        """As `review`, for each; those of which nothing is delivered are named in the answer."""
        caller.require_admin()
        reviews = codec.decode_reviews(caller.body)
        unknown = []
        for id in reviews.notifications:
            try:
                lane = await self._queue.lane(id)
                await self._queue.control(lane, approved=reviews.approve)
            except ReddotError as error:
                if error.code != "not_found":
                    raise
                unknown.append(id)
        return {"decided": len(reviews.notifications) - len(unknown), "unknown": unknown}

    # ---- plans ----

    async def plans(self, caller: Caller) -> Any:
        caller.require_admin()
        return self._plan_fields()

    async def put_plans(self, caller: Caller) -> Any:
        caller.require_admin()
        await self._plans.put(self._queue, decode_plans(caller.body))
        return self._plan_fields()

    async def drop_plans(self, caller: Caller) -> Any:
        caller.require_admin()
        await self._plans.put(self._queue, None)
        return self._plan_fields()

    def _plan_fields(self) -> dict[str, object]:
        return {
            "source": "api" if self._plans.given else "settings",
            "plans": plans_fields(self._plans.table),
            "settings": plans_fields(self._plans.settings),
            "couriers": sorted(self._couriers),
        }


def slot_of(body: bytes) -> str:
    """A short name for the subscription of one browser."""
    endpoint = codec.decode_endpoint(body)
    return blake2b(endpoint.encode(), digest_size=8).hexdigest()


def _user(caller: Caller) -> str:
    user = caller.place["user"]
    if not is_user_name(user):
        raise ReddotError("field_invalid", "no user's name")
    return user
