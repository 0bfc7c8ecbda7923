"""The statements that must be fast. They pass SQLAlchemy by, so they convert values themselves."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects.sqlite import Insert, insert

from briggs.storage.sqlite.connections import driver
from briggs.storage.sqlite.values import storable
from briggs.storage.tables import KEPT_COLUMNS, WRITTEN_COLUMNS, completions


def insert_records(connection: Connection, rows: Sequence[Sequence[Any]]) -> int:
    """Write completions. It accepts the start and the end of each in any order.

    A row that exists is replaced only while it is `started`, and only by a settled one. Returns how
    many were written.
    """
    written = begin = 0
    for size, sql in _INSERT_RECORDS.items():
        while begin + size <= len(rows):
            values = list(chain.from_iterable(rows[begin : begin + size]))
            written += _execute(connection, sql, values).rowcount
            begin += size
    return written


def forget_records(connection: Connection) -> None:
    """Free the rows that were written last. SQLite keeps a statement's values until it gets new
    ones, so this binds nulls. A row without an id is refused, so nothing is written.
    """
    for size, sql in _INSERT_RECORDS.items():
        with contextlib.suppress(sqlite3.IntegrityError):
            driver(connection).execute(sql, [None] * (size * len(WRITTEN_COLUMNS)))


def insert_missing(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> int:
    """Insert the rows that do not exist yet, as values of all columns."""
    values = [[storable(value) for value in row] for row in rows]
    return max(0, driver(connection).executemany(_insert_missing_sql(table), values).rowcount)


def copy_in(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert many rows that do not exist, as values of all columns."""
    values = ([storable(value) for value in row] for row in rows)
    driver(connection).executemany(_insert_sql(table), values)


def add(connection: Connection, table: Table, rows: Sequence[Sequence[Any]], *, column: str) -> int:
    """Add to a column of some rows, given as numbers with keys. Returns how many there are."""
    values = [[storable(value) for value in row] for row in rows]
    return driver(connection).executemany(_add_sql(table, column), values).rowcount


def upsert(connection: Connection, table: Table, row: Mapping[str, Any], *, replaced: str) -> None:
    """Insert a row, or replace one column of the row with this key."""
    connection.execute(_upsert(table, replaced), row)


def replace_bodies(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Store compressed bodies: request, response, received, preview, organization and id."""
    values = [[storable(value) for value in row] for row in rows]
    driver(connection).executemany(_REPLACE_BODIES, values)


def empty_records(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Replace bodies: an empty body, compressed, the time, organization and id of each."""
    values = [[storable(value) for value in row] for row in rows]
    driver(connection).executemany(_EMPTY_RECORDS, values)


def _execute(connection: Connection, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
    """Values are bound before anything is written, and nearly all are fine as they are."""
    try:
        return driver(connection).execute(sql, values)
    except (UnicodeEncodeError, OverflowError):
        return driver(connection).execute(sql, [storable(value) for value in values])


def _insert_records_sql(rows: int) -> str:
    quoted = ", ".join(f'"{name}"' for name in WRITTEN_COLUMNS)
    updates = ", ".join(
        f'"{name}" = excluded."{name}"' for name in WRITTEN_COLUMNS if name not in KEPT_COLUMNS
    )
    values = f"({', '.join('?' * len(WRITTEN_COLUMNS))})"
    return (  # Every name in it is our own.
        f"INSERT INTO {completions.name} ({quoted}) VALUES {', '.join([values] * rows)} "  # noqa: S608
        f"ON CONFLICT (organization_id, id) DO UPDATE SET {updates} "
        f"WHERE {completions.name}.status = 'started' AND excluded.status <> 'started'"
    )


@cache
def _upsert(table: Table, replaced: str) -> Insert:
    """Building it takes ten times as long as executing it."""
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={replaced: statement.excluded[replaced]}
    )


@cache
def _add_sql(table: Table, column: str) -> str:
    key = " AND ".join(f"{each.name} = ?" for each in table.primary_key)
    return f"UPDATE {table.name} SET {column} = {column} + ? WHERE {key}"  # noqa: S608


@cache
def _insert_sql(table: Table) -> str:
    names = ", ".join(f'"{each.name}"' for each in table.columns)
    values = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({names}) VALUES ({values})"  # noqa: S608


@cache
def _insert_missing_sql(table: Table) -> str:
    return f"{_insert_sql(table)} ON CONFLICT DO NOTHING"


# The driver releases the interpreter lock for every statement and then has to wait for it, so a
# batch uses few statements, each with at most this many rows.
_INSERT_RECORDS = {rows: _insert_records_sql(rows) for rows in (32, 16, 8, 4, 2, 1)}

# A row that shrinks leaves a hole that SQLite does not close. So the row moves to the end, next to
# its neighbours, and frees a whole page that can be used again.
_REPLACE_BODIES = """
    UPDATE completions
    SET rowid = (SELECT max(rowid) FROM completions) + 1,
        encoding = 1, request = ?, response = ?, received = ?, preview = ?
    WHERE organization_id = ? AND id = ? AND encoding = 0
"""
_EMPTY_RECORDS = """
    UPDATE completions
    SET rowid = (SELECT max(rowid) FROM completions) + 1, encoding = 1, preview = NULL,
        request = ?, response = NULL, received = NULL, bodies_deleted_at = ?
    WHERE organization_id = ? AND id = ?
"""
