"""Copies a whole record to another database, whatever kinds the two are."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Select,
    Table,
    TypeDecorator,
    delete,
    func,
    inspect,
    literal,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError

from briggs.storage import copied_from, tables
from briggs.storage.batches import split
from briggs.storage.database import Database
from briggs.storage.errors import StoreError
from briggs.storage.functions import by_key
from briggs.storage.long_keys import LongKeys
from briggs.storage.migrations import migrate, require_current
from briggs.storage.reading import open_reader
from briggs.storage.store import open_database
from briggs.storage.tables import (
    completions,
    metadata,
    organizations,
    pieces,
)
from briggs.storage.verify import RecordReader

ROWS_AT_ONCE = 1_000
BYTES_AT_ONCE = 4 * 1024 * 1024
"""How much is written in one transaction, if no row is larger."""

KEYS_AT_ONCE = 200
LOG_BYTES_MAX = 64 * 1024 * 1024
ROOM_WAIT_S = 600.0

NOT_COPIED = {
    tables.migrations: "both are at the same version",
    tables.copied_from: "it says what the target is",
    tables.probes: "written to see whether a database can be written",
    tables.nodes: "who records in this database",
    tables.leases: "what one of them does",
    tables.node_messages: "what they say to each other",
    tables.changes: "what they remember of this database",
    tables.allowances: "what each of them may use",
    tables.sign_ins: "browsers know the cookie of this database",
    tables.feedback_marks: "they name states of this database",
    tables.feedback_together: "it is counted from the feedback",
    tables.feedback_sums: "they are counted from the feedback",
    tables.hours: "what its hours have is read from its rows",
}
"""The tables that each database has for itself, and why. All others are copied."""

TABLES = [table for table in metadata.sorted_tables if table not in NOT_COPIED]

RowKey = tuple[Any, ...]
Show = Callable[[str, float], None]


class Copied(NamedTuple):
    """What was done for one table. Source and target have the same rows, by the checksum."""

    table: str
    rows: int
    written: int
    """How many of them this run wrote. The others were there."""
    removed: int
    """Rows of an earlier run that have changed since, or are gone."""
    checksum: str
    """The same for the same rows, in any order and in any database."""


def copy(
    source: str,
    target: str,
    *,
    source_password: str | None = None,
    target_password: str | None = None,
    show: Show,
) -> list[Copied]:
    """Copy a record to another database, while servers use it. Nothing may use the target.

    Each is a data folder, or the address of a PostgreSQL database. What an earlier run of the same
    copy has written stays if it is still so. `show` is told what is being done, and a share of it.
    Raises `StoreError` if anything keeps the target from being the same as the source.
    """
    if _locate(source) == _locate(target):
        raise StoreError(f"{source} would be copied to itself: name another target")
    with (
        _explained(source),
        open_reader(Path(source), address=_address(source), password=source_password) as reader,
        reader.read() as reading,
        reader.hold(reading),
    ):
        _require_version(reading, name=source)
        with _open_target(target, password=target_password) as database, _explained(target):
            return [*_Copy(reader, reading, database, name=target, show=show).run()]


class _Copy:
    """One run of a copy."""

    def __init__(
        self,
        source: RecordReader,
        reading: Connection,
        target: Database,
        *,
        name: str,
        show: Show,
    ) -> None:
        self._source = source
        self._reading = reading
        self._target = target
        self._name = name
        self._show = show
        self._long_keys = LongKeys(reading, target.writer)
        self._run = ""

    def run(self) -> Iterator[Copied]:
        """Copy all tables, compare them, and declare the copy complete."""
        self._run = self._begin()
        sizes = {table: _count(self._reading, table) for table in TABLES}
        total = max(1, 2 * sum(sizes.values()))
        done = 0
        for table in TABLES:
            before, doing = done, f"{table.name}: {sizes[table]:,} rows"

            def show(rows: int, before: int = before, doing: str = doing) -> None:
                self._show(doing, (before + rows) / total)

            show(0)
            yield self._copy(table, show=show)
            done += 2 * sizes[table]
        with self._target.transaction(self._target.writer):
            self._claim(is_complete=True)

    def _begin(self) -> str:
        """Make sure that the target may be written, and mark it. Returns the name of this run."""
        source = copied_from.identify(self._reading)
        connection = self._target.writer
        mark = copied_from.find_mark(connection)
        if mark is None and (found := _find_data(connection)) is not None:
            raise StoreError(
                f"{self._name} has other data (in {found}), or a server has used it since it was "
                "copied: name an empty target"
            )
        if mark is not None and mark.source != source:
            raise StoreError(f"{self._name} is a copy of another record: name an empty target")
        migrate(connection)
        with self._target.transaction(connection):
            return copied_from.begin(connection, source=source)

    def _claim(self, *, is_complete: bool = False) -> None:
        if not copied_from.claim(self._target.writer, run=self._run, is_complete=is_complete):
            raise StoreError(
                f"a server or another copy has begun to use {self._name} meanwhile: stop it, and "
                "begin again"
            )

    def _copy(self, table: Table, *, show: Callable[[int], None]) -> Copied:
        removed = self._remove_others(table)
        # Whatever is there is as in the source.
        present = _count(self._target.writer, table)
        is_whole = present == _count(self._reading, table)
        sum_ = _Sum()
        written = 0
        for rows in self._read_batches(table, sum_, show=show):
            if is_whole:
                continue
            missing = self._leave_present_out(table, rows) if present else rows
            self._write(table, missing)
            written += len(missing)
        with self._target.read() as connection:
            found = _Sum()
            with self._target.stream(connection, _select(table)) as stream:
                for row in stream:
                    found.add(table, row)
                    if found.rows % ROWS_AT_ONCE == 0:
                        show(sum_.rows + found.rows)
        if found != sum_:
            raise StoreError(
                f"{table.name} of {self._name} has {found.rows:,} rows with the checksum "
                f"{found.checksum}, but {sum_.rows:,} with {sum_.checksum} were copied: "
                "run `briggs verify` on both"
            )
        return Copied(table.name, sum_.rows, written, removed, sum_.checksum)

    def _remove_others(self, table: Table) -> int:
        """Delete the rows that are not as they are in the source. Returns how many they were."""
        removed = 0
        with self._target.read() as connection:
            for keys in _pages(connection, table):
                theirs = self._digest(self._target, connection, table, keys)
                ours = self._digest(self._source, self._reading, table, keys)
                others = [key for key, digest in theirs.items() if ours.get(key) != digest]
                if others:
                    with self._target.transaction(self._target.writer):
                        self._claim()
                        self._target.writer.execute(delete(table).where(_has_key(table, others)))
                    self._target.maintain()
                removed += len(others)
        return removed

    def _digest(
        self,
        database: Database | RecordReader,
        connection: Connection,
        table: Table,
        keys: Sequence[RowKey],
    ) -> dict[RowKey, bytes]:
        """The digests of the rows with these keys, as far as they exist."""
        places = _list_key_places(table)
        columns = [*table.primary_key]
        first, last = (
            tuple_(*(literal(value, each.type) for value, each in zip(key, columns, strict=True)))
            for key in (keys[0], keys[-1])
        )
        is_between = (tuple_(*columns) >= first) & (tuple_(*columns) <= last)
        wanted = {*keys}
        found: dict[RowKey, bytes] = {}

        def look(where: ColumnElement[bool]) -> None:
            statement = _by_key(_select(table), table).where(where)
            with database.stream(connection, statement) as rows:
                for row in rows:
                    if (key := tuple(row[place] for place in places)) in wanted:
                        found[key] = _digest(table, row)

        look(is_between)
        # Texts that a database stores in another form may have another place there.
        if left := [key for key in keys if key not in found]:
            look(_has_key(table, left))
        return found

    def _read_batches(
        self, table: Table, sum_: _Sum, *, show: Callable[[int], None]
    ) -> Iterator[list[Sequence[Any]]]:
        """The rows of the source, in batches that fit into memory and into a transaction."""
        batch: list[Sequence[Any]] = []
        size = 0
        with self._source.stream(self._reading, _select(table)) as rows:
            for each in rows:
                row = self._long_keys.adapt(table, each)
                size += sum_.add(table, row)
                batch.append(row)
                if len(batch) == ROWS_AT_ONCE or size > BYTES_AT_ONCE:
                    yield batch
                    batch, size = [], 0
                    show(sum_.rows)
        if batch:
            yield batch

    def _leave_present_out(
        self, table: Table, rows: Sequence[Sequence[Any]]
    ) -> list[Sequence[Any]]:
        places = _list_key_places(table)
        keys = [tuple(row[place] for place in places) for row in rows]
        statement = _by_key(select(*table.primary_key), table)
        present = {
            tuple(row)
            for some in split(keys, KEYS_AT_ONCE)
            for row in self._target.writer.execute(statement.where(_has_key(table, some)))
        }
        return [row for row, key in zip(rows, keys, strict=True) if key not in present]

    def _write(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows that are not there. If one is refused, those before it are written."""
        if not rows:
            return
        self._target.make_room(BYTES_AT_ONCE, wait_s=ROOM_WAIT_S)
        try:
            with self._target.transaction(self._target.writer):
                self._claim()
                self._target.copy_in(self._target.writer, table, rows)
        except StoreError:
            raise
        except Exception as error:
            if self._target.store_failure(error) is not None:
                raise
            if len(rows) > 1:
                half = len(rows) // 2
                self._write(table, rows[:half])
                self._write(table, rows[half:])
                return
            key = ", ".join(repr(rows[0][place]) for place in _list_key_places(table))
            raise StoreError(
                f"{self._name} refuses the row ({key}) of {table.name} "
                f"({self._target.row_failure(error)}): change or delete it in the source, and "
                "begin again"
            ) from error
        self._target.maintain()


class _Sum:
    """A checksum of rows in any order: the sum of their digests."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Sum) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def checksum(self) -> str:
        return f"{self._sum:0{2 * _DIGEST_BYTES}x}"

    def add(self, table: Table, row: Sequence[Any]) -> int:
        """Add a row. Returns its bytes."""
        content = _serialize(table, row)
        digest = blake2b(content, digest_size=_DIGEST_BYTES).digest()
        self.rows += 1
        self._sum = (self._sum + int.from_bytes(digest)) % (1 << 8 * _DIGEST_BYTES)
        return len(content)


_DIGEST_BYTES = 16


def _digest(table: Table, row: Sequence[Any]) -> bytes:
    return blake2b(_serialize(table, row), digest_size=_DIGEST_BYTES).digest()


def _serialize(table: Table, row: Sequence[Any]) -> bytes:
    """The values of a row as bytes, which are equal if and only if the values are.

    Version 0 of the format knows integers of any size and half surrogate pairs, and depends on
    nothing but the values.
    """
    # The format knows no types that are derived from `str`, as those of short forms.
    values: list[Any] = [str(each) if isinstance(each, str) else each for each in row]
    for place in _FLOATS[table]:
        if values[place] is not None:
            # SQLite has no negative zero.
            values[place] += 0.0
    return marshal.dumps(values, 0)


_FLOATS = {
    table: [place for place, each in enumerate(table.columns) if isinstance(each.type, Float)]
    for table in TABLES
}


def _select(table: Table) -> Select[Any]:
    """All values of a table as they are stored, without what only one database stores them with."""
    return select(
        *(
            type_coerce(each, each.type.impl_instance)
            if isinstance(each.type, TypeDecorator)
            else each
            for each in table.columns
        )
    )


def _by_key(statement: Select[Any], table: Table) -> Select[Any]:
    return by_key(statement, table) if table in (completions, pieces) else statement


def _has_key(table: Table, keys: Sequence[RowKey]) -> ColumnElement[bool]:
    return tuple_(*table.primary_key).in_(keys)


def _list_key_places(table: Table) -> list[int]:
    columns = [*table.columns]
    return [columns.index(each) for each in table.primary_key]


def _pages(connection: Connection, table: Table) -> Iterator[list[RowKey]]:
    """The keys of a table, in order."""
    columns = [*table.primary_key]
    page = _by_key(select(*columns).order_by(*columns).limit(KEYS_AT_ONCE), table)
    next_page = page
    while keys := [tuple(row) for row in connection.execute(next_page)]:
        yield keys
        last = (literal(value, each.type) for value, each in zip(keys[-1], columns, strict=True))
        next_page = page.where(tuple_(*columns) > tuple_(*last))


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _find_data(connection: Connection) -> str | None:
    """A table that has rows which no new database has."""
    there = {*inspect(connection).get_table_names()}
    for table in TABLES:
        if table.name in there:
            first = select(literal(1)).select_from(table).limit(1)
            if table is organizations:
                first = first.where(organizations.c.id != "default")
            if connection.scalar(first) is not None:
                return table.name
    return None


def _require_version(connection: Connection, *, name: str) -> None:
    """Only tables as they are today can be read."""
    require_current(connection, name=name)
    mark = copied_from.read_mark(connection)
    if mark is not None and not mark.is_complete:
        raise StoreError(f"{name} is itself a copy that is not complete: complete it first")


@contextmanager
def _open_target(target: str, *, password: str | None) -> Iterator[Database]:
    """The database that is written. A database at an address needs no folder for long."""
    with TemporaryDirectory(prefix="briggs-copy-") as folder:
        address = _address(target)
        database = open_database(
            Path(target if address is None else folder),
            address=address,
            password=password,
            durability="strict",
            log_bytes_max=LOG_BYTES_MAX,
        )
        try:
            yield database
        except Exception as error:
            reason = database.store_failure(error)
            if reason is None:
                raise
            raise StoreError(f"{database.name}: {reason}") from error
        finally:
            database.close()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say which database it is that fails."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(f"{name} cannot be read or written: {error.orig}") from error


def _address(place: str) -> str | None:
    """What names a PostgreSQL database, and not a folder."""
    return place if place.startswith(("postgresql://", "postgres://")) else None


def _locate(place: str) -> str:
    return _address(place) or str(Path(place).resolve())
