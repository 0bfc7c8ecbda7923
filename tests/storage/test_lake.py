"""What the lake needs of the record, on every database."""

from __future__ import annotations

import asyncio

import pytest

from briggs.lake.archive import Archiver
from briggs.lake.warehouse import Warehouse
from briggs.storage import Query, Store
from briggs.storage.reading import find_catalog
from briggs.types.completions import Completion, current_time_us
from briggs.types.lake import LakeDeletion, LakeQuery
from tests.lake.completions import create, create_all, read_all
from tests.storage.conftest import OpenStore


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    store = await open_store()
    await store.lake.begin()
    return store


async def fill(store: Store, *completions: Completion) -> None:
    await asyncio.gather(*(store.settle(each) for each in completions))


async def list_deletions(store: Store) -> list[LakeDeletion]:
    return [*await store.lake.list_deletions(organization_id="default", limit=100)]


async def test_what_is_old_comes_in_order(store: Store) -> None:
    """By time and id, from a place on, before a time, and only what has ended."""
    await fill(store, *create_all())
    await store.start(create(50, status="started"))
    old = await store.lake.list_old(
        organization_id="default", after=(0, ""), until_us=create(3, day=1).created_at, limit=100
    )
    ids = [each.id for each in create_all()][:11]
    assert [each.id for each in old] == ids
    assert all(each.bytes > 0 and not each.is_graded for each in old)
    place = (old[4].created_at, old[4].id)
    more = await store.lake.list_old(
        organization_id="default", after=place, until_us=current_time_us(), limit=3
    )
    assert [each.id for each in more] == ids[5:8]


async def test_what_is_deleted_or_changed_is_told_to_the_lake(store: Store) -> None:
    """Each deletion and each change is on record for the lake until the lake has done it."""
    await fill(store, *create_all(days=1))
    await store.completions.delete(create(1).id, organization_id="default")
    await store.completions.relabel(create(2).id, organization_id="default", tags=["new"])
    await store.lake.demand(LakeQuery(organization_id="default", user="user-1"))
    told = await list_deletions(store)
    assert [each.query.ids for each in told] == [[create(1).id], [create(2).id], None]
    assert told[0].query.selects(create(1)) and not told[0].query.selects(create(2))
    assert await store.lake.list_deleting() == ["default"]
    await store.lake.forget_deletions(told[:2])
    assert await list_deletions(store) == told[2:]
    await store.lake.forget_deletions(told[2:])
    assert await store.lake.list_deleting() == []


async def test_without_a_lake_nothing_is_kept(open_store: OpenStore) -> None:
    """A record that has no lake collects nothing for it."""
    store = await open_store()
    await fill(store, create(1))
    await store.completions.delete(create(1).id, organization_id="default")
    assert await list_deletions(store) == []


async def test_the_catalog_of_each_database(
    store: Store, address: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The table is found by the catalog that is beside the record, or in its database."""
    folder = tmp_path_factory.mktemp("lake")
    catalog = find_catalog(folder, address=address)
    await fill(store, *create_all(days=1))
    for again in (False, True):
        warehouse = Warehouse(str(folder / "lake"), catalog=catalog, storage={})
        archiver = Archiver(warehouse, store, moves=True)
        done = await archiver.archive(organization_id="default", until_us=current_time_us())
        assert done.archived == done.deleted == (0 if again else len(create_all(days=1)))
        assert read_all(warehouse) == create_all(days=1)
        warehouse.close()
    page = await store.completions.list(Query(organization_id="default"))
    assert page.completions == []
