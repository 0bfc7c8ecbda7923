"""Stores feedback tasks and their versions, and says whose queues are to be filled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, select, update

from briggs.storage import (
    feedback_counts,
    feedback_fill,
    feedback_marks,
    feedback_matches,
    rows,
    tables,
)
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.feedback_fill import BEGINNING, FILLED, SIEVING
from briggs.storage.tables import feedback_queue as queue
from briggs.storage.tables import feedback_task_versions, feedback_tasks
from briggs.types.completions import current_time_us
from briggs.types.feedback import FeedbackTask, TaskVersion

_UNFILLED = (
    select(feedback_tasks)
    .where(
        feedback_tasks.c.organization_id == bindparam("organization"),
        feedback_tasks.c.fill_created_at.is_not(None),
    )
    .limit(1)
)


class FeedbackTasks:
    """`store.feedback_tasks`."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    async def create(self, task: FeedbackTask) -> None:
        """Store a task."""
        await self._access.act(lambda connection: _create(connection, task, bodies=self._bodies))

    async def create_missing(self, task: FeedbackTask, *, versions: Sequence[TaskVersion]) -> bool:
        """Store a task of another record, with its versions. Returns False if its id is there."""
        return await self._access.act(
            lambda connection: _create_missing(connection, task, versions, bodies=self._bodies)
        )

    async def ensure(self, task: FeedbackTask) -> FeedbackTask:
        """Store a task unless it is there, and return it.

        An organization has one built-in task of each kind. Any other task is known by its id.
        """
        return await self._access.act(
            lambda connection: _ensure(connection, task, bodies=self._bodies)
        )

    async def list_built_in(self, *, organization_id: str) -> Sequence[FeedbackTask]:
        """The built-in tasks, also those that are archived, oldest first."""
        columns = feedback_tasks.c
        statement = (
            select(feedback_tasks)
            .where(columns.organization_id == organization_id, columns.kind != "grade")
            .order_by(columns.created_at, columns.id)
        )
        return await self._access.read(
            lambda connection: [
                rows.decode(row, FeedbackTask) for row in connection.execute(statement)
            ]
        )

    async def retrieve(self, id: str, *, organization_id: str) -> FeedbackTask | None:
        """One task, even if it is archived."""
        return await self._access.read(
            lambda connection: _retrieve(connection, id, organization_id=organization_id)
        )

    async def list(
        self, *, organization_id: str, limit: int, offset: int = 0
    ) -> Sequence[FeedbackTask]:
        """A page of tasks that are not archived, newest first."""
        columns = feedback_tasks.c
        statement = (
            select(feedback_tasks)
            .where(columns.organization_id == organization_id, columns.archived_at.is_(None))
            .order_by(columns.created_at.desc(), columns.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(
            lambda connection: [
                rows.decode(row, FeedbackTask) for row in connection.execute(statement)
            ]
        )

    async def list_informative(self) -> Sequence[FeedbackTask]:
        """The tasks of all organizations that ask first what tells most."""
        columns = feedback_tasks.c
        statement = select(feedback_tasks).where(
            columns.order == "informative", columns.archived_at.is_(None)
        )
        return await self._access.read(
            lambda connection: [
                rows.decode(row, FeedbackTask) for row in connection.execute(statement)
            ]
        )

    async def list_versions(self, id: str, *, organization_id: str) -> Sequence[TaskVersion]:
        """The versions of a task, oldest first."""
        columns = feedback_task_versions.c
        statement = (
            select(feedback_task_versions)
            .where(columns.organization_id == organization_id, columns.task_id == id)
            .order_by(columns.version)
        )
        return await self._access.read(
            lambda connection: [
                rows.decode(row, TaskVersion) for row in connection.execute(statement)
            ]
        )

    async def update(
        self,
        id: str,
        *,
        organization_id: str,
        change: Callable[[FeedbackTask], FeedbackTask],
        ask_again: bool = False,
    ) -> FeedbackTask | None:
        """Replace a task by what `change` returns, and return that; None if there is no task.

        With `ask_again`, only answers to its version from now on count as reviews. `change` runs
        in the writer's thread and must only compute.
        """
        return await self._access.act(
            lambda connection: _update(
                connection,
                id,
                organization_id=organization_id,
                change=change,
                ask_again=ask_again,
                bodies=self._bodies,
            )
        )

    async def list_hiding(
        self, completion_ids: Sequence[str], *, organization_id: str
    ) -> Mapping[str, Collection[str]]:
        """The given completions that are in the queue of a task that hides the model.

        Each comes with the tags that every completion in such a queue has.
        """
        tasks = feedback_tasks.c
        hiding = (tasks.organization_id == organization_id, tasks.hide_model)
        statement = (
            select(queue.c.completion_id, tasks.completion_tags_selector)
            .join_from(
                feedback_tasks,
                queue,
                and_(queue.c.organization_id == tasks.organization_id, queue.c.task_id == tasks.id),
            )
            .where(*hiding, queue.c.completion_id.in_(completion_ids))
        )
        unfilled = select(tasks.completion_tags_selector).where(
            *hiding, tasks.fill_created_at.is_not(None), tasks.archived_at.is_(None)
        )

        def find(connection: Connection) -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for id, tags in connection.execute(statement):
                found.setdefault(id, set()).update(tags)
            for tags in connection.scalars(unfilled).all():
                selected = _list_selected(
                    connection, completion_ids, tags, organization_id=organization_id
                )
                for id in selected:
                    found.setdefault(id, set()).update(tags)
            return found

        return await self._access.read(find)

    async def fill(self, *, organization_id: str) -> None:
        """Fill the queues of an organization now. The writer does it too, when it is idle."""

        def step(connection: Connection) -> bool:
            row = connection.execute(_UNFILLED, {"organization": organization_id}).first()
            if row is not None:
                feedback_fill.fill(connection, row, bodies=self._bodies)
            return row is not None

        while await self._access.act(step):
            pass


def _create(connection: Connection, task: FeedbackTask, *, bodies: Bodies) -> None:
    _insert(connection, task, bodies=bodies)
    _create_version(connection, task)


def _insert(connection: Connection, task: FeedbackTask, *, bodies: Bodies) -> None:
    row = rows.encode(task, table=feedback_tasks)
    is_filled = task.kind != "grade" or task.archived_at is not None
    connection.execute(feedback_tasks.insert().values(row | (FILLED if is_filled else BEGINNING)))
    feedback_counts.create(connection, organization_id=task.organization_id, task_id=task.id)
    feedback_marks.create(connection, task.id, organization_id=task.organization_id)
    _forget(connection)
    feedback_fill.begin(connection, task.id, organization_id=task.organization_id, bodies=bodies)


def _create_missing(
    connection: Connection, task: FeedbackTask, versions: Sequence[TaskVersion], *, bodies: Bodies
) -> bool:
    if _retrieve(connection, task.id, organization_id=task.organization_id) is not None:
        return False
    _insert(connection, task, bodies=bodies)
    for version in versions:
        _insert_version(connection, version, of=task)
    return True


def _ensure(connection: Connection, task: FeedbackTask, *, bodies: Bodies) -> FeedbackTask:
    columns = feedback_tasks.c
    is_same = (
        columns.id == task.id
        if task.kind == "grade"
        else and_(columns.kind == task.kind, columns.archived_at.is_(None))
    )
    row = connection.execute(
        select(feedback_tasks).where(columns.organization_id == task.organization_id, is_same)
    ).first()
    if row is not None:
        return rows.decode(row, FeedbackTask)
    _create(connection, task, bodies=bodies)
    return task


def _create_version(connection: Connection, task: FeedbackTask) -> None:
    version = TaskVersion(
        version=task.version,
        created_at=task.updated_at,
        instruction=task.instruction,
        json_schema=task.json_schema,
    )
    _insert_version(connection, version, of=task)


def _insert_version(connection: Connection, version: TaskVersion, *, of: FeedbackTask) -> None:
    row = rows.encode(version, table=feedback_task_versions)
    owner = {"organization_id": of.organization_id, "task_id": of.id}
    connection.execute(feedback_task_versions.insert().values(owner | row))


def _retrieve(connection: Connection, id: str, *, organization_id: str) -> FeedbackTask | None:
    this = _this(id, organization_id=organization_id)
    row = connection.execute(select(feedback_tasks).where(*this)).first()
    return None if row is None else rows.decode(row, FeedbackTask)


def _update(
    connection: Connection,
    id: str,
    *,
    organization_id: str,
    change: Callable[[FeedbackTask], FeedbackTask],
    ask_again: bool,
    bodies: Bodies,
) -> FeedbackTask | None:
    before = _retrieve(connection, id, organization_id=organization_id)
    if before is None:
        return None
    after = change(before)
    after.updated_at = current_time_us()
    asks_anew = (after.instruction, after.json_schema) != (before.instruction, before.json_schema)
    if asks_anew:
        after.version += 1
        _create_version(connection, after)
    if ask_again:
        after.counts_from = after.version
    row = rows.encode(after, table=feedback_tasks)
    if after.kind == "grade" and _selects(after) != _selects(before):
        row |= SIEVING
    this = _this(id, organization_id=organization_id)
    connection.execute(update(feedback_tasks).where(*this).values(row))
    _forget(connection)
    counted = (before.reviewers_wanted, before.counts_from)
    if (after.reviewers_wanted, after.counts_from) != counted:
        feedback_matches.count_reviews(connection, organization_id=organization_id, task_id=id)
    feedback_fill.begin(connection, id, organization_id=organization_id, bodies=bodies)
    return after


def _this(id: str, *, organization_id: str) -> Sequence[ColumnElement[bool]]:
    columns = feedback_tasks.c
    return (columns.organization_id == organization_id, columns.id == id)


def _list_selected(
    connection: Connection,
    completion_ids: Sequence[str],
    tags: Collection[str],
    *,
    organization_id: str,
) -> list[str]:
    """Those of some completions that a task with these tags selects."""
    columns = tables.completions.c
    statement = select(columns.id, columns.kind, columns.tags).where(
        columns.organization_id == organization_id, columns.id.in_(completion_ids)
    )
    return [
        row.id
        for row in connection.execute(statement)
        if feedback_matches.is_selected(row.tags, kind=row.kind, by=tags)
    ]


def _selects(task: FeedbackTask) -> set[str] | None:
    """The tags of what belongs in a task's queue. None if nothing does."""
    return None if task.archived_at is not None else set(task.completion_tags_selector)


def _forget(connection: Connection) -> None:
    """Forget what the writer remembers of the tasks."""
    feedback_matches.forget_selectors(connection)
    feedback_fill.forget(connection)
