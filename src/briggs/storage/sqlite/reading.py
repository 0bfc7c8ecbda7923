"""Reads the database of a data folder that servers may use, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Row, Select

from briggs.storage.database import Database
from briggs.storage.errors import StoreError
from briggs.storage.folders import reading_for_long
from briggs.storage.sqlite import connections
from briggs.storage.sqlite.files import DATABASE_NAME

DAMAGES_MAX = 100


class SqliteReader:
    """A database that this process only reads. It takes no lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / DATABASE_NAME
        if not path.is_file():
            raise StoreError(
                f"{folder} has no database: name the data folder of a server with --data"
            )
        self._readers = connections.open_readers(
            # Nothing that only reads needs more of a database than this.
            path,
            connections_max=1,
            database=cast("Database", self),
        )

    def read(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    def snapshot(self, connection: Connection) -> AbstractContextManager[None]:
        return connections.snapshot(connection)

    @contextmanager
    def hold(self, connection: Connection) -> Iterator[None]:
        with reading_for_long(self._folder), connections.snapshot(connection):
            yield

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        return connection.execute(statement)

    def find_damage(self) -> Iterator[str]:
        """What SQLite's own check finds, table by table, each as of one moment."""
        with reading_for_long(self._folder), self.read() as connection:
            read = connection.exec_driver_sql
            for name in read("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all():
                check = f"PRAGMA integrity_check('{name}')"
                for [found] in read(check).fetchmany(DAMAGES_MAX):
                    if found != "ok":
                        yield f"the table {name} is damaged ({found})"

    def close(self) -> None:
        self._readers.dispose()
