"""A data folder with an SQLite database, as the store needs it: see `storage/database.py`."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, Table

from briggs.storage import owners
from briggs.storage.database import Durability, Partitions, Room
from briggs.storage.folders import is_read_for_long, open_folder
from briggs.storage.sqlite import (
    connections,
    failures,
    files,
    functions,  # noqa: F401 (SQLAlchemy finds it by its decorator)
    pages,
    shapes,
    statements,
)
from briggs.storage.sqlite.checkpoints import Checkpointer
from briggs.storage.sqlite.log import open_log
from briggs.storage.zones import Zones
from briggs.types.completions import current_time_us
from briggs.types.errors import StoreUnavailable

logger = logging.getLogger(__name__)


class SqliteDatabase:
    """A folder that this process has open, alone or with others of the same Briggs."""

    def __init__(
        self,
        folder: Path,
        *,
        durability: Durability,
        log_bytes_max: int,
        readers_max: int,
        is_shared: bool = False,
    ) -> None:
        """Create what is missing and lock the folder. Raises `StoreLocked`, `StoreUnavailable`.

        A shared folder was locked by the process that started those who share it.
        """
        self.is_shared = is_shared
        self.changed_at = 0
        self._version = -1
        self._noted: int | None = None
        """The version that the present transaction writes."""
        self.name = str(folder)
        self.remembered: dict[str, Any] = {}
        self.partitions: Partitions | None = None
        self.zones = Zones(version=-1 if is_shared else None)
        # `strict` and `relaxed` commit to the operating system's memory.
        self.commits_quickly = durability != "fsync"
        self.rules_out_segments = False
        self.batch_bytes_max = log_bytes_max // 8
        self._log_bytes_max = log_bytes_max
        self._is_patient = True
        self._allowed_bytes = 0
        """How large the log may be, in spite of its limit, because of a backup."""
        synchronous: connections.Synchronous = "FULL" if durability == "fsync" else "NORMAL"
        with ExitStack() as undone:
            self._lock = open_folder(folder, lock=not is_shared)
            undone.callback(os.close, self._lock)
            try:
                self.path = files.create_database(folder)
                self.writer = connections.open_writer(
                    self.path, synchronous=synchronous, database=self
                )
                undone.callback(self.writer.close)
                self._log = open_log(self.writer, path=self.path)
            except Exception as error:
                reason = failures.store_failure(error)
                if reason is None:
                    raise
                raise StoreUnavailable(f"{folder}: {reason}") from error
            undone.pop_all()
        self._readers = connections.open_readers(
            self.path, connections_max=readers_max, database=self
        )
        self._checkpointer = Checkpointer(
            path=self.path,
            log=self._log,
            wal_bytes_max=log_bytes_max,
            # Every process opens the folder itself, so that they keep each other out.
            shared_lock=self._lock if is_shared else None,
        )

    def join(self, *, takes_over: bool, wants_to_keep: bool, timeout_s: float) -> None:
        """Only processes of this machine can open it."""

    @property
    def owner(self) -> str:
        return owners.name_owner(os.getpid())

    def list_dead(
        self, connection: Connection, owned: Sequence[str | None]
    ) -> Sequence[str | None]:
        return owners.list_dead(owned)

    def read(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        self._noted = None
        has_begun = False
        try:
            with connections.transaction(connection):
                has_begun = True
                if self.is_shared:
                    self._notice_changes(connection)
                yield
        except BaseException:
            if has_begun:
                self.remembered.clear()
            raise
        finally:
            self.zones.settle()
        if self._noted is not None:
            self._version = self._noted
            self.zones.follow(self._noted, is_own=True)

    def is_in_term(self, connection: Connection, term: int) -> bool:
        # A process of this machine is the keeper until it dies.
        return term > 0

    def note_change(self, connection: Connection) -> None:
        """Count up the version in the file, once in a transaction, if anyone else reads it."""
        if self.is_shared and self._noted is None:
            self._noted = self._version + 1
            connections.write_version(connections.driver(connection), self._noted)

    def follow(self, connection: Connection) -> None:
        if self.is_shared:
            self.zones.follow(connections.read_version(connections.driver(connection)))

    def _write_next_version(self, inner: sqlite3.Connection) -> None:
        connections.write_version(inner, connections.read_version(inner) + 1)

    def _notice_changes(self, connection: Connection) -> None:
        """Forget what others may have changed since the last transaction of this process."""
        version = connections.read_version(connections.driver(connection))
        if version != self._version:
            self._version = version
            self.changed_at = current_time_us()
            self.remembered.clear()
            self.zones.follow(version)

    def migration(self, connection: Connection) -> AbstractContextManager[None]:
        return self.transaction(connection)

    def savepoint(self, connection: Connection) -> AbstractContextManager[None]:
        return connections.savepoint(connection)

    def snapshot(self, connection: Connection) -> AbstractContextManager[None]:
        return connections.snapshot(connection)

    def time_limit(self, connection: Connection, seconds: float) -> AbstractContextManager[None]:
        return connections.time_limit(connection, seconds)

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        return connection.execute(statement)

    def insert_records(
        self, connection: Connection, rows: Sequence[Sequence[Any]], *, new: Sequence[bool] = ()
    ) -> int:
        return statements.insert_records(connection, rows)

    def forget_records(self, connection: Connection) -> None:
        statements.forget_records(connection)

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
        shapes.reshape(connection, table, forgotten=forgotten, owner=owner)

    def store_failure(self, error: BaseException) -> str | None:
        return failures.store_failure(error)

    def row_failure(self, error: BaseException) -> str:
        return str(getattr(error, "orig", error))

    def fullness(self, more_bytes: int = 0) -> float:
        return (self._log.used_bytes + more_bytes) / self._log_bytes_max

    def make_room(self, more_bytes: int, *, wait_s: float) -> None:
        """Restart the log when little is left in it. If it is full, wait until it can restart.

        The log is full only when the disk is much slower than the callers, or when a reader holds
        on to an old state of the database. Then callers have to wait, except for a backup.
        """
        inner = connections.driver(self.writer)
        if self.fullness(more_bytes) <= 1:
            if self.fullness() >= 0.5 and self._checkpointer.is_nearly_done:
                self._checkpointer.finish(inner)
            return
        if self._log.used_bytes + more_bytes <= self._allow_more(more_bytes):
            return
        deadline = time.monotonic() + wait_s
        while not self._checkpointer.finish(inner):
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    self._checkpointer.failure
                    or "a reader of the database keeps the write-ahead log from being emptied: "
                    "end the transaction of any other program that has it open"
                )
            time.sleep(0.01)

    def _allow_more(self, more_bytes: int) -> int:
        """How large the log may be in spite of its limit: during a backup, as the disk has room.

        After a backup it may grow as much again, while the thread of the checkpoints moves what is
        in it. If that is not enough, callers wait for the rest.
        """
        if is_read_for_long(self.path.parent):
            free_bytes = shutil.disk_usage(self.path.parent).free
            more = max(more_bytes, self._log_bytes_max, self._log.used_bytes)
            has_room = free_bytes > 2 * more
            self._allowed_bytes = self._log.used_bytes + more if has_room else 0
        elif self._checkpointer.is_nearly_done:
            self._allowed_bytes = 0
        else:
            self._checkpointer.hurry()
        return self._allowed_bytes

    def empty_log(self) -> None:
        """Restart the log, or have it moved if there is much in it.

        Its thread is woken when the log grows. A reader may have kept it from moving anything
        then, and if nobody writes after that, nothing else wakes it.
        """
        if self._checkpointer.is_nearly_done:
            self._checkpointer.finish(connections.driver(self.writer))
        else:
            self._checkpointer.hurry()

    def maintain(self) -> None:
        self._checkpointer.watch()

    def erase(self, begin: int) -> int | None:
        """Empty the log, and overwrite what is left of deleted rows in some of the pages."""
        if not self._checkpointer.is_nearly_done:
            self._checkpointer.hurry()
            return begin
        inner = connections.driver(self.writer)
        if self.is_shared:
            # What is in the log keeps it from being restarted by another process.
            self._write_next_version(inner)
        if not self._checkpointer.finish(inner, "TRUNCATE"):
            return begin
        inner.execute("BEGIN IMMEDIATE")
        try:
            if self._log.pages_left:
                # Another process has just written.
                return begin
            place = pages.clear_unused(
                self._log.database, begin=begin, page_bytes=self._log.page_bytes
            )
            if self.is_shared:
                # A commit makes other processes forget these pages as they were. They would write
                # them again.
                self._write_next_version(inner)
                inner.execute("COMMIT")
            return place
        finally:
            if inner.in_transaction:
                inner.execute("ROLLBACK")
            # What it remembers of these pages has not changed, and would be written again.
            self.release_memory()

    def wait_for_others(self, wanted: bool) -> None:
        if wanted is not self._is_patient:
            self._is_patient = wanted
            timeout_s = connections.BUSY_TIMEOUT_S if wanted else 0
            connections.set_busy_timeout(connections.driver(self.writer), timeout_s)

    def count_foreign_changes(self) -> int:
        return connections.count_foreign_changes(connections.driver(self.writer))

    def measure(self) -> Room:
        files = self.path.parent.glob(f"{self.path.name}*")
        return Room(
            bytes=sum(file.stat().st_size for file in files),
            free_bytes=shutil.disk_usage(self.path.parent).free,
        )

    def find_failure(self) -> str | None:
        """Writing finds it out as quickly."""
        return None

    def give_up_after(self, seconds: float) -> AbstractContextManager[None]:
        """A disk is waited for."""
        return nullcontext()

    def release_memory(self) -> None:
        connections.driver(self.writer).execute("PRAGMA shrink_memory")

    @property
    def log_bytes(self) -> int:
        return self._log.used_bytes

    @property
    def checkpoints(self) -> int:
        return self._checkpointer.passes

    def close(self) -> None:
        """Move everything to the database, and unlock the folder."""
        self._checkpointer.close()
        try:
            self._checkpointer.finish(connections.driver(self.writer))
        except sqlite3.Error as error:
            logger.warning("the last checkpoint failed. The log keeps its pages: %s", error)
        self.writer.close()
        self._readers.dispose()
        self._log.close()
        os.close(self._lock)
