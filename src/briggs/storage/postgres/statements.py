"""The statements that must be fast. They pass SQLAlchemy by, so they convert values themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from briggs.storage.errors import AlreadySettled
from briggs.storage.postgres.connections import driver
from briggs.storage.postgres.values import storable, storable_json, storable_key
from briggs.storage.tables import KEPT_COLUMNS, WRITTEN_COLUMNS, completions
from briggs.storage.types import AnyInteger, AnyText, Json, KeyText


def insert_records(
    connection: Connection, rows: Sequence[Sequence[Any]], *, new: Sequence[bool]
) -> int:
    """Write completions. It accepts the start and the end of each in any order.

    A row that exists is replaced only while it is `started`, and only by a settled one. Returns how
    many were written.

    What is replaced is deleted first, and what it keeps is read, so that all rows can be copied.
    Most calls end before their start is written, so that nothing has to be looked for. An
    INSERT of fifty columns that replaces takes three times as long, most of it for parsing.
    """
    written = [_convert(row) for row in rows]
    settled = [row for row in written if row[_STATUS] != "started"]
    are_new = new or [False] * len(rows)
    begun = [
        row
        for row, is_new in zip(written, are_new, strict=True)
        if not is_new and row[_STATUS] != "started"
    ]
    if begun:
        _take_started(connection, begun)
    started = [row for row in written if row[_STATUS] == "started"]
    if started:
        known = _find_known(connection, started)
        written = settled + [row for row in started if _key_of(row) not in known]
    if len(set(map(_key_of, written))) < len(written):
        raise AlreadySettled("two ends of the same call came at once")
    try:
        _copy(connection, written)
    except psycopg.errors.UniqueViolation as error:
        raise AlreadySettled("a completion of this batch was already settled") from error
    return len(written)


def insert_missing(connection: Connection, table: Table, rows: Iterable[Sequence[Any]]) -> int:
    """Insert the rows that do not exist yet, as values of all columns."""
    sql, converters = _insert_missing_sql(table)
    columns = list(zip(*rows, strict=True))
    values = [
        [convert(value) for value in column]
        for convert, column in zip(converters, columns, strict=True)
    ]
    return driver(connection).execute(sql.encode(), values).rowcount if columns else 0


def copy_in(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    """Insert many rows that do not exist, as values of all columns."""
    sql, types, converters = _copy_sql(table)
    with driver(connection).cursor().copy(sql.encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(
                [
                    value if convert is None or value is None else convert(value)
                    for convert, value in zip(converters, row, strict=True)
                ]
            )


def add(connection: Connection, table: Table, rows: Sequence[Sequence[Any]], *, column: str) -> int:
    """Add to a column of some rows, given as numbers with keys. Returns how many there are."""
    columns = [[storable(value) for value in each] for each in zip(*rows, strict=True)]
    return driver(connection).execute(_add_sql(table, column).encode(), columns).rowcount


def upsert(connection: Connection, table: Table, row: Mapping[str, Any], *, replaced: str) -> None:
    """Insert a row, or replace one column of the row with this key."""
    connection.execute(_upsert(table, replaced), row)


def replace_bodies(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Store compressed bodies: request, response, received, preview, organization and id."""
    _update(connection, _REPLACE_BODIES, rows)


def empty_records(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    """Replace bodies: an empty body, compressed, the time, organization and id of each."""
    _update(connection, _EMPTY_RECORDS, rows)


def _update(connection: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    columns = [[storable(value) for value in column] for column in zip(*rows, strict=True)]
    if columns:
        driver(connection).execute(sql.encode(), columns)


def _take_started(connection: Connection, rows: Sequence[list[Any]]) -> None:
    """Delete what was `started` of these rows, which keep its `KEPT_COLUMNS`."""
    found = driver(connection).execute(_TAKE_STARTED.encode(), _list_keys(rows))
    kept = {each[:2]: each[2:] for each in found}
    for row in rows if kept else ():
        for place, value in zip(_KEPT, kept.get(_key_of(row), ()), strict=False):
            row[place] = value


def _find_known(connection: Connection, rows: Sequence[list[Any]]) -> set[tuple[str, str]]:
    return set(driver(connection).execute(_FIND_KNOWN.encode(), _list_keys(rows)))


def _key_of(row: Sequence[Any]) -> tuple[str, str]:
    return row[_ORGANIZATION], row[_ID]


def _list_keys(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    return [[row[_ORGANIZATION] for row in rows], [row[_ID] for row in rows]]


def _copy(connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    with driver(connection).cursor().copy(_COPY.encode()) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            copy.write_row(row)


def _convert(row: Sequence[Any]) -> list[Any]:
    converted = list(row)
    for place in _TEXTS:
        value = converted[place]
        if value is not None and not value.isalnum():
            converted[place] = storable(value)
    for place in _JSON:
        if converted[place] is not None:
            converted[place] = storable_json(converted[place])
    return converted


def _type_of(column: Column[Any]) -> str:
    """PostgreSQL's name of a column's type."""
    return next((name for kind, name in _KINDS.items() if isinstance(column.type, kind)), "text")


def _converter_of(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, KeyText):
        return storable_key
    return storable_json if isinstance(column.type, Json) else storable


@cache
def _upsert(table: Table, replaced: str) -> Insert:
    """Building it takes ten times as long as executing it."""
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={replaced: statement.excluded[replaced]}
    )


@cache
def _add_sql(table: Table, column: str) -> str:
    keys = list(table.primary_key)
    arrays = ", ".join(f"%b::{_type_of(each)}[]" for each in (table.c[column], *keys))
    names = ", ".join(each.name for each in keys)
    same = " AND ".join(f"{table.name}.{each.name} = new.{each.name}" for each in keys)
    return (
        f"UPDATE {table.name} SET {column} = {table.name}.{column} + new.more "  # noqa: S608
        f"FROM unnest({arrays}) AS new(more, {names}) WHERE {same}"
    )


@cache
def _copy_sql(table: Table) -> tuple[str, list[str], list[Callable[[Any], Any] | None]]:
    names = ", ".join(f'"{each.name}"' for each in table.columns)
    sql = f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)"
    types = [_type_of(each) for each in table.columns]
    kinds = zip(types, table.columns, strict=True)
    return sql, types, [_converter_of(each) if kind == "text" else None for kind, each in kinds]


@cache
def _insert_missing_sql(table: Table) -> tuple[str, list[Callable[[Any], Any]]]:
    names = ", ".join(f'"{each.name}"' for each in table.columns)
    arrays = ", ".join(f"%b::{_type_of(each)}[]" for each in table.columns)
    sql = (
        f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) "  # noqa: S608
        "ON CONFLICT DO NOTHING"
    )
    return sql, [_converter_of(each) for each in table.columns]


# The first that applies.
_KINDS = {
    AnyInteger: "numeric",
    BigInteger: "bigint",
    SmallInteger: "smallint",
    Integer: "integer",
    LargeBinary: "bytea",
    Boolean: "boolean",
    Float: "float8",
}
_WRITTEN = [completions.c[name] for name in WRITTEN_COLUMNS]
_ID, _ORGANIZATION, _STATUS = map(WRITTEN_COLUMNS.index, ("id", "organization_id", "status"))
_KEPT = [WRITTEN_COLUMNS.index(name) for name in KEPT_COLUMNS]
_TEXTS = [place for place, each in enumerate(_WRITTEN) if isinstance(each.type, AnyText)]
_JSON = [place for place, each in enumerate(_WRITTEN) if isinstance(each.type, Json)]
_TYPES = [_type_of(each) for each in _WRITTEN]
_NAMES = ", ".join(f'"{name}"' for name in WRITTEN_COLUMNS)
_COPY = f"COPY {completions.name} ({_NAMES}) FROM STDIN (FORMAT BINARY)"

# Every name in these is our own.
_KEPT_NAMES = ", ".join(f"completions.{name}" for name in KEPT_COLUMNS)
_TAKE_STARTED = f"""
    DELETE FROM completions
    USING unnest(%b::text[], %b::text[]) AS new(organization_id, id)
    WHERE completions.organization_id = new.organization_id AND completions.id = new.id
        AND completions.status = 'started'
    RETURNING new.organization_id, new.id, {_KEPT_NAMES}
"""  # noqa: S608
_FIND_KNOWN = """
    SELECT new.organization_id, new.id FROM completions
    JOIN unnest(%b::text[], %b::text[]) AS new(organization_id, id) USING (organization_id, id)
"""
_REPLACE_BODIES = """
    UPDATE completions
    SET encoding = 1, request = new.request, response = new.response, received = new.received,
        preview = new.preview
    FROM unnest(%b::bytea[], %b::bytea[], %b::bytea[], %b::text[], %b::text[], %b::text[])
        AS new(request, response, received, preview, organization_id, id)
    WHERE completions.organization_id = new.organization_id AND completions.id = new.id
        AND completions.encoding = 0
"""
_EMPTY_RECORDS = """
    UPDATE completions
    SET encoding = 1, preview = NULL, request = new.request, response = NULL, received = NULL,
        bodies_deleted_at = new.at
    FROM unnest(%b::bytea[], %b::bigint[], %b::text[], %b::text[])
        AS new(request, at, organization_id, id)
    WHERE completions.organization_id = new.organization_id AND completions.id = new.id
"""
