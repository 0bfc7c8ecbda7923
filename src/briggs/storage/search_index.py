"""Keeps the words of completions in segments, step by step, while calls are answered.

The newest completions are in no segment, and a search reads them one by one. A transaction that
changes what completions say drops the segments that cover them, so whatever is in a segment is
true, and what was deleted is in none. Dropped ranges are read again later.

A group of segments has a summary, which goes with the first of them that is dropped. A search that
finds nothing there looks at none of the group.
"""

from __future__ import annotations

import time
from bisect import bisect_right, insort
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, Table, func, select
from zstandard import ZstdError

from briggs.storage.access import Access
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.database import database_of
from briggs.storage.pieces import (
    Expander,
    find_pieces,
    read_chains,
    read_references,
    read_stored,
)
from briggs.storage.said import list_said
from briggs.storage.said_apart import is_apart, read_piece, read_row
from briggs.storage.search_chains import Chains
from briggs.storage.search_segments import (
    BLOCKS_MAX,
    TERMS_MAX,
    Builder,
    Segment,
    WordBlock,
    read_words,
    split_words,
)
from briggs.storage.tables import (
    IS_STARTED,
    completions,
    organizations,
    search_segments,
    search_summaries,
)
from briggs.types.completions import Completion, current_time_us
from briggs.types.search import LEFT_MAX, SearchProgress

BLOCK_ROWS = 32
"""So many are read if a block may contain a text. It takes about a millisecond."""

SMALL_ROWS = 1024
"""So many new completions become a segment. Until then, a search reads them."""

SMALL_BLOCKS = SMALL_ROWS // BLOCK_ROWS
LARGE_ROWS = BLOCKS_MAX * BLOCK_ROWS
MERGED = LARGE_ROWS // SMALL_ROWS
"""So many neighbouring small segments become a large one."""

GROUP_SEGMENTS = 32
"""So many neighbouring large segments get a summary, unless they have too many words."""

GROUP_FREQUENT = GROUP_SEGMENTS // 2
"""A word that is in so many segments of a group may be in any of them."""

GROUP_TERMS_MAX = 2 * TERMS_MAX
"""Different words of a summary. They take about 80 MB while it is made."""

SUMMARY_SHARE_MAX = 0.5
"""A summary that is longer, of what its segments are, is not worth looking at first."""

BLOCK_BODIES_BYTES = 512 * 1024
"""Bodies that are read for a block in one step, unless a single row has more."""

STEP_BYTES = 128 * 1024
"""So much text of histories is read in one step."""

ROW_BYTES = 2 * 1024 * 1024
"""Larger bodies are read in steps of their own."""

SAID_BYTES_MAX = 96 * 1024 * 1024
TIED_ROWS_MAX = 256
"""Larger bodies, and more completions of one microsecond, are searched without their words."""

SETTLED_US = 2_000_000
RUNNING_US = 600_000_000
"""Calls that began less long ago than this may still change, if they have not ended."""

QUIET_S = 30.0
"""How long nothing is read of an organization after a segment was dropped. More of it is often
changed soon."""

UNSETTLED_S = 5.0
"""How long nothing is read if enough completions are new, but have not ended."""

EVERY_S = 1.0
"""How often a step is taken while there is no idle moment, and how often it is looked for work."""

BEHIND_ROWS = 20_000
BEHIND_EVERY_S = 0.02
"""Above so many new completions, steps no longer wait for idle moments."""

LOOKED_EVERY_S = 10.0
"""How often it is looked for what other processes have written."""

RETRY_S = 60.0


class Period(NamedTuple):
    """A range of time, in Unix microseconds: from, and to before."""

    begin: int
    end: int


_OLDEST, _NEWEST = -(2**62), 2**62


class _Known(msgspec.Struct):
    """What the writer's thread knows of the segments. The database forgets it with a transaction
    that fails, and it is read again.
    """

    spans: dict[str, list[Period]]
    """What the segments of each organization cover, in the order of time."""
    small: set[tuple[str, int]]
    """The organizations and beginnings of small segments."""
    summed: dict[str, list[Period]]
    """What the summaries of each organization cover, in the order of time."""
    left: dict[str, int]
    """How many were written since it was last looked for work."""
    due: set[str]
    """Organizations for which there may be work."""
    resting: dict[str, float] = {}
    """When each organization whose segments were dropped may have new ones."""
    building: tuple[str, Period] | None = None
    """What is being read. None if it changed meanwhile."""


def note(connection: Connection, of: Iterable[Completion], *, is_expected: bool = False) -> None:
    """Note, in the transaction that writes, changes or deletes completions, that what they say is
    new. Their segments are dropped.

    `is_expected` says that no process can be reading them into a segment: they are new, or their
    starts kept it from that.
    """
    times = [(each.organization_id, each.created_at) for each in of]
    note_times(connection, times, is_expected=is_expected)


def note_times(
    connection: Connection, of: Sequence[tuple[str, int]], *, is_expected: bool = False
) -> None:
    """As `note`, by organizations and times."""
    database = database_of(connection)
    if database.is_shared and of and not is_expected:
        # Another process may be reading them now, and begins anew.
        database.note_change(connection)
    known = _know(connection)
    for organization_id, at in of:
        left = known.left[organization_id] = known.left.get(organization_id, 0) + 1
        if left >= SMALL_ROWS:
            known.due.add(organization_id)
        spans = known.spans.get(organization_id)
        if spans and at < spans[-1].end and (span := _find(spans, at)) is not None:
            _drop(connection, known, organization_id, span)
            _rest(known, organization_id)
        if known.building is not None:
            owner, span = known.building
            if owner == organization_id and span.begin <= at < span.end:
                known.building = None
                _rest(known, organization_id)


def _rest(known: _Known, organization_id: str) -> None:
    """Not longer if it rests already, or else it would be for ever."""
    known.due.add(organization_id)
    known.resting.setdefault(organization_id, time.monotonic() + QUIET_S)


def forget_before(connection: Connection, *, organization_id: str, before: int) -> None:
    """Drop the words of all completions from before a time, and of the others in their segment."""
    for table in (search_segments, search_summaries):
        ours = table.c.organization_id == organization_id
        connection.execute(table.delete().where(ours, table.c.begin_at < before))
    forget(connection)


def forget(connection: Connection) -> None:
    """Forget what is known, after segments were deleted in another way."""
    database_of(connection).remembered.pop(_KNOWN, None)
    database_of(connection).note_change(connection)


def is_late(completion: Completion, *, now: int, is_first: bool) -> bool:
    """Whether a completion may be in a segment, or be read into one, before it is written.

    `is_first` says that nothing of it is on record yet. Otherwise its start is.
    """
    age_us = now - completion.created_at
    return age_us >= (SETTLED_US if is_first else RUNNING_US) // 2


class Indexer:
    """Reads completions into segments. Belongs to the writer's thread.

    A process that is killed loses the segment that it was building, and builds it again.
    """

    def __init__(self, connection: Connection, *, bodies: Bodies) -> None:
        self._connection = connection
        self._bodies = bodies
        self._work: Iterator[None] | None = None
        self._building: tuple[str, Period] | None = None
        self._at = self._look_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is work for an idle moment."""
        known: _Known | None = database_of(self._connection).remembered.get(_KNOWN)
        return known is None or self._work is not None or bool(self._list_due(known))

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        now = time.monotonic()
        if now < self._at:
            return False
        self._at = now + RETRY_S
        known = _know(self._connection)
        if database_of(self._connection).is_shared and now >= self._look_at:
            # Others do not say what they write.
            self._look_at = now + LOOKED_EVERY_S
            known.due.update(self._connection.scalars(select(organizations.c.id)))
        if self._work is None or known.building is not self._building:
            self._work = self._begin(known)
        if self._work is None:
            self._at = now + EVERY_S
            return False
        work, self._work = self._work, None
        for _ in work:
            self._work = work
            break
        is_behind = max(known.left.values(), default=0) > BEHIND_ROWS
        self._at = 0.0 if idle else now + (BEHIND_EVERY_S if is_behind else EVERY_S)
        return True

    def _list_due(self, known: _Known) -> list[str]:
        now = time.monotonic()
        return [each for each in known.due if known.resting.get(each, 0.0) <= now]

    def _begin(self, known: _Known) -> Iterator[None] | None:
        """Find a segment to build."""
        self._building = known.building = None
        for organization_id in self._list_due(known):
            known.resting.pop(organization_id, None)
            spans = known.spans.setdefault(organization_id, [])
            if (span := self._find_gap(organization_id, spans)) is not None:
                self._building = known.building = organization_id, span
                return self._build(known, organization_id, span)
            some = _find_neighbours(known, organization_id)
            if some:
                merged = Period(some[0].begin, some[-1].end)
                self._building = known.building = organization_id, merged
                return self._merge(known, organization_id, some)
            group = next(_list_groups(known, organization_id), None)
            if group is not None:
                whole = Period(group[0].begin, group[-1].end)
                self._building = known.building = organization_id, whole
                return self._sum_up(known, organization_id, group)
            last = spans[-1].end if spans else _OLDEST
            if self._has_many(organization_id, Period(last, _NEWEST)):
                known.resting[organization_id] = time.monotonic() + UNSETTLED_S
            else:
                known.due.discard(organization_id)
                known.left.pop(organization_id, None)
        return None

    def _find_gap(self, organization_id: str, spans: Sequence[Period]) -> Period | None:
        """The newest range that is to become a segment."""
        end = _find_settled(self._connection, organization_id)
        last = spans[-1].end if spans else _OLDEST
        if (tail := self._cut_tail(organization_id, Period(last, end))) is not None:
            return tail
        for place in range(len(spans) - 1, -1, -1):
            gap = Period(spans[place - 1].end if place else _OLDEST, spans[place].begin)
            if gap.begin < gap.end and (found := self._cut_gap(organization_id, gap)) is not None:
                return found
        return None

    def _cut_tail(self, organization_id: str, tail: Period) -> Period | None:
        """The oldest of new completions, or the newest if there are very many."""
        if not self._has_many(organization_id, tail):
            return None
        newest = self._find_place(organization_id, tail, 1, is_newest=True)
        assert newest is not None, "there are many"
        many = self._find_place(organization_id, tail, LARGE_ROWS, is_newest=True)
        if many is not None:
            return Period(many, newest + 1)
        oldest = self._find_place(organization_id, tail, 1, is_newest=False)
        beyond = self._find_place(organization_id, tail, SMALL_ROWS + 1, is_newest=False)
        assert oldest is not None, "there are many"
        begin = oldest if tail.begin == _OLDEST else tail.begin
        # Many may have the same time.
        is_cut = beyond is not None and beyond > begin
        return Period(begin, beyond if is_cut and beyond is not None else newest + 1)

    def _cut_gap(self, organization_id: str, gap: Period) -> Period | None:
        """The newest part of a gap. One between segments is filled, even if nothing is in it."""
        begin = self._find_place(organization_id, gap, LARGE_ROWS, is_newest=True)
        if begin is None and gap.begin == _OLDEST:
            begin = self._find_place(organization_id, gap, 1, is_newest=False)
            return None if begin is None else Period(begin, gap.end)
        return gap if begin is None else Period(begin, gap.end)

    def _has_many(self, organization_id: str, span: Period) -> bool:
        place = self._find_place(organization_id, span, SMALL_ROWS, is_newest=True)
        return place is not None

    def _find_place(
        self, organization_id: str, span: Period, number: int, *, is_newest: bool
    ) -> int | None:
        """When the newest, or the oldest, but so many began. None if there are fewer."""
        place = _COLUMNS.created_at
        statement = _in_span(select(place), organization_id, span)
        statement = statement.order_by(place.desc() if is_newest else place)
        found: int | None = self._connection.scalar(statement.offset(number - 1).limit(1))
        return found

    def _build(self, known: _Known, organization_id: str, span: Period) -> Iterator[None]:
        builder, chains, at = Builder(), Chains(), span.begin
        while at < span.end and not builder.is_full:
            rows, at = self._read_rows(organization_id, Period(at, span.end))
            if rows.count:
                words = yield from self._read_words(rows, chains, block=builder.number)
                builder.add(WordBlock(rows.begin, rows.count, words))
            for histories in chains.shrink():
                yield from builder.add_histories(histories)
            yield
        for histories in chains.drain():
            yield from builder.add_histories(histories)
        segment = yield from builder.finish(begin_at=span.begin, end_at=at)
        yield
        self._write(known, organization_id, segment, dropped=())

    def _merge(self, known: _Known, organization_id: str, some: Sequence[Period]) -> Iterator[None]:
        builder = Builder()
        for span in some:
            if (segment := self._read_segment(organization_id, span)) is None:
                return
            yield from builder.add_segment(segment)
            yield
        merged = yield from builder.finish(begin_at=some[0].begin, end_at=some[-1].end)
        yield
        self._write(known, organization_id, merged, dropped=some)

    def _sum_up(
        self, known: _Known, organization_id: str, group: Sequence[Period]
    ) -> Iterator[None]:
        builder = Builder(
            blocks_max=GROUP_SEGMENTS, terms_max=GROUP_TERMS_MAX, frequent_blocks=GROUP_FREQUENT
        )
        whole = 0
        for span in group:
            if (segment := self._read_segment(organization_id, span)) is None:
                return
            whole += len(segment.words)
            yield from builder.add_as_block(segment)
            if builder.is_full:
                break
        some = group[: builder.number]
        summary = yield from builder.finish(begin_at=some[0].begin, end_at=some[-1].end)
        if len(summary.words) > SUMMARY_SHARE_MAX * whole:
            # It says nothing, and is there so that it is not made again.
            summary = msgspec.structs.replace(summary, words=b"", postings=b"")
        yield
        self._write_summary(known, organization_id, summary, of=some)

    def _read_segment(self, organization_id: str, span: Period) -> Segment | None:
        """A segment. None if another process has just dropped it, and what is known is old."""
        row = self._connection.execute(_select_one(organization_id, span.begin)).first()
        if row is None:
            database_of(self._connection).remembered.pop(_KNOWN, None)
            return None
        return Segment(*row[1:])

    def _write(
        self, known: _Known, organization_id: str, segment: Segment, *, dropped: Sequence[Period]
    ) -> None:
        database = database_of(self._connection)
        with database.transaction(self._connection):
            if _know(self._connection) is not known:
                # Another process has changed something, perhaps of these.
                self._building = None
                return
            for each in dropped:
                _drop(self._connection, known, organization_id, each)
            database.note_change(self._connection)
            self._insert(search_segments, organization_id, segment)
        spans = known.spans.setdefault(organization_id, [])
        insort(spans, Period(segment.begin_at, segment.end_at))
        if _is_small(len(segment.blocks)):
            known.small.add((organization_id, segment.begin_at))
        self._building = known.building = None

    def _write_summary(
        self, known: _Known, organization_id: str, summary: Segment, *, of: Sequence[Period]
    ) -> None:
        """Write a summary, if its segments are still there."""
        database = database_of(self._connection)
        span = Period(summary.begin_at, summary.end_at)
        with database.transaction(self._connection):
            there = list_covered(
                self._connection, organization_id=organization_id, begin=span.begin, end=span.end
            )
            if _know(self._connection) is not known or there != [*of]:
                self._building = None
                forget(self._connection)
                return
            database.note_change(self._connection)
            self._insert(search_summaries, organization_id, summary)
        insort(known.summed.setdefault(organization_id, []), span)
        self._building = known.building = None

    def _insert(self, table: Table, organization_id: str, segment: Segment) -> None:
        values = {"organization_id": organization_id, **msgspec.structs.asdict(segment)}
        self._connection.execute(table.insert().values(values))

    def _read_rows(self, organization_id: str, span: Period) -> tuple[_Rows, int]:
        """The next completions of a range, and where those after them begin."""
        found = _Rows(organization_id, span.begin)
        size = tied = 0
        last, end = _OLDEST, span.end
        statement = _in_span(_BODIES, organization_id, span).order_by(_COLUMNS.created_at)
        with database_of(self._connection).stream(self._connection, statement) as rows:
            for row in rows:
                is_tied = row.created_at == last
                is_block = found.count >= BLOCK_ROWS or size > BLOCK_BODIES_BYTES
                if found.count and not is_tied and is_block:
                    end = row.created_at
                    break
                found.count, last = found.count + 1, row.created_at
                tied = tied + 1 if is_tied else 1
                size += self._read_row(row, into=found)
                if tied > TIED_ROWS_MAX or not found.is_known:
                    # The rest of this moment is not read.
                    found.is_known, end = False, row.created_at + 1
                    break
        return found, end

    def _read_row(self, row: Any, *, into: _Rows) -> int:
        """Read what a row says, or note it if it is large. Returns how much it has, in bytes."""
        bodies: Expander = self._bodies
        try:
            size = self._measure(row)
            if row.encoding == ZSTD and is_apart(row):
                apart = read_row(row, bodies=self._bodies) if size <= ROW_BYTES else None
                if apart is not None:
                    into.texts.update(apart.texts)
                    into.pieces.update(dict.fromkeys(apart.pieces))
                    return size
                pieces = find_pieces(self._connection, [row], bodies=self._bodies)
                bodies, size = pieces, sum(map(pieces.measure, _list_bodies(row)))
            if size <= ROW_BYTES:
                into.texts.update(list_said(*read_bodies(row, bodies=bodies)))
            else:
                into.large.append((row, bodies))
                into.large_bytes += size
                into.is_known = into.large_bytes <= SAID_BYTES_MAX
        except (ZstdError, KeyError):
            # A body that is damaged, or whose pieces are not there, counts as too large.
            into.is_known, size = False, 0
        return size

    def _measure(self, row: Any) -> int:
        """The size of a row's bodies, without their pieces."""
        if row.encoding != ZSTD:
            return sum(map(len, _list_bodies(row)))
        frames = [read_references(body)[1] for body in _list_bodies(row)]
        return sum(map(self._bodies.measure, frames))

    def _read_words(
        self, rows: _Rows, chains: Chains, *, block: int
    ) -> Generator[None, None, set[bytes] | None]:
        """The words of some rows, without those of the histories that they go on. These are noted.
        None if not all are known.
        """
        if not rows.is_known:
            return None
        try:
            yield from self._read_histories(rows, chains, block=block)
            texts = [*rows.texts]
            for row, bodies in rows.large:
                yield
                texts += list_said(*read_bodies(row, bodies=bodies))
        except (ZstdError, KeyError, ValueError):
            return None
        words = yield from split_words(texts)
        return words

    def _read_histories(self, rows: _Rows, chains: Chains, *, block: int) -> Iterator[None]:
        """Note the histories of some rows. Only what is new in them is read."""
        new = [each for each in rows.pieces if each not in chains]
        stored = read_stored(self._connection, new, organization_id=rows.organization_id)
        size = 0
        for last in rows.pieces:
            if last in chains:
                chains.use(last, block=block)
                continue
            texts, before = self._read_history(rows.organization_id, last, chains, stored=stored)
            words = read_words(texts)
            if words is None:
                raise ValueError("a history has too many words")
            chains.extend(last, before=before, words=words, block=block)
            size += sum(map(len, texts))
            if size > STEP_BYTES:
                size = 0
                yield

    def _read_history(
        self, organization_id: str, last: bytes, chains: Chains, *, stored: dict[bytes, bytes]
    ) -> tuple[list[str], bytes | None]:
        """What a history says that is new, and the last piece that is not. What is read of the
        database is added to what is `stored`.
        """
        texts: list[str] = []
        each: bytes | None = last
        while each is not None and each not in chains:
            if each not in stored:
                stored |= read_chains(self._connection, {each}, organization_id=organization_id)
            piece = read_piece(stored[each], bodies=self._bodies)
            texts += piece.texts
            each = piece.before
        return texts, each


class SearchIndex:
    """`store.search_index`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def rebuild(self, *, organization_id: str) -> None:
        """Forget the words of an organization's completions. They are read again from the rows."""
        await self._access.act(
            lambda connection: _rebuild(connection, organization_id=organization_id)
        )

    async def retrieve_progress(self, *, organization_id: str) -> SearchProgress:
        """How far the index is."""
        return await self._access.read(
            lambda connection: find_progress(connection, organization_id=organization_id)
        )


class _Rows(msgspec.Struct):
    """Completions that become a block."""

    organization_id: str
    begin: int
    count: int = 0
    texts: set[str] = set()
    """What they say, without their pieces."""
    pieces: dict[bytes, None] = {}
    """The last pieces of the histories that they go on, in the order of time."""
    large: list[tuple[Any, Expander]] = []
    """Rows that are read by themselves, and what expands their bodies."""
    large_bytes: int = 0
    is_known: bool = True
    """Whether all of them can be read."""


def _list_bodies(row: Any) -> list[bytes]:
    return [body for body in (row.request, row.response) if body]


def read_bodies(row: Any, *, bodies: Expander) -> tuple[bytes, bytes | None]:
    """The request and the response of a row that has these and their encoding."""
    if row.encoding != ZSTD:
        return row.request, row.response
    return bodies.expand(row.request), row.response and bodies.expand(row.response)


def list_covered(
    connection: Connection,
    *,
    organization_id: str,
    begin: int,
    end: int,
    table: Table = search_segments,
) -> list[Period]:
    """What the segments within a range cover, or the summaries, in the order of time."""
    columns = table.c
    ours = columns.organization_id == organization_id
    statement = select(columns.begin_at, columns.end_at).where(
        ours, columns.begin_at < end, columns.end_at > begin
    )
    return [Period(*row) for row in connection.execute(statement.order_by(columns.begin_at))]


def _know(connection: Connection) -> _Known:
    remembered = database_of(connection).remembered
    known: _Known | None = remembered.get(_KNOWN)
    if known is None:
        known = remembered[_KNOWN] = _read_known(connection, organization_id=None)
    return known


def _read_known(connection: Connection, *, organization_id: str | None) -> _Known:
    """What is known of one organization. None stands for all of them."""
    known = _Known(
        spans={},
        small=set(),
        summed={},
        left={},
        due=set(connection.scalars(select(organizations.c.id))),
    )
    columns = search_segments.c
    segments = select(
        columns.organization_id, columns.begin_at, columns.end_at, func.length(columns.blocks)
    ).order_by(columns.organization_id, columns.begin_at)
    columns = search_summaries.c
    summaries = select(columns.organization_id, columns.begin_at, columns.end_at)
    summaries = summaries.order_by(columns.organization_id, columns.begin_at)
    if organization_id is not None:
        segments = segments.where(search_segments.c.organization_id == organization_id)
        summaries = summaries.where(columns.organization_id == organization_id)
    for id, begin, end, size in connection.execute(segments):
        known.spans.setdefault(id, []).append(Period(begin, end))
        if _is_small(size):
            known.small.add((id, begin))
    for id, begin, end in connection.execute(summaries):
        known.summed.setdefault(id, []).append(Period(begin, end))
    return known


def _is_small(bytes_of_blocks: int) -> bool:
    return bytes_of_blocks <= SMALL_BLOCKS * 8


def _find(spans: Sequence[Period], at: int) -> Period | None:
    place = bisect_right(spans, (at, _NEWEST)) - 1
    return spans[place] if place >= 0 and at < spans[place].end else None


def _find_neighbours(known: _Known, organization_id: str) -> list[Period]:
    """Small segments, one beside the other, that are to become a large one."""
    some: list[Period] = []
    for span in known.spans.get(organization_id, ()):
        if (organization_id, span.begin) not in known.small:
            some = []
            continue
        if some and some[-1].end != span.begin:
            some = []
        some.append(span)
        if len(some) == MERGED:
            return some
    return []


def _list_groups(known: _Known, organization_id: str) -> Iterator[Sequence[Period]]:
    """Large segments without a summary, one beside the other, that are to have one.

    The oldest segment is in none, because it changes whenever the oldest completions are deleted.
    """
    summed = known.summed.get(organization_id, ())
    some: list[Period] = []
    for span in known.spans.get(organization_id, ())[1:]:
        if (organization_id, span.begin) in known.small or _find(summed, span.begin) is not None:
            some = []
            continue
        if some and some[-1].end != span.begin:
            some = []
        some.append(span)
        if len(some) == GROUP_SEGMENTS:
            yield some
            some = []


def _find_settled(connection: Connection, organization_id: str) -> int:
    """Until when completions have ended, or have run for so long that they are read as they are."""
    now = current_time_us()
    running = select(func.min(_COLUMNS.created_at)).where(
        IS_STARTED,
        _COLUMNS.organization_id == organization_id,
        _COLUMNS.created_at >= now - RUNNING_US,
    )
    oldest: int | None = connection.scalar(running)
    return min(now - SETTLED_US, now if oldest is None else oldest)


def _drop(connection: Connection, known: _Known, organization_id: str, span: Period) -> None:
    """Drop a segment, and the summary that has its words."""
    _delete(connection, search_segments, organization_id, span)
    known.spans[organization_id].remove(span)
    known.small.discard((organization_id, span.begin))
    summed = known.summed.get(organization_id, [])
    if (summary := _find(summed, span.begin)) is not None:
        _delete(connection, search_summaries, organization_id, summary)
        summed.remove(summary)


def _delete(connection: Connection, table: Table, organization_id: str, span: Period) -> None:
    this = table.c.organization_id == organization_id, table.c.begin_at == span.begin
    connection.execute(table.delete().where(*this))


def _in_span(statement: Select[Any], organization_id: str, span: Period) -> Select[Any]:
    return statement.where(
        _COLUMNS.organization_id == organization_id,
        _COLUMNS.created_at >= span.begin,
        _COLUMNS.created_at < span.end,
    )


def _select_one(organization_id: str, begin: int) -> Select[Any]:
    columns = search_segments.c
    return select(search_segments).where(
        columns.organization_id == organization_id, columns.begin_at == begin
    )


def _rebuild(connection: Connection, *, organization_id: str) -> None:
    for table in (search_segments, search_summaries):
        connection.execute(table.delete().where(table.c.organization_id == organization_id))
    forget(connection)


def find_progress(connection: Connection, *, organization_id: str) -> SearchProgress:
    """How far the index of an organization's completions is."""
    with database_of(connection).snapshot(connection):
        covered = list_covered(
            connection, organization_id=organization_id, begin=_OLDEST, end=_NEWEST
        )
        whole = Period(_OLDEST, _NEWEST)
        ours = _COLUMNS.organization_id == organization_id
        oldest, newest = (
            connection.scalar(select(edge).where(ours))
            for edge in (func.min(_COLUMNS.created_at), func.max(_COLUMNS.created_at))
        )
        if oldest is None or newest is None:
            return SearchProgress(is_complete=True, share=1.0, left=0, segments_left=0)
        left = tail = 0
        for gap in list_gaps(covered, whole):
            some = _in_span(select(_COLUMNS.created_at), organization_id, gap)
            counted = select(func.count()).select_from(some.limit(LEFT_MAX - left).subquery())
            found = connection.scalar(counted) or 0
            left += found
            tail = found if gap.end == _NEWEST else tail
        groups = _list_groups(
            _read_known(connection, organization_id=organization_id), organization_id
        )
        segments_left = sum(map(len, groups))
    spanned = max(1, newest - oldest)
    known = sum(min(each.end, newest) - max(each.begin, oldest) for each in covered)
    is_complete = left == tail and tail < 2 * SMALL_ROWS
    share = 1.0 if is_complete else min(1.0, max(0.0, known / spanned))
    return SearchProgress(
        is_complete=is_complete, share=share, left=left, segments_left=segments_left
    )


def list_gaps(covered: Sequence[Period], span: Period) -> list[Period]:
    """The parts of a range that are not covered, in the order of time."""
    gaps, begin = [], span.begin
    for each in covered:
        if each.begin > begin:
            gaps.append(Period(begin, each.begin))
        begin = max(begin, each.end)
    if begin < span.end:
        gaps.append(Period(begin, span.end))
    return gaps


_KNOWN = "search segments"
_COLUMNS = completions.c
_BODIES = select(
    *(
        _COLUMNS[name]
        for name in ("created_at", "organization_id", "encoding", "request", "response")
    )
)
