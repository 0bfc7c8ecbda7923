"""A run as a page that people read."""

from __future__ import annotations

from collections.abc import Sequence

from tests.torture.run import Report, Step
from tests.torture.soak import Part, Soak

_HEAD = (
    f"{'step':>4}  {'fault':<34} {'workers':>7} {'calls':>6} {'answered':>8} {'recorded':>8} "
    f"{'refused':>7} {'cut':>5} {'lost':>5} {'doubled':>7} {'changed':>7} {'orphan':>6} "
    f"{'back after':>10} {'MB':>5}"
)


def describe_head(report: Report) -> str:
    return f"seed {report.seed}, {report.store}, {report.durability}\n\n{_HEAD}"


def describe_step(step: Step) -> str:
    """A line, and a line for each problem."""
    found = step.found
    back = "never" if step.recovered_s is None else f"{step.recovered_s:.2f} s"
    line = (
        f"{step.number:>4}  {' + '.join(step.faults):<34} {step.workers:>7} {found.calls:>6} "
        f"{found.answered:>8} {found.recorded:>8} {found.refused:>7} {found.cut:>5} "
        f"{len(found.lost):>5} {len(found.doubled):>7} {len(found.changed):>7} "
        f"{len(found.orphans):>6} {back:>10} {step.rss_mb:>5}"
    )
    return "\n".join([line, *(f"      WRONG {each}" for each in list_problems(step))])


SOAK_HEAD = (
    "| calls | memory, MB | CPU of the server, us a call | p50, ms | p99, ms "
    "| p99 without Briggs, ms | calls a second | answered | recorded |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def describe_part(part: Part) -> str:
    """A row of the soak's table."""
    return (
        f"| {part.calls:,} | {part.rss_mb} | {part.cpu_us:,.0f} | {part.p50_ms:.1f} "
        f"| {part.p99_ms:.0f} | {part.direct_p99_ms:.0f} | {part.per_s:.0f} "
        f"| {part.found.answered:,} | {part.found.recorded:,} |"
    )


def describe_soak(done: Soak) -> str:
    """What is wrong, or that nothing is."""
    problems = done.list_problems()
    if not problems:
        return "\nmemory and CPU are flat, and everything is on record"
    return "\n".join(["", *(f"WRONG {each}" for each in problems)])


def list_problems(step: Step) -> Sequence[str]:
    return [*step.problems, *step.found.problems]


def describe_end(report: Report) -> str:
    """What the run says in all, and how to repeat what went wrong."""
    answered = sum(step.found.answered for step in report.steps)
    recorded = sum(step.found.recorded for step in report.steps)
    disks = "disks of their own" if report.is_mounted else "a limit of the size of files"
    calls = sum(step.found.calls for step in report.steps)
    lines = [
        "",
        f"{calls:,} calls in {len(report.steps)} steps and "
        f"{report.duration_s:.0f} s: {answered:,} answered, {recorded:,} of them recorded as they "
        f"were. Disks were full by {disks}.",
        *_list_forgiven(report),
        *(f"WRONG {each}" for each in report.problems),
    ]
    wrong = [step for step in report.steps if not step.is_good]
    for step in wrong:
        faults = " + ".join(step.faults)
        lines.append(
            f"FAILED step {step.number} ({faults}): repeat it with "
            f'make torture ARGS="--store {report.store} --seed {report.seed} --step {step.number}"'
        )
    lines.append("everything is on record" if report.is_good else "something is WRONG")
    return "\n".join(lines)


def _list_forgiven(report: Report) -> Sequence[str]:
    count = sum(len(step.found.forgiven) for step in report.steps)
    if report.durability != "relaxed":
        return []
    return [f'Of the answered, {count:,} were only queued when a fault came ("relaxed").']


def describe(report: Report) -> str:
    """All of it."""
    steps = [describe_step(each) for each in report.steps]
    return "\n".join([describe_head(report), *steps, describe_end(report)])
