"""`briggs preferences`: say which answer is best, and download pairs to train with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import file_argument
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address

if TYPE_CHECKING:
    from pathlib import Path


@click.group(cls=Group)
def preferences() -> None:
    """Say which of several completions is best, and download pairs to train with.

    Preferences are feedback of the built-in task `Preference`. So `briggs feedback list`, `edit`,
    `delete` and `download` work with them too.
    """


@preferences.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--best", metavar="ID", help="The best of them.")
@click.option("--none", "is_tie", is_flag=True, help="None is better than the others.")
@click.option("--comment", metavar="TEXT", help="A comment.")
@click.option("--reviewer", metavar="NAME", help="Who prefers it.  [default: the key's name]")
@server_options
def create(
    ids: tuple[str, ...],
    best: str | None,
    is_tie: bool,
    comment: str | None,
    reviewer: str | None,
    server: Address,
) -> None:
    """Say which of 2 to 4 completions is best, and print that as JSON.

    ID may be the end of an ID. Your earlier preference about the same completions is changed.

    \b
    Examples:
      briggs preferences create 7f3a91c2 019b44d0 --best 019b44d0
      briggs preferences create 7f3a91c2 019b44d0 --none --comment "both are wrong"
    """
    from briggs.cli.completions import find_completion
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    if (best is None) is not is_tie:
        raise click.UsageError("say which is best: either --best ID or --none")

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = [(await find_completion(client, id, include=[])).id for id in ids]
            chosen = best and (await find_completion(client, best, include=[])).id
            made = await client.preferences.create(
                found, chosen, comment=comment, reviewer=reviewer
            )
        print_line(encode(made))

    asyncio.run(ask())


@preferences.command()
@file_argument
@server_options
def download(file: Path, server: Address) -> None:
    """Download pairs to FILE as JSON lines, oldest first: `prompt`, `chosen`, `rejected`.

    Each pair is the best answer of a preference and another answer to the same messages, in the
    format of TRL's preference data sets. Without FILE, or with `-`, they go to standard output.
    `briggs export --kind preference` also makes pairs of corrected answers and of grades.

    \b
    Examples:
      briggs preferences download pairs.jsonl
      briggs preferences download | jq -c '{prompt, chosen, rejected}' > train.jsonl
    """
    from briggs.cli.download import open_target
    from briggs.cli.terminal.text import printable_json
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> int:
        count = 0
        with open_target(file) as target:
            async with AsyncClient(server.url, server.api_key) as client:
                async for pair in client.preferences.export():
                    line = encode(pair)
                    target.write((printable_json(line) if target.isatty() else line) + b"\n")
                    count += 1
        return count

    count = asyncio.run(ask())
    click.echo(f"{count} pairs{'' if str(file) == '-' else f' in {file}'}.", err=True)
