"""Reads the pages of lists of completions."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, func, select

from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.filters import name_keys
from briggs.storage.functions import by_key, index_key
from briggs.storage.hours import BOUNDED
from briggs.storage.pieces import read_rows
from briggs.storage.previews import read_previews
from briggs.storage.queries import (
    COUNT_GRADED,
    PLACE,
    Place,
    Query,
    as_filter,
    asks_for_grades,
    check_query,
    count_led,
    count_sources,
    find_place,
    names_few,
    read_chosen,
    read_ids,
    select_page,
)
from briggs.storage.records import decode
from briggs.storage.search import SearchEnded, search
from briggs.storage.tables import (
    IS_COMPRESSED_WITH_RESPONSE_ID,
    IS_UNCOMPRESSED,
    completions,
    deleted_completions,
)
from briggs.storage.types import AnyText
from briggs.storage.zones import ZoneSpan, find_oldest, merge, prunes
from briggs.types.completions import ID_PREFIX, Completion, current_time_us
from briggs.types.errors import InvalidRequest
from briggs.wires.recorded.preview import Preview, read_preview

SHOWN_WITHIN_S = 2.0
"""How long a list of summaries may be searched for. What is found by then is shown."""

LISTED_WITHIN_S = 30.0
"""How long a page of a list may take."""

SORTED_ROWS = 20_000
"""How many are sorted if there is no time to sort all."""

WINDOW_US = 3_600_000_000
"""The newest part of the time range that is searched at once. Each further one is twice as long."""

SKIMMED_US = 8 * WINDOW_US
"""From this width on, a part is searched only in the hours that may have what is asked for."""

SPANS_MAX = 32
"""How many spans of hours are searched one by one. Close ones are joined if there are more."""

SORTED_AT_ONCE = 20_000
"""How many completions with a tag are sorted without looking at hours."""

FREQUENT = 16
"""A tag of more than one in so many is looked up for what is read, instead of the reverse."""

GRADED_AT_ONCE = 50_000
"""If fewer are graded, a list of graded ones begins with them."""

SORTED_AT_ONCE_US = 30 * WINDOW_US
"""How long a range is sorted without looking at each of its hours."""

SEARCHED_AT_ONCE, SEARCHED_MAX = 4, 32
"""How many hours of a sorted list are searched before it is looked at, and how often. The others
are then searched together for what is better."""

OLDEST_US = 1_600_000_000_000_000
"""Few completions are older, so they are searched at once."""


_SortedPlace = tuple[bool, float, int]
"""Whether the value is unknown, the value, and the time. The least is first in the list."""


class Page(msgspec.Struct, kw_only=True, frozen=True):
    """A page of a list."""

    completions: list[Completion]
    has_more: bool


class Summary(msgspec.Struct, kw_only=True, frozen=True):
    """A completion in a list, without its bodies unless its query has words."""

    completion: Completion
    preview: Preview | None
    """None if its bodies are large and were written just now."""
    tries: int = 1
    """How often its caller is known to have asked the same, this time included."""


class SummaryPage(msgspec.Struct, kw_only=True, frozen=True):
    """A page of a list of summaries."""

    summaries: list[Summary]
    has_more: bool
    searched_to: int | None = None
    """How far back the record was searched, in Unix microseconds, if there was no time for more."""


def list_page(connection: Connection, *, query: Query, bodies: Bodies) -> Page:
    """Read one page. With words, completions are read until the page is full.

    Raises `InvalidRequest` if that takes too long.
    """
    query = _prepare(connection, query)
    after = _find_after(connection, query)
    until = time.monotonic() + LISTED_WITHIN_S
    try:
        with database_of(connection).time_limit(connection, LISTED_WITHIN_S):
            read = _read_parts(connection, query, after, bodies, until=until)
            found, is_cut = _take(read, query.bytes_max)
    except TimeoutError:
        raise InvalidRequest(
            f"The search took more than {LISTED_WITHIN_S:.0f} seconds: require a tag, or choose a "
            "shorter time range.",
            param="filter",
        ) from None
    has_more = is_cut or len(found) > query.limit
    return Page(completions=found[: query.limit], has_more=has_more)


def _prepare(connection: Connection, query: Query) -> Query:
    check_query(connection, query)
    if not asks_for_grades(query):
        return query
    ours = {"organization": query.organization_id, "limit": GRADED_AT_ONCE}
    few = (connection.scalar(COUNT_GRADED, ours) or 0) < GRADED_AT_ONCE
    return msgspec.structs.replace(query, by_grades=few)


def _take(found: Iterator[Completion], bytes_max: int | None) -> tuple[list[Completion], bool]:
    """All of them, or those until their bodies are too large; and whether any is left out."""
    taken: list[Completion] = []
    size = 0
    for each in found:
        size += sum(len(body or b"") for body in (each.request, each.response, each.received))
        if taken and bytes_max is not None and size > bytes_max:
            return taken, True
        taken.append(each)
    return taken, False


def list_summaries(connection: Connection, *, query: Query, bodies: Bodies) -> SummaryPage:
    """Read one page with what a list shows of each completion, in bounded time.

    If there are too many to sort, only the newest of them are sorted.
    """
    query = _prepare(connection, query)
    query = msgspec.structs.replace(query, payloads=query.has_words)
    after = _find_after(connection, query)
    found: list[Completion] = []
    searched_to = None
    if query.sort == "time" and query.order == "desc":
        searched_to = _search_back(connection, query, after, bodies, into=found)
    else:
        found, searched_to = _read_sorted(connection, query, after, bodies)
    shown = found[: query.limit]
    previews = _read_previews(connection, shown, query=query, bodies=bodies)
    tries = _count_tries(connection, shown, organization_id=query.organization_id)
    return SummaryPage(
        summaries=[
            Summary(
                completion=each,
                preview=previews.get(each.id),
                tries=tries.get(each.retry_of or each.id, 1),
            )
            for each in shown
        ],
        has_more=len(found) > query.limit,
        searched_to=searched_to,
    )


def list_first_ids(connection: Connection, query: Query) -> list[Any]:
    """The ids of a sorted page, without a limit of time."""
    ids = _find_first(connection, query, None)
    if ids is None:
        page = select_page(query, after=None, limit=query.limit)
        ids = list(connection.scalars(page.with_only_columns(completions.c.id)))
    return ids[: query.limit]


def learn_hours(
    connection: Connection, *, organization_id: str, begin: int = 0, end: int | None = None
) -> bool:
    """Learn what the hours of a range have, for a moment. Returns whether all of them are known
    that can be.
    """
    database = database_of(connection)
    database.follow(connection)
    return database.zones.learn(
        connection,
        snapshot=database.snapshot,
        organization_id=organization_id,
        begin=begin,
        end=end,
    )


def _search_back(
    connection: Connection,
    query: Query,
    after: Place | None,
    bodies: Bodies,
    *,
    into: list[Completion],
) -> int | None:
    """Search back in time, part by part. Returns where there was no time for more, or None."""
    end = time.monotonic() + SHOWN_WITHIN_S
    limit = database_of(connection).time_limit
    to = query.created_to
    if after is not None:
        to = after.created_at + 1 if to is None else min(to, after.created_at + 1)
    least, width = query.created_from or 0, WINDOW_US
    while len(into) <= query.limit and (to is None or to > least):
        # A clock may be ahead, so the first part has no end unless the query has one.
        begin = (current_time_us() if to is None else to) - width
        begin = max(least, begin) if begin > OLDEST_US else least
        spans: list[tuple[int | None, int | None]] = [(begin, to)]
        if names_few(query) and not query.has_words:
            spans, begin = [(query.created_from, to)], least
        elif width >= SKIMMED_US and prunes(as_filter(query)):
            spans = [*_skim_parts(connection, query, begin, to)]
        for start, stop in spans:
            part = msgspec.structs.replace(
                query, created_from=start, created_to=stop, limit=query.limit - len(into)
            )
            try:
                with limit(connection, max(0.0, end - time.monotonic())):
                    for each in _read(connection, part, after, bodies, until=end):
                        into.append(each)
                        if query.has_words and time.monotonic() > end:
                            return each.created_at
            except SearchEnded as error:
                return error.searched_to
            except TimeoutError:
                return current_time_us() if stop is None else stop
            if len(into) > query.limit:
                break
        to, width = begin, width * 2
    return None


def _read_sorted(
    connection: Connection, query: Query, after: Place | None, bodies: Bodies
) -> tuple[list[Completion], int | None]:
    """Sort all, or only the newest if there is no time for all. Returns also where those begin."""
    try:
        with database_of(connection).time_limit(connection, SHOWN_WITHIN_S):
            ids = _find_first(connection, query, after)
            if ids is not None:
                rows, pieces = read_rows(connection, read_ids(ids, query=query), bodies=bodies)
                return [decode(row, bodies=pieces) for row in rows], None
            until = time.monotonic() + SHOWN_WITHIN_S
            return list(_read(connection, query, after, bodies, until=until)), None
    except TimeoutError:
        newest = msgspec.structs.replace(query, sort="time", order="desc")
        statement = select_page(newest, after=None, limit=1).offset(SORTED_ROWS)
        begin = connection.scalar(statement.with_only_columns(completions.c.created_at))
        newer = msgspec.structs.replace(query, created_from=begin)
        return list(_read(connection, newer, after, bodies, until=math.inf)), begin


def _skim(connection: Connection, query: Query, begin: int, end: int | None) -> list[ZoneSpan]:
    """The parts of a range that may have what a query asks for, the newest first."""
    database, owner = database_of(connection), query.organization_id
    learn_hours(connection, organization_id=owner, begin=begin, end=end)
    condition = as_filter(query)
    if condition is not None:
        condition = name_keys(connection, condition, organization_id=owner)
    return database.zones.list_spans(organization_id=owner, begin=begin, end=end, filter=condition)


def _find_first(connection: Connection, query: Query, after: Place | None) -> list[Any] | None:
    """The ids of a sorted page and one more, found in the hours that have the first values.

    None if all are sorted at once more quickly: if there are few, or if many hours were searched
    and hardly anything was found.
    """
    if query.sort not in BOUNDED or query.has_words or query.offset or names_few(query):
        return None
    begin, end = query.created_from or 0, query.created_to
    if (current_time_us() if end is None else end) - begin <= SORTED_AT_ONCE_US:
        return None
    led = count_led(query, limit=SORTED_AT_ONCE)
    if led is not None and connection.scalar(led) < SORTED_AT_ONCE:
        return None
    spans = _skim(connection, query, begin, end)
    known = [each for each in spans if each.zone is not None]
    known.sort(key=lambda span: _best_place(span, query))
    beyond = SEARCHED_AT_ONCE * SEARCHED_MAX
    groups = [merge(each for each in spans if each.zone is None)]
    groups += [merge(known[i : i + SEARCHED_AT_ONCE]) for i in _steps(known[:beyond])]
    groups += [merge(known[beyond:], most=SPANS_MAX)] if known[beyond:] else []
    # A frequent tag would be led by too many.
    is_led = led is None or not known or not _has_often(connection, query, known[0])
    found: list[tuple[_SortedPlace, Any]] = []
    for number, group in enumerate(groups):
        is_full = len(found) > query.limit
        if number > SEARCHED_MAX and not is_full:
            return None
        if number and is_full:
            first = known[(number - 1) * SEARCHED_AT_ONCE]
            if found[-1][0] < _best_place(first, query):
                break
        last = found[-1][0] if is_full else None
        # Spans that were joined have hours between them that were searched before.
        again = {id for _, id in found}
        for span in group:
            part = msgspec.structs.replace(query, created_from=span.begin, created_to=span.end)
            page = select_page(part, after=after, limit=query.limit + 1, is_led=is_led)
            some = _read_places(connection, page, query=query, last=last)
            found += [each for each in some if each[1] not in again]
        # Stable: those of the same microsecond are of one hour, and in order already.
        found.sort(key=lambda item: item[0])
        del found[query.limit + 1 :]
    return [id for _, id in found]


def _read_places(
    connection: Connection,
    page: Select[Any],
    *,
    query: Query,
    last: _SortedPlace | None,
) -> Iterator[tuple[_SortedPlace, Any]]:
    """The places of a page in a sorted list, and the ids. Only those before the `last` matter."""
    column, is_rising = BOUNDED[query.sort], query.order == "asc"
    if last is not None and not last[0]:
        # Most of an hour is further back.
        page = page.where(column <= last[1] if is_rising else column >= -last[1])
    columns = page.with_only_columns(completions.c.id, completions.c.created_at, column)
    for id, at, value in connection.execute(columns):
        yield _place_of(value, at, is_rising), id


def _has_often(connection: Connection, query: Query, span: ZoneSpan) -> bool:
    """Whether all tags and the like that a query requires are frequent in a span."""
    part = msgspec.structs.replace(query, created_from=span.begin, created_to=span.end)
    frequent = 1 + (connection.scalar(_COUNT_SPAN, _name_span(query, span)) or 0) // FREQUENT
    counts = count_sources(part, limit=frequent)
    return all((connection.scalar(count) or 0) == frequent for count in counts)


def _name_span(query: Query, span: ZoneSpan) -> dict[str, Any]:
    return {"organization": query.organization_id, "begin": span.begin, "end": span.end}


def _steps(known: Sequence[ZoneSpan]) -> range:
    return range(0, len(known), SEARCHED_AT_ONCE)


def _place_of(value: float | None, at: int, is_rising: bool) -> _SortedPlace:
    """Where a value stands in a sorted list: unknown ones come last."""
    if value is None:
        return True, 0.0, at if is_rising else -at
    return (False, value, at) if is_rising else (False, -value, -at)


def _best_place(span: ZoneSpan, query: Query) -> _SortedPlace:
    """The first place that a completion of an hour can have."""
    assert span.zone is not None, "only called for known hours"
    bounds = span.zone.bounds[query.sort]
    if query.order == "asc":
        return _place_of(bounds and bounds[0], span.begin, True)
    return _place_of(bounds and bounds[1], span.end - 1, False)


def _read_parts(
    connection: Connection, query: Query, after: Place | None, bodies: Bodies, *, until: float
) -> Iterator[Completion]:
    """Read a page, and one more. Hours that cannot have what it asks for are passed over."""
    if query.sort != "time":
        if (ids := _find_first(connection, query, after)) is not None:
            for row in connection.execute(read_ids(ids, query=query)):
                yield decode(row, bodies=bodies)
            return
    elif not (query.has_words or query.offset or names_few(query)) and prunes(as_filter(query)):
        left = query.limit
        for begin, end in _list_parts(connection, query, after):
            part = msgspec.structs.replace(query, created_from=begin, created_to=end, limit=left)
            for each in _read(connection, part, after, bodies, until=until):
                yield each
                left -= 1
            if left < 0:
                return
        return
    yield from _read(connection, query, after, bodies, until=until)


def _list_parts(
    connection: Connection, query: Query, after: Place | None
) -> Iterator[tuple[int, int | None]]:
    """The parts of a query's time range to read, in its order: the first hours, and of the rest
    those that may have what it asks for.
    """
    begin, end = query.created_from or 0, query.created_to
    if query.order == "asc":
        begin = begin if after is None else max(begin, after.created_at)
        first = find_oldest(connection, organization_id=query.organization_id, since=begin)
        if first is None:
            return
        first += SKIMMED_US
        yield begin, first if end is None else min(first, end)
        if end is None or first < end:
            yield from _skim_parts(connection, query, first, end)[::-1]
    else:
        if after is not None:
            end = after.created_at + 1 if end is None else min(end, after.created_at + 1)
        first = (current_time_us() if end is None else end) - SKIMMED_US
        yield max(begin, first), end
        if begin < first:
            yield from _skim_parts(connection, query, begin, first)


def _skim_parts(
    connection: Connection, query: Query, begin: int, end: int | None
) -> list[tuple[int, int | None]]:
    spans = merge(_skim(connection, query, begin, end), most=SPANS_MAX)
    return [(span.begin, span.end) for span in spans]


def _read(
    connection: Connection, query: Query, after: Place | None, bodies: Bodies, *, until: float
) -> Iterator[Completion]:
    """Read a page, and one more to know whether there are more."""
    if query.has_words:
        matching = search(connection, query=query, after=after, bodies=bodies, until=until)
        yield from islice(matching, query.limit + 1)
        return
    statement = select_page(query, after=after, limit=query.limit + 1).offset(query.offset)
    if query.sort != "time":
        statement = read_chosen(statement, query=query)
    rows, pieces = read_rows(connection, statement, bodies=bodies)
    for row in rows:
        yield decode(row, bodies=pieces)


def _read_previews(
    connection: Connection, shown: Sequence[Completion], *, query: Query, bodies: Bodies
) -> dict[str, Preview | None]:
    if query.has_words:
        # They were read to search them.
        return {each.id: read_preview(each.request, each.response) for each in shown}
    return read_previews(
        connection,
        ids=[each.id for each in shown],
        organization_id=query.organization_id,
        bodies=bodies,
    )


def _count_tries(
    connection: Connection, shown: Sequence[Completion], *, organization_id: str
) -> dict[str, int]:
    """How often callers asked the same, by the id of the first try. Not of calls asked once."""
    columns = completions.c
    statement = (
        select(columns.retry_of, func.max(columns.retry_count) + 1)
        .where(
            columns.organization_id == organization_id,
            columns.retry_of.in_({each.retry_of or each.id for each in shown}),
        )
        .group_by(columns.retry_of)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def _find_after(connection: Connection, query: Query) -> Place | None:
    return _place(connection, query=query) if query.after else None


def _place(connection: Connection, *, query: Query) -> Place:
    """The cursor's place in the order. Its completion may have been deleted."""
    assert query.after is not None, "only called with a cursor"
    row = find_row(connection, _SELECT_PLACE, id=query.after, organization_id=query.organization_id)
    if row is not None:
        return find_place(row, query=query)
    deleted = deleted_completions.c
    row = connection.execute(
        select(deleted.created_at, deleted.id).where(
            deleted.id.in_(_list_own_ids(query.after)),
            deleted.organization_id == query.organization_id,
        )
    ).first()
    if row is not None and query.sort != "time":
        raise InvalidRequest(
            f"after: the completion {query.after!r} was deleted, so its place by {query.sort} is "
            "not known any more. Begin the list again.",
            param="after",
        )
    if row is None:
        raise InvalidRequest(
            f"after: there was never a completion {query.after!r}. Send the id of a completion, "
            "or the id in its answer.",
            param="after",
        )
    return Place(row.created_at, row.id)


def find_row(
    connection: Connection, statement: Select[Any], *, id: str, organization_id: str
) -> Any:
    """The row with our id, or else the newest with this upstream id; None if there is neither."""
    ours = statement.where(completions.c.organization_id == organization_id)
    own = by_key(ours.where(completions.c.id.in_(_list_own_ids(id))), completions)
    row = connection.execute(own).first()
    if row is not None:
        return row
    theirs = ours.where(index_key(completions.c.response_id) == id)
    # In this order, so that a row is found even if it is compressed between the two.
    rows = [
        row
        for condition in (IS_UNCOMPRESSED, IS_COMPRESSED_WITH_RESPONSE_ID)
        for row in connection.execute(
            theirs.where(condition).order_by(completions.c.created_at.desc()).limit(1)
        )
    ]
    return max(rows, key=lambda row: (row.created_at, row.id), default=None)


def _list_own_ids(id: str) -> list[Any]:
    """The ids that may be meant: an answer without an id was given ours, with a prefix."""
    return [id, id.removeprefix(ID_PREFIX)]


_SELECT_PLACE = select(*PLACE)


_COUNT_SPAN = select(func.count()).where(
    completions.c.organization_id == bindparam("organization", type_=AnyText),
    completions.c.created_at >= bindparam("begin"),
    completions.c.created_at < bindparam("end"),
)
