"""`briggs sessions`: lists sessions, shows one as a conversation, and deletes them."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all
from briggs.cli.arguments.options import form_options, id_argument, page_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address


@click.group(cls=Group)
def sessions() -> None:
    """List sessions, show one as a conversation, or delete them.

    A session begins with the first call that names it: with the header `x-briggs-session`, from
    `briggs chat`, or from a client. `briggs session` is the same command.
    """


@sessions.command(name="list")
@page_options(limit=25)
@form_options
@server_options
def list_sessions(limit: int, offset: int, is_pretty: bool, server: Address) -> None:
    """List sessions with their totals, newest first.

    \b
    Examples:
      briggs sessions list
      briggs sessions list --limit 100 | jq -r 'select(.totals.failed > 0) | .id'
    """
    from briggs.cli.terminal.tables import print_list, print_sessions
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.sessions.list(limit=limit, offset=offset)
        print_list(found, print_sessions, is_pretty=is_pretty)

    asyncio.run(ask())


@sessions.command()
@id_argument
@form_options
@server_options
def get(id: str, is_pretty: bool, server: Address) -> None:
    """Show the session ID as a conversation: every call in order, with its new messages.

    In a pipe, print one line of JSON: the totals, and the first 1,000 completions.

    \b
    Examples:
      briggs sessions get 5f0c7b1e-61f4-4f0e-9a51-7d1c0a6b2f11
      briggs sessions get support-4711 --pretty | less
      briggs session get --id support-4711 | jq -r '.completions[].id'
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            session = await client.sessions.retrieve(id)
            if not is_pretty:
                print_line(encode(session))
                return
            from rich.console import Console

            from briggs.cli.terminal.conversation import ConversationView

            conversation = ConversationView(Console(highlight=False))
            conversation.show_head(session)
            async for item in client.completions.iterate(
                session_id=id, status="any", order="asc", include=["request"]
            ):
                conversation.show(item)

    asyncio.run(ask())


@sessions.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Required in a pipe.")
@server_options
def delete(ids: tuple[str, ...], yes: bool, server: Address) -> None:
    """Delete sessions for good, with all their completions.

    If an ID is not found, nothing is deleted.

    \b
    Examples:
      briggs sessions delete support-4711
    """
    delete_all(
        ids,
        yes=yes,
        server=server,
        find=lambda client, id: client.sessions.retrieve(id),
        delete=lambda client, id: client.sessions.delete(id),
    )
