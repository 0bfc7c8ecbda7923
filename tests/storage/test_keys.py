"""Keys: created, listed, found by their hash, touched, revoked."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from briggs.storage import NotRecorded, Store
from briggs.storage.tables import keys
from briggs.types.completions import create_id
from briggs.types.keys import Key, create_secret, hash_secret, redact
from tests.storage.conftest import OpenStore, read_rows


def create_key(secret: str, *, name: str = "laptop", organization_id: str = "default") -> Key:
    return Key(
        id=create_id(),
        name=name,
        organization_id=organization_id,
        hash=hash_secret(secret),
        redacted_value=redact(secret),
        created_at=1,
    )


async def test_life_of_a_key(store: Store) -> None:
    """A key is found from its creation to its revocation, and its secret is never kept."""
    secret = create_secret()
    key = create_key(secret, name="\ud83d\0")
    await store.keys.create(key)
    assert await store.keys.find(hash_secret(secret)) == key
    assert await store.keys.list(organization_id="default") == [key]
    assert await store.keys.revoke(key.id, organization_id="default")
    assert not await store.keys.revoke(key.id, organization_id="default")
    assert await store.keys.find(hash_secret(secret)) is None
    assert await store.keys.list(organization_id="default") == []
    assert secret not in str(read_rows(store, select(keys)))


async def test_organizations(store: Store) -> None:
    """An organization lists and revokes its own keys only."""
    mine, yours = (create_key(create_secret(), organization_id=each) for each in ("mine", "yours"))
    await store.keys.create(mine)
    await store.keys.create(yours)
    assert await store.keys.list(organization_id="mine") == [mine]
    assert not await store.keys.revoke(yours.id, organization_id="mine")
    assert await store.keys.list(organization_id="yours") == [yours]


async def test_same_secret(store: Store) -> None:
    """A second key with the same hash is refused, and the first one still works."""
    secret = create_secret()
    await store.keys.create(create_key(secret))
    with pytest.raises(NotRecorded):
        await store.keys.create(create_key(secret))
    assert store.failure is None
    assert len(await store.keys.list(organization_id="default")) == 1


async def test_touched(open_store: OpenStore) -> None:
    """The last use of a key is written, at the latest on closing."""
    store = await open_store()
    key = create_key(create_secret())
    await store.keys.create(key)
    store.keys.touch(key.id, at=5)
    store.keys.touch(key.id, at=7)
    store.keys.touch("revoked meanwhile", at=7)
    await store.close()
    store = await open_store()
    assert [each.last_used_at for each in await store.keys.list(organization_id="default")] == [7]
