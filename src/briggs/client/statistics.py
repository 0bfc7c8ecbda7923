"""The client's statistics: totals over many completions."""

from __future__ import annotations

from typing import Unpack

from briggs.client.completions import CompletionFilters, encode_filters
from briggs.client.connection import ServerConnection, encode_query
from briggs.types.statistics import Grouping, Statistics

_PATH = "/api/v1/statistics"


class StatisticsCalls:
    """`client.statistics`: the calls, failures, tokens, cost and times of completions."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def retrieve(
        self, *, by: Grouping | None = None, **filters: Unpack[CompletionFilters]
    ) -> Statistics:
        """Totals over the completions that match, and for each model, tag or day.

        Completions of every status count, unless `status` is given. The filters `text`, `order`
        and `include` are not supported. Raises `Refused` if more than a million match.
        """
        query = [*encode_filters(filters), *encode_query(by=by)]
        return await self._connection.request("GET", _PATH, Statistics, query=query)
