"""One suite for every database. Only `open_store` opens a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from briggs.storage import Store
from briggs.storage.sqlite.database import SqliteDatabase

OpenStore = Callable[..., Awaitable[Store]]


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    """The databases that the suite runs on."""
    name: str = request.param
    return name


@pytest.fixture
async def open_store(database: str, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens the store of this test's folder with the options given, and closes it at the end."""
    assert database == "sqlite"
    opened: list[Store] = []

    async def open(folder: Path | None = None, **options: Any) -> Store:
        store = await Store.open(folder or tmp_path / "data", **options)
        opened.append(store)
        return store

    yield open
    for store in opened:
        await store.close()


def open_database(folder: Path) -> SqliteDatabase:
    """The database of a folder, without a store and without its migrations."""
    return SqliteDatabase(folder, durability="strict", log_bytes_max=2**26, readers_max=1)


async def until(condition: Callable[[], bool], *, timeout_s: float = 5) -> None:
    """Wait for the effect of another thread."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()
