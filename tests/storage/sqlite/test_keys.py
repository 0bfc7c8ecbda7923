"""Keys that another program changes in the file."""

from __future__ import annotations

import sqlite3

from briggs.storage import Store
from briggs.types.keys import create_secret
from tests.storage.sqlite.conftest import path_of
from tests.storage.test_keys import create_key
from tests.waiting import until


async def test_version(store: Store) -> None:
    """`store.keys.version` changes with every key created or revoked, by us or by others."""
    versions = [store.keys.version]
    key = create_key(create_secret())
    await store.keys.create(key)
    versions.append(store.keys.version)
    await store.keys.revoke(key.id, organization_id="default")
    versions.append(store.keys.version)
    other = sqlite3.connect(path_of(store))
    with other:
        other.execute("UPDATE keys SET name = 'another'")
        other.execute(
            "INSERT INTO keys (id, organization_id, name, hash, redacted_value, created_at) "
            "VALUES ('id', 'default', '', x'00', '', 1)"
        )
    other.close()
    await until(lambda: store.keys.version != versions[-1])
    versions.append(store.keys.version)
    assert len(set(versions)) == 4
