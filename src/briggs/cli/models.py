"""`briggs models`: what can be asked."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.server import Server, server_options


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON lines on a terminal too.")
@server_options
def models(as_json: bool, server: Server) -> None:
    """List the models that the server answers for.

    Their names are what `--model` of `briggs chat`, and the `model` of any client, may say.
    A table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs models
      briggs models | jq -r .id
    """
    from briggs.cli.tables import print_list, print_models
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = (await client.models.list()).data
        print_list(found, print_models, as_json=as_json)

    asyncio.run(ask())
