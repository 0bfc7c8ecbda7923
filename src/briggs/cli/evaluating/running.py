"""Runs an eval from the command line: asks whether it may cost so much, waits, and reports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from briggs.cli.evaluating.samples import name_file, read_file
from briggs.cli.evaluating.scorers import WantedScorer, score_answers
from briggs.cli.terminal.eval_reports import say_lacks, write_junit, write_markdown
from briggs.cli.terminal.evals import print_report
from briggs.client import AsyncClient, EvalReport, EvalRun
from briggs.types.json import encode


async def run_plan(
    client: AsyncClient,
    dataset: str,
    targets: Sequence[str],
    scorers: Sequence[WantedScorer],
    *,
    baseline: str | None = None,
    ask_above: float,
    yes: bool,
    **options: Any,
) -> EvalReport:
    """Begin a run, or go on with the one that asks the same, and wait for its report."""
    given: Any = {name: value for name, value in options.items() if value is not None}
    wanted = [each.options for each in scorers]
    found = await client.eval_runs.estimate(dataset, targets, wanted, **given)
    _confirm(found, ask_above=ask_above, yes=yes)
    made = await client.eval_runs.create(dataset, targets, wanted, **given)
    click.echo(f"Run {made.id}: {made.dataset}.", err=True)
    await watch_run(client, made)
    await score_answers(client, made.id, made.dataset_id, scorers)
    return await client.eval_runs.report(made.id, baseline=baseline)


def read_file_samples(named: str) -> tuple[str, list[dict[str, Any]]] | None:
    """The name and the samples of a file. None if there is no such file."""
    file = Path(named)
    return (name_file(file), read_file(file)) if file.is_file() else None


def _confirm(found: Any, *, ask_above: float, yes: bool) -> None:
    asked = found.calls - found.cached
    cost = f"about ${found.cost_usd:.2f}"
    if found.unpriced:
        cost += f", without {', '.join(found.unpriced)}, whose price is not known"
    click.echo(f"{asked:,} to ask, {found.cached:,} answered before: {cost}.", err=True)
    if yes or not asked or found.cost_usd <= ask_above:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"this may cost more than ${ask_above:g}: add --yes")
    click.confirm("Go on?", abort=True)


async def watch_run(client: AsyncClient, made: EvalRun) -> None:
    """Show how far the run is, on a terminal, until it is not running."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=None)
        async for each in client.eval_runs.watch(made.id):
            said = f"{each.failed} failed, ${each.cost_usd:.4f}"
            done = each.answered + each.failed
            shown.update(task, total=each.total, completed=done, description=said)


def finish_report(found: EvalReport, *, format: str, output: Path | None) -> None:
    if format == "terminal" and output is None:
        print_report(found)
    else:
        written = {
            "markdown": lambda: write_markdown(found).encode("utf-8", "replace"),
            "terminal": lambda: write_markdown(found).encode("utf-8", "replace"),
            "junit": lambda: write_junit(found),
            "json": lambda: encode(found) + b"\n",
        }[format]()
        if output is None:
            sys.stdout.buffer.write(written)
        else:
            output.write_bytes(written)
        click.echo(say_lacks(found), err=True)
    progress = found.progress
    if progress.failure:
        click.echo(f"The run failed: {progress.failure}", err=True)
    if progress.answered < progress.total:
        raise click.exceptions.Exit(1)
