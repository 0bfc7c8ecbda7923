"""`briggs evals`: ask models the samples of a dataset, and compare what they answer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all
from briggs.cli.arguments.options import (
    JsonObject,
    TagList,
    form_options,
    id_argument,
    page_options,
)
from briggs.cli.groups import Group
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.client import AsyncClient, EvalReport, EvalRun

_FORMATS = ("terminal", "markdown", "junit", "json")


@click.group(cls=Group)
def evals() -> None:
    """Measure models: ask them the samples of a dataset, score the answers, compare.

    A run works on the server, through the gateway: every answer is an ordinary completion with
    the tag `eval`. It goes on if this command or the server is killed.
    """


def _report_options(command: Any) -> Any:
    command = click.option(
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the report to FILE.",
    )(command)
    command = click.option(
        "--format",
        type=click.Choice(_FORMATS),
        default="terminal",
        show_default=True,
        metavar="FORMAT",
        help="terminal, markdown (a comment on GitHub), junit (XML for CI) or json.",
    )(command)
    return click.option(
        "--baseline", metavar="RUN", help="The ID of a run to compare with, target by target."
    )(command)


@evals.command()
@click.argument("dataset", metavar="FILE|DATASET")
@click.option(
    "--targets",
    type=TagList(),
    required=True,
    metavar="MODEL,MODEL",
    help="The models to ask. Others are compared with the first.",
)
@click.option(
    "--scorers", type=TagList(), default="", metavar="KIND,KIND", help="Scorers without options."
)
@click.option(
    "--scorer",
    "more",
    multiple=True,
    metavar="KIND:VALUE",
    help="A scorer with its value, such as regex:^[0-9]+$, numeric:0.01, fuzzy:0.9, "
    "json-schema:@FILE, tool-calls:names, exact:ignore-case or python:FILE.py:FUNCTION. May be "
    "repeated.",
)
@click.option(
    "--samples",
    "repeats",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    metavar="COUNT",
    help="How many answers to ask of each target for each question.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="COUNT", help="Only the first questions."
)
@click.option("--name", metavar="NAME", help="The name of the run.  [default: the dataset's]")
@click.option(
    "--parameters",
    type=JsonObject(),
    metavar="JSON",
    help="Members of every request, such as '{\"temperature\": 0}', or @FILE.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="COUNT",
    help="How many to ask at the same time.",
)
@click.option("--fresh", is_flag=True, help="Ask anew what an earlier run was answered.")
@click.option(
    "--ask-above",
    type=float,
    default=1.0,
    show_default=True,
    metavar="USD",
    help="Ask before a run that may cost more than this.",
)
@click.option("--yes", is_flag=True, help="Do not ask, whatever it costs.")
@_report_options
@server_options
def run(
    dataset: str,
    targets: list[str],
    scorers: list[str],
    more: tuple[str, ...],
    repeats: int,
    limit: int | None,
    name: str | None,
    parameters: dict[str, Any] | None,
    concurrency: int,
    fresh: bool,
    ask_above: float,
    yes: bool,
    baseline: str | None,
    format: str,
    output: Path | None,
    server: Address,
) -> None:
    """Ask models the samples of FILE or DATASET, score the answers, and print a report.

    A FILE becomes the dataset of its name. What an earlier run was answered is not asked again.
    If this command is killed, the same command goes on with the run. The exit status is 1 if
    answers are lacking.

    \b
    Scorers: exact, includes, regex, fuzzy, numeric, json-schema, tool-calls, bleu, rouge, chrf,
    python. `pip install 'briggs[evals]'` on the server for fuzzy, bleu, rouge and chrf.

    \b
    Examples:
      briggs evals run capitals.jsonl --targets openai/gpt-5,openai/gpt-5-mini --scorers includes
      briggs evals run support --targets fast --scorer fuzzy:0.9 --baseline RUN --format markdown
    """
    from briggs.cli.evaluating.scorers import read_scorer, score_answers
    from briggs.client import AsyncClient
    from briggs.types.evals import CONCURRENCY

    wanted = [read_scorer(each) for each in (*scorers, *more)]
    options: dict[str, Any] = {
        "name": name,
        "limit": limit,
        "parameters": parameters,
        "repeats": repeats,
        "concurrency": concurrency or CONCURRENCY,
        "fresh": fresh,
    }
    given = {name: value for name, value in options.items() if value is not None}

    file = _read_file(dataset)

    async def ask() -> EvalReport:
        async with AsyncClient(server.url, server.api_key) as client:
            named = dataset
            if file is not None:
                named = (await client.datasets.create(*file, source=Path(dataset).name)).id
            plan = (named, targets, [each.options for each in wanted])
            found = await client.eval_runs.estimate(*plan, **given)
            _confirm(found, ask_above=ask_above, yes=yes)
            made = await client.eval_runs.create(*plan, **given)
            click.echo(f"Run {made.id}: {made.dataset}.", err=True)
            await _watch(client, made)
            await score_answers(client, made.id, made.dataset_id, wanted)
            return await client.eval_runs.report(made.id, baseline=baseline)

    _finish(asyncio.run(ask()), format=format, output=output)


@evals.command(name="list")
@page_options(limit=25)
@form_options
@server_options
def list_runs(limit: int, offset: int, is_pretty: bool, server: Address) -> None:
    """List runs, newest first: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs evals list
    """
    from briggs.cli.terminal.evals import print_runs
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.eval_runs.list(limit=limit, offset=offset)
        print_list(found, print_runs, is_pretty=is_pretty)

    asyncio.run(ask())


@evals.command()
@id_argument
@_report_options
@server_options
def report(
    id: str, baseline: str | None, format: str, output: Path | None, server: Address
) -> None:
    """Print the report of a run.

    The exit status is 1 if answers are lacking.

    \b
    Examples:
      briggs evals report 0199d5a0-0000-7000-8000-000000000001 --format markdown > comment.md
    """
    from briggs.client import AsyncClient

    async def ask() -> EvalReport:
        async with AsyncClient(server.url, server.api_key) as client:
            return await client.eval_runs.report(id, baseline=baseline)

    _finish(asyncio.run(ask()), format=format, output=output)


@evals.command()
@id_argument
@server_options
def answers(id: str, server: Address) -> None:
    """Print the answers of a run as JSON lines, with their texts and scores.

    \b
    Examples:
      briggs evals answers RUN | jq -c 'select(.scores[].value == 0)'
    """
    from briggs.cli.terminal.text import print_line
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            async for each in client.eval_runs.answers(id):
                print_line(encode(each))

    asyncio.run(ask())


@evals.command()
@id_argument
@_report_options
@server_options
def resume(
    id: str, baseline: str | None, format: str, output: Path | None, server: Address
) -> None:
    """Ask what is missing in a run and what failed, and print its report.

    \b
    Examples:
      briggs evals resume 0199d5a0-0000-7000-8000-000000000001
    """
    from briggs.client import AsyncClient

    async def ask() -> EvalReport:
        async with AsyncClient(server.url, server.api_key) as client:
            await _watch(client, await client.eval_runs.resume(id))
            return await client.eval_runs.report(id, baseline=baseline)

    _finish(asyncio.run(ask()), format=format, output=output)


@evals.command()
@id_argument
@server_options
def cancel(id: str, server: Address) -> None:
    """Ask nothing more in a run. What was answered stays.

    \b
    Examples:
      briggs evals cancel 0199d5a0-0000-7000-8000-000000000001
    """
    from briggs.client import AsyncClient

    async def ask() -> str:
        async with AsyncClient(server.url, server.api_key) as client:
            return (await client.eval_runs.cancel(id)).status

    click.echo(f"The run is {asyncio.run(ask())}.", err=True)


@evals.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Required in a pipe.")
@server_options
def delete(ids: tuple[str, ...], yes: bool, server: Address) -> None:
    """Delete runs with their scores. Their completions stay on record.

    \b
    Examples:
      briggs evals delete 0199d5a0-0000-7000-8000-000000000001
    """
    delete_all(
        ids,
        yes=yes,
        server=server,
        find=lambda client, id: client.eval_runs.retrieve(id),
        delete=lambda client, id: client.eval_runs.delete(id),
    )


def _read_file(named: str) -> tuple[str, list[dict[str, Any]]] | None:
    """The name and the samples of a file. None if there is no such file."""
    from briggs.cli.evaluating.samples import name_file, read_file

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


async def _watch(client: AsyncClient, made: EvalRun) -> None:
    """Show how far the run is, on a terminal, until it is not running."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=None)
        async for each in client.eval_runs.watch(made.id):
            said = f"{each.failed} failed, ${each.cost_usd:.4f}"
            done = each.answered + each.failed
            shown.update(task, total=each.total, completed=done, description=said)


def _finish(found: EvalReport, *, format: str, output: Path | None) -> None:
    from briggs.cli.terminal.eval_reports import say_lacks, write_junit, write_markdown
    from briggs.cli.terminal.evals import print_report
    from briggs.types.json import encode

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
