"""Keeps on record what the lake has to delete, until it has done so."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from briggs.storage import rows
from briggs.storage.database import database_of
from briggs.storage.tables import backfills, lake_deletions
from briggs.types.completions import Completion
from briggs.types.lake import LakeDeletion, LakeQuery

BEGUN = "lake"
"""The name of a row that says that there is a lake, or was one."""


def begin(connection: Connection) -> None:
    """Note that there is a lake from now on."""
    if not _has_begun(connection):
        connection.execute(backfills.insert().values(name=BEGUN, after_id=""))
        database_of(connection).remembered.pop(BEGUN, None)
        database_of(connection).note_change(connection)


def demand(connection: Connection, *, of: Sequence[Completion]) -> None:
    """Let the lake forget some completions of one organization, in the transaction that deletes or
    changes them.

    One that is only changed goes to the lake again.
    """
    if of:
        times = [each.created_at for each in of]
        demand_by_id(
            connection,
            [each.id for each in of],
            times=times,
            organization_id=of[0].organization_id,
        )


def demand_by_id(
    connection: Connection, ids: Sequence[str], *, times: Sequence[int], organization_id: str
) -> None:
    """As `demand`, for completions with these ids and times."""
    demand_all(
        connection,
        LakeQuery(
            organization_id=organization_id,
            ids=[*ids],
            # Only the files of these days need to be looked into.
            created_from=min(times),
            created_to=max(times) + 1,
        ),
    )


def demand_all(connection: Connection, query: LakeQuery) -> None:
    """Let the lake forget what a query selects."""
    if _has_begun(connection):
        deletion = LakeDeletion(organization_id=query.organization_id, query=query)
        connection.execute(
            lake_deletions.insert().values(rows.encode(deletion, table=lake_deletions))
        )


def _has_begun(connection: Connection) -> bool:
    remembered = database_of(connection).remembered
    if BEGUN not in remembered:
        row = select(backfills.c.name).where(backfills.c.name == BEGUN)
        remembered[BEGUN] = connection.scalar(row) is not None
    begun: bool = remembered[BEGUN]
    return begun
