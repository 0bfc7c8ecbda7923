"""What is recorded survives kill -9, at random moments, again and again."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from briggs.storage import Query
from briggs.storage.tables import completions
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.crash import create_bodies
from tests.storage.test_rollups import check_sums

ROUNDS = 4


@pytest.mark.parametrize("durability", ["strict", "fsync"])
async def test_killed(
    open_store: OpenStore, address: str | None, tmp_path: Path, durability: str
) -> None:
    """Every call that was confirmed is there after kill -9, byte for byte, none twice, and the
    sums are those of the rows.
    """
    folder = tmp_path / "data"
    acknowledged: list[str] = []
    for seed in range(ROUNDS):
        acknowledged += await record_until_killed(
            folder, address, durability=durability, after_s=random.Random(seed).uniform(0.05, 0.5)
        )
    assert len(acknowledged) > 100
    assert len(acknowledged) == len(set(acknowledged))

    store = await open_store()
    page = await store.completions.list(
        Query(organization_id="default", tags=["crash"], limit=1_000_000)
    )
    found = {each.id: each for each in page.completions}
    assert len(found) == len(page.completions), "none is there twice"
    for id in acknowledged:
        assert found[id].status == "finished"
    for each in page.completions:
        request, response = create_bodies(each.id)
        if each.status == "finished":
            assert (each.request, each.response) == (request, response)
        else:
            assert each.failure_kind == "interrupted"
    await check_sums(store)
    compressed = read_rows(store, select(completions.c.id).where(completions.c.encoding == 1))
    assert compressed, "compression was under way"
    await store.close()
    if address is None:
        with sqlite3.connect(folder / "briggs.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


async def record_until_killed(
    folder: Path, address: str | None, *, durability: str, after_s: float
) -> list[str]:
    """The ids of the calls that a process confirmed before it was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.storage.crash",
        str(folder),
        durability,
        *([address] if address else []),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    reading = asyncio.create_task(process.stdout.read())
    await asyncio.sleep(after_s)
    process.kill()
    rest = await reading
    await process.wait()
    # The last line may be cut off.
    return (first + rest).decode().split("\n")[:-1]
