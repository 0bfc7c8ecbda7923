"""What was used, summed up from the completions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import func

from briggs.storage.access import Access
from briggs.storage.completions import Query, select_page
from briggs.storage.sqlite import original
from briggs.storage.tables import completions

DAY_US = 86_400_000_000


class DailyUsage(msgspec.Struct, kw_only=True):
    """What the finished completions of a model came to on a day."""

    day: int
    """Its first moment, in UTC; Unix time in microseconds."""
    model: str
    """As the answers name it, or else as the callers did."""
    completions: int
    prompt_tokens: int
    """Of the completions whose tokens were counted."""
    completion_tokens: int
    cost_usd: float | None
    """Of the completions whose price is known; None where that is none of them."""


class Usage:
    """`store.usage`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list_daily(self, query: Query) -> Sequence[DailyUsage]:
        """By model and day, the newest day first."""
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
                func.coalesce(func.sum(columns.prompt_tokens), 0),
                func.coalesce(func.sum(columns.completion_tokens), 0),
                func.sum(columns.cost_usd),
            )
            .group_by(begin, model)
            .order_by(begin.desc(), model)
        )
        return await self._access.read(
            lambda connection: [
                DailyUsage(
                    day=day,
                    model=original(name, type=str),
                    completions=count,
                    prompt_tokens=prompt,
                    completion_tokens=completion,
                    cost_usd=cost,
                )
                for day, name, count, prompt, completion, cost in connection.execute(statement)
            ]
        )
