"""How many machines a number of completions a day needs: the arithmetic of `docs/scale.md`.

    uv run python -m bench.capacity              # the table, from the figures below
    uv run python -m bench.capacity --write      # into docs/scale.md
    uv run python -m bench.capacity --measure    # the figures of the stores, on this machine

`FIGURES` were measured on one machine, each by the command beside it. `ASSUMED` is what they are
multiplied with, such as sizes and prices of machines. Everything else is computed from the two, so
it is extrapolated, and nothing else was run at these sizes.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.processes import list_tree, read_cpu_s
from bench.store import cpu_s, create_bodies, keep_busy, record_one

DOCUMENT = Path(__file__).parents[1] / "docs/scale.md"
BEGIN, END = "<!-- capacity -->", "<!-- /capacity -->"
DAY_S = 86_400
VOLUMES = (10**6, 10**8, 10**10)


class Figure(NamedTuple):
    """Something that was measured."""

    value: float
    unit: str
    what: str
    command: str


class Assumption(NamedTuple):
    """Something that was not."""

    value: float
    unit: str
    what: str


MEASURE = "bench.capacity --measure"
FIGURES = {
    "call_cpu_us": Figure(130, "us", "CPU of a server, a call, two workers", "bench.workers"),
    "sqlite_cpu_us": Figure(51, "us", "of it for recording, in SQLite", MEASURE),
    "postgres_cpu_us": Figure(67, "us", "for recording in PostgreSQL instead", MEASURE),
    "database_cpu_us": Figure(31, "us", "CPU of PostgreSQL itself, a call", MEASURE),
    "sqlite_bytes": Figure(1313, "bytes", "a call of 3.4 KB in SQLite, with indexes", MEASURE),
    "postgres_bytes": Figure(1410, "bytes", "the same in PostgreSQL", MEASURE),
    "sqlite_written": Figure(6271, "bytes", "written to the disk by SQLite, a call", MEASURE),
    "postgres_written": Figure(13055, "bytes", "the same by PostgreSQL", MEASURE),
    "commits": Figure(0.031, "", "commits a call, with 32 callers for each process", MEASURE),
    "connections": Figure(5, "", "connections of a process to PostgreSQL", "docs/postgres.md"),
}

ASSUMED = {
    "peak": Assumption(4, "times", "the busiest second, compared with the mean of the day"),
    "busy": Assumption(0.5, "", "how busy a core or a disk may be at the peak"),
    "kept_days": Assumption(30, "days", "kept in the database; older rows are in the lake or gone"),
    "node_cores": Assumption(16, "cores", "a machine that answers"),
    "node_disk": Assumption(2e12, "bytes", "its disk"),
    "node_usd": Assumption(400, "USD", "its price, a month"),
    "database_cores": Assumption(64, "cores", "a machine for PostgreSQL"),
    "database_disk": Assumption(16e12, "bytes", "its disk"),
    "database_written": Assumption(1e9, "bytes/s", "what its disk takes, all the time"),
    "database_syncs": Assumption(20_000, "/s", "commits that its disk makes durable"),
    "database_usd": Assumption(3_000, "USD", "its price, a month"),
    "lake_bytes": Assumption(1_000, "bytes", "a completion in the lake (Parquet, zstd)"),
    "lake_usd": Assumption(0.023, "USD", "a gigabyte in the lake, a month"),
    "lake_days": Assumption(365, "days", "kept in the lake, if there is one"),
}


class Wall(NamedTuple):
    """What ends first, and at how many completions a day."""

    what: str
    a_day: float


class Plan(NamedTuple):
    """What a number of completions a day needs."""

    a_day: int
    peak: float
    """Completions in the busiest second."""
    engine: str
    nodes: int
    databases: int
    """Without standbys. 0 with a file."""
    connections: int
    kept_bytes: float
    written_bytes: float
    """Of the databases, in the busiest second."""
    wall: Wall
    usd: float
    """A month, with a standby for each database and a spare node."""


def plan(a_day: int) -> Plan:
    """The first engine whose limits are above a number of completions a day."""
    peak = a_day / DAY_S * _assumed("peak")
    first = {engine: min(walls(engine), key=lambda wall: wall.a_day) for engine in ENGINES}
    kept = a_day * _assumed("kept_days")
    for engine in ("SQLite, one process", "SQLite, workers"):
        if a_day <= first[engine].a_day:
            return Plan(
                *(a_day, peak, engine),
                nodes=1,
                databases=0,
                connections=0,
                kept_bytes=kept * _figure("sqlite_bytes"),
                written_bytes=peak * _figure("sqlite_written"),
                wall=first[engine],
                usd=_assumed("node_usd"),
            )
    cores = peak * _call_cpu_us() / 1e6 / _assumed("busy")
    nodes = max(2, math.ceil(cores / _assumed("node_cores")))
    server = first["PostgreSQL, one server"]
    databases = math.ceil(a_day / server.a_day)
    engine = "PostgreSQL, one server" if databases == 1 else "Citus and the lake"
    lake_bytes = a_day * _assumed("lake_bytes") * _assumed("lake_days") if databases > 1 else 0
    return Plan(
        *(a_day, peak, engine),
        nodes=nodes,
        databases=databases,
        connections=int(nodes * _assumed("node_cores") * _figure("connections")),
        kept_bytes=kept * _figure("postgres_bytes"),
        written_bytes=peak * _figure("postgres_written"),
        wall=Wall(server.what, server.a_day * databases),
        usd=(nodes + 1) * _assumed("node_usd")
        + 2 * databases * _assumed("database_usd")
        + lake_bytes / 1e9 * _assumed("lake_usd"),
    )


ENGINES = ("SQLite, one process", "SQLite, workers", "PostgreSQL, one server")


def walls(engine: str) -> list[Wall]:
    """The limits of an engine, as completions a day."""
    # Of what a second can take at the peak.
    a_day = DAY_S / _assumed("peak") * _assumed("busy")
    kept = _assumed("kept_days")
    if engine == "PostgreSQL, one server":
        return [
            Wall("CPU", a_day * _assumed("database_cores") * 1e6 / _figure("database_cpu_us")),
            Wall("disk", _assumed("database_disk") / _figure("postgres_bytes") / kept),
            Wall("writing", a_day * _assumed("database_written") / _figure("postgres_written")),
            Wall("commits", a_day * _assumed("database_syncs") / _figure("commits")),
        ]
    cores = 1 if engine == "SQLite, one process" else _assumed("node_cores")
    writers = 1e6 / _figure("sqlite_cpu_us")
    return [
        Wall("CPU", a_day * cores * 1e6 / _figure("call_cpu_us")),
        Wall("one writer at a time", a_day * writers),
        Wall("disk", _assumed("node_disk") / _figure("sqlite_bytes") / kept),
    ]


def _call_cpu_us() -> float:
    """CPU of a server for a call that PostgreSQL records."""
    return _figure("call_cpu_us") - _figure("sqlite_cpu_us") + _figure("postgres_cpu_us")


def write_tables() -> str:
    """The model as Markdown."""
    lines = ["| measured | | by |", "|---|---|---|"]
    lines += [
        f"| {each.what} | {_number(each.value)} {each.unit} | `{each.command}` |"
        for each in FIGURES.values()
    ]
    lines += ["", "| assumed | |", "|---|---|"]
    lines += [f"| {each.what} | {_number(each.value)} {each.unit} |" for each in ASSUMED.values()]
    lines += ["", "| extrapolated | ends at, completions a day | because of |", "|---|---|---|"]
    for engine in ENGINES:
        wall, *others = sorted(walls(engine), key=lambda each: each.a_day)
        more = ", ".join(f"then {each.what} at {_number(each.a_day)}" for each in others)
        lines.append(f"| {engine} | {_number(wall.a_day)} | {wall.what}; {more} |")
    plans = [plan(each) for each in VOLUMES]
    heads = [f"{each.a_day:,} a day" for each in plans]
    lines += ["", f"| extrapolated | {' | '.join(heads)} |", "|---|" + "---|" * len(plans)]
    for name, cells in _describe(plans).items():
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(line.replace("  |", " |") for line in lines)


def _describe(plans: Sequence[Plan]) -> dict[str, list[str]]:
    """The lines of the last table."""
    return {
        "completions in the busiest second": [_number(each.peak) for each in plans],
        "engine": [each.engine for each in plans],
        "machines that answer": [f"{each.nodes:,}" for each in plans],
        "machines with PostgreSQL, without standbys": [f"{each.databases:,}" for each in plans],
        "connections, before a pooler": [f"{each.connections:,}" for each in plans],
        "GB in the databases": [_number(each.kept_bytes / 1e9) for each in plans],
        "MB written in the busiest second": [_number(each.written_bytes / 1e6) for each in plans],
        "first wall": [f"{each.wall.what}, at {_number(each.wall.a_day)} a day" for each in plans],
        "USD a month, with standbys and a spare node": [_number(each.usd) for each in plans],
    }


def _figure(name: str) -> float:
    return FIGURES[name].value


def _assumed(name: str) -> float:
    return ASSUMED[name].value


def _number(value: float) -> str:
    """With two or three digits that count."""
    if value >= 1000:
        digits = 3 - len(str(int(value)))
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}"


async def measure_store(
    folder: Path, *, pid: int | None, address: str | None, records: int
) -> dict[str, float]:
    """What a call costs a store, and the process of its database if that is another."""
    from briggs.storage import Store

    bodies = create_bodies(500)
    store = await Store.open(folder, address=address)

    async def record(number: int) -> None:
        request, response = bodies[number % len(bodies)]
        await record_one(store, request=request, response=response, number=number)

    cpu, written = cpu_s(), _read_written("self")
    database = (read_cpu_s(pid), _read_tree_written(pid)) if pid is not None else (0.0, 0)
    await keep_busy(record, count=records, callers=32)
    batches = store.statistics().batches
    await store.close()
    costs = {
        "cpu_us": (cpu_s() - cpu) / records * 1e6,
        "written_bytes": (_read_written("self") - written) / records,
        "commits": batches / records,
    }
    if pid is not None:
        costs["database_cpu_us"] = (read_cpu_s(pid) - database[0]) / records * 1e6
        costs["written_bytes"] = (_read_tree_written(pid) - database[1]) / records
    return costs


def measure(*, records: int) -> None:
    """Print what a call costs each store on this machine."""
    from tests.postgres import Postgres

    with tempfile.TemporaryDirectory() as folder:
        costs = asyncio.run(
            measure_store(Path(folder) / "data", pid=None, address=None, records=records)
        )
        size = sum(each.stat().st_size for each in (Path(folder) / "data").glob("briggs.db*"))
        print("sqlite", costs, f"stored_bytes {size / records:.0f}")
    with Postgres.run(fsync=True) as cluster, tempfile.TemporaryDirectory() as folder:
        url = cluster.create_database()
        name = url.rpartition("/")[2]
        postmaster = int((cluster.folder / "data/postmaster.pid").read_text().split()[0])
        costs = asyncio.run(
            measure_store(Path(folder) / "data", pid=postmaster, address=url, records=records)
        )
        before = _read_tree_written(postmaster)
        cluster.execute("CHECKPOINT")
        costs["written_bytes"] += (_read_tree_written(postmaster) - before) / records
        size = int(cluster.execute(f"SELECT pg_database_size('{name}')"))
        empty = int(cluster.execute("SELECT pg_database_size('template1')"))
        print("postgres", costs, f"stored_bytes {(size - empty) / records:.0f}")


def _read_tree_written(pid: int) -> int:
    return sum(_read_written(str(each)) for each in list_tree(pid))


def _read_written(pid: str) -> int:
    """Bytes that a process has had written to the disk. 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next(int(each.split()[1]) for each in lines if each.startswith("write_bytes"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write docs/scale.md")
    parser.add_argument("--measure", action="store_true", help="measure the stores here")
    parser.add_argument("--records", type=int, default=20_000)
    given = parser.parse_args()
    if given.measure:
        measure(records=given.records)
        return
    tables = write_tables()
    print(tables)
    if given.write:
        head, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(f"{head}{BEGIN}\n{tables}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
