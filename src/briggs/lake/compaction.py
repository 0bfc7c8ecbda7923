"""Writes the small files of a day together into large ones, without a change to any row.

The large file arrives and the small ones go in one commit. So a process that is killed leaves the
table with all of the small files or with the large one, and with each completion once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from briggs.lake.archive import FILE_ROWS
from briggs.lake.files import GROUP_BYTES, GROUP_ROWS, NewFile, differs
from briggs.lake.warehouse import Warehouse, explain, find_begin, find_day
from briggs.storage import Store
from briggs.types.lake import LakeQuery
from briggs.types.record_columns import FLOATS

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

SMALL_ROWS = FILE_ROWS // 4
SMALL_BYTES = 32 * 1024 * 1024
"""A file with fewer rows and fewer bytes is small."""
WRITTEN_BYTES = 128 * 1024 * 1024
"""So many bytes of small files become one, unless they have more than `FILE_ROWS` rows."""
FILES_MIN = 8
"""The server does this by itself for a day with so many small files."""


class Compacted(NamedTuple):
    """What a round has done so far."""

    files: int = 0
    """Small files that are no longer part of the table."""
    written: int = 0
    """Files that have their rows now."""
    bytes_before: int = 0
    bytes_after: int = 0


class Compactor:
    """Takes one group of small files after the other. There is one for a lake."""

    def __init__(self, warehouse: Warehouse, store: Store) -> None:
        self._warehouse = warehouse
        self._store = store
        self.is_stopping = False
        """Set to end soon. The file that is being written is discarded."""

    async def compact(
        self,
        *,
        organization_id: str,
        files_min: int = 2,
        tell: Callable[[Compacted], None] = lambda done: None,
    ) -> Compacted:
        """Write small files of an organization together, of each day with so many of them.

        `tell` is called after each commit.
        """
        done = Compacted()
        with explain("be written"):
            table = await asyncio.to_thread(self._warehouse.read)
            if table is None:
                return done
            query = LakeQuery(organization_id=organization_id)
            files = await asyncio.to_thread(self._warehouse.list_files, table, query)
            for group in list_groups(files, table, files_min=files_min):
                new = await asyncio.to_thread(self._copy, table, group)
                if new is None:
                    break
                await self._commit(table, new, group)
                size = await asyncio.to_thread(len, table.io.new_input(new.path))
                done = Compacted(
                    done.files + len(group),
                    done.written + 1,
                    done.bytes_before + sum(each.file_size_in_bytes for each in group),
                    done.bytes_after + size,
                )
                tell(done)
        return done

    def _copy(self, table: Table, group: Sequence[DataFile]) -> NewFile | None:
        """Write the rows of some files to a new one, and read it back. None to stop."""
        paths = [each.file_path for each in group]
        new = NewFile(table, day=find_day(group[0]))
        try:
            for rows in _gather(self._read(table, paths)):
                if self.is_stopping:
                    new.discard()
                    return None
                new.write(rows)
            new.close()
            if not is_same(self._read(table, paths), self._read(table, [new.path])):
                raise differs(new.path)
        except BaseException:
            new.discard()
            raise
        return new

    async def _commit(self, table: Table, new: NewFile, group: Sequence[DataFile]) -> None:
        try:
            await self._store.require_term()
        except BaseException:
            new.discard()
            raise
        # If this fails, nobody knows whether it was committed: see `Archiver`.
        await asyncio.to_thread(
            self._warehouse.commit,
            table,
            added=[new.path],
            removed=group,
            summary={"briggs.compacted": str(len(group))},
        )

    def _read(self, table: Table, paths: Sequence[str]) -> Iterator[Any]:
        """The rows of some files, one file after the other, in batches of pyarrow's."""
        for path in paths:
            opened = self._warehouse.open_dataset(table, [path])
            # A part of a file is small, and there is never more than one in memory.
            yield from opened.to_batches(
                batch_size=GROUP_ROWS, batch_readahead=0, fragment_readahead=0, use_threads=False
            )


def list_groups(
    files: Iterable[DataFile], table: Table, *, files_min: int
) -> Iterator[Sequence[DataFile]]:
    """The small files that become one each, of every day that has at least so many."""
    days: defaultdict[int, list[DataFile]] = defaultdict(list)
    for each in files:
        if each.record_count < SMALL_ROWS and each.file_size_in_bytes < SMALL_BYTES:
            days[find_day(each)].append(each)
    for _, small in sorted(days.items()):
        if len(small) >= files_min:
            small.sort(key=lambda each: find_begin(each, table))
            yield from (group for group in _split(small) if len(group) > 1)


def _split(small: Sequence[DataFile]) -> Iterator[Sequence[DataFile]]:
    group: list[DataFile] = []
    rows = size = 0
    for each in small:
        rows, size = rows + each.record_count, size + each.file_size_in_bytes
        if group and (rows > FILE_ROWS or size > WRITTEN_BYTES):
            yield group
            group, rows, size = [], each.record_count, each.file_size_in_bytes
        group.append(each)
    yield group


def _gather(batches: Iterable[Any]) -> Iterator[Any]:
    """Batches together, as tables that are large enough for a part of a file."""
    import pyarrow

    waiting: list[Any] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield pyarrow.Table.from_batches(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pyarrow.Table.from_batches(waiting)


def is_same(some: Iterator[Any], others: Iterator[Any]) -> bool:
    """Whether batches have the same rows in the same order, however they are cut."""
    left = right = None
    while True:
        left, right = _go_on(left, some), _go_on(right, others)
        if left is None or right is None:
            return left is right
        rows = min(left.num_rows, right.num_rows)
        if not left.slice(0, rows).equals(right.slice(0, rows)):
            return False
        left, right = left.slice(rows), right.slice(rows)


def _go_on(batch: Any, batches: Iterator[Any]) -> Any:
    """A batch if rows of it are left, else the next one with rows, or None at the end."""
    while batch is None or batch.num_rows == 0:
        if (batch := next(batches, None)) is None:
            return None
        batch = _compare_bits(batch)
    return batch


def _compare_bits(batch: Any) -> Any:
    """A batch whose numbers are integers with the same bits, since NaN equals nothing."""
    for name in FLOATS:
        place = batch.schema.get_field_index(name)
        batch = batch.set_column(place, name, batch.column(place).view("int64"))
    return batch
