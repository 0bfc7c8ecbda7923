"""Counts again how often pieces of histories are used and what reviewers said, and mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Row, Select, func, select

from briggs.storage import feedback_sums
from briggs.storage.database import Database
from briggs.storage.histories import give_back
from briggs.storage.pieces import HEAD_BYTES, list_hashes, list_stored, select_users
from briggs.storage.store import open_database
from briggs.storage.tables import completions, feedback_tasks, organizations, pieces

COUNTED_AT_ONCE = 500_000
"""How many pieces are counted one by one in one pass."""

LOG_BYTES_MAX = 64 * 1024 * 1024
SUM_BITS = 128


class Streams(Protocol):
    """What reads the rows of a statement, few at a time."""

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        """The rows of a statement."""
        ...


class Miscount(NamedTuple):
    """A piece that is used more or less often than is noted of it."""

    hash: bytes
    noted: int
    uses: int


def find_miscounts(
    database: Streams, connection: Connection, *, organization_id: str
) -> Iterator[Miscount]:
    """The pieces whose uses are counted wrongly. All reads must see the same state.

    First the sums are compared, which takes no memory: of the hashes of all references, and of
    those of all pieces, as often as each is used. Only if they differ, each piece is counted.
    """
    used = sum(map(_weigh, _list_references(database, connection, organization_id)))
    noted = unused = count = 0
    with database.stream(connection, _select_uses(organization_id)) as rows:
        for row in rows:
            noted += row.uses * _weigh(row.hash)
            unused += row.uses <= 0
            count += 1
    if (used - noted) % 2**SUM_BITS == 0 and not unused:
        return
    parts = count // COUNTED_AT_ONCE + 1
    for part in range(parts):
        yield from _count_part(database, connection, organization_id, part=part, parts=parts)


def recount(database: Database) -> int:
    """Note of all pieces how often they are used, and delete those that are not.

    Returns how many were counted wrongly. No server may use an SQLite database meanwhile.
    """
    mended = 0
    with database.read() as connection:
        known = connection.scalars(select(organizations.c.id)).all()
        for organization_id in known:
            with database.snapshot(connection):
                found = [*find_miscounts(database, connection, organization_id=organization_id)]
            # Adding the difference is right, whatever others add meanwhile.
            too_many = Counter({each.hash: each.noted - each.uses for each in found})
            if too_many:
                with database.transaction(database.writer):
                    give_back(database.writer, too_many, organization_id=organization_id)
            mended += len(found)
    return mended


def recount_feedback(database: Database) -> int:
    """Sum up again what reviewers said to those tasks whose sums are wrong. Returns how many.

    No server may use an SQLite database meanwhile.
    """
    mended = 0
    with database.read() as connection:
        for owner in connection.scalars(select(organizations.c.id)).all():
            ours = feedback_tasks.c.organization_id == owner
            for task_id in connection.scalars(select(feedback_tasks.c.id).where(ours)).all():
                with database.snapshot(connection):
                    found = [*feedback_sums.find_wrong(connection, task_id, organization_id=owner)]
                if found:
                    _recount_task(database, task_id, organization_id=owner)
                    mended += 1
    return mended


def open_and_recount(folder: Path, *, address: str | None, password: str | None) -> tuple[int, int]:
    """`recount` and `recount_feedback` of the record of a data folder, or at an address, whose
    tables are as today's.
    """
    database = open_database(
        folder,
        address=address,
        password=password,
        durability="strict",
        log_bytes_max=LOG_BYTES_MAX,
    )
    try:
        return recount(database), recount_feedback(database)
    finally:
        database.close()


def _recount_task(database: Database, task_id: str, *, organization_id: str) -> None:
    with database.transaction(database.writer):
        feedback_sums.forget(database.writer, task_id, organization_id=organization_id)
        while feedback_sums.count_some(database.writer):
            pass


def _count_part(
    database: Streams, connection: Connection, organization_id: str, *, part: int, parts: int
) -> Iterator[Miscount]:
    uses = Counter(
        hash
        for hash in _list_references(database, connection, organization_id)
        if _weigh(hash) % parts == part
    )
    with database.stream(connection, _select_uses(organization_id)) as rows:
        for row in rows:
            if _weigh(row.hash) % parts == part:
                real = uses[row.hash]
                if row.uses != real or not real:
                    yield Miscount(row.hash, row.uses, real)


def _list_references(
    database: Streams, connection: Connection, organization_id: str
) -> Iterator[bytes]:
    """The hash of each piece for each time that a body or another piece refers to it."""
    users = select_users().where(completions.c.organization_id == organization_id)
    with database.stream(connection, users) as rows:
        for row in rows:
            for stored in list_stored(row):
                yield from list_hashes(stored)
    head = func.substr(pieces.c.content, 1, HEAD_BYTES, type_=pieces.c.content.type)
    ours = select(head).where(pieces.c.organization_id == organization_id)
    with database.stream(connection, ours) as rows:
        for [stored] in rows:
            yield from list_hashes(stored)


def _select_uses(organization_id: str) -> Select[Any]:
    ours = pieces.c.organization_id == organization_id
    return select(pieces.c.hash, pieces.c.uses).where(ours)


def _weigh(hash: bytes) -> int:
    return int.from_bytes(hash[: SUM_BITS // 8])
