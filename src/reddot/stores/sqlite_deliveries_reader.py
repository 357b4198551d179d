"""What is asked of the queue of deliveries, on one snapshot of the database. Layer: stores.

Runs in a reader's thread, in one transaction, so that everything known of a delivery is known of
the same moment.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Final

from reddot.codecs.message import message_of
from reddot.core.muting import in_force
from reddot.core.unreached import is_muted, is_seen
from reddot.errors import ReddotError
from reddot.inbox import UNMARKED
from reddot.outreach import Address, Case, Delivery, Lease, Past, Progress, Which
from reddot.stores.sqlite_deliveries import CODES, PASSAGES, STATES
from reddot.stores.sqlite_inbox import marks_in
from reddot.stores.sqlite_preferences import preferences_in
from reddot.stores.sqlite_topics import json_text

_CASES: Final = """
SELECT d.id, d.user, n.id, category.name, n.time_ms, n.expires_ms, n.collapse_key,
  CAST(n.data AS TEXT), n.state, note.seq, note.dead, topic.name, person.preferences,
  attributes.data, lane.paused, lane.approved, lane.granted, d.sent_ms IS NOT NULL,
  m.join_seq, m.read_upto, m.read, m.archived, m.deleted, m.seen_upto, m.followed,
  m.snoozed
FROM json_each(?) JOIN delivery AS d ON d.id = value
JOIN lane ON lane.id = d.lane
LEFT JOIN notification AS n ON n.num = d.num
LEFT JOIN category ON category.id = n.category
LEFT JOIN note ON note.topic_id = d.topic_id AND note.pos = d.pos
LEFT JOIN topic ON topic.id = d.topic_id
LEFT JOIN person ON person.name = d.user
LEFT JOIN marks AS m ON m.person_id = person.id AND m.topic_id = d.topic_id
LEFT JOIN attributes ON attributes.user = d.user
"""
_ADDRESSES: Final = """
SELECT user, courier, slot, value, time_ms FROM address
WHERE user IN (SELECT value FROM json_each(?)) AND courier IN (SELECT value FROM json_each(?))
"""
_PAST: Final = """
SELECT d.user, d.id, d.sent_ms, d.courier, category.name
FROM json_each(?) JOIN delivery AS d ON d.user = value AND d.sent_ms >= ?
JOIN notification AS n ON n.num = d.num JOIN category ON category.id = n.category
ORDER BY d.sent_ms
"""
_DIGESTS: Final = """
SELECT user, courier, min(due_ms) FROM delivery
WHERE digest = 1 AND state < 2 AND user IN (SELECT value FROM json_each(?)) GROUP BY user, courier
"""
_DELIVERIES: Final = """
SELECT d.id, ifnull(n.id, ''), user, courier, d.state, due_ms, changed_ms, attempts, reason,
  detail, sent_ms, clicked_ms FROM delivery AS d LEFT JOIN notification AS n USING (num)
WHERE {} AND d.id < ? ORDER BY d.id DESC LIMIT ?
"""
_OF_NOTIFICATION: Final = "num IN (SELECT num FROM notification WHERE id = ?)"
_NEXT: Final = """
SELECT min(at) FROM (
  SELECT min(ready_ms) AS at FROM lane_due JOIN lane ON lane.id = lane
    WHERE courier IN (SELECT value FROM json_each(?)) AND ready_ms IS NOT NULL
      AND paused = 0 AND cancelled = 0
  UNION ALL SELECT min(lease_ms) FROM delivery WHERE state = 1)
"""
_COURIER: Final = "SELECT min(courier) FROM lane_due WHERE ready_ms IS NOT NULL AND courier > ?"
_WAITING: Final = """
SELECT EXISTS (SELECT 1 FROM outreach WHERE lane = ?1 AND place IS NOT NULL)
  OR EXISTS (SELECT 1 FROM delivery WHERE lane = ?1 AND state = 0)
  OR EXISTS (SELECT 1 FROM delivery WHERE lane = ?1 AND state = 2)
  OR EXISTS (SELECT 1 FROM delivery WHERE lane = ?1 AND state = 1)
"""
_LANE: Final = """
SELECT ifnull(lane, num) FROM outreach JOIN notification USING (num)
WHERE notification.id = ? ORDER BY num DESC LIMIT 1
"""

Row = tuple[Any, ...]


class DeliverySnapshot:
    """Args:
    connection: in a transaction, so that all statements see the same state.
    locked: categories that nobody can mute.
    """

    def __init__(self, connection: sqlite3.Connection, now_ms: int, locked: frozenset[str]) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._locked = locked

    def _all(self, statement: str, *values: Any) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    # ---- what the rules look at ----

    def cases(self, leases: Sequence[Lease], since_ms: int) -> list[Case]:
        """As `ports.Deliveries.cases`."""
        by_id = {lease.id: lease for lease in leases}
        users = json_text({lease.user for lease in leases})
        couriers = json_text({lease.courier for lease in leases})
        addresses: dict[tuple[str, str], list[Address]] = {}
        for user, courier, slot, value, time_ms in self._all(_ADDRESSES, users, couriers):
            address = Address(
                user=user, courier=courier, slot=slot, value=bytes(value), time_ms=time_ms
            )
            addresses.setdefault((user, courier), []).append(address)
        past: dict[str, list[tuple[int, Past]]] = {}
        for user, id, *rest in self._all(_PAST, users, since_ms):
            past.setdefault(user, []).append((id, Past(*rest)))
        digests = {(user, courier): at for user, courier, at in self._all(_DIGESTS, users)}
        return [
            _case(
                by_id[row[0]],
                row,
                addresses=addresses.get((row[1], by_id[row[0]].courier), []),
                past=[one for id, one in past.get(row[1], ()) if id != row[0]],
                digest_ms=digests.get((row[1], by_id[row[0]].courier)),
                now_ms=self._now_ms,
                locked=self._locked,
            )
            for row in self._all(_CASES, json_text(list(by_id)))
        ]

    def next_ms(self, couriers: Collection[str]) -> int | None:
        found: int | None = self._all(_NEXT, json_text(list(couriers)))[0][0]
        return found

    def couriers(self) -> list[str]:
        """As `ports.Deliveries.couriers`; from name to name, whatever waits for each."""
        found: list[str] = []
        while (name := self._all(_COURIER, found[-1] if found else "")[0][0]) is not None:
            found.append(name)
        return found

    # ---- what operators ask ----

    def deliveries(self, which: Which, before: int | None, limit: int) -> list[Delivery]:
        """As `ports.Deliveries.deliveries`."""
        wanted = {
            _OF_NOTIFICATION: which.notification,
            "lane = ?": which.lane,
            "user = ?": which.user,
            "courier = ?": which.courier,
            "reason = ?": which.reason,
            "d.state = ?": None if which.state is None else CODES[which.state],
        }
        given = {text: value for text, value in wanted.items() if value is not None}
        statement = _DELIVERIES.format(" AND ".join(given) or "true")
        below = 2**63 - 1 if before is None else before
        return [_delivery(row) for row in self._all(statement, *given.values(), below, limit)]

    def progress(self, lane: int) -> list[Progress]:
        select = (
            "SELECT minute, courier, state, count FROM progress WHERE lane = ?"
            " ORDER BY minute, courier, state"
        )
        return [
            Progress(minute, courier, STATES[code] if code >= 0 else PASSAGES[code], count)
            for minute, courier, code, count in self._all(select, lane)
        ]

    def waiting(self, lane: int) -> bool:
        return bool(self._all(_WAITING, lane)[0][0])

    def lane(self, notification: str) -> int:
        """As `ports.Deliveries.lane`."""
        rows = self._all(_LANE, notification)
        if not rows:
            raise ReddotError("not_found", "nothing of this is delivered")
        return int(rows[0][0])


def _case(
    lease: Lease,
    row: Row,
    *,
    addresses: list[Address],
    past: list[Past],
    digest_ms: int | None,
    now_ms: int,
    locked: frozenset[str],
) -> Case:
    (_, user, id, category, time_ms, expires_ms, collapse_key, data, state, seq, dead) = row[:11]
    (topic, preferences, attributes, paused, approved, total, granted, *marks) = row[11:]
    message = None
    if id is not None:
        message = message_of(
            data.encode(),
            id=id,
            category=category,
            collapse_key=collapse_key,
            time_ms=time_ms,
        )
    own = UNMARKED if marks[0] is None else marks_in(tuple(marks))
    expired = expires_ms is not None and expires_ms <= now_ms
    known = in_force(preferences_in(preferences), now_ms)
    return Case(
        lease=lease,
        message=message,
        live=message is not None and state == 0 and dead == 0 and not expired,
        expires_ms=expires_ms,
        seen=seq is not None and is_seen(own, seq),
        muted=is_muted(
            known,
            own,
            user=user,
            topic=topic,
            category=category,
            by=lease.courier,
            locked=locked,
        ),
        quiet=None if category in locked else known.quiet,
        timezone=known.timezone,
        paused=bool(paused),
        attributes=b"{}" if attributes is None else attributes.encode(),
        addresses=tuple(addresses),
        past=tuple(past),
        total=total - granted,
        approved=None if approved is None else bool(approved),
        digest_ms=digest_ms,
    )


def _delivery(row: Row) -> Delivery:
    id, notification, user, courier, code, due_ms, changed_ms, attempts, *rest = row
    reason, detail, sent_ms, clicked_ms = rest
    return Delivery(
        id=id,
        notification=notification,
        user=user,
        courier=courier,
        state=STATES[code],
        due_ms=due_ms,
        changed_ms=changed_ms,
        attempts=attempts,
        reason=reason,
        detail=detail,
        sent_ms=sent_ms,
        clicked_ms=clicked_ms,
    )
