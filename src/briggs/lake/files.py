"""Writes completions to a data file of the lake, a part at a time, and reads them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from briggs.lake.columns import COLUMNS, digest, read_row, write_row
from briggs.lake.warehouse import find_schema
from briggs.types.completions import Completion, create_id
from briggs.types.errors import LakeUnavailable
from briggs.types.record_columns import BODIES

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from briggs.lake.warehouse import Warehouse

GROUP_BYTES = 8 * 1024 * 1024
GROUP_ROWS = 2_000
"""A part of the file has at most so many rows, and about so many bytes of bodies."""
READ_ROWS = 20
"""How many rows are read at once. Each may have bodies of many megabytes."""


_TIMES = [column.name for column in COLUMNS if column.kind == "time"]


class NewFile:
    """A new data file, for rows of one organization and one day."""

    def __init__(self, table: Table, *, day: int) -> None:
        import pyarrow.parquet

        self.path = f"{table.location()}/data/{_name_day(day)}/{create_id()}.parquet"
        self._table = table
        self._schema = find_schema(table)
        self._opened = table.io.new_output(self.path).create()
        self._writer = pyarrow.parquet.ParquetWriter(
            self._opened, self._schema, compression="zstd", use_dictionary=_list_repeated()
        )

    def write(self, rows: Any) -> None:
        """Write rows, given as a table of pyarrow's, as a part of the file."""
        self._writer.write_table(rows)

    def close(self) -> None:
        """End the file."""
        self._writer.close()
        self._opened.close()

    def discard(self) -> None:
        """Delete what was written, as far as possible. A sweep deletes what is left."""
        with suppress(Exception):
            self.close()
        with suppress(Exception):
            self._table.io.delete(self.path)


class FileWriter(NewFile):
    """A new data file, for completions of one organization and one day."""

    def __init__(self, warehouse: Warehouse, table: Table, *, day: int) -> None:
        super().__init__(table, day=day)
        self.digests: dict[str, bytes] = {}
        """What was written, by id."""
        self.bytes = 0
        self._warehouse = warehouse
        self._group: list[dict[str, Any]] = []
        self._group_bytes = 0

    def add(self, completions: Sequence[Completion]) -> None:
        """Write completions."""
        for each in completions:
            self.digests[each.id] = digest(each)
            self._group.append(write_row(each))
            size = sum(len(getattr(each, name) or b"") for name in BODIES)
            self.bytes += size
            self._group_bytes += size
            if self._group_bytes >= GROUP_BYTES or len(self._group) >= GROUP_ROWS:
                self._flush()

    def finish(self) -> None:
        """Close the file, and read it back. Raises `LakeUnavailable` if that is not the same."""
        self._flush()
        self.close()
        if dict(read_digests(self._warehouse, self.path)) != self.digests:
            raise differs(self.path)

    def _flush(self) -> None:
        import pyarrow

        if self._group:
            self.write(pyarrow.Table.from_pylist(self._group, schema=self._schema))
        self._group, self._group_bytes = [], 0


def differs(path: str) -> LakeUnavailable:
    """The error for a new file that reads back as something else than was written."""
    return LakeUnavailable(
        f"{path} was written to the lake and reads back different. Nothing was committed: check "
        "the disk."
    )


def read_file(warehouse: Warehouse, path: str) -> Iterator[Completion]:
    """The completions of a data file, a few at a time."""
    opened = warehouse.open_file(path)
    for batch in opened.iter_batches(batch_size=READ_ROWS):
        yield from read_batch(batch)


def read_digests(warehouse: Warehouse, path: str) -> Iterator[tuple[str, bytes]]:
    """The id and the digest of each completion of a data file."""
    for each in read_file(warehouse, path):
        yield each.id, digest(each)


def read_batch(batch: Any) -> list[Completion]:
    """The completions in a batch of pyarrow's."""
    import pyarrow

    for name in _TIMES:
        place = batch.schema.get_field_index(name)
        if place >= 0:
            times = batch.column(place).cast(pyarrow.timestamp("us", tz="UTC"))
            batch = batch.set_column(place, name, times.cast(pyarrow.int64()))
    return [read_row(row) for row in batch.to_pylist()]


def _list_repeated() -> list[str]:
    """The columns whose values come again and again, which a dictionary makes small."""
    return [each.name for each in COLUMNS if each.kind == "text" and each.name != "id"]


def _name_day(day: int) -> str:
    """A day, counted from 1970, as a folder's name."""
    from datetime import date, timedelta

    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
