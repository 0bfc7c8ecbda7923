"""`briggs judges`: let models grade as your reviewers do, and see how far to trust them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import JsonObject, form_options, page_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import format_total, print_line
from briggs.types.address import Address
from briggs.types.texts import count_of, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from briggs.client import AsyncClient, JudgeRun

POLL_S = 0.5

suggested_option = click.option(
    "--suggested",
    is_flag=True,
    help="Count the grades, too, that were given while a suggestion was seen.",
)
judge_argument = click.argument("judge", metavar="JUDGE")


def member_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that decide how a judge grades."""
    for option in (
        click.option(
            "--options",
            type=JsonObject(),
            metavar="JSON",
            help="More of the request, such as '{\"temperature\": 0}'; @FILE reads a file.",
        ),
        click.option(
            "--max-tokens",
            type=click.IntRange(16, 100_000),
            metavar="COUNT",
            help="The longest answer.  [default: 500]",
        ),
        click.option(
            "--samples",
            type=click.IntRange(1, 20),
            metavar="COUNT",
            help="How often to ask where probabilities tell too little.  [default: 3]",
        ),
        click.option(
            "--examples",
            "examples_shown",
            type=click.IntRange(0, 32),
            metavar="COUNT",
            help="How many graded completions each question shows.  [default: 8]",
        ),
    ):
        command = option(command)
    return command


@click.group(cls=Group)
def judges() -> None:
    """Let models grade as your reviewers do, and see how far to trust them.

    A judge is made of a task and a model. Its examples are the grades that people gave. What it
    says is feedback of the kind `model`, and each call that it makes is a recorded completion with
    the tag `judge`. JUDGE is the name or the ID of a judge.
    """


@judges.command()
@click.option("--task", required=True, metavar="TASK", help="The ID or name of a feedback task.")
@click.option("--model", required=True, metavar="MODEL", help="Any model that Briggs reaches.")
@click.option("--name", metavar="NAME", help="Its name.  [default: the task's, with -judge]")
@member_options
@server_options
def create(server: Address, **said: Any) -> None:
    """Create a judge of a task, and print it as JSON.

    \b
    Examples:
      briggs judges create --task quality --model openai/gpt-5-mini
      briggs judges create --task quality --model local/briggs-tiny --name tiny --examples 4
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            made = await client.judges.create(**_omit_none(said))
        print_line(encode(made))
        if not made.examples:
            click.echo(
                "Nobody has graded for this task yet, so it has no examples. After some grades, "
                f"let it learn: briggs judges update '{printable(made.name)}' --learn",
                err=True,
            )

    asyncio.run(ask())


@judges.command(name="list")
@page_options(limit=25)
@form_options
@server_options
def list_judges(limit: int, offset: int, is_pretty: bool, server: Address) -> None:
    """List the judges: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs judges list
      briggs judges list | jq -r .name
    """
    from briggs.cli.terminal.judges import print_judges
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.judges.list(limit=limit, offset=offset)
        print_list(found, print_judges, is_pretty=is_pretty)

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.option("--version", type=click.IntRange(1), metavar="NUMBER", help="An earlier version.")
@server_options
def show(judge: str, version: int | None, server: Address) -> None:
    """Show a version of a judge as JSON: its prompt, its examples, and all else that it asks.

    \b
    Examples:
      briggs judges show quality-judge
      briggs judges show quality-judge --version 1 | jq -r .prompt
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            newest = (await client.judges.retrieve(judge)).version
            if version is not None and version > newest:
                raise click.ClickException(
                    f"The judge has no version {version}: it has 1 to {newest}."
                )
            place = (version or newest) - 1
            [found] = await client.judges.list_versions(judge, limit=1, offset=place)
        print_line(encode(found))

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.option("--model", metavar="MODEL", help="Another model.")
@click.option("--name", metavar="NAME", help="Another name.")
@member_options
@click.option("--learn", is_flag=True, help="Take the examples from the grades of today.")
@server_options
def update(judge: str, learn: bool, server: Address, **said: Any) -> None:
    """Change a judge, and print it as JSON.

    What decides how it grades makes a new version. Earlier versions and what they said stay.

    \b
    Examples:
      briggs judges update quality-judge --learn
      briggs judges update quality-judge --model openai/gpt-5
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            made = await client.judges.update(judge, learn=learn, **_omit_none(said))
        print_line(encode(made))

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.option("--off", is_flag=True, help="Grade on demand only.")
@click.option("--filter", metavar="FILTER", help="Which completions.  [default: all of the task]")
@click.option(
    "--sample",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="The share of them to grade.  [default: 1]",
)
@click.option(
    "--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Dollars a day."
)
@server_options
def watch(
    judge: str,
    off: bool,
    filter: str | None,
    sample: float | None,
    budget: float | None,
    server: Address,
) -> None:
    """Let a judge grade new completions by itself, and print it as JSON.

    \b
    Examples:
      briggs judges watch quality-judge --sample 0.1 --budget 1.50
      briggs judges watch quality-judge --filter 'tag = support' --budget 5
      briggs judges watch quality-judge --off
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    said = _omit_none({"filter": filter, "sample": sample, "budget_usd": budget})
    if off and said:
        raise click.UsageError("--off takes no other option")

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            made = await client.judges.update(judge, watch=None if off else said)
        print_line(encode(made))

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.argument("completion_id", metavar="ID")
@click.option("--again", is_flag=True, help="Try a judgement that failed again.")
@server_options
def judge(judge: str, completion_id: str, again: bool, server: Address) -> None:
    """Judge one completion now, and print what was said as JSON.

    ID may be the end of an ID. What was judged before is not asked again.

    \b
    Example:
      briggs judges judge quality-judge 7f3a91c2
    """
    from briggs.cli.completions import find_completion
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            id = (await find_completion(client, completion_id, include=[])).id
            said = await client.judges.judge(judge, id, again=again)
        print_line(encode(said))
        if said.status == "failed":
            click.echo(f"No judgement: {one_line(said.failure_reason or '')}", err=True)

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.option("--filter", metavar="FILTER", help="Which completions.  [default: all of the task]")
@click.option("--limit", type=click.IntRange(1), metavar="COUNT", help="The newest so many.")
@click.option(
    "--budget", type=click.FloatRange(0, min_open=True), metavar="USD", help="Stop at so much."
)
@click.option("--no-wait", is_flag=True, help="Begin the run, print its ID, and end.")
@server_options
def run(
    judge: str,
    filter: str | None,
    limit: int | None,
    budget: float | None,
    no_wait: bool,
    server: Address,
) -> None:
    """Let a judge grade what a filter selects. Prints the run as JSON.

    The run is the server's: Ctrl-C only stops watching it, and a server that was killed goes on
    with it after its next start. Nothing that is on record is asked again. The exit status is 1 if
    the run failed, or if it judged nothing of what it should.

    \b
    Examples:
      briggs judges run quality-judge --budget 2.00
      briggs judges run quality-judge --filter 'tag = support' --limit 500
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> JudgeRun:
        async with AsyncClient(server.url, server.api_key) as client:
            begun = await client.judges.create_run(
                judge, filter=filter, limit=limit, budget_usd=budget
            )
            ended = begun if no_wait else await _watch_run(client, judge, begun)
        if not no_wait:
            _tell(ended)
        print_line(encode(ended))
        return ended

    ended = asyncio.run(ask())
    if ended.status == "failed" or (ended.status == "finished" and _has_nothing(ended)):
        raise click.exceptions.Exit(1)


@judges.command()
@judge_argument
@page_options(limit=25)
@form_options
@server_options
def runs(judge: str, limit: int, offset: int, is_pretty: bool, server: Address) -> None:
    """List the runs of a judge: a table on a terminal, JSON lines in a pipe.

    \b
    Example:
      briggs judges runs quality-judge
    """
    from briggs.cli.terminal.judges import print_runs
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.judges.list_runs(judge, limit=limit, offset=offset)
        print_list(found, print_runs, is_pretty=is_pretty)

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.argument("run_id", metavar="RUN")
@server_options
def stop(judge: str, run_id: str, server: Address) -> None:
    """Stop a run, by its ID. What was judged stays.

    \b
    Example:
      briggs judges stop quality-judge 01a2288c-9a5f-77d6-96e5-73f8b579aa16
    """
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            _tell(await client.judges.stop_run(judge, run_id))

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.option("--version", type=click.IntRange(1), metavar="NUMBER", help="An earlier version.")
@click.option("--failed", is_flag=True, help="Only those that failed.")
@page_options(limit=25)
@form_options
@server_options
def judgements(
    judge: str,
    version: int | None,
    failed: bool,
    limit: int,
    offset: int,
    is_pretty: bool,
    server: Address,
) -> None:
    """List what a judge said: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs judges judgements quality-judge
      briggs judges judgements quality-judge --failed | jq -r .failure_reason
    """
    from briggs.cli.terminal.judges import print_judgements
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.judges.list_judgements(
                judge,
                version=version,
                status="failed" if failed else None,
                limit=limit,
                offset=offset,
            )
        print_list(found, print_judgements, is_pretty=is_pretty)

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.option("--version", type=click.IntRange(1), metavar="NUMBER", help="An earlier version.")
@suggested_option
@form_options
@server_options
def trust(
    judge: str, version: int | None, suggested: bool, is_pretty: bool, server: Address
) -> None:
    """Show how far a judge can be trusted, field by field: text on a terminal, JSON in a pipe.

    The judge is compared with people on completions that both graded. So let it grade these first,
    with `briggs judges run`.

    \b
    Examples:
      briggs judges trust quality-judge
      briggs judges trust quality-judge | jq -r '.fields[].sentence'
    """
    from briggs.cli.terminal.judges import print_trust
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.judges.trust(judge, version=version, suggested=suggested)
        if is_pretty:
            print_trust(found)
        else:
            print_line(encode(found))

    asyncio.run(ask())


@judges.command()
@judge_argument
@click.option("--version", type=click.IntRange(1), metavar="NUMBER", help="An earlier version.")
@suggested_option
@form_options
@server_options
def estimates(
    judge: str, version: int | None, suggested: bool, is_pretty: bool, server: Address
) -> None:
    """Estimate mean grades of all that was judged: text on a terminal, JSON in a pipe.

    By model, tag and week, with intervals: from people's grades alone, and from people's and the
    judge's together. The second is unbiased too, whatever the judge says.

    \b
    Examples:
      briggs judges estimates quality-judge
      briggs judges estimates quality-judge | jq '.fields[0].by_model'
    """
    from briggs.cli.terminal.judges import print_estimates
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.judges.estimates(judge, version=version, suggested=suggested)
        if is_pretty:
            print_estimates(found)
        else:
            print_line(encode(found))

    asyncio.run(ask())


@judges.command()
@judge_argument
@server_options
def delete(judge: str, server: Address) -> None:
    """Delete a judge. What it said stays on record.

    \b
    Example:
      briggs judges delete quality-judge
    """
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            await client.judges.delete(judge)
        click.echo(f"Deleted the judge {printable(judge)}. What it said stays.", err=True)

    asyncio.run(ask())


async def _watch_run(client: AsyncClient, judge: str, run: JudgeRun) -> JudgeRun:
    """Wait for the end of a run, and show on a terminal how far it is."""
    while run.status == "running":
        await asyncio.sleep(POLL_S)
        run = await client.judges.retrieve_run(judge, run.id)
        if sys.stderr.isatty():
            click.echo(
                f"\r{run.judged:,} of {run.matching:,}, "
                f"{format_total(run.cost_usd, run.unpriced)} ",
                err=True,
                nl=False,
            )
    if sys.stderr.isatty():
        click.echo(err=True)
    return run


def _tell(run: JudgeRun) -> None:
    """Say first what a run lacks, then what it did."""
    from briggs.cli.terminal.judges import say_example
    from briggs.types.judges import say_failures

    if run.lacking:
        reasons = [say_failures(run.failures)] if run.failures else []
        not_reached = run.lacking - run.failed
        reasons += [f"{not_reached:,} not reached"] if not_reached > 0 else []
        least = "" if run.is_counted else "at least "
        click.echo(
            f"{run.lacking:,} of {least}{count_of(run.matching, 'completion')} "
            f"{'has' if run.lacking == 1 else 'have'} no judgement: "
            f"{', '.join(reasons)}.",
            err=True,
        )
    for failure, example in run.failure_examples.items():
        click.echo(say_example(failure, example), err=True)
    if run.message:
        click.echo(one_line(run.message), err=True)
    more = f", {count_of(run.unpriced, 'judgement')} without a known price" if run.unpriced else ""
    click.echo(
        f"{run.judged:,} judged ({run.copied:,} without a call). "
        f"Cost: {format_total(run.cost_usd, run.unpriced)}{more}.",
        err=True,
    )


def _has_nothing(run: JudgeRun) -> bool:
    """Whether it judged nothing of what it should."""
    return run.lacking > 0 and run.judged == 0


def _omit_none(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}
