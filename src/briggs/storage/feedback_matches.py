"""Keeps the queues of tasks in step with the tags of completions and their feedback."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    exists,
    func,
    select,
    update,
)

from briggs.storage import feedback_counts
from briggs.storage.database import database_of
from briggs.storage.tables import (
    IS_OPEN,
    feedback,
    feedback_completions,
    feedback_queue,
    feedback_tasks,
)
from briggs.storage.types import AnyText
from briggs.types.completions import OWN_TAGS, TEXTLESS, CallKind, Completion

PLACES = 2**53
"""The number of positions on the circle, on which completions are placed at random."""


class _Selector(NamedTuple):
    """The completions that a task selects. Archived tasks and preferences have none."""

    task_id: str
    organization_id: str
    tags: frozenset[str]
    wanted: int


def enlist(connection: Connection, *, of: Sequence[Completion]) -> None:
    """Put completions into the queues of the tasks that select them."""
    for selector in _list_selectors(connection):
        chosen = [
            each
            for each in of
            if each.status == "finished"
            and each.bodies_deleted_at is None
            and each.organization_id == selector.organization_id
            and is_selected(each.tags, kind=each.kind, by=selector.tags)
        ]
        if chosen:
            put(
                connection,
                organization_id=selector.organization_id,
                task_id=selector.task_id,
                wanted=selector.wanted,
                of=chosen,
            )


def is_selected(tags: Collection[str], *, kind: CallKind, by: Collection[str]) -> bool:
    """Whether a completion with these tags awaits a task that selects `by`.

    Briggs's own calls, such as those of judges, await only the tasks that name their tag. Those
    that wrote no text await none.
    """
    if kind in TEXTLESS:
        return False
    return set(by).issubset(tags) and OWN_TAGS.intersection(tags).issubset(by)


def withdraw(connection: Connection, ids: Sequence[str], *, organization_id: str) -> None:
    """Take completions out of every queue."""
    ours = {"organization": organization_id, "completions": ids}
    places = connection.execute(_PLACES, ours).all()
    if places:
        keys = [
            {"organization": organization_id, "task": task_id, "completion": id}
            for task_id, id, _ in places
        ]
        connection.execute(_DELETE, keys)
        feedback_counts.remove(
            connection,
            organization_id=organization_id,
            removed=((task_id, is_open) for task_id, _, is_open in places),
        )


def forget_selectors(connection: Connection) -> None:
    """Forget the cached tasks, after one was created or changed."""
    database_of(connection).remembered.pop(_SELECTORS, None)
    database_of(connection).note_change(connection)


def _list_selectors(connection: Connection) -> list[_Selector]:
    """The tasks. They are remembered, because every answer needs them."""
    remembered = database_of(connection).remembered
    selectors: list[_Selector] | None = remembered.get(_SELECTORS)
    if selectors is None:
        selectors = remembered[_SELECTORS] = _read_selectors(connection)
    return selectors


def _read_selectors(connection: Connection) -> list[_Selector]:
    columns = feedback_tasks.c
    statement = select(
        columns.id,
        columns.organization_id,
        columns.completion_tags_selector,
        columns.reviewers_wanted,
    ).where(columns.archived_at.is_(None), columns.kind == "grade")
    return [
        _Selector(
            id,
            organization_id,
            frozenset(tags),
            wanted,
        )
        for id, organization_id, tags, wanted in connection.execute(statement)
    ]


def put(
    connection: Connection,
    *,
    organization_id: str,
    task_id: str,
    wanted: int,
    of: Sequence[Completion],
) -> None:
    """Put completions into a task's queue, unless they are there."""
    parameters = {
        "organization": organization_id,
        "task": task_id,
        "completions": [each.id for each in of],
    }
    reviews = {row[0]: row[1] for row in connection.execute(_COUNT_REVIEWS, parameters)}
    ready = [
        (
            organization_id,
            task_id,
            each.id,
            each.created_at,
            each.model,
            each.response_model,
            _mean_logprob(each),
            find_place(each.id),
            None,
            None,
            reviews.get(each.id, 0),
            reviews.get(each.id, 0) < wanted,
        )
        for each in of
    ]
    for is_open in (True, False):
        some = [row for row in ready if row[-1] is is_open]
        if some:
            added = database_of(connection).insert_missing(connection, feedback_queue, some)
            feedback_counts.add(
                connection,
                organization_id=organization_id,
                task_id=task_id,
                matching=added,
                left=added if is_open else 0,
            )


def count_reviews(
    connection: Connection,
    *,
    organization_id: str,
    task_id: str,
    completion_ids: Sequence[str] | None = None,
) -> None:
    """Update the review counts in a queue, for some completions or for all with feedback."""
    which = {"organization": organization_id, "task": task_id, "completions": completion_ids}
    count, recount = _COUNTED["all" if completion_ids is None else "some"]
    before = connection.scalar(count, which) or 0
    connection.execute(recount, which)
    after = connection.scalar(count, which) or 0
    feedback_counts.add(
        connection, organization_id=organization_id, task_id=task_id, left=after - before
    )


def find_place(name: str) -> int:
    """The position of a name on the circle."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % PLACES


_SELECTORS = "feedback selectors"
_QUEUE = feedback_queue.c
COUNTS = exists().where(
    feedback.c.organization_id == feedback_completions.c.organization_id,
    feedback.c.id == feedback_completions.c.feedback_id,
    feedback_tasks.c.organization_id == feedback_completions.c.organization_id,
    feedback_tasks.c.id == feedback_completions.c.task_id,
    feedback.c.task_version >= feedback_tasks.c.counts_from,
)
"""Whether a feedback answers a version of its task that still counts."""
_IS_REVIEW = exists().where(
    feedback.c.organization_id == feedback_completions.c.organization_id,
    feedback.c.id == feedback_completions.c.feedback_id,
    feedback.c.reviewer_kind != "model",
)
"""Whether a person gave it. What a judge says makes no review of people unnecessary."""
_REVIEWS = (
    select(func.count(feedback_completions.c.reviewer.distinct()))
    .where(
        feedback_completions.c.organization_id == _QUEUE.organization_id,
        feedback_completions.c.task_id == _QUEUE.task_id,
        feedback_completions.c.completion_id == _QUEUE.completion_id,
        COUNTS,
        _IS_REVIEW,
    )
    .scalar_subquery()
)
_WANTED = (
    select(feedback_tasks.c.reviewers_wanted)
    .where(
        feedback_tasks.c.organization_id == _QUEUE.organization_id,
        feedback_tasks.c.id == _QUEUE.task_id,
    )
    .scalar_subquery()
)
_COUNT_REVIEWS = (
    select(
        feedback_completions.c.completion_id,
        func.count(feedback_completions.c.reviewer.distinct()),
    )
    .where(
        feedback_completions.c.organization_id == bindparam("organization"),
        feedback_completions.c.task_id == bindparam("task"),
        feedback_completions.c.completion_id.in_(bindparam("completions", expanding=True)),
        COUNTS,
        _IS_REVIEW,
    )
    .group_by(feedback_completions.c.completion_id)
)
_ORGANIZATION = bindparam("organization", type_=AnyText)
_PLACES = select(_QUEUE.task_id, _QUEUE.completion_id, _QUEUE.open).where(
    _QUEUE.organization_id == _ORGANIZATION,
    # The task comes before the completion in the key.
    _QUEUE.task_id.in_(
        select(feedback_tasks.c.id).where(feedback_tasks.c.organization_id == _ORGANIZATION)
    ),
    _QUEUE.completion_id.in_(bindparam("completions", expanding=True)),
)
_DELETE = feedback_queue.delete().where(
    _QUEUE.organization_id == bindparam("organization"),
    _QUEUE.task_id == bindparam("task"),
    _QUEUE.completion_id == bindparam("completion"),
)


def _count_and_recount(
    chosen: ColumnElement[bool],
) -> tuple[Select[int], Update]:
    """Statements that count the open places among some of a task, and count their reviews."""
    where = (_QUEUE.organization_id == _ORGANIZATION, _QUEUE.task_id == bindparam("task"), chosen)
    return (
        select(func.count()).select_from(feedback_queue).where(*where, IS_OPEN),
        update(feedback_queue).where(*where).values(reviews=_REVIEWS, open=_REVIEWS < _WANTED),
    )


_COUNTED = {
    "some": _count_and_recount(_QUEUE.completion_id.in_(bindparam("completions", expanding=True))),
    # A place without feedback is open, however many reviewers are wanted.
    "all": _count_and_recount(
        _QUEUE.completion_id.in_(
            select(feedback_completions.c.completion_id).where(
                feedback_completions.c.organization_id == _ORGANIZATION,
                feedback_completions.c.task_id == bindparam("task"),
            )
        )
    ),
}


class _Token(msgspec.Struct):
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _LogprobsChoice(msgspec.Struct):
    logprobs: _Logprobs | None = None


class _Response(msgspec.Struct):
    choices: list[_LogprobsChoice] = []


_RESPONSES = msgspec.json.Decoder(_Response)


_LEAST_LOGPROB = -745.0
"""Its probability is too small for a number."""


def _mean_logprob(completion: Completion) -> float | None:
    """The mean over all tokens of an answer; None if it has no logprobs."""
    if completion.p_mean is not None:
        return math.log(completion.p_mean) if completion.p_mean > 0 else _LEAST_LOGPROB
    response = completion.response
    if not response or b'"logprob"' not in response:
        return None
    try:
        choices = _RESPONSES.decode(response).choices
    except (msgspec.DecodeError, UnicodeError):
        return None
    tokens = [
        token.logprob
        for choice in choices
        if choice.logprobs is not None
        for token in choice.logprobs.content or ()
    ]
    return sum(tokens) / len(tokens) if tokens else None
