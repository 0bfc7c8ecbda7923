"""A PostgreSQL database, as the store needs it: see `storage/database.py`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Row, Select, Table, text
from sqlalchemy.exc import DBAPIError

from briggs.storage.database import Durability, Room
from briggs.storage.folders import open_folder
from briggs.storage.postgres import (
    connections,
    failures,
    functions,  # noqa: F401 (SQLAlchemy finds it by its decorator)
    shapes,
    statements,
)
from briggs.storage.postgres.addresses import read_address
from briggs.storage.postgres.watchdog import Watchdog
from briggs.storage.zones import Zones
from briggs.types.errors import StoreUnavailable

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""One transaction may be of any size. This one is written within moments."""

MIGRATION_LOCK = 0x627269676773
"""The number of the lock that whoever changes the tables holds."""

_COMMITS = {"strict": "local", "fsync": "on", "relaxed": "off"}
"""What a commit waits for, as `synchronous_commit` names it."""


class PostgresDatabase:
    """A database that any number of processes have open."""

    def __init__(
        self,
        folder: Path,
        *,
        address: str,
        password: str | None,
        durability: Durability,
        readers_max: int,
    ) -> None:
        """Lock the data folder and connect. Raises `StoreLocked` and `StoreUnavailable`."""
        self.is_shared = False
        self.changed_at = 0
        self.remembered: dict[str, Any] = {}
        self.zones = Zones()
        # The event loop must not wait for the network.
        self.commits_quickly = False
        self.batch_bytes_max = BATCH_BYTES_MAX
        self.name, url = read_address(address, password=password)
        self._url = url
        self._watchdog = Watchdog()
        self._begin = f"BEGIN; SET LOCAL synchronous_commit TO {_COMMITS[durability]}"
        with ExitStack() as undone:
            self._lock = open_folder(folder)
            undone.callback(os.close, self._lock)
            try:
                self.writer = connections.open_writer(url, database=self)
            except DBAPIError as error:
                reason = failures.store_failure(error)
                if reason is None:
                    raise
                raise StoreUnavailable(f"{self.name}: {reason}") from error
            undone.pop_all()
        self._readers = connections.open_readers(url, connections_max=readers_max, database=self)

    def read(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        try:
            with connections.transaction(connection, begin=self._begin):
                yield
        except BaseException:
            self.remembered.clear()
            raise
        finally:
            self.zones.settle()

    @contextmanager
    def migration(self, connection: Connection) -> Iterator[None]:
        with self.transaction(connection):
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            yield

    def savepoint(self, connection: Connection) -> AbstractContextManager[None]:
        return connections.savepoint(connection)

    def snapshot(self, connection: Connection) -> AbstractContextManager[None]:
        return connections.snapshot(connection)

    def time_limit(self, connection: Connection, seconds: float) -> AbstractContextManager[None]:
        return connections.time_limit(connection, seconds)

    def note_change(self, connection: Connection) -> None:
        """No other process writes."""

    def follow(self, connection: Connection) -> None:
        """No other process writes."""

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        return connections.stream(connection, statement)

    def insert_records(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> int:
        return statements.insert_records(connection, rows)

    def forget_records(self, connection: Connection) -> None:
        """Nothing is kept of them."""

    def replace_bodies(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        statements.replace_bodies(connection, rows)

    def empty_records(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        statements.empty_records(connection, rows)

    def insert_missing(
        self, connection: Connection, table: Table, rows: Iterable[Sequence[Any]]
    ) -> int:
        return statements.insert_missing(connection, table, rows)

    def copy_in(self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        statements.copy_in(connection, table, rows)

    def add(
        self, connection: Connection, table: Table, rows: Sequence[Sequence[Any]], *, column: str
    ) -> int:
        return statements.add(connection, table, rows, column=column)

    def upsert(
        self, connection: Connection, table: Table, row: Mapping[str, Any], *, replaced: str
    ) -> None:
        statements.upsert(connection, table, row, replaced=replaced)

    def reshape(
        self,
        connection: Connection,
        table: Table,
        *,
        forgotten: Sequence[str],
        owner: tuple[Table, str] | None,
    ) -> None:
        # The first version of a database here leads every key with the organization already.
        shapes.reshape(connection, table, forgotten=forgotten)

    def store_failure(self, error: BaseException) -> str | None:
        return failures.store_failure(error)

    def row_failure(self, error: BaseException) -> str:
        return failures.row_failure(error)

    def fullness(self, more_bytes: int = 0) -> float:
        """PostgreSQL keeps the room for its log itself."""
        return 0

    def make_room(self, more_bytes: int, *, wait_s: float) -> None:
        """Open the writer's connection again, if it broke."""
        connections.reconnect(self.writer)

    def maintain(self) -> None:
        """PostgreSQL does its own upkeep."""

    def erase(self, begin: int) -> int | None:
        """PostgreSQL's autovacuum frees what was deleted. What it promises is in the docs."""
        return None

    def wait_for_others(self, wanted: bool) -> None:
        """Others may write at the same time."""

    def count_foreign_changes(self) -> int:
        return 0

    def measure(self) -> Room:
        with self.read() as connection:
            found = connection.scalar(text("SELECT pg_database_size(current_database())"))
            return Room(bytes=int(found or 0), free_bytes=None)

    def find_failure(self) -> str | None:
        try:
            is_writable = connections.is_writable(self._url)
        except psycopg.Error as error:
            return failures.store_failure(error) or str(error)
        return None if is_writable else failures.READ_ONLY

    def give_up_after(self, seconds: float) -> AbstractContextManager[None]:
        return self._watchdog.watch(self.writer, seconds)

    def release_memory(self) -> None:
        """Nothing is kept of large rows."""

    @property
    def log_bytes(self) -> int:
        return 0

    @property
    def checkpoints(self) -> int:
        return 0

    def close(self) -> None:
        self._watchdog.close()
        self.writer.close()
        self._readers.dispose()
        os.close(self._lock)
