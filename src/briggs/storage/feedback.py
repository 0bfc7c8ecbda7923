"""Stores feedback: once per idempotency key, in versions, found by task and completion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    select,
    tuple_,
    update,
)

from briggs.storage import erasure, feedback_matches, feedback_queue, feedback_sums, rows, tables
from briggs.storage.access import Access
from briggs.storage.redactor import Redactor
from briggs.storage.tables import (
    feedback,
    feedback_completions,
    feedback_tasks,
    feedback_versions,
)
from briggs.types.completions import current_time_us
from briggs.types.errors import Conflict, NotFound
from briggs.types.feedback import Feedback, FeedbackTask, FeedbackVersion

PAGE_ROWS = 200

AnyFeedback = TypeVar("AnyFeedback", Feedback, FeedbackVersion)
_REDACTED = ("json_values", "comment", "rationale", "corrected_output")


class FeedbackQuery(msgspec.Struct, kw_only=True, frozen=True):
    """Selects the feedback to list. Members that are None do not filter."""

    organization_id: str
    task_id: str | None = None
    completion_id: str | None = None
    reviewer: str | None = None
    hidden_from: str | None = None
    """A reviewer who may see others' answers to a blind task only after giving one."""
    reviews_only: bool = False
    """Leaves out the decisions of leads."""


class FeedbackStore:
    """`store.feedback`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(
        self,
        given: Feedback,
        *,
        task: FeedbackTask,
        idempotency_key: str | None = None,
        idempotency_hash: bytes | None = None,
    ) -> Feedback:
        """Store a feedback, or return what was stored under the same idempotency key.

        Raises `Conflict` if the key was used with another hash, or if the reviewer's lease on the
        completion expired and others took it.
        """
        given = self._redact(given)
        row = {
            **rows.encode(given, table=feedback),
            "idempotency_key": idempotency_key,
            "idempotency_hash": idempotency_hash,
        }
        return await self._access.act(lambda connection: _create(connection, given, row, task))

    async def create_missing(self, given: Feedback, *, versions: Sequence[FeedbackVersion]) -> bool:
        """Store a feedback of another record, with its earlier versions. False if it is there.

        Raises `NotFound` if its task is not on record.
        """
        redacted, earlier = self._redact(given), [self._redact(each) for each in versions]
        return await self._access.act(
            lambda connection: _create_missing(connection, redacted, earlier)
        )

    async def retrieve(self, query: FeedbackQuery, *, id: str) -> Feedback | None:
        """One feedback, if the query allows it."""
        statement = _select(query).where(feedback.c.id == id)
        found = await self._access.read(lambda connection: _read(connection, statement))
        return found[0] if found else None

    async def list(
        self, query: FeedbackQuery, *, limit: int, offset: int = 0
    ) -> tuple[Sequence[Feedback], int]:
        """A page, newest first, and the total count."""
        columns = feedback.c
        page = (
            _select(query)
            .order_by(columns.created_at.desc(), columns.id.desc())
            .limit(limit)
            .offset(offset)
        )
        count = select(func.count()).select_from(_select(query).subquery())
        return await self._access.read(
            lambda connection: (_read(connection, page), connection.scalar(count) or 0)
        )

    async def iterate(
        self, query: FeedbackQuery, *, newest_first: bool = True
    ) -> AsyncIterator[Sequence[Feedback]]:
        """Yield all of it, page by page, so that only one page is in memory."""
        place = tuple_(feedback.c.created_at, feedback.c.id)
        columns = (feedback.c.created_at, feedback.c.id)
        in_order = [column.desc() if newest_first else column for column in columns]
        statement = page = _select(query).order_by(*in_order).limit(PAGE_ROWS)
        while found := await self._access.read(_reader(page)):
            yield found
            last = (found[-1].created_at, found[-1].id)
            page = statement.where(place < last if newest_first else place > last)

    async def list_about(
        self, completion_ids: Sequence[str], *, query: FeedbackQuery
    ) -> Mapping[str, Sequence[Feedback]]:
        """The feedback about each of these completions, oldest first, by the completion's id."""
        about = select(feedback_completions.c.feedback_id).where(
            feedback_completions.c.organization_id == query.organization_id,
            feedback_completions.c.completion_id.in_(completion_ids),
        )
        columns = feedback.c
        statement = (
            _select(query).where(columns.id.in_(about)).order_by(columns.created_at, columns.id)
        )
        found: dict[str, list[Feedback]] = {id: [] for id in completion_ids}
        for each in await self._access.read(_reader(statement)) if completion_ids else ():
            for id in found.keys() & {*each.completion_ids}:
                found[id].append(each)
        return found

    async def update(
        self, id: str, *, organization_id: str, change: Callable[[Feedback], Feedback]
    ) -> Feedback | None:
        """Store what `change` returns as a new version of a feedback. None if there is none.

        `change` runs in the writer's thread and must only compute.
        """
        return await self._access.act(
            lambda connection: _update(
                connection,
                id,
                organization_id=organization_id,
                change=lambda before: self._redact(change(before)),
            )
        )

    def _redact(self, given: AnyFeedback) -> AnyFeedback:
        return redact(given, redactor=self._access.redactor)

    async def list_versions(self, of: Feedback) -> Sequence[FeedbackVersion]:
        """The versions of a feedback, oldest first."""
        replaced = await self._access.read(lambda connection: _read_versions(connection, of))
        return [*replaced, _as_version(of)]

    async def delete(self, id: str, *, organization_id: str) -> bool:
        """Delete a feedback for good. Its completions may then await their task again."""
        return await self._access.act(
            lambda connection: delete(connection, id, organization_id=organization_id)
        )


def redact(given: AnyFeedback, *, redactor: Redactor | None) -> AnyFeedback:
    """A feedback as it may be written."""
    if redactor is None:
        return given
    texts = {name: redactor.redact_value(getattr(given, name)) for name in _REDACTED}
    if isinstance(given, Feedback) and given.suggestion is not None:
        own = redactor.redact_value(given.suggestion.own_values)
        texts["suggestion"] = msgspec.structs.replace(given.suggestion, own_values=own)
    return msgspec.structs.replace(given, **texts)


def _create(
    connection: Connection, given: Feedback, row: dict[str, Any], task: FeedbackTask
) -> Feedback:
    if row["idempotency_key"] is not None:
        first = _find_first(connection, given.organization_id, row)
        if first is not None:
            return first
    if len(given.completion_ids) == 1:
        given.selection_chance = row["selection_chance"] = feedback_queue.find_chance(
            connection,
            task=task,
            completion_id=given.completion_ids[0],
            reviewer=given.reviewer,
        )
    for id in given.completion_ids:
        feedback_queue.check_late(connection, task=task, completion_id=id, reviewer=given.reviewer)
        feedback_queue.drop_lease(connection, task=task, completion_id=id, reviewer=given.reviewer)
        feedback_queue.drop_skip(connection, task=task, completion_id=id, reviewer=given.reviewer)
    insert(connection, given, row)
    return given


def insert(connection: Connection, given: Feedback, row: dict[str, Any]) -> None:
    """Insert a feedback, and count it in the queue of its task."""
    connection.execute(_INSERT, row)
    if given.completion_ids:
        connection.execute(_INSERT_COMPLETIONS, _list_rows(given))
    _note_change(connection, given)


def _create_missing(
    connection: Connection, given: Feedback, versions: Sequence[FeedbackVersion]
) -> bool:
    this = _this(given.id, organization_id=given.organization_id)
    if connection.execute(select(feedback.c.id).where(*this)).first() is not None:
        return False
    newest = connection.scalar(
        select(feedback_tasks.c.version).where(
            feedback_tasks.c.id == given.task_id,
            feedback_tasks.c.organization_id == given.organization_id,
        )
    )
    if newest is None or not 1 <= given.task_version <= newest:
        raise NotFound(
            f"The task of the feedback '{given.id}' is not on record in its version "
            f"{given.task_version}. Import the line of the task first."
        )
    insert(connection, given, rows.encode(given, table=feedback))
    for version in versions:
        _insert_version(connection, version, of=given)
    return True


def _find_first(
    connection: Connection, organization_id: str, row: dict[str, Any]
) -> Feedback | None:
    """Find the feedback that was first created with the same idempotency key."""
    query = FeedbackQuery(organization_id=organization_id)
    statement = (
        _select(query)
        .add_columns(feedback.c.idempotency_hash)
        .where(feedback.c.idempotency_key == row["idempotency_key"])
    )
    found = connection.execute(statement).first()
    if found is None:
        return None
    if found.idempotency_hash != row["idempotency_hash"]:
        raise Conflict(
            "This idempotency key was used with another request: use a new key for each request.",
            param="idempotency_key",
        )
    [first] = _read(connection, statement)
    versions = _read_versions(connection, first)
    if versions:
        values = msgspec.structs.asdict(versions[0])
        first = msgspec.structs.replace(first, updated_at=values.pop("created_at"), **values)
    return first


def _list_rows(of: Feedback) -> list[dict[str, Any]]:
    """The rows that link a feedback to its completions."""
    return [
        {
            "organization_id": of.organization_id,
            "task_id": of.task_id,
            "completion_id": id,
            "reviewer": of.reviewer,
            "feedback_id": of.id,
        }
        for id in of.completion_ids
    ]


_INSERT = feedback.insert()
_INSERT_COMPLETIONS = feedback_completions.insert()


def _update(
    connection: Connection,
    id: str,
    *,
    organization_id: str,
    change: Callable[[Feedback], Feedback],
) -> Feedback | None:
    this = _this(id, organization_id=organization_id)
    query = FeedbackQuery(organization_id=organization_id)
    found = _read(connection, _select(query).where(*this))
    if not found:
        return None
    before = found[0]
    after = change(before)
    if before.suggestion == after.suggestion or _as_version(before) != _as_version(after):
        _insert_version(connection, _as_version(before), of=before)
        after.version += 1
        after.updated_at = current_time_us()
    connection.execute(update(feedback).where(*this).values(rows.encode(after, table=feedback)))
    _note_answers(connection, after)
    return after


def _insert_version(connection: Connection, version: FeedbackVersion, *, of: Feedback) -> None:
    row = rows.encode(version, table=feedback_versions)
    owner = {"organization_id": of.organization_id, "feedback_id": of.id}
    connection.execute(feedback_versions.insert().values(owner | row))


def _this(id: str, *, organization_id: str) -> Sequence[ColumnElement[bool]]:
    return (feedback.c.organization_id == organization_id, feedback.c.id == id)


def _note_change(connection: Connection, of: Feedback) -> None:
    _note_answers(connection, of)
    feedback_matches.count_reviews(
        connection,
        organization_id=of.organization_id,
        task_id=of.task_id,
        completion_ids=of.completion_ids,
    )


def _note_answers(connection: Connection, of: Feedback) -> None:
    feedback_sums.note(
        connection, of.completion_ids, organization_id=of.organization_id, task_id=of.task_id
    )


def delete(connection: Connection, id: str, *, organization_id: str) -> bool:
    """Delete a feedback and its versions. Returns False if there is none."""
    query = FeedbackQuery(organization_id=organization_id)
    found = _read(connection, _select(query).where(feedback.c.id == id))
    if not found:
        return False
    for table, column in (
        (feedback_versions, feedback_versions.c.feedback_id),
        (feedback_completions, feedback_completions.c.feedback_id),
        (feedback, feedback.c.id),
    ):
        ours = table.c.organization_id == organization_id
        connection.execute(table.delete().where(ours, column == id))
    _note_change(connection, found[0])
    erasure.demand(connection)
    return True


def forget_corrections(
    connection: Connection, *, organization_id: str, completion_ids: Sequence[str]
) -> None:
    """Delete the corrected outputs of the feedback about some completions."""
    about = feedback_completions.c
    ids = select(about.feedback_id).where(
        about.organization_id == organization_id, about.completion_id.in_(completion_ids)
    )
    for table, id in (
        (feedback, feedback.c.id),
        (feedback_versions, feedback_versions.c.feedback_id),
    ):
        ours = table.c.organization_id == organization_id
        connection.execute(update(table).where(ours, id.in_(ids)).values(corrected_output=None))


def _select(query: FeedbackQuery) -> Select[Any]:
    """Select the feedback that the query allows, with the names of the tasks."""
    columns = feedback.c
    statement = (
        select(feedback, feedback_tasks.c.name.label("task_name"))
        .join(
            feedback_tasks,
            and_(
                feedback_tasks.c.organization_id == columns.organization_id,
                feedback_tasks.c.id == columns.task_id,
            ),
        )
        .where(columns.organization_id == query.organization_id)
    )
    if query.task_id is not None:
        statement = statement.where(columns.task_id == query.task_id)
    if query.reviewer is not None:
        statement = statement.where(columns.reviewer == query.reviewer)
    if query.completion_id is not None:
        about = feedback_completions.alias().c
        statement = statement.where(
            exists().where(
                about.organization_id == columns.organization_id,
                about.feedback_id == columns.id,
                about.completion_id == query.completion_id,
            )
        )
    if query.reviews_only:
        statement = statement.where(columns.reviewer_kind != "lead")
    if query.hidden_from is not None:
        statement = statement.where(_is_shown_to(query.hidden_from))
    return statement


def _is_shown_to(reviewer: str) -> Any:
    """The reviewer's own answers, those to tasks that are not blind, and those about completions
    that the reviewer has answered.
    """
    about, own = feedback_completions.alias().c, feedback_completions.alias().c
    answered = exists().where(
        and_(
            about.organization_id == feedback.c.organization_id,
            about.feedback_id == feedback.c.id,
            own.organization_id == about.organization_id,
            own.task_id == about.task_id,
            own.completion_id == about.completion_id,
            own.reviewer == reviewer,
        )
    )
    return (feedback.c.reviewer == reviewer) | ~feedback_tasks.c.blind | answered


def _reader(statement: Select[Any]) -> Callable[[Connection], list[Feedback]]:
    return lambda connection: _read(connection, statement)


def _read(connection: Connection, statement: Select[Any]) -> list[Feedback]:
    """Read feedback, with the ids of its completions."""
    found = [rows.decode(row, Feedback) for row in connection.execute(statement)]
    by_id = {each.id: each for each in found}
    for row in _read_completion_ids(connection, found):
        each = by_id[row.feedback_id]
        each.completion_ids.append(row.completion_id)
        if row.id is None:
            each.deleted_completion_ids.append(row.completion_id)
    return found


def _read_completion_ids(connection: Connection, of: Sequence[Feedback]) -> Iterable[Row[Any]]:
    """The completions that feedback of one organization is about, with null for one that was
    deleted.
    """
    if not of:
        return ()
    about, there = feedback_completions.c, tables.completions.c
    is_it = and_(there.organization_id == about.organization_id, there.id == about.completion_id)
    statement = (
        select(about.feedback_id, about.completion_id, there.id)
        .outerjoin_from(feedback_completions, tables.completions, is_it)
        .where(
            about.organization_id == of[0].organization_id,
            about.feedback_id.in_([each.id for each in of]),
        )
        .order_by(about.feedback_id, about.completion_id)
    )
    return connection.execute(statement)


def _read_versions(connection: Connection, of: Feedback) -> list[FeedbackVersion]:
    columns = feedback_versions.c
    statement = (
        select(feedback_versions)
        .where(columns.organization_id == of.organization_id, columns.feedback_id == of.id)
        .order_by(columns.version)
    )
    return [rows.decode(row, FeedbackVersion) for row in connection.execute(statement)]


def _as_version(of: Feedback) -> FeedbackVersion:
    return FeedbackVersion(
        version=of.version,
        created_at=of.updated_at,
        json_values=of.json_values,
        comment=of.comment,
        rationale=of.rationale,
        corrected_output=of.corrected_output,
    )
