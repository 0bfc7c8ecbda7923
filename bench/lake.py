"""Measures how fast completions go to the lake, what room they take, and how fast it answers.

    uv run python -m bench.lake [--rows 20000] [--days 10] [--folder DIR]

The bodies are those of `bench.store`. CPU is the user and system time of the whole process, and
that of reading each file back and comparing it is part of it. The room of the record is that of its
file after a checkpoint and VACUUM, with all indexes.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.store import cpu_s, create_bodies
from briggs.lake.archive import Archiver
from briggs.lake.queries import answer
from briggs.lake.reading import list_completions
from briggs.lake.warehouse import Warehouse
from briggs.storage import Store
from briggs.storage.reading import name_catalog
from briggs.types.completions import Completion, current_time_us
from briggs.types.lake import LakeQuery
from briggs.types.limits import DAY_US

ASKED = 5
MODELS = ("gpt-4o", "gpt-4o-mini", "claude", "gemini", "llama")
QUESTIONS = {
    "count by model": "SELECT model, count(*) FROM completions GROUP BY 1",
    "cost of each day": "SELECT date_trunc('day', created_at), sum(cost_usd) FROM completions "
    "GROUP BY 1",
    "a word in all requests": "SELECT count(*) FROM completions "
    "WHERE contains(decode(request), 'nowhere')",
}


async def fill(store: Store, *, rows: int, days: int) -> int:
    """Record completions of some days. Returns how many bytes their bodies have."""
    bodies, size = create_bodies(2_000), 0
    begin = current_time_us() - (days + 40) * DAY_US
    for first in range(0, rows, 1_000):
        some = []
        for number in range(first, min(first + 1_000, rows)):
            request, response = bodies[number % len(bodies)]
            # Bodies that come again would be smaller than real ones.
            request = request.replace(b"{", b'{"user":"%x",' % hash((number, 1)), 1)
            size += len(request) + len(response)
            some.append(
                Completion(
                    organization_id="default",
                    created_at=begin + number * days * DAY_US // rows,
                    status="finished",
                    model=MODELS[number % len(MODELS)],
                    tags=["support", f"tag-{number % 50}"],
                    cost_usd=number / 1e6,
                    request=request,
                    response=response,
                )
            )
        await asyncio.gather(*map(store.settle, some))
    return size


def measure(name: str, ask: Callable[[], object]) -> None:
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1_000)
    print(f"| {name} | {statistics.median(times):,.0f} |")


async def run(folder: Path, *, rows: int, days: int) -> None:
    store = await Store.open(folder)
    size = await fill(store, rows=rows, days=days)
    warehouse = Warehouse(str(folder / "lake"), catalog=name_catalog(folder), storage={})
    archiver = Archiver(warehouse, store, moves=False)
    began, cpu = time.perf_counter(), cpu_s()
    done = await archiver.archive(organization_id="default", until_us=current_time_us())
    wall, cpu = time.perf_counter() - began, cpu_s() - cpu
    assert done.archived == rows
    await store.close()
    with sqlite3.connect(folder / "briggs.db") as database:
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    table = warehouse.open()
    files = warehouse.list_files(table)
    room = sum(each.file_size_in_bytes for each in files)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{rows:,} completions, {size / rows:,.0f} bytes of bodies each, {len(files)} files\n")
    print("| | |\n|---|---|")
    print(f"| archived a second | {rows / wall:,.0f} |")
    print(f"| CPU us a completion | {cpu / rows * 1e6:,.0f} |")
    print(f"| bytes a completion in the lake | {room / rows:,.0f} |")
    record = (folder / "briggs.db").stat().st_size
    print(f"| bytes a completion in the record | {record / rows:,.0f} |")
    print(f"| most memory, MiB | {memory:,.0f} |")
    print("\n| question | ms |\n|---|---|")
    for name, sql in QUESTIONS.items():
        measure(name, lambda sql=sql: list(answer(warehouse, sql).rows))  # type: ignore[misc]
    everything = LakeQuery(organization_id="default")
    [newest] = list_completions(warehouse, table, everything, limit=1)
    one = LakeQuery(organization_id="default", ids=[newest.id])
    measure("one by its id", lambda: list(list_completions(warehouse, table, one, limit=1)))
    measure("the newest 20", lambda: list(list_completions(warehouse, table, everything, limit=20)))
    warehouse.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        asyncio.run(run(Path(folder), rows=given.rows, days=given.days))


if __name__ == "__main__":
    main()
