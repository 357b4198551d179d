"""What the SQLite store keeps for MQTT: a column of the log, and a row per client. Layer: stores.

The column is one JSON text, because rows leave SQLite packed as JSON (see `sqlite_reader`). It is
NULL for everything that came another way, which therefore pays nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from reddot.model import QOS_DEFAULT, ClientRow, Draft

_STORE: Final = "INSERT OR REPLACE INTO client (owner, name, wake_ms, state) VALUES (?, ?, ?, ?)"
_FORGET: Final = "DELETE FROM client WHERE owner = ? AND name = ?"
_LOAD: Final = "SELECT owner, name, state, wake_ms FROM client WHERE owner = ? AND name = ?"
_WOKEN: Final = (
    "SELECT owner, name, state, wake_ms FROM client WHERE wake_ms BETWEEN ? AND ?"
    " ORDER BY wake_ms LIMIT ?"
)


class Extra(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The column `mqtt`; its defaults are those of a publication."""

    qos: int = QOS_DEFAULT
    properties: bytes = b""
    source: str = ""


NO_EXTRA: Final = Extra()
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Extra).decode


def encode_extra(draft: Draft) -> str | None:
    """The column of a draft; NULL if there is nothing to say."""
    if draft.qos == QOS_DEFAULT and not draft.properties and not draft.source:
        return None
    return _encode(Extra(draft.qos, draft.properties, draft.source)).decode()


def decode_extra(text: str | None) -> Extra:
    return NO_EXTRA if text is None else _decode(text)


def write_clients(cursor: sqlite3.Cursor, rows: Sequence[ClientRow]) -> None:
    """Store rows, the last one of a client counts. In the writer's thread, in a transaction."""
    last = {(row.owner, row.client): row for row in rows}
    for key, row in last.items():
        if row.state is None:
            cursor.execute(_FORGET, key)
        else:
            cursor.execute(_STORE, (*key, row.wake_ms, row.state))


def _row(found: tuple[str, str, bytes, int]) -> ClientRow:
    owner, name, state, wake_ms = found
    return ClientRow(owner=owner, client=name, state=state, wake_ms=wake_ms)


def load_client(connection: sqlite3.Connection, owner: str, name: str) -> ClientRow | None:
    found = connection.execute(_LOAD, (owner, name)).fetchone()
    return None if found is None else _row(found)


def woken_clients(
    connection: sqlite3.Connection, first_ms: int, last_ms: int, limit: int
) -> list[ClientRow]:
    return [_row(found) for found in connection.execute(_WOKEN, (first_ms, last_ms, limit))]
