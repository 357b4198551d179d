"""The queue of deliveries in the writer's thread of the SQLite store. Layer: stores.

Called inside transactions of the writer, which are shared with what else waits. Every step is
bounded by its caller. Working out whom a notification reaches is in `sqlite_outreach`.

Invariants: `lane_due.ready_ms` is never above the due time of the first PENDING delivery of the
lane and courier, unless the lane was put on hold; `lane.granted` counts `delivery.sent_ms`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from reddot.delivery import TRANSITIONS, State
from reddot.errors import ReddotError
from reddot.outreach import Address, Lease, Passage, Settled
from reddot.ports import Clock
from reddot.stores.sqlite_topics import json_text

STATES: Final = tuple(State)
CODES: Final = {state: code for code, state in enumerate(STATES)}
"""States as the column has them."""
NOTED: Final = frozenset(State) - {State.PENDING, State.LEASED}
MADE: Final = -1
CLICKED: Final = -2
PASSAGES: Final = {MADE: Passage.MADE, CLICKED: Passage.CLICKED}
"""As the column of progress has them, beside states."""
EXPIRED_MAX: Final = 500
MINUTE_MS: Final = 60_000

_LANES: Final = """
SELECT lane FROM lane_due JOIN lane ON lane.id = lane
WHERE courier = ? AND ready_ms <= ? AND paused = 0 AND cancelled = 0
ORDER BY ready_ms, turn LIMIT ?
"""
_DUE: Final = """
SELECT id FROM delivery WHERE lane = ? AND courier = ? AND state = 0 AND due_ms <= ?
ORDER BY due_ms, id LIMIT ?
"""
_DUE_DIGEST: Final = """
SELECT delivery.id FROM delivery JOIN lane ON lane.id = lane
WHERE user = ? AND courier = ? AND digest = 1 AND state = 0 AND due_ms <= ?
  AND paused = 0 AND cancelled = 0
ORDER BY delivery.id LIMIT ?
"""
_TAKE: Final = """
UPDATE delivery SET state = 1, lease_ms = ? WHERE id IN (SELECT value FROM json_each(?))
"""
_LEASES: Final = """
SELECT d.id, ifnull(n.id, ''), user, courier, d.lane, plan.text, due_ms, attempts,
  sent_ms IS NOT NULL, done, digest, unknown
FROM json_each(?) JOIN delivery AS d ON d.id = value LEFT JOIN notification AS n ON n.num = d.num
JOIN lane ON lane.id = d.lane JOIN plan ON plan.id = lane.plan ORDER BY json_each.key
"""
_EXPIRED: Final = """
SELECT id, lane, courier FROM delivery WHERE state = 1 AND lease_ms <= ? LIMIT ?
"""
_SERVED: Final = """
UPDATE lane_due SET turn = ?4, ready_ms = (SELECT max(min(due_ms), ?3) FROM delivery
  WHERE lane = ?1 AND courier = ?2 AND state = 0) WHERE lane = ?1 AND courier = ?2
"""
_READY: Final = """
INSERT INTO lane_due (lane, courier, ready_ms) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET ready_ms = min(ifnull(ready_ms, excluded.ready_ms), excluded.ready_ms)
"""
_HOLD: Final = "UPDATE lane_due SET ready_ms = max(ready_ms, ?) WHERE lane = ?"
_LEASED: Final = """
SELECT id, sent_ms IS NOT NULL FROM delivery
WHERE state = 1 AND id IN (SELECT value FROM json_each(?))
"""
_GRANT: Final = "UPDATE delivery SET sent_ms = ? WHERE id IN (SELECT value FROM json_each(?))"
_HAND_OVER: Final = """
UPDATE delivery SET unknown = ? WHERE state = 1 AND id IN (SELECT value FROM json_each(?))
RETURNING id
"""
_SETTLE: Final = """
UPDATE delivery SET state = ?, due_ms = ifnull(?, due_ms), changed_ms = ?, lease_ms = NULL,
  attempts = ?, sent_ms = iif(?, ifnull(?, sent_ms), NULL), digest = digest OR ?, reason = ?,
  detail = ?, done = ?, unknown = ? WHERE id IN (SELECT value FROM json_each(?))
"""
_SWEEP: Final = """
UPDATE lane SET sweep = 1
WHERE id IN (SELECT value FROM json_each(?)) AND (cancelled = 1 OR approved IS NOT NULL)
"""
_DEAD: Final = """
SELECT DISTINCT delivery.id, lane, courier FROM json_each(?) JOIN delivery ON delivery.id = value
JOIN lane ON lane.id = lane WHERE state = 7 AND cancelled = 0
"""
_REVIVE: Final = """
UPDATE delivery SET state = 0, due_ms = ?, changed_ms = ?, attempts = 0, reason = 'retried',
  detail = '', unknown = NULL WHERE id = ?
"""
_NOT_CLICKED: Final = """
SELECT id, lane, sent_ms FROM delivery WHERE user = ? AND courier = ?
  AND num IN (SELECT num FROM notification WHERE id IN (SELECT value FROM json_each(?)))
  AND sent_ms IS NOT NULL AND clicked_ms IS NULL
"""
_CLICK: Final = "UPDATE delivery SET clicked_ms = ? WHERE id IN (SELECT value FROM json_each(?))"
_PROGRESS: Final = """
INSERT INTO progress VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET count = count + excluded.count
"""


class DeliveryWriter:
    """`ports.Deliveries` as far as it changes deliveries; see there."""

    def __init__(self, cursor: sqlite3.Cursor, *, clock: Clock) -> None:
        self._cursor = cursor
        self._clock = clock
        self._turn = 0

    # ---- leasing ----

    def lease(self, courier: str, limit: int, until_ms: int) -> list[Lease]:
        now_ms = self._clock.wall_ms()
        self._take_back(now_ms)
        lanes = [lane for (lane,) in self._cursor.execute(_LANES, (courier, now_ms, limit))]
        ids: list[int] = []
        self._turn += len(lanes)
        # The first of them get what does not divide, so next time they come last.
        for left, lane in zip(range(len(lanes), 0, -1), lanes, strict=True):
            share = -(-(limit - len(ids)) // left)
            found = self._cursor.execute(_DUE, (lane, courier, now_ms, share)).fetchall()
            ids += [id for (id,) in found]
            self._take([id for (id,) in found], until_ms)
            values = (lane, courier, now_ms, self._turn - len(lanes) + left)
            self._cursor.execute(_SERVED, values)
        return self._leases(ids)

    def lease_digest(self, user: str, courier: str, limit: int, until_ms: int) -> list[Lease]:
        values = (user, courier, self._clock.wall_ms(), limit)
        ids = [id for (id,) in self._cursor.execute(_DUE_DIGEST, values)]
        self._take(ids, until_ms)
        return self._leases(ids)

    def _take(self, ids: Sequence[int], until_ms: int) -> None:
        if ids:
            self._cursor.execute(_TAKE, (until_ms, json_text(ids)))

    def _leases(self, ids: Sequence[int]) -> list[Lease]:
        rows = self._cursor.execute(_LEASES, (json_text(ids),)).fetchall()
        return [_lease(row) for row in rows]

    def _take_back(self, now_ms: int) -> None:
        """What a node that is no more had in hand is due again."""
        rows = self._cursor.execute(_EXPIRED, (now_ms, EXPIRED_MAX)).fetchall()
        if rows:
            back = "UPDATE delivery SET state = 0, lease_ms = NULL, due_ms = ? WHERE id = ?"
            self._cursor.executemany(back, [(now_ms, id) for id, _, _ in rows])
            self._ready({(lane, courier): now_ms for _, lane, courier in rows})

    def _ready(self, when: Mapping[tuple[int, str], int]) -> None:
        rows = [(lane, courier, at_ms) for (lane, courier), at_ms in when.items()]
        self._cursor.executemany(_READY, rows)

    # ---- settling ----

    def grant(self, leases: Sequence[Lease]) -> None:
        now_ms = self._clock.wall_ms()
        leased = self._leased([lease.id for lease in leases])
        mine = [lease for lease in leases if lease.id in leased]
        self._cursor.execute(_GRANT, (now_ms, json_text([lease.id for lease in mine])))
        self._count_granted(Counter(lease.lane for lease in mine if not leased[lease.id]))

    def hand_over(self, unknown: Mapping[int, Sequence[str]]) -> set[int]:
        alike: dict[tuple[str, ...], list[int]] = {}
        for id, slots in unknown.items():  # Most have the one address that has no slot.
            alike.setdefault(tuple(slots), []).append(id)
        noted: set[int] = set()
        for slots, ids in alike.items():
            values = (_slots_text(slots), json_text(ids))
            noted.update(id for (id,) in self._cursor.execute(_HAND_OVER, values).fetchall())
        return noted

    def _leased(self, ids: Iterable[int]) -> dict[int, bool]:
        """Those that are leased, and whether they count as sent."""
        rows = self._cursor.execute(_LEASED, (json_text(list(ids)),))
        return {id: bool(granted) for id, granted in rows}

    def settle(self, results: Sequence[Settled], holds: Mapping[int, int] | None) -> None:
        now_ms = self._clock.wall_ms()
        leased = self._leased(one.lease.id for one in results)
        valid = [
            one
            for one in results
            if one.lease.id in leased and one.state in TRANSITIONS[State.LEASED]
        ]
        granted: Counter[int] = Counter()
        alike: dict[tuple[Any, ...], list[int]] = {}
        for one in valid:
            counts = _counts(one, granted=leased[one.lease.id])
            granted[one.lease.lane] += counts - leased[one.lease.id]
            alike.setdefault(_settled_row(one, counts, now_ms), []).append(one.lease.id)
        for row, ids in alike.items():  # Most end alike, and a statement costs more than a row.
            self._cursor.execute(_SETTLE, (*row, json_text(ids)))
        self._count_granted(granted)
        self._count_moves([(one.lease.lane, one.lease.courier, one.state) for one in valid], now_ms)
        self._wait_again([one for one in valid if one.state is State.PENDING])
        self._sweep({o.lease.lane for o in valid if o.state in (State.PENDING, State.HELD)})
        for gone in [address for one in results for address in one.gone]:
            self.forget(gone)
        self._cursor.executemany(_HOLD, [(ms, lane) for lane, ms in (holds or {}).items()])

    def forget(self, address: Address) -> None:
        """Forget an address, unless another one has taken its place."""
        delete = "DELETE FROM address WHERE user = ? AND courier = ? AND slot = ? AND value = ?"
        values = (address.user, address.courier, address.slot, address.value)
        self._cursor.execute(delete, values)

    def _wait_again(self, results: Sequence[Settled]) -> None:
        when: dict[tuple[int, str], int] = {}
        for one in results:
            key = (one.lease.lane, one.lease.courier)
            when[key] = min(when.get(key, one.due_ms), one.due_ms)
        self._ready(when)

    def _sweep(self, lanes: Collection[int]) -> None:
        """Have moved on what came into a lane after something was said about it."""
        if lanes:
            self._cursor.execute(_SWEEP, (json_text(list(lanes)),))

    def _count_granted(self, changes: Mapping[int, int]) -> None:
        rows = [(count, lane) for lane, count in changes.items() if count]
        self._cursor.executemany("UPDATE lane SET granted = granted + ? WHERE id = ?", rows)

    def _count_moves(
        self, moves: Iterable[tuple[int, str, State]], now_ms: int, by: int = 1
    ) -> None:
        """Note the progress of campaigns; `by` -1: they have left the state."""
        found = Counter(
            (lane, courier, CODES[state])
            for lane, courier, state in moves
            if lane < 0 and state in NOTED
        )
        self.note({key: by * count for key, count in found.items()}, now_ms)

    def note(self, counts: Mapping[tuple[int, str, int], int], at_ms: int) -> None:
        """Add to the progress: lane, courier, code of a state or passage → how many."""
        minute = at_ms // MINUTE_MS
        rows = [(ln, minute, courier, code, n) for (ln, courier, code), n in counts.items()]
        self._cursor.executemany(_PROGRESS, rows)

    # ---- operators ----

    def retry(self, id: int) -> None:
        row = self._cursor.execute("SELECT state FROM delivery WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise ReddotError("not_found", "no such delivery")
        if STATES[row[0]] is not State.DEAD:
            raise ReddotError("not_possible", f"it is {STATES[row[0]].value}, not dead")
        if not self.retry_all([id]):
            raise ReddotError("not_possible", "what it belongs to is cancelled")

    def retry_all(self, ids: Iterable[int]) -> int:
        rows = self._cursor.execute(_DEAD, (json_text(list(ids)),)).fetchall()
        now_ms = self._clock.wall_ms()
        self._cursor.executemany(_REVIVE, [(now_ms, now_ms, id) for id, _, _ in rows])
        lanes = [(lane, courier) for _, lane, courier in rows]
        self._ready(dict.fromkeys(lanes, now_ms))
        self._count_moves([(*one, State.DEAD) for one in lanes], now_ms, by=-1)
        return len(rows)

    def click(self, user: str, courier: str, notifications: Iterable[str]) -> None:
        values = (user, courier, json_text(list(notifications)))
        rows = self._cursor.execute(_NOT_CLICKED, values).fetchall()
        self._cursor.execute(_CLICK, (self._clock.wall_ms(), json_text([id for id, _, _ in rows])))
        for _, lane, sent_ms in rows:
            if lane < 0:
                self.note({(lane, courier, CLICKED): 1}, sent_ms)

    def control(
        self, lane: int, paused: bool | None, cancelled: bool | None, approved: bool | None
    ) -> None:
        update = (
            "UPDATE lane SET paused = ifnull(?, paused), cancelled = ifnull(?, cancelled),"
            " approved = ifnull(?, approved), sweep = iif(?, 1, sweep) WHERE id = ?"
        )
        if lane < 0:  # A campaign may be paused before it has a delivery, and a plan.
            self._cursor.execute("INSERT OR IGNORE INTO lane (id, plan) VALUES (?, 0)", (lane,))
        sweep = cancelled is not None or approved is not None
        self._cursor.execute(update, (paused, cancelled, approved, sweep, lane))
        if not self._cursor.rowcount:
            raise ReddotError("not_found", "nothing of this is delivered")

    # ---- small steps ----

    def upkeep(self, rows_max: int, kept_ms: int) -> int:
        """As `ports.Deliveries.upkeep`.

        Args:
            kept_ms: what went live before that is forgotten.
        """
        row = self._cursor.execute(
            "SELECT id, cancelled, approved FROM lane WHERE sweep = 1 LIMIT 1"
        ).fetchone()
        if row is not None:
            moved = self._sweep_lane(rows_max, *row)
            if not moved:
                self._cursor.execute("UPDATE lane SET sweep = 0 WHERE id = ?", (row[0],))
            return max(moved, 1)
        return self._forget_old(rows_max, kept_ms)

    def _sweep_lane(self, rows_max: int, lane: int, cancelled: int, approved: int | None) -> int:
        waits = "SELECT id, courier FROM delivery WHERE lane = ? AND state = 0 LIMIT ?"
        held = "SELECT id, courier FROM delivery WHERE lane = ? AND state = 2 LIMIT ?"
        rows = self._cursor.execute(held, (lane, rows_max)).fetchall()
        left = [(lane, courier, State.HELD) for _, courier in rows]
        if cancelled:
            rows = rows or self._cursor.execute(waits, (lane, rows_max)).fetchall()
            state, reason = State.CANCELLED, "cancelled"
        elif approved:
            state, reason = State.PENDING, "approved"
        else:
            state, reason = State.SKIPPED, "rejected"
        now_ms = self._clock.wall_ms()
        update = (
            "UPDATE delivery SET state = ?, due_ms = iif(?, ?, due_ms), changed_ms = ?, reason = ?,"
            " sent_ms = NULL WHERE id = ?"
        )
        waiting = state is State.PENDING
        values = [(CODES[state], waiting, now_ms, now_ms, reason, id) for id, _ in rows]
        granted = self._granted_of([id for id, _ in rows])
        self._cursor.executemany(update, values)
        self._count_granted({lane: -granted})
        self._count_moves(left, now_ms, by=-1)
        self._count_moves([(lane, courier, state) for _, courier in rows], now_ms)
        if waiting:
            self._ready({(lane, courier): now_ms for _, courier in rows})
        return len(rows)

    def _granted_of(self, ids: Sequence[int]) -> int:
        count = (
            "SELECT count(*) FROM delivery WHERE sent_ms IS NOT NULL"
            " AND id IN (SELECT value FROM json_each(?))"
        )
        return int(self._cursor.execute(count, (json_text(ids),)).fetchone()[0])

    def _forget_old(self, rows_max: int, kept_ms: int) -> int:
        """Forget the oldest outreach, if it is too old, a few of its deliveries at a time."""
        row = self._cursor.execute(
            "SELECT num, lane, ifnull(time_ms, 0) FROM outreach LEFT JOIN notification USING (num)"
            " ORDER BY num LIMIT 1"
        ).fetchone()
        if row is None or row[2] > kept_ms:
            return self._forget_campaign(kept_ms)
        num, lane, _ = row
        ids = "SELECT id FROM delivery WHERE num = ? LIMIT ?"
        found = [id for (id,) in self._cursor.execute(ids, (num, rows_max))]
        self._count_granted({num if lane is None else lane: -self._granted_of(found)})
        delete = "DELETE FROM delivery WHERE id IN (SELECT value FROM json_each(?))"
        self._cursor.execute(delete, (json_text(found),))
        if len(found) < rows_max:
            self._cursor.execute("DELETE FROM outreach WHERE num = ?", (num,))
            if lane is None:
                self._forget_lane(num)
        return max(len(found), 1)

    def _forget_lane(self, lane: int) -> None:
        self._cursor.execute("DELETE FROM lane WHERE id = ?", (lane,))
        self._cursor.execute("DELETE FROM lane_due WHERE lane = ?", (lane,))
        self._cursor.execute("DELETE FROM progress WHERE lane = ?", (lane,))

    def _forget_campaign(self, kept_ms: int) -> int:
        row = self._cursor.execute(
            "SELECT num FROM campaign WHERE look_ms IS NULL AND time_ms <= ?"
            " AND NOT EXISTS (SELECT 1 FROM outreach WHERE lane = -campaign.num)"
            " ORDER BY num LIMIT 1",
            (kept_ms,),
        ).fetchone()
        if row is None:
            return 0
        self._cursor.execute("DELETE FROM campaign WHERE num = ?", row)
        self._cursor.execute("DELETE FROM audience WHERE campaign = ?", row)
        self._cursor.execute("DELETE FROM figures WHERE campaign = ?", row)
        self._forget_lane(-row[0])
        return 1


def _lease(row: tuple[Any, ...]) -> Lease:
    id, notification, user, courier, lane, plan, due_ms, attempts, granted, *rest = row
    done, digest, unknown = rest
    return Lease(
        id=id,
        notification=notification,
        user=user,
        courier=courier,
        lane=lane,
        plan=plan,
        due_ms=due_ms,
        attempts=attempts,
        granted=bool(granted),
        done=_slots(done),
        digest=bool(digest),
        unknown=_slots(unknown),
    )


def _slots(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(msgspec.json.decode(text))


def _slots_text(slots: Sequence[str]) -> str | None:
    return json_text(slots) if slots else None


def _counts(one: Settled, *, granted: bool) -> bool:
    """Whether a delivery counts as sent once this has come of it."""
    if one.state is State.PENDING:
        return granted and (one.lease.granted or one.attempts > 0)
    return one.state is State.SENT or (granted and bool(one.unknown))


def _settled_row(one: Settled, counts: bool, now_ms: int) -> tuple[Any, ...]:
    return (
        CODES[one.state],
        one.due_ms if one.state is State.PENDING else None,
        now_ms,
        one.attempts,
        counts,
        now_ms if one.state is State.SENT else None,
        one.digest,
        one.reason,
        one.detail,
        _slots_text(one.done),
        _slots_text(one.unknown),
    )
