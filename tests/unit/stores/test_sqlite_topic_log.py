"""The log by topic: what an old file has is found, and no question scans what it is not about."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from reddot.inbox import Note
from reddot.model import Draft
from reddot.stores import sqlite_file, sqlite_reader, sqlite_topics, sqlite_trim
from tests.unit.stores.opening import NOW_MS, opened, start, writer_connection

SCHEMA_BEFORE = 3


def schema(path: Path, upto: int) -> sqlite3.Connection:
    """A database as the migrations up to one have left it."""
    connection = sqlite_file.connect_writer(path)
    connection.execute("CREATE TABLE schema_version (version INTEGER, applied_ms INTEGER)")
    for version, script in sqlite_file._migrations():
        if version <= upto:
            sqlite_file._step(connection, version, script, 1)
    return connection


def test_a_file_from_before_the_view_is_read_on(tmp_path: Path) -> None:
    connection = schema(tmp_path / "log.db", SCHEMA_BEFORE)
    connection.execute("INSERT INTO meta VALUES (1, 7, 0)")
    connection.execute("INSERT INTO topic (id, name) VALUES (1, 'users/1')")
    connection.execute("INSERT INTO category VALUES (1, 'general')")
    body = msgspec.json.encode({"title": "t"})
    for number, state in ((1, 0), (2, 2), (3, 0)):
        connection.execute(
            "INSERT INTO notification VALUES (?,?,1,?,NULL,?,?,1,NULL,?)",
            (number, f"n{number}", NOW_MS, NOW_MS * 2, state, body),
        )
    # Retention of inboxes has taken the rows of 1 and 2; 4 has lost its body as well.
    connection.execute("INSERT INTO note VALUES (1, 3, 3, 3, 1, NULL, 0)")
    for pos, data in ((1, 1), (2, 2), (3, 3), (4, 4), (5, b'"plain"')):
        connection.execute(
            "INSERT INTO log VALUES (?,1,?,?,NULL,?,'notification',0,?,NULL)",
            (pos, pos, NOW_MS, f"n{pos}", data),
        )
    connection.close()

    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            page = await store.read(["users/1"], after=0, upto=9, limit=9)
            assert [(p.offset, p.data) for p in page.publications] == [
                (1, body),
                (3, body),
                (5, b'"plain"'),
            ]
            history = await store.history("users/1", before=None, limit=9)
            assert [p.offset for p in history] == [5, 3, 1]
            assert not await store.verify(repair=False)

    asyncio.run(run())


@pytest.mark.parametrize(
    "statement",
    [
        sqlite_reader._NAMED,
        sqlite_reader._IN_WINDOW,
        sqlite_reader._OF_TOPIC,
        sqlite_reader._HISTORY,
        sqlite_reader._AT_OR_BEFORE,
        sqlite_topics._LOAD,
        sqlite_trim._OLDEST,
    ],
)
def test_no_question_about_a_topic_reads_all_or_sorts(tmp_path: Path, statement: str) -> None:
    connection = sqlite_file.connect_writer(tmp_path / "log.db")
    sqlite_file.migrate(connection, now_ms=1)
    values = (1, 1) if "?1" in statement else (1,) * statement.count("?")
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    connection.close()
    assert any("log_topic" in step for step in plan)
    assert not [step for step in plan if "TEMP B-TREE" in step or "AUTOMATIC" in step]
    assert not [step for step in plan if step in ("SCAN log", "SCAN note", "SCAN topic")]


def test_a_notification_has_one_entry_by_topic(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            plain = Draft(topic="users/1", id="plain", data=b"1", time_ms=NOW_MS)
            note = Draft(
                topic="users/1",
                id="note",
                data=b"{}",
                time_ms=NOW_MS,
                event="notification",
                inbox=Note(topics=("users/1",)),
            )
            await start(store, plain)
            await start(store, note)
            await store.trim(rows_max=1)
            entries = writer_connection(store).execute(
                "SELECT pos FROM log INDEXED BY log_topic WHERE typeof(data) <> 'integer'"
            )
            assert entries.fetchall() == [(1,)]

    asyncio.run(run())


def test_a_row_of_the_log_without_an_inbox_is_found_and_repaired(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            note = Note(topics=("users/1",))
            await start(
                store, Draft(topic="users/1", id="n", data=b"{}", time_ms=NOW_MS, inbox=note)
            )
            writer_connection(store).execute("DELETE FROM note")
            (fault,) = await store.verify(repair=True)
            assert fault == "1 rows of the log are notifications that are in no inbox"
            assert not await store.verify(repair=False)
            page = await store.read(["users/1"], after=0, upto=9, limit=9)
            assert page.publications == ()

    asyncio.run(run())
