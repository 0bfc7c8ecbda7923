"""Brings an old table to what `tables.py` says today."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Boolean, Connection, DefaultClause, Index, MetaData, Table, false, func, text
from sqlalchemy.schema import CreateColumn

from briggs.storage.functions import index_key
from briggs.storage.postgres import partitions
from briggs.storage.postgres.connections import driver, run
from briggs.storage.postgres.functions import CREATE_FUNCTIONS
from briggs.storage.postgres.values import KEY_BYTES_MAX
from briggs.storage.tables import completions
from briggs.storage.types import AnyText, Json, KeyText

UNCOMPRESSED = {"search_segments": ("words",), "search_summaries": ("words",)}
"""What every search reads, so that expanding it would take most of the time."""


def reshape(connection: Connection, table: Table, *, forgotten: Collection[str]) -> None:
    """Create the table, or give it the columns and indexes that it has today.

    Adding or dropping a column moves no row. What the rows have in the `forgotten` columns is
    emptied, if the table has to change. A table that is right already stays.
    """
    run(driver(connection), CREATE_FUNCTIONS)
    wanted = _adapt(table)
    found = set(connection.scalars(_COLUMNS, {"table": wanted.name}))
    if not found:
        _create(connection, wanted)
        return
    added = [column for column in wanted.columns if column.name not in found]
    dropped = found - set(wanted.columns.keys())
    for column in added:
        described = CreateColumn(column).compile(connection)
        connection.execute(text(f"ALTER TABLE {wanted.name} ADD COLUMN {described}"))
    for name in dropped:
        connection.execute(text(f'ALTER TABLE {wanted.name} DROP COLUMN "{name}"'))
    if added or dropped:
        for name in forgotten:
            connection.execute(wanted.update().values({name: None}))
    _shorten_keys(connection, wanted)
    _create_indexes(connection, wanted)
    if _is_in_parts(wanted):
        partitions.split(connection, wanted)


def _create(connection: Connection, wanted: Table) -> None:
    if _is_in_parts(wanted):
        partitions.split(connection, wanted)
    else:
        wanted.create(connection)
    for name in UNCOMPRESSED.get(wanted.name, ()):
        connection.execute(
            text(f"ALTER TABLE {wanted.name} ALTER COLUMN {name} SET STORAGE EXTERNAL")
        )


def _is_in_parts(table: Table) -> bool:
    return table.name == completions.name


def _shorten_keys(connection: Connection, wanted: Table) -> None:
    """What was written before long texts were shortened fits into an index, but is not found."""
    for column in wanted.columns:
        if isinstance(column.type, KeyText):
            is_long = func.octet_length(column) > KEY_BYTES_MAX
            change = wanted.update().where(is_long)
            connection.execute(change.values({column: index_key(column)}))


def _create_indexes(connection: Connection, wanted: Table) -> None:
    """Create the indexes whose columns are not those of today."""
    found = {row[0]: row[1] for row in connection.execute(_INDEXES, {"table": wanted.name})}
    for index in wanted.indexes:
        included = index.dialect_options["postgresql"]["include"] or []
        if found.get(index.name) == [*map(_name, index.expressions), *included]:
            continue
        if index.name in found:
            index.drop(connection)
        index.create(connection)


def _name(part: Any) -> str:
    """What PostgreSQL calls a part of an index: the column, or the function of it."""
    return f"briggs_{part.name}" if isinstance(part, index_key) else str(part.name)


@cache
def _adapt(table: Table) -> Table:
    """The table as it is here: its indexes have no texts of any length that only readers save.

    An entry of an index has room for 2,700 bytes. So what follows the time is left out if it is a
    text of any length, and contained without an order if it is not.
    """
    by_id = {"postgresql_partition_by": "RANGE (id)"} if _is_in_parts(table) else {}
    adapted = table.to_metadata(MetaData())
    adapted.dialect_kwargs.update(by_id)
    for column in adapted.columns:
        if isinstance(column.type, Boolean) and column.server_default is not None:
            # `0` is no boolean here.
            column.server_default = DefaultClause(false())
    for index in list(adapted.indexes):
        names = index.columns.keys()
        if "created_at" in names and names[-1] == "id":
            adapted.indexes.discard(index)
            place = names.index("created_at") + 1
            included = [
                name
                for name in names[place:-1]
                if name == "status" or not isinstance(table.c[name].type, AnyText | Json)
            ]
            keys = [adapted.c[name] for name in (*names[:place], names[-1])]
            Index(index.name, *keys, postgresql_include=included)
    return adapted


_COLUMNS = text(
    "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(:table) "
    "AND attnum > 0 AND NOT attisdropped"
)
_INDEXES = text(
    "SELECT index.relname::text, array_agg(part.attname::text ORDER BY part.attnum) "
    "FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid "
    "JOIN pg_attribute AS part ON part.attrelid = indexrelid "
    "WHERE indrelid = to_regclass(:table) GROUP BY index.relname"
)
