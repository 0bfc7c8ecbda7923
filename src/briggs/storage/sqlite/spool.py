"""A file that keeps records while another database cannot take them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Column, Integer, MetaData, Table, delete, func, select

from briggs.storage.errors import StoreError
from briggs.storage.folders import create_private
from briggs.storage.sqlite import connections
from briggs.storage.sqlite.values import storable
from briggs.storage.tables import WRITTEN_COLUMNS, completions

SPOOL_NAME = "spool.db"


def name_spool(folder: Path, *, worker: int) -> Path:
    """The file of a process that has a data folder alone, or of one of its workers."""
    return folder / (SPOOL_NAME if worker <= 1 else f"spool-{worker}.db")


def list_left_spools(folder: Path) -> list[Path]:
    """The spools of workers that ran before, besides the first."""
    return sorted(folder.glob("spool-*.db"))


def delete_spool(path: Path) -> None:
    """Delete the file of a spool that is closed."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


_spooled = Table(
    "spooled",
    MetaData(),
    # In the order in which they came.
    Column("number", Integer, primary_key=True),
    Column("size", Integer, nullable=False),
    *(Column(name, completions.c[name].type) for name in WRITTEN_COLUMNS),
    sqlite_autoincrement=True,
)


_INSERT = (  # Every name in it is our own.
    f"INSERT INTO {_spooled.name} (size, "  # noqa: S608
    + ", ".join(f'"{name}"' for name in WRITTEN_COLUMNS)
    + f") VALUES (?{', ?' * len(WRITTEN_COLUMNS)})"
)


def count_spooled(folder: Path) -> dict[Path, int]:
    """How many records wait in each spool of a data folder that has any, beside any server that
    uses it.

    Raises `StoreError` if one cannot be read.
    """
    paths = [path for path in (folder / SPOOL_NAME, *list_left_spools(folder)) if path.is_file()]
    counts = {path: _count(path) for path in paths}
    return {path: count for path, count in counts.items() if count}


def _count(path: Path) -> int:
    try:
        with closing(connections.open_beside(path)) as connection:
            sql = f"SELECT count(*) FROM {_spooled.name}"  # noqa: S608
            return int(connection.execute(sql).fetchone()[0])
    except sqlite3.Error as error:
        raise StoreError(
            f"{path} cannot be read ({error}): it may have calls that wait, so keep a copy of it"
        ) from error


class SpooledRow(NamedTuple):
    """A record in the spool."""

    number: int
    row: Any
    """The columns that were asked for, and all of `completions` that are written."""


class SpoolFile:
    """Records in the order in which they came. What `append` returns from survives a loss of power.

    Belongs to one thread at a time. `count` and `bytes` may be read from any.
    """

    def __init__(self, path: Path) -> None:
        """Open a spool, or create it (0600)."""
        create_private(path)
        self._connection = connections.open_writer(path, synchronous="FULL", database=None)
        connections.driver(self._connection).execute("PRAGMA wal_autocheckpoint = 1000")
        _spooled.create(self._connection, checkfirst=True)
        self.count, self.bytes = 0, 0
        self._measure()

    def append(self, rows: Sequence[tuple[int, Sequence[Any]]]) -> None:
        """Add records: the size of each, and its row of `WRITTEN_COLUMNS`."""
        values = [[size, *map(storable, row)] for size, row in rows]
        with connections.transaction(self._connection):
            connections.driver(self._connection).executemany(_INSERT, values)
        self.count += len(values)
        self.bytes += sum(size for size, _ in rows)

    def read(self, columns: Sequence[str], *, count_max: int, bytes_max: int) -> list[SpooledRow]:
        """The oldest records, as rows with these columns. At least one, if there is any."""
        statement = (
            select(*(_spooled.c[name] for name in columns), _spooled.c.number, _spooled.c.size)
            .order_by(_spooled.c.number)
            .limit(count_max)
        )
        found: list[SpooledRow] = []
        size = 0
        with self._connection.execute(statement) as rows:
            for row in rows:
                size += row.size
                if found and size > bytes_max:
                    break
                found.append(SpooledRow(row.number, row))
        return found

    def remove(self, *, to: int) -> None:
        """Forget the records up to a number, because they are where they belong."""
        with connections.transaction(self._connection):
            self._connection.execute(delete(_spooled).where(_spooled.c.number <= to))
        self._measure()

    def close(self) -> None:
        self._connection.close()

    def _measure(self) -> None:
        statement = select(func.count(), func.coalesce(func.sum(_spooled.c.size), 0))
        self.count, self.bytes = self._connection.execute(statement).one()
