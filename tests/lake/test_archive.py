"""What is old is in the lake exactly once, byte for byte, and what was deleted is nowhere."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from pyiceberg.expressions.visitors import _ManifestEvalVisitor
from pyiceberg.manifest import ManifestFile

from briggs.lake.archive import Archiver
from briggs.lake.compaction import Compactor
from briggs.lake.warehouse import Warehouse
from briggs.storage import Query, Store
from briggs.types.completions import current_time_us
from briggs.types.errors import LakeUnavailable
from briggs.types.keeping import TermOver, working_in
from briggs.types.lake import LakeQuery
from tests.lake.completions import (
    PER_DAY,
    archive,
    create,
    create_all,
    fill,
    list_files,
    list_stored,
    open_warehouse,
    read_all,
    read_bytes,
)
from tests.lake.crash import DELETING, EMPTIED, EMPTYING, FORGOTTEN, STEPS
from tests.storage.test_feedback import answer, create_task

EVERYTHING = LakeQuery(organization_id="default")


async def test_who_is_not_the_keeper_any_more(
    store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    """It commits nothing, deletes nothing, and leaves no file behind."""
    await fill(store, *create_all())
    archiver = Archiver(warehouse, store, moves=True)
    await archive(archiver)
    files = list_files(tmp_path)
    await fill(store, create(PER_DAY, day=0))
    await store.lake.demand(EVERYTHING)
    for work in (archive(archiver), archiver.delete()):
        with working_in(0), pytest.raises(TermOver):
            await work
    assert list_files(tmp_path) == files


async def test_a_copy_goes_to_the_lake_once(store: Store, warehouse: Warehouse) -> None:
    """Each completion is there once, however often it is archived, in a file for each day."""
    await fill(store, *create_all())
    archiver = Archiver(warehouse, store, moves=False)
    assert await archive(archiver) == (2 * PER_DAY, 0)
    assert await archive(archiver) == (0, 0)
    late = create(99, day=0)
    await fill(store, late)
    assert await archive(archiver) == (1, 0)
    assert read_all(warehouse) == sorted([*create_all(), late], key=lambda each: each.created_at)
    table = warehouse.open()
    days = [file.partition[1] for file in warehouse.list_files(table)]
    assert sorted(days) == [20_000, 20_000, 20_001]
    assert len(await list_stored(store)) == 2 * PER_DAY + 1


async def test_what_moves_comes_back_byte_for_byte(store: Store, warehouse: Warehouse) -> None:
    """Hostile bodies leave the record only when the lake has them, and come back the same."""
    hostile = [
        create(1, request=b"\0" * 100, response=b"\xff" * 9, received=b"data: x\r\n\r\n"),
        create(2, tags=["half \ud83d"], metadata={"k": "\udfff"}, seed=2**63, prompt_tokens=2**70),
        create(3, request=bytes(range(256)) * 80_000, response=None),
        create(4, request=b"", status="failed", failure_kind="hang_up", cost_usd=float("inf")),
    ]
    await fill(store, *hostile)
    archiver = Archiver(warehouse, store, moves=True)
    assert await archive(archiver) == (4, 4)
    assert await list_stored(store) == []
    assert read_all(warehouse) == hostile
    assert await archive(archiver) == (0, 0)


async def test_what_people_graded_stays(store: Store, warehouse: Warehouse) -> None:
    """A graded completion is copied, and keeps its place on record with its feedback."""
    graded, other = create(1), create(2)
    await fill(store, graded, other)
    task = await create_task(store)
    await store.feedback.create(answer(task, graded.id), task=task)
    archiver = Archiver(warehouse, store, moves=True)
    assert await archive(archiver) == (2, 1)
    assert await list_stored(store) == [graded.id]


async def test_what_changes_meanwhile_stays(
    store: Store, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A completion that changes between the commit and its end on record is not lost."""
    await fill(store, create(1), create(2))
    archiver = Archiver(warehouse, store, moves=True)
    take_out = archiver._take_out

    async def change_first(*given: object, **named: str) -> int:
        await store.completions.relabel(create(1).id, organization_id="default", tags=["new"])
        return await take_out(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(archiver, "_take_out", change_first)
    assert await archive(archiver) == (2, 1)
    monkeypatch.undo()
    assert await archiver.delete() == 1, "its old form"
    assert await archive(archiver) == (1, 1)
    assert [each.tags for each in read_all(warehouse)] == [["new"], ["tag-0"]]


async def test_only_one_of_two_commits(store: Store, warehouse: Warehouse) -> None:
    """Who finds another commit before its own adds nothing, and finds all there the next time."""
    await fill(store, *create_all(days=1))
    first, second = (Archiver(warehouse, store, moves=False) for _ in range(2))
    table = warehouse.open()
    assert await archive(first) == (PER_DAY, 0)
    batch = await second._find_batch("default", until_us=current_time_us())
    with pytest.raises(LakeUnavailable, match="Another process"):
        # It looked for them before they were there.
        stale = warehouse.open()
        stale.metadata = table.metadata
        await second._archive_day(stale, batch, organization_id="default")
    assert await archive(second) == (0, 0)
    assert len(read_all(warehouse)) == PER_DAY


@pytest.mark.parametrize("moves", [False, True])
async def test_a_deletion_reaches_every_byte(
    store: Store, warehouse: Warehouse, tmp_path: Path, moves: bool
) -> None:
    """What was deleted of one completion, and of a user, is in no file of the lake."""
    await fill(store, *create_all())
    archiver = Archiver(warehouse, store, moves=moves)
    await archive(archiver)
    before = read_bytes(tmp_path / "lake")
    assert b"asked-0-2" in before and b"meta-1-4" in before and b"user-1" in before
    if moves:
        for query in (
            LakeQuery(organization_id="default", ids=[create(2).id]),
            LakeQuery(organization_id="default", user="user-1"),
        ):
            await store.lake.demand(query)
    else:
        await store.completions.delete(create(2).id, organization_id="default")
        await store.completions.delete_all(Query(organization_id="default", user="user-1"))
    gone = [each for each in create_all() if each.user == "user-1"] + [create(2)]
    assert await archiver.delete() == len(gone)
    left = read_bytes(tmp_path / "lake")
    for each in gone:
        for word in (each.metadata["word"].encode(), each.request[:9], each.response):
            assert word is not None and word not in left, word
    assert b"user-1" not in left
    kept = [each for each in create_all() if each not in gone]
    assert read_all(warehouse) == kept
    assert await archive(archiver) == (0, 0)


async def test_retention_reaches_every_byte_of_messages(
    store: Store, warehouse: Warehouse, tmp_path: Path
) -> None:
    """Rows that are only in the lake lose their messages by age and tag, and keep the rest."""
    await fill(store, *create_all())
    archiver = Archiver(warehouse, store, moves=True)
    await archive(archiver)
    term = LakeQuery(organization_id="default", tags=["tag-1"], created_to=create(4).created_at)
    gone = [create(1), create(3)]
    assert b"asked-0-1" in read_bytes(tmp_path / "lake")
    assert await archiver.empty(term) == len(gone)
    left = read_bytes(tmp_path / "lake")
    for each in gone:
        assert each.request[:9] not in left and (each.response or b"-") not in left
    read = {each.id: each for each in read_all(warehouse)}
    for each in gone:
        emptied = read.pop(each.id)
        assert emptied.bodies_deleted_at is not None
        each.request, each.response, each.bodies_deleted_at = b"", None, emptied.bodies_deleted_at
        assert emptied == each
    assert [*read.values()] == [each for each in create_all() if each.id in read]
    states = [each.snapshot_id for each in warehouse.open().snapshots()]
    assert await archiver.empty(term) == 0, "nothing is written twice"
    assert [each.snapshot_id for each in warehouse.open().snapshots()] == states


async def test_threads_of_a_commit_share_nothing(
    store: Store, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each manifest is looked at by an evaluator of its own, which remembers what it looks at."""
    await fill(store, *create_all())
    await archive(Archiver(warehouse, store, moves=False))
    table = warehouse.open()
    files = warehouse.list_files(table)
    used, look = [], _ManifestEvalVisitor.eval

    def note(self: _ManifestEvalVisitor, manifest: ManifestFile) -> bool:
        used.append(self)
        return look(self, manifest)

    monkeypatch.setattr(_ManifestEvalVisitor, "eval", note)
    warehouse.commit(table, added=[], removed=files[:1], summary={})
    assert len({id(each) for each in used}) == len(used) >= 4, "two manifests, twice each"
    assert len(warehouse.list_files(table)) == 1


async def test_an_organization_leaves_the_lake(store: Store, warehouse: Warehouse) -> None:
    """Nothing of a deleted organization is left, and all of the others."""
    await fill(store, create(1), create(2, organization_id="other"))
    archiver = Archiver(warehouse, store, moves=False)
    for name in ("default", "other"):
        await archiver.archive(organization_id=name, until_us=current_time_us())
    await store.completions.delete(create(2).id, organization_id="other")
    assert await store.organizations.delete("other")
    await archiver.delete()
    assert read_all(warehouse, organization_id="other") == []
    assert read_all(warehouse) == [create(1)]
    assert await store.lake.list_deleting() == []


async def test_a_table_of_an_older_version(store: Store, warehouse: Warehouse) -> None:
    """It gets the columns that it lacks, and its rows stay what they were."""
    await fill(store, create(1))
    await archive(Archiver(warehouse, store, moves=False))
    table = warehouse.open()
    with table.update_schema() as update:
        for name in ("redacted", "exact", "bodies_deleted_at"):
            update.delete_column(name)
    assert {"redacted", "exact"} <= {field.name for field in warehouse.open().schema().fields}
    await fill(store, create(2, redacted={"email": 1}))
    assert await archive(Archiver(warehouse, store, moves=False)) == (1, 0)
    assert read_all(warehouse) == [create(1), create(2, redacted={"email": 1})]


async def test_killed_at_every_step(tmp_path: Path) -> None:
    """After kill -9 at any step, the next run ends as if there had been none."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.lake.crash", str(tmp_path)
    )
    assert await process.wait() == 0
    for step in STEPS:
        await check_killed(tmp_path / step, step)


async def check_killed(folder: Path, step: str) -> None:
    store, warehouse = await Store.open(folder), open_warehouse(folder)
    archiver = Archiver(warehouse, store, moves=True)
    await archiver.delete()
    if step in EMPTYING:
        await archiver.empty(EMPTIED)
        assert b"said-" not in read_bytes(folder / "lake"), step
    await archive(archiver)
    wanted = [each for each in create_all() if step not in DELETING or each.user != FORGOTTEN]
    if step in EMPTYING:
        assert [each.id for each in read_all(warehouse)] == [each.id for each in wanted]
    else:
        assert read_all(warehouse) == wanted, step
    assert await list_stored(store) == [], step
    if step in DELETING:
        assert FORGOTTEN.encode() not in read_bytes(folder / "lake"), step
    there = read_all(warehouse)
    await Compactor(warehouse, store).compact(organization_id="default")
    assert read_all(warehouse) == there, step
    table = warehouse.open()
    warehouse.expire(table)
    warehouse.delete_files(table, warehouse.list_unreachable(table))
    left = list((folder / "lake").rglob("*.parquet"))
    assert len(left) == 2, "one for each day"
    assert len(left) == len(warehouse.list_files(table)), "no file is left behind"
    warehouse.close()
    await store.close()
