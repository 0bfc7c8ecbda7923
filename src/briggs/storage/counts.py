"""Counts the completions that match a query, up to a limit of number and time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection

from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.queries import Query, check_query, select_page
from briggs.storage.search import search
from briggs.storage.tables import completions

COUNT_MAX = 10_000
COUNTED_WITHIN_S = 0.25


class Count(msgspec.Struct, kw_only=True, frozen=True):
    """How many there are. If `is_exact` is false, there are at least this many."""

    count: int
    is_exact: bool


def count(connection: Connection, *, query: Query, bodies: Bodies) -> Count:
    """Count up to `COUNT_MAX`, or what can be counted within `COUNTED_WITHIN_S`."""
    query = msgspec.structs.replace(query, payloads=False, sort="time")
    check_query(connection, query)
    found = 0
    try:
        with database_of(connection).time_limit(connection, COUNTED_WITHIN_S):
            for _ in _find(connection, query=query, bodies=bodies):
                if found == COUNT_MAX:
                    return Count(count=found, is_exact=False)
                found += 1
    except TimeoutError:
        return Count(count=found, is_exact=False)
    return Count(count=found, is_exact=True)


def _find(connection: Connection, *, query: Query, bodies: Bodies) -> Iterator[object]:
    if query.has_words:
        until = time.monotonic() + COUNTED_WITHIN_S
        return search(connection, query=query, after=None, bodies=bodies, until=until)
    statement = select_page(query, after=None, limit=COUNT_MAX + 1)
    return iter(connection.execute(statement.with_only_columns(completions.c.created_at)))
