"""What a check has found, as a table and the offending bytes."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.checker import Report, Result, Verdict, describe_rule, list_rules
from briggs.cli.text import format_duration, one_line
from briggs.types.rules import RULES, Finding

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


def print_report(report: Report) -> None:
    """The verdict on each probe, then each broken rule with where and how it is broken."""
    console = Console(highlight=False)
    subject = one_line(" · ".join(filter(None, [report.subject, report.model])))
    console.print(Text(subject, style="bold"), soft_wrap=True)
    console.print(_create_table(report.results))
    for rule, found in report.group_findings().items():
        if serious := [item for item in found if item[1].severity != "info"]:
            _print_rule(console, rule, serious)
    console.print(f"\n{report.summarise()}.")
    broken = list_rules(finding for result in report.results for finding in result.findings)
    if broken and broken[0] in RULES:
        console.print(f"[dim]What a rule rests on:[/] briggs rules {broken[0]}")


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


def _print_rule(console: Console, rule: str, found: list[tuple[str, Finding]]) -> None:
    """What the rule says, then the first places where it is broken, with what stands there."""
    # By the alphabet too, an error comes before a warning.
    findings = sorted((finding for _, finding in found), key=lambda each: each.severity)
    severity = findings[0].severity
    lines = [
        Text.assemble((f"\n{rule} {severity}", _SEVERITIES[severity]), f"  {describe_rule(rule)}"),
        Text(f"    in {_list_probes(found)}", style="dim"),
    ]
    places = list(dict.fromkeys(map(_describe_place, findings)))
    for where, excerpt in places[:_PLACES_SHOWN]:
        lines.append(Text(f"    {where}"))
        if excerpt:
            lines.append(Text(f"      {excerpt}", style="cyan"))
    if len(places) > _PLACES_SHOWN:
        lines.append(Text(f"    and {len(places) - _PLACES_SHOWN} more", style="dim"))
    for line in lines:
        console.print(line, soft_wrap=True)


def _describe_place(finding: Finding) -> tuple[str, str]:
    """Where and how a rule is broken, and what stands there."""
    path = f"{finding.path}: " if finding.path else ""
    return _shorten(path + finding.message), _shorten(finding.excerpt)


def _list_probes(found: list[tuple[str, Finding]]) -> str:
    probes = list(dict.fromkeys(name for name, _ in found))
    more = len(probes) - _PROBES_SHOWN
    return ", ".join(probes[:_PROBES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _shorten(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LINE_LENGTH_MAX else line[: _LINE_LENGTH_MAX - 1] + "…"
