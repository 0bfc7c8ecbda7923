"""Several stores on one database: those of workers on one folder, and those of nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from briggs.storage import Query, Store, rollups, zones
from briggs.storage.migrations import migrate
from briggs.storage.sqlite.connections import driver, read_version
from briggs.storage.sqlite.database import SqliteDatabase
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion, current_time_us
from briggs.types.rollups import SPAN_US
from tests.storage.sqlite.conftest import path_of
from tests.waiting import PATIENCE_S, until

HOUR_US = SPAN_US["hour"]


@pytest.fixture
async def stores(address: str | None, tmp_path: Path) -> AsyncIterator[list[Store]]:
    """Two stores. The first one keeps order."""
    data = tmp_path / "data"
    if address is None:
        first = await Store.open(data, is_shared=True)
        second = await Store.open(data, is_shared=True, keeps_order=False)
    else:
        first = await Store.open(data, address=address)
        second = await Store.open(tmp_path / "second", address=address)
    yield [first, second]
    await second.close()
    await first.close()


only_sqlite = pytest.mark.parametrize("database", ["sqlite"])


def open_both(folder: Path) -> list[SqliteDatabase]:
    """Two databases on one file, without stores."""
    return [
        SqliteDatabase(
            folder, durability="strict", log_bytes_max=2**26, readers_max=1, is_shared=True
        )
        for _ in range(2)
    ]


def finished(**members: object) -> Completion:
    completion = Completion(
        organization_id="default", request=b"{}", response=b"{}", status="finished"
    )
    for name, value in members.items():
        setattr(completion, name, value)
    return completion


async def settle(store: Store, completion: Completion) -> None:
    await store.start(completion)
    await store.settle(completion)


async def test_both_write_at_once(stores: list[Store]) -> None:
    """Many callers of both: everything is recorded once, and the sums are right."""

    async def call(store: Store, number: int) -> None:
        for turn in range(40):
            await settle(store, finished(tags=[f"tag-{number}"], session_id=f"{turn}"))

    await asyncio.gather(*(call(stores[number % 2], number) for number in range(8)))
    for store in stores:
        assert store.failure is None
        now = current_time_us()
        listed = await store.rollups.list_all(
            organization_id="default", span="hour", created_from=now - HOUR_US, created_to=now
        )
        before = await store.rollups.list_all(
            organization_id="default",
            span="hour",
            created_from=now - now % HOUR_US - HOUR_US,
            created_to=now - HOUR_US,
        )
        assert sum(each.tally.calls for each in [*listed, *before]) == 320
        page = await store.completions.list(Query(organization_id="default", tags=["tag-3"]))
        assert len(page.completions) == 20


async def test_an_hour_that_another_has_changed(
    stores: list[Store],
) -> None:
    """A list skips no hour in which another process has just recorded what it looks for."""
    here, there = stores
    old = current_time_us() - 48 * HOUR_US
    await settle(here, finished(created_at=old, model="common"))
    query = Query(organization_id="default", filter=parse_completion_filter("model = rare"))
    assert not (await here.completions.list_summaries(query)).summaries
    assert here._database.zones._count() == 1, "the hour is known"
    for number in range(3):
        await settle(there, finished(created_at=old + number, model="rare"))
        assert len((await here.completions.list_summaries(query)).summaries) == number + 1


async def test_an_hour_is_learnt_when_it_is_over_everywhere(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server, whose clock is slow, may still be writing what has just ended."""
    here, _ = stores
    over = (current_time_us() // HOUR_US - 2) * HOUR_US
    await settle(here, finished(created_at=over - 1, model="common"))
    query = Query(organization_id="default", filter=parse_completion_filter("model = rare"))
    for minutes, known in ((9, 0), (11, 1)):
        now = over + minutes * 60_000_000
        monkeypatch.setattr(zones, "current_time_us", partial(int, now))
        await here.completions.list_summaries(query)
        assert here._database.zones._count() == known


async def test_a_call_that_is_deleted_while_it_runs(stores: list[Store]) -> None:
    """Its end, which another process records, does not bring it back."""
    here, there = stores
    running = Completion(organization_id="default", request=b"{}")
    await there.start(running)
    await until(lambda: there.statistics().rows == 1)
    assert await here.completions.delete(running.id, organization_id="default")
    running.status, running.response = "finished", b"{}"
    await there.settle(running)
    for store in stores:
        found = await store.completions.retrieve(running.id, organization_id="default")
        assert found is None


@only_sqlite
async def test_what_is_deleted_leaves_the_files(stores: list[Store]) -> None:
    """Another process that has the same pages in memory does not write them again."""
    here, there = stores
    secret = "the words that must go " * 3
    gone = finished(metadata={"word": secret}, session_id=secret, request=b"{}")
    await settle(there, gone)
    for number in range(20):
        await settle(there, finished(metadata={"word": f"stays {number}"}))
    assert await here.completions.delete(gone.id, organization_id="default")
    files = [path_of(here), path_of(here).with_name("briggs.db-wal")]
    async with asyncio.timeout(PATIENCE_S):
        while any(secret.encode() in file.read_bytes() for file in files):
            await settle(there, finished(metadata={"word": "more"}))
            await asyncio.sleep(0.1)
    for number in range(20):
        await settle(there, finished(metadata={"word": f"and more {number}"}))
    assert not any(secret.encode() in file.read_bytes() for file in files)


def test_pages_that_were_overwritten(tmp_path: Path) -> None:
    """When deleted bytes are overwritten in the file, other processes read its pages again.

    They do if something is committed afterwards. The first commit keeps the log from restarting.
    """
    here, there = open_both(tmp_path)
    migrate(here.writer)
    before = read_version(driver(there.writer))
    assert here.erase(0) != 0
    assert read_version(driver(there.writer)) == before + 2
    here.close()
    there.close()


@only_sqlite
async def test_only_one_keeps_order(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper folds what both have counted. When it is gone, another one takes over."""
    _, there = stores
    folded: list[object] = []
    fold = rollups.fold

    def note(connection: object) -> int:
        folded.append(connection)
        return fold(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(rollups, "fold", note)
    await settle(there, finished())
    await until(lambda: len(folded) > 1)
    assert len({id(each) for each in folded}) == 1
    there.keep_order()
    await until(lambda: len({id(each) for each in folded}) == 2)


async def test_calls_of_another_are_left_alone(stores: list[Store]) -> None:
    """A process fails the calls of the dead, and not its own."""
    running = Completion(organization_id="default", request=b"{}")
    await stores[1].start(running)
    await until(lambda: stores[1].statistics().rows == 1)
    assert await stores[0].fail_left() == 0
    found = await stores[0].completions.retrieve(running.id, organization_id="default")
    assert found is not None
    assert found.status == "started"


def test_one_moves_pages(tmp_path: Path) -> None:
    """While one process moves pages of the log, no other one begins to."""
    databases = open_both(tmp_path)
    first, second = (each._checkpointer for each in databases)
    with first._keep_others_away() as is_alone, second._keep_others_away() as is_other_alone:
        assert is_alone
        assert not is_other_alone
    with second._keep_others_away() as is_alone:
        assert is_alone
    for each in databases:
        each.close()
