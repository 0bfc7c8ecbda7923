"""`briggs rollups`: build the sums of the home page again from the rows."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address

POLL_S = 0.2


@click.group(cls=Group)
def rollups() -> None:
    """The sums that the home page shows: calls, failures, cost and times by hour and model.

    The server keeps them exact with every call. They need to be built again only if the database
    was edited by hand.
    """


@rollups.command()
@click.option("--no-wait", is_flag=True, help="Do not wait for the end.")
@server_options
def rebuild(no_wait: bool, server: Address) -> None:
    """Count all completions again, newest first, while calls are answered.

    The home page shows only what is counted so far until this ends. It takes about 20 seconds for
    each million completions. Ctrl-C ends only the waiting.

    \b
    Examples:
      briggs rollups rebuild
    """
    from rich.console import Console
    from rich.progress import Progress

    from briggs.client import AsyncClient

    console = Console(stderr=True)

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            now = await client.rollups.rebuild()
            if no_wait:
                return
            with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
                task = bar.add_task("Counting", total=1)
                while not now.is_complete:
                    bar.update(task, completed=now.share)
                    await asyncio.sleep(POLL_S)
                    now = await client.rollups.retrieve_progress()
        print_line(b"All completions are counted.")

    asyncio.run(ask())
