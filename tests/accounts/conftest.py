"""A store, its keys, and an administrator of the first organization."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from briggs.accounts.keys import Keys
from briggs.storage import Store
from briggs.types.keys import Key
from briggs.types.organizations import DEFAULT


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data")
    yield store
    await store.close()


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store)


@pytest.fixture
async def admin(keys: Keys) -> Key:
    key, _ = await keys.create("admin", organization_id=DEFAULT)
    return key
