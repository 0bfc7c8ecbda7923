"""Measures how fast completions go to the lake, what room they take, and how fast it answers.

Then they go to a second lake in a file for each hour, and those become one for each day.

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
from briggs.lake.compaction import Compactor
from briggs.lake.queries import answer
from briggs.lake.reading import list_completions
from briggs.lake.warehouse import Warehouse
from briggs.storage import Store
from briggs.storage.reading import find_catalog
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


def find_begin(days: int) -> int:
    """The first of the days, in Unix microseconds."""
    return (current_time_us() // DAY_US - days - 40) * DAY_US


async def fill(store: Store, *, rows: int, days: int) -> int:
    """Record completions of some days. Returns how many bytes their bodies have."""
    bodies, size = create_bodies(2_000), 0
    begin = find_begin(days)
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
    print(f"| {name} | {find_median(ask):,.0f} |")


def find_median(ask: Callable[[], object]) -> float:
    """How long an answer takes, in milliseconds."""
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1_000)
    return statistics.median(times)


async def measure_compaction(store: Store, folder: Path, *, rows: int, days: int) -> None:
    hours = folder / "hours"
    hours.mkdir()
    warehouse = Warehouse(str(hours), catalog=find_catalog(hours), storage={})
    archiver = Archiver(warehouse, store, moves=False)
    for hour in range(1, 24 * days + 1):
        until_us = find_begin(days) + hour * DAY_US // 24
        await archiver.archive(organization_id="default", until_us=until_us)
    print("| | a file an hour | a file a day |\n|---|---|---|")
    before = measure_lake(warehouse)
    began, cpu = time.perf_counter(), cpu_s()
    done = await Compactor(warehouse, store).compact(organization_id="default")
    wall, cpu = time.perf_counter() - began, cpu_s() - cpu
    await archiver.sweep(warehouse.open())
    for (name, small), large in zip(before.items(), measure_lake(warehouse).values(), strict=True):
        print(f"| {name} | {small:,.0f} | {large:,.0f} |")
    print(f"\n{done.files} files became {done.written} in {wall:.1f} s, with {cpu:.1f} s of CPU: ")
    print(f"{cpu / rows * 1e6:,.0f} us a completion\n")
    warehouse.close()


def measure_lake(warehouse: Warehouse) -> dict[str, float]:
    """What the files of a lake take, and how long it takes to answer from them."""
    files = warehouse.list_files(warehouse.open())
    found: dict[str, float] = {
        "files": len(files),
        "bytes": sum(each.file_size_in_bytes for each in files),
    }
    for name, sql in QUESTIONS.items():
        found[f"{name}, ms"] = find_median(lambda sql=sql: list(answer(warehouse, sql).rows))  # type: ignore[misc]
    return found


async def run(folder: Path, *, rows: int, days: int) -> None:
    store = await Store.open(folder)
    size = await fill(store, rows=rows, days=days)
    warehouse = Warehouse(str(folder / "lake"), catalog=find_catalog(folder), storage={})
    archiver = Archiver(warehouse, store, moves=False)
    began, cpu = time.perf_counter(), cpu_s()
    done = await archiver.archive(organization_id="default", until_us=current_time_us())
    wall, cpu = time.perf_counter() - began, cpu_s() - cpu
    assert done.archived == rows
    await measure_compaction(store, folder, rows=rows, days=days)
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
