"""`briggs mcp`: offers the record to a model, by the Model Context Protocol."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Command
from briggs.types.address import Address


@click.command(cls=Command)
@server_options
def mcp(server: Address) -> None:
    """Offer the record to a model, by the Model Context Protocol on standard input and output.

    Programs such as Claude, Cursor and VS Code start this command. Their model can then list,
    search, read and compare completions, and read statistics and feedback tasks. It can grade if
    the key has the scope `grade`, and change nothing else. docs/mcp.md has the lines for each
    program.

    It needs `pip install 'briggs[mcp]'`.

    \b
    Examples:
      briggs mcp
      claude mcp add briggs -- briggs mcp
    """
    try:
        import mcp.server.mcpserver  # noqa: F401
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this command needs {error.name}. Install it with: pip install 'briggs[mcp]'"
        ) from error
    from importlib.metadata import version

    from briggs.cli.tools.tools import open_tools
    from briggs.client import AsyncClient

    async def serve() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            offered = await open_tools(client, version=version("briggs"))
            await offered.run_stdio_async()

    asyncio.run(serve())
