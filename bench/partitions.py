"""Compares dropping a partition with deleting its rows: `python -m bench.partitions`

Each way has half of the rows in one partition of a cluster of this bench's own, with its disk and
fsync. Then the same questions are asked of a record with one partition and of one with `--many`, in
turns, in milliseconds: the median of each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
from tests.postgres import Postgres

from briggs.storage import Query, Store
from briggs.storage.bodies import Bodies
from briggs.types.completions import create_first_id
from briggs.types.limits import DAY_US

NOW = time.time_ns() // 1000 // DAY_US * DAY_US
BODY = json.dumps({"model": "m", "messages": random.Random(1).randbytes(900).hex()}).encode()
FILL = """
    INSERT INTO completions (id, organization_id, created_at, status, kind, stream, model,
        retry_count, session_id, response_id, encoding, tags, request, response)
    SELECT '{id}-7000-8000-' || lpad(to_hex(n), 12, '0'), 'default', {at} + n, 'finished', 'chat',
        false, 'openai/gpt-4o', 0, 's' || n % 1000, 'r' || n, 1, '["t"]',
        decode('{body}', 'hex'), decode('{body}', 'hex')
    FROM generate_series(1, {rows}) AS n
"""


def fill(cluster: Postgres, database: str, *, day: int, rows: int) -> None:
    at = NOW + day * DAY_US
    body = Bodies().compress(BODY).hex()
    values = {"id": create_first_id(at), "at": at, "rows": rows, "body": body}
    cluster.execute(FILL.format(**values), database=database)


def measure(cluster: Postgres, database: str, *statements: str) -> tuple[float, float]:
    """How many seconds some statements take, and how many MB of log they write."""
    before = cluster.execute("SELECT pg_current_wal_lsn()")
    with psycopg.connect(cluster.url(database), autocommit=True) as connection:
        begun = time.monotonic()
        for each in statements:
            connection.execute(each.encode())
        seconds = time.monotonic() - begun
    written = cluster.execute(f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn")
    return seconds, int(written) / 1e6


async def open_store(address: str, folder: Path, *, days: list[int]) -> Store:
    """A store with partitions of a day."""
    store = await Store.open(folder, address=address)

    def make(connection: object) -> None:
        partitions = store._database.partitions
        assert partitions is not None
        for day in days:
            partitions.make(connection, begin=NOW + day * DAY_US, days=1, count=1)  # type: ignore[arg-type]

    await store.act(make)
    return store


async def compare_questions(
    stores: dict[int, Store], ids: dict[int, str], *, rounds: int
) -> dict[str, dict[int, float]]:
    """Ask each store the same, in turns."""
    found: dict[str, dict[int, list[float]]] = {}

    def questions(many: int) -> dict[str, Callable[[], Awaitable[object]]]:
        store, list_all = stores[many], stores[many].completions.list
        ours = {"organization_id": "default", "payloads": False, "limit": 50}
        return {
            "by id": lambda: store.completions.retrieve(ids[many], organization_id="default"),
            "by an upstream's id": lambda: store.completions.retrieve(
                "r7", organization_id="default"
            ),
            "the newest 50": lambda: list_all(Query(**ours)),  # type: ignore[arg-type]
            "50 of a session": lambda: list_all(Query(**ours, session_id="s7")),  # type: ignore[arg-type]
        }

    for number in range(rounds + 3):
        for many in stores:
            for name, ask in questions(many).items():
                begun = time.monotonic()
                await ask()
                if number >= 3:
                    of = found.setdefault(name, {}).setdefault(many, [])
                    of.append((time.monotonic() - begun) * 1000)
    return {
        name: {many: statistics.median(each) for many, each in of.items()}
        for name, of in found.items()
    }


async def run(arguments: argparse.Namespace) -> None:
    rows, many = arguments.rows // 2, arguments.many
    with Postgres.run(fsync=True) as cluster, tempfile.TemporaryDirectory() as folder:
        stores: dict[int, Store] = {}
        ids: dict[int, str] = {}
        names: dict[int, str] = {}
        for count in (1, many):
            address = cluster.create_database()
            names[count] = address.rpartition("/")[2]
            days = [*range(1, count)]
            stores[count] = await open_store(address, Path(folder) / str(count), days=days)
            for day in range(1, many):
                fill(cluster, names[count], day=day, rows=2 * rows // many)
            cluster.execute("ANALYZE", database=names[count])
            ids[count] = f"{create_first_id(NOW + DAY_US)}-7000-8000-{7:012x}"
        asked = await compare_questions(stores, ids, rounds=arguments.rounds)
        for store in stores.values():
            await store.close()
        address = cluster.create_database()
        database = address.rpartition("/")[2]
        store = await open_store(address, Path(folder) / "drop", days=[1, 2])
        await store.close()
        for day in (1, 2):
            fill(cluster, database, day=day, rows=rows)
        cluster.execute(["VACUUM ANALYZE", " CHECKPOINT"][0], database=database)
        low, high = (create_first_id(NOW + day * DAY_US) for day in (1, 2))
        deleted = measure(
            cluster,
            database,
            f"DELETE FROM completions WHERE organization_id = 'default' "
            f"AND id >= '{low}' AND id < '{high}'",
            "VACUUM completions",
        )
        partition = cluster.execute(
            "SELECT max(inhrelid::regclass::text) FROM pg_inherits "
            "WHERE inhparent = 'completions'::regclass AND inhrelid::regclass::text ~ '_2'",
            database=database,
        )
        dropped = measure(
            cluster,
            database,
            f"ALTER TABLE completions DETACH PARTITION {partition}",
            f"DROP TABLE {partition}",
        )
    load = os.getloadavg()
    print(f"{os.cpu_count()} cores, load {load[0]:.1f} at the end.\n")
    print(f"| {rows:,} completions | seconds | MB of log |\n|---|---|---|")
    print(f"| DELETE and VACUUM | {deleted[0]:.2f} | {deleted[1]:.1f} |")
    print(f"| take the partition out and drop it | {dropped[0]:.2f} | {dropped[1]:.1f} |\n")
    print(
        f"| of {2 * rows:,} completions | 1 partition, ms | {many} partitions, ms |\n|---|---|---|"
    )
    for name, of in asked.items():
        print(f"| {name} | {of[1]:.1f} | {of[many]:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare dropping a partition with deleting.")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--many", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=30)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
