"""Statistics from outside: what many completions come to."""

from __future__ import annotations

from typing import Unpack

from briggs.client.completions import CompletionFilters, encode_filters
from briggs.client.connection import Connection, encode_query
from briggs.types.statistics import Group, Statistics

_PATH = "/api/v1/statistics"


class StatisticsCalls:
    """`client.statistics`: calls, failures, tokens, cost and times of what was recorded."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def retrieve(
        self, *, by: Group | None = None, **filters: Unpack[CompletionFilters]
    ) -> Statistics:
        """What the completions that match come to, in all and by model, tag or day.

        They are of any status unless `status` says otherwise. `text`, `order` and `include`
        cannot be asked here. Raises `Refused` where they are more than a million.
        """
        query = [*encode_filters(filters), *encode_query(by=by)]
        return await self._connection.request("GET", _PATH, Statistics, query=query)
