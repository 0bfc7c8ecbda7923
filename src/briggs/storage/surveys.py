"""Looks over the completions of a query: how many, when, which models, tags, rules and grades."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import Connection, Dialect, and_, func, select, type_coerce

from briggs.storage.bars import HOUR_US, Bin, Chosen, count_hours, count_rows, find_chosen
from briggs.storage.batches import split
from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.queries import Query, check_query, select_page
from briggs.storage.search import search
from briggs.storage.tables import completions, feedback, feedback_completions
from briggs.storage.types import AnyText, Json, JsonText
from briggs.types.completions import Completion

ROWS_MAX = 10_000
WITHIN_S = 0.25
IDS_MAX = 500
_GRADERS = {"person": "people", "model": "model", "api": "api"}
"""The kinds of reviewers by which completions are found, and what those are called there."""

FACETS = ("status", "model", "tag", "provider", "rules", "graded")


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
    """Equal parts of the query's time range. Empty without one. If they are long, they are whole
    hours, and the first begins with the hour in which the range begins.
    """


def look_over(connection: Connection, *, query: Query, bins: int, bodies: Bodies) -> Survey:
    """Look over a query's completions. If it has a time range, `bins` parts of that are counted."""
    check_query(connection, query)
    query = msgspec.structs.replace(query, payloads=False, sort="time", order="desc", after=None)
    seen: list[_Seen] = []
    survey = Survey(facets={name: Counter() for name in FACETS}, bins=[])
    survey.is_exact = _collect(connection, query, bodies, into=seen)
    survey.count = len(seen)
    _count_facets(seen, into=survey)
    survey.facets["graded"] = _count_graded(connection, seen, query=query)
    begin, end = query.created_from, query.created_to
    if begin is not None and end is not None and end > begin:
        width = max(1, -(-(end - begin) // bins))
        counted = None if survey.is_exact or query.has_words else _bin(connection, query, width)
        survey.bins = counted or _bin_seen(seen, begin, width)
        # Whole hours are all there, and there may be fewer of them.
        is_whole = counted is not None and width >= HOUR_US
        survey.bins += [] if is_whole else [Bin()] * (bins - len(survey.bins))
    return survey


class _Kind(NamedTuple):
    """What is counted of a completion. Few of a thousand differ in it."""

    status: str
    model: str
    provider: str
    tags: Sequence[str]
    violates: Sequence[str]
    fixed: Sequence[str]
    has_logprobs: bool


class _Seen(NamedTuple):
    id: str
    created_at: int
    kind: _Kind


_COLUMNS = completions.c
_ABOUT = feedback_completions.c
_SELECT_GRADES = select(_ABOUT.completion_id, feedback.c.reviewer_kind).join(
    feedback,
    and_(feedback.c.organization_id == _ABOUT.organization_id, feedback.c.id == _ABOUT.feedback_id),
)
_SAME = and_(
    _COLUMNS.organization_id == _ABOUT.organization_id, _COLUMNS.id == _ABOUT.completion_id
)
_LISTS = (_COLUMNS.tags, _COLUMNS.violates, _COLUMNS.fixes)
_LIST_TYPES = [cast(Json, column.type) for column in _LISTS]
_SEEN = (
    _COLUMNS.id,
    _COLUMNS.created_at,
    _COLUMNS.status,
    func.coalesce(func.nullif(_COLUMNS.response_model, ""), _COLUMNS.model, type_=AnyText),
    _COLUMNS.provider,
    _COLUMNS.p_least.is_not(None),
    # As text, because most of them are the same.
    *(type_coerce(each, JsonText) for each in _LISTS),
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
    kinds: dict[Sequence[Any], _Kind] = {}
    for id, created_at, *what in connection.execute(statement):
        if (kind := kinds.get(key := tuple(what))) is None:
            kind = kinds[key] = _decode(what, connection.dialect)
        yield _Seen(id, created_at, kind)


def _decode(what: Sequence[Any], dialect: Dialect) -> _Kind:
    status, model, provider, has_logprobs, *texts = what
    tags, violates, fixes = (
        type.process_result_value(text, dialect)
        for type, text in zip(_LIST_TYPES, texts, strict=True)
    )
    fixed = [fix.rule for fix in fixes]
    return _Kind(status, model, provider or "", tags, violates, fixed, bool(has_logprobs))


def _search(connection: Connection, query: Query, bodies: Bodies, until: float) -> Iterator[_Seen]:
    found: Iterator[Completion] = search(
        connection, query=query, after=None, bodies=bodies, until=until
    )
    for each in found:
        kind = _Kind(
            each.status,
            each.response_model or each.model,
            each.provider or "",
            each.tags,
            each.violates,
            [fix.rule for fix in each.fixes],
            each.p_least is not None,
        )
        yield _Seen(each.id, each.created_at, kind)


def _count_facets(seen: Sequence[_Seen], *, into: Survey) -> None:
    facets = into.facets
    # Those of one kind that were read share it.
    kinds = {id(each.kind): each.kind for each in seen}
    for place, count in Counter(id(each.kind) for each in seen).items():
        kind = kinds[place]
        facets["status"][kind.status] += count
        facets["model"][kind.model] += count
        facets["provider"][kind.provider] += count
        for tag in set(kind.tags):
            facets["tag"][tag] += count
        if kind.fixed:
            facets["rules"]["mended"] += count
        if set(kind.violates) - set(kind.fixed):
            facets["rules"]["left"] += count
        if not kind.fixed and not kind.violates:
            facets["rules"]["none"] += count
        into.with_logprobs += kind.has_logprobs * count
    for name in ("model", "provider"):
        del facets[name][""]


def _count_graded(connection: Connection, seen: Sequence[_Seen], *, query: Query) -> Counter[str]:
    """How many were graded by people, by a model, through the API, or not at all."""
    graded: dict[str, set[str]] = {kind: set() for kind in ("person", "model", "api", "lead")}
    for id, kind in _read_grades(connection, seen, query=query):
        graded[kind].add(id)
    ids = {each.id for each in seen}
    counts = Counter({name: len(graded[kind] & ids) for kind, name in _GRADERS.items()})
    counts["none"] = len(ids - set().union(*graded.values()))
    return counts


def _read_grades(
    connection: Connection, seen: Sequence[_Seen], *, query: Query
) -> Iterator[tuple[str, str]]:
    """The grades of what was seen, and maybe of others: an id and the kind of a reviewer."""
    if seen and find_chosen(query) == Chosen():
        # Hardly anything else was created meanwhile, so no ids have to be sent.
        statement = _SELECT_GRADES.join(completions, _SAME).where(
            completions.c.organization_id == query.organization_id,
            completions.c.created_at >= seen[-1].created_at,
            completions.c.created_at <= seen[0].created_at,
        )
        yield from map(tuple, connection.execute(statement))
        return
    ids = [each.id for each in seen]
    for some in split(ids, IDS_MAX):
        statement = _SELECT_GRADES.where(
            feedback_completions.c.organization_id == query.organization_id,
            feedback_completions.c.completion_id.in_(some),
        )
        yield from map(tuple, connection.execute(statement))


def _bin_seen(seen: Sequence[_Seen], begin: int, width: int) -> list[Bin]:
    counts = Counter((each.created_at - begin) // width for each in seen)
    failed = Counter(
        (each.created_at - begin) // width for each in seen if each.kind.status == "failed"
    )
    return [Bin(counts[place], failed[place]) for place in range(max(counts, default=-1) + 1)]


def _bin(connection: Connection, query: Query, width: int) -> list[Bin] | None:
    """Count all by time. None if there are too many to count. Long parts begin with an hour."""
    assert query.created_from is not None, "only called for a range"
    chosen = find_chosen(query) if width >= HOUR_US else None
    database = database_of(connection)
    try:
        with database.snapshot(connection), database.time_limit(connection, WITHIN_S):
            if chosen is not None:
                whole = -(-width // HOUR_US) * HOUR_US
                counted = count_hours(connection, query, chosen, width=whole)
                if counted is not None:
                    return counted
            return count_rows(connection, query, begin=query.created_from, width=width)
    except TimeoutError:
        return None
