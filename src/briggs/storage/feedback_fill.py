"""Fills the queues of new tasks from the record, step by step, while calls are answered.

`fill_created_at` of a task says how far its queue is filled. If the tags of a task have
changed, or it was archived, its queue is first gone through for what it does not select any more
(`SIEVED`), in the order of ids. Then the record is read back in time, from `NEWEST`. What
completes meanwhile is put into the queue with its own record. Each step writes its place, so a
process that is killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, case, select, update

from briggs.storage import feedback_counts, feedback_matches, rows
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.database import database_of
from briggs.storage.pieces import Expander, find_pieces
from briggs.storage.queries import FOUND_BY_QUERY_MAX, Place, Query, count_led, select_page
from briggs.storage.tables import completions, feedback_queue, feedback_tasks
from briggs.types.completions import Completion
from briggs.types.feedback import FeedbackTask

STEP_ROWS = 50
"""How many completions one step reads. A call may have to wait for it, for some milliseconds."""
STEPS_AT_ONCE = 4
EVERY_S = 0.1
"""How often a step is taken while there is no idle moment."""
RETRY_S = 60.0
NARROW_ROWS = 1_000
"""A tag that fewer completions have is as good as any."""

SIEVED, NEWEST = 2**63 - 1, 2**62
BEGINNING = {"fill_created_at": NEWEST, "fill_id": ""}
SIEVING = {"fill_created_at": SIEVED, "fill_id": ""}
FILLED = {"fill_created_at": None, "fill_id": None}

_TASKS = feedback_tasks.c
_QUEUE = feedback_queue.c
_COLUMNS = completions.c
_IS_UNFILLED = _TASKS.fill_created_at.is_not(None)
_ANY = "feedback fills"


class QueueFill:
    """Fills the queues of all tasks, a step of each in turn. Belongs to the writer's thread."""

    def __init__(self, connection: Connection, *, bodies: Bodies) -> None:
        self._connection = connection
        self._bodies = bodies
        self._last = ""
        self._at = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is a queue to fill."""
        remembered = database_of(self._connection).remembered
        if _ANY not in remembered:
            unfilled = select(_TASKS.id).where(_IS_UNFILLED).limit(1)
            remembered[_ANY] = self._connection.scalar(unfilled) is not None
        return bool(remembered[_ANY])

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        if not self.waits or time.monotonic() < self._at:
            return False
        self._at = time.monotonic() + RETRY_S
        connection = self._connection
        with database_of(connection).transaction(connection):
            self._last = step(connection, after=self._last, bodies=self._bodies)
        self._at = 0.0 if idle else time.monotonic() + EVERY_S
        return True


def step(connection: Connection, *, after: str, bodies: Bodies) -> str:
    """Take a step for the next task whose queue is not filled. Returns the task's id."""
    unfilled = select(feedback_tasks).where(_IS_UNFILLED)
    row = connection.execute(
        unfilled.order_by(case((_TASKS.id > after, 0), else_=1), _TASKS.id).limit(1)
    ).first()
    if row is None:
        forget(connection)
        return ""
    fill(connection, row, bodies=bodies)
    return str(row.id)


def begin(connection: Connection, task_id: str, *, organization_id: str, bodies: Bodies) -> None:
    """Take the first steps for a task that was created or changed. They fill a small queue."""
    this = (_TASKS.organization_id == organization_id, _TASKS.id == task_id)
    ours = select(feedback_tasks).where(*this, _IS_UNFILLED)
    for _ in range(STEPS_AT_ONCE):
        row = connection.execute(ours).first()
        if row is None:
            return
        fill(connection, row, bodies=bodies)


def fill(connection: Connection, row: Row[Any], *, bodies: Bodies) -> None:
    """Take a step for one task, given as its row."""
    task = rows.decode(row, FeedbackTask)
    if row.fill_created_at == SIEVED:
        place = _sieve(connection, task, after=row.fill_id)
    else:
        place = _read_back(
            connection, task, after=Place(row.fill_created_at, row.fill_id), bodies=bodies
        )
    this = (_TASKS.organization_id == task.organization_id, _TASKS.id == task.id)
    connection.execute(update(feedback_tasks).where(*this).values(place))
    if place is FILLED:
        forget(connection)


def forget(connection: Connection) -> None:
    """Look again whether there is a queue to fill, after one was filled or a task was changed."""
    database_of(connection).remembered.pop(_ANY, None)
    database_of(connection).note_change(connection)


def put(connection: Connection, task: FeedbackTask, ids: Sequence[str], *, bodies: Bodies) -> None:
    """Put completions into a task's queue, if it selects them."""
    page = select(*_PUT).where(
        _COLUMNS.organization_id == task.organization_id, _COLUMNS.id.in_(ids)
    )
    _put(connection, task, connection.execute(page).all(), bodies=bodies)


def _sieve(connection: Connection, task: FeedbackTask, *, after: str) -> dict[str, Any]:
    """Take out the next of those that the task does not select any more."""
    of_task = (_QUEUE.organization_id == task.organization_id, _QUEUE.task_id == task.id)
    is_it = and_(
        _COLUMNS.organization_id == _QUEUE.organization_id, _COLUMNS.id == _QUEUE.completion_id
    )
    page = connection.execute(
        select(_QUEUE.completion_id, _COLUMNS.kind, _COLUMNS.tags)
        .outerjoin_from(feedback_queue, completions, is_it)
        .where(*of_task, _QUEUE.completion_id > after)
        .order_by(_QUEUE.completion_id)
        .limit(STEP_ROWS)
    ).all()
    wrong = [id for id, kind, tags in page if not _is_wanted(task, kind, tags)]
    if wrong:
        ours = (*of_task, _QUEUE.completion_id.in_(wrong))
        places = connection.execute(select(_QUEUE.task_id, _QUEUE.open).where(*ours)).all()
        connection.execute(feedback_queue.delete().where(*ours))
        feedback_counts.remove(
            connection,
            organization_id=task.organization_id,
            removed=[(task_id, is_open) for task_id, is_open in places],
        )
    if len(page) == STEP_ROWS:
        return {"fill_created_at": SIEVED, "fill_id": page[-1].completion_id}
    return FILLED if task.archived_at is not None else BEGINNING


def _is_wanted(task: FeedbackTask, kind: Any, tags: list[str]) -> bool:
    if task.archived_at is not None or kind is None:
        return False
    return feedback_matches.is_selected(tags, kind=kind, by=task.completion_tags_selector)


def _read_back(
    connection: Connection, task: FeedbackTask, *, after: Place, bodies: Bodies
) -> dict[str, Any]:
    """Put in what the task selects of the next completions, going back in time."""
    query = Query(
        organization_id=task.organization_id, tags=_find_narrowest(connection, task), payloads=False
    )
    statement = select_page(query, after=after, limit=STEP_ROWS).with_only_columns(*_PUT)
    page = connection.execute(statement).all()
    _put(connection, task, page, bodies=bodies)
    if len(page) == STEP_ROWS:
        return {"fill_created_at": page[-1].created_at, "fill_id": page[-1].id}
    return FILLED


def _find_narrowest(connection: Connection, task: FeedbackTask) -> list[str]:
    """The tag that the fewest completions have, of those that a task selects. Empty without tags.

    A step that required all of them might have to read a million rows to find the next few.
    """
    tags = list(dict.fromkeys(task.completion_tags_selector))[:FOUND_BY_QUERY_MAX]
    if len(tags) < 2:
        return tags

    def count(tag: str) -> int:
        query = Query(organization_id=task.organization_id, tags=[tag])
        statement = count_led(query, limit=NARROW_ROWS)
        return 0 if statement is None else connection.scalar(statement) or 0

    return [min(tags, key=count)]


_PUT = (
    *(
        _COLUMNS.id,
        _COLUMNS.organization_id,
        _COLUMNS.created_at,
        _COLUMNS.kind,
        _COLUMNS.status,
        _COLUMNS.model,
    ),
    *(_COLUMNS.response_model, _COLUMNS.tags, _COLUMNS.p_mean, _COLUMNS.bodies_deleted_at),
    _COLUMNS.encoding,
    # Some completions have their logprobs in their answers only.
    case((_COLUMNS.p_mean.is_(None), _COLUMNS.response)).label("response"),
)


def _put(connection: Connection, task: FeedbackTask, page: Any, *, bodies: Bodies) -> None:
    pieces = find_pieces(connection, page, bodies=bodies)
    found = [
        _decode(row, task, bodies=pieces)
        for row in page
        if row.status == "finished"
        and row.bodies_deleted_at is None
        and _is_wanted(task, row.kind, row.tags)
    ]
    if found:
        feedback_matches.put(
            connection,
            organization_id=task.organization_id,
            task_id=task.id,
            wanted=task.reviewers_wanted,
            of=found,
        )


def _decode(row: Row[Any], task: FeedbackTask, *, bodies: Expander) -> Completion:
    """Decode the members of a completion that its place in a queue needs."""
    response: bytes | None = row.response
    if response is not None and row.encoding == ZSTD:
        response = bodies.expand(response)
    return Completion(
        id=row.id,
        organization_id=task.organization_id,
        created_at=row.created_at,
        model=row.model,
        response_model=row.response_model,
        p_mean=row.p_mean,
        response=response,
    )
