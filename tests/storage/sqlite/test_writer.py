"""Who writes, back-pressure, the limits of the log, and failures of the disk."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from briggs.storage import (
    NotRecorded,
    Query,
    Store,
    StoreUnavailable,
    writer,
)
from briggs.storage.sqlite import connections, statements
from briggs.storage.sqlite.checkpoints import Checkpointer
from briggs.storage.sqlite.connections import driver
from briggs.storage.sqlite.failures import store_failure
from briggs.storage.sqlite.statements import forget_records, insert_records
from tests.storage.conftest import OpenStore
from tests.storage.records import finished
from tests.storage.sqlite.conftest import path_of
from tests.storage.test_writer import call
from tests.waiting import PATIENCE_S, until

KEPT_UP = 1.0
"""For how many seconds to check that nothing continues."""


async def count(store: Store) -> int:
    page = await store.completions.list(
        Query(organization_id="default", limit=1_000_000, payloads=False)
    )
    return len(page.completions)


@contextmanager
def connect(store: Store) -> Iterator[sqlite3.Connection]:
    """A connection that SQLite treats as another process's."""
    connection = sqlite3.connect(path_of(store), isolation_level=None, check_same_thread=False)
    try:
        yield connection
    finally:
        connection.close()


async def set_pragma(store: Store, pragma: str) -> None:
    """Change the writer's own connection, in the writer's own thread."""
    await store.act(lambda connection: driver(connection).execute(f"PRAGMA {pragma}"))


@pytest.fixture
def inserts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that insert completions, one for each batch."""
    names: list[str] = []

    def note(connection: Connection, rows: list[list[object]]) -> int:
        names.append(threading.current_thread().name)
        return insert_records(connection, rows)

    monkeypatch.setattr(statements, "insert_records", note)
    return names


async def call_until_the_loop_writes(store: Store, inserts: list[str]) -> None:
    """While the writer's thread is at work, as it is now and then, it writes the batch too."""
    async with asyncio.timeout(PATIENCE_S):
        while inserts[-1:] != ["MainThread"]:
            await call(store)
            await asyncio.sleep(0)


@pytest.mark.parametrize("durability", ["strict", "relaxed"])
async def test_the_event_loop_writes(
    open_store: OpenStore, inserts: list[str], durability: str
) -> None:
    """The event loop's thread writes small batches."""
    await call_until_the_loop_writes(await open_store(durability=durability), inserts)


async def test_who_waits_for_the_disk(open_store: OpenStore, inserts: list[str]) -> None:
    """The writer's thread writes if a commit waits for the disk."""
    store = await open_store(durability="fsync")
    await asyncio.gather(*(call(store) for _ in range(10)))
    await until(lambda: store.statistics().queued == 0)
    assert set(inserts) == {"briggs-writer"}


@pytest.mark.parametrize(("request_bytes", "calls"), [(300_000, 1), (10, 100)])
async def test_a_large_batch(
    store: Store, inserts: list[str], request_bytes: int, calls: int
) -> None:
    """The writer's thread writes what would keep the event loop busy."""
    await asyncio.gather(
        *(store.settle(finished(request=bytes(request_bytes))) for _ in range(calls))
    )
    assert set(inserts) == {"briggs-writer"}


async def test_a_slow_disk(
    store: Store, inserts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a commit that took long, the writer's thread writes for a while."""
    monkeypatch.setattr(writer, "SLOW_S", 0)
    monkeypatch.setattr(writer, "REST_S", 600)
    await call_until_the_loop_writes(store, inserts)
    await call(store)
    assert inserts[-1] == "briggs-writer"
    store._writer._slow_until = time.monotonic()
    await call_until_the_loop_writes(store, inserts)


async def test_another_process_writes(store: Store) -> None:
    """While another process writes, callers wait for it, and the event loop does not."""
    with connect(store) as other:
        other.execute("BEGIN IMMEDIATE")
        callers = asyncio.gather(*(call(store, 2) for _ in range(10)))
        # A loop that waited for the other would wait until the calls had failed.
        for _ in range(50):
            await asyncio.sleep(0.01)
        assert not callers.done()
        other.execute("ROLLBACK")
        await callers
    assert await count(store) == 20


@pytest.mark.parametrize(
    ("operations_max", "bytes_max"), [(20, 64 * 1024 * 1024), (10_000, 20 * 1024)]
)
async def test_full_queue(open_store: OpenStore, operations_max: int, bytes_max: int) -> None:
    """A queue that is full by count or by bytes makes callers wait, and drops nothing."""
    store = await open_store(
        durability="relaxed", queue_operations_max=operations_max, queue_bytes_max=bytes_max
    )
    with connect(store) as other:
        other.execute("BEGIN IMMEDIATE")
        callers = asyncio.gather(*(call(store) for _ in range(200)))
        done, _ = await asyncio.wait([callers], timeout=KEPT_UP)
        assert not done
        statistics = store.statistics()
        assert statistics.queued <= operations_max
        assert statistics.queued_bytes <= bytes_max
        other.execute("ROLLBACK")
        await callers
    await until(lambda: store.statistics().queued == 0)
    assert await count(store) == 200


async def test_bad_row(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that the database refuses fails alone, and the rest of its batch is recorded."""
    await set_limit(store, bytes_max=100_000)
    bad = finished(request=bytes(200_000))
    good = [finished() for _ in range(5)]
    outcomes = await asyncio.gather(
        *(store.settle(each) for each in [*good[:3], bad, *good[3:]]), return_exceptions=True
    )
    assert [type(each) for each in outcomes].count(NotRecorded) == 1
    assert isinstance(outcomes[3], NotRecorded)
    assert store.failure is None
    assert store.unrecorded == 1
    for each in good:
        assert await store.completions.retrieve(each.id, organization_id="default") == each


async def set_limit(store: Store, *, bytes_max: int) -> None:
    """Make SQLite itself refuse anything larger."""
    await store.act(
        lambda connection: driver(connection).setlimit(sqlite3.SQLITE_LIMIT_LENGTH, bytes_max)
    )


async def test_log_limit(open_store: OpenStore) -> None:
    """The log stays under its limit with many writers and a slow reader."""
    limit = 2 * 1024 * 1024
    store = await open_store(wal_bytes_max=limit)
    log = path_of(store).with_name("briggs.db-wal")
    largest = 0
    done = threading.Event()

    def read_slowly() -> None:
        with connect(store) as other:
            while not done.is_set():
                other.execute("BEGIN")
                other.execute("SELECT count(*) FROM completions").fetchone()
                time.sleep(0.1)
                other.execute("COMMIT")

    async def watch() -> None:
        nonlocal largest
        while not done.is_set():
            largest = max(largest, log.stat().st_size)
            await asyncio.sleep(0.001)

    reader = asyncio.create_task(asyncio.to_thread(read_slowly))
    watcher = asyncio.create_task(watch())
    await asyncio.gather(*(call(store, 60) for _ in range(32)))
    done.set()
    await asyncio.gather(reader, watcher)
    assert await count(store) == 32 * 60
    assert limit // 2 < largest <= limit


async def test_reader_who_does_not_end(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that keeps the log from being emptied is named as the reason, until it ends."""
    monkeypatch.setattr(writer, "ROOM_WAIT_S", 0.2)
    store = await open_store(wal_bytes_max=1024 * 1024)
    with connect(store) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM completions").fetchone()
        with pytest.raises(StoreUnavailable, match="a reader of the database"):
            await call(store, 1_000)
        assert store.failure is not None
        other.execute("COMMIT")
    await until(lambda: store.failure is None)
    await call(store)


async def test_idle_work_after_a_reader(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader fills three quarters of the log, which stops the work of idle moments. That goes on
    when the reader has ended, although nobody writes.
    """
    store = await open_store(wal_bytes_max=8 * 1024 * 1024)
    # The thread of the checkpoints was woken in vain while the reader was there.
    monkeypatch.setattr(Checkpointer, "watch", lambda checkpointer: None)
    with connect(store) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM completions").fetchone()
        while store.statistics().wal_bytes < 6_500_000:
            await store.settle(finished(request=os.urandom(100_000)))
        other.execute("COMMIT")
    await until(lambda: store.statistics().uncompressed == 0)


async def test_writer_who_does_not_end(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that locks the database is named as the reason, until it lets go."""
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_S", 0.1)
    store = await open_store()
    with connect(store) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another process is using the database"):
            await call(store)
        other.execute("ROLLBACK")
    await until(lambda: store.failure is None)
    await call(store)


async def test_full_database(store: Store) -> None:
    """A full disk is an error for waiting calls and a reason in `failure`, until there is room."""
    await call(store, 10)
    await set_pragma(store, "max_page_count = 1")
    with pytest.raises(StoreUnavailable, match=r"disk is full \(make room on"):
        await call(store, 100)
    recorded = await count(store)
    assert store.failure is not None
    assert store.unrecorded == 1
    with pytest.raises(StoreUnavailable):
        await store.settle(finished(request=bytes(100_000)))
    assert store.unrecorded == 2
    await store.start(finished(status="started", request=bytes(100_000)))
    await until(lambda: store.statistics().unrecorded_starts == 1)
    assert await count(store) == recorded, "what was recorded stays"

    inner = driver(store._writer._connection)
    inner.execute("PRAGMA max_page_count = 1000000")
    await until(lambda: store.failure is None)
    await call(store)
    assert await count(store) == recorded + 1


def test_no_room_for_the_index_of_the_log_is_a_full_disk() -> None:
    """SQLite calls it an error of the disk. The only cause is a full one."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert str(store_failure(error)).startswith("the disk is full (make room")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
    assert str(store_failure(error)).startswith("the disk failed to read or write")


async def test_end_that_could_not_be_written(store: Store) -> None:
    """A call whose start is on disk and whose end is lost is `failed` once the store recovers."""
    completion = finished(status="started")
    await store.start(completion)
    await until(lambda: store.statistics().rows == 1)
    await set_pragma(store, "query_only = ON")
    completion.status = "finished"
    with pytest.raises(StoreUnavailable, match="the database cannot be written to"):
        await store.settle(completion)
    assert store.failure is not None
    driver(store._writer._connection).execute("PRAGMA query_only = OFF")
    await until(lambda: store.failure is None)
    found = await store.completions.retrieve(completion.id, organization_id="default")
    assert found is not None
    await asyncio.sleep(0.1)
    found = await store.completions.retrieve(completion.id, organization_id="default")
    assert found is not None
    assert (found.status, found.failure_kind) == ("failed", "not_recorded")


@contextmanager
def small_disk(path: Path, *, size: str) -> Iterator[Path]:
    """A file system of its own, which needs root."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


async def test_full_disk(open_store: OpenStore, tmp_path: Path) -> None:
    """On a full disk, confirmed records stay, and recording continues once there is room."""
    with small_disk(tmp_path / "disk", size="4m") as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(1024 * 1024))
        store = await open_store(disk / "data")
        acknowledged = []
        with pytest.raises(StoreUnavailable):
            for _ in range(5_000):
                completion = finished(received=bytes(2_000))
                await store.settle(completion)
                acknowledged.append(completion)
        assert store.failure is not None
        assert len(acknowledged) > 50
        for each in acknowledged:
            assert await store.completions.retrieve(each.id, organization_id="default") == each

        filler.unlink()
        await until(lambda: store.failure is None)
        completion = finished()
        await store.settle(completion)
        await store.close()
        store = await open_store(disk / "data")
        for each in [*acknowledged, completion]:
            assert await store.completions.retrieve(each.id, organization_id="default") == each
        await store.close()


async def test_folder_that_cannot_be_written(open_store: OpenStore, tmp_path: Path) -> None:
    """A data folder whose database is another kind of file is refused with its path."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "briggs.db").write_bytes(b"this is not a database, " * 1_000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await open_store()


async def test_a_large_row_is_not_kept(open_store: OpenStore) -> None:
    """SQLite keeps the values of a statement until others replace them."""
    store = await open_store()
    forgotten: list[int] = []
    original = forget_records

    def forget(connection: Connection) -> None:
        original(connection)
        forgotten.append(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statements, "forget_records", forget)
        await store.settle(finished(request=b"x" * 2_000_000))
        assert len(forgotten) == 1
        await store.settle(finished(request=b"x"))
        assert len(forgotten) == 1
    assert await count(store) == 2
