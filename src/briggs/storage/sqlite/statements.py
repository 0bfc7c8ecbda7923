"""The statements that must be fast, in SQLite's own words."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Table


def insert_sql(
    table: Table, *, columns: Sequence[str], kept: Collection[str], rows: int = 1
) -> str:
    """The insert of completions. It accepts the start and the end in any order.

    An existing row is overwritten only while it is `started`, and only by a settled one. The
    columns in `kept` keep their first values. A row that may not be written changes nothing,
    and so is missing from the count of changes.
    """
    quoted = [f'"{name}"' for name in columns]
    updates = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in kept)
    values = f"({', '.join('?' * len(columns))})"
    return (  # Every name in it is our own.
        f"INSERT INTO {table.name} ({', '.join(quoted)}) "  # noqa: S608
        f"VALUES {', '.join([values] * rows)} "
        f"ON CONFLICT (id) DO UPDATE SET {updates} "
        f"WHERE {table.name}.status = 'started' AND excluded.status <> 'started'"
    )


def insert_missing_sql(table: Table) -> str:
    """The insert of a row that may exist already."""
    values = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} VALUES ({values}) ON CONFLICT DO NOTHING"  # noqa: S608


# A row that shrinks leaves a hole that SQLite does not close. So the row moves to the end, next to
# its neighbours, and frees a whole page that can be used again.
COMPRESS_SQL = """
    UPDATE completions
    SET rowid = (SELECT max(rowid) FROM completions) + 1,
        encoding = 1, request = ?, response = ?, received = ?
    WHERE id = ? AND encoding = 0
"""
