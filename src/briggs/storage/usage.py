"""Token usage and cost, summed up over completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, case, func

from briggs.storage.access import Access
from briggs.storage.queries import Query, select_page
from briggs.storage.tables import completions

DAY_US = 86_400_000_000


class DailyUsage(msgspec.Struct, kw_only=True):
    """The totals of a model's finished completions on one day."""

    day: int
    """The start of the day in UTC, as Unix time in microseconds."""
    model: str
    """The model that the answers name, or else the one that the callers named."""
    completions: int
    prompt_tokens: int
    """Only of completions whose tokens the provider counted. Estimates are kept apart."""
    completion_tokens: int
    cost_usd: float | None
    """The cost of those with a known price; None if there are none."""
    estimated_tokens: int
    """Prompt and completion tokens that were estimated."""
    estimated_cost_usd: float | None


def counted(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The sum of a column over the completions whose tokens were not estimated."""
    return func.sum(case((_IS_ESTIMATED, None), else_=column))


def estimated(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The sum of a column over the completions whose tokens were estimated."""
    return func.sum(case((_IS_ESTIMATED, column)))


_IS_ESTIMATED = completions.c.usage_source == "estimated"


class Usage:
    """`store.usage`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list_daily(self, query: Query) -> Sequence[DailyUsage]:
        """Usage by model and day, newest day first."""
        columns = completions.c
        asked = msgspec.structs.replace(query, status="finished", payloads=False)
        begin = columns.created_at - columns.created_at % DAY_US
        model = func.coalesce(columns.response_model, columns.model)
        statement = (
            select_page(asked, after=None, limit=-1)
            .limit(None)
            .order_by(None)
            .with_only_columns(
                begin,
                model,
                func.count(),
                func.coalesce(counted(columns.prompt_tokens), 0),
                func.coalesce(counted(columns.completion_tokens), 0),
                counted(columns.cost_usd),
                func.coalesce(estimated(columns.total_tokens), 0),
                estimated(columns.cost_usd),
            )
            .group_by(begin, model)
            .order_by(begin.desc(), model)
        )
        return await self._access.read(
            lambda connection: [
                DailyUsage(
                    day=day,
                    model=name,
                    completions=count,
                    prompt_tokens=prompt,
                    completion_tokens=completion,
                    cost_usd=cost,
                    estimated_tokens=tokens,
                    estimated_cost_usd=estimate,
                )
                for day, name, count, prompt, completion, cost, tokens, estimate in (
                    connection.execute(statement)
                )
            ]
        )
