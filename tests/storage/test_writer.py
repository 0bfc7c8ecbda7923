"""Group commit and back-pressure, on every database."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from briggs.storage import Query, Store, indexes
from briggs.storage.tables import completion_metadata, completion_tags
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.records import finished
from tests.waiting import until


async def call(store: Store, count: int = 1) -> None:
    """As many calls as one caller makes in a row."""
    for _ in range(count):
        completion = finished(status="started")
        await store.start(completion)
        completion.status = "finished"
        await store.settle(completion)


async def test_one_insert(store: Store) -> None:
    """A call whose end follows soon after its start is written as one row."""
    await call(store, 10)
    statistics = store.statistics()
    assert (statistics.rows, statistics.merged) == (10, 10)


async def test_two_writes(store: Store) -> None:
    """A start is held back only for a moment."""
    completion = finished(status="started")
    await store.start(completion)
    await until(lambda: store.statistics().rows == 1)
    completion.status = "finished"
    await store.settle(completion)
    assert (store.statistics().rows, store.statistics().merged) == (2, 0)


async def test_group_commit(store: Store) -> None:
    """Callers who come at once share their commits."""
    await asyncio.gather(*(call(store, 10) for _ in range(50)))
    statistics = store.statistics()
    assert statistics.rows == 500
    assert statistics.batches <= 100
    assert statistics.queued == statistics.queued_bytes == 0


async def test_order(store: Store) -> None:
    """An action sees the completions that were settled before it, even in the same moment."""
    for _ in range(20):
        completion = finished()
        settling = asyncio.create_task(store.settle(completion))
        await asyncio.sleep(0)
        assert await store.completions.delete(completion.id, organization_id="default")
        await settling


async def test_cancelled_caller(store: Store) -> None:
    """A queued record is written even if its caller is gone."""
    completion = finished()
    task = asyncio.create_task(store.settle(completion))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: store.statistics().queued == 0)
    assert await store.completions.retrieve(completion.id, organization_id="default") == completion


async def test_larger_than_the_queue(open_store: OpenStore) -> None:
    """A completion larger than the whole queue is recorded, alone."""
    store = await open_store(queue_bytes_max=1_000)
    completions = [finished(request=bytes(100_000)) for _ in range(3)]
    await asyncio.gather(*(store.settle(each) for each in completions))
    for each in completions:
        assert await store.completions.retrieve(each.id, organization_id="default") == each


async def test_a_completion_is_found_by_so_many_tags(open_store: OpenStore) -> None:
    """A million tags are stored, but do not become a million rows."""
    store = await open_store()
    tags = [f"tag-{number}" for number in range(200_000)]
    metadata = {f"key-{number}": "" for number in range(200_000)}
    completion = finished(tags=tags, metadata=metadata)
    await store.settle(completion)
    kept = await store.completions.retrieve(completion.id, organization_id="default")
    assert kept is not None
    assert (kept.tags, kept.metadata) == (tags, metadata)
    page = await store.completions.list(Query(organization_id="default", tags=["tag-999"]))
    assert [each.id for each in page.completions] == [completion.id]
    for table in (completion_tags, completion_metadata):
        rows = read_rows(store, select(func.count()).select_from(table))
        assert rows == [(indexes.FOUND_BY_MAX,)]
