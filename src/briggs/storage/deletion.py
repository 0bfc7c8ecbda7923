"""Deletes completions with everything that is stored about them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from briggs.storage import erasure, feedback, indexes, rollups, signed_calls
from briggs.storage.database import database_of
from briggs.storage.tables import (
    completions,
    deleted_completions,
    feedback_completions,
    feedback_leases,
    feedback_queue,
    feedback_skips,
    feedback_tasks,
    sessions,
)
from briggs.types.completions import Completion


def delete_completions(
    connection: Connection, *, found: Sequence[Completion], erased_within_s: float = 0
) -> None:
    """Delete completions of one organization, given without their bodies. Only their places in
    the order are kept.

    Whatever quotes or names them goes too: index rows, feedback, leases, skipped reviews, signed
    calls, and sessions that have no other completion. The rollups follow.
    """
    if not found:
        return
    ids = [each.id for each in found]
    organization_id = found[0].organization_id
    for each in found:
        indexes.delete(connection, completion=each)
        signed_calls.delete(connection, completion_id=each.id)
    rollups.record(connection, removed=found)
    _delete_grades(connection, ids, organization_id=organization_id)
    for table in (completions, deleted_completions):
        connection.execute(table.delete().where(table.c.id.in_(ids)))
    _delete_sessions(
        connection,
        {each.session_id for each in found if each.session_id is not None},
        organization_id=organization_id,
    )
    places = [(each.id, each.organization_id, each.created_at) for each in found]
    database_of(connection).insert_missing(connection, deleted_completions, places)
    erasure.demand(connection, within_s=erased_within_s)


def leave_queues(connection: Connection, ids: Sequence[str], *, organization_id: str) -> None:
    """Take completions out of all queues, with their leases and skips."""
    tasks = select(feedback_tasks.c.id).where(feedback_tasks.c.organization_id == organization_id)
    for table in (feedback_queue, feedback_leases, feedback_skips):
        # The task is the first part of the key.
        ours = table.c.task_id.in_(tasks) & table.c.completion_id.in_(ids)
        connection.execute(table.delete().where(ours))


def is_deleted(connection: Connection, id: str) -> bool:
    """Whether there was a completion with this id."""
    row = select(deleted_completions.c.id).where(deleted_completions.c.id == id)
    return connection.execute(row).first() is not None


def _delete_grades(connection: Connection, ids: Sequence[str], *, organization_id: str) -> None:
    about = feedback_completions.c
    graded = select(about.feedback_id).where(about.completion_id.in_(ids)).distinct()
    for feedback_id in connection.scalars(graded).all():
        feedback.delete(connection, feedback_id, organization_id=organization_id)
    leave_queues(connection, ids, organization_id=organization_id)


def _delete_sessions(connection: Connection, ids: set[str], *, organization_id: str) -> None:
    """Delete the sessions that have no completion left."""
    mine, left = sessions.c, completions.c
    for id in ids:
        other = select(left.id).where(
            left.organization_id == organization_id,
            left.session_id == id,
            left.session_id.is_not(None),
        )
        if connection.execute(other.limit(1)).first() is None:
            this = (mine.organization_id == organization_id) & (mine.id == id)
            connection.execute(sessions.delete().where(this))
