"""Counts the completions of a query in equal parts of its time range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, case, func

from briggs.storage import rollups
from briggs.storage.queries import Query, select_page
from briggs.storage.rollups import Ended
from briggs.storage.tables import IS_STARTED, completions
from briggs.types.filters import Comparison
from briggs.types.rollups import NAME_MAX, SPAN_US

HOUR_US = SPAN_US["hour"]


class Bin(msgspec.Struct, frozen=True):
    """A part of the time range."""

    count: int = 0
    failed: int = 0


class Chosen(NamedTuple):
    """The sums that are those of a query's completions."""

    status: str | None = None
    provider: str | None = None


def find_chosen(query: Query) -> Chosen | None:
    """Which sums count a query. None if it asks for what no sum is about."""
    rest = msgspec.structs.replace(query, created_from=None, created_to=None, filter=None)
    plain = Query(organization_id=query.organization_id, payloads=False, limit=query.limit)
    if rest != plain:
        return None
    if query.filter is None:
        return Chosen()
    match query.filter:
        case Comparison(field="status" | "provider" as field, operator="=", value=value):
            # Longer names are cut, and calls without a provider are counted with others.
            is_whole = not value.is_none and 0 < len(value.text) < NAME_MAX
            return Chosen(**{field: value.text}) if is_whole else None
    return None


def count_rows(connection: Connection, query: Query, *, begin: int, width: int) -> list[Bin]:
    """Count a query's completions in parts of a width, each of them."""
    by_place = _count_rows(connection, query, begin, width)
    return [by_place.get(place, Bin()) for place in range(max(by_place, default=-1) + 1)]


def count_hours(
    connection: Connection, query: Query, chosen: Chosen, *, width: int
) -> list[Bin] | None:
    """Count in parts of whole hours, by the sums of hours, and one by one only what is in the first
    and the last hour. The reads must see the same state.

    None if the sums do not have all completions yet.
    """
    begin, end = query.created_from, query.created_to
    assert begin is not None and end is not None, "only called for a range"
    first, last = -(-begin // HOUR_US) * HOUR_US, end // HOUR_US * HOUR_US
    tallies = rollups.read_hours(
        connection, organization_id=query.organization_id, begin=first, end=last
    )
    if tallies is None:
        return None
    at = begin // HOUR_US * HOUR_US
    counts: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    for hour, provider, tally in tallies:
        if chosen.provider in (None, provider):
            place, each = (hour - at) // width, _read(tally, chosen.status)
            counts[place] += each.count
            failed[place] += each.failed
    # Calls that have not ended are in no sum.
    parts = [(begin, first, False), (first, last, True), (last, end, False)]
    for start, stop, is_started in parts:
        part = msgspec.structs.replace(query, created_from=start, created_to=stop)
        found = _count_rows(connection, part, at, width, is_started=is_started)
        for place, each in found.items():
            counts[place] += each.count
            failed[place] += each.failed
    return [Bin(counts[place], failed[place]) for place in range(-(-(end - at) // width))]


def _read(tally: Ended, status: str | None) -> Bin:
    """How many of the calls that a tally counts have a status."""
    if status is None:
        return Bin(tally.calls, tally.failed)
    if status == "failed":
        return Bin(tally.failed, tally.failed)
    return Bin(tally.calls - tally.failed if status == "finished" else 0)


def _count_rows(
    connection: Connection, query: Query, begin: int, width: int, *, is_started: bool = False
) -> Mapping[int, Bin]:
    place = (completions.c.created_at - begin) // width
    statement = (
        select_page(query, after=None, limit=-1)
        .limit(None)
        .order_by(None)
        .with_only_columns(
            place, func.count(), func.count(case((completions.c.status == "failed", 1)))
        )
        .group_by(place)
    )
    if is_started:
        statement = statement.where(IS_STARTED)
    return {row[0]: Bin(row[1], row[2]) for row in connection.execute(statement)}
