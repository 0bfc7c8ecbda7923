"""`briggs evals`: ask models the samples of a dataset, and compare what they answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all
from briggs.cli.arguments.evals import report_options, run_options
from briggs.cli.arguments.options import TagList, form_options, id_argument, page_options
from briggs.cli.groups import Group
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.cli.evaluating.running import Spreading
    from briggs.client import EvalReport


@click.group(cls=Group)
def evals() -> None:
    """Measure models: ask them the samples of a dataset, score the answers, compare.

    A run works on the server, through the gateway: every answer is an ordinary completion with
    the tag `eval`. It goes on if this command or the server is killed.
    """


@evals.command()
@click.argument("dataset", metavar="FILE|DATASET")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="COUNT", help="Only the first questions."
)
@run_options
@click.option(
    "--workers",
    metavar="CLUSTER",
    help="Ask and score on the machines of a Ray cluster: ray://HOST:PORT, or ray for the cluster "
    "of this machine.",
)
@click.option(
    "--workers-url",
    type=TagList(),
    default="",
    metavar="URL,URL",
    help="The server as the machines reach it, or several servers of one record.  "
    "[default: as this command does]",
)
@report_options
@server_options
def run(
    dataset: str,
    targets: list[str],
    scorers: list[str],
    more: tuple[str, ...],
    concurrency: int,
    workers: str | None,
    workers_url: list[str],
    format: str,
    output: Path | None,
    server: Address,
    **options: Any,
) -> None:
    """Ask models the samples of FILE or DATASET, score the answers, and print a report.

    A FILE becomes the dataset of its name. What an earlier run was answered is not asked again.
    If this command is killed, the same command goes on with the run. The exit status is 1 if
    answers are lacking.

    \b
    Scorers: exact, includes, regex, fuzzy, numeric, json-schema, tool-calls, bleu, rouge, chrf,
    python. `pip install 'briggs[evals]'` on the server for fuzzy, bleu, rouge and chrf.

    With --workers (`pip install 'briggs[ray]'` here and on the machines), each CPU of a Ray cluster
    waits for --concurrency answers at a time, and runs the scorers that are Python functions.

    \b
    Examples:
      briggs evals run capitals.jsonl --targets openai/gpt-5,openai/gpt-5-mini --scorers includes
      briggs evals run support --targets fast --scorer fuzzy:0.9 --baseline RUN --format markdown
      briggs evals run big --targets fast --scorer python:score.py:f --workers ray://head:10001
    """
    from briggs.cli.evaluating.running import finish_report, read_file_samples, run_plan
    from briggs.cli.evaluating.scorers import read_scorer
    from briggs.cli.evaluating.workers import open_workers, set_defaults
    from briggs.client import AsyncClient

    if workers is not None:
        set_defaults()
    wanted = [read_scorer(each) for each in (*scorers, *more)]
    file = read_file_samples(dataset)

    async def ask(spread: Spreading | None) -> EvalReport:
        async with AsyncClient(server.url, server.api_key) as client:
            named = dataset
            if file is not None:
                named = (await client.datasets.create(*file, source=Path(dataset).name)).id
            return await run_plan(
                client, named, targets, wanted, concurrency=concurrency, spread=spread, **options
            )

    if workers is None:
        found = asyncio.run(ask(None))
    else:
        urls = workers_url or [server.url]
        with open_workers(workers, urls, api_key=server.api_key, at_once=concurrency) as spread:
            found = asyncio.run(ask(spread))
    finish_report(found, url=server.url, format=format, output=output)


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
@report_options
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
    from briggs.cli.evaluating.running import finish_report
    from briggs.client import AsyncClient

    async def ask() -> EvalReport:
        async with AsyncClient(server.url, server.api_key) as client:
            return await client.eval_runs.report(id, baseline=baseline)

    finish_report(asyncio.run(ask()), url=server.url, format=format, output=output)


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
@report_options
@server_options
def resume(
    id: str, baseline: str | None, format: str, output: Path | None, server: Address
) -> None:
    """Ask what is missing in a run and what failed, and print its report.

    \b
    Examples:
      briggs evals resume 0199d5a0-0000-7000-8000-000000000001
    """
    from briggs.cli.evaluating.running import finish_report, watch_run
    from briggs.client import AsyncClient

    async def ask() -> EvalReport:
        async with AsyncClient(server.url, server.api_key) as client:
            await watch_run(client, await client.eval_runs.resume(id))
            return await client.eval_runs.report(id, baseline=baseline)

    finish_report(asyncio.run(ask()), url=server.url, format=format, output=output)


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
