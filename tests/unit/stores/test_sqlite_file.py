"""The database file: one process, one schema, the settings that durability rests on."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from reddot.errors import StoreError
from reddot.stores import sqlite_file
from tests.unit.stores.opening import append, draft, new_store, opened, writer_connection


def refused(path: Path) -> str:
    """Opening fails with one line; a later close is harmless."""

    async def run() -> str:
        store = new_store(path)
        with pytest.raises(StoreError) as caught:
            await store.open()
        await store.aclose()
        return str(caught.value)

    line = asyncio.run(run())
    assert "\n" not in line
    return line


def test_a_second_opener_is_refused_by_any_name(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "link.db").symlink_to(tmp_path / "log.db")
        async with opened(tmp_path / "log.db") as store:
            for name in ("log.db", "link.db"):
                with pytest.raises(StoreError, match=r"log\.db is in use .*log\.db\.lock"):
                    await new_store(tmp_path / name).open()
            # The one that was there first has noticed nothing.
            assert await append(store, draft()) == [(1, 1)]
        async with opened(tmp_path / "link.db") as store:
            assert store.head == 1

    asyncio.run(run())


def test_a_store_that_could_not_open_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"this is not a database" * 100)
    assert "file is not a database" in refused(path)
    path.unlink()

    async def run() -> None:
        async with opened(path) as store:
            assert store.head == 0

    asyncio.run(run())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "No such file or directory" in refused(tmp_path / "nowhere" / "log.db")
    assert "Is a directory" in refused(tmp_path)


def test_a_new_file_has_the_newest_schema_and_keeps_its_epoch(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "log.db"
        for epoch in (7, 8):
            async with opened(path, new_epoch=lambda epoch=epoch: epoch) as store:
                assert store.epoch == 7
        with sqlite3.connect(path) as connection:
            versions = connection.execute("SELECT version FROM schema_version").fetchall()
        connection.close()
        assert versions[0] == (1,)
        assert versions == sorted(set(versions))

    asyncio.run(run())


def test_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    async def run() -> None:
        path = tmp_path / "log.db"
        async with opened(path):
            pass
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT INTO schema_version VALUES (9999, 0)")
        connection.close()

    asyncio.run(run())
    assert "schema 9999 is newer than this Reddot knows (" in refused(tmp_path / "log.db")


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    connection = sqlite_file.connect_writer(tmp_path / "log.db")
    connection.execute("CREATE TABLE retained (mine TEXT)")  # Somebody else's database.
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        sqlite_file.migrate(connection, now_ms=1)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert sorted(tables) == [("retained",), ("schema_version",)]
    assert not connection.in_transaction
    connection.close()


def test_migrating_twice_does_nothing(tmp_path: Path) -> None:
    connection = sqlite_file.connect_writer(tmp_path / "log.db")
    assert sqlite_file.migrate(connection, now_ms=1)[0] == 1
    assert sqlite_file.migrate(connection, now_ms=2) == []
    applied = connection.execute("SELECT * FROM schema_version").fetchall()
    assert {applied_ms for _, applied_ms in applied} == {1}
    connection.close()


def test_the_settings_that_durability_rests_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            connection = writer_connection(store)
            expected = {
                "journal_mode": "wal",
                "synchronous": 2,  # FULL: the write-ahead log is synced by every commit.
                "fullfsync": 1,
                "mmap_size": 0,
                "wal_autocheckpoint": sqlite_file.CHECKPOINT_PAGES,
                "journal_size_limit": sqlite_file.JOURNAL_BYTES_MAX,
                "cache_size": -sqlite_file.CACHE_KIB,
                "temp_store": 2,
                "busy_timeout": sqlite_file.BUSY_TIMEOUT_MS,
            }
            for name, value in expected.items():
                assert connection.execute(f"PRAGMA {name}").fetchone() == (value,), name

    asyncio.run(run())


def test_readers_cannot_write(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            assert len(store._connections) == 2
            for connection in store._connections:
                with pytest.raises(sqlite3.OperationalError, match="readonly"):
                    connection.execute("DELETE FROM log")
                # Nor may they checkpoint.
                with pytest.raises(sqlite3.OperationalError):
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    asyncio.run(run())


def test_only_the_owner_may_look_at_the_files(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())
            look()

    def look() -> None:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        names = ("log.db", "log.db-shm", "log.db-wal", "log.db.lock")
        assert modes == dict.fromkeys(names, 0o600)

    asyncio.run(run())


def test_a_clean_close_leaves_one_file_with_everything(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "log.db") as store:
            await append(store, draft())

    asyncio.run(run())
    assert {path.name for path in tmp_path.iterdir()} == {"log.db", "log.db.lock"}


def test_an_sqlite_that_is_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    assert "is too old, 3.32.0 is needed" in refused(tmp_path / "log.db")
