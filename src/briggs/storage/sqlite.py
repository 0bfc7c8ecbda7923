"""All that is SQLite's own: files, connections, pragmas, checkpoints, and what its errors mean."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from briggs.storage.errors import StoreLocked

DATABASE_NAME = "briggs.db"
LOCK_NAME = "briggs.lock"
BUSY_TIMEOUT_S = 5.0

Synchronous = Literal["NORMAL", "FULL"]

# The errors that say that the disk, not the row, is what is wrong.
_STORE_FAILURES = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database cannot be written to",
    sqlite3.SQLITE_IOERR: "the disk does not read or write",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
    sqlite3.SQLITE_BUSY: "another process holds the database",
    sqlite3.SQLITE_LOCKED: "another connection holds the database",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_PERM: "the database may not be written to",
}


class Checkpoint(NamedTuple):
    """What a checkpoint did, in frames (pages) of the write-ahead log."""

    busy: bool
    frames: int
    moved: int

    @property
    def complete(self) -> bool:
        return self.frames == self.moved


def lock_folder(folder: Path) -> int:
    """Take the folder for this process until the file descriptor is closed or it dies."""
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreLocked(
            f"{folder} is in use by another server (process {holder}): "
            "stop that one, or give this one a data folder of its own"
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def create_database(folder: Path) -> Path:
    """Create the file (0600) where there is none; SQLite gives its other files the same mode."""
    path = folder / DATABASE_NAME
    if not path.exists():
        path.touch(mode=0o600)
    return path


def open_writer(path: Path, *, synchronous: Synchronous) -> Connection:
    """The one connection that writes. It commits when told, and never checkpoints by itself."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=NullPool,
        connect_args={
            "check_same_thread": False,
            "timeout": BUSY_TIMEOUT_S,
            "cached_statements": 64,
        },
        isolation_level="AUTOCOMMIT",
    )
    connection = engine.connect()
    for pragma in (
        "journal_mode = WAL",
        f"synchronous = {synchronous}",
        "wal_autocheckpoint = 0",
        # The log's file is cut when it starts anew, so that its size says what is in it.
        "journal_size_limit = 0",
        "cache_size = -16000",
        "temp_store = MEMORY",
    ):
        connection.exec_driver_sql(f"PRAGMA {pragma}")
    return connection


def open_readers(path: Path, *, connections_max: int) -> Engine:
    """A pool of connections that cannot write."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=connections_max,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S},
        isolation_level="AUTOCOMMIT",
    )

    @event.listens_for(engine, "connect")
    def forbid_writing(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")

    return engine


def open_checkpointer(path: Path) -> sqlite3.Connection:
    """A connection that only moves pages from the log to the database, from its own thread."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
    )
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for the statements that must be fast."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def checkpoint(
    connection: sqlite3.Connection, mode: Literal["PASSIVE", "RESTART", "TRUNCATE"]
) -> Checkpoint:
    """Move pages from the log to the database."""
    row: tuple[Any, ...] = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return Checkpoint(busy=bool(row[0]), frames=row[1], moved=row[2])


def wal_bytes(path: Path) -> int:
    """The size of the write-ahead log."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def foreign_changes(connection: sqlite3.Connection) -> int:
    """A number that changes when another process has written to the database."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def store_failure(error: BaseException) -> str | None:
    """Why nothing can be written, if that is what the error says, and not one row's fault."""
    original = getattr(error, "orig", None) or error
    if not isinstance(original, sqlite3.Error):
        return None
    code = getattr(original, "sqlite_errorcode", None)
    if code is None:
        return None
    # The low byte is the kind; what is above it says more of the same.
    reason = _STORE_FAILURES.get(code & 0xFF)
    return f"{reason} ({original})" if reason else None


def insert_sql(table: Table, *, columns: Sequence[str], kept: Collection[str]) -> str:
    """The insert of a record, in whatever order its two halves come.

    A row that is there is overwritten only by a settled one and only while it is `started`;
    the columns in `kept` stay as they first were. A row that may not be written changes
    nothing, and so shows in the count of changes.
    """
    quoted = [f'"{name}"' for name in columns]
    updates = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in kept)
    return (  # Every name in it is our own.
        f"INSERT INTO {table.name} ({', '.join(quoted)}) "  # noqa: S608
        f"VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT (id) DO UPDATE SET {updates} "
        f"WHERE {table.name}.status = 'started' AND excluded.status <> 'started'"
    )


def storable(value: Any) -> Any:
    """The value, or, where SQLite has no such text or integer, bytes that say the same.

    A BLOB keeps its type in a column of any type, so `original` can tell it apart.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value).encode()
    return value


def original(value: Any, *, type: type) -> Any:
    """What `storable` was given; `type` is the column's."""
    if isinstance(value, bytes) and type is not bytes:
        return int(value) if type is int else value.decode("utf-8", "surrogatepass")
    return value
