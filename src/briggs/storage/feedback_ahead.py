"""Finds in the record what a reviewer gets next from a queue that is not filled yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Table, exists, func, select

from briggs.storage.database import database_of
from briggs.storage.feedback_fill import NEWEST, SIEVED
from briggs.storage.feedback_matches import COUNTS, PLACES, find_place
from briggs.storage.functions import by_key
from briggs.storage.pages import list_first_ids
from briggs.storage.queries import FOUND_BY_QUERY_MAX, Place, Query, select_page
from briggs.storage.tables import (
    completions,
    feedback_completions,
    feedback_queue,
    feedback_skips,
    feedback_tasks,
)
from briggs.types.completions import OWN_TAGS, TEXTLESS
from briggs.types.feedback import FeedbackTask, Wish
from briggs.types.filters import AllOf, Comparison, Filter, Value

FOUND = 32
"""How many are put into the queue at once."""
SORTED = 200
"""How many of those with the lowest probability are looked at."""
POINTS = 8
"""At how many moments of the record a random order looks."""
WITHIN_S = 0.2
"""How long the record is searched. If nothing is found by then, the queue says what is free."""

_COLUMNS = completions.c
IS_GRADABLE = (_COLUMNS.kind.not_in(TEXTLESS), _COLUMNS.bodies_deleted_at.is_(None))
"""Has a text to grade."""

_TASKS = feedback_tasks.c


def look_ahead(
    connection: Connection, *, task: FeedbackTask, reviewer: str, wish: Wish
) -> list[str]:
    """The ids of completions that the reviewer should get first, and that are not in the queue.

    Empty if the queue is filled.
    """
    row = connection.execute(
        select(_TASKS.fill_created_at, _TASKS.fill_id).where(
            _TASKS.organization_id == task.organization_id, _TASKS.id == task.id
        )
    ).first()
    if row is None or row.fill_created_at is None:
        return []
    is_begun = row.fill_created_at not in (SIEVED, NEWEST)
    query = replace(
        query_record(task),
        model=wish.model,
        created_from=wish.created_from,
        created_to=wish.created_to,
    )
    ahead = _Ahead(connection, task=task, reviewer=reviewer, wish=wish, query=query)
    found: list[str] = []
    try:
        with database_of(connection).time_limit(connection, WITHIN_S):
            found.extend(
                ahead.search(Place(row.fill_created_at, row.fill_id) if is_begun else None)
            )
    except TimeoutError:
        pass
    return found


def query_record(task: FeedbackTask) -> Query:
    """What a task selects of the record, but for `IS_GRADABLE`. The newest first."""
    tags = list(dict.fromkeys(task.completion_tags_selector))
    more: list[Filter] = [
        Comparison("tag", "=", Value(text=tag)) for tag in tags[FOUND_BY_QUERY_MAX:]
    ]
    return Query(
        organization_id=task.organization_id,
        tags=tags[:FOUND_BY_QUERY_MAX],
        filter=AllOf(more) if more else None,
        without_tags=sorted(OWN_TAGS.difference(tags)),
        status="finished",
        payloads=False,
    )


class _Ahead:
    """Searches the record for one reviewer of a task."""

    def __init__(
        self,
        connection: Connection,
        *,
        task: FeedbackTask,
        reviewer: str,
        wish: Wish,
        query: Query,
    ) -> None:
        self._connection = connection
        self._task = task
        self._wish = wish
        self._query = query
        self._is_free = _list_conditions(task, reviewer=reviewer)

    def search(self, filled_to: Place | None) -> Iterator[str]:
        """The ids of the first few, not in order."""
        order = self._wish.order
        if order == "informative":
            # Only what is in the queue can have a turn.
            return iter(())
        if order == "random":
            return self._at_random(filled_to)
        if order == "low_logprob":
            return self._least_likely()
        return self._in_time(filled_to if order == "newest" else None)

    def _in_time(self, after: Place | None) -> Iterator[str]:
        query = replace(self._query, order="desc" if self._wish.order == "newest" else "asc")
        return self._take(query, after, count=FOUND)

    def _least_likely(self) -> Iterator[str]:
        # Leaving Briggs's own calls out here would take longer than sorting.
        query = replace(self._query, sort="p_mean", order="asc", limit=SORTED, without_tags=[])
        ids = list_first_ids(self._connection, query)
        ours = _COLUMNS.organization_id == self._task.organization_id
        chosen = select(_COLUMNS.id).where(ours, _COLUMNS.id.in_(ids), *self._is_free)
        chosen = by_key(chosen, completions)
        yield from filter(self._is_in_sample, self._connection.scalars(chosen))

    def _at_random(self, filled_to: Place | None) -> Iterator[str]:
        """A few from each of some moments that the seed determines, before what is filled."""
        first, last = self._find_edge("asc", None), self._find_edge("desc", filled_to)
        if first is None or last is None:
            return
        for number in range(POINTS):
            share = find_place(f"{self._wish.seed} {number}") / PLACES
            begin = first + round(share * (last - first))
            query = replace(self._query, order="asc", created_from=begin, created_to=last + 1)
            yield from self._take(query, None, count=max(1, FOUND // POINTS))

    def _find_edge(self, order: Literal["asc", "desc"], after: Place | None) -> int | None:
        """When the first or the last that the task selects was created."""
        statement = select_page(replace(self._query, order=order), after=after, limit=1)
        edge: int | None = self._connection.scalar(statement.with_only_columns(_COLUMNS.created_at))
        return edge

    def _take(self, query: Query, after: Place | None, *, count: int) -> Iterator[str]:
        limit = round(count / self._wish.sample)
        page = select_page(query, after=after, limit=limit).where(*self._is_free)
        ids = self._connection.scalars(page.with_only_columns(_COLUMNS.id))
        yield from islice(filter(self._is_in_sample, ids), count)

    def _is_in_sample(self, id: str) -> bool:
        distance = (find_place(id) - find_place(self._wish.seed)) % PLACES
        return distance < round(self._wish.sample * PLACES)


def _list_conditions(task: FeedbackTask, *, reviewer: str) -> Sequence[ColumnElement[bool]]:
    """What is free for the reviewer, and not in the queue yet."""

    def is_of(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        ours = (
            table.c.organization_id == _COLUMNS.organization_id,
            table.c.task_id == task.id,
            table.c.completion_id == _COLUMNS.id,
        )
        return exists().where(*ours, *conditions)

    given = feedback_completions.c
    reviews = (
        select(func.count(given.reviewer.distinct()))
        .where(
            given.organization_id == _COLUMNS.organization_id,
            given.task_id == task.id,
            given.completion_id == _COLUMNS.id,
            COUNTS,
        )
        .scalar_subquery()
    )
    return (
        *IS_GRADABLE,
        ~is_of(feedback_queue),
        ~is_of(feedback_skips, feedback_skips.c.reviewer == reviewer),
        ~is_of(feedback_completions, given.reviewer == reviewer, COUNTS),
        reviews < task.reviewers_wanted,
    )
