"""Selects the completions that a query asks for, in its order, from the narrowest index."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from sqlalchemy import Select, Subquery, Table, and_, column, or_, select, tuple_

from briggs.storage.functions import json_elements
from briggs.storage.records import SELECT, SELECT_HEADS
from briggs.storage.tables import (
    IS_STARTED,
    completion_metadata,
    completion_rules,
    completion_tags,
    completions,
)
from briggs.storage.types import AnyText
from briggs.types.completions import Status
from briggs.types.errors import InvalidRequest

FOUND_BY_QUERY_MAX = 50
"""How many tags, pairs of metadata and rules one query may name. Each becomes a join, and SQLite
joins at most 64 tables."""


class Query(msgspec.Struct, kw_only=True, frozen=True):
    """Selects the completions to list. Members that are None or empty do not filter."""

    organization_id: str
    model: str | None = None
    """The model that the caller named, or the one that the answer names."""
    provider: str | None = None
    status: Status | None = None
    session_id: str | None = None
    tags: list[str] = []
    """The completion must have all of these."""
    without_tags: list[str] = []
    """The completion must have none of these."""
    violates: list[str] = []
    """The ids of rules. The answer must break all of them."""
    caller_left: bool | None = None
    """Whether the caller left before the end of the answer."""
    metadata: dict[str, str] = {}
    """The completion must have all of these pairs."""
    created_from: int | None = None
    """Unix time in microseconds, inclusive."""
    created_to: int | None = None
    """Unix time in microseconds, exclusive."""
    source: Literal["gateway", "client"] | None = None
    user: str | None = None
    finish_reason: str | None = None
    """The finish reason of at least one choice."""
    failure_kind: str | None = None
    duration_ms_min: float | None = None
    duration_ms_max: float | None = None
    cost_usd_min: float | None = None
    cost_usd_max: float | None = None
    """Bounds are inclusive. A completion whose value is unknown never matches a bound."""
    text: str | None = None
    """A text that the request's or the response's messages contain, ignoring case."""
    after: str | None = None
    """The id of the completion that the page follows. It may have been deleted."""
    offset: int = 0
    """How many completions to skip first, for clients that do not use cursors."""
    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    """By `created_at`, then by `id`."""
    payloads: bool = True
    """Whether to read the bodies. Otherwise `request` is empty and the others are None."""

    def __post_init__(self) -> None:
        if len(self.tags) + len(self.metadata) + len(self.violates) > FOUND_BY_QUERY_MAX:
            raise InvalidRequest(
                f"The query names more than {FOUND_BY_QUERY_MAX} tags, pairs of metadata and "
                "rules: name fewer."
            )


def select_page(
    query: Query, *, after: tuple[int, str] | None, limit: int
) -> Select[tuple[Any, ...]]:
    """The statement for a page. It reads from the narrowest index that the query allows."""
    sources = [_find(completion_tags, query, tag=tag) for tag in query.tags]
    sources += [
        _find(completion_metadata, query, key=key, value=value)
        for key, value in query.metadata.items()
    ]
    sources += [_find(completion_rules, query, rule=rule) for rule in query.violates]
    lead = sources[0] if sources else None
    created_at = completions.c.created_at if lead is None else lead.c.created_at
    id = completions.c.id if lead is None else lead.c.completion_id

    statement = SELECT if query.payloads or query.text else SELECT_HEADS
    for source in sources:
        statement = statement.join(
            source,
            and_(
                source.c.completion_id == completions.c.id,
                source.c.created_at == completions.c.created_at,
            ),
        )
    statement = statement.where(
        completions.c.organization_id == query.organization_id, *_conditions(query)
    )
    if query.created_from is not None:
        statement = statement.where(created_at >= query.created_from)
    if query.created_to is not None:
        statement = statement.where(created_at < query.created_to)
    if query.order == "asc":
        if after is not None:
            statement = statement.where(tuple_(created_at, id) > after)
        return statement.order_by(created_at, id).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(created_at, id) < after)
    return statement.order_by(created_at.desc(), id.desc()).limit(limit)


_EQUAL = ("provider", "session_id", "source", "user", "failure_kind")
_BOUNDED = ("duration_ms", "cost_usd")


def _conditions(query: Query) -> list[Any]:
    """The filters on columns of the completion's own row."""
    conditions: list[Any] = []
    if query.model is not None:
        columns = completions.c
        conditions.append(or_(columns.model == query.model, columns.response_model == query.model))
    if query.status == "started":
        conditions.append(IS_STARTED)
    elif query.status is not None:
        conditions.append(completions.c.status == query.status)
    conditions += [
        completions.c[name] == wanted
        for name in _EQUAL
        if (wanted := getattr(query, name)) is not None
    ]
    if query.without_tags:
        unwanted = completion_tags.alias()
        conditions.append(
            ~select(unwanted.c.tag)
            .where(
                unwanted.c.organization_id == query.organization_id,
                unwanted.c.tag.in_(query.without_tags),
                unwanted.c.created_at == completions.c.created_at,
                unwanted.c.completion_id == completions.c.id,
            )
            .exists()
        )
    if query.finish_reason is not None:
        reasons = json_elements(completions.c.finish_reasons).table_valued(column("value", AnyText))
        found = reasons.c.value == query.finish_reason
        conditions.append(select(reasons.c.value).where(found).exists())
    for name in _BOUNDED:
        if (least := getattr(query, f"{name}_min")) is not None:
            conditions.append(completions.c[name] >= least)
        if (most := getattr(query, f"{name}_max")) is not None:
            conditions.append(completions.c[name] <= most)
    if query.caller_left is not None:
        left = completions.c.caller_left_ms
        conditions.append(left.is_not(None) if query.caller_left else left.is_(None))
    return conditions


def _find(table: Table, query: Query, **values: str) -> Subquery:
    """The completions that an index table has under these values, in the query's organization."""
    wanted = {"organization_id": query.organization_id, **values}
    conditions = [table.c[name] == value for name, value in wanted.items()]
    return select(table).where(*conditions).subquery()
