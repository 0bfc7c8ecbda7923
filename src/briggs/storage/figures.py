"""Statistics over completions: sums, failures and exact percentiles, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    LargeBinary,
    Select,
    case,
    cast,
    func,
    literal,
    select,
)

from briggs.storage.access import Access
from briggs.storage.database import database_of
from briggs.storage.functions import json_elements
from briggs.storage.queries import Query, check_query, select_page
from briggs.storage.tables import completions
from briggs.storage.types import AnyInteger
from briggs.storage.usage import DAY_US
from briggs.types.errors import InvalidRequest
from briggs.types.filters import list_words
from briggs.types.statistics import (
    Estimates,
    Figures,
    GroupFigures,
    Grouping,
    Percentiles,
    Statistics,
)

COMPLETIONS_MAX = 1_000_000
GROUPS_MAX = 366
FAILURES_MAX = 1_000

_COLUMNS = completions.c
_IS_ESTIMATED = func.coalesce(_COLUMNS.usage_source == "estimated", False)


class CompletionFigures:
    """`store.figures`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._turn = asyncio.Lock()
        """Allows one at a time, so that the other readers stay free."""

    async def retrieve(self, query: Query, *, by: Grouping | None = None) -> Statistics:
        """Compute the figures of the query's completions. Ignores its text and its page.

        Raises `InvalidRequest` if there are more than `COMPLETIONS_MAX`.
        """
        if query.filter is not None and list_words(query.filter):
            raise InvalidRequest(
                "filter: statistics cannot search for words. Leave them out.", param="filter"
            )
        query = msgspec.structs.replace(query, payloads=False, text=None, after=None, sort="time")
        async with self._turn:
            return await self._access.read(lambda connection: _retrieve(connection, query, by))


def _retrieve(connection: Connection, query: Query, by: Grouping | None) -> Statistics:
    check_query(connection, query)
    with database_of(connection).snapshot(connection):
        _check_size(connection, query)
        whole = _Reading(connection, query, key=literal(1))
        total = whole.figures[0][1] if whole.figures else Figures()
        if by is None:
            return Statistics(total=total)
        parts = _Reading(connection, query, key=_key_of(by), by=by)
    groups = [
        GroupFigures(key=_name(key, by), **msgspec.structs.asdict(figures))
        for key, figures in parts.figures[:GROUPS_MAX]
    ]
    if by == "day":
        groups.sort(key=lambda group: group.key)
    return Statistics(total=total, by=by, groups=groups, has_more=len(parts.figures) > GROUPS_MAX)


class _Reading:
    """The figures by key. Days are sorted newest first, other keys by number of completions."""

    def __init__(
        self,
        connection: Connection,
        query: Query,
        *,
        key: ColumnElement[Any],
        by: Grouping | None = None,
    ) -> None:
        self._connection = connection
        self._query = query
        self._key = key
        self._by = by
        by_key = {row[0]: _read_figures(row[1:]) for row in self._read_sums()}
        self.figures: Sequence[tuple[Any, Figures]] = list(by_key.items())
        self._add_failures(by_key)
        for name in ("duration_ms", "first_token_ms"):
            self._add_percentiles(by_key, name)

    def _select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        page = select_page(self._query, after=None, limit=-1).limit(None).order_by(None)
        if self._by == "tag":
            page = page.join(_TAGS, literal(True))
        return page.with_only_columns(self._key.label("key"), *columns)

    def _read_sums(self) -> Sequence[Any]:
        order = self._key.desc() if self._by == "day" else func.count().desc()
        statement = self._select(*_SUMS).group_by(self._key).order_by(order, self._key)
        return self._connection.execute(statement.limit(GROUPS_MAX + 1)).all()

    def _add_failures(self, by_key: Mapping[Any, Figures]) -> None:
        kind = func.coalesce(_COLUMNS.failure_kind, "unknown")
        statement = (
            self._select(kind, func.count())
            .where(_COLUMNS.status == "failed")
            .group_by(self._key, kind)
            .order_by(func.count().desc(), kind)
            .limit(FAILURES_MAX)
        )
        for key, name, count in self._connection.execute(statement):
            if key in by_key:
                by_key[key].failures[name] = count

    def _add_percentiles(self, by_key: Mapping[Any, Figures], name: str) -> None:
        """By nearest rank: the smallest value that this share of all values does not exceed."""
        value = _COLUMNS[name]
        ranked = (
            self._select(
                value.label("value"),
                func.row_number().over(partition_by=self._key, order_by=value).label("place"),
                func.count().over(partition_by=self._key).label("count"),
            )
            .where(value.is_not(None))
            .subquery()
            .c
        )
        statement = select(
            ranked.key,
            *(
                func.min(case((ranked.place * 100 >= ranked.count * share, ranked.value)))
                for share in (50, 95)
            ),
        ).group_by(ranked.key)
        for key, p50, p95 in self._connection.execute(statement):
            if key in by_key:
                setattr(by_key[key], name, Percentiles(p50=p50, p95=p95))


def _check_size(connection: Connection, query: Query) -> None:
    few = select_page(query, after=None, limit=COMPLETIONS_MAX + 1).order_by(None)
    counted = select(func.count()).select_from(
        few.with_only_columns(_COLUMNS.created_at).subquery()
    )
    if connection.execute(counted).scalar_one() > COMPLETIONS_MAX:
        raise InvalidRequest(
            f"More than {COMPLETIONS_MAX:,} completions match: choose a shorter time range.",
            param="created[gte]",
        )


# Tags are read as bytes, because a text that is not UTF-8 cannot be read as text.
_TAGS = json_elements(_COLUMNS.tags).table_valued("value")


def _key_of(by: Grouping) -> ColumnElement[Any]:
    if by == "day":
        return _COLUMNS.created_at - _COLUMNS.created_at % DAY_US
    if by == "tag":
        return cast(_TAGS.c.value, LargeBinary)
    return func.coalesce(func.nullif(_COLUMNS.model, ""), _COLUMNS.response_model, "")


def _name(key: Any, by: Grouping) -> str:
    if by == "day":
        return datetime.fromtimestamp(key / 1_000_000, UTC).strftime("%Y-%m-%d")
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.count(case((condition, 1)))


def _tokens(name: str, *, estimated: bool) -> ColumnElement[Any]:
    """A sum of tokens. Integers would overflow, which is an error in SQL. Floats do not."""
    condition = _IS_ESTIMATED if estimated else ~_IS_ESTIMATED
    counted = case((condition, _COLUMNS[name]))
    return cast(func.coalesce(func.sum(cast(counted, Float)), 0), AnyInteger)


_SUMS = (
    func.count(),
    *(_count_where(_COLUMNS.status == status) for status in ("finished", "failed", "started")),
    *(
        _tokens(name, estimated=False)
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    ),
    func.sum(case((~_IS_ESTIMATED, _COLUMNS.cost_usd))),
    func.count(case((~_IS_ESTIMATED, _COLUMNS.cost_usd))),
    _count_where(_IS_ESTIMATED),
    _tokens("prompt_tokens", estimated=True),
    _tokens("completion_tokens", estimated=True),
    func.sum(case((_IS_ESTIMATED, _COLUMNS.cost_usd))),
)


def _read_figures(sums: Sequence[Any]) -> Figures:
    count, finished, failed, started, prompt, completion, cached, reasoning, *rest = sums
    cost, priced, estimates, estimated_prompt, estimated_completion, estimated_cost = rest
    return Figures(
        completions=count,
        finished=finished,
        failed=failed,
        started=started,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        reasoning_tokens=reasoning,
        cost_usd=cost,
        priced=priced,
        estimated=Estimates(
            completions=estimates,
            prompt_tokens=estimated_prompt,
            completion_tokens=estimated_completion,
            cost_usd=estimated_cost,
        ),
    )
