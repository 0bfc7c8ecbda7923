"""Deletes completions with everything that is stored about them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, exists, select

from briggs.storage import (
    erasure,
    feedback,
    feedback_matches,
    histories,
    indexes,
    judges,
    lake_deletions,
    prompts,
    rollups,
    search_index,
    signed_calls,
)
from briggs.storage.database import database_of
from briggs.storage.tables import (
    completions,
    deleted_completions,
    feedback_completions,
    feedback_leases,
    feedback_skips,
    feedback_tasks,
    is_of_session,
    sessions,
)
from briggs.storage.types import AnyText, KeyText
from briggs.types.completions import Completion


def delete_completions(
    connection: Connection,
    *,
    found: Sequence[Completion],
    erased_within_s: float = 0,
    stays_in_lake: bool = False,
) -> None:
    """Delete completions of one organization, given without their bodies. Only their places in
    the order are kept. They leave the lake too, unless that is where they go.

    Whatever quotes or names them goes too: index rows, feedback, judgements, leases, skipped
    reviews, places in versions of prompts, signed calls, and sessions that have no other
    completion. The rollups follow.
    """
    if not found:
        return
    ids = [each.id for each in found]
    organization_id = found[0].organization_id
    rollups.record(connection, removed=found)
    search_index.note(connection, of=found)
    histories.release(connection, ids=ids, organization_id=organization_id)
    ours = completions.c.organization_id == organization_id
    connection.execute(completions.delete().where(ours, completions.c.id.in_(ids)))
    delete_traces(connection, found=found)
    if not stays_in_lake:
        lake_deletions.demand(connection, of=found)
    erasure.demand(connection, within_s=erased_within_s)


def delete_traces(connection: Connection, *, found: Sequence[Completion]) -> None:
    """Delete what quotes or names completions of one organization that are no longer there."""
    if not found:
        return
    ids = [each.id for each in found]
    organization_id = found[0].organization_id
    indexes.delete(connection, of=found)
    signed_calls.delete(connection, organization_id=organization_id, completion_ids=ids)
    _delete_grades(connection, ids, organization_id=organization_id)
    judges.forget(connection, completion_ids=ids, organization_id=organization_id)
    prompts.forget(connection, of=found)
    ours = deleted_completions.c.organization_id == organization_id
    connection.execute(deleted_completions.delete().where(ours, deleted_completions.c.id.in_(ids)))
    _delete_sessions(
        connection,
        {each.session_id for each in found if each.session_id is not None},
        organization_id=organization_id,
    )
    places = [(each.organization_id, each.id, each.created_at) for each in found]
    database_of(connection).insert_missing(connection, deleted_completions, places)


def leave_queues(connection: Connection, ids: Sequence[str], *, organization_id: str) -> None:
    """Take completions out of all queues, with their leases and skips."""
    keys = [{"organization": organization_id, "completion": id} for id in ids]
    feedback_matches.withdraw(connection, ids, organization_id=organization_id)
    for statement in _DELETE_LEASES_AND_SKIPS:
        connection.execute(statement, keys)


def revive(connection: Connection, *, of: Sequence[Completion]) -> None:
    """Forget that these completions were deleted, because they are on record again."""
    if of:
        keys = [{"organization": each.organization_id, "revived": each.id} for each in of]
        connection.execute(_REVIVE, keys)


def is_deleted(connection: Connection, id: str, *, organization_id: str) -> bool:
    """Whether an organization had a completion with this id."""
    columns = deleted_completions.c
    row = select(columns.id).where(columns.organization_id == organization_id, columns.id == id)
    return connection.execute(row).first() is not None


def find_deleted(connection: Connection, ids: Sequence[str], *, organization_id: str) -> set[str]:
    """Those of these ids of an organization whose completions were deleted."""
    columns = deleted_completions.c
    ours = columns.organization_id == organization_id, columns.id.in_(ids)
    return {*connection.scalars(select(columns.id).where(*ours))}


def _delete_grades(connection: Connection, ids: Sequence[str], *, organization_id: str) -> None:
    these = {"organization": organization_id, "completions": ids}
    for feedback_id in connection.scalars(_GRADED, these).all():
        feedback.delete(connection, feedback_id, organization_id=organization_id)
    leave_queues(connection, ids, organization_id=organization_id)


def _delete_sessions(connection: Connection, ids: set[str], *, organization_id: str) -> None:
    """Delete the sessions that have no completion left."""
    if ids:
        keys = [{"organization": organization_id, "session": id} for id in ids]
        connection.execute(_DELETE_SESSION, keys)


# They are built once, because building them takes longer than executing them.
_ORGANIZATION = bindparam("organization", type_=AnyText)
_SESSION = bindparam("session", type_=KeyText)
_TASKS = select(feedback_tasks.c.id).where(feedback_tasks.c.organization_id == _ORGANIZATION)
_REVIVE = deleted_completions.delete().where(
    deleted_completions.c.organization_id == _ORGANIZATION,
    deleted_completions.c.id == bindparam("revived"),
)
_DELETE_LEASES_AND_SKIPS = [
    # The task comes before the completion in the key.
    table.delete().where(
        table.c.organization_id == _ORGANIZATION,
        table.c.task_id.in_(_TASKS),
        table.c.completion_id == bindparam("completion"),
    )
    for table in (feedback_leases, feedback_skips)
]
_GRADED = (
    select(feedback_completions.c.feedback_id)
    .where(
        feedback_completions.c.organization_id == _ORGANIZATION,
        feedback_completions.c.completion_id.in_(bindparam("completions", expanding=True)),
    )
    .distinct()
)
_DELETE_SESSION = sessions.delete().where(
    sessions.c.organization_id == _ORGANIZATION,
    sessions.c.id == _SESSION,
    ~exists().where(
        completions.c.organization_id == _ORGANIZATION,
        *is_of_session(_SESSION),
    ),
)
