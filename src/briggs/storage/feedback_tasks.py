"""Stores feedback tasks and their versions, and fills a new task's queue from the record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, select, update

from briggs.storage import feedback_matches, rows, tables
from briggs.storage.access import Access
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.queries import FOUND_BY_QUERY_MAX, Place, Query, select_page
from briggs.storage.tables import feedback_queue as queue
from briggs.storage.tables import feedback_task_versions, feedback_tasks
from briggs.types.completions import Completion, current_time_us
from briggs.types.errors import Conflict
from briggs.types.feedback import FeedbackTask, TaskVersion

FILL_ROWS = 500
"""How many completions one action reads, so that no answer has to wait for long."""

_BEGINNING = {"fill_created_at": 2**62, "fill_id": ""}
_NAMES = (
    "kind",
    "id",
    "organization_id",
    "created_at",
    "model",
    "response_model",
    "tags",
    "bodies_deleted_at",
    "encoding",
    "response",
)
_PUT_COLUMNS = [tables.completions.c[name] for name in _NAMES]
_UNFILLED = select(func.min(feedback_tasks.c.id)).where(
    feedback_tasks.c.organization_id == bindparam("organization"),
    feedback_tasks.c.fill_created_at.is_not(None),
)
_FILLED = {"fill_created_at": None, "fill_id": None}


class FeedbackTasks:
    """`store.feedback_tasks`."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    async def create(self, task: FeedbackTask) -> None:
        """Store a task."""
        await self._access.act(lambda connection: _create(connection, task))

    async def create_missing(self, task: FeedbackTask, *, versions: Sequence[TaskVersion]) -> bool:
        """Store a task of another record, with its versions. Returns False if its id is there.

        Raises `Conflict` if another organization has a task with this id.
        """
        return await self._access.act(
            lambda connection: _create_missing(connection, task, versions)
        )

    async def ensure(self, task: FeedbackTask) -> FeedbackTask:
        """Store a task unless it is there, and return it.

        An organization has one built-in task of each kind. Any other task is known by its id.
        """
        return await self._access.act(lambda connection: _ensure(connection, task))

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

    async def list_versions(self, id: str) -> Sequence[TaskVersion]:
        """The versions of a task, oldest first."""
        columns = feedback_task_versions.c
        statement = (
            select(feedback_task_versions).where(columns.task_id == id).order_by(columns.version)
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
            )
        )

    async def list_hiding(
        self, completion_ids: Sequence[str], *, organization_id: str
    ) -> Mapping[str, Collection[str]]:
        """The given completions that are in the queue of a task that hides the model.

        Each comes with the tags that every completion in such a queue has.
        """
        tasks = feedback_tasks.c
        statement = (
            select(queue.c.completion_id, tasks.completion_tags_selector)
            .join_from(feedback_tasks, queue, queue.c.task_id == tasks.id)
            .where(
                tasks.organization_id == organization_id,
                tasks.hide_model,
                queue.c.completion_id.in_(completion_ids),
            )
        )
        found: dict[str, set[str]] = {}
        for id, tags in await self._access.read(
            lambda connection: connection.execute(statement).all()
        ):
            found.setdefault(id, set()).update(tags)
        return found

    async def are_filled(self, *, organization_id: str) -> bool:
        """Whether the queues contain all completions that are older than their tasks."""
        return not await self._access.read(
            lambda connection: _find_unfilled(connection, organization_id=organization_id)
        )

    async def fill(self, *, organization_id: str) -> None:
        """Fill the queues until they contain all completions that are older than their tasks."""
        while not await self.are_filled(organization_id=organization_id):
            await self._access.act(
                lambda connection: _fill(
                    connection, organization_id=organization_id, bodies=self._bodies
                )
            )


def _create(connection: Connection, task: FeedbackTask) -> None:
    _insert(connection, task)
    _create_version(connection, task)


def _insert(connection: Connection, task: FeedbackTask) -> None:
    row = rows.encode(task, table=feedback_tasks)
    is_filled = task.kind != "grade" or task.archived_at is not None
    connection.execute(feedback_tasks.insert().values(row | (_FILLED if is_filled else _BEGINNING)))
    feedback_matches.forget_selectors(connection)


def _create_missing(
    connection: Connection, task: FeedbackTask, versions: Sequence[TaskVersion]
) -> bool:
    columns = feedback_tasks.c
    owner = connection.scalar(select(columns.organization_id).where(columns.id == task.id))
    if owner is not None:
        if owner != task.organization_id:
            raise Conflict(f"The id '{task.id}' belongs to another task.")
        return False
    _insert(connection, task)
    for version in versions:
        _insert_version(connection, version, task_id=task.id)
    return True


def _ensure(connection: Connection, task: FeedbackTask) -> FeedbackTask:
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
    _create(connection, task)
    return task


def _create_version(connection: Connection, task: FeedbackTask) -> None:
    version = TaskVersion(
        version=task.version,
        created_at=task.updated_at,
        instruction=task.instruction,
        json_schema=task.json_schema,
    )
    _insert_version(connection, version, task_id=task.id)


def _insert_version(connection: Connection, version: TaskVersion, *, task_id: str) -> None:
    row = rows.encode(version, table=feedback_task_versions)
    connection.execute(feedback_task_versions.insert().values(task_id=task_id, **row))


def _retrieve(connection: Connection, id: str, *, organization_id: str) -> FeedbackTask | None:
    row = connection.execute(
        select(feedback_tasks).where(
            feedback_tasks.c.id == id,
            feedback_tasks.c.organization_id == organization_id,
        )
    ).first()
    return None if row is None else rows.decode(row, FeedbackTask)


def _update(
    connection: Connection,
    id: str,
    *,
    organization_id: str,
    change: Callable[[FeedbackTask], FeedbackTask],
    ask_again: bool,
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
    if after.archived_at is not None or after.kind != "grade":
        row |= _FILLED
    elif set(after.completion_tags_selector) != set(before.completion_tags_selector):
        row |= _BEGINNING
    if "fill_id" in row:
        connection.execute(queue.delete().where(queue.c.task_id == id))
    connection.execute(update(feedback_tasks).where(feedback_tasks.c.id == id).values(row))
    feedback_matches.forget_selectors(connection)
    counted = (before.reviewers_wanted, before.counts_from)
    if (after.reviewers_wanted, after.counts_from) != counted:
        feedback_matches.count_reviews(connection, task_id=id)
    return after


def _find_unfilled(connection: Connection, *, organization_id: str) -> str | None:
    id: str | None = connection.scalar(_UNFILLED, {"organization": organization_id})
    return id


def _fill(connection: Connection, *, organization_id: str, bodies: Bodies) -> None:
    """Read the next few completions that a task may select, going back in time."""
    id = _find_unfilled(connection, organization_id=organization_id)
    if id is None:
        return
    ours = feedback_tasks.c.id == id
    row = connection.execute(select(feedback_tasks).where(ours)).one()
    task = rows.decode(row, FeedbackTask)
    tags = task.completion_tags_selector
    query = Query(
        organization_id=organization_id,
        status="finished",
        # `is_selected` checks all of them.
        tags=list(dict.fromkeys(tags))[:FOUND_BY_QUERY_MAX],
    )
    place = Place(row.fill_created_at, row.fill_id)
    statement = select_page(query, after=place, limit=FILL_ROWS)
    page = connection.execute(statement.with_only_columns(*_PUT_COLUMNS)).all()
    found = [
        _decode_put(each, bodies=bodies)
        for each in page
        if feedback_matches.is_selected(each.tags, kind=each.kind, by=tags)
        and each.bodies_deleted_at is None
    ]
    if found:
        feedback_matches.put(connection, task_id=id, wanted=task.reviewers_wanted, of=found)
    place_after = (
        {"fill_created_at": page[-1].created_at, "fill_id": page[-1].id}
        if len(page) == FILL_ROWS
        else _FILLED
    )
    connection.execute(update(feedback_tasks).where(ours).values(place_after))


def _decode_put(row: Row[Any], *, bodies: Bodies) -> Completion:
    """Decode the members of a completion that its place in a queue needs."""
    expand = bodies.expand if row.encoding == ZSTD else bytes
    return Completion(
        id=row.id,
        organization_id=row.organization_id,
        created_at=row.created_at,
        model=row.model,
        response_model=row.response_model,
        response=None if row.response is None else expand(row.response),
    )
