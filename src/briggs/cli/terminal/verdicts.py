"""Prints what a check found: a table of the probes, then each cause."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.checker import (
    Cause,
    CausePlace,
    CheckReport,
    Result,
    Verdict,
    describe_cause,
    list_rules,
)
from briggs.cli.terminal.text import format_duration
from briggs.rules import RULES
from briggs.types.texts import one_line

_STYLES: dict[Verdict, tuple[str, str]] = {
    "pass": ("✓", "green3"),
    "warn": ("!", "gold3"),
    "fail": ("✗", "bold red1"),
    "unsupported": ("-", "dim"),
    "not run": ("?", "magenta"),
}
_SEVERITIES = {"error": "bold red1", "warning": "gold3"}
_PROBES_SHOWN = 4
_PLACES_SHOWN = 3
_LINE_LENGTH_MAX = 300


def print_report(report: CheckReport) -> None:
    """The verdict on each probe, then each cause: where it shows, what it breaks, what to do."""
    console = Console(highlight=False)
    subject = one_line(" · ".join(filter(None, [report.subject, report.model])))
    console.print(Text(subject, style="bold"), soft_wrap=True)
    if server := report.server:
        known = one_line(f"{server.describe()} ({server.evidence})")
        console.print(Text(known, style="dim"), soft_wrap=True)
    console.print(_create_table(report.results))
    advised: dict[str, str] = {}
    for cause in report.causes:
        _print_cause(console, cause)
        for name, text in describe_cause(cause)[1:]:
            if name == "advice":
                first = advised.setdefault(text, cause.rule)
                text = text if first == cause.rule else f"as for {first}"
            _print_help(console, name, text)
    for refusal in report.refusals:
        if refusal.advice:
            line = Text.assemble(("\nunsupported", "dim"), f"  {one_line(refusal.reason)}")
            console.print(line, soft_wrap=True)
            _print_help(console, "advice", refusal.advice)
    sentences = filter(None, [report.summarise(), report.summarise_causes()])
    console.print("\n" + " ".join(f"{sentence}." for sentence in sentences))
    if known_rules := [cause.rule for cause in report.causes if cause.rule in RULES]:
        console.print(f"[dim]Why a rule exists:[/] briggs rules {known_rules[0]}")


def _create_table(results: list[Result]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name in ("", "probe", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("took", justify="right", style="dim", no_wrap=True)
    table.add_column("rules, or why not", overflow="fold")
    for result in results:
        mark, style = _STYLES[result.verdict]
        said = ", ".join(list_rules(result.findings)) or one_line(result.reason)
        table.add_row(
            Text(mark, style=style),
            Text(one_line(result.probe)),
            Text(result.verdict, style=style),
            format_duration(result.duration_ms),
            Text(said),
        )
    return table


def _print_cause(console: Console, cause: Cause) -> None:
    """What is wrong, its first places with their bytes, and what it means."""
    heading = f"\n{cause.rule} {cause.severity}"
    effect = (f"  {cause.effect}", "bold" if cause.clients else "dim")
    lines = [
        Text.assemble((heading, _SEVERITIES[cause.severity]), effect, f"  {cause.title}"),
        Text(f"    in {_list_probes(cause)}", style="dim"),
    ]
    places = list(dict.fromkeys(map(_describe_place, cause.places)))
    for where, excerpt in places[:_PLACES_SHOWN]:
        lines.append(Text(f"    {where}"))
        if excerpt:
            lines.append(Text(f"      {excerpt}", style="cyan"))
    if len(places) > _PLACES_SHOWN:
        lines.append(Text(f"    and {len(places) - _PLACES_SHOWN} more", style="dim"))
    for line in lines:
        console.print(line, soft_wrap=True)


def _print_help(console: Console, name: str, text: str) -> None:
    """A named line, such as `clients` or `advice`."""
    line = Text.assemble((f"    {name:<8}", "dim"), one_line(text))
    console.print(line, soft_wrap=True)


def _describe_place(place: CausePlace) -> tuple[str, str]:
    """Where and how a rule is broken, and the bytes at that place."""
    path = f"{place.path}: " if place.path else ""
    return _shorten(path + place.message), _shorten(place.excerpt)


def _list_probes(cause: Cause) -> str:
    more = len(cause.probes) - _PROBES_SHOWN
    return ", ".join(cause.probes[:_PROBES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _shorten(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LINE_LENGTH_MAX else line[: _LINE_LENGTH_MAX - 1] + "…"
