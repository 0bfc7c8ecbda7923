"""Reads a PostgreSQL database that servers may use, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, cast

from sqlalchemy import Connection, Row, Select

from briggs.storage.database import Database
from briggs.storage.postgres import connections
from briggs.storage.postgres.addresses import read_address


class PostgresReader:
    """A database that this process only reads."""

    def __init__(self, address: str, *, password: str | None) -> None:
        self._name, url = read_address(address, password=password)
        self._readers = connections.open_readers(
            # Nothing that only reads needs more of a database than this.
            url,
            connections_max=1,
            database=cast("Database", self),
        )

    def read(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    def snapshot(self, connection: Connection) -> AbstractContextManager[None]:
        return connections.snapshot(connection)

    def hold(self, connection: Connection) -> AbstractContextManager[None]:
        return connections.snapshot(connection)

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        return connections.stream(connection, statement)

    def find_damage(self) -> Iterator[str]:
        """PostgreSQL checks its own files, if it has checksums."""
        yield from ()

    def close(self) -> None:
        self._readers.dispose()
