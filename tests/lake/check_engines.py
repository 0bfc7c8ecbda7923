"""Engines that know nothing of Briggs read the lake: `make test-lake`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from briggs.lake.archive import Archiver
from briggs.lake.compaction import Compactor
from briggs.lake.warehouse import HINT
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.lake import LakeQuery
from tests.clients.test_clients import ENVIRONMENTS
from tests.lake.completions import create_all, open_warehouse
from tests.lake.crash import fill_with_small_files

STORIES = Path(__file__).parent / "engines"
GONE = "user-1"


@pytest.fixture(scope="module", params=["as archived", "compacted"])
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a table in several files, of which some were written anew by a deletion."""
    folder = tmp_path_factory.mktemp("engines")
    asyncio.run(fill(folder, is_compacted=request.param == "compacted"))
    return folder / "lake" / "completions"


async def fill(folder: Path, *, is_compacted: bool) -> None:
    store, warehouse = await Store.open(folder), open_warehouse(folder)
    await store.lake.begin()
    archiver = Archiver(warehouse, store, moves=True)
    await fill_with_small_files(store, archiver)
    await store.lake.demand(LakeQuery(organization_id="default", user=GONE, created_to=2**51))
    await archiver.delete()
    if is_compacted:
        done = await Compactor(warehouse, store).compact(organization_id="default")
        assert done.written == 2 < done.files
    warehouse.close()
    await store.close()


def describe(completion: Completion) -> dict[str, object]:
    assert completion.response is not None
    return {
        "id": completion.id,
        "created_at": completion.created_at,
        "request": hashlib.sha256(completion.request).hexdigest(),
        "response": hashlib.sha256(completion.response).hexdigest(),
        "tags": completion.tags,
        "word": completion.metadata["word"],
    }


def read(engine: str, *arguments: str, folder: Path) -> list[dict[str, object]]:
    python = ENVIRONMENTS / "lake" / "bin" / "python"
    ended = subprocess.run(
        [python, STORIES / f"{engine}_story.py", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,  # ClickHouse reads nothing outside of it.
        env={"PATH": "/usr/bin:/bin", "PYSPARK_PYTHON": str(python), "HOME": "/tmp"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


WANTED = [describe(each) for each in create_all() if each.user != GONE]


def test_duckdb(lake: Path) -> None:
    """DuckDB's `iceberg_scan` finds the table by its hint, and every byte."""
    assert read("duckdb", str(lake), folder=lake) == WANTED


def test_clickhouse(lake: Path) -> None:
    """ClickHouse's `icebergLocal` reads the same."""
    assert read("clickhouse", str(lake), folder=lake) == WANTED


def test_spark(lake: Path, tmp_path: Path) -> None:
    """Spark, with Iceberg's own runtime, reads the metadata that the hint names."""
    name = (lake / "metadata" / HINT).read_text()
    metadata = f"{lake}/metadata/{name}.metadata.json"
    assert read("spark", metadata, str(tmp_path), folder=lake) == WANTED
