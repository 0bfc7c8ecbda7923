"""Everything specific to SQLite: files, connections, pragmas, checkpoints and errors."""

from __future__ import annotations

import fcntl
import mmap
import os
import sqlite3
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from briggs.storage.errors import StoreLocked

DATABASE_NAME = "briggs.db"
LOCK_NAME = "briggs.lock"
BUSY_TIMEOUT_S = 5.0

Synchronous = Literal["NORMAL", "FULL"]

_INDEX_VERSION = 3007000
_INDEX_HEADER_BYTES = 136
_FRAMES_AT = 16
_MOVED_AT = 96
_FRAME_HEADER_BYTES = 24

# sqlite3 looks in four more places for a value whose type has no adapter, on every bind, and half
# of a record is NULL. These adapters return their argument, as SQLite stores it.
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]

# The error codes that mean that the disk is at fault, not the row.
_STORE_FAILURES = {
    sqlite3.SQLITE_FULL: "the disk is full (make room on the disk of the data folder)",
    sqlite3.SQLITE_READONLY: "the database cannot be written to (check the permissions of the "
    "data folder, and that its disk is not mounted read-only)",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write (check the disk of the data folder)",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened (check the permissions of the data "
    "folder)",
    sqlite3.SQLITE_CORRUPT: "the database is damaged (stop the server and restore a backup)",
    sqlite3.SQLITE_NOTADB: "the file is not a database (stop the server and restore a backup)",
    sqlite3.SQLITE_BUSY: "another process is using the database (end that process)",
    sqlite3.SQLITE_LOCKED: "another connection is using the database (end its transaction)",
    sqlite3.SQLITE_NOMEM: "there is no memory left (give the server more memory)",
    sqlite3.SQLITE_PERM: "Briggs has no permission to write to the database (check the owner of "
    "the data folder)",
}


class WriteAheadLog:
    """How full the log is, read from its index in shared memory without a system call.

    The format is described in https://www.sqlite.org/walformat.html#the_wal_index_file_format.
    Closing any file of the database drops all locks that this process holds on it, also those of
    SQLite. So this is opened with the first connection and closed after the last one.
    """

    def __init__(self, path: Path, *, page_bytes: int) -> None:
        self.database = os.open(path, os.O_RDONLY)
        self._index_file = os.open(f"{path}-shm", os.O_RDONLY)
        self._index = mmap.mmap(self._index_file, _INDEX_HEADER_BYTES, access=mmap.ACCESS_READ)
        self._frame_bytes = page_bytes + _FRAME_HEADER_BYTES
        version = self._read(0)
        if version != _INDEX_VERSION:
            raise RuntimeError(f"SQLite's log has an index of version {version}, which is unknown")

    @property
    def pages_left(self) -> int:
        """How many pages of the log are not in the database yet."""
        return self._read(_FRAMES_AT) - self._read(_MOVED_AT)

    @property
    def used_bytes(self) -> int:
        """How much of the log's file is in use. Once all pages are moved, the log restarts."""
        return self._read(_FRAMES_AT) * self._frame_bytes if self.pages_left else 0

    def flush_database(self) -> None:
        """Wait until the moved pages are on the disk."""
        os.fdatasync(self.database)

    def close(self) -> None:
        self._index.close()
        os.close(self._index_file)
        os.close(self.database)

    def _read(self, offset: int) -> int:
        return int.from_bytes(self._index[offset : offset + 4], sys.byteorder)


def lock_folder(folder: Path) -> int:
    """Lock the folder until the file descriptor is closed or this process ends."""
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreLocked(
            f"{folder} is in use by another server (process {holder}): "
            "stop that server, or give this one its own data folder"
        ) from error
    try:
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    except OSError as error:
        os.close(lock)
        raise OSError(error.errno, error.strerror, str(folder / LOCK_NAME)) from error
    return lock


def create_database(folder: Path) -> Path:
    """Create the file (0600) if needed. SQLite gives its other files the same mode."""
    path = folder / DATABASE_NAME
    if not path.exists():
        path.touch(mode=0o600)
    return path


def open_writer(path: Path, *, synchronous: Synchronous) -> Connection:
    """Open the one connection that writes. It has no automatic commits or checkpoints."""
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
        "cache_size = -16000",
        # Deleted data are overwritten.
        "secure_delete = ON",
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
    """Open a connection that only moves pages from the log to the database."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
    )
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for statements that must be fast."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Run a block in a transaction: it is written as a whole, or not at all."""
    inner = driver(connection)
    inner.execute("BEGIN IMMEDIATE")
    try:
        yield
        inner.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself, for example when the disk is full.
        if inner.in_transaction:
            inner.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Make all reads in the block see the same state, whatever is written meanwhile."""
    inner = driver(connection)
    inner.execute("BEGIN")
    try:
        yield
    finally:
        inner.execute("ROLLBACK")


def checkpoint(connection: sqlite3.Connection, mode: Literal["PASSIVE", "RESTART"]) -> bool:
    """Move pages from the log to the database. Returns False if a reader prevented it.

    PASSIVE moves what it can while others write. RESTART moves everything, and lets the next
    transaction restart the log.
    """
    return not connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]


def open_log(connection: Connection, *, path: Path) -> WriteAheadLog:
    """Open the log of the database that `connection` uses."""
    page_bytes = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    return WriteAheadLog(path, page_bytes=page_bytes)


def foreign_changes(connection: sqlite3.Connection) -> int:
    """A number that changes when another process has written to the database."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def store_failure(error: BaseException) -> str | None:
    """Why nothing can be written, and what to do. None if the error is about one row only."""
    original = getattr(error, "orig", None) or error
    if not isinstance(original, sqlite3.Error):
        return None
    code = getattr(original, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:
        # The index of the log could not grow. Only a full disk does that.
        code = sqlite3.SQLITE_FULL
    # The low byte is the kind of error. The rest gives details.
    return _STORE_FAILURES.get(code & 0xFF)


def insert_sql(
    table: Table, *, columns: Sequence[str], kept: Collection[str], rows: int = 1
) -> str:
    """The insert of completions. It accepts the start and the end in any order.

    An existing row is overwritten only while it is `started`, and only by a settled one. The
    columns in `kept` keep their first values. A row that may not be written changes nothing,
    and so is missing from the count of changes.
    """
    quoted = [f'"{name}"' for name in columns]
    updates = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in kept)
    values = f"({', '.join('?' * len(columns))})"
    return (  # Every name in it is our own.
        f"INSERT INTO {table.name} ({', '.join(quoted)}) "  # noqa: S608
        f"VALUES {', '.join([values] * rows)} "
        f"ON CONFLICT (id) DO UPDATE SET {updates} "
        f"WHERE {table.name}.status = 'started' AND excluded.status <> 'started'"
    )


def insert_missing_sql(table: Table) -> str:
    """The insert of a row that may exist already."""
    values = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608


# A row that shrinks leaves a hole that SQLite does not close. So the row moves to the end, next to
# its neighbours, and frees a whole page that can be used again.
COMPRESS_SQL = """
    UPDATE completions
    SET rowid = (SELECT max(rowid) FROM completions) + 1,
        encoding = 1, request = ?, response = ?, received = ?
    WHERE id = ? AND encoding = 0
"""


def storable(value: Any) -> Any:
    """The value, or bytes with the same content if SQLite cannot store such a text or integer.

    A BLOB keeps its type in a column of any type, so `original` can recognise it.
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
    """The value that `storable` was given. `type` is that of the column."""
    if isinstance(value, bytes) and type is not bytes:
        return int(value) if type is int else value.decode("utf-8", "surrogatepass")
    return value
