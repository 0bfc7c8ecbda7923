"""Counts the completions that match a query, up to a limit of number and time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from briggs.storage.bodies import Bodies
from briggs.storage.queries import Query, select_page
from briggs.storage.search import search
from briggs.storage.sqlite.connections import driver
from briggs.storage.tables import completions

COUNT_MAX = 10_000
COUNTED_WITHIN_S = 0.25

_STEPS = 10_000
"""How many of SQLite's steps pass between two checks of the clock: about a millisecond."""


class Count(msgspec.Struct, kw_only=True, frozen=True):
    """How many there are. If `is_exact` is false, there are at least this many."""

    count: int
    is_exact: bool


def count(connection: Connection, *, query: Query, bodies: Bodies) -> Count:
    """Count up to `COUNT_MAX`, or what can be counted within `COUNTED_WITHIN_S`."""
    query = msgspec.structs.replace(query, payloads=False)
    found = 0
    try:
        with _deadline(connection):
            for _ in _find(connection, query=query, bodies=bodies):
                if found == COUNT_MAX:
                    return Count(count=found, is_exact=False)
                found += 1
    except OperationalError as error:
        if getattr(error.orig, "sqlite_errorname", None) != "SQLITE_INTERRUPT":
            raise
        return Count(count=found, is_exact=False)
    return Count(count=found, is_exact=True)


def _find(connection: Connection, *, query: Query, bodies: Bodies) -> Iterator[object]:
    if query.text:
        return search(connection, query=query, after=None, bodies=bodies)
    statement = select_page(query, after=None, limit=COUNT_MAX + 1)
    return iter(connection.execute(statement.with_only_columns(completions.c.created_at)))


@contextmanager
def _deadline(connection: Connection) -> Iterator[None]:
    """Interrupt any read that is still running after the deadline."""
    end = time.monotonic() + COUNTED_WITHIN_S
    inner = driver(connection)
    inner.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        yield
    finally:
        inner.set_progress_handler(None, 0)
