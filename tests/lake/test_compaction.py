"""Small files of a day become one, in one commit, and nothing of any row changes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from briggs.lake import compaction
from briggs.lake.archive import Archiver
from briggs.lake.compaction import Compacted, Compactor, is_same
from briggs.lake.files import NewFile
from briggs.lake.warehouse import Warehouse
from briggs.storage import Store
from briggs.types.errors import LakeUnavailable
from briggs.types.keeping import TermOver, working_in
from briggs.types.lake import LakeQuery
from briggs.types.record_columns import FLOATS
from tests.lake.completions import (
    PER_DAY,
    archive,
    create,
    create_all,
    fill,
    list_files,
    read_all,
    read_bytes,
)
from tests.lake.crash import FILES_A_DAY, FORGOTTEN, fill_with_small_files


@pytest.fixture
async def archiver(store: Store, warehouse: Warehouse) -> Archiver:
    """That of a lake with several small files for each of two days."""
    archiver = Archiver(warehouse, store, moves=True)
    await fill_with_small_files(store, archiver)
    return archiver


@pytest.fixture
def compactor(store: Store, warehouse: Warehouse, archiver: Archiver) -> Compactor:
    return Compactor(warehouse, store)


async def compact(compactor: Compactor, *, files_min: int = 2) -> Compacted:
    return await compactor.compact(organization_id="default", files_min=files_min)


async def test_each_day_becomes_a_file(compactor: Compactor, warehouse: Warehouse) -> None:
    """Each in one commit, with every row. The next time there is nothing to do."""
    before = warehouse.list_files(warehouse.open())
    states = len(warehouse.open().snapshots())
    done = await compact(compactor)
    after = warehouse.list_files(warehouse.open())
    assert len(before) == done.files == 2 * FILES_A_DAY
    assert len(after) == done.written == 2
    assert done.bytes_before == sum(each.file_size_in_bytes for each in before)
    assert done.bytes_after == sum(each.file_size_in_bytes for each in after)
    assert len(warehouse.open().snapshots()) == states + 2
    assert read_all(warehouse) == create_all()
    assert await compact(compactor) == Compacted()


async def test_hostile_rows_stay_what_they_are(store: Store, warehouse: Warehouse) -> None:
    """So do rows from before a column was added, and numbers that are none."""
    hostile = [
        create(1, request=b"\0" * 100, response=b"\xff" * 9, received=b"data: x\r\n\r\n"),
        create(2, tags=["half \ud83d"], metadata={"k": "\udfff"}, seed=2**63, prompt_tokens=2**70),
        create(3, request=bytes(range(256)) * 40_000, response=None),
        create(4, status="failed", failure_kind="hang_up", cost_usd=math.inf),
        create(5, duration_ms=math.nan),
    ]
    archiver = Archiver(warehouse, store, moves=True)
    await fill(store, create(0))
    await archive(archiver)
    with warehouse.open().update_schema() as update:
        for name in ("redacted", "exact", "bodies_deleted_at"):
            update.delete_column(name)
    for each in hostile:
        await fill(store, each)
        await archive(archiver)
    before = read_all(warehouse)
    assert (await compact(Compactor(warehouse, store))).files == 1 + len(hostile)
    assert repr(read_all(warehouse)) == repr(before)
    assert before[:-1] == [create(0), *hostile[:-1]]


async def test_a_deletion_after_it_reaches_every_byte(
    compactor: Compactor, archiver: Archiver, store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    """The large file is written anew, and the small ones are gone with their states."""
    await compact(compactor)
    assert FORGOTTEN.encode() in read_bytes(tmp_path / "lake")
    await store.lake.demand(LakeQuery(organization_id="default", user=FORGOTTEN))
    gone = [each for each in create_all() if each.user == FORGOTTEN]
    assert await archiver.delete() == len(gone)
    left = read_bytes(tmp_path / "lake")
    assert FORGOTTEN.encode() not in left
    assert not any(each.request[:9] in left for each in gone)
    assert read_all(warehouse) == [each for each in create_all() if each not in gone]
    assert len([*(tmp_path / "lake").rglob("*.parquet")]) == 2


async def test_which_files_become_one(
    compactor: Compactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The small ones of a day with enough of them, up to a size and a number of rows."""
    assert await compact(compactor, files_min=FILES_A_DAY + 1) == Compacted()
    monkeypatch.setattr(compaction, "SMALL_ROWS", PER_DAY // FILES_A_DAY)
    assert await compact(compactor) == Compacted()
    monkeypatch.undo()
    monkeypatch.setattr(compaction, "FILE_ROWS", PER_DAY - 1)
    assert await compact(compactor) == Compacted()
    monkeypatch.setattr(compaction, "FILE_ROWS", PER_DAY)
    monkeypatch.setattr(compaction, "WRITTEN_BYTES", 1)
    assert await compact(compactor) == Compacted()
    monkeypatch.undo()
    assert (await compact(compactor, files_min=FILES_A_DAY)).files == 2 * FILES_A_DAY


async def test_what_reads_back_different_is_not_committed(
    compactor: Compactor, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses a row costs nothing but the new file."""
    files, write = list_files(tmp_path), NewFile.write

    def lose(self: NewFile, rows: Any) -> None:
        write(self, rows.slice(1))

    monkeypatch.setattr(NewFile, "write", lose)
    with pytest.raises(LakeUnavailable, match="reads back different"):
        await compact(compactor)
    assert list_files(tmp_path) == files
    assert read_all(warehouse) == create_all()


async def test_who_may_not_go_on_leaves_no_file(compactor: Compactor, tmp_path: Path) -> None:
    """Who is not the keeper any more, and who is stopped, commits nothing."""
    files = list_files(tmp_path)
    with working_in(0), pytest.raises(TermOver):
        await compact(compactor)
    compactor.is_stopping = True
    assert await compact(compactor) == Compacted()
    assert list_files(tmp_path) == files


def test_rows_are_compared_however_they_are_cut() -> None:
    """Another number, one row more, and another order are a difference."""

    def cut(*batches: list[float | None]) -> Any:
        for batch in batches:
            column = pyarrow.array(batch, pyarrow.float64())
            yield pyarrow.RecordBatch.from_arrays([column] * len(FLOATS), names=[*FLOATS])

    rows: list[float | None] = [0.0, None, math.nan, 2.5]
    assert is_same(cut(rows), cut(rows[:1], [], rows[1:3], rows[3:]))
    assert is_same(cut(), cut([]))
    assert not is_same(cut(rows), cut(rows[:3]))
    assert not is_same(cut(rows[:3]), cut(rows))
    assert not is_same(cut(rows), cut(rows[::-1]))
    assert not is_same(cut([0.0]), cut([-0.0]))
    assert not is_same(cut([None]), cut([0.0]))
