"""`briggs datasets`: create, list, show, export and delete datasets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all
from briggs.cli.arguments.options import file_argument, form_options, page_options, task_option
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.client.datasets import Dataset
    from briggs.types.datasets import ReferenceSource


@click.group(cls=Group)
def datasets() -> None:
    """Create, list and export datasets: samples to ask models, with their right answers.

    A version of a dataset never changes. DATASET is its name, which means the newest version,
    `NAME@VERSION`, or an ID.
    """


@datasets.command()
@click.argument("name")
@click.argument(
    "file", required=False, type=click.Path(dir_okay=False, exists=True, path_type=Path)
)
@click.option(
    "--filter",
    metavar="FILTER",
    help="Of the newest completions where this is true, instead of FILE. '' selects all.",
)
@click.option(
    "--references",
    type=click.Choice(["none", "answer", "corrected"]),
    default="none",
    show_default=True,
    metavar="WHICH",
    help="With --filter, what is right: answer (what was answered), corrected (what a reviewer "
    "wrote instead), or none.",
)
@task_option(required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=1_000,
    show_default=True,
    metavar="COUNT",
    help="With --filter, at most this many samples.",
)
@form_options
@server_options
def create(
    name: str,
    file: Path | None,
    filter: str | None,
    references: ReferenceSource,
    task: str | None,
    limit: int,
    is_pretty: bool,
    server: Address,
) -> None:
    """Create the next version of the dataset NAME, from FILE or from the record.

    FILE is JSON lines, a list in JSON, CSV or Parquet. A row has a question (`messages`, `input`
    or `prompt`) and what is right (`references`, `target`, `ideal`, `completion` or `tool_calls`),
    as Briggs, inspect-ai, OpenAI's evals and training files write them. The same samples again
    are the version that is there.

    \b
    Examples:
      briggs datasets create capitals capitals.jsonl
      briggs datasets create support --filter 'tag = support' --references corrected
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.evaluating.samples import read_file
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    if (file is None) == (filter is None):
        raise click.UsageError("give either FILE or --filter")

    async def ask() -> Dataset:
        async with AsyncClient(server.url, server.api_key) as client:
            if file is not None:
                return await client.datasets.create(name, read_file(file), source=file.name)
            return await client.datasets.create_from_completions(
                name,
                filter or "",
                references=references,
                task_id=(await find_task(client, task)).id if task else None,
                limit=limit,
            )

    made = asyncio.run(ask())
    if is_pretty:
        click.echo(f"{made.name}@{made.version}: {made.samples:,} samples.")
    else:
        print_line(encode(made))


@datasets.command(name="list")
@click.option("--name", metavar="NAME", help="Only the versions of this name.")
@page_options(limit=25)
@form_options
@server_options
def list_datasets(
    name: str | None, limit: int, offset: int, is_pretty: bool, server: Address
) -> None:
    """List versions of datasets, newest first: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs datasets list
      briggs datasets list --name support
    """
    from briggs.cli.terminal.evals import print_datasets
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.datasets.list(name=name, limit=limit, offset=offset)
        print_list(found, print_datasets, is_pretty=is_pretty)

    asyncio.run(ask())


@datasets.command()
@click.argument("dataset")
@server_options
def get(dataset: str, server: Address) -> None:
    """Print one version of DATASET as JSON, without its samples.

    \b
    Examples:
      briggs datasets get support@2
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            print_line(encode(await client.datasets.retrieve(dataset)))

    asyncio.run(ask())


@datasets.command()
@click.argument("dataset")
@file_argument
@server_options
def export(dataset: str, file: Path, server: Address) -> None:
    """Write the samples of DATASET to FILE as JSON lines, in their order.

    Without FILE, or with `-`, they go to standard output. `briggs datasets create` reads the file
    back as the same version.

    \b
    Examples:
      briggs datasets export support support.jsonl
    """
    from briggs.cli.download import open_target
    from briggs.cli.terminal.text import printable_json
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> int:
        count = 0
        async with AsyncClient(server.url, server.api_key) as client:
            await client.datasets.retrieve(dataset)
            with open_target(file) as target:
                async for sample in client.datasets.export(dataset):
                    line = encode(sample)
                    target.write((printable_json(line) if target.isatty() else line) + b"\n")
                    count += 1
        return count

    count = asyncio.run(ask())
    click.echo(f"{count} samples{'' if str(file) == '-' else f' in {file}'}.", err=True)


@datasets.command()
@click.argument("named", metavar="DATASET...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Required in a pipe.")
@server_options
def delete(named: tuple[str, ...], yes: bool, server: Address) -> None:
    """Delete versions of datasets for good. A name means its newest version.

    \b
    Examples:
      briggs datasets delete support@1
    """
    delete_all(
        named,
        yes=yes,
        server=server,
        find=lambda client, name: client.datasets.retrieve(name),
        delete=lambda client, id: client.datasets.delete(id),
    )
