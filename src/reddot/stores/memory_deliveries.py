"""The queue of deliveries in memory, the reference for the others. Layer: stores; part of
`stores.memory`. Written to be read: it looks at everything each time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from reddot.codecs.message import message_of
from reddot.core.muting import in_force
from reddot.core.unreached import is_muted, is_seen
from reddot.delivery import TRANSITIONS, Plan, State
from reddot.errors import ReddotError
from reddot.outreach import (
    ANY,
    Address,
    Case,
    Delivery,
    DeliveryKeep,
    Lease,
    Passage,
    Past,
    Progress,
    Settled,
    Which,
)
from reddot.ports import Clock
from reddot.stores.memory_campaigns import MemoryCampaigns
from reddot.stores.memory_inbox import MemoryInbox
from reddot.stores.memory_notes import Sending

MINUTE_MS: Final = 60_000
PEOPLE_MAX: Final = 2**31
NOTED: Final = frozenset([*State, *Passage]) - {State.PENDING, State.LEASED}


@dataclass(slots=True, eq=False)
class _Outreach:
    """`place`: the last user that was looked at; None: all were."""

    sending: Sending
    lane: int
    place: str | None = ""


@dataclass(slots=True, eq=False)
class _Lane:
    plan: str
    paused: bool = False
    cancelled: bool = False
    approved: bool | None = None
    sweep: bool = False
    hold_ms: int = 0
    turns: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Row:
    id: int
    sending: Sending
    user: str
    courier: str
    lane: int
    topic: str
    due_ms: int
    changed_ms: int
    state: State = State.PENDING
    lease_ms: int = 0
    attempts: int = 0
    sent_ms: int | None = None
    clicked_ms: int | None = None
    digest: bool = False
    reason: str = ""
    detail: str = ""
    done: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class MemoryDeliveries(MemoryCampaigns):
    """See `ports.Deliveries`."""

    def __init__(self, *, clock: Clock, keep: DeliveryKeep, inbox: MemoryInbox) -> None:
        super().__init__(clock=clock)
        self._keep = keep
        self._inbox = inbox
        self._outreaches: list[_Outreach] = []
        self._lanes: dict[int, _Lane] = {}
        self._rows: dict[int, _Row] = {}
        self._keys: set[tuple[int, str, str]] = set()
        self._last = 0
        self._turn = 0
        self._addresses: dict[tuple[str, str, str], Address] = {}
        self._attributes: dict[str, bytes] = {}
        self._plans: bytes | None = None
        self._progress: dict[tuple[int, int, str, State | Passage], int] = {}

    # ---- in the transaction of the notification, and of the erasure of a person ----

    def begin(self, sending: Sending) -> None:
        lane = sending.note.lane or sending.position
        self._outreaches.append(_Outreach(sending, lane))

    def erase(self, user: str) -> None:
        self._addresses = {k: one for k, one in self._addresses.items() if one.user != user}
        self._rows = {id: row for id, row in self._rows.items() if row.user != user}
        self._attributes.pop(user, None)
        self.leave_out_of_campaigns(user)

    # ---- expanding ----

    async def expand(self, *, rows_max: int) -> bool:
        waiting = [one for one in self._outreaches if one.place is not None]
        for outreach in waiting:
            self._expand(outreach, max(1, rows_max // len(waiting)))
        return any(one.place is not None for one in waiting)

    def _expand(self, outreach: _Outreach, most: int) -> None:
        sending = outreach.sending
        plan = msgspec.json.decode(sending.note.plan, type=Plan)
        known = {one.user for one in self._addresses.values()}
        receivers = self._inbox.receivers(sending)
        if receivers and receivers[0][0] == "":
            receivers = [(user, receivers[0][1]) for user in known]
        rest = sorted(one for one in receivers if outreach.place is None or one[0] > outreach.place)
        people = rest[:most]
        couriers: dict[str, int] = {}
        for step in plan.steps:
            couriers.setdefault(step.courier, step.after_s)
        for user, topic in people:
            for courier, after_s in couriers.items():
                if self._known(user, courier):
                    self._make(outreach, user, topic, courier, after_s)
        outreach.place = people[-1][0] if len(rest) > most else None

    def _known(self, user: str, courier: str) -> list[Address]:
        return [a for k, a in sorted(self._addresses.items()) if k[:2] == (user, courier)]

    def _make(self, outreach: _Outreach, user: str, topic: str, courier: str, after_s: int) -> None:
        sending, now_ms = outreach.sending, self._clock.wall_ms()
        key = (sending.position, user, courier)
        if key in self._keys:
            return
        self._keys.add(key)
        self._last += 1
        lane = self._lanes.setdefault(outreach.lane, _Lane(sending.note.plan))
        lane.plan = lane.plan or sending.note.plan
        due_ms = sending.draft.time_ms + after_s * 1000
        row = self._rows[self._last] = _Row(
            self._last, sending, user, courier, outreach.lane, topic, due_ms, now_ms
        )
        self._note(row, Passage.MADE)

    def _note(
        self, row: _Row, state: State | Passage, *, by: int = 1, at_ms: int | None = None
    ) -> None:
        if row.lane < 0 and state in NOTED:
            minute = (at_ms or self._clock.wall_ms()) // MINUTE_MS
            key = (row.lane, minute, row.courier, state)
            self._progress[key] = self._progress.get(key, 0) + by

    # ---- leasing ----

    async def lease(self, courier: str, *, limit: int, until_ms: int) -> Sequence[Lease]:
        now_ms = self._clock.wall_ms()
        due: dict[int, list[_Row]] = {}
        for row in sorted(self._rows.values(), key=lambda one: (one.due_ms, one.id)):
            if row.courier == courier and self._is_due(row, now_ms):
                due.setdefault(row.lane, []).append(row)
        lanes = sorted(due, key=lambda lane: self._lanes[lane].turns.get(courier, 0))[:limit]
        taken: list[_Row] = []
        self._turn += len(lanes)
        # The first of them get what does not divide, so next time they come last.
        for left, lane in zip(range(len(lanes), 0, -1), lanes, strict=True):
            taken += due[lane][: -(-(limit - len(taken)) // left)]
            self._lanes[lane].turns[courier] = self._turn - len(lanes) + left
        return [self._take(row, until_ms) for row in taken]

    def _is_due(self, row: _Row, now_ms: int) -> bool:
        lane = self._lanes[row.lane]
        if lane.paused or lane.cancelled or lane.hold_ms > now_ms:
            return False
        if row.state is State.LEASED:
            return row.lease_ms <= now_ms
        return row.state is State.PENDING and row.due_ms <= now_ms

    async def lease_digest(
        self, user: str, courier: str, *, limit: int, until_ms: int
    ) -> Sequence[Lease]:
        now_ms = self._clock.wall_ms()
        found = [
            row
            for row in self._rows.values()
            if (row.user, row.courier, row.digest) == (user, courier, True)
            and self._is_due(row, now_ms)
        ]
        return [self._take(row, until_ms) for row in found[:limit]]

    def _take(self, row: _Row, until_ms: int) -> Lease:
        row.state = State.LEASED
        row.lease_ms = until_ms
        return Lease(
            id=row.id,
            notification=row.sending.draft.id,
            user=row.user,
            courier=row.courier,
            lane=row.lane,
            plan=self._lanes[row.lane].plan,
            due_ms=row.due_ms,
            attempts=row.attempts,
            granted=row.sent_ms is not None,
            done=row.done,
            digest=row.digest,
            unknown=row.unknown,
        )

    # ---- what is known ----

    async def cases(self, leases: Sequence[Lease], *, since_ms: int) -> Sequence[Case]:
        return [self._case(one, since_ms) for one in leases if one.id in self._rows]

    def _case(self, lease: Lease, since_ms: int) -> Case:
        row, lane = self._rows[lease.id], self._lanes[lease.lane]
        draft, note = row.sending.draft, row.sending.note
        live, seq, marks = self._inbox.standing(row.sending, row.topic, row.user)
        preferences = in_force(self._inbox.preferences(row.user), self._clock.wall_ms())
        others = [one for one in self._rows.values() if one.id != row.id]
        mine = [one for one in others if one.user == row.user]
        past = [
            Past(one.sent_ms, one.courier, one.sending.note.category)
            for one in mine
            if one.sent_ms is not None and one.sent_ms >= since_ms
        ]
        return Case(
            lease=lease,
            message=message_of(
                draft.data,
                id=draft.id,
                category=note.category,
                collapse_key=note.collapse_key,
                time_ms=draft.time_ms,
            ),
            live=live,
            expires_ms=draft.expires_ms,
            seen=seq is not None and is_seen(marks, seq),
            muted=is_muted(
                preferences,
                marks,
                user=row.user,
                topic=row.topic,
                category=note.category,
                by=row.courier,
                locked=self._inbox.locked,
            ),
            quiet=None if note.category in self._inbox.locked else preferences.quiet,
            timezone=preferences.timezone,
            paused=lane.paused,
            attributes=self._attributes.get(row.user, b"{}"),
            addresses=tuple(self._known(row.user, row.courier)),
            past=tuple(sorted(past, key=lambda one: one.time_ms)),
            total=sum(one.lane == row.lane and one.sent_ms is not None for one in others),
            approved=lane.approved,
            digest_ms=min((one.due_ms for one in self._digest(row)), default=None),
        )

    def _digest(self, row: _Row) -> Iterator[_Row]:
        for one in self._rows.values():
            same = (one.user, one.courier) == (row.user, row.courier)
            if same and one.digest and one.state in (State.PENDING, State.LEASED):
                yield one

    async def next_ms(self, couriers: Collection[str]) -> int | None:
        times = [row.lease_ms for row in self._rows.values() if row.state is State.LEASED]
        for row in self._rows.values():
            lane = self._lanes[row.lane]
            waits = row.state is State.PENDING and row.courier in couriers
            if waits and not (lane.paused or lane.cancelled):
                times.append(max(row.due_ms, lane.hold_ms))
        return min(times, default=None)

    async def couriers(self) -> Sequence[str]:
        return sorted({r.courier for r in self._rows.values() if r.state is State.PENDING})

    # ---- settling ----

    async def grant(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            row = self._rows.get(lease.id)
            if row is not None and row.state is State.LEASED:
                row.sent_ms = self._clock.wall_ms()

    async def hand_over(self, unknown: Mapping[int, Sequence[str]]) -> Collection[int]:
        rows = [self._rows[id] for id in unknown if id in self._rows]
        leased = [row for row in rows if row.state is State.LEASED]
        for row in leased:
            row.unknown = tuple(unknown[row.id])
        return {row.id for row in leased}

    async def settle(
        self, results: Sequence[Settled], holds: Mapping[int, int] | None = None
    ) -> None:
        for one in results:
            row = self._rows.get(one.lease.id)
            leased = row is not None and row.state is State.LEASED
            if row is not None and leased and one.state in TRANSITIONS[State.LEASED]:
                self._settle(row, one)
            for gone in one.gone:
                key = (gone.user, gone.courier, gone.slot)
                if key in self._addresses and self._addresses[key].value == gone.value:
                    del self._addresses[key]
        for lane, until_ms in (holds or {}).items():
            if lane in self._lanes:
                self._lanes[lane].hold_ms = max(self._lanes[lane].hold_ms, until_ms)

    def _settle(self, row: _Row, one: Settled) -> None:
        tried = one.state is State.PENDING and (one.lease.granted or one.attempts)
        if one.state is State.SENT:
            row.sent_ms = self._clock.wall_ms()
        elif not (tried or one.unknown):
            row.sent_ms = None
        if one.state is State.PENDING:
            row.due_ms = one.due_ms
        row.attempts = one.attempts
        row.done = one.done
        row.unknown = one.unknown
        row.digest = row.digest or one.digest
        self._move(row, one.state, one.reason, one.detail)
        lane = self._lanes[row.lane]
        if one.state in (State.PENDING, State.HELD):
            lane.sweep = lane.cancelled or lane.approved is not None

    def _move(self, row: _Row, state: State, reason: str, detail: str = "") -> None:
        if row.state is State.HELD:
            self._note(row, State.HELD, by=-1)
        row.state, row.reason, row.detail = state, reason, detail
        row.changed_ms = self._clock.wall_ms()
        self._note(row, state)

    # ---- small steps ----

    async def upkeep(self, *, rows_max: int) -> int:
        for number, lane in self._lanes.items():
            if lane.sweep:
                moved = self._sweep(number, lane, rows_max)
                lane.sweep = bool(moved)
                return max(moved, 1)
        kept_ms = self._clock.wall_ms() - self._keep.age_ms
        old = [row for row in self._rows.values() if row.sending.draft.time_ms <= kept_ms]
        for row in old[:rows_max]:
            del self._rows[row.id]
        if old:
            return len(old[:rows_max])
        before = len(self._outreaches)
        self._outreaches = [o for o in self._outreaches if o.sending.draft.time_ms > kept_ms]
        return min(rows_max, before - len(self._outreaches) + self._forget_lanes(kept_ms))

    def _forget_lanes(self, kept_ms: int) -> int:
        in_use = {-outreach.lane for outreach in self._outreaches}
        lanes = [-number for number in self.forget_campaigns(kept_ms, but=in_use)]
        for lane in lanes:
            self._lanes.pop(lane, None)
            self._progress = {k: n for k, n in self._progress.items() if k[0] != lane}
        return len(lanes)

    def _sweep(self, number: int, lane: _Lane, rows_max: int) -> int:
        states = (State.HELD, State.PENDING) if lane.cancelled else (State.HELD,)
        rows = [r for r in self._rows.values() if r.lane == number and r.state in states]
        for row in rows[:rows_max]:
            row.sent_ms = None
            if lane.cancelled:
                self._move(row, State.CANCELLED, "cancelled")
            elif lane.approved:
                row.due_ms = self._clock.wall_ms()
                self._move(row, State.PENDING, "approved")
            else:
                self._move(row, State.SKIPPED, "rejected")
        return len(rows[:rows_max])

    # ---- people ----

    async def put_address(self, address: Address) -> None:
        key = (address.user, address.courier, address.slot)
        held = self._known(address.user, address.courier)
        if key not in self._addresses and len(held) >= self._keep.addresses_max:
            raise ReddotError("too_many_addresses", f"{self._keep.addresses_max} are allowed")
        self._addresses[key] = address

    async def drop_address(self, user: str, courier: str, slot: str | None = None) -> bool:
        gone = [
            key
            for key in self._addresses
            if key[:2] == (user, courier) and (slot is None or key[2] == slot)
        ]
        for key in gone:
            del self._addresses[key]
        return bool(gone)

    async def addresses(self, user: str) -> Sequence[Address]:
        return [one for key, one in sorted(self._addresses.items()) if key[0] == user]

    async def put_attributes(self, user: str, attributes: bytes) -> None:
        self._attributes.pop(user, None)
        if attributes != b"{}":
            self._attributes[user] = attributes

    async def attributes(self, user: str) -> bytes:
        return self._attributes.get(user, b"{}")

    async def audience(self, topic: str | None) -> int:
        if topic is not None:
            return self._inbox.followers(topic)
        known = {one.user for one in self._addresses.values()} | self._attributes.keys()
        return len(known.union(await self._inbox.users(after="", limit=PEOPLE_MAX)))

    async def people(self, *, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        return [one for one in sorted(self._attributes.items()) if one[0] > after][:limit]

    # ---- operators ----

    async def deliveries(
        self, which: Which = ANY, *, before: int | None = None, limit: int
    ) -> Sequence[Delivery]:
        found = [
            row
            for row in reversed(self._rows.values())
            if which.notification in (None, row.sending.draft.id)
            and which.lane in (None, row.lane)
            and which.user in (None, row.user)
            and which.courier in (None, row.courier)
            and which.reason in (None, row.reason)
            and which.state in (None, row.state)
            and (before is None or row.id < before)
        ]
        return [_delivery(row) for row in found[:limit]]

    async def retry(self, id: int) -> None:
        row = self._rows.get(id)
        if row is None:
            raise ReddotError("not_found", "no such delivery")
        if row.state is not State.DEAD:
            raise ReddotError("not_possible", f"it is {row.state.value}, not dead")
        if self._lanes[row.lane].cancelled:
            raise ReddotError("not_possible", "what it belongs to is cancelled")
        self._revive(row)

    async def retry_all(self, ids: Collection[int]) -> int:
        found = [self._rows[id] for id in ids if id in self._rows]
        dead = [r for r in found if r.state is State.DEAD and not self._lanes[r.lane].cancelled]
        for row in dead:
            self._revive(row)
        return len(dead)

    def _revive(self, row: _Row) -> None:
        self._note(row, State.DEAD, by=-1)
        row.due_ms, row.attempts, row.unknown = self._clock.wall_ms(), 0, ()
        self._move(row, State.PENDING, "retried")

    async def click(self, user: str, courier: str, notifications: Collection[str]) -> None:
        for row in self._rows.values():
            mine = (row.user, row.courier) == (user, courier) and row.sent_ms is not None
            if mine and row.clicked_ms is None and row.sending.draft.id in notifications:
                row.clicked_ms = self._clock.wall_ms()
                self._note(row, Passage.CLICKED, at_ms=row.sent_ms)

    async def lane(self, notification: str) -> int:
        for outreach in reversed(self._outreaches):
            if outreach.sending.draft.id == notification and outreach.lane in self._lanes:
                return outreach.lane
        raise ReddotError("not_found", "nothing of this is delivered")

    async def control(
        self,
        lane: int,
        *,
        paused: bool | None = None,
        cancelled: bool | None = None,
        approved: bool | None = None,
    ) -> None:
        if lane < 0:  # A campaign may be paused before it has a delivery, and a plan.
            self._lanes.setdefault(lane, _Lane(""))
        found = self._lanes.get(lane)
        if found is None:
            raise ReddotError("not_found", "nothing of this is delivered")
        found.paused = found.paused if paused is None else paused
        found.cancelled = found.cancelled if cancelled is None else cancelled
        found.approved = found.approved if approved is None else approved
        found.sweep = found.sweep or cancelled is not None or approved is not None

    async def progress(self, lane: int) -> Sequence[Progress]:
        found = [
            Progress(minute, courier, state, count)
            for (of, minute, courier, state), count in self._progress.items()
            if of == lane
        ]
        return sorted(found, key=lambda one: (one.minute, one.courier))

    async def waiting(self, lane: int) -> bool:
        open_states = (State.PENDING, State.LEASED, State.HELD)
        return any(o.lane == lane and o.place is not None for o in self._outreaches) or any(
            row.lane == lane and row.state in open_states for row in self._rows.values()
        )

    async def plans(self) -> bytes | None:
        return self._plans

    async def put_plans(self, plans: bytes | None) -> None:
        self._plans = plans


def _delivery(row: _Row) -> Delivery:
    return Delivery(
        id=row.id,
        notification=row.sending.draft.id,
        user=row.user,
        courier=row.courier,
        state=row.state,
        due_ms=row.due_ms,
        changed_ms=row.changed_ms,
        attempts=row.attempts,
        reason=row.reason,
        detail=row.detail,
        sent_ms=row.sent_ms,
        clicked_ms=row.clicked_ms,
    )
