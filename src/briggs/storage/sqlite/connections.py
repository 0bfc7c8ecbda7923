"""SQLite's connections: the one that writes, those that read, and their transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool, QueuePool

from briggs.storage.database import Database
from briggs.storage.sqlite.hints import HintCompiler
from briggs.storage.sqlite.values import TYPES

BUSY_TIMEOUT_S = 5.0
STEPS = 10_000
"""How many of SQLite's steps pass between two checks of the clock: about a millisecond."""

VERSIONS = 2**31
"""It begins again at 0 after so many changes."""

Synchronous = Literal["NORMAL", "FULL"]

# sqlite3 looks in four more places for a value whose type has no adapter, on every bind, and half
# of a record is NULL. These adapters return their argument, as SQLite stores it.
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]


def open_writer(path: Path, *, synchronous: Synchronous, database: Database | None) -> Connection:
    """Open the one connection that writes. It has no automatic commits or checkpoints.

    Without a `database`, its file is none of those that the nouns use.
    """
    engine = _create_engine(path, database=database, statements_max=64, poolclass=NullPool)
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


def open_readers(path: Path, *, connections_max: int, database: Database) -> Engine:
    """A pool of connections that cannot write."""
    engine = _create_engine(
        path, database=database, poolclass=QueuePool, pool_size=connections_max, max_overflow=0
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


def open_beside(path: Path, *, is_at_rest: bool = False) -> sqlite3.Connection:
    """Open a connection that only reads, beside any server that uses the database.

    It never moves pages from the log. `is_at_rest` says that nobody writes to the file, so that it
    needs no other files.
    """
    mode = "immutable=1" if is_at_rest else "mode=ro"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=False,
    )


def open_alone(path: Path) -> sqlite3.Connection:
    """Open a connection to a file that nobody else uses. It does not wait for the disk."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
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
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what a block has written if it raises, and nothing else of the transaction."""
    inner = driver(connection)
    inner.execute("SAVEPOINT block")
    try:
        yield
    except BaseException:
        # SQLite may have rolled back everything by itself, for example when the disk is full.
        if inner.in_transaction:
            inner.execute("ROLLBACK TO block")
            inner.execute("RELEASE block")
        raise
    inner.execute("RELEASE block")


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Make all reads in the block see the same state, whatever is written meanwhile."""
    inner = driver(connection)
    if inner.in_transaction:
        yield
        return
    inner.execute("BEGIN")
    try:
        yield
    finally:
        inner.execute("ROLLBACK")


@contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """Interrupt any read that is still running after so many seconds. Raises `TimeoutError`."""
    end = time.monotonic() + seconds
    inner = driver(connection)
    inner.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        cause = getattr(error, "orig", error)
        if getattr(cause, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
            raise
        raise TimeoutError from error
    finally:
        inner.set_progress_handler(None, 0)


def set_busy_timeout(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Set how long the connection waits if another one is writing."""
    connection.execute(f"PRAGMA busy_timeout = {int(timeout_s * 1000)}")


def count_foreign_changes(connection: sqlite3.Connection) -> int:
    """A number that changes when another process has written to the database."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def read_version(connection: sqlite3.Connection) -> int:
    """How often a process of this Briggs has noted a change, as this transaction sees it.

    SQLite keeps this number in the file for the application, which may use it as it likes.
    """
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def write_version(connection: sqlite3.Connection, version: int) -> None:
    """Note a change, in a transaction."""
    connection.execute(f"PRAGMA user_version = {version % VERSIONS}")


def _create_engine(
    path: Path, *, database: Database | None, statements_max: int = 128, **options: Any
) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={
            "check_same_thread": False,
            "timeout": BUSY_TIMEOUT_S,
            "cached_statements": statements_max,
        },
        isolation_level="AUTOCOMMIT",
        execution_options={"database": database},
        **options,
    )
    engine.dialect.colspecs = {**engine.dialect.colspecs, **TYPES}
    engine.dialect.statement_compiler = HintCompiler
    return engine
