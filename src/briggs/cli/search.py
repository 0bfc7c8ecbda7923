"""`briggs search`: build the index of words again from the rows."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address

POLL_S = 0.2


@click.group(cls=Group)
def search() -> None:
    """The index of the words of completions, by which texts are found.

    The server keeps it up to date. It needs to be built again only if the database was edited by
    hand. To search, write a text in quotes: briggs completions list --filter '"refund"'.
    """


@search.command()
@click.option("--no-wait", is_flag=True, help="Do not wait for the end.")
@server_options
def rebuild(no_wait: bool, server: Address) -> None:
    """Read the words of all completions again, newest first, while calls are answered.

    Until this ends, searches read what is not in the index yet, and take longer. It takes about two
    minutes for each million completions. Ctrl-C ends only the waiting.

    \b
    Examples:
      briggs search rebuild
      briggs search rebuild --no-wait
    """
    from rich.console import Console
    from rich.progress import Progress

    from briggs.client import AsyncClient

    console = Console(stderr=True)

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            now = await client.search.rebuild()
            if no_wait:
                return
            with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
                task = bar.add_task("Reading", total=1)
                while not now.is_complete:
                    bar.update(task, completed=now.share)
                    await asyncio.sleep(POLL_S)
                    now = await client.search.retrieve_progress()
        print_line(b"The index is complete.")

    asyncio.run(ask())
