"""Stores judges in versions, what they say of completions, and their runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    select,
    tuple_,
    update,
)

from briggs.storage import feedback as grades
from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.tables import feedback, judge_runs, judge_versions, judgements, judges
from briggs.types.completions import current_time_us
from briggs.types.errors import Conflict
from briggs.types.feedback import Feedback
from briggs.types.judges import FailureCount, Judge, JudgeCosts, Judgement, JudgeRun, JudgeVersion

PAGE_ROWS = 500


class Judges:
    """`store.judges`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, judge: Judge, version: JudgeVersion) -> None:
        """Store a judge. Raises `Conflict` if another one of the organization has its name."""
        await self._access.act(lambda connection: _create(connection, judge, version))

    async def retrieve(self, named: str, *, organization_id: str) -> Judge | None:
        """A judge by its id or its name. One that was deleted only by its id."""
        return await self._access.read(
            lambda connection: _find(connection, named, organization_id=organization_id)
        )

    async def list(
        self, *, organization_id: str, limit: int, offset: int = 0, task_id: str | None = None
    ) -> Sequence[Judge]:
        """The judges that were not deleted, the newest first."""
        columns = judges.c
        statement = (
            select(judges)
            .where(columns.organization_id == organization_id, columns.archived_at.is_(None))
            .order_by(columns.created_at.desc(), columns.id.desc())
            .limit(limit)
            .offset(offset)
        )
        if task_id is not None:
            statement = statement.where(columns.task_id == task_id)
        return await self._access.read(
            lambda connection: [rows.decode(row, Judge) for row in connection.execute(statement)]
        )

    async def list_watching(self) -> Sequence[Judge]:
        """The judges of all organizations that grade by themselves, the oldest of each first."""
        is_used = judges.c.archived_at.is_(None)
        statement = select(judges).where(is_used).order_by(judges.c.organization_id, judges.c.id)
        found = await self._access.read(
            lambda connection: [rows.decode(row, Judge) for row in connection.execute(statement)]
        )
        return [judge for judge in found if judge.watch is not None]

    async def update(self, judge: Judge, version: JudgeVersion | None) -> None:
        """Store a changed judge, with its new version if it has one. Raises `Conflict`."""
        await self._access.act(lambda connection: _update(connection, judge, version))

    async def list_versions(
        self, of: Judge, *, limit: int, offset: int = 0
    ) -> Sequence[JudgeVersion]:
        """The versions of a judge, oldest first."""
        columns = judge_versions.c
        statement = (
            select(judge_versions)
            .where(columns.organization_id == of.organization_id, columns.judge_id == of.id)
            .order_by(columns.version)
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(lambda connection: _read_versions(connection, statement))

    async def retrieve_version(self, of: Judge, version: int) -> JudgeVersion | None:
        """One version of a judge."""
        columns = judge_versions.c
        statement = select(judge_versions).where(
            columns.organization_id == of.organization_id,
            columns.judge_id == of.id,
            columns.version == version,
        )
        found = await self._access.read(lambda connection: _read_versions(connection, statement))
        return next(iter(found), None)

    async def list_newest_versions(self, of: Sequence[Judge]) -> Sequence[JudgeVersion]:
        """The newest version of each of some judges of one organization, in their order."""
        if not of:
            return ()
        columns = judge_versions.c
        statement = select(judge_versions).where(
            columns.organization_id == of[0].organization_id,
            tuple_(columns.judge_id, columns.version).in_(
                [(judge.id, judge.version) for judge in of]
            ),
        )
        found = await self._access.read(lambda connection: _read_versions(connection, statement))
        by_judge = {each.judge_id: each for each in found}
        return [by_judge[judge.id] for judge in of]

    async def find_judgement(
        self, version: JudgeVersion, *, completion_id: str
    ) -> Judgement | None:
        """What a version said of a completion."""
        statement = _select(version).where(judgements.c.completion_id == completion_id)
        return await self._access.read(lambda connection: _first(connection, statement))

    async def find_said(
        self, judge: Judge, *, version: int, completion_id: str
    ) -> Judgement | None:
        """What a version of a judge said of a completion; None if it said nothing."""
        columns = judgements.c
        statement = _SELECT.where(
            columns.organization_id == judge.organization_id,
            columns.judge_id == judge.id,
            columns.version == version,
            columns.completion_id == completion_id,
            columns.status == "finished",
        )
        return await self._access.read(lambda connection: _first(connection, statement))

    async def find_answered(self, version: JudgeVersion, *, asked: bytes) -> Judgement | None:
        """A judgement of the judge that was asked the same, of any version and completion."""
        columns = judgements.c
        statement = _SELECT.where(
            columns.organization_id == version.organization_id,
            columns.judge_id == version.judge_id,
            columns.asked == asked,
            columns.status == "finished",
        ).limit(1)
        return await self._access.read(lambda connection: _first(connection, statement))

    async def list_judgements(
        self, version: JudgeVersion, *, completion_ids: Sequence[str] | None = None
    ) -> Mapping[str, Judgement]:
        """What a version said, by completion; of all completions if none are named."""
        statement = _select(version)
        if completion_ids is not None:
            statement = statement.where(judgements.c.completion_id.in_(completion_ids))

        def read(connection: Connection) -> dict[str, Judgement]:
            found = map(_decode, connection.execute(statement))
            return {each.completion_id: each for each in found}

        return await self._access.read(read)

    async def list_page(
        self,
        version: JudgeVersion,
        *,
        limit: int,
        offset: int = 0,
        status: str | None = None,
    ) -> Sequence[Judgement]:
        """A page of what a version said, the newest completions first."""
        statement = (
            _select(version).order_by(judgements.c.completion_id.desc()).limit(limit).offset(offset)
        )
        if status is not None:
            statement = statement.where(judgements.c.status == status)
        return await self._access.read(
            lambda connection: [_decode(row) for row in connection.execute(statement)]
        )

    async def count_failures(self, judge: Judge, *, version: int) -> Sequence[FailureCount]:
        """How many judgements of a version failed for each reason, the most frequent first."""
        columns = judgements.c
        count, example = func.count(), func.max(columns.failure_reason)
        statement = (
            select(columns.failure, count.label("failed"), example.label("example"))
            .where(
                columns.organization_id == judge.organization_id,
                columns.judge_id == judge.id,
                columns.version == version,
                columns.status == "failed",
                columns.failure.is_not(None),
            )
            .group_by(columns.failure)
            .order_by(count.desc(), columns.failure)
        )
        return await self._access.read(
            lambda connection: [
                FailureCount(failure=row.failure, count=row.failed, example=row.example or "")
                for row in connection.execute(statement)
            ]
        )

    async def put(self, judgement: Judgement, *, given: Feedback | None = None) -> None:
        """Store a judgement in place of an earlier one of the same completion, with its feedback.

        Both or none are stored.
        """
        redacted = given and grades.redact(given, redactor=self._access.redactor)
        await self._access.act(lambda connection: _put(connection, judgement, redacted))

    async def measure_spent(self, judge: Judge, *, since: int) -> JudgeCosts:
        """What the judgements since then cost."""
        columns = judgements.c
        is_unpriced = and_(columns.status == "finished", columns.cost_usd.is_(None))
        statement = select(
            func.coalesce(func.sum(columns.cost_usd), 0.0).label("cost_usd"),
            func.coalesce(func.max(columns.cost_usd), 0.0).label("dearest_usd"),
            func.coalesce(func.sum(case((is_unpriced, 1), else_=0)), 0).label("unpriced"),
        ).where(
            columns.organization_id == judge.organization_id,
            columns.judge_id == judge.id,
            columns.updated_at >= since,
        )
        return await self._access.read(
            lambda connection: JudgeCosts(**connection.execute(statement).one()._mapping)
        )

    async def measure_mean_cost(self, version: JudgeVersion) -> float | None:
        """What a judgement of a version costs on average, in US dollars. None if none is known."""
        columns = judgements.c
        statement = select(func.avg(columns.cost_usd)).where(
            columns.organization_id == version.organization_id,
            columns.judge_id == version.judge_id,
            columns.version == version.version,
            columns.is_copy.is_(False),
            columns.cost_usd.is_not(None),
        )
        found = await self._access.read(lambda connection: connection.scalar(statement))
        return None if found is None else float(found)

    async def create_run(self, run: JudgeRun) -> None:
        """Store a new run."""
        row = rows.encode(run, table=judge_runs)
        await self._access.act(lambda connection: connection.execute(judge_runs.insert(), row))

    async def update_run(self, run: JudgeRun) -> bool:
        """Store how far a run is, unless it has ended or was stopped meanwhile."""
        return await self._access.act(lambda connection: _update_run(connection, run))

    async def retrieve_run(self, id: str, *, organization_id: str) -> JudgeRun | None:
        """One run."""
        statement = select(judge_runs).where(
            judge_runs.c.organization_id == organization_id, judge_runs.c.id == id
        )
        found = await self._access.read(lambda connection: _read_runs(connection, statement))
        return next(iter(found), None)

    async def list_runs(self, of: Judge, *, limit: int, offset: int = 0) -> Sequence[JudgeRun]:
        """The runs of a judge, the newest first."""
        columns = judge_runs.c
        statement = (
            select(judge_runs)
            .where(columns.organization_id == of.organization_id, columns.judge_id == of.id)
            .order_by(columns.created_at.desc(), columns.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(lambda connection: _read_runs(connection, statement))

    async def list_unfinished_runs(self) -> Sequence[JudgeRun]:
        """The runs of all organizations that a start must go on with, the oldest first."""
        statement = (
            select(judge_runs)
            .where(judge_runs.c.status == "running")
            .order_by(judge_runs.c.created_at)
        )
        return await self._access.read(lambda connection: _read_runs(connection, statement))


def forget(
    connection: Connection, *, completion_ids: Collection[str], organization_id: str
) -> None:
    """Delete the judgements of completions that are deleted."""
    each = [{"organization": organization_id, "completion": id} for id in completion_ids]
    connection.execute(_FORGET, each)


def _create(connection: Connection, judge: Judge, version: JudgeVersion) -> None:
    _check_name(connection, judge)
    connection.execute(judges.insert().values(rows.encode(judge, table=judges)))
    connection.execute(judge_versions.insert().values(rows.encode(version, table=judge_versions)))


def _update(connection: Connection, judge: Judge, version: JudgeVersion | None) -> None:
    if judge.archived_at is None:
        _check_name(connection, judge)
    if version is not None:
        newest = connection.scalar(
            select(func.max(judge_versions.c.version)).where(
                judge_versions.c.organization_id == judge.organization_id,
                judge_versions.c.judge_id == judge.id,
            )
        )
        if newest is None or version.version != newest + 1:
            raise Conflict(f"The judge '{judge.name}' has just been changed: look at it again.")
        row = rows.encode(version, table=judge_versions)
        connection.execute(judge_versions.insert().values(row))
    judge.updated_at = current_time_us()
    connection.execute(
        update(judges)
        .where(judges.c.organization_id == judge.organization_id, judges.c.id == judge.id)
        .values(rows.encode(judge, table=judges))
    )


def _read_versions(
    connection: Connection, statement: Select[tuple[Any, ...]]
) -> list[JudgeVersion]:
    return [rows.decode(row, JudgeVersion) for row in connection.execute(statement)]


def _check_name(connection: Connection, judge: Judge) -> None:
    found = _find(connection, judge.name, organization_id=judge.organization_id)
    if found is not None and found.id != judge.id:
        raise Conflict(f"There is already a judge '{judge.name}'.", param="name")


def _find(connection: Connection, named: str, *, organization_id: str) -> Judge | None:
    columns = judges.c
    is_open = and_(columns.name == named, columns.archived_at.is_(None))
    for condition in (columns.id == named, is_open):
        row = connection.execute(
            select(judges).where(columns.organization_id == organization_id, condition)
        ).first()
        if row is not None:
            return rows.decode(row, Judge)
    return None


def _put(connection: Connection, judgement: Judgement, given: Feedback | None) -> None:
    before = connection.scalar(
        select(judgements.c.feedback_id).where(*_is_row(judgements, judgement))
    )
    if given is not None:
        if before is not None:
            grades.delete(connection, before, organization_id=judgement.organization_id)
        grades.insert(connection, given, rows.encode(given, table=feedback))
        judgement.feedback_id = given.id
    judgement.updated_at = current_time_us()
    _replace(connection, judgements, rows.encode(judgement, table=judgements))


def _update_run(connection: Connection, run: JudgeRun) -> bool:
    run.updated_at = current_time_us()
    columns = judge_runs.c
    statement = (
        update(judge_runs)
        .where(
            columns.organization_id == run.organization_id,
            columns.id == run.id,
            columns.status == "running",
        )
        .values(rows.encode(run, table=judge_runs))
    )
    return connection.execute(statement).rowcount > 0


def _replace(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    ours = [column == row[column.name] for column in table.primary_key.columns]
    if not connection.execute(update(table).where(*ours).values(row)).rowcount:
        connection.execute(table.insert().values(row))


def _is_row(table: Table, of: Judgement) -> list[ColumnElement[bool]]:
    keys: list[Column[Any]] = list(table.primary_key.columns)
    return [column == getattr(of, column.name) for column in keys]


_SELECT = select(
    judgements, feedback.c.json_values.label("json_values"), feedback.c.comment.label("reason")
).outerjoin(
    feedback,
    and_(
        feedback.c.id == judgements.c.feedback_id,
        feedback.c.organization_id == judgements.c.organization_id,
    ),
)
_FORGET = judgements.delete().where(
    judgements.c.organization_id == bindparam("organization"),
    judgements.c.completion_id == bindparam("completion"),
)


def _select(version: JudgeVersion) -> Select[Any]:
    columns = judgements.c
    return _SELECT.where(
        columns.organization_id == version.organization_id,
        columns.judge_id == version.judge_id,
        columns.version == version.version,
    )


def _first(connection: Connection, statement: Select[Any]) -> Judgement | None:
    row = connection.execute(statement).first()
    return None if row is None else _decode(row)


def _decode(row: Row[Any]) -> Judgement:
    members = dict(row._mapping)
    if row.feedback_id is None or members["json_values"] is None:
        del members["json_values"], members["reason"]
    return Judgement(**{k: v for k, v in members.items() if k in Judgement.__struct_fields__})


def _read_runs(connection: Connection, statement: Select[Any]) -> list[JudgeRun]:
    return [rows.decode(row, JudgeRun) for row in connection.execute(statement)]
