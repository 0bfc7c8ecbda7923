"""Compares one process of Briggs with several: `python -m bench.workers [--workers 1 2]`

The upstream is nginx with one constant answer, and wrk makes the calls at 32 connections, as in
`unpinned.py`. The kernel chooses the cores. Every call is recorded strictly. Rounds are interleaved
(1 2, 1 2, ...), each with a new server and an empty folder. Each figure is the median.

  CPU us a request  the user and system time of all processes of Briggs, divided by the answers.
                    The time of wrk and of the upstream is not in it
  answers a second  as wrk saw them. wrk and the upstream take their share of the same cores
  per core          answers that a second of a core's time gives: 1 / CPU a request
  gain              what so many cores give if wrk and the upstream run elsewhere, compared with one
                    process on one core: processes x CPU of one / CPU of several
  busiest           the share of the workers' CPU time that the busiest of them took
  records           the rows in the database afterwards, which must be the answers
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import processes, targets, unpinned
from bench.bench import BUILD, Upstream, create_body, run_target
from bench.figures import Unpinned
from bench.report import replace_table
from bench.targets import REPOSITORY, Launch, Target

DOCUMENT = REPOSITORY / "docs" / "performance.md"


@dataclass(frozen=True)
class Measured:
    """One round."""

    call: Unpinned
    busiest: float
    records: int


def serve(workers: int) -> Target:
    """Briggs with so many workers."""

    def prepare(folder: Path, upstream_port: int) -> Launch:
        launch = targets.prepare_briggs(folder, upstream_port, durability="strict")
        command = (*launch.command, "--workers", str(workers))
        return Launch(
            command=command,
            environment=launch.environment,
            model=launch.model,
            read_headers=launch.read_headers,
        )

    return Target(
        f"{workers} worker(s)",
        prepare,
        targets.read_briggs_version,
        count_records=targets.count_briggs_records,
    )


def measure(workers: int, *, upstream_port: int, seconds: int) -> Measured:
    """One round with a new server and an empty folder."""
    upstream = Upstream(0, upstream_port)
    with run_target(serve(workers), upstream=upstream, placement=unpinned.ANYWHERE) as running:
        assert running.pid is not None
        before = dict(list_times(running.pid))
        call = unpinned.call(
            pid=running.pid,
            url=f"http://127.0.0.1:{running.port}{running.launch.path}",
            headers=running.headers,
            body=create_body(running.launch.model, stream=False),
            seconds=seconds,
        )
        spent = [cpu_s - before[pid] for pid, cpu_s in list_times(running.pid)]
    assert running.records is not None
    records = sum(running.records.values()) - running.answers
    return Measured(call, max(spent) / max(sum(spent), 1e-9), records)


def list_times(pid: int) -> list[tuple[int, float]]:
    """The CPU seconds of each worker, or of the only process."""
    workers = [each for each in processes.list_tree(pid) if each != pid] or [pid]
    return [(each, processes.read_own_cpu_s(each)) for each in sorted(workers)]


def report(rounds: dict[int, list[Measured]]) -> Iterator[str]:
    """The table, in Markdown."""
    yield "| workers | CPU us a request | answers a second | p50 / p99 ms | per core | gain "
    yield "| busiest | records / answers | errors |"
    yield "\n|---|---|---|---|---|---|---|---|---|\n"
    first = min(rounds)
    base = [each.call.cpu_us for each in rounds[first]]
    for workers, measured in rounds.items():
        calls = [each.call for each in measured]
        median = {
            name: statistics.median(getattr(call, name) for call in calls)
            for name in ("cpu_us", "rate", "p50_us", "p99_us")
        }
        # The rounds are interleaved, so each is compared with the one beside it.
        gains = [workers / first * one / call.cpu_us for one, call in zip(base, calls, strict=True)]
        busiest = statistics.median(each.busiest for each in measured)
        answers, records = sum(it.answers for it in calls), sum(it.records for it in measured)
        yield (
            f"| {workers} | {median['cpu_us']:.0f} | {median['rate']:,.0f} "
            f"| {median['p50_us'] / 1000:.1f} / {median['p99_us'] / 1000:.1f} "
            f"| {1e6 / median['cpu_us']:,.0f} | {statistics.median(gains):.2f} "
            f"({min(gains):.2f} to {max(gains):.2f}) | {busiest:.0%} "
            f"| {records:,} / {answers:,} | {sum(it.errors for it in calls)} |\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare one process of Briggs with several.")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if not unpinned.is_installed():
        raise SystemExit(f"nginx and wrk are needed: {unpinned.HOW_TO_INSTALL}")
    BUILD.mkdir(parents=True, exist_ok=True)
    rounds: dict[int, list[Measured]] = {workers: [] for workers in arguments.workers}
    busy = processes.read_busy_share(1.0)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        unpinned.run_upstream(Path(folder)) as (_, port),
    ):
        for _ in range(arguments.rounds):
            for workers, measured in rounds.items():
                measured.append(measure(workers, upstream_port=port, seconds=arguments.seconds))
    load = os.getloadavg()
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    text = (
        f"Measured {moment} on {os.cpu_count()} cores, {busy:.0%} in use before, with a load of "
        f"{load[0]:.1f} at the end, in {arguments.rounds} interleaved rounds of "
        f"{arguments.seconds} s.\n\n{''.join(report(rounds))}"
    )
    print(text)
    if arguments.write:
        replace_table(DOCUMENT, "workers", text)


if __name__ == "__main__":
    main()
