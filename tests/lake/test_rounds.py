"""Real servers bring old completions to the lake by themselves, and one at a time writes there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from briggs.lake.archive import Archiver
from briggs.lake.compaction import FILES_MIN
from briggs.lake.warehouse import Warehouse
from briggs.storage import Store
from briggs.storage.reading import find_catalog
from tests.api.briggs.test_retention import log
from tests.lake.completions import archive, create, create_all, fill, open_warehouse, read_all
from tests.postgres import Postgres
from tests.processes import Server, run_server
from tests.waiting import wait_for

LAKE = 'after = "1d"\nkeep_record = false\n'
TIMEOUT_S = 5
"""After so long without a sign, a server is taken for dead."""


def read_lake(server: Server) -> dict[str, Any]:
    """What a server says of the lake. Its `completions` are the rows of all files."""
    reply = server.send("GET", "/api/v1/lake")
    assert reply.status == 200, reply.body
    state: dict[str, Any] = reply.json
    return state


async def fill_with_files(folder: Path, *, files: int) -> None:
    """Bring a completion for each file of the first day to the lake, and record a second day."""
    store, warehouse = await Store.open(folder), open_warehouse(folder)
    await store.lake.begin()
    archiver = Archiver(warehouse, store, moves=True)
    for number in range(files):
        await fill(store, create(number))
        await archive(archiver)
    await fill(store, *(create(number, day=1) for number in range(3)))
    warehouse.close()
    await store.close()


def test_a_round_of_a_server(tmp_path: Path) -> None:
    """It archives, compacts and tidies without a command."""
    asyncio.run(fill_with_files(tmp_path, files=FILES_MIN))
    with run_server(tmp_path, config=f'[lake]\nwarehouse = "lake"\n{LAKE}') as server:
        wait_for(lambda: read_lake(server)["files"] == 2)
        state = read_lake(server)
    assert (state["completions"], state["small_files"]) == (FILES_MIN + 3, 0)
    warehouse = open_warehouse(tmp_path)
    first = [create(number) for number in range(FILES_MIN)]
    assert read_all(warehouse) == [*first, *(create(number, day=1) for number in range(3))]
    warehouse.close()


@pytest.fixture
def servers(
    tmp_path: Path, postgres: Postgres, postgres_database: str
) -> Iterator[tuple[Server, Server]]:
    """Two servers on one database and one warehouse, with old completions on record."""

    async def record() -> None:
        store = await Store.open(tmp_path / "first" / "data", address=postgres_database)
        await fill(store, *create_all())
        await store.close()

    asyncio.run(record())
    config = (
        f'store = "{postgres_database}"\n[limits]\nnode_timeout_s = {TIMEOUT_S}\n'
        f'[lake]\nwarehouse = "{tmp_path / "lake"}"\n{LAKE}'
    )
    with ExitStack() as running:
        first = running.enter_context(run_server(tmp_path / "first" / "data", config=config))
        data = tmp_path / "second" / "data"
        data.mkdir(parents=True)
        (data / "admin.key").write_text(first.key)
        yield first, running.enter_context(run_server(data, config=config))


def ask(server: Server) -> int:
    return server.send("POST", "/api/v1/lake/archive").status


def test_two_servers_archive_once(
    servers: tuple[Server, Server], tmp_path: Path, postgres_database: str
) -> None:
    """Only the keeper writes. When it is killed, the other goes on, and no row is there twice."""
    every = create_all()
    for server in servers:
        wait_for(lambda server=server: read_lake(server)["completions"] == len(every))  # type: ignore[misc]
    wait_for(lambda: sorted(map(ask, servers)) == [200, 409])
    keeper, other = servers if ask(servers[0]) == 200 else servers[::-1]
    late = log(other, "late")
    keeper.process.kill()
    keeper.process.wait()
    wait_for(lambda: ask(other) == 200 and read_lake(other)["waiting"] == 0)
    assert read_lake(other)["completions"] == len(every) + 1
    catalog = find_catalog(tmp_path, address=postgres_database)
    warehouse = Warehouse(str(tmp_path / "lake"), catalog=catalog, storage={})
    assert [each.id for each in read_all(warehouse)] == [*(each.id for each in every), late]
    warehouse.close()
