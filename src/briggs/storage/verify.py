"""Reads the whole record, page by page, and says what in it is not as it must be."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Row,
    Select,
    Table,
    and_,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.exc import DBAPIError
from zstandard import ZstdError

from briggs.storage import feedback_sums, indexes, rollups
from briggs.storage.batches import cut, split
from briggs.storage.bodies import RAW, ZSTD, Bodies
from briggs.storage.completions import select_many
from briggs.storage.forgetting import find_forgotten
from briggs.storage.functions import by_key
from briggs.storage.migrations import require_current
from briggs.storage.pieces import find_pieces, list_hashes, read_references
from briggs.storage.records import BODY_BYTES, SELECT, decode
from briggs.storage.recounts import find_miscounts
from briggs.storage.rows import decode as decode_row
from briggs.storage.search_index import list_covered
from briggs.storage.search_segments import Segment, find_fault, list_begins
from briggs.storage.tables import (
    IS_OPEN,
    completion_metadata,
    completion_rules,
    completion_tags,
    completions,
    dataset_samples,
    feedback_counts,
    feedback_queue,
    feedback_tasks,
    metadata,
    organizations,
    pieces,
    rollup_fills,
    search_segments,
    search_summaries,
    sessions,
    test_runs,
)
from briggs.storage.tables import rollups as rollups_table
from briggs.storage.types import Json, KeyText
from briggs.types.completions import Completion
from briggs.types.rollups import SPAN_US, Span, Tally

PAGE_ROWS = 200
BYTES_AT_ONCE = 8 * 1024 * 1024
"""How much of stored bodies is read in one snapshot, if no body is larger."""

TRIES = 3
"""How often an hour is summed up again that changed meanwhile."""

RESTORE = "restore a backup"
REBUILD = "run `briggs rollups rebuild`"
RECOUNT = "stop the servers and run `briggs store recount`"
REINDEX = "run `briggs search rebuild`"
RELABEL = "set its tags and metadata again (PATCH /v1/chat/completions/ID), or restore a backup"

_UNREADABLE = (
    *(ZstdError, msgspec.MsgspecError, struct.error),
    *(KeyError, IndexError, ValueError, TypeError, MemoryError),
)
"""What reading a damaged value raises. A missing piece is a `KeyError`."""

Read = TypeVar("Read")


class Damage(NamedTuple):
    """Something that is not as it must be."""

    what: str
    remedy: str
    """What to do."""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


class RecordReader(Protocol):
    """A database that is only read, while others may use it."""

    def read(self) -> AbstractContextManager[Connection]:
        """A connection that only reads."""
        ...

    def snapshot(self, connection: Connection) -> AbstractContextManager[None]:
        """Make all reads in the block see the same state."""
        ...

    def hold(self, connection: Connection) -> AbstractContextManager[None]:
        """As `snapshot`, for as long as it takes. Servers that write meanwhile know of it."""
        ...

    def stream(
        self, connection: Connection, statement: Select[Any]
    ) -> AbstractContextManager[Iterable[Row[Any]]]:
        """The rows of a statement, few at a time."""
        ...

    def find_damage(self) -> Iterator[str]:
        """What the database itself finds wrong with its files."""
        ...

    def close(self) -> None:
        """Close its connections."""
        ...


def verify(reader: RecordReader, *, show: Callable[[str, float], None]) -> Iterator[Damage]:
    """Yield what is wrong with a record, while others may use it.

    It reads a few rows at a time, each few as of one moment, so that it takes little memory and
    keeps no old state of the database. `show` is told what is read, and how much is done. Raises
    `StoreError` if its tables are not those of this Briggs.
    """
    show("Reading the files", 0.0)
    try:
        with reader.read() as connection:
            require_current(connection, name="the record")
        for damage in reader.find_damage():
            yield Damage(damage, RESTORE)
        with reader.read() as connection:
            known = connection.scalars(select(organizations.c.id)).all()
            for number, organization_id in enumerate(known):
                each = _Organization(reader, connection, organization_id)
                steps = each.list_steps()
                for step, (name, find) in enumerate(steps):
                    share = (number + step / len(steps)) / len(known)
                    each.show = lambda done, name=name, share=share: show(  # type: ignore[misc]
                        f"{name}: {done:,}", share
                    )
                    each.show(0)
                    yield from find()
    except DBAPIError as error:
        yield Damage(f"the database cannot be read further ({error.orig})", RESTORE)


class _Organization:
    """Verifies what belongs to one organization."""

    def __init__(self, reader: RecordReader, connection: Connection, organization_id: str) -> None:
        self.show: Callable[[int], None] = lambda done: None
        self._reader = reader
        self._connection = connection
        self._id = organization_id
        self._bodies = Bodies()

    def list_steps(self) -> Sequence[tuple[str, Callable[[], Iterator[Damage]]]]:
        """What is verified, in order, with its name."""
        return [
            ("Completions", self._check_completions),
            *(
                (f"Rows of {table.name}", lambda table=table: self._check_index(table))
                for table in (completion_tags, completion_metadata, completion_rules)
            ),
            ("Pieces of histories", self._check_pieces),
            ("Hours and minutes of the rollups", self._check_rollups),
            ("Segments of the index of words", self._check_segments),
            ("Places in queues", self._check_queue),
            ("Sums of feedback", self._check_sums),
            *(
                (f"Rows of {table.name}", lambda table=table: self._check_values(table))
                for table in metadata.sorted_tables
                if _has_values(table)
            ),
        ]

    # Completions.

    def _check_completions(self) -> Iterator[Damage]:
        for keys in self._pages(completions):
            for ids in self._cut([key[0] for key in keys]):
                with self._reader.snapshot(self._connection):
                    found = [*self._read_completions(ids)]
                yield from found

    def _cut(self, ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """A page of ids in parts whose stored bodies fit into memory."""
        sizes = select(completions.c.id, BODY_BYTES)
        statement = select_many(sizes, ids=ids, organization_id=self._id)
        rows = self._connection.execute(statement).all()
        for part in cut(rows, bytes_of=itemgetter(1), bytes_max=BYTES_AT_ONCE):
            yield [id for id, _ in part]

    def _read_completions(self, ids: Sequence[str]) -> Iterator[Damage]:
        statement = SELECT.add_columns(completions.c.owner)
        rows: list[Any] = []
        for some in _split_unreadable(
            ids,
            lambda some: self._connection.execute(
                select_many(statement, ids=some, organization_id=self._id)
            ).all(),
        ):
            if isinstance(some, _Unreadable):
                yield Damage(f"completion {some.key} cannot be read ({some.reason})", RESTORE)
            else:
                rows += some
        sound: list[Completion] = []
        for row in rows:
            try:
                found = find_pieces(self._connection, [row], bodies=self._bodies)
                completion = decode(row, bodies=found)
            except _UNREADABLE as error:
                yield Damage(f"a body of completion {row.id} {_explain(error)}", RESTORE)
                continue
            sound.append(completion)
            for what in _find_faults(row, completion):
                yield Damage(f"completion {row.id} {what}", RESTORE)
        yield from self._find_missing(sound)

    def _find_missing(self, of: Sequence[Completion]) -> Iterator[Damage]:
        """What the tables lack by which these completions are found."""
        named = [(each.organization_id, each.session_id) for each in of if each.session_id]
        for table, rows in (*indexes.list_rows(of), (sessions, named)):
            wanted = {self._as_stored(table, row[1:]) for row in rows}
            columns = [*table.primary_key][1:]
            found: set[tuple[Any, ...]] = set()
            for some in split(sorted(wanted), PAGE_ROWS):
                statement = select(*columns).where(
                    table.c.organization_id == self._id, tuple_(*columns).in_(some)
                )
                found.update(map(tuple, self._connection.execute(statement)))
            for row in sorted(wanted - found):
                yield Damage(f"{table.name} has no row {_show_row(row)}", RELABEL)

    def _check_index(self, table: Table) -> Iterator[Damage]:
        """Whether completions have what the rows of a table say that they have."""
        names = ("id", "organization_id", "created_at", "tags", "metadata", "violates")
        heads = select(*(completions.c[name] for name in names))
        for keys in self._pages(table):
            with self._reader.snapshot(self._connection):
                # What is being forgotten has left its completions, and goes step by step.
                forgotten = find_forgotten(self._connection)
                present = {key for key in self._read_again(table, keys) if key[-2] >= forgotten}
                found: list[Completion] = []
                for some in _split_unreadable(
                    sorted({key[-1] for key in present}),
                    lambda some: self._connection.execute(
                        select_many(heads, ids=some, organization_id=self._id)
                    ).all(),
                ):
                    if isinstance(some, _Unreadable):
                        # It was reported with its completion.
                        present = {key for key in present if key[-1] != some.key}
                    else:
                        found += [decode_row(row, Completion) for row in some]
            rows = next(rows for each, rows in indexes.list_rows(found) if each is table)
            for row in sorted(present - {self._as_stored(table, row[1:]) for row in rows}):
                yield Damage(
                    f"{table.name} has a row {_show_row(row)}, which its completion does not have",
                    RELABEL,
                )

    def _as_stored(self, table: Table, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """The rest of a key as it is read from a table: long texts may have a short form there."""
        dialect = self._connection.dialect
        stored = list(key)
        for place, column in enumerate([*table.primary_key][1:]):
            if isinstance(column.type, KeyText):
                write = column.type.dialect_impl(dialect).bind_processor(dialect)
                read = column.type.dialect_impl(dialect).result_processor(dialect, None)
                assert write and read, "each database has its own way to store such a text"
                stored[place] = read(write(key[place]))
        return tuple(stored)

    def _read_again(self, table: Table, keys: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        columns = [*table.primary_key][1:]
        ours = select(*columns).where(table.c.organization_id == self._id)
        return [
            tuple(row)
            for some in split(keys, PAGE_ROWS)
            for row in self._connection.execute(ours.where(tuple_(*columns).in_(some)))
        ]

    # Histories.

    def _check_pieces(self) -> Iterator[Damage]:
        for keys in self._pages(pieces):
            hashes = [key[0] for key in keys]
            ours = pieces.c.organization_id == self._id
            for one in hashes:
                with self._reader.snapshot(self._connection):
                    statement = by_key(select(pieces).where(ours, pieces.c.hash == one), pieces)
                    row = self._connection.execute(statement).first()
                    if row is None:
                        continue
                    wanted = {*list_hashes(row.content)}
                    theirs = select(pieces.c.hash).where(ours, pieces.c.hash.in_(wanted))
                    lost = wanted - {*self._connection.scalars(by_key(theirs, pieces))}
                yield from self._find_faults_of(row, lost)
        yield from self._check_uses()

    def _check_uses(self) -> Iterator[Damage]:
        with self._reader.hold(self._connection):
            found = [*find_miscounts(self._reader, self._connection, organization_id=self._id)]
        for each in found:
            yield Damage(
                f"piece {each.hash.hex()} is used {each.uses} times, and {each.noted} are counted",
                RECOUNT,
            )

    def _find_faults_of(self, row: Any, lost: set[bytes]) -> Iterator[Damage]:
        name = f"piece {row.hash.hex()}"
        for hash in sorted(lost):
            yield Damage(f"{name} continues piece {hash.hex()}, which is missing", RESTORE)
        try:
            self._bodies.expand(read_references(row.content)[1])
        except _UNREADABLE as error:
            yield Damage(f"{name} {_explain(error)}", RESTORE)

    # Rollups.

    def _check_rollups(self) -> Iterator[Damage]:
        ours = rollup_fills.c.organization_id == self._id
        begin = self._connection.scalar(select(rollup_fills.c.until_at).where(ours)) or 0
        hour = SPAN_US["hour"]
        begin = -(-begin // hour) * hour
        done = 0
        while (next_hour := self._find_hour(begin)) is not None:
            for span, at in self._find_wrong_sums(next_hour):
                yield Damage(
                    f"the rollups of the {span} from {at // 1_000_000} (Unix time) are not the "
                    "sums of its completions",
                    REBUILD,
                )
            begin = next_hour + hour
            done += 1
            self.show(done)

    def _find_hour(self, begin: int) -> int | None:
        """The next hour that has completions or rollups."""
        columns = completions.c
        row = select(func.min(columns.created_at)).where(
            columns.organization_id == self._id, columns.created_at >= begin
        )
        tally = select(func.min(rollups_table.c.begin_at)).where(
            rollups_table.c.organization_id == self._id,
            rollups_table.c.span == "hour",
            rollups_table.c.begin_at >= begin,
        )
        found = [each for each in map(self._connection.scalar, (row, tally)) if each is not None]
        return min(found) // SPAN_US["hour"] * SPAN_US["hour"] if found else None

    def _find_wrong_sums(self, begin: int) -> list[tuple[Span, int]]:
        """The spans of an hour whose rollups are not what they must be, with their beginnings.

        The rows are summed up minute by minute. An hour that goes on changing is read at once.
        """
        spans: list[Span] = ["hour"]
        if rollups.has_minutes(self._connection, organization_id=self._id, hour=begin):
            spans.append("minute")
        for _ in range(TRIES):
            sums = self._read_sums(begin, spans)
            if not self._compare(sums, begin, spans):
                return []
            if sums == self._read_sums(begin, spans):
                break
        with self._reader.snapshot(self._connection):
            return self._compare(self._read_sums(begin, spans), begin, spans)

    def _compare(self, sums: _Sums, begin: int, spans: Sequence[Span]) -> list[tuple[Span, int]]:
        counted = self._count_sums(begin)
        differing = {key for key in {*sums, *counted} if sums.get(key) != counted.get(key)}
        return sorted({(span, at) for span, at, _, _ in differing if span in spans})

    def _read_sums(self, begin: int, spans: Sequence[Span]) -> _Sums:
        return {
            (span, each.begin_at, each.model, each.provider): each.tally
            for span in spans
            for each in rollups.list_rollups(
                self._connection,
                organization_id=self._id,
                span=span,
                created_from=begin,
                created_to=begin + SPAN_US["hour"],
            )
        }

    def _count_sums(self, begin: int) -> _Sums:
        """What these must be."""
        sums: _Sums = {}
        for minute in range(begin, begin + SPAN_US["hour"], SPAN_US["minute"]):
            found: dict[tuple[str, str], Tally] = {}
            rollups.sum_rows(
                self._connection,
                found,
                organization_id=self._id,
                created_from=minute,
                created_to=minute + SPAN_US["minute"],
            )
            for key, tally in found.items():
                if tally:
                    sums.setdefault(("hour", begin, *key), Tally()).add(tally)
                    sums["minute", minute, *key] = tally
        return sums

    # Queues.

    def _check_queue(self) -> Iterator[Damage]:
        for keys in self._pages(feedback_queue):
            ids = sorted({id for _, id in keys})
            with self._reader.snapshot(self._connection):
                present = self._read_again(feedback_queue, keys)
                statement = select_many(select(completions.c.id), ids=ids, organization_id=self._id)
                there = {*self._connection.scalars(statement)}
            for task_id, id in present:
                if id not in there:
                    yield Damage(
                        f"the queue of task {task_id} has completion {id}, which is not there",
                        RESTORE,
                    )
        yield from self._check_counts()

    def _check_counts(self) -> Iterator[Damage]:
        queue, counts = feedback_queue.c, feedback_counts.c
        ours = select(queue.task_id, func.count()).where(queue.organization_id == self._id)
        ours = ours.group_by(queue.task_id)
        noted = select(counts.task_id, counts.matching, counts.left).where(
            counts.organization_id == self._id
        )
        with self._reader.snapshot(self._connection):
            rows = self._connection.execute(noted).all()
            places = {row[0]: row[1] for row in self._connection.execute(ours)}
            left = {row[0]: row[1] for row in self._connection.execute(ours.where(IS_OPEN))}
        for row in rows:
            real = (places.get(row.task_id, 0), left.get(row.task_id, 0))
            if (row.matching, row.left) != real:
                yield Damage(
                    f"the queue of task {row.task_id} has {real[0]} places, {real[1]} of them "
                    f"open, but {row.matching} and {row.left} are counted",
                    RESTORE,
                )

    def _check_sums(self) -> Iterator[Damage]:
        ours = feedback_tasks.c.organization_id == self._id
        tasks = self._connection.scalars(select(feedback_tasks.c.id).where(ours)).all()
        for task_id in tasks:
            with self._reader.hold(self._connection):
                if not feedback_sums.is_counted(
                    self._connection, task_id, organization_id=self._id
                ):
                    continue
                wrong = feedback_sums.find_wrong(
                    self._connection, task_id, organization_id=self._id
                )
                try:
                    found = [*wrong]
                except _UNREADABLE as error:
                    found = [f"its feedback {_explain(error)}"]
            for what in found:
                yield Damage(f"in task {task_id}, {what}", RECOUNT)

    # The index of words.

    def _check_segments(self) -> Iterator[Damage]:
        for table, name in ((search_segments, "segment"), (search_summaries, "summary")):
            for keys in self._pages(table):
                for (begin_at,) in keys:
                    with self._reader.snapshot(self._connection):
                        fault = self._find_fault(table, begin_at)
                    if fault is not None:
                        yield Damage(
                            f"the {name} of the index of words from {begin_at / 1_000_000:.6f} "
                            f"(Unix time) is damaged ({fault})",
                            REINDEX,
                        )

    def _find_fault(self, table: Table, begin_at: int) -> str | None:
        """What is wrong with a segment or a summary. None if nothing is, or it is gone."""
        this = table.c.organization_id == self._id, table.c.begin_at == begin_at
        row = self._connection.execute(select(table).where(*this)).first()
        if row is None or (table is search_summaries and not row.words):
            # A summary without words says nothing.
            return None
        found = Segment(*row[1:])
        fault = find_fault(found)
        if fault is None and table is search_summaries:
            covered = list_covered(
                self._connection, organization_id=self._id, begin=found.begin_at, end=found.end_at
            )
            if [each.begin for each in covered] != list_begins(found.blocks):
                return "its segments are others"
        return fault

    # Everything else.

    def _check_values(self, table: Table) -> Iterator[Damage]:
        """Whether the JSON and the frames in a table can be read."""
        columns = [*table.primary_key][1:]
        values = _list_values(table)
        ours = select(*values).where(table.c.organization_id == self._id)
        for keys in self._pages(table):
            for key in keys:
                this = (column == value for column, value in zip(columns, key, strict=True))
                try:
                    row = self._connection.execute(ours.where(and_(*this))).first()
                    for column in values:
                        frame = None if row is None else row._mapping[column]
                        if column in _FRAMES and frame is not None:
                            self._bodies.expand(frame)
                except _UNREADABLE as error:
                    yield Damage(f"{table.name} {_show_row(key)} {_explain(error)}", RESTORE)

    def _pages(self, table: Table) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The keys of an organization's rows, without the organization."""
        columns = [*table.primary_key][1:]
        page = select(*columns).where(table.c.organization_id == self._id)
        page = page.order_by(*columns).limit(PAGE_ROWS)
        if table in (completions, pieces):
            page = by_key(page, table)
        next_page, done = page, 0
        while keys := [tuple(row) for row in self._connection.execute(next_page)]:
            yield keys
            done += len(keys)
            self.show(done)
            if len(keys) < PAGE_ROWS:
                return
            last = [
                literal(value, column.type) for value, column in zip(keys[-1], columns, strict=True)
            ]
            next_page = page.where(tuple_(*columns) > tuple_(*last))


_Sums = dict[tuple[Span, int, str, str], Tally]
"""Tallies by span, beginning, model and provider."""


class _Unreadable(NamedTuple):
    """A row that cannot be read."""

    key: str
    reason: str


def _split_unreadable(
    keys: Sequence[str], read: Callable[[Sequence[str]], Sequence[Read]]
) -> Iterator[Sequence[Read] | _Unreadable]:
    """Read rows at once. If that fails, read them one by one, and name those that fail."""
    try:
        yield read(keys)
        return
    except _UNREADABLE:
        pass
    for key in keys:
        try:
            yield read([key])
        except _UNREADABLE as error:
            yield _Unreadable(key, str(error))


def _find_faults(row: Any, completion: Completion) -> Iterator[str]:
    """What is impossible about a completion."""
    if completion.status not in ("started", "finished", "failed"):
        yield f"has the status {completion.status!r}, which does not exist"
    if row.encoding not in (RAW, ZSTD):
        yield f"has the encoding {row.encoding}, which does not exist"
    if completion.status == "started" and row.encoding != RAW:
        yield "is `started`, and its bodies are compressed"
    if completion.status != "started" and row.owner is not None:
        yield f"is `{completion.status}`, and a process still answers it"
    if completion.bodies_deleted_at is not None and completion.request:
        yield "has a body that was deleted"


def _explain(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return "needs a piece that is missing"
    return f"cannot be read ({error or type(error).__name__})"


def _show_row(row: Iterable[Any]) -> str:
    return "(" + ", ".join(map(repr, row)) + ")"


_FRAMES: tuple[Column[Any], ...] = (dataset_samples.c.sample, test_runs.c.report)


def _list_values(table: Table) -> list[Column[Any]]:
    return [each for each in table.columns if isinstance(each.type, Json) or each in _FRAMES]


def _has_values(table: Table) -> bool:
    [first, *_] = table.primary_key
    return (
        table is not completions and first.name == "organization_id" and bool(_list_values(table))
    )
