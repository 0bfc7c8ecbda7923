"""Deletes what a command was given, after asking whether that is meant."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.client import AsyncClient


def delete_all(
    ids: Sequence[str],
    *,
    yes: bool,
    server: Address,
    find: Callable[[AsyncClient, str], Awaitable[Any]],
    delete: Callable[[AsyncClient, str], Awaitable[object]],
) -> None:
    """Look up every id, ask once, then delete. If an id is not found, nothing is deleted."""
    from briggs.client import AsyncClient

    if not yes and not sys.stdin.isatty():
        raise click.UsageError("cannot ask for confirmation without a terminal: add --yes")

    async def look_up() -> list[str]:
        async with AsyncClient(server.url, server.api_key) as client:
            return [(await find(client, id)).id for id in ids]

    async def delete_found() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            for id in found:
                await delete(client, id)
                click.echo(f"Deleted {id}.", err=True)

    found = list(dict.fromkeys(asyncio.run(look_up())))
    if not yes:
        named = found[0] if len(found) == 1 else f"these {len(found)}: {', '.join(found)}"
        click.confirm(f"Delete {named} for good?", abort=True)
    asyncio.run(delete_found())
