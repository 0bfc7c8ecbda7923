"""`briggs models`: lists the models of the server."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import form_options
from briggs.cli.groups import Command
from briggs.types.address import Address


@click.command(cls=Command)
@form_options
@server_options
def models(is_pretty: bool, server: Address) -> None:
    """List the models that the server offers.

    Use these names with `briggs chat --model`, or as the `model` of any client. Prints a table
    on a terminal and JSON lines in a pipe.

    \b
    Examples:
      briggs models
      briggs models | jq -r .id
    """
    from briggs.cli.terminal.tables import print_list, print_models
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = (await client.models.list()).data
        print_list(found, print_models, is_pretty=is_pretty)

    asyncio.run(ask())
