"""Prints datasets, runs and reports of evals."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from rich.console import Console
from rich.text import Text

from briggs.cli.terminal.eval_reports import (
    list_flipped,
    list_unscored,
    name_comparison,
    say_cost,
    say_lacks,
    say_score,
    say_spent,
)
from briggs.cli.terminal.tables import create_table
from briggs.cli.terminal.text import format_time
from briggs.client import Dataset, EvalReport, EvalRun
from briggs.types.texts import printable


def print_datasets(found: Iterable[Dataset]) -> None:
    """The versions of datasets as a table."""
    table = create_table()
    table.add_column("dataset", style="cyan", overflow="fold")
    table.add_column("samples", justify="right")
    table.add_column("made", style="dim")
    table.add_column("from", overflow="fold")
    now = time.time()
    for each in found:
        made = format_time(datetime.fromisoformat(each.created_at).timestamp(), now=now)
        source = Text(printable(each.source))
        table.add_row(f"{each.name}@{each.version}", f"{each.samples:,}", made, source)
    Console(highlight=False).print(table)


def print_runs(found: Iterable[EvalRun]) -> None:
    """The runs as a table."""
    table = create_table()
    table.add_column("id", style="cyan", no_wrap=True)
    for name in ("name", "dataset", "targets", "status"):
        table.add_column(name, overflow="fold")
    table.add_column("made", style="dim")
    now = time.time()
    for each in found:
        made = format_time(datetime.fromisoformat(each.created_at).timestamp(), now=now)
        targets = Text(printable(", ".join(each.targets)))
        table.add_row(each.id, each.name, each.dataset, targets, each.status, made)
    Console(highlight=False).print(table)


def print_report(report: EvalReport, *, url: str) -> None:
    """The report of a run. What is lacking comes first. Samples lead to their pages at `url`."""
    console = Console(highlight=False)
    has_all = report.progress.answered == report.progress.total
    console.print(Text(say_lacks(report), style="" if has_all else "bold red"))
    for said in list_unscored(report):
        console.print(Text(printable(said)))
    table = create_table()
    table.add_column("target", style="cyan", overflow="fold")
    names = [each["name"] for each in report.run.scorers]
    for name in names:
        table.add_column(printable(name), overflow="fold")
    for name in ("failed", "cut", "cost", "p50", "p95"):
        table.add_column(name, justify="right")
    for target in report.targets:
        lacks = target.failed + target.missing
        took = (target.duration_ms_p50, target.duration_ms_p95)
        table.add_row(
            Text(printable(target.target)),
            *(say_score(target.scores.get(name)) for name in names),
            f"{lacks}" if lacks else "",
            f"{target.cut}" if target.cut else "",
            say_cost(target),
            *("" if each is None else f"{each:,.0f} ms" for each in took),
        )
    console.print(table)
    for comparison in report.comparisons:
        console.print(Text(f"{printable(name_comparison(comparison))}: {comparison.verdict}"))
        for word, shown, more in list_flipped(comparison):
            line = Text(f"  {word}: ", style="dim")
            for place, (id, path) in enumerate(shown):
                line.append(", " if place else "")
                line.append(id, style=f"link {url}{path}" if path else "")
            console.print(line.append(more))
    progress = report.progress
    spent = f"The cost of this run: {say_spent(progress)}."
    if progress.unpriced:
        spent += f" Calls without a known price: {progress.unpriced:,}."
    console.print(Text(f"{spent} Answers of earlier runs: {progress.cached:,}."))
    console.print(Text(f"{url}/evals/{report.run.id}", style="dim"))
