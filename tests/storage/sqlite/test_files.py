"""What stands in the files of a store, and who may open them."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from briggs.storage import Query, StoreLocked
from tests.storage.conftest import OpenStore
from tests.storage.records import finished
from tests.storage.sqlite.conftest import path_of
from tests.waiting import until


async def test_delete(open_store: OpenStore, tmp_path: Path) -> None:
    """A deleted completion cannot be found, and its words are gone from the files."""
    store = await open_store(compress=False)
    secret = "the words that were deleted"
    completion = finished(
        request=secret.encode(), tags=["tagged"], metadata={"key": "deleted value"}
    )
    await store.settle(completion)
    await store.settle(finished())
    assert await store.completions.delete(completion.id, organization_id="default")
    assert not await store.completions.delete(completion.id, organization_id="default")
    assert await store.completions.retrieve(completion.id, organization_id="default") is None
    for query in (
        Query(organization_id="default", tags=["tagged"]),
        Query(organization_id="default", metadata={"key": "deleted value"}),
        Query(organization_id="default", text=secret),
    ):
        assert (await store.completions.list(query)).completions == []
    await store.close()
    files = [path.read_bytes() for path in (tmp_path / "data").iterdir()]
    assert not any(secret.encode() in content for content in files)
    assert not any(b"deleted value" in content for content in files)


async def test_files_are_private(open_store: OpenStore, tmp_path: Path) -> None:
    """Only their owner can read the folder and the files in it."""
    store = await open_store()
    await store.settle(finished())
    folder = tmp_path / "data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes) == {"briggs.db", "briggs.db-wal", "briggs.db-shm", "briggs.lock"}
    assert set(modes.values()) == {0o600}


async def test_closed_store_is_one_file(open_store: OpenStore, tmp_path: Path) -> None:
    """After closing, everything is in the one database file, which may be copied."""
    store = await open_store()
    completion = finished()
    await store.settle(completion)
    await store.close()
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"briggs.db", "briggs.lock"}
    copied = tmp_path / "copy"
    copied.mkdir()
    (copied / "briggs.db").write_bytes((tmp_path / "data" / "briggs.db").read_bytes())
    store = await open_store(copied)
    assert await store.completions.retrieve(completion.id, organization_id="default") == completion


async def test_backup(open_store: OpenStore, tmp_path: Path) -> None:
    """A copy made while the server runs is complete, and opens as a store."""
    store = await open_store()
    settled = [finished(tags=["kept"]) for _ in range(50)]
    await asyncio.gather(*(store.settle(each) for each in settled[:25]))
    await until(lambda: store.statistics().uncompressed == 0)
    await asyncio.gather(*(store.settle(each) for each in settled[25:]))
    folder = tmp_path / "copy"
    folder.mkdir()
    with sqlite3.connect(path_of(store)) as connection:
        connection.execute("VACUUM INTO ?", (str(folder / "briggs.db"),))
    connection.close()
    await store.settle(finished(tags=["kept"]))
    restored = await open_store(folder)
    for each in settled:
        assert await restored.completions.retrieve(each.id, organization_id="default") == each
    page = await restored.completions.list(
        Query(organization_id="default", tags=["kept"], limit=100)
    )
    assert len(page.completions) == 50


async def test_second_server(open_store: OpenStore) -> None:
    """Only one process can open a folder, and the error names that process."""
    store = await open_store()
    with pytest.raises(StoreLocked, match=r"in use by another server \(process \d+\)"):
        await open_store()
    await store.close()
    await open_store()
