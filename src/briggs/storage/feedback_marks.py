"""Marks each change of the feedback of a task, so that what was computed of it can be kept.

A transaction that writes, edits or deletes feedback, or brings a completion that feedback is about
or gives it other tags, replaces the mark of its task. So whoever reads the same mark as before
would read the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, select

from briggs.storage.tables import feedback_completions, feedback_marks
from briggs.storage.types import AnyText
from briggs.types.completions import create_id


def note(connection: Connection, task_ids: Iterable[str], *, organization_id: str) -> None:
    """Note that the feedback of some tasks changes."""
    rows = [
        {"organization_id": organization_id, "task_id": task_id, "mark": create_id()}
        for task_id in sorted({*task_ids})
    ]
    if rows:
        keys = [{"organization": organization_id, "task": row["task_id"]} for row in rows]
        connection.execute(_DELETE, keys)
        connection.execute(_INSERT, rows)


def note_about(connection: Connection, ids: Sequence[str], *, organization_id: str) -> None:
    """Note that completions change, or have come, which feedback may be about."""
    if ids:
        these = {"organization": organization_id, "completions": ids}
        tasks = connection.scalars(_SELECT_TASKS, these).all()
        note(connection, tasks, organization_id=organization_id)


def read(connection: Connection, task_id: str, *, organization_id: str) -> str:
    """The mark of a task. Empty if its feedback has not changed since there are marks."""
    this = {"organization": organization_id, "task": task_id}
    mark: str | None = connection.scalar(_SELECT, this)
    return mark or ""


_MARKS, _ABOUT = feedback_marks.c, feedback_completions.c
_ORGANIZATION = bindparam("organization", type_=AnyText)
_THIS = (_MARKS.organization_id == _ORGANIZATION, _MARKS.task_id == bindparam("task"))
_SELECT = select(_MARKS.mark).where(*_THIS)
_DELETE = delete(feedback_marks).where(*_THIS)
_INSERT = feedback_marks.insert()
_SELECT_TASKS = (
    select(_ABOUT.task_id)
    .where(
        _ABOUT.organization_id == _ORGANIZATION,
        _ABOUT.completion_id.in_(bindparam("completions", expanding=True)),
    )
    .distinct()
)
