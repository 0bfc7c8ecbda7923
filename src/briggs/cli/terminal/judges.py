"""Prints judges, their runs and what they said as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UnsetType
from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.cli.terminal.text import format_total
from briggs.client import Judge, JudgeEstimates, JudgeFailure, Judgement, JudgeRun, JudgeTrust
from briggs.types.json import encode
from briggs.types.judges import say_failed, say_failures
from briggs.types.texts import count_of, one_line, printable

_MANY_LACK = "completions that people graded have"
_OUTCOMES = ("accepted", "edited", "rejected", "agreed")


def print_judges(found: Sequence[Judge]) -> None:
    """The judges as a table."""
    table = _create_table("name", "trust", "version", "model", "examples", "by itself", "changed")
    for judge in found:
        watch = judge.watch
        share = "" if watch is None else f"{watch.sample:.0%}"
        if watch is not None and watch.budget_usd is not None:
            share += f", ${watch.budget_usd:,.2f} a day"
        table.add_row(
            Text(printable(judge.name)),
            Text(_say_trust(judge)),
            str(judge.version),
            Text(printable(judge.model)),
            f"{judge.examples:,}",
            share or "no",
            judge.updated_at[:16],
        )
    Console(highlight=False).print(table)


def _say_trust(judge: Judge) -> str:
    """How far to trust it: a line for each sentence, with its fields if there are several."""
    said = judge.trust
    if said is None:
        return "being measured"
    if len(said) == 1:
        return one_line(said[0].sentence)
    return "\n".join(one_line(f"{', '.join(each.fields)}: {each.sentence}") for each in said)


def print_runs(found: Sequence[JudgeRun]) -> None:
    """The runs as a table. What they lack comes first, and why."""
    names = ("id", "lacking", "failed", "matching", "judged", "cost", "status", "why")
    table = _create_table(*names)
    for run in found:
        table.add_row(
            run.id,
            f"{run.lacking:,}",
            Text(say_failures(run.failures)),
            f"{run.matching:,}",
            f"{run.judged:,}",
            format_total(run.cost_usd, run.unpriced),
            run.status,
            Text(one_line(run.message)),
        )
    Console(highlight=False).print(table)


def print_judgements(found: Sequence[Judgement]) -> None:
    """What was said, as a table."""
    table = _create_table("completion", "said", "expected", "mass", "why")
    for each in found:
        is_known = not isinstance(each.json_values, UnsetType)
        why = say_failed(each.failure, 1) if each.failure else each.status
        said = encode(each.json_values).decode() if is_known else why
        reason = "" if isinstance(each.reason, UnsetType) else each.reason
        scores = ", ".join(f"{name} {score:.2f}" for name, score in each.scores.items())
        table.add_row(
            each.completion_id,
            Text(one_line(said)),
            Text(one_line(scores)),
            "" if each.mass is None else f"{each.mass:.0%}",
            Text(one_line(each.failure_reason or reason)),
        )
    Console(highlight=False).print(table)


def print_trust(found: JudgeTrust) -> None:
    """A report as text. What is lacking comes first."""
    console = Console(highlight=False)
    _print_failed(console, found.failed)
    if found.lacking:
        lacking = count_of(found.lacking, "completion that people graded has", _MANY_LACK)
        console.print(Text(f"{lacking} no judgement."))
    _print_suggestions(console, found)
    if found.weighted:
        console.print(
            "Some were asked about first because a judge was unsure: grades have weights."
        )
    for field in found.fields:
        console.print(Text(f"\n{printable(field['name'])}: {printable(field['sentence'])}"))
        error = "mean error" if field["kind"] == "number" else "share that differs"
        table = _create_table("", "alpha", error)
        for name, title in (
            ("people", f"people among each other ({count_of(field['shared'], 'completion')})"),
            ("judge", f"judge against people ({count_of(field['graded'], 'completion')})"),
            ("calibrated", "judge, calibrated"),
            ("baseline", "words alone, without a model"),
        ):
            side = field[name]
            if side is not None:
                table.add_row(title, _show_figure(side["alpha"]), _show_figure(side["error"]))
        console.print(table)
        calibration = field["calibration"]
        if calibration is not None and calibration["error_before"] is not None:
            console.print(
                f"calibration error {calibration['error_before']:.2f} before, "
                f"{calibration['error_after']:.2f} after"
            )
        for bias in field["biases"]:
            console.print(Text(f"{bias['sentence']} {_show_figure(bias['figure'])}".rstrip()))


def _print_suggestions(console: Console, found: JudgeTrust) -> None:
    """What people did with its suggestions, and how many grades saw one."""
    counts = {name: found.suggestions.get(name, 0) for name in _OUTCOMES}
    if any(counts.values()):
        said = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        console.print(Text(f"Its suggestions: {said} before seeing it."))
    seen = found.suggestions.get("seen_first", 0)
    if seen:
        counted = "they count" if found.with_suggested else "they do not count (--suggested)"
        grades = count_of(seen, "grade was", "grades were")
        console.print(Text(f"{grades} given while a suggestion was seen: {counted}."))


def print_estimates(found: JudgeEstimates) -> None:
    """Means as tables. What is lacking comes first."""
    console = Console(highlight=False)
    _print_failed(console, found.failed)
    if found.lacking:
        console.print("What these were about is in no mean.")
    console.print(f"{found.judged:,} judged, {found.graded:,} of them graded by people.")
    for field in found.fields:
        share = f", share of {field['option']}" if field["option"] is not None else ""
        table = _create_table(one_line(f"{field['name']}{share}"), "people alone", "with the judge")
        rows = [("all", field["all"])]
        for by in ("model", "tag", "week"):
            rows += [(f"{by} {name}", group) for name, group in field[f"by_{by}"].items()]
        for title, group in rows:
            means = [_show_mean(group[name]) for name in ("people", "both")]
            table.add_row(Text(one_line(title)), *means)
        console.print(table)


def say_example(failure: str, example: str) -> str:
    """What is known of one judgement that failed."""
    return f"  {say_failed(failure, 1)}, for example: {one_line(example)}"


def _print_failed(console: Console, failed: Sequence[JudgeFailure]) -> None:
    """Why judgements failed, with an example of each reason. Nothing, if none did."""
    if not failed:
        return
    counts: dict[str, int] = {each.failure: each.count for each in failed}
    console.print(Text(f"Failed judgements: {say_failures(counts)}."))
    for each in failed:
        console.print(Text(say_example(each.failure, each.example)))


def _show_mean(estimate: Mapping[str, Any] | None) -> str:
    """A mean with its interval. Without an interval there is no mean to show."""
    if estimate is None:
        return ""
    return _show_figure({"value": estimate["mean"], "interval": estimate["interval"]})


def _show_figure(figure: Mapping[str, Any]) -> str:
    """A figure with its interval. Without an interval there is no figure to show."""
    value, interval = figure["value"], figure["interval"]
    if value is None or interval is None:
        return ""
    return f"{value:.2f} ({interval['low']:.2f} to {interval['high']:.2f})"


def _create_table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in ("id", "completion"))
    return table
