"""What people snooze in memory, and what comes back. Layer: stores; part of `stores.memory`.

Pure but for what a notification is kept for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import msgspec

from reddot.core import badge
from reddot.errors import ReddotError
from reddot.inbox import Keep, Marks, Snooze, Snoozed, Wake
from reddot.model import USERS_ROOT
from reddot.stores.memory_notes import LIVE, Record, Topic, is_expired

# The marks of one user, by topic, without what is not kept any more; and all topics.
Inbox = Mapping[str, Marks]
Topics = Mapping[str, Topic]


def _record(topics: Topics, name: str, one: Snoozed) -> Record | None:
    """None: retention has taken it."""
    return next((r for r in topics[name].records if r.seq == one.seq), None)


def _is_live(record: Record | None, now_ms: int) -> TypeGuard[Record]:
    if record is None or record.state != LIVE:
        return False
    return not is_expired(record.sending.draft, now_ms)


def snooze(
    change: Snooze, inbox: Inbox, topics: Topics, keep: Keep, now_ms: int
) -> dict[str, Marks | None]:
    """The new marks, by topic; what is dead leaves them.

    Raises:
        ReddotError: `field_invalid`, `not_found`, `too_many_snoozed`.
    """
    if change.until_ms <= now_ms:
        raise ReddotError("field_invalid", "'until' is over")
    altered: dict[str, Marks | None] = {}
    found: dict[str, Record] = {}
    count = 0
    for name, marks in inbox.items():
        there = [
            record
            for record in (topics[name].records if name in topics else ())
            if record.sending.draft.id in change.ids
            and _is_live(record, now_ms)
            and not badge.is_deleted(marks, record.seq)
        ]
        found.update({record.sending.draft.id: record for record in there})
        left = tuple(o for o in marks.snoozed if _is_live(_record(topics, name, o), now_ms))
        hidden = [Snoozed(record.seq, record.position, change.until_ms) for record in there]
        new = badge.snooze(msgspec.structs.replace(marks, snoozed=left), hidden)
        count += len(new.snoozed)
        if new != marks:
            altered[name] = new
    if missing := [id for id in change.ids if id not in found]:
        raise ReddotError("not_found", f"{missing[0]!r:.80} is not in the inbox")
    if count > keep.snoozed_max:
        raise ReddotError("too_many_snoozed", f"{keep.snoozed_max} notifications are allowed")
    for record in found.values():
        # Retention waits until it has been back for as long as others are kept.
        sending = record.sending
        sending.keep_ms = max(sending.keep_ms, change.until_ms + keep.age_ms)
    return altered


def leaving(change: Wake, inbox: Inbox, topics: Topics, now_ms: int) -> dict[str, list[Snoozed]]:
    """What a change brings back, by topic, whether it is live or not."""
    if change.ids is None:
        return badge.due(inbox, now_ms)
    found: dict[str, list[Snoozed]] = {}
    for name, marks in inbox.items():
        for one in marks.snoozed:
            record = _record(topics, name, one)
            if record is not None and record.sending.draft.id in change.ids:
                found.setdefault(name, []).append(one)
    return found


def back_already(topic: Topic, user: str, inbox: Inbox, topics: Topics) -> list[int]:
    """The seqs of what of a topic is in the inbox as the user's own."""
    own = f"{USERS_ROOT}/{user}"
    there = [r for r in topics[own].records if r.origin] if own in topics else []
    sendings = [r.sending for r in there if not badge.is_deleted(inbox[own], r.seq)]
    return [record.seq for record in topic.records if record.sending in sendings]


def back(
    gone: Mapping[str, list[Snoozed]], topics: Topics, now_ms: int
) -> list[tuple[Record, str]]:
    """Those that are live, in the order of their times, and to where they were sent."""
    ordered = sorted(
        ((one, name) for name, some in gone.items() for one in some),
        key=lambda pair: (pair[0].until_ms, pair[0].position),
    )
    found = ((_record(topics, name, one), name) for one, name in ordered)
    live = ((record, name) for record, name in found if _is_live(record, now_ms))
    return [(one, one.origin or name) for one, name in live if one.sending.state == LIVE]
