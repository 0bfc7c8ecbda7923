"""`briggs nodes`: the servers that record in one database."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import form_options
from briggs.types.address import Address


@click.command()
@form_options
@server_options
def nodes(is_pretty: bool, server: Address) -> None:
    """List the servers on this database: a table on a terminal, JSON lines in a pipe.

    Those that ended are shown for an hour: `left` if they were stopped, `lost` if they died or
    cannot reach the database. The keeper does the work in the background. It needs an
    administrator's key of the first organization.

    \b
    Examples:
      briggs nodes
      briggs nodes | jq -r 'select(.status == "lost") | .name'
    """
    from briggs.cli.terminal.tables import print_list, print_nodes
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.nodes.list()
        print_list(found, print_nodes, is_pretty=is_pretty)

    asyncio.run(ask())
