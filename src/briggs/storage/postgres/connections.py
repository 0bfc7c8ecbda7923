"""PostgreSQL's connections: the one that writes, those that read, and their transactions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg.pq import Format, TransactionStatus
from sqlalchemy import URL, Connection, Engine, Row, Select, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool, QueuePool

from briggs.storage.database import Database
from briggs.storage.postgres.hints import HintCompiler
from briggs.storage.postgres.values import TYPES

CONNECT_TIMEOUT_S = 5
KEPT_ALIVE: Any = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Finds out within about ten seconds that the other machine is gone."""
READER_WAIT_S = 30
STREAMED_ROWS = 8
"""How many rows a stream has in memory."""

WRITER_LOCK = 0x627269676774
"""The number of the lock that each transaction of a writer holds, so that all nodes write one after
the other. It belongs to the transaction, so that a pooler may stand in between."""

IDLE_MAX_S = 5
"""A transaction whose node says nothing for so long is rolled back, so that others can write: the
node is frozen or cut off. Shorter than what others wait for."""

_END = "end"
"""When the reads of a connection have to end."""
_BEGUN = "begun"
"""Whether a transaction was begun for the sake of that time."""
_NO_COMPILER = "SET LOCAL jit = off"
"""To compile a statement takes up to 200 ms, which is longer than most of ours take."""


class BinaryCursor(psycopg.Cursor[Any]):
    """Gets results as the server has them, so that bodies are not sent as text."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.format = Format.BINARY


def open_writer(url: URL, *, database: Database) -> Connection:
    """Open the one connection of this process that writes."""
    return _create_engine(url, database=database, poolclass=NullPool).connect()


def open_readers(url: URL, *, connections_max: int, database: Database) -> Engine:
    """A pool of connections that only read."""
    engine = _create_engine(
        url,
        database=database,
        poolclass=QueuePool,
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=READER_WAIT_S,
        # A connection may have died while nobody used it.
        pool_pre_ping=True,
    )
    event.listen(engine, "before_cursor_execute", _limit_time)
    event.listen(engine, "after_cursor_execute", _end_limited)
    return engine


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection."""
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def run(inner: psycopg.Connection[Any], sql: str) -> psycopg.Cursor[Any]:
    """Run our own statements, without parameters, in one round trip."""
    return psycopg.Cursor(inner).execute(sql.encode())


def reconnect(connection: Connection) -> None:
    """Give up a connection that broke, so that the next statement opens another."""
    if not connection.invalidated and driver(connection).closed:
        connection.invalidate()
    if connection.invalidated and connection.in_transaction():
        connection.rollback()


def is_writable(url: URL) -> bool:
    """Whether the server behind an address takes writes. Raises the driver's errors."""
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, connect_timeout=CONNECT_TIMEOUT_S, autocommit=True) as connection:
        found = run(connection, "SHOW transaction_read_only").fetchone()
    return found is not None and found[0] == "off"


def wait_for_writers() -> str:
    """What a transaction begins with, so that it writes after all others of all nodes."""
    return (
        f"SET LOCAL idle_in_transaction_session_timeout TO '{IDLE_MAX_S}s'; "
        f"SELECT pg_advisory_xact_lock({WRITER_LOCK})"
    )


@contextmanager
def transaction(connection: Connection, *, begin: str) -> Iterator[Any]:
    """Run a block in a transaction: it is written as a whole, or not at all.

    Gives what the last statement of `begin` has found.
    """
    reconnect(connection)
    inner = driver(connection)
    try:
        yield _find_last(run(inner, begin))
        if inner.info.transaction_status is TransactionStatus.INERROR:
            # A COMMIT would succeed, and write nothing.
            raise psycopg.errors.InFailedSqlTransaction("a statement of the transaction failed")
        run(inner, "COMMIT")
    except BaseException:
        _roll_back(inner)
        raise


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what a block has written if it raises, and nothing else of the transaction."""
    inner = driver(connection)
    run(inner, "SAVEPOINT block")
    try:
        yield
    except BaseException:
        if not inner.closed:
            run(inner, "ROLLBACK TO block; RELEASE block")
        raise
    run(inner, "RELEASE block")


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Make all reads in the block see the same state, whatever is written meanwhile."""
    inner = driver(connection)
    if inner.info.transaction_status is not TransactionStatus.IDLE:
        yield
        return
    run(inner, f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_NO_COMPILER}")
    try:
        yield
    finally:
        _roll_back(inner)


@contextmanager
def stream(connection: Connection, statement: Select[Any]) -> Iterator[Iterable[Row[Any]]]:
    """The rows of a statement, few at a time. The driver would get all of them at once."""
    options = {"stream_results": True, "max_row_buffer": STREAMED_ROWS}
    with (
        snapshot(connection),
        connection.execute(statement, execution_options=options) as rows,
    ):
        yield rows


@contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """End any read that is still running after so many seconds. Raises `TimeoutError`.

    The server ends it. Its setting lasts for a transaction, so that it stays with this block even
    if a pooler shares the server's connections.
    """
    inner = driver(connection)
    is_outer = inner.info.transaction_status is TransactionStatus.IDLE
    info = connection.info
    info[_END] = time.monotonic() + seconds
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.orig, psycopg.errors.QueryCanceled):
            raise
        raise TimeoutError from error
    finally:
        info.pop(_END, None)
        info.pop(_BEGUN, None)
        if is_outer:
            _roll_back(inner)
        elif inner.info.transaction_status is TransactionStatus.INTRANS:
            run(inner, "SET LOCAL statement_timeout = 0")


def _limit_time(connection: Connection, *_: Any) -> None:
    """Let the server end the next statement of a block with a time limit."""
    if (end := connection.info.get(_END)) is None:
        return
    left_ms = int((end - time.monotonic()) * 1000)
    if left_ms <= 0:
        raise psycopg.errors.QueryCanceled("the time is over")
    inner = driver(connection)
    is_begun = inner.info.transaction_status is not TransactionStatus.IDLE
    begin = "" if is_begun else f"BEGIN READ ONLY; {_NO_COMPILER}; "
    connection.info[_BEGUN] = not is_begun
    run(inner, f"{begin}SET LOCAL statement_timeout = {left_ms}")


def _end_limited(connection: Connection, *_: Any) -> None:
    if connection.info.pop(_BEGUN, False):
        run(driver(connection), "COMMIT")


def _find_last(cursor: psycopg.Cursor[Any]) -> Any:
    """The first value of the last of several statements. None if it has no rows."""
    while cursor.nextset():
        pass
    row = cursor.fetchone() if cursor.description is not None else None
    return None if row is None else row[0]


def _roll_back(inner: psycopg.Connection[Any]) -> None:
    if not inner.closed and inner.info.transaction_status is not TransactionStatus.IDLE:
        run(inner, "ROLLBACK")


def _create_engine(url: URL, *, database: Database, **options: Any) -> Engine:
    engine = create_engine(
        url,
        connect_args={
            "application_name": "briggs",
            "connect_timeout": CONNECT_TIMEOUT_S,
            **KEPT_ALIVE,
            "cursor_factory": BinaryCursor,
            # A pooler may give each transaction another connection of the server.
            "prepare_threshold": None,
            **url.query,
        },
        isolation_level="AUTOCOMMIT",
        execution_options={"database": database},
        use_native_hstore=False,
        **options,
    )
    engine.dialect.colspecs = {**engine.dialect.colspecs, **TYPES}
    engine.dialect.statement_compiler = HintCompiler
    return engine
