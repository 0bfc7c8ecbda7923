"""Stores the watches of drift, their rounds, and the changes that were found."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.tables import drift_changes, drift_rounds, drift_watches
from briggs.types.drift import ROUNDS_KEPT, DriftChange, DriftRound, DriftWatch


class Drift:
    """`store.drift`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(self, *, organization_id: str | None) -> Sequence[DriftWatch]:
        """The watches of an organization, the oldest first. None for those of all."""
        statement = select(drift_watches).order_by(
            drift_watches.c.created_at, drift_watches.c.organization_id, drift_watches.c.id
        )
        if organization_id is not None:
            statement = statement.where(drift_watches.c.organization_id == organization_id)
        return await self._access.read(
            lambda connection: [
                rows.decode(row, DriftWatch) for row in connection.execute(statement)
            ]
        )

    async def find(self, named: str, *, organization_id: str) -> DriftWatch | None:
        """A watch by its id, or by its target. Of two, the one that asks probes."""
        columns = drift_watches.c
        statement = (
            select(drift_watches)
            .where(
                columns.organization_id == organization_id,
                (columns.id == named) | (columns.target == named),
            )
            .order_by(columns.source)
        )
        row = await self._access.read(lambda connection: connection.execute(statement).first())
        return None if row is None else rows.decode(row, DriftWatch)

    async def put(self, watch: DriftWatch) -> None:
        """Create a watch, or replace the one with its id."""
        await self._access.act(lambda connection: _put(connection, watch))

    async def delete(self, watch: DriftWatch) -> None:
        """Delete a watch for good, with its rounds and changes. The calls stay on record."""
        await self._access.act(lambda connection: _delete(connection, watch))

    async def add(self, one: DriftRound, *, change: DriftChange | None = None) -> None:
        """Store a round and the change that it shows, unless its watch was deleted meanwhile."""
        await self._access.act(lambda connection: _add(connection, one, change))

    async def list_rounds(
        self, watch: DriftWatch, *, limit: int, since: int = 0
    ) -> Sequence[DriftRound]:
        """The newest rounds of a watch from a time on, the oldest of them first."""
        columns = drift_rounds.c
        statement = (
            select(drift_rounds)
            .where(
                columns.organization_id == watch.organization_id,
                columns.watch_id == watch.id,
                columns.at >= since,
            )
            .order_by(columns.at.desc())
            .limit(limit)
        )
        return await self._access.read(
            lambda connection: [
                rows.decode(row, DriftRound) for row in connection.execute(statement)
            ][::-1]
        )

    async def list_changes(
        self, watch: DriftWatch, *, limit: int, offset: int = 0
    ) -> builtins.list[DriftChange]:
        """The changes of a watch, the newest first."""
        columns = drift_changes.c
        statement = (
            select(drift_changes)
            .where(columns.organization_id == watch.organization_id, columns.watch_id == watch.id)
            .order_by(columns.at.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(
            lambda connection: [
                rows.decode(row, DriftChange) for row in connection.execute(statement)
            ]
        )

    async def count_changes(
        self, *, organization_id: str, since: int, target: str | None = None
    ) -> int:
        """How many changes were found since a time, in Unix microseconds."""
        statement = (
            select(func.count())
            .select_from(drift_changes)
            .where(drift_changes.c.organization_id == organization_id, drift_changes.c.at >= since)
        )
        if target is not None:
            watches = select(drift_watches.c.id).where(
                drift_watches.c.organization_id == organization_id,
                drift_watches.c.target == target,
            )
            statement = statement.where(drift_changes.c.watch_id.in_(watches))
        return await self._access.read(
            lambda connection: int(connection.execute(statement).scalar_one())
        )


def _put(connection: Connection, watch: DriftWatch) -> None:
    columns = drift_watches.c
    connection.execute(
        delete(drift_watches).where(
            columns.organization_id == watch.organization_id, columns.id == watch.id
        )
    )
    connection.execute(drift_watches.insert().values(rows.encode(watch, table=drift_watches)))


def _delete(connection: Connection, watch: DriftWatch) -> None:
    for table, id in (
        (drift_rounds, drift_rounds.c.watch_id),
        (drift_changes, drift_changes.c.watch_id),
        (drift_watches, drift_watches.c.id),
    ):
        ours = table.c.organization_id == watch.organization_id
        connection.execute(delete(table).where(ours, id == watch.id))


def _add(connection: Connection, one: DriftRound, change: DriftChange | None) -> None:
    watches, columns = drift_watches.c, drift_rounds.c
    ours = (watches.organization_id == one.organization_id, watches.id == one.watch_id)
    if connection.execute(select(watches.id).where(*ours)).first() is None:
        return
    connection.execute(drift_rounds.insert().values(rows.encode(one, table=drift_rounds)))
    if change is not None:
        connection.execute(drift_changes.insert().values(rows.encode(change, table=drift_changes)))
    of_watch = (columns.organization_id == one.organization_id, columns.watch_id == one.watch_id)
    newest = select(columns.at).where(*of_watch).order_by(columns.at.desc())
    last_forgotten = newest.limit(1).offset(ROUNDS_KEPT)
    last = connection.execute(last_forgotten).scalar()
    if last is not None:
        connection.execute(delete(drift_rounds).where(*of_watch, columns.at <= last))
