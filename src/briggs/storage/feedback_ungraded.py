"""Lists the completions in any queue that nobody has graded, the newest first."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Sequence
from itertools import groupby, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select

from briggs.storage import rows
from briggs.storage.feedback_ahead import IS_GRADABLE, query_record
from briggs.storage.queries import select_page
from briggs.storage.tables import (
    IS_OPEN,
    completions,
    feedback_completions,
    feedback_queue,
    feedback_tasks,
)
from briggs.types.feedback import FeedbackTask

_QUEUE = feedback_queue.c
_COLUMNS = completions.c
_TASKS = feedback_tasks.c


def list_ungraded(
    connection: Connection, *, organization_id: str, limit: int, offset: int
) -> Sequence[str]:
    """The ids. Each queue is read in order, only as far as the page goes: what comes after so many
    of one queue comes after so many of all.

    A queue that is not filled yet is read from the record.
    """
    ours = select(feedback_tasks).where(
        _TASKS.organization_id == organization_id,
        _TASKS.archived_at.is_(None),
        _TASKS.kind == "grade",
    )
    queues = [
        _read(
            connection,
            _select(
                rows.decode(row, FeedbackTask),
                is_filled=row.fill_created_at is None,
                count=offset + limit,
            ),
        )
        for row in connection.execute(ours).all()
    ]
    try:
        # Tasks may share completions.
        places = (place for place, _ in groupby(heapq.merge(*queues, reverse=True)))
        return [id for _, id in islice(places, offset, offset + limit)]
    finally:
        for each in queues:
            each.close()


def _read(connection: Connection, statement: Select[Any]) -> Generator[tuple[int, str]]:
    with connection.execute(statement) as found:
        yield from (tuple(row) for row in found)


def _select(task: FeedbackTask, *, is_filled: bool, count: int) -> Select[Any]:
    """When the ungraded completions of a task were created, and their ids, the newest first."""
    if is_filled:
        return (
            select(_QUEUE.created_at, _QUEUE.completion_id)
            .where(
                *(_QUEUE.organization_id == task.organization_id, _QUEUE.task_id == task.id),
                *(IS_OPEN, _QUEUE.reviews == 0),
                _is_ungraded(_QUEUE.organization_id, _QUEUE.completion_id),
            )
            .order_by(_QUEUE.created_at.desc(), _QUEUE.completion_id.desc())
            .limit(count)
        )
    return (
        select_page(query_record(task), after=None, limit=count)
        .with_only_columns(_COLUMNS.created_at, _COLUMNS.id)
        .where(*IS_GRADABLE, _is_ungraded(_COLUMNS.organization_id, _COLUMNS.id))
    )


def _is_ungraded(owner: ColumnElement[str], id: ColumnElement[str]) -> ColumnElement[bool]:
    given = feedback_completions.c
    return ~exists().where(given.organization_id == owner, given.completion_id == id)
