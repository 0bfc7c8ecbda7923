"""`briggs retention`: deletes what has been kept for long enough, or counts it."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Group
from briggs.types.address import Address


@click.group(cls=Group)
def retention() -> None:
    """Delete what the record has kept for long enough, as [retention] in briggs.toml says.

    The server does so by itself, a little at a time.
    """


@retention.command()
@click.option("--dry-run", is_flag=True, help="Count only, and delete nothing.")
@server_options
def run(dry_run: bool, server: Address) -> None:
    """Delete what is old enough now, and print how much that was.

    A completion that several terms are about counts for each of them in a dry run.

    \b
    Examples:
      briggs retention run --dry-run
      briggs retention run
    """
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            terms = await (client.retention.retrieve() if dry_run else client.retention.run())
        if not terms:
            click.echo("briggs.toml has no [retention], so everything is kept.", err=True)
        for each in terms:
            named = [f"tag {each.tag}"] if each.tag is not None else []
            named += [f"organization {each.organization}"] if each.organization is not None else []
            of = f" of {', '.join(named)}" if named else ""
            said = "would be deleted" if dry_run else "deleted"
            what = "messages" if each.what == "bodies" else "whole"
            click.echo(f"{each.completions:>10,}  {what:<8} {said}, kept {each.span}{of}")

    asyncio.run(ask())
