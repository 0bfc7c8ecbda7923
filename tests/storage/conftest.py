"""One suite for every database. Only `open_store` opens a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Executable, Select, UpdateBase, event

from briggs.storage import (
    Store,
    counts,
    feedback_ahead,
    feedback_queue,
    pages,
    rollups,
    surveys,
)
from briggs.storage.database import Database
from briggs.storage.postgres.database import PostgresDatabase
from briggs.storage.sqlite.database import SqliteDatabase
from tests.postgres import Postgres
from tests.storage.sharding import find_caller, measure

OpenStore = Callable[..., Awaitable[Store]]


OF_ALL = {
    "alerts._read": "the server watches the alerts of all of them",
    "allowances.forget_old": "what dead nodes had borrowed",
    "backfills._read_some": "a step through the whole record",
    "backlogs._list": "how far the whole record is",
    "compression._read_some": "whatever is not compressed yet",
    "compression.count_uncompressed": "whatever is not compressed yet",
    "eval_runs._list_running": "the runs that a dead process left",
    "feedback_fill.step": "the next queue to fill, of whichever",
    "feedback_fill.waits": "whether there is a queue to fill",
    "feedback_sums.count_some": "the next task whose feedback is counted, of whichever",
    "feedback_sums.waits": "whether there is feedback to count",
    "feedback_matches._read_selectors": "the tasks of all of them are remembered",
    "lake._list_deleting": "what the lake has to delete, of whichever",
    "records._fail": "the calls that a dead process left",
    "records._list_dead": "the calls that a dead process left",
    "forgetting._step": "a step through the whole of a partition that was taken out",
    "rollups._list_fills": "what is not counted yet, which is remembered",
    "rollups._fill": "what is not counted yet",
    "rollups.fold": "whatever changed within a second",
    "search_index._read_known": "the segments of all of them are remembered",
    "signed_calls.exist": "whether there is anything to look for",
    "test_runs._report": "its address has a secret, and no organization",
    "test_runs._takes_report": "its address has a secret, and no organization",
}
"""The functions that read or write the rows of all organizations in one table, and why."""


@pytest.fixture(autouse=True)
def each_statement_names_an_organization() -> Iterator[None]:
    """Fails a test in which a statement joins rows without comparing their organizations, or
    reads those of all of them without need.
    """
    found: set[str] = set()

    def check(_1: object, statement: Any, *_2: object) -> None:
        caller = find_caller()
        if not isinstance(statement, UpdateBase | Select) or caller is None:
            return
        reach = measure(statement)
        if reach.apart:
            found.add(f"{caller} joins {reach.apart} without comparing their organizations")
        elif reach.unpinned and caller not in OF_ALL:
            found.add(f"{caller} reads {reach.unpinned} of all organizations")

    event.listen(Engine, "before_execute", check)
    yield
    event.remove(Engine, "before_execute", check)
    assert not found, "\n".join(sorted(found))


@pytest.fixture(autouse=True)
def has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no failure: what is looked for within a moment is found."""
    for module, name in (
        (counts, "COUNTED_WITHIN_S"),
        (feedback_ahead, "WITHIN_S"),
        (feedback_queue, "SIEVED_WITHIN_S"),
        (pages, "SHOWN_WITHIN_S"),
        (rollups, "COUNTED_WITHIN_S"),
        (surveys, "WITHIN_S"),
    ):
        monkeypatch.setattr(module, name, 60.0)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """The databases that the suite runs on."""
    name: str = request.param
    return name


@pytest.fixture
def address(database: str, request: pytest.FixtureRequest) -> str | None:
    """The address of a database of this test's own, with tables and without rows. None if a folder
    is enough.
    """
    if database == "sqlite":
        return None
    url: str = request.getfixturevalue("copied_database")
    return url


@pytest.fixture(scope="session")
def postgres_tables(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database in which a store has made its tables.

    PostgreSQL copies it in a third of the time that making tables takes.
    """
    url = postgres.create_database()

    async def make() -> None:
        await (await Store.open(tmp_path_factory.mktemp("tables"), address=url)).close()

    asyncio.run(make())
    name = url.rpartition("/")[2]
    postgres.execute("DELETE FROM nodes", database=name)
    return name


@pytest.fixture
def copied_database(postgres: Postgres, postgres_tables: str) -> Iterator[str]:
    """The URL of a copy of `postgres_tables`."""
    url = postgres.create_database(template=postgres_tables)
    yield url
    postgres.drop_database(url)


@pytest.fixture
async def open_store(address: str | None, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens the store of this test's folder with the options given, and closes it at the end."""
    opened: list[Store] = []

    async def open(folder: Path | None = None, **options: Any) -> Store:
        options = {"address": address, **options}
        store = await Store.open(folder or tmp_path / "data", **options)
        opened.append(store)
        return store

    yield open
    for store in opened:
        await store.close()


@pytest.fixture
def open_raw(address: str | None, tmp_path: Path) -> Callable[[], Database]:
    """Opens the database of this test's store, without a store and without its migrations."""

    def open() -> Database:
        if address is None:
            return open_database(tmp_path / "data")
        return PostgresDatabase(
            tmp_path / "raw", address=address, password=None, durability="strict", readers_max=1
        )

    return open


def open_database(folder: Path) -> SqliteDatabase:
    """The database of a folder, without a store and without its migrations."""
    return SqliteDatabase(folder, durability="strict", log_bytes_max=2**26, readers_max=1)


def read_rows(store: Store, statement: Executable) -> list[Any]:
    """Rows as they stand in the tables."""
    with store._database.read() as connection:
        return [tuple(row) for row in connection.execute(statement)]


async def change_rows(store: Store, *statements: Executable) -> None:
    """Change the tables behind the store's back."""

    def change(connection: Connection) -> None:
        for each in statements:
            connection.execute(each)

    await store.act(change)


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()
