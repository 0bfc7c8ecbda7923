"""Tables that many processes bring up to date at once."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select

from briggs.storage import tables
from briggs.storage.migrations import MIGRATIONS, migrate
from briggs.storage.postgres.database import PostgresDatabase

PROCESSES = 4


def test_many_start_at_once(address: str, tmp_path: Path) -> None:
    """Each step runs once, in whichever of them, and all of them find the tables complete."""
    together = threading.Barrier(PROCESSES)

    def start(number: int) -> list[str]:
        database = PostgresDatabase(
            tmp_path / str(number),
            address=address,
            password=None,
            durability="strict",
            readers_max=1,
        )
        together.wait()
        done = migrate(database.writer)
        rows = database.writer.execute(select(tables.migrations.c.name)).all()
        assert len(rows) == len(MIGRATIONS)
        database.close()
        return done

    with ThreadPoolExecutor(PROCESSES) as threads:
        ran = Counter(name for done in threads.map(start, range(PROCESSES)) for name in done)
    assert ran == Counter(step.__name__ for step in MIGRATIONS)
