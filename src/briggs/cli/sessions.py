"""`briggs sessions`: list sessions, and read one from its first call to its last."""

from __future__ import annotations

import asyncio
import sys

import click

from briggs.cli.groups import Group
from briggs.cli.options import id_argument, json_option, page_options
from briggs.cli.server import Server, server_options
from briggs.cli.text import print_line


@click.group(cls=Group)
def sessions() -> None:
    """Look at what was said in one session.

    A session is made when it is first heard of: by the header `x-briggs-session`, by
    `briggs chat`, or by a client that names one. `briggs session` is the same command.
    """


@sessions.command(name="list")
@page_options(limit=25)
@json_option
@server_options
def list_sessions(limit: int, offset: int, as_json: bool, server: Server) -> None:
    """List sessions with their totals, newest first.

    \b
    Examples:
      briggs sessions list
      briggs sessions list --limit 100 | jq -r 'select(.totals.failed > 0) | .id'
    """
    from briggs.cli.tables import print_list, print_sessions
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.sessions.list(limit=limit, offset=offset)
        print_list(found, print_sessions, as_json=as_json)

    asyncio.run(ask())


@sessions.command()
@id_argument
@json_option
@server_options
def get(id: str, as_json: bool, server: Server) -> None:
    """Show the session ID: its totals, and its completions in their order.

    \b
    Examples:
      briggs sessions get 5f0c7b1e-61f4-4f0e-9a51-7d1c0a6b2f11
      briggs session get --id support-4711 | jq -r '.completions[].id'
    """
    from briggs.client import AsyncClient
    from briggs.types.wire import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            session = await client.sessions.retrieve(id)
            if as_json or not sys.stdout.isatty():
                print_line(encode(session))
                return
            items = [
                item
                async for item in client.completions.iterate(
                    session_id=id, status="any", order="asc", include=["request"]
                )
            ]
        from briggs.cli.columns import print_completions
        from briggs.cli.tables import print_sessions

        print_sessions([session])
        print_completions(items, total=f"{len(items):,}")

    asyncio.run(ask())
