"""Writes the report of a run as Markdown, such as a comment on GitHub, and as JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.etree import ElementTree

from briggs.cli.terminal.text import format_total
from briggs.client import EvalReport, RunComparison, ScoreSummary, TargetReport
from briggs.client.eval_runs import FlippedSample, RunProgress
from briggs.types.texts import count_of, one_line

SHOWN_MAX = 20
"""So many samples that changed are named."""


def write_markdown(report: EvalReport, *, url: str) -> str:
    """GitHub-flavoured Markdown. The samples that changed lead to their completions at `url`."""
    run = report.run
    lines = [f"### {_escape(run.name)}", "", f"{say_lacks(report)}", ""]
    unscored = [f"- {_escape(line)}" for line in list_unscored(report)]
    lines += [*unscored, ""] if unscored else []
    names = [each["name"] for each in run.scorers]
    heads = ["target", *names, "failed", "cost", "p50", "p95"]
    lines += [_row(heads), _row(["---", *["---:"] * (len(heads) - 1)])]
    for target in report.targets:
        scores = [say_score(target.scores.get(name)) for name in names]
        lines.append(_row([f"`{target.target}`", *scores, *_say_rest(target)]))
    for comparison in report.comparisons:
        lines += ["", f"**{_escape(name_comparison(comparison))}**: {comparison.verdict}"]
        lines += [
            f"- {word}: " + ", ".join(_link(id, path, url) for id, path in shown) + more
            for word, shown, more in list_flipped(comparison)
        ]
    lines += [
        "",
        f"{count_of(run.samples, 'sample')} of `{run.dataset}`, {run.repeats} each. "
        f"Run [`{run.id}`]({url}/evals/{run.id}).",
    ]
    return "\n".join(lines) + "\n"


def write_junit(report: EvalReport, *, url: str) -> bytes:
    """JUnit's XML: a suite for each target, a case for each scorer.

    A case fails if answers are lacking, or if the target is clearly worse than its baseline.
    """
    root = ElementTree.Element("testsuites", name=report.run.name)
    for target in report.targets:
        suite = ElementTree.SubElement(root, "testsuite", name=target.target)
        lacks = target.failed + target.missing
        cases = [
            ("answers", f"{lacks} of {count_of(target.total, 'answer')} lacking" if lacks else "")
        ]
        cases += [
            (name, _find_failure(report.comparisons, target.target, name, url=url))
            for name in target.scores
        ]
        for name, failure in cases:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{report.run.name}.{target.target}", name=name
            )
            summary = target.scores.get(name)
            if summary is not None:
                ElementTree.SubElement(case, "system-out").text = say_score(summary)
            if failure:
                said, _, links = failure.partition("\n")
                ElementTree.SubElement(case, "failure", message=said).text = links or None
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(sum(bool(failure) for _, failure in cases)))
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def say_lacks(report: EvalReport) -> str:
    """What is lacking, which is said before anything else."""
    progress = report.progress
    missing = progress.total - progress.answered - progress.failed
    if not progress.failed and not missing:
        return (
            "The only answer is there."
            if progress.total == 1
            else f"All {progress.total:,} answers are there."
        )
    kinds: dict[str, int] = {}
    for target in report.targets:
        for kind, count in target.failures.items():
            kinds[kind] = kinds.get(kind, 0) + count
    said = ", ".join(f"{count} {one_line(kind)}" for kind, count in kinds.items())
    failed = f"{progress.failed:,} failed ({said})" if progress.failed else ""
    verb = "is" if missing == 1 else "are"
    left = f"{missing:,} {verb} not there yet" if missing else ""
    parts = " and ".join(part for part in (failed, left) if part)
    return f"Of {count_of(progress.total, 'answer')}, {parts}."


def list_unscored(report: EvalReport) -> Iterator[str]:
    """Of each target and scorer, how many answers have no score, and why."""
    for target in report.targets:
        for name, summary in target.scores.items():
            if summary.failed and summary.unscored:
                reasons = "; ".join(
                    f"{one_line(reason)} ({count:,})" for reason, count in summary.unscored.items()
                )
                count = count_of(summary.failed, "answer has", "answers have")
                yield f"{count} no score by {name} ({target.target}): {reasons}."


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


def list_flipped(
    comparison: RunComparison,
) -> Iterator[tuple[str, Sequence[tuple[str, str | None]], str]]:
    """The samples that changed, in both directions: how many, each with its page, and the rest."""
    result = comparison.result
    paths = {each.id: find_page(each) for each in comparison.flipped}
    for word, count, ids in (
        ("better", result.better, comparison.flipped_up),
        ("worse", result.worse, comparison.flipped_down),
    ):
        if count:
            shown = [(one_line(id)[:80], paths.get(id)) for id in ids[:SHOWN_MAX]]
            more = f" and {count - SHOWN_MAX:,} more" if count > SHOWN_MAX else ""
            yield f"{count:,} {word}", shown, more


def find_page(flipped: FlippedSample) -> str | None:
    """The page that shows both answers to a sample, or the one that there is."""
    ids = dict.fromkeys((flipped.baseline_completion_id, flipped.completion_id))
    known = [quote(id, safe="") for id in ids if id is not None]
    if len(known) == 2:
        return f"/compare?ids={known[0]},{known[1]}"
    return f"/completions/{known[0]}" if known else None


def say_spent(progress: RunProgress) -> str:
    """What a run has cost, as far as it is known. What is not known is not 0."""
    return format_total(progress.cost_usd, progress.unpriced)


def say_cost(target: TargetReport) -> str:
    """The cost of a target's answers, as far as it is known."""
    return format_total(target.cost_usd, target.unpriced)


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


def _find_failure(
    comparisons: Sequence[RunComparison], target: str, scorer: str, *, url: str
) -> str:
    """What is worse, and below it the samples that are, with their pages."""
    for each in comparisons:
        if each.target == target and each.scorer == scorer and each.verdict.startswith("Worse"):
            lines = [
                f"{word}: {id} {url}{path}" if path else f"{word}: {id}"
                for word, shown, _ in list_flipped(each)
                for id, path in shown
                if word.endswith("worse")
            ]
            return "\n".join([f"{name_comparison(each)}: {each.verdict}", *lines])
    return ""


def _link(id: str, path: str | None, url: str) -> str:
    shown = f"`{id.replace('`', chr(39))}`"
    return shown if path is None else f"[{shown}]({url}{path})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _escape(said: str) -> str:
    return one_line(said).replace("<", "&lt;").replace("`", "'")
