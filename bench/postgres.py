"""Compares a record in PostgreSQL with one in SQLite: `python -m bench.postgres [--rounds 5]`

The upstream is nginx with one constant answer, and wrk makes the calls, as in `unpinned.py`. The
kernel chooses the cores. PostgreSQL is a cluster of this bench's own on the same machine, with its
disk and fsync, and every call is recorded strictly. Rounds are interleaved, each with a new server
and an empty database. Each figure is the median.

  CPU us a request  at 32 connections: the user and system time of Briggs, divided by the answers.
                    The time of PostgreSQL's own processes is given beside it
  ratio             to SQLite beside it, in the same round: the median, the least and the greatest
  added             at 1 connection, what a call takes longer than at the upstream alone, which is
                    asked in the same round
  records           the rows in the database afterwards, which must be the answers
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import Postgres

from bench import processes, targets, unpinned
from bench.bench import BUILD, Upstream, create_body, run_target
from bench.figures import Unpinned
from bench.targets import Launch, Target

STORES = ("SQLite", "PostgreSQL")


@dataclass(frozen=True)
class Measured:
    """One round."""

    many: Unpinned
    one: Unpinned
    upstream: Unpinned
    server_us: float
    """The CPU time of the database's own processes, for each answer."""
    records: int


def serve(address: str | None, *, cluster: Postgres) -> Target:
    """Briggs with its record at an address, or in a file."""

    def prepare(folder: Path, upstream_port: int) -> Launch:
        store = address or "sqlite"
        return targets.prepare_briggs(folder, upstream_port, durability="strict", store=store)

    def count(folder: Path) -> dict[str, int]:
        if address is None:
            return targets.count_briggs_records(folder)
        lines = cluster.execute(
            "SELECT status, count(*) FROM completions GROUP BY status",
            database=address.rpartition("/")[2],
        )
        return {status: int(rows) for status, rows in (it.split("|") for it in lines.splitlines())}

    name = STORES[address is not None]
    return Target(name, prepare, targets.read_briggs_version, count_records=count)


def measure(target: Target, *, cluster: Postgres, upstream_port: int, seconds: int) -> Measured:
    """One round with a new server and an empty database."""
    upstream = Upstream(0, upstream_port)
    with run_target(target, upstream=upstream, placement=unpinned.ANYWHERE) as running:
        assert running.pid is not None

        def call(connections: int, *, port: int = running.port, model: str = "") -> Unpinned:
            assert running.pid is not None
            return unpinned.call(
                pid=running.pid,
                url=f"http://127.0.0.1:{port}{running.launch.path}",
                headers=running.headers,
                body=create_body(model or running.launch.model, stream=False),
                seconds=seconds,
                connections=connections,
            )

        upstream_alone = call(1, port=upstream_port, model=targets.UPSTREAM_MODEL)
        one = call(1)
        before_s = processes.read_cpu_s(cluster.pid)
        many = call(32)
        server_s = processes.read_cpu_s(cluster.pid) - before_s
    assert running.records is not None
    records = sum(running.records.values()) - running.answers
    server_us = server_s * 1e6 / max(1, many.answers)
    return Measured(many, one, upstream_alone, server_us, records)


def report(rounds: dict[str, list[Measured]]) -> Iterator[str]:
    """The table, in Markdown."""
    yield "| record | CPU us a request | ratio | PostgreSQL's own us | answers a second "
    yield "| p50 / p99 ms added, 1 connection | records / answers | errors |\n"
    yield "|---|---|---|---|---|---|---|---|\n"
    base = [each.many.cpu_us for each in rounds[STORES[0]]]
    for name, measured in rounds.items():
        many = [each.many for each in measured]
        ratios = [each.cpu_us / one for one, each in zip(base, many, strict=True)]
        added = [
            statistics.median(
                getattr(each.one, it) - getattr(each.upstream, it) for each in measured
            )
            for it in ("p50_us", "p99_us")
        ]
        answers = sum(each.many.answers + each.one.answers for each in measured)
        errors = sum(each.many.errors + each.one.errors for each in measured)
        server_us = statistics.median(each.server_us for each in measured)
        yield (
            f"| {name} | {statistics.median(each.cpu_us for each in many):.0f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {f'{server_us:.0f}' if name == STORES[1] else ''} "
            f"| {statistics.median(each.rate for each in many):,.0f} "
            f"| {added[0] / 1000:.2f} / {added[1] / 1000:.2f} "
            f"| {sum(each.records for each in measured):,} / {answers:,} | {errors} |\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare PostgreSQL with SQLite.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    arguments = parser.parse_args()
    if not unpinned.is_installed():
        raise SystemExit(f"nginx and wrk are needed: {unpinned.HOW_TO_INSTALL}")
    BUILD.mkdir(parents=True, exist_ok=True)
    rounds: dict[str, list[Measured]] = {name: [] for name in STORES}
    busy = processes.read_busy_share(1.0)
    with (
        Postgres.run(fsync=True) as cluster,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        unpinned.run_upstream(Path(folder)) as (_, port),
    ):
        for _ in range(arguments.rounds):
            address = cluster.create_database()
            for name, target in zip(
                STORES, (serve(each, cluster=cluster) for each in (None, address)), strict=True
            ):
                rounds[name].append(
                    measure(target, cluster=cluster, upstream_port=port, seconds=arguments.seconds)
                )
            cluster.drop_database(address)
    load = os.getloadavg()
    print(f"{os.cpu_count()} cores, {busy:.0%} in use before, load {load[0]:.1f} at the end;")
    print(f"{arguments.rounds} interleaved rounds of {arguments.seconds} s.\n")
    print("".join(report(rounds)))


if __name__ == "__main__":
    main()
