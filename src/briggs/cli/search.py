"""`briggs search`: build the index of words again from the rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address
from briggs.types.search import LEFT_MAX, SearchProgress

if TYPE_CHECKING:
    from briggs.client import AsyncClient

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
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            now = await client.search.rebuild()
            if not no_wait:
                _show(await _wait(client, now))

    asyncio.run(ask())


@search.command()
@click.option("--wait", is_flag=True, help="Wait until the index is complete and summed up.")
@server_options
def progress(wait: bool, server: Address) -> None:
    """Say how far the index is.

    After an upgrade, the server reads old completions and sums up old segments by itself. With
    --wait, this waits for the end of it.

    \b
    Examples:
      briggs search progress
      briggs search progress --wait
    """
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            now = await client.search.retrieve_progress()
            _show(await _wait(client, now) if wait else now)

    asyncio.run(ask())


async def _wait(client: AsyncClient, now: SearchProgress) -> SearchProgress:
    """Wait until nothing is left to do, and show how far it is."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading", total=1)
        while not now.is_complete or now.segments_left:
            what = f"Summing up {now.segments_left:,} segments" if now.is_complete else "Reading"
            bar.update(task, completed=now.share, description=what)
            await asyncio.sleep(POLL_S)
            now = await client.search.retrieve_progress()
    return now


def _show(now: SearchProgress) -> None:
    if now.is_complete:
        print_line(b"The index is complete.")
    else:
        left = f"{now.left:,}" if now.left < LEFT_MAX else f"{LEFT_MAX:,} or more"
        print_line(f"{now.share:.0%} is in the index. {left} completions are left.".encode())
    if now.segments_left:
        print_line(f"{now.segments_left:,} segments are still to be summed up.".encode())
