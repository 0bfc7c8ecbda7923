"""A run's figures as a page that people read."""

from __future__ import annotations

from collections import Counter

from tests.fuzz.run import Report

FAILURES_MAX = 40


def _thin(seen: list[int]) -> str:
    """About twenty of the figures."""
    return " ".join(str(each) for each in seen[:: len(seen) // 20 + 1])


def describe(report: Report) -> str:
    """Counts by kind, statuses, the slowest inputs, memory, and what broke."""
    lines = [
        f"{report.inputs} hostile inputs from {report.side}, seed {report.seed}, "
        f"in {report.duration_s:.0f} s",
        "",
        f"{'kind':<16} {'inputs':>6}  {'slowest':>16}  answers",
    ]
    for kind, counted in sorted(report.statuses.items()):
        slowest, number = report.slowest.get(kind, (0.0, 0))
        answers = ", ".join(f"{status} x {count}" for status, count in sorted(counted.items()))
        lines.append(
            f"{kind:<16} {sum(counted.values()):>6}  {slowest:>5.1f} s (#{number:<5}) {answers}"
        )
    before, highest, after = report.rss_mb
    lines += [
        "",
        f"memory of the server: {before} MB after a quarter of the inputs, {highest} MB at most, "
        f"{after} MB at the end ({_thin(report.rss_seen)})",
        f"longest wait for /health: {report.blocked_s:.2f} s",
        f"calls answered: {len(report.answered)}, recorded: {report.recorded} "
        f"(with some of {report.unanswered} callers who left, or had no key)",
        f"500s: {sum(counted['500'] for counted in report.statuses.values())}",
    ]
    lines += [f"PROBLEM {problem}" for problem in report.problems]
    kinds = Counter(f"{it.kind}: {it.problems[0][:70]}" for it in report.failures)
    lines += [f"{count} FAILED {kind}" for kind, count in kinds.most_common(FAILURES_MAX)]
    lines += [
        f"FAILED #{failure.number} {failure.kind}: {'; '.join(failure.problems)[:400]}"
        for failure in report.failures[:FAILURES_MAX]
    ]
    lines.append("nothing broke" if report.is_good else f"{len(report.failures)} inputs FAILED")
    return "\n".join(lines)
