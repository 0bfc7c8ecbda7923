"""Writes the figures of a run as a Markdown table, and shows which goals are met."""

from __future__ import annotations

import math
import os
import platform
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import targets
from bench.figures import CONNECTIONS, SOAK_CALLS, Bench, Load, Machine, Rate, Round, Soak

BUSY_SHARE_MAX = 0.05
SOAK_GROWTH_MAX_MB = 5.0


@dataclass(frozen=True)
class Row:
    """A target's rounds, with those of the upstream alone and of nginx for comparison."""

    taken: Sequence[Round]
    direct: Sequence[Round]
    nginx: Sequence[Round] | None
    rate: Rate | None


@dataclass(frozen=True)
class Goal:
    """A performance goal of the project, and the figure of this run."""

    text: str
    measured: str
    is_met: bool | None
    """None if it was not measured in this run."""


def describe_machine(*, placement: str, busy_share: float) -> Machine:
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return Machine(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        processor=names[0] if names else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        python=platform.python_version(),
        placement=placement,
        busy_share=busy_share,
    )


def write_report(bench: Bench) -> str:
    """The circumstances, the table and the goals, as Markdown."""
    lines = [*write_circumstances(bench), "", *write_table(bench), ""]
    direct = bench.rounds[targets.DIRECT.name]
    upstream_us = statistics.median(taken.upstream_cpu_us for taken in direct)
    lines += [
        f"CPU a request at {CONNECTIONS} connections, CPU a chunk at {CONNECTIONS} streams whose "
        f"chunks come {bench.chunk_interval_ms:g} ms apart. The upstream's own CPU is "
        f"{upstream_us:.0f} us a request and is in no row.",
        "",
        *write_unpinned(bench),
        "| target, on two cores, recording strictly | measured | |",
        "|---|---|---|",
    ]
    words = {True: "met", False: "**missed**", None: "not measured"}
    lines += [f"| {goal.text} | {goal.measured} | {words[goal.is_met]} |" for goal in judge(bench)]
    return "\n".join(lines)


def write_circumstances(bench: Bench) -> Iterator[str]:
    round_count = len(bench.rounds[targets.DIRECT.name])
    medians = f"medians of {round_count} interleaved rounds" if round_count > 1 else "one round"
    yield f"Measured {bench.machine.line}; {medians}."
    named = [f"{name} {version}" for name, version in bench.versions.items() if version]
    yield f"Versions: {', '.join(named)}."
    if bench.machine.busy_share > BUSY_SHARE_MAX:
        share = f"{bench.machine.busy_share:.0%}"
        yield f"**The machine was not idle: other programs used {share} of it before the start.**"
    for name, why in bench.missing.items():
        yield f"Left out: {name} ({why})."


def replace_table(document: Path, name: str, text: str) -> None:
    """Put a text between the markers of a document that have this name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = document.read_text().partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{document} has no {begin} and {end}"
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}")


# ---- The table ------------------------------------------------------------------------------


def write_table(bench: Bench) -> Iterator[str]:
    columns = [column for column in COLUMNS if bench.rates or column[0] != RATE_HEADING]
    yield f"| | {' | '.join(heading for heading, _ in columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name in bench.rounds:
        row = find_row(name, bench=bench)
        yield f"| {name} | {' | '.join(write(row) for _, write in columns)} |"


def write_unpinned(bench: Bench) -> Iterator[str]:
    """The second shape: nothing is kept on a core, nginx is the upstream, wrk calls."""
    if not bench.unpinned:
        return
    yield (
        "Without a core of its own: nginx as upstream, `wrk -t1 -c32`, and the kernel chooses the "
        "cores."
    )
    yield ""
    yield "| | CPU us a request | times nginx | p50 / p99 ms | a second | answers | errors |"
    yield "|---|---|---|---|---|---|---|"
    for name, taken in bench.unpinned.items():
        times = show(find_times_unpinned_nginx(bench, name), ".1f")
        p50_ms, p99_ms = (
            statistics.median(getattr(one, figure) / 1e3 for one in taken)
            for figure in ("p50_us", "p99_us")
        )
        rate = show(statistics.median(one.rate for one in taken))
        answers, errors = (sum(getattr(one, it) for one in taken) for it in ("answers", "errors"))
        yield (
            f"| {name} | {show(find_unpinned_us(bench, name))} | {times} "
            f"| {p50_ms:.1f} / {p99_ms:.1f} | {rate} | {answers:,} | {errors} |"
        )
    yield ""


def find_row(name: str, *, bench: Bench) -> Row:
    return Row(
        taken=bench.rounds[name],
        direct=bench.rounds[targets.DIRECT.name],
        nginx=bench.rounds.get(targets.NGINX.name),
        rate=bench.rates.get(name),
    )


def write_latencies(row: Row) -> str:
    ones = [one.one for one in row.taken]
    return show_pair(find_latency_us(ones, "p50"), find_latency_us(ones, "p99"))


def write_added(row: Row) -> str:
    return show_pair(find_added_us(row, "p50"), find_added_us(row, "p99"))


def write_latencies_of_many(row: Row) -> str:
    many = [one.many for one in row.taken]
    p50_us, p99_us = find_latency_us(many, "p50"), find_latency_us(many, "p99")
    return "" if p50_us is None or p99_us is None else f"{p50_us / 1e3:.1f} / {p99_us / 1e3:.1f}"


def write_memory(row: Row) -> str:
    return show_pair(
        middle(row.taken, lambda one: one.rss_idle_mb),
        middle(row.taken, lambda one: one.rss_after_mb),
    )


def write_records(row: Row) -> str:
    """The records of all rounds. A status other than `finished` is named."""
    answers = sum(one.answers for one in row.taken)
    if row.taken[0].records is None:
        return f"none / {answers:,}"
    return f"{show_records(one.records for one in row.taken)} / {answers:,}"


def write_errors(row: Row) -> str:
    """The errors of all rounds, by kind."""
    kinds = Counter[str]()
    for one in row.taken:
        for load in (one.one, one.many, one.streams):
            kinds.update(load.errors)
        surplus = one.upstream_answers - one.answers - one.errors
        kinds["extra upstream requests"] += max(0, surplus)
        kinds["missing upstream requests"] += max(0, one.answers - one.upstream_answers)
        kinds["failures to stop"] += not one.stopped
    named = [f"{count:,} {kind.replace('_', ' ')}" for kind, count in kinds.items() if count]
    return ", ".join(named) or "0"


RATE_HEADING = "highest rate a second"
COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("CPU us a request", lambda row: show(find_request_cpu_us(row))),
    ("of it after the last answer", lambda row: show(find_later_cpu_us(row))),
    ("times nginx", lambda row: show(find_times_nginx(row), ".1f")),
    ("CPU us a chunk", lambda row: show(middle(row.taken, lambda one: one.chunk_cpu_us), ".1f")),
    ("p50 / p99 us, 1 connection", write_latencies),
    ("added p50 / p99 us", write_added),
    ("p50 / p99 ms, 32 connections", write_latencies_of_many),
    (
        "answers a second, 32 connections",
        lambda row: show(middle(row.taken, lambda one: one.many.rate)),
    ),
    ("first chunk added ms", lambda row: show(find_first_chunk_added_ms(row), ".1f")),
    (RATE_HEADING, lambda row: show(row.rate.requests_per_s if row.rate else None)),
    ("start s", lambda row: show(middle(row.taken, lambda one: one.start_s), ".2f")),
    ("RSS MB idle / after", write_memory),
    ("records / answers", write_records),
    ("errors", write_errors),
    ("answer passed on", lambda row: "" if row.taken is row.direct else row.taken[0].fidelity),
)


# ---- The goals ------------------------------------------------------------------------------


def judge(bench: Bench) -> Iterator[Goal]:
    """The project's performance goals, with the figures of this run."""
    if targets.STRICT.name not in bench.rounds:
        return
    row = find_row(targets.STRICT.name, bench=bench)
    request_us = find_request_cpu_us(row)
    yield at_most(110, "us of CPU a request at 32 connections", request_us)
    yield at_most(9, "times nginx's CPU a request", find_times_nginx(row), form=".1f")
    unpinned_us = find_unpinned_us(bench, targets.STRICT.name)
    unpinned_times = find_times_unpinned_nginx(bench, targets.STRICT.name)
    yield at_most(110, "us of CPU a request, no process pinned", unpinned_us)
    yield at_most(9, "times nginx's CPU a request, no process pinned", unpinned_times, form=".1f")
    chunk_us = middle(row.taken, lambda one: one.chunk_cpu_us)
    yield at_most(30, "us of CPU a streamed chunk", chunk_us, form=".1f")
    yield at_most(5_000, "us added at the 99th percentile, 1 connection", find_added_us(row, "p99"))
    start_s = middle(row.taken, lambda one: one.start_s)
    yield at_most(2, "s from a cold start to the first answer", start_s, form=".2f")
    yield at_most(120, "MB of memory idle", middle(row.taken, lambda one: one.rss_idle_mb))
    yield judge_soak(bench.soak)
    yield judge_peer(bench, request_us=request_us)
    yield judge_records(bench)


def at_most(limit: float, what: str, measured: float | None, *, form: str = ",.0f") -> Goal:
    is_met = None if measured is None else measured <= limit
    return Goal(f"at most {limit:,} {what}", show(measured, form), is_met)


def judge_soak(soak: Soak | None) -> Goal:
    text = f"memory flat (within {SOAK_GROWTH_MAX_MB:g} MB) over {SOAK_CALLS:,} calls"
    if soak is None:
        return Goal(text, "", None)
    quarter, end = soak.read_memory_mb(0.25), soak.read_memory_mb(1)
    calls = soak.memory_mb[-1][0]
    measured = f"{quarter:.0f} MB after {calls // 4:,} calls, {end:.0f} MB after {calls:,}"
    is_flat = end - quarter <= SOAK_GROWTH_MAX_MB
    return Goal(text, measured, is_flat if calls >= SOAK_CALLS else None)


def judge_peer(bench: Bench, *, request_us: float | None) -> Goal:
    text = "at least 50 times less CPU a request than LiteLLM"
    if targets.LITELLM.name not in bench.rounds or not request_us:
        return Goal(text, "", None)
    peer_us = find_request_cpu_us(find_row(targets.LITELLM.name, bench=bench))
    times = peer_us / request_us if peer_us else None
    return Goal(text, show(times), None if times is None else times >= 50)


def judge_records(bench: Bench) -> Goal:
    """Whether records equal answers, in every row that keeps records and in the long run."""
    kept = [
        (one.answers, one.records)
        for taken in bench.rounds.values()
        for one in taken
        if one.records is not None
    ]
    if bench.soak is not None and bench.soak.records is not None:
        kept.append((bench.soak.answers, bench.soak.records))
    answers = sum(count for count, _ in kept)
    measured = f"{show_records(records for _, records in kept)} / {answers:,}"
    is_met = all(records == {"finished": count} for count, records in kept)
    return Goal("records = answers, in every mode", measured, is_met)


# ---- Figures --------------------------------------------------------------------------------

NAN = float("nan")


def middle(taken: Sequence[Round], read: Callable[[Round], float | None]) -> float | None:
    """The median over the rounds that have the figure."""
    return median(read(one) for one in taken)


def median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return statistics.median(known) if known else None


def find_latency_us(loads: Iterable[Load], percentile: str) -> float | None:
    return median(load.latency_us.get(percentile) for load in loads)


def find_request_cpu_us(row: Row) -> float | None:
    return median(one.request_cpu.us for one in row.taken if one.request_cpu and one.many.answers)


def find_later_cpu_us(row: Row) -> float | None:
    return median(one.request_cpu.later_us for one in row.taken if one.request_cpu)


def find_times_nginx(row: Row) -> float | None:
    """The median of the ratios within each round."""
    return median(
        one.request_cpu.us / nginx.request_cpu.us
        for one, nginx in zip(row.taken, row.nginx or (), strict=False)
        if one.request_cpu and nginx.request_cpu
    )


def find_unpinned_us(bench: Bench, name: str) -> float | None:
    return median(one.cpu_us for one in bench.unpinned.get(name, ()))


def find_times_unpinned_nginx(bench: Bench, name: str) -> float | None:
    """The median of the ratios within each round."""
    taken = bench.unpinned.get(name, ())
    nginx = bench.unpinned.get(targets.NGINX.name, ())
    return median(one.cpu_us / other.cpu_us for one, other in zip(taken, nginx, strict=False))


def find_added_us(row: Row, percentile: str) -> float | None:
    """The median of the differences within each round."""
    if row.taken is row.direct:
        return None
    return median(
        one.one.latency_us.get(percentile, NAN) - direct.one.latency_us[percentile]
        for one, direct in zip(row.taken, row.direct, strict=True)
    )


def find_first_chunk_added_ms(row: Row) -> float | None:
    if row.taken is row.direct:
        return None
    return median(
        (one.streams.first_chunk_us.get("p50", NAN) - direct.streams.first_chunk_us["p50"]) / 1e3
        for one, direct in zip(row.taken, row.direct, strict=True)
    )


def show(figure: float | None, form: str = ",.0f") -> str:
    return "" if figure is None else format(figure, form)


def show_pair(first: float | None, second: float | None) -> str:
    return "" if first is None else f"{show(first)} / {show(second)}"


def show_records(counts: Iterable[dict[str, int] | None]) -> str:
    """`1,000`, or `998 + 2 failed`."""
    total = Counter[str]()
    for records in counts:
        total.update(records or {})
    others = [f" + {count:,} {status}" for status, count in total.items() if status != "finished"]
    return f"{total['finished']:,}{''.join(others)}"
