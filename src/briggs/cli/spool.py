"""`briggs spool`: lists and sends records that have not reached the server yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Group
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.client.spool import Spool


@click.group(cls=Group)
def spool() -> None:
    """List and send calls that were recorded while the server was down.

    `briggs.wrap` and `briggs.log` write each call to a folder on disk, and send it from there.
    Each server and key has its own folder. If a program ends before it has sent all its calls,
    the next program sends them, or `briggs spool flush` does.
    """


@spool.command(name="list")
@click.option(
    "--data",
    envvar="BRIGGS_DATA",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The data folder to look in.  [env: BRIGGS_DATA; default: ~/.local/share/briggs]",
)
def list_spools(data: Path | None) -> None:
    """List the folders, the number of records in each, and those that the server rejected.

    \b
    Examples:
      briggs spool list
    """
    for each in _open_spools(data):
        rejected = each.list_rejected()
        click.echo(f"{each.folder}  {len(each.list())} waiting, {len(rejected)} set aside")
        for record in rejected:
            click.echo(f"  {record.id}  {record.reason}")


@spool.command()
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Send the records of every folder, whatever server and key they were meant for.",
)
@click.option("--rejected", is_flag=True, help="Try rejected records again.")
@server_options
def flush(everything: bool, rejected: bool, server: Address) -> None:
    """Send the records that wait for this command's server and key.

    \b
    Examples:
      briggs spool flush
      briggs spool flush --all --url http://briggs.example:10100 --api-key KEY
    """
    from briggs.client.log import find_spool
    from briggs.client.spool import Spool

    given = click.get_current_context().params
    own = find_spool(given["url"], given["api_key"], data=given["data"])
    for each in _open_spools(given["data"]) if everything else [Spool(own)]:
        if rejected:
            each.retry_rejected()
        sent, aside = _send(each, server)
        click.echo(f"{each.folder}  {sent} sent, {aside} set aside")


def _send(spool: Spool, server: Address) -> tuple[int, int]:
    from briggs.client.connection import ServerConnection
    from briggs.client.sender import send_all

    waiting, aside = len(spool.list()), len(spool.list_rejected())

    async def send() -> None:
        connection = ServerConnection(base_url=server.url, api_key=server.api_key)
        try:
            await send_all(spool, connection)
        finally:
            await connection.close()

    asyncio.run(send())
    set_aside = len(spool.list_rejected()) - aside
    return waiting - set_aside, set_aside


def _open_spools(data: Path | None) -> Iterator[Spool]:
    from briggs.client.log import spool_root
    from briggs.client.spool import Spool

    root = spool_root(data)
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        yield Spool(folder)
