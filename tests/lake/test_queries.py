"""SQL over the lake reads the table, changes nothing, and reaches nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from briggs.lake.archive import Archiver
from briggs.lake.queries import answer
from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import InvalidRequest
from tests.cli.running import run
from tests.lake.completions import PER_DAY, create_all, open_warehouse


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a lake."""
    folder = tmp_path_factory.mktemp("queries")
    asyncio.run(fill(folder))
    return folder


async def fill(folder: Path) -> None:
    store, warehouse = await Store.open(folder), open_warehouse(folder)
    for each in create_all():
        await store.settle(each)
    archiver = Archiver(warehouse, store, moves=False)
    await archiver.archive(organization_id="default", until_us=current_time_us())
    (folder / "briggs.toml").write_text('[lake]\nwarehouse = "lake"\n')
    warehouse.close()
    await store.close()


def ask(data: Path, sql: str, *options: str) -> str:
    command = ["lake", "query", sql, "--data", str(data), "--config", str(data / "briggs.toml")]
    ended = run(*command, *options)
    assert ended.status == 0, ended.errors
    return ended.output


def test_a_query_prints_rows(data: Path) -> None:
    """As lines of JSON, as CSV, and as a table."""
    count = "SELECT tags[1] AS tag, count(*) AS n FROM completions GROUP BY 1 ORDER BY 1"
    assert ask(data, count).splitlines() == [
        f'{{"tag":"tag-0","n":{PER_DAY}}}',
        f'{{"tag":"tag-1","n":{PER_DAY}}}',
    ]
    assert ask(data, count, "--format", "csv") == f"tag,n\r\ntag-0,{PER_DAY}\r\ntag-1,{PER_DAY}\r\n"
    assert "tag-1" in ask(data, count, "--format", "table")
    word = (
        "SELECT created_at, metadata->>'word' AS word, request FROM completions WHERE id LIKE '%1'"
    )
    said = ask(data, f"{word} ORDER BY 1 LIMIT 1")
    assert said == (
        '{"created_at":"2024-10-04T00:00:01+00:00","word":"meta-0-1",'
        '"request":"asked-0-1\\u0000\\\\xff\\\\xfe"}\n'
    )


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "ATTACH '/tmp/x.db'",
        "DELETE FROM completions",
        "COPY completions TO '/tmp/x.csv'",
        "SELECT 1; SELECT 2",
        "SELECT nothing FROM completions",
        "SELECT * FROM files",
        "not SQL",
        "",
    ],
)
def test_a_query_can_do_nothing_else(data: Path, sql: str) -> None:
    """No other file, no change, and one line for whatever is wrong."""
    warehouse = open_warehouse(data)
    with pytest.raises(InvalidRequest):
        [*answer(warehouse, sql).rows]
    warehouse.close()
    command = ["lake", "query", sql, "--data", str(data), "--config", str(data / "briggs.toml")]
    ended = run(*command)
    assert ended.status == 1 and ended.errors.startswith("Error: The query")
    assert len(ended.errors.splitlines()) == 1


def test_a_query_without_a_lake(tmp_path: Path) -> None:
    """A file without `[lake]` says what to write into it."""
    (tmp_path / "briggs.toml").write_text("")
    command = ["lake", "query", "SELECT 1", "--data", str(tmp_path)]
    ended = run(*command, "--config", str(tmp_path / "briggs.toml"))
    assert ended.status == 1 and "[lake]" in ended.errors
