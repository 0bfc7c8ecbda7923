"""What is deleted leaves every byte of the files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from briggs.storage import Query, Store
from briggs.storage import retention as module
from briggs.types.retention import Term
from tests.files import find_bodies, find_texts, read_bodies
from tests.storage.conftest import OpenStore
from tests.storage.test_deletion import erased, name, record
from tests.storage.test_retention import fill, recorded, use


@pytest.mark.parametrize("compress", [True, False])
async def test_nothing_stays_in_the_files(
    open_store: OpenStore, tmp_path: Path, compress: bool
) -> None:
    """Rows that moved between pages leave nothing behind, among rows that stay."""
    chance = random.Random(4)
    store = await open_store(compress=compress)
    recorded = [record(number, chance) for number in range(700)]
    for each in recorded:
        await store.settle(each)
    chance.shuffle(recorded)
    gone, kept = recorded[:330], recorded[330:]
    for each in gone:
        assert await store.completions.delete(each.id, organization_id="default")
    await erased(store)
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []
    assert len(find_texts(tmp_path / "data", [name(each) for each in kept])) == len(kept)
    found = await store.completions.retrieve(kept[0].id, organization_id="default")
    assert found is not None and found.request == kept[0].request
    check = store._database.writer.exec_driver_sql("PRAGMA integrity_check").scalar()
    assert check == "ok"


async def test_writes_go_on_meanwhile(open_store: OpenStore, tmp_path: Path) -> None:
    """What is written during the erasure neither suffers nor brings back what was deleted."""
    chance = random.Random(5)
    store = await open_store()
    gone = [record(number, chance) for number in range(300)]
    for each in gone:
        await store.settle(each)
    kept = []
    assert await store.completions.delete_all(Query(organization_id="default")) == 300
    for number in range(300, 900):
        kept.append(record(number, chance))
        await store.settle(kept[-1])
    await erased(store)
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []
    page = await store.completions.list(Query(organization_id="default", limit=1000))
    assert {each.id for each in page.completions} == {each.id for each in kept}


async def test_nothing_stays_in_the_rollups(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names in rollups leave the files with their calls, even if no fold is due for long."""
    monkeypatch.setattr("briggs.storage.rollups.FOLD_ROWS", 70)
    monkeypatch.setattr("briggs.storage.rollups.Upkeep.go_on", lambda self, idle: False)
    chance = random.Random(9)
    store = await open_store()
    gone = [record(number, chance) for number in range(300)]
    for each in gone:
        await store.settle(each)
    await store.completions.delete_all(Query(organization_id="default"))
    await erased(store)
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []


async def test_a_kill_between_deletion_and_erasure(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demand is recorded with the deletion, so the next process erases."""
    chance = random.Random(6)
    store = await open_store()
    with monkeypatch.context() as patch:
        patch.setattr("briggs.storage.erasure.Erasure.go_on", lambda self, idle: False)
        gone = [record(number, chance) for number in range(200)]
        for each in gone:
            await store.settle(each)
        await store.completions.delete_all(Query(organization_id="default"))
        await store.close()
    await erased(await open_store())
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []


async def test_bodies_leave_the_files_and_the_rest_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an emptied completion the tags, figures and place in the order stay."""
    monkeypatch.setattr(module, "ERASED_WITHIN_S", 0)
    old = [recorded(number, age_h=30) for number in range(40)]
    large = recorded(40, age_h=30, request=b'"canary-large' + b"x" * 200_000 + b'"')
    new = recorded(41, age_h=1)
    await fill(store, *old, large, new)
    before = await store.completions.retrieve(old[0].id, organization_id="default")
    bodies = read_bodies(tmp_path / "data", f"id <> '{new.id}'")
    assert find_bodies(tmp_path / "data", bodies)
    use(store, Term(what="bodies", span="1d"))
    done = await store.retention.run(organization_id="default")
    assert [each.completions for each in done] == [41]
    await erased(store)
    kept = await store.completions.retrieve(old[0].id, organization_id="default")
    assert before is not None and kept is not None and kept.bodies_deleted_at is not None
    assert (kept.request, kept.response, kept.received) == (b"", None, None)
    assert kept.tags == before.tags and kept.duration_ms == before.duration_ms
    (listed,) = (
        await store.completions.list_summaries(
            Query(organization_id="default", tags=[old[3].tags[0]])
        )
    ).summaries
    assert listed.completion.id == old[3].id
    left = read_bodies(tmp_path / "data", f"id = '{new.id}'")
    assert find_bodies(tmp_path / "data", bodies, kept=left) == []
    assert find_texts(tmp_path / "data", ["canary-large"]) == []
    found = await store.retention.count(organization_id="default")
    assert [each.completions for each in found] == [0]
