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

from briggs.storage.database import Durability, Partitions, Room
from briggs.storage.errors import TermEnded
from briggs.storage.folders import open_folder, read_folder_id
from briggs.storage.postgres import (
    connections,
    failures,
    functions,  # noqa: F401 (SQLAlchemy finds it by its decorator)
    shapes,
    statements,
)
from briggs.storage.postgres.addresses import read_address
from briggs.storage.postgres.membership import Membership
from briggs.storage.postgres.partitions import PostgresPartitions
from briggs.storage.postgres.watchdog import Watchdog
from briggs.storage.zones import Zones
from briggs.types.completions import current_time_us
from briggs.types.errors import StoreUnavailable
from briggs.types.keeping import find_term

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""One transaction may be of any size. This one is written within moments."""

MIGRATION_LOCK = 0x627269676773
"""The number of the lock that whoever changes the tables holds."""

_READ_VERSION = "SELECT version FROM changes WHERE name = 'record'"
_NOTE_CHANGE = text("UPDATE changes SET version = :version WHERE name = 'record'")

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
        is_shared: bool = False,
    ) -> None:
        """Lock the data folder and connect. Raises `StoreLocked` and `StoreUnavailable`.

        A shared folder was locked by the process that started those who share it.
        """
        # Another node may begin to write at any time.
        self.is_shared = True
        self.changed_at = 0
        self._version = -1
        self._noted: int | None = None
        """The version that the present transaction writes."""
        self._foreign_changes = 0
        self.remembered: dict[str, Any] = {}
        self.zones = Zones(version=-1)
        self.partitions: Partitions | None = PostgresPartitions()
        # The event loop must not wait for the network.
        self.commits_quickly = False
        self.rules_out_segments = True
        self.batch_bytes_max = BATCH_BYTES_MAX
        self.name, url = read_address(address, password=password)
        self._url = url
        self._watchdog = Watchdog()
        self._begin = (
            f"BEGIN; SET LOCAL synchronous_commit TO {_COMMITS[durability]}; "
            f"{connections.wait_for_writers()}"
        )
        self._folder = folder
        self._member: Membership | None = None
        with ExitStack() as undone:
            self._lock = open_folder(folder, lock=not is_shared)
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

    def join(self, *, takes_over: bool, wants_to_keep: bool, timeout_s: float) -> Membership:
        folder_id = read_folder_id(self._folder)
        member = Membership(self._url, folder_id=folder_id, timeout_s=timeout_s)
        try:
            member.join(takes_over=takes_over, wants_to_keep=wants_to_keep)
        except psycopg.Error as error:
            reason = failures.store_failure(error)
            if reason is None:
                raise
            raise StoreUnavailable(f"{self.name}: {reason}") from error
        self._member = member
        self._begin = f"{self._begin}; {_READ_VERSION}"
        return member

    @property
    def owner(self) -> str:
        assert self._member is not None, "only nodes write calls"
        return self._member.id

    def list_dead(
        self, connection: Connection, owned: Sequence[str | None]
    ) -> Sequence[str | None]:
        assert self._member is not None, "only nodes ask"
        return self._member.list_dead(owned, connection)

    def read(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        self._noted = None
        try:
            with connections.transaction(connection, begin=self._begin) as version:
                if self._member is not None:
                    self._notice_changes(version)
                if (term := find_term()) is not None and not self.is_in_term(connection, term):
                    raise TermEnded
                yield
        except BaseException:
            self.remembered.clear()
            raise
        finally:
            self.zones.settle()
        if self._noted is not None:
            self._version = self._noted
            self.zones.follow(self._noted, is_own=True)

    def _notice_changes(self, version: int) -> None:
        """Forget what others may have changed since the last transaction of this node."""
        if version != self._version:
            self._version = version
            self._foreign_changes += 1
            self.changed_at = current_time_us()
            self.remembered.clear()
            self.zones.follow(version)

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

    def is_in_term(self, connection: Connection, term: int) -> bool:
        return self._member is not None and self._member.is_in_term(connection, term)

    def note_change(self, connection: Connection) -> None:
        """Count up the version, once in a transaction."""
        if self._member is not None and self._noted is None:
            self._noted = self._version + 1
            connection.execute(_NOTE_CHANGE, {"version": self._noted})

    def follow(self, connection: Connection) -> None:
        if self._member is not None:
            self.zones.follow(connection.scalar(text(_READ_VERSION)) or 0)

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        return connections.stream(connection, statement)

    def insert_records(
        self, connection: Connection, rows: Sequence[Sequence[Any]], *, new: Sequence[bool] = ()
    ) -> int:
        return statements.insert_records(connection, rows, new=new)

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

    def empty_log(self) -> None:
        """PostgreSQL empties its log itself."""

    def maintain(self) -> None:
        """PostgreSQL does its own upkeep."""

    def erase(self, begin: int) -> int | None:
        """PostgreSQL's autovacuum frees what was deleted. What it promises is in the docs."""
        return None

    def wait_for_others(self, wanted: bool) -> None:
        """Others may write at the same time."""

    def count_foreign_changes(self) -> int:
        return self._foreign_changes

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
        connections.reconnect(self.writer)
        return self._watchdog.watch(connections.driver(self.writer).fileno(), seconds)

    def release_memory(self) -> None:
        """Nothing is kept of large rows."""

    @property
    def log_bytes(self) -> int:
        return 0

    @property
    def checkpoints(self) -> int:
        return 0

    def close(self) -> None:
        if self._member is not None:
            self._member.close()
        self._watchdog.close()
        self.writer.close()
        self._readers.dispose()
        os.close(self._lock)
