"""Stores test runs, with their reports exactly as received."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Row, Update, select, update

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.tables import test_runs
from briggs.types.completions import current_time_us
from briggs.types.test_runs import TestRun

_HEAD = [column for column in test_runs.columns if column.name != "report"]


class TestRuns:
    """`store.test_runs`."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    async def create(self, run: TestRun) -> None:
        """Store a new run."""
        statement = test_runs.insert().values(rows.encode(run, table=test_runs))
        await self._access.act(lambda connection: connection.execute(statement).rowcount)

    async def retrieve(
        self, id: str, *, organization_id: str
    ) -> tuple[TestRun, bytes | None] | None:
        """One run, and its report if it has been received."""
        statement = select(test_runs).where(
            test_runs.c.id == id,
            test_runs.c.organization_id == organization_id,
        )
        row = await self._access.read(lambda connection: connection.execute(statement).first())
        if row is None:
            return None
        return _decode(row), None if row.report is None else self._bodies.expand(row.report)

    async def list(self, *, organization_id: str, limit: int, offset: int) -> Sequence[TestRun]:
        """A page of runs, newest first."""
        statement = (
            select(*_HEAD)
            .where(test_runs.c.organization_id == organization_id)
            .order_by(test_runs.c.created_at.desc(), test_runs.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(
            lambda connection: [_decode(row) for row in connection.execute(statement)]
        )

    async def takes_report(self, id: str, *, upload_hash: str) -> bool:
        """Whether a report for this run would be accepted."""
        return await self._access.read(
            lambda connection: _takes_report(connection, id, upload_hash=upload_hash)
        )

    async def report(self, id: str, report: bytes, *, upload_hash: str) -> bool:
        """Store a report, replacing an earlier one, if the sender has a valid upload URL."""
        now = current_time_us()
        frame = await asyncio.to_thread(self._bodies.compress, report)
        statement = (
            update(test_runs)
            .where(*_is_open(id, upload_hash))
            .values(report=frame, reported_at=now)
        )
        return await self._access.act(lambda connection: _report(connection, statement))


def _takes_report(connection: Connection, id: str, *, upload_hash: str) -> bool:
    statement = select(test_runs.c.id).where(*_is_open(id, upload_hash))
    return connection.execute(statement).first() is not None


def _report(connection: Connection, statement: Update) -> bool:
    return connection.execute(statement).rowcount > 0


def _is_open(id: str, upload_hash: str) -> Sequence[ColumnElement[bool]]:
    """Matches the run, if the sender knows its upload URL and the URL has not expired."""
    return (
        test_runs.c.id == id,
        test_runs.c.upload_hash == upload_hash,
        test_runs.c.upload_expires_at > current_time_us(),
    )


def _decode(row: Row[tuple[object, ...]]) -> TestRun:
    return rows.decode(row, TestRun)
