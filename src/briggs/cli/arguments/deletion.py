"""Deletes what a command was given, after asking whether that is meant."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.client import AsyncClient, CompletionFilters


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

    _require_answer(yes=yes)

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


def delete_matching(filters: CompletionFilters, *, yes: bool, server: Address) -> None:
    """Count the completions that match, ask once, then delete them."""
    from briggs.client import AsyncClient

    _require_answer(yes=yes)

    async def count() -> str:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.completions.count(**filters)
        return f"{'' if found.count_is_exact else 'at least '}{found.count:,}"

    async def delete() -> int:
        async with AsyncClient(server.url, server.api_key) as client:
            return (await client.completions.delete_all(**filters)).deleted

    if not yes:
        click.confirm(f"Delete {asyncio.run(count())} completions for good?", abort=True)
    click.echo(f"Deleted {asyncio.run(delete()):,} completions.", err=True)


def _require_answer(*, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("cannot ask for confirmation without a terminal: add --yes")
