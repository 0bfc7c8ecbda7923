"""Brings an old table to what `tables.py` says today."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from typing import Any

from sqlalchemy import Connection, Inspector, Table, column, inspect, select, table

from briggs.storage.sqlite.rewriting import rewriting
from briggs.storage.tables import completions


def reshape(
    connection: Connection,
    wanted: Table,
    *,
    forgotten: Collection[str],
    owner: tuple[Table, str] | None,
) -> None:
    """Create the table, or give it the columns, keys and indexes that it has today.

    SQLite adds a column only at the end, so the rows move to a new table. They keep what they have
    in the columns of both, except in the `forgotten` ones. A table that is right already stays.
    If there is no `organization_id` yet, it is that of the `owner`'s row with the id in a column.
    """
    inspector = inspect(connection)
    if not inspector.has_table(wanted.name):
        wanted.create(connection)
        return
    if _describe(inspector, wanted.name) == _describe_wanted(connection, wanted):
        _create_indexes(connection, wanted)
        return
    # Nearly all that is stored is in this table.
    is_large = wanted.name == completions.name
    with rewriting(connection, wanted.name) if is_large else nullcontext():
        _rewrite(connection, inspector, wanted, forgotten=forgotten, owner=owner)


def _rewrite(
    connection: Connection,
    inspector: Inspector,
    wanted: Table,
    *,
    forgotten: Collection[str],
    owner: tuple[Table, str] | None,
) -> None:
    names = [each["name"] for each in inspector.get_columns(wanted.name)]
    kept = [name for name in names if name in wanted.columns and name not in forgotten]
    before = table(f"{wanted.name}_before", *(column(name) for name in kept))
    indexes = [each["name"] for each in inspector.get_indexes(wanted.name)]
    connection.exec_driver_sql(f"ALTER TABLE {wanted.name} RENAME TO {before.name}")
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX {index}")
    wanted.create(connection)
    rows: Any = select(before)
    if owner is not None and "organization_id" not in kept:
        kept.append("organization_id")
        owners, id = owner
        is_theirs = owners.c.id == before.c[id]
        rows = rows.add_columns(owners.c.organization_id).join_from(before, owners, is_theirs)
    connection.execute(wanted.insert().from_select(kept, rows))
    connection.exec_driver_sql(f"DROP TABLE {before.name}")


def _describe(inspector: Inspector, name: str) -> object:
    columns = [(each["name"], str(each["type"])) for each in inspector.get_columns(name)]
    return columns, inspector.get_pk_constraint(name)["constrained_columns"]


def _describe_wanted(connection: Connection, wanted: Table) -> object:
    """The columns with their types, and the key, as `_describe` has them of what is there."""
    columns = [(each.name, each.type.compile(connection.dialect)) for each in wanted.columns]
    return columns, [each.name for each in wanted.primary_key]


def _create_indexes(connection: Connection, wanted: Table) -> None:
    """Create the indexes whose columns are not those of today."""
    found = inspect(connection).get_indexes(wanted.name)
    columns = {each["name"]: each["column_names"] for each in found}
    for index in wanted.indexes:
        if columns.get(index.name) != index.columns.keys():
            index.drop(connection, checkfirst=True)
            index.create(connection)
