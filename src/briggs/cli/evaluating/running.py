"""Runs an eval from the command line: asks whether it may cost so much, waits, and reports."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from briggs.cli.evaluating.samples import name_file, read_file
from briggs.cli.evaluating.scorers import WantedScorer, score_answers
from briggs.cli.terminal.eval_reports import say_lacks, say_spent, write_junit, write_markdown
from briggs.cli.terminal.evals import print_report
from briggs.cli.terminal.text import format_cost
from briggs.client import AsyncClient, EvalReport, EvalRun
from briggs.types.json import encode

Spreading = Callable[[AsyncClient, EvalRun, Sequence[WantedScorer]], Awaitable[None]]
"""Asks and scores what a run lacks, elsewhere, and waits for its end."""


async def run_plan(
    client: AsyncClient,
    dataset: str,
    targets: Sequence[str],
    scorers: Sequence[WantedScorer],
    *,
    baseline: str | None = None,
    ask_above: float,
    yes: bool,
    spread: Spreading | None = None,
    **options: Any,
) -> EvalReport:
    """Begin a run, or go on with the one that asks the same, and wait for its report.

    With `spread`, the server leaves asking and scoring to what that does.
    """
    given: Any = {name: value for name, value in options.items() if value is not None}
    if spread is not None:
        given["concurrency"] = 0
    wanted = [each.options for each in scorers]
    found = await client.eval_runs.estimate(dataset, targets, wanted, **given)
    _confirm(found, ask_above=ask_above, yes=yes)
    made = await client.eval_runs.create(dataset, targets, wanted, **given)
    click.echo(f"Run {made.id}: {made.dataset}.", err=True)
    if spread is None:
        await watch_run(client, made)
    else:
        await spread(client, made, scorers)
    await score_answers(client, made.id, made.dataset_id, scorers)
    return await client.eval_runs.report(made.id, baseline=baseline)


def read_file_samples(named: str) -> tuple[str, list[dict[str, Any]]] | None:
    """The name and the samples of a file. None if there is no such file."""
    file = Path(named)
    return (name_file(file), read_file(file)) if file.is_file() else None


def _confirm(found: Any, *, ask_above: float, yes: bool) -> None:
    asked = found.calls - found.cached
    said = _say_cost(found.cost_usd, found.unpriced) if asked else "nothing to pay"
    click.echo(f"{asked:,} to ask, {found.cached:,} answered before: {said}.", err=True)
    if found.judge_cost_usd or found.judges_unpriced:
        said = _say_cost(found.judge_cost_usd, found.judges_unpriced)
        click.echo(f"Judges, besides: {said}, if nothing was judged before.", err=True)
    if yes or found.cost_usd + found.judge_cost_usd <= ask_above:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"this may cost more than ${ask_above:g}: add --yes")
    click.confirm("Go on?", abort=True)


def _say_cost(cost_usd: float, unpriced: Sequence[str]) -> str:
    """About how much, and of whom the price is not known. What is not known is not 0."""
    if not unpriced:
        return f"about {format_cost(cost_usd)}"
    names = ", ".join(unpriced)
    if not cost_usd:
        return f"cost not known, since {names} {'has' if len(unpriced) == 1 else 'have'} no price"
    return f"about {format_cost(cost_usd)}, without {names}, whose price is not known"


async def watch_run(client: AsyncClient, made: EvalRun) -> None:
    """Show how far the run is, on a terminal, until it is not running."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=None)
        async for each in client.eval_runs.watch(made.id):
            said = f"{each.failed} failed, cost {say_spent(each)}"
            done = each.answered + each.failed
            shown.update(task, total=each.total, completed=done, description=said)


def finish_report(found: EvalReport, *, url: str, format: str, output: Path | None) -> None:
    """Print a report, or write it into a file. Samples lead to their pages at `url`."""
    if format == "terminal" and output is None:
        print_report(found, url=url)
    else:
        written = {
            "markdown": lambda: write_markdown(found, url=url).encode("utf-8", "replace"),
            "terminal": lambda: write_markdown(found, url=url).encode("utf-8", "replace"),
            "junit": lambda: write_junit(found, url=url),
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
