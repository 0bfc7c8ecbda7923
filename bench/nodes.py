"""Compares several servers on one PostgreSQL with one: `python -m bench.nodes [--nodes 2]`

The upstream is nginx with one constant answer, and a wrk for each server makes the calls, 32 at
once together. All of that and the database share one machine, and every call is recorded strictly.
Rounds are interleaved, each with new servers and an empty database. Each figure is the median.

  answers a second  of all servers together
  ratio             to one server, in the same round: the median, the least and the greatest
  CPU us a request  the user and system time of all servers, divided by the answers. The time of
                    PostgreSQL's own processes is given beside it
  p99               of the slowest server
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.postgres import Postgres

from bench import processes, targets, unpinned
from bench.bench import BUILD, Running, Upstream, create_body, run_target
from bench.figures import CONNECTIONS, Unpinned
from bench.targets import Launch, Target


@dataclass(frozen=True)
class Measured:
    """One round."""

    each: Sequence[Unpinned]
    server_us: float
    """The CPU time of the database's own processes, for each answer."""

    @property
    def answers(self) -> int:
        return sum(it.answers for it in self.each)

    @property
    def rate(self) -> float:
        """Answers a second of all servers together."""
        return sum(it.rate for it in self.each)

    @property
    def cpu_us(self) -> float:
        return sum(it.cpu_us * it.answers for it in self.each) / max(1, self.answers)


def serve(address: str, *, key: str | None) -> Target:
    """A server with its record at an address. All but the first are given the first one's key."""

    def prepare(folder: Path, upstream_port: int) -> Launch:
        if key is not None:
            (folder / "data").mkdir()
            (folder / "data" / "admin.key").write_text(key)
        return targets.prepare_briggs(folder, upstream_port, durability="strict", store=address)

    return Target("Briggs", prepare, targets.read_briggs_version)


def measure(nodes: int, *, cluster: Postgres, upstream_port: int, seconds: int) -> Measured:
    """One round with new servers and an empty database."""
    address = cluster.create_database()
    running: list[Running] = []
    key: str | None = None
    with ExitStack() as stack:
        for _ in range(nodes):
            started = run_target(
                serve(address, key=key),
                upstream=Upstream(0, upstream_port),
                placement=unpinned.ANYWHERE,
            )
            running.append(stack.enter_context(started))
            key = running[0].headers["Authorization"].removeprefix("Bearer ")

        def call(one: Running) -> Unpinned:
            assert one.pid is not None
            return unpinned.call(
                pid=one.pid,
                url=f"http://127.0.0.1:{one.port}{one.launch.path}",
                headers=one.headers,
                body=create_body(one.launch.model, stream=False),
                seconds=seconds,
                connections=CONNECTIONS // nodes,
            )

        before_s = processes.read_cpu_s(cluster.pid)
        with ThreadPoolExecutor(nodes) as threads:
            each = list(threads.map(call, running))
        server_s = processes.read_cpu_s(cluster.pid) - before_s
    cluster.drop_database(address)
    return Measured(each, server_s * 1e6 / max(1, sum(it.answers for it in each)))


def report(rounds: dict[int, list[Measured]]) -> Iterator[str]:
    """The table, in Markdown."""
    yield "| servers | answers a second | ratio | CPU us a request | PostgreSQL's own us "
    yield "| p99, ms | errors |\n|---|---|---|---|---|---|---|\n"
    base = [each.rate for each in rounds[1]]
    for nodes, measured in rounds.items():
        ratios = [each.rate / one for one, each in zip(base, measured, strict=True)]
        slowest = statistics.median(max(it.p99_us for it in each.each) for each in measured)
        errors = sum(it.errors for each in measured for it in each.each)
        yield (
            f"| {nodes} | {statistics.median(each.rate for each in measured):,.0f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {statistics.median(each.cpu_us for each in measured):.0f} "
            f"| {statistics.median(each.server_us for each in measured):.0f} "
            f"| {slowest / 1000:.1f} | {errors} |\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare several servers with one.")
    parser.add_argument("--nodes", type=int, default=2, choices=range(2, CONNECTIONS + 1))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    arguments = parser.parse_args()
    if not unpinned.is_installed():
        raise SystemExit(f"nginx and wrk are needed: {unpinned.HOW_TO_INSTALL}")
    BUILD.mkdir(parents=True, exist_ok=True)
    rounds: dict[int, list[Measured]] = {nodes: [] for nodes in (1, arguments.nodes)}
    busy = processes.read_busy_share(1.0)
    with (
        Postgres.run(fsync=True) as cluster,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        unpinned.run_upstream(Path(folder)) as (_, port),
    ):
        for _ in range(arguments.rounds):
            for nodes, measured in rounds.items():
                one = measure(nodes, cluster=cluster, upstream_port=port, seconds=arguments.seconds)
                measured.append(one)
    print(f"{os.cpu_count()} cores, {busy:.0%} in use before, load {os.getloadavg()[0]:.1f} after;")
    print(f"{arguments.rounds} interleaved rounds of {arguments.seconds} s.\n")
    print("".join(report(rounds)))


if __name__ == "__main__":
    main()
