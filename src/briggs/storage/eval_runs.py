"""Stores runs of evals, their answers and their scores."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    exists,
    func,
    select,
    tuple_,
    update,
)

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.tables import IS_ANSWERED, completions, eval_answers, eval_runs
from briggs.types.completions import current_time_us
from briggs.types.evals import (
    INTERRUPTED,
    AnswerPlace,
    EvalAnswer,
    EvalRun,
    EvalRunStatus,
    RunProgress,
    Score,
)

PAGE_ROWS = 500


class EvalRunStore:
    """`store.eval_runs`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, run: EvalRun, *, running_max: int) -> EvalRun | None:
        """Store a run, or return the running one that asks and scores the same.

        None if the organization has `running_max` running ones already.
        """
        return await self._access.act(
            lambda connection: _create(connection, run, running_max=running_max)
        )

    async def retrieve(self, id: str, *, organization_id: str) -> EvalRun | None:
        """One run."""
        statement = select(eval_runs).where(_is_run(id, organization_id))
        return await self._access.read(
            lambda connection: next(_decode(connection.execute(statement)), None)
        )

    async def list(self, *, organization_id: str, limit: int, offset: int) -> Sequence[EvalRun]:
        """A page of runs, newest first."""
        statement = (
            select(eval_runs)
            .where(eval_runs.c.organization_id == organization_id)
            .order_by(eval_runs.c.created_at.desc(), eval_runs.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(lambda connection: [*_decode(connection.execute(statement))])

    async def list_running(self) -> Sequence[EvalRun]:
        """The runs of all organizations that a process has not finished."""
        statement = select(eval_runs).where(eval_runs.c.status == "running")
        return await self._access.read(lambda connection: [*_decode(connection.execute(statement))])

    async def end(self, run: EvalRun, status: EvalRunStatus, *, failure: str = "") -> None:
        """Note that a run is not running any more."""
        statement = (
            update(eval_runs)
            .where(_is_run(run.id, run.organization_id), eval_runs.c.status == "running")
            .values(status=status, failure=failure, finished_at=current_time_us())
        )
        await self._access.act(lambda connection: connection.execute(statement).rowcount)

    async def resume(self, run: EvalRun) -> None:
        """Note that a run is running again with its `concurrency`, and forget failed answers.

        Those that were interrupted and whose calls were answered all the same count as asked.
        """
        await self._access.act(lambda connection: _resume(connection, run))

    async def measure(self, run: EvalRun) -> RunProgress:
        """How far a run is."""
        return await self._access.read(lambda connection: _measure(connection, run))

    async def list_places(self, run: EvalRun) -> set[AnswerPlace]:
        """The answers of a run that are there, whatever became of them."""
        columns = eval_answers.c
        statement = select(columns.sample, columns.target, columns.repeat).where(_is_of(run))
        return await self._access.read(
            lambda connection: {(row[0], row[1], row[2]) for row in connection.execute(statement)}
        )

    async def list_asked(self, run: EvalRun) -> Sequence[EvalAnswer]:
        """The answers of a run that were asked for, and of which nothing more is known."""
        statement = select(eval_answers).where(_is_of(run), eval_answers.c.status == "asked")
        return await self._access.read(_reader(statement))

    async def retrieve_answer(self, run: EvalRun, place: AnswerPlace) -> EvalAnswer | None:
        """What is known of one answer."""
        statement = select(eval_answers).where(_is_at(run, place))
        found = await self._access.read(_reader(statement))
        return found[0] if found else None

    async def claim(self, answer: EvalAnswer) -> bool:
        """Store an answer unless its place is taken. Returns whether it was free.

        Of several processes that want to ask the same, only one claims it.
        """
        return await self._access.act(lambda connection: _claim(connection, answer))

    async def release(self, answer: EvalAnswer) -> None:
        """Free the place of an answer that was claimed and not asked."""
        await self._access.act(lambda connection: _free(connection, answer))

    async def write(self, answer: EvalAnswer) -> None:
        """Store what is known of an answer, in place of what was."""
        await self._access.act(lambda connection: _write(connection, answer))

    async def find_answered(self, request_hash: str, *, organization_id: str) -> EvalAnswer | None:
        """An answer of any run to a request with this hash."""
        columns = eval_answers.c
        statement = (
            select(eval_answers)
            .where(
                columns.organization_id == organization_id,
                columns.request_hash == request_hash,
                IS_ANSWERED,
            )
            .limit(1)
        )

        found = await self._access.read(_reader(statement))
        return found[0] if found else None

    async def count_answered(self, hashes: Sequence[str], *, organization_id: str) -> int:
        """How many of these requests have an answer."""
        columns = eval_answers.c
        found = 0
        for begin in range(0, len(hashes), PAGE_ROWS):
            some = columns.request_hash.in_(hashes[begin : begin + PAGE_ROWS])
            statement = select(func.count(columns.request_hash.distinct())).where(
                columns.organization_id == organization_id, IS_ANSWERED, some
            )
            found += await self._access.read(_counter(statement))
        return found

    async def iterate_answers(self, run: EvalRun) -> AsyncIterator[Sequence[EvalAnswer]]:
        """All answers of a run by sample, target and repeat, page by page."""
        columns = eval_answers.c
        place = tuple_(columns.sample, columns.target, columns.repeat)
        statement = page = (
            select(eval_answers)
            .where(_is_of(run))
            .order_by(columns.sample, columns.target, columns.repeat)
            .limit(PAGE_ROWS)
        )
        while found := await self._access.read(_reader(page)):
            yield found
            last = found[-1]
            page = statement.where(place > (last.sample, last.target, last.repeat))

    async def add_scores(self, run: EvalRun, scores: Mapping[AnswerPlace, Sequence[Score]]) -> int:
        """Add scores to answers, in place of those of the same scorers. Returns to how many."""
        return await self._access.act(lambda connection: _add_scores(connection, run, scores))

    async def delete(self, run: EvalRun) -> None:
        """Delete a run with its answers. Its completions stay on record."""
        await self._access.act(lambda connection: _delete(connection, run))


def _is_run(id: str, organization_id: str) -> ColumnElement[bool]:
    return and_(eval_runs.c.organization_id == organization_id, eval_runs.c.id == id)


def _is_of(run: EvalRun) -> ColumnElement[bool]:
    return _is_of_run(run.id, run.organization_id)


def _is_of_run(run_id: str, organization_id: str) -> ColumnElement[bool]:
    columns = eval_answers.c
    return and_(columns.organization_id == organization_id, columns.run_id == run_id)


def _is_at(run: EvalRun, place: AnswerPlace) -> ColumnElement[bool]:
    return and_(_is_of(run), _is_place(place))


def _is_same(answer: EvalAnswer) -> ColumnElement[bool]:
    of_run = _is_of_run(answer.run_id, answer.organization_id)
    return and_(of_run, _is_place(answer.place))


def _is_place(place: AnswerPlace) -> ColumnElement[bool]:
    columns = eval_answers.c
    return and_(
        columns.sample == place[0],
        columns.target == place[1],
        columns.repeat == place[2],
    )


def _decode(found: Iterable[Any]) -> Iterator[EvalRun]:
    return (rows.decode(row, EvalRun) for row in found)


def _reader(statement: Select[Any]) -> Callable[[Connection], list[EvalAnswer]]:
    return lambda connection: [
        rows.decode(row, EvalAnswer) for row in connection.execute(statement)
    ]


def _counter(statement: Select[Any]) -> Callable[[Connection], int]:
    return lambda connection: connection.scalar(statement) or 0


def _create(connection: Connection, run: EvalRun, *, running_max: int) -> EvalRun | None:
    columns = eval_runs.c
    running = (columns.organization_id == run.organization_id, columns.status == "running")
    same = select(eval_runs).where(*running, columns.plan_hash == run.plan_hash)
    row = connection.execute(same).first()
    if row is not None:
        return rows.decode(row, EvalRun)
    count = connection.scalar(select(func.count()).select_from(eval_runs).where(*running)) or 0
    if count >= running_max:
        return None
    connection.execute(eval_runs.insert().values(rows.encode(run, table=eval_runs)))
    return run


def _resume(connection: Connection, run: EvalRun) -> None:
    connection.execute(
        update(eval_runs)
        .where(_is_run(run.id, run.organization_id))
        .values(status="running", failure="", finished_at=None, concurrency=run.concurrency)
    )
    failed = (_is_of(run), eval_answers.c.status == "failed")
    answered = exists().where(
        completions.c.organization_id == run.organization_id,
        completions.c.id == eval_answers.c.completion_id,
        completions.c.status == "finished",
    )
    was_interrupted = (*failed, eval_answers.c.failure_kind == INTERRUPTED, answered)
    asked: dict[str, Any] = {"status": "asked", "failure_kind": None, "failure_reason": None}
    connection.execute(update(eval_answers).where(*was_interrupted).values(asked))
    connection.execute(eval_answers.delete().where(*failed))


def _measure(connection: Connection, run: EvalRun) -> RunProgress:
    columns = eval_answers.c
    counts = select(
        columns.status,
        columns.is_cached,
        func.count().label("answers"),
        func.count(columns.cost_usd).label("priced"),
        func.sum(columns.cost_usd).label("cost_usd"),
    )
    progress = RunProgress(status=run.status, total=run.total, failure=run.failure)
    for row in connection.execute(
        counts.where(_is_of(run)).group_by(columns.status, columns.is_cached)
    ):
        if row.status == "failed":
            progress.failed += row.answers
        elif row.status == "answered":
            progress.answered += row.answers
            if row.is_cached:
                progress.cached += row.answers
            else:
                progress.unpriced += row.answers - row.priced
                progress.cost_usd += row.cost_usd or 0.0
    return progress


def _claim(connection: Connection, answer: EvalAnswer) -> bool:
    taken = select(eval_answers.c.sample).where(_is_same(answer))
    if connection.execute(taken).first() is not None:
        return False
    connection.execute(eval_answers.insert().values(rows.encode(answer, table=eval_answers)))
    return True


def _free(connection: Connection, answer: EvalAnswer) -> int:
    return connection.execute(eval_answers.delete().where(_is_same(answer))).rowcount


def _write(connection: Connection, answer: EvalAnswer) -> None:
    _free(connection, answer)
    connection.execute(eval_answers.insert().values(rows.encode(answer, table=eval_answers)))


def _add_scores(
    connection: Connection, run: EvalRun, scores: Mapping[AnswerPlace, Sequence[Score]]
) -> int:
    added = 0
    for place, given in scores.items():
        here = _is_at(run, place)
        row = connection.execute(
            select(eval_answers.c.scores).where(here, eval_answers.c.status == "answered")
        ).first()
        if row is None:
            continue
        names = {each.scorer for each in given}
        kept = [each for each in row.scores if each.scorer not in names]
        connection.execute(update(eval_answers).where(here).values(scores=[*kept, *given]))
        added += 1
    return added


def _delete(connection: Connection, run: EvalRun) -> builtins.list[int]:
    return [
        connection.execute(eval_answers.delete().where(_is_of(run))).rowcount,
        connection.execute(eval_runs.delete().where(_is_run(run.id, run.organization_id))).rowcount,
    ]
