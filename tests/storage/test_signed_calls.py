"""Calls that vendors signed are found by their ids."""

from __future__ import annotations

import random

from sqlalchemy import select

from briggs.storage import Store
from briggs.storage.tables import signed_calls
from briggs.types.completions import Completion
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.records import finished


async def settle(store: Store, *call_ids: str, response: bytes, **members: object) -> Completion:
    completion = finished(response=response, **members)
    if call_ids:
        store.signed_calls.create(completion, call_ids=call_ids)
    await store.settle(completion)
    return completion


async def read(store: Store, *call_ids: str, organization_id: str = "default") -> list[bytes]:
    return await store.signed_calls.read(call_ids, organization_id=organization_id, read=bytes)


def count_rows(store: Store) -> int:
    return len(read_rows(store, select(signed_calls)))


async def test_by_id(store: Store) -> None:
    """The newest answer that made a call is read, once for all of its calls, the oldest first."""
    await settle(store, "a", "b", response=b"1", created_at=2)
    await settle(store, "a", response=b"2", created_at=1)
    await settle(store, "c", response=b"3", created_at=3)
    assert await read(store, "a", "b") == [b"2", b"1"]
    assert await read(store, "a", "c") == [b"2", b"3"]
    assert await read(store, "b") == [b"1"]
    assert await read(store, "x") == []
    assert await read(store) == []


async def test_another_organization(store: Store) -> None:
    """An organization never finds the calls of another, whatever the id."""
    await settle(store, "a", response=b"1", organization_id="acme")
    assert await read(store, "a") == []
    assert await read(store, "a", organization_id="acme") == [b"1"]


async def test_deleted(store: Store) -> None:
    """Deleting a completion deletes its calls."""
    completion = await settle(store, "a", "b", response=b"1")
    await settle(store, "b", response=b"2")
    assert await store.completions.delete(completion.id, organization_id="default")
    assert await read(store, "a", "b") == [b"2"]
    assert count_rows(store) == 1


async def test_large_answers_are_not_read(store: Store) -> None:
    """An answer above the limit is not read for a signature."""
    # It stays as large if an idle moment compresses it.
    await settle(store, "a", response=random.Random(7).randbytes(257 * 1024))
    assert await read(store, "a") == []


async def test_a_database_that_cannot_be_read(store: Store) -> None:
    """Without the table, nothing is found and nothing fails."""
    await settle(store, "a", response=b"1")
    await store.act(signed_calls.drop)
    assert await read(store, "a") == []


async def test_after_a_restart(open_store: OpenStore) -> None:
    """The next process finds what is in the database, with any text as an id."""
    store = await open_store()
    assert await read(store, "\ud83d") == []
    await settle(store, "\ud83d", response=b"1")
    await store.close()
    again = await open_store()
    assert await read(again, "\ud83d") == [b"1"]
