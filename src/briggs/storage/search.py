"""Searches the messages of completions for texts.

The index rules out most completions (`search_index.py`). The bodies of the others are read, a few
rows at a time to keep reads short.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select
from zstandard import ZstdError

from briggs.storage import search_segments
from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.filters import Translator, decide, find_parts
from briggs.storage.pieces import Expander, read_rows
from briggs.storage.queries import (
    PLACE,
    Place,
    Query,
    count_led,
    find_place,
    names_few,
    narrow,
    read_ids,
    select_page,
)
from briggs.storage.records import decode
from briggs.storage.said import list_said
from briggs.storage.search_index import (
    BLOCK_ROWS,
    Period,
    list_covered,
    list_gaps,
    read_bodies,
)
from briggs.storage.tables import completions
from briggs.storage.tables import search_segments as segments
from briggs.types.completions import Completion
from briggs.types.filters import Filter

SCAN_ROWS = 64
"""How many rows are read at once, and how many of those with a text."""

LED_ROWS = 1_000
"""So few completions of a tag are read without a look at the index."""

GATHERED_ROWS = 20_000
"""So many are searched before they are sorted. More are read in the order of the query."""

_OLDEST, _NEWEST = -(2**62), 2**62


class SearchEnded(TimeoutError):
    """There was no time to search all."""

    def __init__(self, searched_to: int | None) -> None:
        super().__init__("the search took too long")
        self.searched_to = searched_to
        """How far back the search came, in Unix microseconds. None if it was not back in time."""


def search(
    connection: Connection,
    *,
    query: Query,
    after: Place | None,
    bodies: Bodies,
    until: float,
) -> Iterator[Completion]:
    """Find the completions of a query that searches for texts, in its order.

    Raises `SearchEnded` once the monotonic clock has passed `until`.
    """
    found = _Search(connection, query=narrow(query), bodies=bodies, until=until)
    if query.sort != "time":
        return found.list_sorted(after)
    return found.list_by_time(after)


class _Search:
    """One search. Its query has been narrowed."""

    def __init__(
        self, connection: Connection, *, query: Query, bodies: Bodies, until: float
    ) -> None:
        condition = query.condition
        assert condition is not None, "only called for a query with texts"
        self._connection = connection
        self._query = query
        self._condition: Filter = condition
        self._bodies = bodies
        self._until = until
        translator = Translator(organization_id=query.organization_id)
        self._parts = [translator.translate(part) for part in find_parts(condition)]
        self._columns = (*PLACE, *_OF_BODIES, *self._parts)

    def list_by_time(self, after: Place | None) -> Iterator[Completion]:
        for span, _ in self._list_spans(after):
            for some in self._match(self._within(span), after):
                yield from self._read(some)

    def list_sorted(self, after: Place | None) -> Iterator[Completion]:
        """Search all that may match and sort what is found, or else look at all in their order."""
        places = self._gather(after)
        if places is None:
            for some in self._match(self._query, after):
                yield from self._read(some)
            return
        is_falling = self._query.order == "desc"
        places.sort(key=lambda place: (place.created_at, place.id), reverse=is_falling)
        known = [each for each in places if each.value is not None]
        known.sort(key=lambda place: place.value, reverse=is_falling)
        known += [each for each in places if each.value is None]
        for begin in range(0, len(known), SCAN_ROWS):
            yield from self._read(known[begin : begin + SCAN_ROWS])

    def _gather(self, after: Place | None) -> list[Place] | None:
        """The places of all that match. None if there is too much to search."""
        if names_few(self._query):
            return None
        spans, count = [], 0
        for span, blocks in self._list_spans():
            spans.append(span)
            count += blocks * BLOCK_ROWS or self._count(span, limit=GATHERED_ROWS + 1)
            if count > GATHERED_ROWS:
                return None
        return [
            place
            for span in spans
            for some in self._match(self._within(span), after)
            for place in some
        ]

    def _count(self, span: Period, *, limit: int) -> int:
        page = select_page(self._within(span), after=None, limit=limit)
        some = page.with_only_columns(completions.c.id).order_by(None).subquery()
        counted: int | None = self._connection.scalar(select(func.count()).select_from(some))
        return counted or 0

    def _within(self, span: Period) -> Query:
        """The query in a range of time."""
        return msgspec.structs.replace(
            self._query,
            created_from=None if span.begin == _OLDEST else span.begin,
            created_to=None if span.end == _NEWEST else span.end,
        )

    def _match(self, query: Query, after: Place | None) -> Iterator[list[Place]]:
        """The places of the rows that match, some at a time."""
        place = after
        while True:
            page = select_page(query, after=place, limit=SCAN_ROWS)
            rows, pieces = read_rows(
                self._connection, page.with_only_columns(*self._columns), bodies=self._bodies
            )
            yield [find_place(row, query=query) for row in rows if self._matches(row, pieces)]
            if len(rows) < SCAN_ROWS:
                return
            place = find_place(rows[-1], query=query)
            # Others may have begun in the same microsecond.
            self._check_time(place.created_at + 1)

    def _matches(self, row: Any, bodies: Expander) -> bool:
        texts = _Texts(row, bodies)
        decided = [bool(part) for part in row[len(row) - len(self._parts) :]]
        return decide(self._condition, parts=decided, contains=texts.contain)

    def _read(self, places: Sequence[Place]) -> Iterator[Completion]:
        if places:
            query = self._query
            statement = read_ids([each.id for each in places], query=query)
            rows, pieces = read_rows(self._connection, statement, bodies=self._bodies)
            for row in rows:
                yield decode(row, bodies=pieces)

    def _check_time(self, searched_to: int) -> None:
        if time.monotonic() > self._until:
            goes_back = self._query.sort == "time" and self._query.order == "desc"
            raise SearchEnded(searched_to if goes_back else None)

    def _list_spans(self, after: Place | None = None) -> Iterator[tuple[Period, int]]:
        """The ranges of time that may have what is searched for, in the order of the query. With
        how many blocks of the index each is. 0 if it is not in the index.
        """
        whole = self._find_range(after)
        if self._is_led():
            yield whole, 0
            return
        is_rising = self._query.sort == "time" and self._query.order == "asc"
        covered = list_covered(
            self._connection,
            organization_id=self._query.organization_id,
            begin=whole.begin,
            end=whole.end,
        )
        known = set(covered)
        for piece in sorted([*covered, *list_gaps(covered, whole)], reverse=not is_rising):
            found = self._find_in_segment(piece) if piece in known else [(piece, 0)]
            for span, blocks in found if is_rising else found[::-1]:
                begin, end = max(span.begin, whole.begin), min(span.end, whole.end)
                if begin < end:
                    yield Period(begin, end), blocks
            self._check_time(piece.begin)

    def _find_range(self, after: Place | None) -> Period:
        begin, end = self._query.created_from, self._query.created_to
        begin, end = _OLDEST if begin is None else begin, _NEWEST if end is None else end
        if after is None or self._query.sort != "time":
            return Period(begin, end)
        if self._query.order == "asc":
            return Period(max(begin, after.created_at), end)
        return Period(begin, min(end, after.created_at + 1))

    def _is_led(self) -> bool:
        """Whether an index of something else has few rows for the query."""
        if names_few(self._query):
            return True
        led = count_led(self._query, limit=LED_ROWS)
        return led is not None and (self._connection.scalar(led) or 0) < LED_ROWS

    def _find_in_segment(self, span: Period) -> list[tuple[Period, int]]:
        """The ranges of a segment that may have what is searched for, in the order of time."""
        columns = segments.c
        this = (
            columns.organization_id == self._query.organization_id,
            columns.begin_at == span.begin,
            # Another one that was joined from it may begin at the same time.
            columns.end_at == span.end,
        )
        statement = select(columns.blocks, columns.opaque, columns.words).where(*this)

        def read_postings() -> bytes | None:
            postings: bytes | None = self._connection.scalar(select(columns.postings).where(*this))
            return postings

        # The words and where they stand have to be of the same segment.
        with database_of(self._connection).snapshot(self._connection):
            row = self._connection.execute(statement).first()
            if row is None:
                # It was dropped just now.
                return [(span, 0)]
            try:
                reader = search_segments.SegmentReader(
                    blocks=len(row.blocks) // 8,
                    opaque=row.opaque,
                    words=row.words,
                    read_postings=read_postings,
                )
                bits = reader.find_blocks(self._condition)
            except ZstdError:
                # It is damaged, so it rules out nothing.
                return [(span, 0)]
        return _find_spans(bits, search_segments.list_begins(row.blocks), end=span.end)


class _Texts:
    """What a row says, read when it is asked for."""

    def __init__(self, row: Any, bodies: Expander) -> None:
        self._row = row
        self._bodies = bodies

    def contain(self, text: str) -> bool:
        """Whether the request's or the response's messages contain the text, ignoring case."""
        folded = text.casefold()
        return any(folded in said for said in self._said)

    @cached_property
    def _said(self) -> list[str]:
        request, response = read_bodies(self._row, bodies=self._bodies)
        return [said.casefold() for said in list_said(request, response)]


def _find_spans(bits: int, begins: Sequence[int], *, end: int) -> list[tuple[Period, int]]:
    """The ranges of the blocks whose bits are set, and how many blocks. Neighbours are one."""
    edges = [*begins, end]
    spans = []
    for is_found, some in groupby(range(len(begins)), lambda number: bits >> number & 1):
        numbers = list(some)
        if is_found:
            spans.append((Period(edges[numbers[0]], edges[numbers[-1] + 1]), len(numbers)))
    return spans


_OF_BODIES = tuple(
    completions.c[name] for name in ("organization_id", "encoding", "request", "response")
)
