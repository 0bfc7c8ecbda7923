"""`briggs store`: copies the record to another database, and counts its pieces again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.record import record_options
from briggs.cli.groups import Command, Group
from briggs.cli.terminal.text import print_line

if TYPE_CHECKING:
    from briggs.settings import Settings


@click.group(cls=Group)
def store() -> None:
    """The database of the record: a file in a data folder, or a PostgreSQL."""


@store.command(cls=Command)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(source: str, target: str) -> None:
    """Copy the whole record from one database to another, of the same kind or not.

    FROM and TO are each a data folder or the address of a PostgreSQL database. Servers may use
    FROM meanwhile: what is copied is the record as of the moment when the command began. TO must be
    empty, or the same copy from before. Then only what has changed is written, so run the command
    again to go on after an interruption, and to bring what was recorded meanwhile.

    At the end, every table of TO was read again and compared with FROM. The tables are printed:
    name, rows, rows written, rows removed, checksum.

    \b
    The passwords are in BRIGGS_STORE_PASSWORD, or in a file that PGPASSFILE names if they differ.

    \b
    Examples:
      briggs store copy ~/.local/share/briggs postgresql://briggs@db.example.com/briggs
      briggs store copy postgresql://briggs@db.example.com/briggs ./data
      briggs store copy ./data /mnt/large/data
    """
    from briggs.cli.terminal.progress import show_steps
    from briggs.types.errors import BriggsError

    try:
        from briggs.settings.file import STORE_PASSWORD
        from briggs.storage import transfers
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this command needs {error.name}. Install it with: pip install 'briggs[server]'"
        ) from error
    for place in (source, target):
        _refuse_password(place, variable=STORE_PASSWORD)
    password = os.environ.get(STORE_PASSWORD)
    try:
        with show_steps() as show:
            copied = transfers.copy(
                source, target, source_password=password, target_password=password, show=show
            )
    except BriggsError as error:
        raise click.ClickException(str(error)) from error
    for each in copied:
        counts = f"{each.rows:>14,} {each.written:>14,} {each.removed:>10,}"
        print_line(f"{each.table:24} {counts}  {each.checksum}".encode())
    written = sum(each.written for each in copied)
    click.echo(
        f"{target} has all {sum(each.rows for each in copied):,} rows of {source}, as of the "
        f"beginning. {written:,} of them were written now.",
        err=True,
    )


@store.command(cls=Command)
@record_options
def recount(settings: Settings) -> None:
    """Count again how often pieces of histories are used, and what reviewers said.

    What was counted wrongly is mended. Stop the servers first. Pieces that nothing uses are
    deleted. It is needed only if `briggs verify` says so.

    \b
    Examples:
      briggs store recount
      briggs store recount --data /var/lib/briggs
    """
    from briggs.storage.recounts import open_and_recount

    pieces, tasks = open_and_recount(
        settings.data, address=settings.store_address, password=settings.store_password
    )
    said = f"{pieces:,} pieces and the feedback of {tasks:,} tasks were counted wrongly"
    click.echo(f"{said}, and are right now.", err=True)


def _refuse_password(place: str, *, variable: str) -> None:
    """Other users of the machine see the arguments of a command."""
    from urllib.parse import urlsplit

    try:
        has_password = "://" in place and urlsplit(place).password is not None
    except ValueError:
        return
    if has_password:
        raise click.ClickException(
            f"an address must have no password here: put it into {variable}, or into a file that "
            "PGPASSFILE names"
        )
