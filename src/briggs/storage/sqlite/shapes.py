"""Brings an old table to what `tables.py` says today."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Table, column, inspect, select, table


def reshape(connection: Connection, wanted: Table, *, forgotten: Collection[str]) -> None:
    """Create the table, or give it the columns and indexes that it has today.

    SQLite adds a column only at the end, so the rows move to a new table. They keep what they have
    in the columns of both, except in the `forgotten` ones. A table that is right already stays.
    """
    inspector = inspect(connection)
    if not inspector.has_table(wanted.name):
        wanted.create(connection)
        return
    names = [each["name"] for each in inspector.get_columns(wanted.name)]
    if names == wanted.columns.keys():
        _create_indexes(connection, wanted)
        return
    kept = [name for name in names if name in wanted.columns and name not in forgotten]
    before = table(f"{wanted.name}_before", *(column(name) for name in kept))
    indexes = [each["name"] for each in inspector.get_indexes(wanted.name)]
    connection.exec_driver_sql(f"ALTER TABLE {wanted.name} RENAME TO {before.name}")
    for index in indexes:
        connection.exec_driver_sql(f"DROP INDEX {index}")
    wanted.create(connection)
    connection.execute(wanted.insert().from_select(kept, select(before)))
    connection.exec_driver_sql(f"DROP TABLE {before.name}")


def _create_indexes(connection: Connection, wanted: Table) -> None:
    """Create the indexes whose columns are not those of today."""
    found = inspect(connection).get_indexes(wanted.name)
    columns = {each["name"]: each["column_names"] for each in found}
    for index in wanted.indexes:
        if columns.get(index.name) != index.columns.keys():
            index.drop(connection, checkfirst=True)
            index.create(connection)
