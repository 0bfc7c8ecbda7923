"""Gives the lake what is old, and deletes what has arrived there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, exists, select, tuple_

from briggs.storage import lake_deletions, rows
from briggs.storage.access import Access
from briggs.storage.batches import cut
from briggs.storage.bodies import Bodies
from briggs.storage.completions import select_many
from briggs.storage.deletion import delete_completions
from briggs.storage.pieces import find_pieces
from briggs.storage.records import BODY_BYTES, SELECT, decode
from briggs.storage.tables import completions, feedback_completions
from briggs.storage.tables import lake_deletions as deletions_table
from briggs.types.completions import Completion
from briggs.types.lake import LakeDeletion, LakeQuery

TAKEN_AT_ONCE = 4
"""A call may have to wait while so many completions are compared and deleted."""
TAKEN_BYTES = 256 * 1024

ERASED_WITHIN_S = 3600.0
"""What has gone to the lake was not to be forgotten, so its bytes may stay a while in the files."""


class OldCompletion(NamedTuple):
    """A completion that is old enough for the lake."""

    created_at: int
    id: str
    bytes: int
    """What is stored of its bodies."""
    is_graded: bool


class Taken(NamedTuple):
    """What became of completions that are in the lake."""

    deleted: int
    changed: int
    """How many have changed since they went there. They stay, and go there again."""


class LakeRecords:
    """`store.lake`."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    async def begin(self) -> None:
        """Note that there is a lake, so that deletions reach it."""
        await self._access.act(lake_deletions.begin)

    async def list_old(
        self, *, organization_id: str, after: tuple[int, str], until_us: int, limit: int
    ) -> Sequence[OldCompletion]:
        """Completions that have ended, by time and id, after a place and before a time."""
        return await self._access.read(
            lambda connection: _list_old(
                connection,
                organization_id=organization_id,
                after=after,
                until_us=until_us,
                limit=limit,
            )
        )

    async def take_out(
        self,
        of: Sequence[OldCompletion],
        *,
        organization_id: str,
        is_same: Callable[[Completion], bool],
    ) -> Taken:
        """Delete completions that are in the lake, if `is_same` says so of what they are now.

        One that has changed since leaves the lake. One that was graded since stays.
        """
        deleted = changed = 0
        for some in cut(
            of, bytes_of=lambda each: each.bytes, bytes_max=TAKEN_BYTES, rows_max=TAKEN_AT_ONCE
        ):
            taken = await self._access.act(
                lambda connection, some=some: _take_out(  # type: ignore[misc]
                    connection,
                    [each.id for each in some],
                    organization_id=organization_id,
                    is_same=is_same,
                    bodies=self._bodies,
                )
            )
            deleted += taken.deleted
            changed += taken.changed
        return Taken(deleted, changed)

    async def demand(self, query: LakeQuery) -> None:
        """Let the lake forget what a query selects."""
        await self._access.act(lambda connection: lake_deletions.demand_all(connection, query))

    async def list_deletions(self, *, organization_id: str, limit: int) -> Sequence[LakeDeletion]:
        """What an organization's part of the lake has to delete, the oldest first."""
        statement = (
            select(deletions_table)
            .where(deletions_table.c.organization_id == organization_id)
            .order_by(deletions_table.c.id)
            .limit(limit)
        )
        return await self._access.read(
            lambda connection: [
                rows.decode(row, LakeDeletion) for row in connection.execute(statement)
            ]
        )

    async def list_deleting(self) -> Sequence[str]:
        """The organizations with something to delete. They may be deleted themselves."""
        return await self._access.read(_list_deleting)

    async def forget_deletions(self, done: Sequence[LakeDeletion]) -> None:
        """Forget what the lake has deleted."""
        keys = [(each.organization_id, each.id) for each in done]
        columns = deletions_table.c
        owner = {organization_id for organization_id, _ in keys}
        assert len(owner) == 1, "of one organization"
        statement = delete(deletions_table).where(
            columns.organization_id == keys[0][0], columns.id.in_([id for _, id in keys])
        )
        await self._access.act(lambda connection: connection.execute(statement))


def _list_old(
    connection: Connection,
    *,
    organization_id: str,
    after: tuple[int, str],
    until_us: int,
    limit: int,
) -> list[OldCompletion]:
    statement = (
        select(_COLUMNS.created_at, _COLUMNS.id, BODY_BYTES, _IS_GRADED)
        .where(
            _COLUMNS.organization_id == organization_id,
            _COLUMNS.created_at >= after[0],
            tuple_(_COLUMNS.created_at, _COLUMNS.id) > after,
            _COLUMNS.created_at < until_us,
            _COLUMNS.status != "started",
        )
        .order_by(_COLUMNS.created_at, _COLUMNS.id)
        .limit(limit)
    )
    return [OldCompletion(*row) for row in connection.execute(statement)]


def _list_deleting(connection: Connection) -> Sequence[str]:
    statement = select(deletions_table.c.organization_id).distinct()
    return connection.scalars(statement).all()


def _take_out(
    connection: Connection,
    ids: Sequence[str],
    *,
    organization_id: str,
    is_same: Callable[[Completion], bool],
    bodies: Bodies,
) -> Taken:
    ungraded = SELECT.where(~_IS_GRADED)
    found = connection.execute(select_many(ungraded, ids=ids, organization_id=organization_id))
    stored: Sequence[Any] = found.all()
    pieces = find_pieces(connection, stored, bodies=bodies)
    read = [decode(row, bodies=pieces) for row in stored]
    same = [each for each in read if is_same(each)]
    changed = [each for each in read if each not in same]
    delete_completions(connection, found=same, erased_within_s=ERASED_WITHIN_S, stays_in_lake=True)
    lake_deletions.demand(connection, of=changed)
    return Taken(len(same), len(changed))


_COLUMNS = completions.c
_IS_GRADED = exists().where(
    feedback_completions.c.organization_id == _COLUMNS.organization_id,
    feedback_completions.c.completion_id == _COLUMNS.id,
)
