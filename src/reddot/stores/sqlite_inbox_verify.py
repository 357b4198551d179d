"""What must be true of inboxes and deliveries whatever has happened, and how to make it so again.

Layer: stores; in the writer's thread, inside a transaction. Counts are not among it: there are
none to be wrong. What is kept twice is which notifications are dead, once per notification and
once per row of an inbox, and marks have an order of their own.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must be true.

    Attributes:
        fault: what is said of rows that break it, after their number.
        count: how many there are.
        repair: makes them right.
    """

    fault: str
    count: str
    repair: str


_LOST: Final = (
    " typeof(data) = 'integer' AND NOT EXISTS"
    " (SELECT 1 FROM note WHERE note.topic_id = log.topic_id AND note.pos = log.pos)"
)
# What is being worked off dies by itself.
_DEAD: Final = (
    " (SELECT num FROM notification WHERE state <> 0 AND num NOT IN (SELECT num FROM ending))"
)
_WAKE: Final = " (SELECT min(json_extract(value, '$[2]')) FROM json_each(snoozed))"
_UNPLACED: Final = (
    " NOT EXISTS (SELECT 1 FROM note"
    " WHERE note.topic_id = woken.topic_id AND note.pos = woken.pos AND note.num = woken.num)"
)

RULES: Final = (
    Rule(
        "rows of inboxes have no notification",
        "SELECT count(*) FROM note WHERE num NOT IN (SELECT num FROM notification)",
        "DELETE FROM note WHERE num NOT IN (SELECT num FROM notification)",
    ),
    Rule(
        "rows of the log are notifications that are in no inbox",
        "SELECT count(*) FROM log WHERE" + _LOST,  # noqa: S608 - ours
        "UPDATE log SET data = x'6e756c6c', expires_ms = 0 WHERE" + _LOST,  # noqa: S608
    ),
    Rule(
        "rows of inboxes are live, and their notification is not",
        "SELECT count(*) FROM note WHERE dead = 0 AND num IN" + _DEAD,  # noqa: S608
        "UPDATE note SET dead = (SELECT state FROM notification AS n WHERE n.num = note.num)"  # noqa: S608
        " WHERE dead = 0 AND num IN" + _DEAD,
    ),
    Rule(
        "rows of inboxes expire at another time than their notification",
        "SELECT count(*) FROM note JOIN notification USING (num)"
        " WHERE note.expires_ms IS NOT notification.expires_ms",
        "UPDATE note SET expires_ms ="
        " (SELECT expires_ms FROM notification AS n WHERE n.num = note.num)"
        " WHERE num IN (SELECT num FROM notification)",
    ),
    Rule(
        "rows of inboxes lie below the base of their topic",
        "SELECT count(*) FROM note JOIN inbox_topic USING (topic_id) WHERE seq <= base",
        "UPDATE inbox_topic SET base = (SELECT min(seq) - 1 FROM note"
        " WHERE note.topic_id = inbox_topic.topic_id) WHERE topic_id IN"
        " (SELECT topic_id FROM note JOIN inbox_topic USING (topic_id) WHERE seq <= base)",
    ),
    Rule(
        "marks have read less than nothing",
        "SELECT count(*) FROM marks WHERE read_upto < join_seq",
        "UPDATE marks SET read_upto = join_seq, read = NULL WHERE read_upto < join_seq",
    ),
    Rule(
        "marks wake at another time than what they have snoozed",
        "SELECT count(*) FROM marks WHERE wake_ms IS NOT" + _WAKE,  # noqa: S608
        "UPDATE marks SET wake_ms =" + _WAKE + " WHERE wake_ms IS NOT" + _WAKE,  # noqa: S608
    ),
    Rule(
        "notifications that have come back are in no inbox",
        "SELECT count(*) FROM woken WHERE" + _UNPLACED,  # noqa: S608
        "DELETE FROM woken WHERE" + _UNPLACED,  # noqa: S608
    ),
    Rule(
        "lanes count other deliveries as sent than there are",
        "SELECT count(*) FROM lane WHERE granted <> (SELECT count(*) FROM delivery"
        " WHERE delivery.lane = lane.id AND sent_ms IS NOT NULL)",
        "UPDATE lane SET granted = (SELECT count(*) FROM delivery"
        " WHERE delivery.lane = lane.id AND sent_ms IS NOT NULL)",
    ),
    Rule(
        "deliveries wait and their lane does not know",
        "SELECT count(*) FROM delivery LEFT JOIN lane_due USING (lane, courier)"
        " WHERE state = 0 AND ready_ms IS NULL",
        "INSERT INTO lane_due (lane, courier, ready_ms)"
        " SELECT lane, courier, min(due_ms) FROM delivery WHERE state = 0 GROUP BY 1, 2"
        " ON CONFLICT DO UPDATE SET ready_ms = excluded.ready_ms",
    ),
    Rule(
        "deliveries have no outreach",
        "SELECT count(*) FROM delivery WHERE num NOT IN (SELECT num FROM outreach)",
        "DELETE FROM delivery WHERE num NOT IN (SELECT num FROM outreach)",
    ),
    Rule(
        "marks are of nobody",
        "SELECT count(*) FROM marks WHERE person_id NOT IN (SELECT id FROM person)",
        "DELETE FROM marks WHERE person_id NOT IN (SELECT id FROM person)",
    ),
)


def verify(cursor: sqlite3.Cursor, *, repair: bool) -> list[str]:
    """Say what is wrong, one line per rule; with `repair` it is right afterwards."""
    faults = []
    for rule in RULES:
        count = cursor.execute(rule.count).fetchone()[0]
        if count:
            faults.append(f"{count} {rule.fault}")
            if repair:
                cursor.execute(rule.repair)
    return faults
