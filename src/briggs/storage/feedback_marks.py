"""Marks each change of the feedback of a task, so that what was computed of it can be kept.

A transaction that writes, edits or deletes feedback, or brings a completion that feedback is about
or gives it other tags, replaces the mark of its task. So whoever reads the same mark as before
would read the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select, update

from briggs.storage.database import database_of
from briggs.storage.tables import feedback_marks
from briggs.storage.types import AnyText
from briggs.types.completions import create_id


def create(connection: Connection, task_id: str, *, organization_id: str) -> None:
    """Begin with a new task, whose feedback is counted as it comes."""
    database_of(connection).insert_missing(
        connection, feedback_marks, [(organization_id, task_id, "", None)]
    )


def note(connection: Connection, task_ids: Iterable[str], *, organization_id: str) -> None:
    """Note that the feedback of some tasks changes."""
    for task_id in sorted({*task_ids}):
        # A task without a mark has feedback from before there were sums.
        begin = [(organization_id, task_id, "", "")]
        database_of(connection).insert_missing(connection, feedback_marks, begin)
        changed = {"organization": organization_id, "task": task_id, "by": create_id()}
        connection.execute(_REPLACE, changed)


def read(connection: Connection, task_id: str, *, organization_id: str) -> str:
    """The mark of a task. Empty if its feedback has not changed since there are marks."""
    this = {"organization": organization_id, "task": task_id}
    mark: str | None = connection.scalar(_SELECT, this)
    return mark or ""


_MARKS = feedback_marks.c
_THIS = (
    _MARKS.organization_id == bindparam("organization", type_=AnyText),
    _MARKS.task_id == bindparam("task", type_=AnyText),
)
_SELECT = select(_MARKS.mark).where(*_THIS)
_REPLACE = update(feedback_marks).where(*_THIS).values(mark=bindparam("by", type_=AnyText))
