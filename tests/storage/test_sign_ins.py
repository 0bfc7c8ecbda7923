"""Sign-ins: sessions and links, found by the hashes of their secrets until they are over."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from briggs.storage import Store
from briggs.storage.tables import sign_ins
from briggs.types.completions import current_time_us
from briggs.types.keys import Key
from briggs.types.sign_ins import SignIn, SignInKind
from tests.storage.conftest import read_rows
from tests.storage.test_keys import create_key

KEPT_MAX = 3


@pytest.fixture
async def key(store: Store) -> Key:
    key = create_key("secret", organization_id="o")
    await store.keys.create(key)
    return key


async def create(
    store: Store, key: Key, number: int, *, kind: SignInKind = "session", lasts_s: int = 60
) -> bytes:
    """Sign the key in, as the `number`th. Returns the hash."""
    made = SignIn(
        organization_id=key.organization_id,
        hash=bytes([number]),
        kind=kind,
        key_id=key.id,
        created_at=number,
        expires_at=current_time_us() + lasts_s * 1_000_000,
    )
    await store.sign_ins.create(made, kept_max=KEPT_MAX)
    return made.hash


async def list_hashes(store: Store, key: Key, kind: SignInKind = "session") -> list[int]:
    """Those of the first nine by which the key is found."""
    owner = key.organization_id
    found = [
        await store.sign_ins.find_key(bytes([number]), kind=kind, organization_id=owner)
        for number in range(9)
    ]
    assert all(each in (None, key) for each in found)
    return [number for number, each in enumerate(found) if each is not None]


async def test_a_session_lasts_until_it_ends(store: Store, key: Key) -> None:
    """Its own organization finds its key by it, as a session and as nothing else."""
    for number in (1, 2):
        await create(store, key, number)
    assert await list_hashes(store, key) == [1, 2]
    assert await list_hashes(store, key, "link") == []
    assert not await store.sign_ins.find_key(b"\1", kind="session", organization_id="p")
    await store.sign_ins.delete(b"\1", organization_id="p")
    await store.sign_ins.delete(b"\2", organization_id="o")
    assert await list_hashes(store, key) == [1]
    await store.sign_ins.delete_all(key.id, organization_id="o")
    assert await list_hashes(store, key) == []


async def test_a_link_is_taken_once(store: Store, key: Key) -> None:
    """Of all who take it at the same time, one gets its key."""
    hash = await create(store, key, 1, kind="link")
    assert not await store.sign_ins.take(hash, kind="session", organization_id="o")
    taken = await asyncio.gather(
        *(store.sign_ins.take(hash, kind="link", organization_id="o") for _ in range(5))
    )
    assert [each for each in taken if each is not None] == [key]


async def test_what_is_over_is_deleted(store: Store, key: Key) -> None:
    """It signs nobody in, and leaves the table when its organization gets another."""
    hash = await create(store, key, 1, kind="link", lasts_s=-1)
    assert not await store.sign_ins.take(hash, kind="link", organization_id="o")
    await create(store, key, 1, lasts_s=-1)
    assert await list_hashes(store, key) == []
    await create(store, key, 2)
    assert [row[1] for row in read_rows(store, select(sign_ins))] == [b"\2"]


async def test_a_key_has_so_many(store: Store, key: Key) -> None:
    """The oldest of its kind goes when there is one too many."""
    other = create_key("other", organization_id="o")
    await store.keys.create(other)
    await create(store, other, 0)
    await create(store, key, 1, kind="link")
    for number in range(2, 7):
        await create(store, key, number)
    assert len(read_rows(store, select(sign_ins))) == KEPT_MAX + 2
    assert await list_hashes(store, key, "link") == [1]
    await store.sign_ins.delete(b"\0", organization_id="o")
    assert await list_hashes(store, key) == [4, 5, 6]


async def test_a_revoked_key_is_signed_out(store: Store, key: Key) -> None:
    """Nothing is left of its sessions and links, and those of other keys stay."""
    other = create_key("other", organization_id="o")
    await store.keys.create(other)
    await create(store, key, 1)
    await create(store, key, 2, kind="link")
    await create(store, other, 3)
    await store.keys.revoke(key.id, organization_id="p")
    assert await list_hashes(store, key, "link") == [2]
    await store.keys.revoke(key.id, organization_id="o")
    assert [row[1] for row in read_rows(store, select(sign_ins))] == [b"\3"]
    await store.keys.revoke_all(organization_id="o")
    assert read_rows(store, select(sign_ins)) == []
