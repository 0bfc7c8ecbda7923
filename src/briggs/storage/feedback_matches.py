"""Keeps the queues of tasks in step with the tags of completions and their feedback."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, exists, func, select, update

from briggs.storage.database import database_of
from briggs.storage.tables import feedback, feedback_completions, feedback_queue, feedback_tasks
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
            put(connection, task_id=selector.task_id, wanted=selector.wanted, of=chosen)


def is_selected(tags: Collection[str], *, kind: CallKind, by: Collection[str]) -> bool:
    """Whether a completion with these tags awaits a task that selects `by`.

    Briggs's own calls, such as those of judges, await only the tasks that name their tag. Those
    that wrote no text await none.
    """
    if kind in TEXTLESS:
        return False
    return set(by).issubset(tags) and OWN_TAGS.intersection(tags).issubset(by)


def withdraw(connection: Connection, *, completion: Completion) -> None:
    """Take a completion out of every queue."""
    keys = [
        {"task": selector.task_id, "completion": completion.id}
        for selector in _list_selectors(connection)
        if selector.organization_id == completion.organization_id
    ]
    if keys:
        connection.execute(_DELETE, keys)


def forget_selectors(connection: Connection) -> None:
    """Forget the cached tasks, after one was created or changed."""
    database_of(connection).remembered.pop(_SELECTORS, None)


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


def put(connection: Connection, *, task_id: str, wanted: int, of: Sequence[Completion]) -> None:
    """Put completions into a task's queue."""
    parameters = {"task": task_id, "completions": [each.id for each in of]}
    reviews = {row[0]: row[1] for row in connection.execute(_COUNT_REVIEWS, parameters)}
    ready = [
        (
            task_id,
            each.id,
            each.created_at,
            each.model,
            each.response_model,
            _mean_logprob(each.response),
            find_place(each.id),
            reviews.get(each.id, 0),
            reviews.get(each.id, 0) < wanted,
        )
        for each in of
    ]
    database_of(connection).insert_missing(connection, feedback_queue, ready)


def count_reviews(
    connection: Connection, *, task_id: str, completion_ids: Collection[str] | None = None
) -> None:
    """Update the review counts in a queue, for some completions or for all."""
    if completion_ids is None:
        connection.execute(_RECOUNT_ALL, {"task": task_id})
    elif completion_ids:
        each = [{"task": task_id, "completion": id} for id in completion_ids]
        connection.execute(_RECOUNT, each)


def find_place(name: str) -> int:
    """The position of a name on the circle."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % PLACES


_SELECTORS = "feedback selectors"
_QUEUE = feedback_queue.c
COUNTS = exists().where(
    feedback.c.id == feedback_completions.c.feedback_id,
    feedback_tasks.c.id == feedback_completions.c.task_id,
    feedback.c.task_version >= feedback_tasks.c.counts_from,
)
"""Whether a feedback answers a version of its task that still counts."""
_IS_REVIEW = exists().where(
    feedback.c.id == feedback_completions.c.feedback_id, feedback.c.reviewer_kind != "model"
)
"""Whether a person gave it. What a judge says makes no review of people unnecessary."""
_REVIEWS = (
    select(func.count(feedback_completions.c.reviewer.distinct()))
    .where(
        feedback_completions.c.task_id == _QUEUE.task_id,
        feedback_completions.c.completion_id == _QUEUE.completion_id,
        COUNTS,
        _IS_REVIEW,
    )
    .scalar_subquery()
)
_WANTED = (
    select(feedback_tasks.c.reviewers_wanted)
    .where(feedback_tasks.c.id == _QUEUE.task_id)
    .scalar_subquery()
)
_COUNT_REVIEWS = (
    select(
        feedback_completions.c.completion_id,
        func.count(feedback_completions.c.reviewer.distinct()),
    )
    .where(
        feedback_completions.c.task_id == bindparam("task"),
        feedback_completions.c.completion_id.in_(bindparam("completions", expanding=True)),
        COUNTS,
        _IS_REVIEW,
    )
    .group_by(feedback_completions.c.completion_id)
)
_RECOUNT_ALL = (
    update(feedback_queue)
    .where(_QUEUE.task_id == bindparam("task"))
    .values(reviews=_REVIEWS, open=_REVIEWS < _WANTED)
)
_DELETE = feedback_queue.delete().where(
    _QUEUE.task_id == bindparam("task"), _QUEUE.completion_id == bindparam("completion")
)
_RECOUNT = _RECOUNT_ALL.where(_QUEUE.completion_id == bindparam("completion"))


class _Token(msgspec.Struct):
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _LogprobsChoice(msgspec.Struct):
    logprobs: _Logprobs | None = None


class _Response(msgspec.Struct):
    choices: list[_LogprobsChoice] = []


_RESPONSES = msgspec.json.Decoder(_Response)


def _mean_logprob(response: bytes | None) -> float | None:
    """The mean over all tokens of an answer; None if it has no logprobs."""
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
