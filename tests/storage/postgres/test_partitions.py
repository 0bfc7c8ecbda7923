"""Partitions by time: every row finds one, and those that are due are dropped with all traces."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, text

from briggs.storage import Query, Store, forgetting
from briggs.storage.forgetting import AHEAD, make_partitions
from briggs.storage.migrations import migrate
from briggs.storage.postgres.database import PostgresDatabase
from briggs.storage.reading import open_reader
from briggs.storage.tables import (
    backfills,
    completion_metadata,
    completion_tags,
    completions,
    deleted_completions,
    feedback_queue,
    pieces,
    rollups,
    sessions,
)
from briggs.storage.verify import verify
from briggs.types.completions import Completion, create_first_id, current_time_us
from briggs.types.limits import DAY_US
from briggs.types.retention import Term
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.histories import create_history
from tests.storage.records import finished
from tests.storage.test_feedback_fill import create_task
from tests.waiting import until

TERM = Term(what="metadata", span="4d")
NOW = current_time_us()
TODAY = NOW // DAY_US * DAY_US
HOUR_US = DAY_US // 24


def at(days: float, number: int = 0, **members: Any) -> Completion:
    """A completion of so many days ago, with the id that Briggs gave it then."""
    created_at = TODAY - round(days * DAY_US) + number
    id = f"{create_first_id(created_at)}-7000-8000-{number:012x}"
    return finished(**{"id": id, "created_at": created_at, **members})


async def make(store: Store, *, days_ago: int) -> None:
    """Make the partitions that a server would have made so many days ago."""
    await store.act(lambda each: make_partitions(each, TERM, now_us=NOW - days_ago * DAY_US))


def places(store: Store) -> dict[str, str]:
    """The partition in which each completion is."""
    place = text("tableoid::regclass::text")
    return dict(read_rows(store, select(completions.c.id, place).select_from(completions)))


def list_names(store: Store) -> list[str]:
    """The tables of completions."""
    names = (
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname ~ 'completions_[r0-9]'"
    )
    return sorted(row[0] for row in read_rows(store, text(names)))


async def test_rows_of_any_time_find_a_partition(store: Store) -> None:
    """Ids of a partition's days are in it, and all others are in the rest. A call that was recorded
    with the id of a coming day, by a clock that is ahead, moves with the first that is made."""
    ahead, foreign = at(8, status="failed"), finished(id="mine", created_at=0)
    for each in (ahead, foreign):
        await store.settle(each)
    assert set(places(store).values()) == {"completions_rest"}
    await make(store, days_ago=10)
    past, inside = at(30), at(7.5, tags=["t"])
    for each in (past, inside):
        await store.settle(each)
    found = places(store)
    assert found[foreign.id] == found[past.id] == "completions_rest"
    assert found[ahead.id] == found[inside.id] != "completions_rest"
    for each in (ahead, foreign, past, inside):
        assert await store.completions.retrieve(each.id, organization_id="default") == each


def test_many_make_them_at_once(address: str, tmp_path: Path) -> None:
    """Servers that start together make each partition once."""
    together = threading.Barrier(3)

    def start(number: int) -> None:
        database = PostgresDatabase(
            tmp_path / str(number), address=address, password=None, durability="strict",
            readers_max=1,
        )  # fmt: skip
        migrate(database.writer)
        together.wait()
        with database.migration(database.writer):
            make_partitions(database.writer, TERM, now_us=NOW)
        made = database.partitions.list(database.writer) if database.partitions else []
        assert [each.begin for each in made] == [TODAY + n * DAY_US for n in range(1, AHEAD + 1)]
        database.close()

    with ThreadPoolExecutor(3) as threads:
        assert [*threads.map(start, range(3))] == [None] * 3


async def test_a_partition_that_is_due(
    store: Store, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dropped with everything that was stored about its completions. What is young enough
    stays, and so does a call that still runs. Old calls with the ids of clients go too."""
    monkeypatch.setattr(forgetting, "ROUND_S", 0.1)
    await make(store, days_ago=10)
    task = await create_task(store, "t")
    histories = [create_history("agent", turn) for turn in range(1, 5)]
    old = [
        at(8, number, tags=["t"], metadata={"k": "v"}, session_id="s", request=body, cost_usd=1.0)
        for number, body in enumerate(histories)
    ]
    young = at(1, tags=["t"], metadata={"k": "v"}, session_id="young")
    running = msgspec.structs.replace(at(8, 77), status="started", response=None)
    foreign = finished(id="mine", created_at=TODAY - 9 * DAY_US, tags=["t"])
    late = finished(created_at=TODAY - 9 * DAY_US, tags=["t"])
    for each in (*old, young, foreign, late):
        await store.settle(each)
    await store.start(running)
    await until(lambda: len(places(store)) == 8)
    assert read_rows(store, select(func.count()).select_from(pieces)) != [(0,)]
    store.retention.use([TERM])
    await until(
        lambda: set(places(store)) == {young.id, running.id} and not read_rows(store, _FORGOTTEN)
    )
    assert len([name for name in list_names(store) if name.startswith("taken")]) == 0
    for table in (completion_tags, completion_metadata, sessions, feedback_queue):
        assert len(read_rows(store, select(table))) == 1, table.name
    assert read_rows(store, select(func.count()).select_from(pieces)) == [(0,)]
    assert len(read_rows(store, select(deleted_completions))) == 6
    assert read_rows(store, select(func.min(rollups.c.begin_at))) == [
        (young.created_at // HOUR_US * HOUR_US,)
    ]
    progress = await store.feedback_queue.measure(task)
    assert progress.matching == 1
    with open_reader(tmp_path / "data", address=address) as reader:
        assert not [*verify(reader, show=lambda what, done: None)]


_FORGOTTEN = select(backfills).where(backfills.c.name.like("forgotten%"))


async def test_a_process_dies_meanwhile(
    open_store: OpenStore, address: str, tmp_path: Path
) -> None:
    """The next one goes on with a partition that was taken out. Until then nothing shows what is
    left of it, and the record is sound."""
    store = await open_store()
    await make(store, days_ago=10)
    old = [at(8, number, tags=["t"], session_id="s") for number in range(120)]
    for each in old:
        await store.settle(each)
    await store.close()
    database = PostgresDatabase(
        tmp_path / "raw", address=address, password=None, durability="strict", readers_max=1
    )
    due = forgetting.list_due(database.writer, TERM, now_us=NOW)
    assert forgetting.take(database.writer, due[1]) is not None
    database.close()
    store = await open_store()
    page = await store.completions.list(Query(organization_id="default", tags=["t"]))
    assert not page.completions
    with open_reader(tmp_path / "data", address=address) as reader:
        assert not [*verify(reader, show=lambda what, done: None)]
    store.retention.use([])
    await until(lambda: not read_rows(store, _FORGOTTEN))
    for table in (completion_tags, sessions):
        assert read_rows(store, select(table)) == []
