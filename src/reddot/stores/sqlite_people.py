"""Addresses, attributes, plans and campaigns in the SQLite store. Layer: stores.

What changes them runs in the writer's thread, what asks for them on a reader's connection; both
are given something to execute statements on.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from reddot.errors import ReddotError
from reddot.outreach import Address, Campaign, Figures, Stage
from reddot.stores.sqlite_topics import json_text

_PUT_ADDRESS: Final = "INSERT OR REPLACE INTO address VALUES (?, ?, ?, ?, ?)"
_SLOTS: Final = "SELECT slot FROM address WHERE user = ? AND courier = ?"
_DROP: Final = "DELETE FROM address WHERE user = ? AND courier = ? AND slot = ifnull(?, slot)"
_CAMPAIGN: Final = "SELECT num, data FROM campaign WHERE {}"

_FOLLOWERS: Final = """
SELECT count(*) FROM marks
WHERE topic_id = (SELECT id FROM topic WHERE name = ?) AND followed = 1
"""
_KNOWN: Final = """
SELECT count(*) FROM (SELECT name FROM person
  UNION SELECT substr(name, 7) FROM topic
    WHERE name > 'users/' AND name < 'users0' AND instr(substr(name, 7), '/') = 0
      AND EXISTS (SELECT 1 FROM note WHERE topic_id = topic.id)
  UNION SELECT user FROM attributes UNION SELECT user FROM address)
"""

# A connection or its cursor.
Database = sqlite3.Connection | sqlite3.Cursor


# ---- people ----


def put_address(database: Database, address: Address, most: int) -> None:
    """As `ports.Deliveries.put_address`."""
    rows = database.execute(_SLOTS, (address.user, address.courier)).fetchall()
    if (address.slot,) not in rows and len(rows) >= most:
        raise ReddotError("too_many_addresses", f"{most} are allowed")
    one = address
    database.execute(_PUT_ADDRESS, (one.user, one.courier, one.slot, one.value, one.time_ms))


def drop_address(database: Database, user: str, courier: str, slot: str | None) -> bool:
    return database.execute(_DROP, (user, courier, slot)).rowcount > 0


def addresses(database: Database, user: str) -> list[Address]:
    select = "SELECT courier, slot, value, time_ms FROM address WHERE user = ?"
    return [
        Address(user=user, courier=courier, slot=slot, value=bytes(value), time_ms=time_ms)
        for courier, slot, value, time_ms in database.execute(select, (user,)).fetchall()
    ]


def put_attributes(database: Database, user: str, data: bytes) -> None:
    if data == b"{}":
        database.execute("DELETE FROM attributes WHERE user = ?", (user,))
    else:
        put = "INSERT OR REPLACE INTO attributes VALUES (?, ?)"
        database.execute(put, (user, data.decode()))


def attributes(database: Database, user: str) -> bytes:
    select = "SELECT data FROM attributes WHERE user = ?"
    row = database.execute(select, (user,)).fetchone()
    return b"{}" if row is None else row[0].encode()


def people(database: Database, after: str, limit: int) -> list[tuple[str, bytes]]:
    select = "SELECT user, data FROM attributes WHERE user > ? ORDER BY user LIMIT ?"
    return [(user, data.encode()) for user, data in database.execute(select, (after, limit))]


def audience(database: Database, topic: str | None) -> int:
    """As `ports.Deliveries.audience`; one row, so that the interpreter's lock is free meanwhile."""
    if topic is None:
        return int(database.execute(_KNOWN).fetchone()[0])
    return int(database.execute(_FOLLOWERS, (topic,)).fetchone()[0])


def erase(database: Database, user: str) -> None:
    """Forget a person: addresses, attributes, deliveries, membership of audiences."""
    granted = (
        "UPDATE lane SET granted = granted - (SELECT count(*) FROM delivery"
        " WHERE user = ?1 AND sent_ms IS NOT NULL AND delivery.lane = lane.id)"
        " WHERE id IN (SELECT lane FROM delivery WHERE user = ?1 AND sent_ms IS NOT NULL)"
    )
    database.execute(granted, (user,))
    for table in ("address", "attributes", "delivery"):
        database.execute(f"DELETE FROM {table} WHERE user = ?", (user,))  # noqa: S608
    left = (
        "UPDATE audience SET users = (SELECT json_group_array(value) FROM json_each(users)"
        " WHERE value <> ?1) WHERE EXISTS (SELECT 1 FROM json_each(users) WHERE value = ?1)"
    )
    database.execute(left, (user,))


# ---- plans ----


def put_plans(database: Database, data: bytes | None) -> None:
    database.execute("DELETE FROM plans")
    if data is not None:
        database.execute("INSERT INTO plans VALUES (1, ?)", (data,))


def plans(database: Database) -> bytes | None:
    row = database.execute("SELECT data FROM plans").fetchone()
    return None if row is None else bytes(row[0])


# ---- campaigns ----


def put_campaign(
    database: Database,
    campaign: Campaign,
    part: list[str] | None,
    figures: list[Figures] | None,
) -> Campaign:
    """As `ports.Deliveries.put_campaign`."""
    if not campaign.number:
        insert = "INSERT OR IGNORE INTO campaign (id, time_ms, data) VALUES (?, ?, '')"
        added = database.execute(insert, (campaign.id, campaign.time_ms))
        if added.rowcount < 1:
            raise ReddotError("id_conflict", "there is a campaign with this id")
        (number,) = database.execute(
            "SELECT num FROM campaign WHERE id = ?", (campaign.id,)
        ).fetchone()
        campaign = msgspec.structs.replace(campaign, number=number)
    update = "UPDATE campaign SET look_ms = ?, count_ms = ?, data = ? WHERE num = ?"
    text = msgspec.json.encode(campaign).decode()
    database.execute(update, (look_ms(campaign), campaign.count_ms, text, campaign.number))
    if part is not None:
        put = "INSERT OR REPLACE INTO audience VALUES (?, ?, ?)"
        database.execute(put, (campaign.number, campaign.parts - 1, json_text(part)))
    if figures is not None:
        put = "INSERT OR REPLACE INTO figures VALUES (?, ?)"
        database.execute(put, (campaign.number, msgspec.json.encode(figures).decode()))
    return campaign


def look_ms(campaign: Campaign) -> int | None:
    """When somebody has to look at a campaign."""
    if campaign.stage in (Stage.SCHEDULED, Stage.STARTING, Stage.RUNNING):
        return campaign.start_ms
    return None


def campaign(database: Database, id: str) -> Campaign | None:
    found = database.execute(_CAMPAIGN.format("id = ?"), (id,)).fetchone()
    return None if found is None else _campaign(found)


def campaigns(database: Database, before: int, limit: int) -> list[Campaign]:
    select = _CAMPAIGN.format("num < ? ORDER BY num DESC LIMIT ?")
    return [_campaign(row) for row in database.execute(select, (before, limit)).fetchall()]


def due_campaigns(database: Database, now_ms: int, limit: int) -> list[Campaign]:
    select = _CAMPAIGN.format("look_ms <= ? ORDER BY look_ms, num LIMIT ?")
    return [_campaign(row) for row in database.execute(select, (now_ms, limit)).fetchall()]


def due_counts(database: Database, now_ms: int, limit: int) -> list[Campaign]:
    select = _CAMPAIGN.format("count_ms <= ? ORDER BY count_ms, num LIMIT ?")
    return [_campaign(row) for row in database.execute(select, (now_ms, limit)).fetchall()]


def figures(database: Database, number: int) -> list[Figures]:
    select = "SELECT data FROM figures WHERE campaign = ?"
    row = database.execute(select, (number,)).fetchone()
    return [] if row is None else msgspec.json.decode(row[0], type=list[Figures])


def _campaign(row: tuple[Any, ...]) -> Campaign:
    number, text = row
    found = msgspec.json.decode(text, type=Campaign)
    return msgspec.structs.replace(found, number=number)


def part(database: Database, number: int, index: int) -> list[str]:
    select = "SELECT users FROM audience WHERE campaign = ? AND part = ?"
    row = database.execute(select, (number, index)).fetchone()
    users: list[str] = [] if row is None else msgspec.json.decode(row[0])
    return users
