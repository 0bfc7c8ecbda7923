"""Whether a database is a copy that is still being made, and of what."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, inspect, select, update

from briggs.storage.errors import StoreError
from briggs.storage.tables import copied_from, migrations, organizations
from briggs.types.completions import create_id, current_time_us

ID = "copy"


class Mark(NamedTuple):
    """What a copy says of itself, until a server uses it."""

    source: str
    """What tells the record that it is copied from apart from all others."""

    run: str
    """Which run of the command writes to it."""

    is_complete: bool


def identify(connection: Connection) -> str:
    """What tells this record apart from all others: when it was made, in Unix microseconds."""
    times = (
        select(func.min(table.c[name]))
        for table, name in ((migrations, "applied_at"), (organizations, "created_at"))
    )
    return "-".join(str(connection.scalar(each)) for each in times)


def find_mark(connection: Connection) -> Mark | None:
    """The mark of a copy. None for any other database, an empty one too."""
    return read_mark(connection) if inspect(connection).has_table(copied_from.name) else None


def read_mark(connection: Connection) -> Mark | None:
    """The mark of a copy, in a database that has the tables of today."""
    columns = copied_from.c
    row = connection.execute(select(columns.source, columns.run, columns.is_complete)).first()
    return None if row is None else Mark(*row)


def begin(connection: Connection, *, source: str) -> str:
    """Mark a database as a copy that is not complete. Returns the name of this run."""
    run = create_id()
    connection.execute(delete(copied_from))
    connection.execute(
        insert(copied_from).values(
            id=ID, source=source, run=run, is_complete=False, begun_at=current_time_us()
        )
    )
    return run


def claim(connection: Connection, *, run: str, is_complete: bool = False) -> bool:
    """Whether this run still is the one that writes, in a transaction that it then is for sure."""
    change = update(copied_from).where(copied_from.c.run == run).values(is_complete=is_complete)
    return connection.execute(change).rowcount == 1


def open_for_use(connection: Connection) -> None:
    """From now on a copy is a record of its own. Raises `StoreError` if it is not complete."""
    mark = read_mark(connection)
    if mark is None:
        return
    if not mark.is_complete:
        raise StoreError(
            "this database is a copy that is not complete: run `briggs store copy` again, until "
            "it says that all is there"
        )
    connection.execute(delete(copied_from))
