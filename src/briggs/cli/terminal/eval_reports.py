"""Writes the report of a run as Markdown, such as a comment on GitHub, and as JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from briggs.client import EvalReport, RunComparison, ScoreSummary, TargetReport
from briggs.types.texts import one_line

SHOWN_MAX = 20
"""So many samples that changed are named."""


def write_markdown(report: EvalReport) -> str:
    """GitHub-flavoured Markdown."""
    run = report.run
    lines = [f"### {_escape(run.name)}", "", f"{say_lacks(report)}", ""]
    names = [each["name"] for each in run.scorers]
    heads = ["target", *names, "failed", "cost", "p50", "p95"]
    lines += [_row(heads), _row(["---", *["---:"] * (len(heads) - 1)])]
    for target in report.targets:
        scores = [say_score(target.scores.get(name)) for name in names]
        lines.append(_row([f"`{target.target}`", *scores, *_say_rest(target)]))
    for comparison in report.comparisons:
        lines += ["", f"**{_escape(name_comparison(comparison))}**: {comparison.verdict}"]
        lines += [f"- {each}" for each in say_flipped(comparison)]
    lines += [
        "",
        f"{run.samples:,} samples of `{run.dataset}`, {run.repeats} each. Run `{run.id}`.",
    ]
    return "\n".join(lines) + "\n"


def write_junit(report: EvalReport) -> bytes:
    """JUnit's XML: a suite for each target, a case for each scorer.

    A case fails if answers are lacking, or if the target is clearly worse than its baseline.
    """
    root = ElementTree.Element("testsuites", name=report.run.name)
    for target in report.targets:
        suite = ElementTree.SubElement(root, "testsuite", name=target.target)
        lacks = target.failed + target.missing
        cases = [("answers", f"{lacks} of {target.total} answers are lacking" if lacks else "")]
        cases += [
            (name, _find_failure(report.comparisons, target.target, name)) for name in target.scores
        ]
        for name, failure in cases:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{report.run.name}.{target.target}", name=name
            )
            summary = target.scores.get(name)
            if summary is not None:
                ElementTree.SubElement(case, "system-out").text = say_score(summary)
            if failure:
                ElementTree.SubElement(case, "failure", message=failure)
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(sum(bool(failure) for _, failure in cases)))
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def say_lacks(report: EvalReport) -> str:
    """What is lacking, which is said before anything else."""
    progress = report.progress
    missing = progress.total - progress.answered - progress.failed
    if not progress.failed and not missing:
        return f"All {progress.total:,} answers are there."
    kinds: dict[str, int] = {}
    for target in report.targets:
        for kind, count in target.failures.items():
            kinds[kind] = kinds.get(kind, 0) + count
    said = ", ".join(f"{count} {one_line(kind)}" for kind, count in kinds.items())
    failed = f"{progress.failed:,} failed ({said})" if progress.failed else ""
    left = f"{missing:,} are not there yet" if missing else ""
    parts = " and ".join(part for part in (failed, left) if part)
    return f"Of {progress.total:,} answers, {parts}."


def say_score(summary: ScoreSummary | None) -> str:
    """A mean with its interval, and how many have no value."""
    if summary is None or summary.mean is None:
        return "none"
    said = f"{summary.mean:.3f}"
    if summary.interval is not None:
        said += f" ({summary.interval.low:.3f} to {summary.interval.high:.3f})"
    return f"{said}, {summary.failed} not scored" if summary.failed else said


def name_comparison(comparison: RunComparison) -> str:
    """What is compared with what."""
    other = f"run {comparison.baseline_run_id[-8:]}" if comparison.baseline_run_id else ""
    if comparison.baseline != comparison.target or not other:
        other = f"{comparison.baseline} of {other}" if other else comparison.baseline
    return f"{comparison.scorer}: {comparison.target} against {other}"


def say_flipped(comparison: RunComparison) -> Iterator[str]:
    """The samples that changed, in both directions."""
    result = comparison.result
    for word, count, ids in (
        ("better", result.better, comparison.flipped_up),
        ("worse", result.worse, comparison.flipped_down),
    ):
        if count:
            shown = ", ".join(f"`{one_line(id)[:80]}`" for id in ids[:SHOWN_MAX])
            more = f" and {count - SHOWN_MAX} more" if count > SHOWN_MAX else ""
            yield f"{count} {word}: {shown}{more}"


def say_cost(target: TargetReport) -> str:
    """The cost of a target's answers, as far as it is known."""
    if target.unpriced and target.unpriced == target.answered:
        return "unknown"
    return f"{'at least ' if target.unpriced else ''}${target.cost_usd:.4f}"


def _say_rest(target: TargetReport) -> list[str]:
    lacks = target.failed + target.missing
    return [
        f"{lacks} of {target.total}" if lacks else "0",
        say_cost(target),
        *(
            "" if each is None else f"{each:,.0f} ms"
            for each in (target.duration_ms_p50, target.duration_ms_p95)
        ),
    ]


def _find_failure(comparisons: Sequence[RunComparison], target: str, scorer: str) -> str:
    for each in comparisons:
        if each.target == target and each.scorer == scorer and each.verdict.startswith("Worse"):
            return f"{name_comparison(each)}: {each.verdict}"
    return ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _escape(said: str) -> str:
    return one_line(said).replace("<", "&lt;").replace("`", "'")
