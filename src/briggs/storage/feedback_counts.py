"""How many completions are in the queue of each task, and how many of them are left to grade.

Counting a million of them would take longer than a page may take. So each transaction that changes
a queue also changes its counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, func, select, update

from briggs.storage.tables import IS_OPEN, feedback_counts, feedback_queue, feedback_tasks
from briggs.storage.types import AnyText

_COUNTS = feedback_counts.c
_OURS = (
    _COUNTS.organization_id == bindparam("organization", type_=AnyText),
    _COUNTS.task_id == bindparam("task", type_=AnyText),
)
_ADD = (
    update(feedback_counts)
    .where(*_OURS)
    .values(matching=_COUNTS.matching + bindparam("more"), left=_COUNTS.left + bindparam("open"))
)
_READ = select(_COUNTS.matching, _COUNTS.left).where(*_OURS)


def create(connection: Connection, *, organization_id: str, task_id: str) -> None:
    """Begin to count, for a new task."""
    row = {"organization_id": organization_id, "task_id": task_id, "matching": 0, "left": 0}
    connection.execute(feedback_counts.insert().values(row))


def create_all(connection: Connection) -> None:
    """Count what is in the queues of tasks that were not counted until now."""
    queue, tasks = feedback_queue.c, feedback_tasks.c
    ours = select(func.count()).select_from(feedback_queue).where(queue.task_id == tasks.id)
    counted = select(
        tasks.organization_id,
        tasks.id,
        ours.scalar_subquery(),
        ours.where(IS_OPEN).scalar_subquery(),
    )
    connection.execute(feedback_counts.insert().from_select(list(feedback_counts.c), counted))


def add(
    connection: Connection, *, organization_id: str, task_id: str, matching: int = 0, left: int = 0
) -> None:
    """Note that so many more are in a queue, and left in it. Both may be negative."""
    if matching or left:
        change = {
            "organization": organization_id,
            "task": task_id,
            "more": matching,
            "open": left,
        }
        connection.execute(_ADD, change)


def remove(
    connection: Connection, *, organization_id: str, removed: Iterable[tuple[str, bool]]
) -> None:
    """Note what has left the queues: of each place its task, and whether it was open."""
    places = Counter(removed)
    for task_id in {task_id for task_id, _ in places}:
        left = places[task_id, True]
        add(
            connection,
            organization_id=organization_id,
            task_id=task_id,
            matching=-left - places[task_id, False],
            left=-left,
        )


def read(connection: Connection, *, organization_id: str, task_id: str) -> tuple[int, int]:
    """How many are in a task's queue, and how many of them are left."""
    row = connection.execute(_READ, {"organization": organization_id, "task": task_id}).first()
    return (0, 0) if row is None else (row.matching, row.left)
