"""Searches the messages of completions for texts.

The index rules out most completions (`search_index.py`). The bodies of the others are read, a few
rows at a time to keep reads short.
"""

from __future__ import annotations

import math
import struct
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.sql.elements import False_
from zstandard import ZstdError

from briggs.storage import search_segments
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.database import database_of
from briggs.storage.filters import Translator, decide, find_parts
from briggs.storage.functions import contains
from briggs.storage.pieces import find_pieces, list_hashes, list_stored, read_chains, read_rows
from briggs.storage.queries import (
    PLACE,
    SORTS,
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
from briggs.storage.said_apart import PieceText, is_apart, read_piece, read_row
from briggs.storage.search_index import (
    BLOCK_ROWS,
    Period,
    list_covered,
    list_gaps,
    read_bodies,
)
from briggs.storage.search_segments import BLOCKS_MAX
from briggs.storage.tables import completions
from briggs.storage.tables import search_segments as segments
from briggs.storage.tables import search_summaries as summaries
from briggs.types.completions import Completion
from briggs.types.filters import AllOf, AnyOf, Filter, Words, list_words

SCAN_ROWS = 64
"""How many rows are read at once, and how many of those with a text."""

LED_ROWS = 1_000
"""So few completions of a tag are read without a look at the index."""

GATHERED_ROWS = 15_000
"""So many that may match are sorted here. Of more, the database sorts a few at a time."""

WALKED_ROWS, WALKED_MAX = 2_000, 80_000
"""How many the database sorts at once, at first and later. It looks at all of them each time."""

SPARE = 1.5
"""So many times as many rows are sorted as are expected to have a page's matches."""

MOST_SHARE = 4
"""If more than one block in so many may have a text, all rows are looked at in their order."""

KNOWN_MAX = 50_000
"""Of how many pieces a search remembers whether they contain a text. It takes about 10 MB."""

RULED_OUT_AT_ONCE = 64
"""How many segments a database on another machine looks through before it is looked at the time."""

SUMMED_MIN = 4
"""A summary is looked at if so many of its segments would be."""

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
        self._histories = _Histories(connection, condition, query=query, bodies=bodies)
        self._blocks = self._blocks_found = 0
        """How many blocks of the index were looked at, and how many may have what is searched."""

    def list_by_time(self, after: Place | None) -> Iterator[Completion]:
        for span, _ in self._list_spans(after):
            for some in self._match(self._within(span), after):
                yield from self._read(some)

    def list_sorted(self, after: Place | None) -> Iterator[Completion]:
        """Read what may match in the order of the query, as far as it is asked for."""
        for places in self._list_places(after):
            for begin in range(0, len(places), SCAN_ROWS):
                self._check_time(None)
                ids = [each.id for each in places[begin : begin + SCAN_ROWS]]
                rows = read_ids(ids, query=self._query)
                yield from self._read(self._match_rows(rows)[1])

    def _list_places(self, after: Place | None) -> Iterator[Sequence[Place]]:
        """The places of all that may match, in the order of the query, some at a time."""
        unsorted = self._select_places(after)
        spans: list[Period] = []
        places: list[Place] = []
        has_room = True
        for span, _ in self._list_spans():
            spans.append(span)
            if has_room:
                places += self._read_places(unsorted, span)
                has_room = len(places) <= GATHERED_ROWS
            if len(places) > WALKED_ROWS and self._are_most():
                yield from self._walk(after)
                return
        if has_room:
            yield self._sort(places)
            return
        places.clear()
        spans.sort()
        for some in self._walk(after):
            yield [each for each in some if _is_within(spans, each.created_at)]

    def _are_most(self) -> bool:
        """Whether so many blocks may have it that ruling out the others is not worth the time."""
        return self._blocks_found * MOST_SHARE >= self._blocks

    def _select_places(self, after: Place | None) -> Select[Any]:
        """The places of a range of time, which is given when it is executed."""
        ranged = msgspec.structs.replace(self._query, **_SPAN)
        page = select_page(ranged, after=after, limit=GATHERED_ROWS + 1)
        return page.with_only_columns(*self._list_keys()).order_by(None)

    def _list_keys(self) -> Sequence[Column[Any]]:
        """The columns of a place in a sorted list."""
        return completions.c.created_at, completions.c.id, SORTS[self._query.sort]

    def _read_places(self, statement: Select[Any], span: Period) -> list[Place]:
        given = {"begin": span.begin, "end": span.end}
        rows = self._connection.execute(statement, given)
        self._check_time(None)
        return [*map(Place._make, rows)]

    def _sort(self, places: list[Place]) -> Sequence[Place]:
        is_falling = self._query.order == "desc"
        places.sort(key=lambda place: (place.created_at, place.id), reverse=is_falling)
        known = [each for each in places if each.value is not None]
        known.sort(key=lambda place: place.value, reverse=is_falling)
        return known + [each for each in places if each.value is None]

    def _walk(self, after: Place | None) -> Iterator[Sequence[Place]]:
        """All places in the order of the query. Each time more are sorted at once."""
        place, limit = after, max(WALKED_ROWS, min(WALKED_MAX, self._estimate_rows()))
        while True:
            page = select_page(self._query, after=place, limit=limit)
            rows = self._connection.execute(page.with_only_columns(*self._list_keys()))
            places = [*map(Place._make, rows)]
            yield places
            if len(places) < limit:
                return
            place, limit = places[-1], min(4 * limit, WALKED_MAX)
            self._check_time(None)

    def _estimate_rows(self) -> int:
        """How many rows have enough matches for a page, if these are spread at random."""
        if not 0 < self._blocks_found < self._blocks:
            return 0
        a_block = -math.log(1 - self._blocks_found / self._blocks)
        return int(SPARE * BLOCK_ROWS * (self._query.limit + 1) / a_block)

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
            rows, found = self._match_rows(page)
            yield found
            if len(rows) < SCAN_ROWS:
                return
            place = find_place(rows[-1], query=query)
            # Others may have begun in the same microsecond.
            self._check_time(place.created_at + 1)

    def _match_rows(self, statement: Select[Any]) -> tuple[Sequence[Any], list[Place]]:
        """The rows of a statement, and the places of those that match."""
        columns = statement.with_only_columns(*self._columns)
        with database_of(self._connection).snapshot(self._connection):
            rows = self._connection.execute(columns).all()
            self._histories.read(rows)
            places = [find_place(row, query=self._query) for row in rows if self._matches(row)]
        return rows, places

    def _matches(self, row: Any) -> bool:
        texts = _Texts(row, self._histories)
        decided = [bool(part) for part in row[len(row) - len(self._parts) :]]
        return decide(self._condition, parts=decided, contains=texts.contain)

    def _read(self, places: Sequence[Place]) -> Iterator[Completion]:
        if places:
            query = self._query
            statement = read_ids([each.id for each in places], query=query)
            rows, pieces = read_rows(self._connection, statement, bodies=self._bodies)
            for row in rows:
                yield decode(row, bodies=pieces)

    def _check_time(self, searched_to: int | None) -> None:
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
        in_segments = self._look_in_segments(covered if is_rising else covered[::-1])
        for piece in sorted([*covered, *list_gaps(covered, whole)], reverse=not is_rising):
            found = next(in_segments) if piece in known else [(piece, 0)]
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

    def _look_in_segments(self, covered: Sequence[Period]) -> Iterator[list[tuple[Period, int]]]:
        """The ranges of each segment that may have what is searched for."""
        for looked in self._look(segments, self._look_in_summaries(covered)):
            self._blocks += looked.blocks
            self._blocks_found += sum(blocks for _, blocks in looked.found)
            yield looked.found

    def _look_in_summaries(self, covered: Sequence[Period]) -> Iterator[tuple[Period, bool]]:
        """The segments, and whether each may have it, as far as their summaries know."""
        if not covered or not self._is_ruled_out_by_words:
            yield from ((each, True) for each in covered)
            return
        known = list_covered(
            self._connection,
            organization_id=self._query.organization_id,
            begin=min(covered).begin,
            end=max(covered).end,
            table=summaries,
        )
        groups = [
            (summary, [*some])
            for summary, some in groupby(covered, lambda each: _find_whole(known, each))
        ]
        used = [
            summary for summary, some in groups if summary is not None and len(some) >= SUMMED_MIN
        ]
        looked = self._look(summaries, [(each, True) for each in used])
        left = set(used)
        for summary, some in groups:
            if summary not in left:
                yield from ((each, True) for each in some)
                continue
            spans = [span for span, _ in next(looked).found]
            for each in some:
                yield each, any(span.begin < each.end and each.begin < span.end for span in spans)

    @cached_property
    def _is_ruled_out_by_words(self) -> bool:
        """Whether there are words without which nothing can match."""
        return not isinstance(~_may_have(self._condition), False_)

    def _look(self, table: Table, spans: Iterable[tuple[Period, bool]]) -> Iterator[_Looked]:
        """Look at each segment, or summary, that may have what is searched for.

        A database on another machine rules some out first, instead of sending their words. More of
        them each time, since what is frequent is found in the first.
        """
        rules_out = database_of(self._connection).rules_out_segments
        left, count = iter(spans), 1
        while some := [*islice(left, count)]:
            possible = [span for span, is_possible in some if is_possible]
            ruled_out = self._rule_out(table, possible) if rules_out and possible else {}
            for span, is_possible in some:
                if not is_possible:
                    yield _Looked([], BLOCKS_MAX)
                elif span in ruled_out:
                    yield _Looked([], ruled_out[span])
                else:
                    yield self._look_at(table, span)
            count = min(4 * count, RULED_OUT_AT_ONCE) if rules_out else 1

    def _rule_out(self, table: Table, some: Sequence[Period]) -> dict[Period, int]:
        """Those that cannot have what is searched for, and how many blocks each has."""
        if not self._is_ruled_out_by_words:
            # Such as a text without a word.
            return {}
        columns, lacks_it = table.c, ~_may_have(self._condition, of=table)
        ours = columns.organization_id == self._query.organization_id
        these = (ours, columns.begin_at.in_([each.begin for each in some]))
        # A list that is damaged rules out nothing.
        is_sound = func.substr(columns.words, 1, 1) == b"\n"
        apart = select(columns.begin_at, columns.end_at, func.length(columns.blocks) // 8).where(
            *these, columns.opaque == b"", is_sound, lacks_it
        )
        found = self._connection.execute(apart)
        return {Period(begin, end): int(blocks) for begin, end, blocks in found}

    def _look_at(self, table: Table, span: Period) -> _Looked:
        """Look at a segment, or a summary."""
        words, postings = _STATEMENTS[table.name]
        this = {
            "organization_id": self._query.organization_id,
            "begin": span.begin,
            # Another one that was joined from it may begin at the same time.
            "end": span.end,
        }

        def read_postings() -> bytes | None:
            found: bytes | None = self._connection.scalar(postings, this)
            return found

        # The words and where they stand have to be of the same segment.
        with database_of(self._connection).snapshot(self._connection):
            row = self._connection.execute(words, this).first()
            if row is None:
                # It was dropped just now.
                return _Looked([(span, 0)], 0)
            try:
                reader = search_segments.SegmentReader(
                    blocks=len(row.blocks) // 8,
                    opaque=row.opaque,
                    words=row.words,
                    read_postings=read_postings,
                )
                bits = reader.find_blocks(self._condition)
                begins = search_segments.list_begins(row.blocks)
            except (ZstdError, IndexError, struct.error):
                # It is damaged, so it rules out nothing.
                return _Looked([(span, 0)], 0)
        return _Looked(_find_spans(bits, begins, end=span.end), len(begins))


class _Looked(NamedTuple):
    """What was seen in a segment, or in a summary."""

    found: list[tuple[Period, int]]
    """The ranges that may have what is searched for, in the order of time, and how many blocks."""
    blocks: int
    """How many blocks were looked at."""


def _may_have(filter: Filter, *, of: Table = segments) -> ColumnElement[bool]:
    """Whether the words of a segment, or of a summary, may have what a filter selects."""
    if isinstance(filter, Words):
        patterns = search_segments.find_patterns(filter.text)
        return and_(true(), *(contains(of.c.words, each) for each in patterns))
    if isinstance(filter, AllOf | AnyOf):
        parts = [_may_have(each, of=of) for each in filter.inner]
        return and_(true(), *parts) if isinstance(filter, AllOf) else or_(false(), *parts)
    return true()


class _Histories:
    """What histories say. A search reads each piece of them once, though many rows have it."""

    def __init__(
        self, connection: Connection, condition: Filter, *, query: Query, bodies: Bodies
    ) -> None:
        self.bodies = bodies
        self._connection = connection
        self._organization_id = query.organization_id
        self._texts = [text.casefold() for text in list_words(condition)]
        self._stored: dict[bytes, bytes] = {}
        self._said: dict[bytes, PieceText] = {}
        self._known: dict[tuple[str, bytes], bool] = {}
        """Whether a piece, or one before it, contains a text."""

    def read(self, rows: Sequence[Any]) -> None:
        """Read the histories of some rows, as far as it is not known what they contain."""
        if len(self._known) > KNOWN_MAX:
            self._known.clear()
        hashes = {
            hash for row in rows for stored in list_stored(row) for hash in list_hashes(stored)
        }
        new = {
            hash for hash in hashes if any((text, hash) not in self._known for text in self._texts)
        }
        self._stored = read_chains(self._connection, new, organization_id=self._organization_id)
        self._said.clear()

    def contain(self, folded: str, last: bytes) -> bool:
        """Whether a history that was read contains a text. Raises `ValueError` if it cannot be
        told.
        """
        passed: list[tuple[str, bytes]] = []
        found, each = False, last
        while not found:
            key = folded, each
            if key in self._known:
                found = self._known[key]
                break
            passed.append(key)
            piece = self._read_piece(each)
            found = any(folded in text for text in piece.texts)
            if piece.before is None:
                break
            each = piece.before
        self._known.update(dict.fromkeys(passed, found))
        return found

    def _read_piece(self, hash: bytes) -> PieceText:
        if hash not in self._said:
            piece = read_piece(self._stored[hash], bodies=self.bodies)
            folded = [text.casefold() for text in piece.texts]
            self._said[hash] = PieceText(folded, piece.before)
        return self._said[hash]

    def expand(self, row: Any) -> tuple[bytes, bytes | None]:
        """The bodies of a row."""
        pieces = find_pieces(self._connection, [row], bodies=self.bodies)
        return read_bodies(row, bodies=pieces)


class _Texts:
    """What a row says, read when it is asked for."""

    def __init__(self, row: Any, histories: _Histories) -> None:
        self._row = row
        self._histories = histories

    def contain(self, text: str) -> bool:
        """Whether the request's or the response's messages contain the text, ignoring case."""
        folded = text.casefold()
        if self._apart is not None:
            said, lasts = self._apart
            try:
                return any(folded in each for each in said) or any(
                    self._histories.contain(folded, last) for last in lasts
                )
            except ValueError:
                # It can be told of the whole body.
                pass
        return any(folded in said for said in self._said)

    @cached_property
    def _apart(self) -> tuple[Sequence[str], Sequence[bytes]] | None:
        """What the row says besides its histories, and their last pieces. None if it has none."""
        if self._row.encoding != ZSTD or not is_apart(self._row):
            return None
        apart = read_row(self._row, bodies=self._histories.bodies)
        return apart and ([text.casefold() for text in apart.texts], apart.pieces)

    @cached_property
    def _said(self) -> list[str]:
        request, response = self._histories.expand(self._row)
        return [said.casefold() for said in list_said(request, response)]


def _find_spans(bits: int, begins: Sequence[int], *, end: int) -> list[tuple[Period, int]]:
    """The ranges of the blocks whose bits are set, and how many blocks. Neighbours are one."""
    if not bits:
        return []
    edges = [*begins, end]
    spans = []
    for is_found, some in groupby(range(len(begins)), lambda number: bits >> number & 1):
        numbers = list(some)
        if is_found:
            spans.append((Period(edges[numbers[0]], edges[numbers[-1] + 1]), len(numbers)))
    return spans


def _find_whole(spans: Sequence[Period], span: Period) -> Period | None:
    """The range that another is a part of. They are in the order of time."""
    place = bisect_right(spans, (span.begin, _NEWEST)) - 1
    return spans[place] if place >= 0 and span.end <= spans[place].end else None


def _is_within(spans: Sequence[Period], at: int) -> bool:
    """Whether a time is in one of some ranges, which are in the order of time."""
    place = bisect_right(spans, (at, _NEWEST)) - 1
    return place >= 0 and at < spans[place].end


def _select_one(table: Table) -> tuple[Select[Any], Select[Any]]:
    """The words of a segment, or a summary, and its postings."""
    columns = table.c
    this = (
        columns.organization_id == bindparam("organization_id"),
        columns.begin_at == bindparam("begin"),
        columns.end_at == bindparam("end"),
    )
    words = select(columns.blocks, columns.opaque, columns.words).where(*this)
    return words, select(columns.postings).where(*this)


_STATEMENTS = {table.name: _select_one(table) for table in (segments, summaries)}
_SPAN: dict[str, Any] = {"created_from": bindparam("begin"), "created_to": bindparam("end")}
"""A range of time that is given when the statement is executed."""

_OF_BODIES = tuple(
    completions.c[name] for name in ("organization_id", "encoding", "request", "response")
)
