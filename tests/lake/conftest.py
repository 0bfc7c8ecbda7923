"""A store and a lake in one folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from briggs.lake.warehouse import Warehouse
from briggs.storage import Store
from tests.lake.completions import open_warehouse


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path)
    await store.lake.begin()
    yield store
    await store.close()


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    warehouse = open_warehouse(tmp_path)
    yield warehouse
    warehouse.close()
