"""Keeps `completions` in partitions by time, of which each can be dropped as a whole.

Ids sort by the time at which they were made, so a partition is a range of ids. What is in no range,
such as the ids that clients make, is in the rest. So every row finds its partition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import psycopg
from sqlalchemy import ColumnElement, Connection, MetaData, Table, select, text

from briggs.storage.database import Partition
from briggs.storage.errors import Busy
from briggs.storage.postgres.connections import driver, run
from briggs.storage.tables import completions
from briggs.types.completions import create_first_id

LOCKED_WITHIN_MS = 2_000
"""A reader that takes long is not waited for, because everybody else would wait behind it."""

TAKEN = "taken_"
_NAME = re.compile(r"completions_(\d{8})_(\d{8})")


def split(connection: Connection, whole: Table) -> None:
    """Create `completions` with its rest, or make the table of an older version that rest.

    No row moves and no index is built: the table gets another name, and another table above it.
    """
    name = whole.name
    found = connection.execute(_KIND, {"table": name}).scalar()
    if found == "p":
        return
    rest = f"{name}_rest"
    if found is None:
        whole.create(connection)
        run(driver(connection), f"CREATE TABLE {rest} PARTITION OF {name} DEFAULT")
        return
    for index in connection.scalars(_INDEXES, {"table": name}).all():
        run(driver(connection), f"ALTER INDEX {index} RENAME TO rest_{index}")
    run(driver(connection), f"ALTER TABLE {name} RENAME TO {rest}")
    whole.create(connection)
    run(driver(connection), f"ALTER TABLE {name} ATTACH PARTITION {rest} DEFAULT")


class PostgresPartitions:
    """`database.partitions`."""

    def list(self, connection: Connection) -> Sequence[Partition]:
        names = connection.scalars(_PARTS, {"table": completions.name}).all()
        found = [_NAME.fullmatch(name) for name in names]
        return sorted(Partition(_read(each[1]), _read(each[2])) for each in found if each)

    def make(self, connection: Connection, *, begin: int, days: int, count: int) -> None:
        """What is in the rest already, from clocks that are ahead, is moved.

        The rest is read once, because no row of it may belong to a new partition. It is locked
        meanwhile.
        """
        first = datetime.fromtimestamp(begin / 1_000_000, UTC).date()
        bounds = [first + timedelta(days=days * each) for each in range(count + 1)]
        low, high = _bound(bounds[0]), _bound(bounds[-1])
        _lock(connection)
        inner = driver(connection)
        run(
            inner,
            f"""
            CREATE TABLE completions_moving (LIKE completions);
            WITH moved AS (
                DELETE FROM completions WHERE id >= '{low}' AND id < '{high}' RETURNING *
            ) INSERT INTO completions_moving SELECT * FROM moved;
            ALTER TABLE completions_rest ADD CONSTRAINT none_ahead
                CHECK (id < '{low}' OR id >= '{high}')
            """,  # noqa: S608
        )
        for before, after in pairwise(bounds):
            run(
                inner,
                f"CREATE TABLE {_name(before, after)} PARTITION OF completions "
                f"FOR VALUES FROM ('{_bound(before)}') TO ('{_bound(after)}')",
            )
        run(
            inner,
            """
            ALTER TABLE completions_rest DROP CONSTRAINT none_ahead;
            INSERT INTO completions SELECT * FROM completions_moving;
            DROP TABLE completions_moving
            """,
        )

    def take(
        self,
        connection: Connection,
        partition: Partition,
        *,
        kept: Callable[[Table], ColumnElement[bool]],
    ) -> None:
        _lock(connection)
        name = _name(_day(partition.begin), _day(partition.end))
        taken = _describe(TAKEN + name)
        run(
            driver(connection),
            f"""
            ALTER TABLE completions DETACH PARTITION {name};
            ALTER TABLE {name} RENAME TO {taken.name}
            """,
        )
        stay = select(taken).where(kept(taken))
        connection.execute(completions.insert().from_select([*taken.c.keys()], stay))
        connection.execute(taken.delete().where(kept(taken)))

    def find_taken(self, connection: Connection) -> Table | None:
        name = connection.scalars(_TAKEN).first()
        return None if name is None else _describe(name)

    def drop_taken(self, connection: Connection, taken: Table) -> None:
        run(driver(connection), f"DROP TABLE {taken.name}")


def _lock(connection: Connection) -> None:
    inner = driver(connection)
    run(inner, f"SET LOCAL lock_timeout = {LOCKED_WITHIN_MS}")
    try:
        run(inner, "LOCK TABLE completions IN ACCESS EXCLUSIVE MODE")
    except psycopg.errors.LockNotAvailable as error:
        raise Busy("a statement on completions takes long") from error


def _describe(name: str) -> Table:
    return completions.to_metadata(MetaData(), name=name)


def _name(begin: date, end: date) -> str:
    return f"completions_{begin:%Y%m%d}_{end:%Y%m%d}"


def _read(day: str) -> int:
    at = datetime.combine(datetime.strptime(day, "%Y%m%d").date(), time(), UTC)
    return round(at.timestamp()) * 1_000_000


def _day(at: int) -> date:
    return datetime.fromtimestamp(at / 1_000_000, UTC).date()


def _bound(day: date) -> str:
    return create_first_id(round(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000)


_KIND = text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(:table)")
_INDEXES = text(
    "SELECT index.relname::text FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid "
    "WHERE indrelid = to_regclass(:table)"
)
_PARTS = text(
    "SELECT relname::text FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid "
    "WHERE inhparent = to_regclass(:table)"
)
_TAKEN = text(
    "SELECT relname::text FROM pg_class WHERE relkind = 'r' "
    r"AND relname LIKE 'taken\_completions\_%' AND pg_table_is_visible(oid) ORDER BY 1"
)
