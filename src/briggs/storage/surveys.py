"""Looks over the completions of a query: how many, when, which models, tags, rules and grades."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, and_, case, func, select

from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.queries import Query, check_query, select_page
from briggs.storage.search import search
from briggs.storage.tables import completions, feedback, feedback_completions
from briggs.types.completions import Completion

ROWS_MAX = 10_000
WITHIN_S = 0.25
IDS_MAX = 500

FACETS = ("status", "model", "tag", "provider", "rules", "graded")


class Bin(msgspec.Struct, frozen=True):
    """A part of the time range."""

    count: int = 0
    failed: int = 0


class Survey(msgspec.Struct, kw_only=True):
    """What the completions of a query have in common. It ends at `ROWS_MAX`, and after
    `WITHIN_S`. It is then about the newest of them only, and `is_exact` is false.
    """

    count: int = 0
    is_exact: bool = True
    facets: dict[str, Counter[str]]
    """How many have each value, by the names in `FACETS`."""
    with_logprobs: int = 0
    bins: list[Bin]
    """Equal parts of the query's time range. Empty without one."""


def look_over(connection: Connection, *, query: Query, bins: int, bodies: Bodies) -> Survey:
    """Look over a query's completions. If it has a time range, `bins` parts of that are counted."""
    check_query(connection, query)
    query = msgspec.structs.replace(query, payloads=False, sort="time", order="desc", after=None)
    seen: list[_Seen] = []
    survey = Survey(facets={name: Counter() for name in FACETS}, bins=[])
    survey.is_exact = _collect(connection, query, bodies, into=seen)
    survey.count = len(seen)
    _count_facets(seen, into=survey)
    survey.facets["graded"] = _count_graded(
        connection, [each.id for each in seen], organization_id=query.organization_id
    )
    begin, end = query.created_from, query.created_to
    if begin is not None and end is not None and end > begin:
        width = max(1, -(-(end - begin) // bins))
        counted = None if survey.is_exact or query.has_words else _bin(connection, query, width)
        survey.bins = counted or _bin_seen(seen, begin, width)
        survey.bins += [Bin()] * (bins - len(survey.bins))
    return survey


class _Seen(msgspec.Struct):
    id: str
    created_at: int
    status: str
    model: str
    provider: str
    tags: list[str]
    violates: list[str]
    fixed: list[str]
    has_logprobs: bool


_COLUMNS = completions.c
_SEEN = (
    _COLUMNS.id,
    _COLUMNS.created_at,
    _COLUMNS.status,
    _COLUMNS.model,
    _COLUMNS.response_model,
    _COLUMNS.provider,
    _COLUMNS.tags,
    _COLUMNS.violates,
    _COLUMNS.fixes,
    _COLUMNS.p_least,
)


def _collect(connection: Connection, query: Query, bodies: Bodies, *, into: list[_Seen]) -> bool:
    """Collect the newest. Returns whether these are all."""
    end = time.monotonic() + WITHIN_S
    rows = _search(connection, query, bodies, end) if query.has_words else _read(connection, query)
    try:
        with database_of(connection).time_limit(connection, WITHIN_S):
            for each in rows:
                if len(into) == ROWS_MAX or (query.has_words and time.monotonic() > end):
                    return False
                into.append(each)
    except TimeoutError:
        return False
    return True


def _read(connection: Connection, query: Query) -> Iterator[_Seen]:
    statement = select_page(query, after=None, limit=ROWS_MAX + 1).with_only_columns(*_SEEN)
    for row in connection.execute(statement):
        id, created_at, status, model, answered, provider, tags, violates, fixes, least = row
        yield _Seen(
            id,
            created_at,
            status,
            answered or model,
            provider or "",
            tags,
            violates,
            [fix.rule for fix in fixes],
            least is not None,
        )


def _search(connection: Connection, query: Query, bodies: Bodies, until: float) -> Iterator[_Seen]:
    found: Iterator[Completion] = search(
        connection, query=query, after=None, bodies=bodies, until=until
    )
    for each in found:
        yield _Seen(
            each.id,
            each.created_at,
            each.status,
            each.response_model or each.model,
            each.provider or "",
            each.tags,
            each.violates,
            [fix.rule for fix in each.fixes],
            each.p_least is not None,
        )


def _count_facets(seen: Sequence[_Seen], *, into: Survey) -> None:
    facets = into.facets
    for each in seen:
        facets["status"][each.status] += 1
        facets["model"][each.model] += 1
        facets["provider"][each.provider] += 1
        facets["tag"].update(set(each.tags))
        if each.fixed:
            facets["rules"]["mended"] += 1
        if set(each.violates) - set(each.fixed):
            facets["rules"]["left"] += 1
        if not each.fixed and not each.violates:
            facets["rules"]["none"] += 1
        into.with_logprobs += each.has_logprobs
    for name in ("model", "provider"):
        del facets[name][""]


def _count_graded(
    connection: Connection, ids: Sequence[str], *, organization_id: str
) -> Counter[str]:
    """How many were graded by people, by a model, through the API, or not at all."""
    kinds = {"person": "people", "model": "model", "api": "api"}
    graded: dict[str, set[str]] = {name: set() for name in kinds.values()}
    about = feedback_completions.c
    for begin in range(0, len(ids), IDS_MAX):
        statement = (
            select(about.completion_id, feedback.c.reviewer_kind)
            .join(
                feedback,
                and_(
                    feedback.c.organization_id == about.organization_id,
                    feedback.c.id == about.feedback_id,
                ),
            )
            .where(
                about.organization_id == organization_id,
                about.completion_id.in_(ids[begin : begin + IDS_MAX]),
            )
        )
        for id, kind in connection.execute(statement):
            graded[kinds[kind]].add(id)
    counts = Counter({name: len(found) for name, found in graded.items()})
    counts["none"] = len(ids) - len(set().union(*graded.values()))
    return counts


def _bin_seen(seen: Sequence[_Seen], begin: int, width: int) -> list[Bin]:
    counts = Counter((each.created_at - begin) // width for each in seen)
    failed = Counter((each.created_at - begin) // width for each in seen if each.status == "failed")
    return [Bin(counts[place], failed[place]) for place in range(max(counts, default=-1) + 1)]


def _bin(connection: Connection, query: Query, width: int) -> list[Bin] | None:
    """Count all by time. None if there are too many to count."""
    begin = query.created_from
    place = (_COLUMNS.created_at - begin) // width
    statement = (
        select_page(query, after=None, limit=-1)
        .limit(None)
        .order_by(None)
        .with_only_columns(place, func.count(), func.count(case((_COLUMNS.status == "failed", 1))))
        .group_by(place)
    )
    try:
        with database_of(connection).time_limit(connection, WITHIN_S):
            rows = connection.execute(statement).all()
    except TimeoutError:
        return None
    by_place = {row[0]: Bin(row[1], row[2]) for row in rows}
    return [by_place.get(place, Bin()) for place in range(max(by_place, default=-1) + 1)]
