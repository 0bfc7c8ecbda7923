"""`briggs prompts`: the prompts in the traffic, and how they fare."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import form_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address


@click.group(cls=Group)
def prompts() -> None:
    """Find the prompts in the traffic, and compare them by grades, cost and length."""


@prompts.command(name="list")
@click.option("--filter", metavar="FILTER", help="Only of calls where this is true.")
@click.option(
    "--limit",
    type=click.IntRange(1, 5_000),
    default=1_000,
    show_default=True,
    metavar="COUNT",
    help="Look at so many of the newest calls.",
)
@form_options
@server_options
def list_prompts(filter: str | None, limit: int, is_pretty: bool, server: Address) -> None:
    """List prompts: a table on a terminal, JSON lines in a pipe.

    A prompt is the system messages that calls begin with. Texts of which most words are the same
    are one prompt, and what changes in it is {1}, {2} and so on.

    \b
    Examples:
      briggs prompts list --filter 'tag = support'
      briggs prompts list --json | jq -r .template
    """
    from briggs.cli.terminal.evals import print_prompts
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.prompts.list(filter=filter, limit=limit)
        if is_pretty:
            print_prompts(found)
        else:
            for each in found.data:
                print_line(encode(each))
        said = f"{found.looked_at:,} calls, {found.without:,} of them without a system message"
        more = f", {found.left_out:,} of further prompts" if found.left_out else ""
        click.echo(f"{said}{more}.", err=True)

    asyncio.run(ask())
