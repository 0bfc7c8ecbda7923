"""The write-ahead log while the database is copied."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from briggs.storage import Store
from briggs.storage.folders import is_read_for_long, reading_for_long
from tests.storage.records import finished

LOG_BYTES_MAX = 1024 * 1024


async def write(store: Store, size: int) -> None:
    """Record calls with so many bytes that cannot be compressed."""
    for _ in range(size // 100_000):
        await store.settle(finished(request=os.urandom(100_000)))


async def test_a_backup_lets_the_log_grow(tmp_path: Path) -> None:
    """Callers do not wait for whoever copies an old state, and the log is small again after it."""
    store = await Store.open(tmp_path, wal_bytes_max=LOG_BYTES_MAX)
    log = tmp_path / "briggs.db-wal"
    try:
        with (
            reading_for_long(tmp_path),
            contextlib.closing(sqlite3.connect(tmp_path / "briggs.db")) as reader,
        ):
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM completions").fetchone()
            await write(store, 4 * LOG_BYTES_MAX)
            assert log.stat().st_size > 4 * LOG_BYTES_MAX
            reader.execute("ROLLBACK")
        grown = log.stat().st_size
        await write(store, 3 * grown)
        assert store.statistics().wal_bytes < 2 * grown
        assert log.stat().st_size < 3 * grown
    finally:
        await store.close()


def test_who_reads_for_long(tmp_path: Path) -> None:
    """It is known as long as anyone does, and not after that."""
    assert not is_read_for_long(tmp_path)
    with reading_for_long(tmp_path):
        with reading_for_long(tmp_path):
            assert is_read_for_long(tmp_path)
        assert is_read_for_long(tmp_path)
    assert not is_read_for_long(tmp_path)
    assert (tmp_path / "briggs.reading").stat().st_mode & 0o777 == 0o600
