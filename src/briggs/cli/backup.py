"""`briggs backup`: copies the record to a file, while it is in use."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.record import record_options
from briggs.cli.groups import Command

if TYPE_CHECKING:
    from briggs.settings import Settings


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@record_options
def backup(file: Path, force: bool, settings: Settings) -> None:
    """Copy the whole record to FILE, while servers use it.

    Run it on the machine of the server, as a user who may read the data folder. The copy is the
    record of all organizations as of the moment when the command began. It has every message, so
    only its owner may read it. FILE appears once the copy is complete and on the disk.

    The copy has no settings: keep briggs.toml, the providers' keys and admin.key elsewhere.
    A record in PostgreSQL is copied with pg_dump.

    \b
    Examples:
      briggs backup "briggs-$(date +%F).db"
      briggs backup --force --data /var/lib/briggs /backups/briggs.db
    """
    from briggs.cli.terminal.progress import show_steps
    from briggs.storage.copies import back_up

    spooled = _describe_spooled(settings)
    if settings.store_address is not None:
        address = shlex.quote(settings.store_address)
        raise click.ClickException(
            "the record is in PostgreSQL, which makes its own copies: run "
            f"pg_dump --format=custom --file={shlex.quote(str(file))} {address}{spooled}"
        )
    with show_steps() as show:
        size = back_up(settings.data, file, replace=force, show=show)
    click.echo(
        f"{file} has the record, {size:,} bytes. Keep briggs.toml, the providers' keys and "
        f"{settings.data / 'admin.key'} too: they are not in it.{spooled}",
        err=True,
    )


def _describe_spooled(settings: Settings) -> str:
    """A line about calls that wait for PostgreSQL. Empty if there are none."""
    from briggs.storage.copies import count_spooled

    if not (counts := count_spooled(settings.data)):
        return ""
    files = ", ".join(map(str, counts))
    return (
        f"\nCalls that wait in {files}, and are not in PostgreSQL yet: "
        f"{sum(counts.values()):,}. Keep what is there too, or wait until /health shows no `spool`."
    )
