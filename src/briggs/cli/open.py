"""`briggs open`: opens the pages in a browser, signed in."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Command
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address


@click.command(name="open", cls=Command)
@click.option("--print", "only_prints", is_flag=True, help="Print the link, and open nothing.")
@server_options
def open_pages(only_prints: bool, server: Address) -> None:
    """Open the pages in your browser, signed in.

    This makes a link that signs a browser in as your key. The link works once, within 15 minutes.
    Where no browser can be opened, as on a server that you reach by SSH, it is printed.

    \b
    Examples:
      briggs open
      briggs open --print
      ssh -L 10100:127.0.0.1:10100 server briggs open --print
    """
    from briggs.client import AsyncClient

    async def ask() -> str:
        async with AsyncClient(server.url, server.api_key) as client:
            return await client.keys.create_sign_in_link()

    link = asyncio.run(ask())
    if only_prints or not _has_screen() or not webbrowser.open(link):
        print_line(link.encode())


def _has_screen() -> bool:
    """Whether a browser can show a window. Without one, Python would start one in the terminal."""
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
