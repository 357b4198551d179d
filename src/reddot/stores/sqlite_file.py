"""The database file of the SQLite store: lock, connections, schema. Layer: stores.

Invariants: one process has the file open (a lock beside it), one connection writes and it alone
checkpoints. SQLite before 3.51.3 may corrupt a WAL database when two connections write or
checkpoint at the same moment; with one, and readers that are read-only, it cannot.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from reddot.errors import StoreError

# 32,766 parameters per statement, and with that inserts of many rows, came with 3.32.
SQLITE_VERSION_MIN: Final = (3, 32, 0)
BUSY_TIMEOUT_MS: Final = 5_000
CACHE_KIB: Final = 65_536
JOURNAL_BYTES_MAX: Final = 64 * 1024 * 1024
# A checkpoint stalls the writer, so many small ones: 4 MiB of the write-ahead log each.
CHECKPOINT_PAGES: Final = 1_000

_WRITER_SETTINGS: Final = (
    "synchronous = FULL",
    # Only macOS looks at these two: there fsync alone does not empty the disk's cache.
    "fullfsync = 1",
    "checkpoint_fullfsync = 1",
    f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"journal_size_limit = {JOURNAL_BYTES_MAX}",
    f"cache_size = -{CACHE_KIB}",
    "temp_store = MEMORY",
    "mmap_size = 0",
    f"busy_timeout = {BUSY_TIMEOUT_MS}",
)


def check_version() -> None:
    """Raise `StoreError` if this Python's SQLite cannot do what the store asks of it."""
    needed = ".".join(map(str, SQLITE_VERSION_MIN))
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old, {needed} is needed")


def take_lock(path: Path) -> int:
    """Lock the database for this process; return the descriptor that holds the lock.

    The lock file stays behind on purpose: removing it would let two processes hold "the" lock.

    Raises:
        StoreError: another process has it, or the folder is not there or not writable.
    """
    name = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"cannot open the lock file {name}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(f"{path} is in use by another process (it holds {name})") from None
    return descriptor


def release_lock(descriptor: int) -> None:
    os.close(descriptor)


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; it may move between threads, one at a time.

    Raises:
        StoreError: its file system cannot hold a WAL database.
        OSError, sqlite3.Error: it cannot be opened, or is not a database.
    """
    # What people are told is nobody else's business. SQLite gives its other files the same rights.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError("this file system cannot hold a WAL database")
        for setting in _WRITER_SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("SELECT json_array(1)")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write and never checkpoints. Open it after the writer."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = 1")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection


def _migrations() -> Iterator[tuple[int, str]]:
    folder = files("reddot.stores") / "migrations" / "sqlite"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield int(file.name[:4]), file.read_text(encoding="utf-8")


def migrate(connection: sqlite3.Connection, *, now_ms: int) -> list[int]:
    """Bring the schema up to date, each step in its own transaction; return the steps taken.

    Raises:
        StoreError: the file was written by a newer Reddot.
        sqlite3.Error: a step failed; it has left nothing behind.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version"
        " (version INTEGER PRIMARY KEY, applied_ms INTEGER NOT NULL)"
    )
    done = {version for (version,) in connection.execute("SELECT version FROM schema_version")}
    steps = list(_migrations())
    current, known = max(done, default=0), steps[-1][0]
    if current > known:
        raise StoreError(f"schema {current} is newer than this Reddot knows ({known}): upgrade it")
    taken = []
    for version, script in steps:
        if version not in done:
            _step(connection, version, script, now_ms)
            taken.append(version)
    return taken


def _step(connection: sqlite3.Connection, version: int, script: str, now_ms: int) -> None:
    note = f"INSERT INTO schema_version VALUES ({version:d}, {now_ms:d})"  # noqa: S608 - numbers
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {script}; {note}; COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise


def load_meta(connection: sqlite3.Connection, *, new_epoch: Callable[[], int]) -> tuple[int, int]:
    """The log's epoch and its newest position; `new_epoch` is asked once, for a log without one."""
    if connection.execute("SELECT 1 FROM meta").fetchone() is None:
        connection.execute("INSERT INTO meta (one, epoch, head) VALUES (1, ?, 0)", (new_epoch(),))
    row = connection.execute(
        "SELECT epoch, max(head, ifnull((SELECT max(pos) FROM log), 0)) FROM meta"
    ).fetchone()
    return int(row[0]), int(row[1])
