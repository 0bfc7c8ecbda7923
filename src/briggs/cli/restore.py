"""`briggs restore`: puts a backup into a data folder that no server uses."""

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
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--force", is_flag=True, help="Replace the record that is there. It cannot be undone."
)
@record_options
def restore(file: Path, force: bool, settings: Settings) -> None:
    """Put the backup FILE into the data folder, as its record.

    Stop the server first. The backup is checked as a whole before anything changes. A folder that
    has a record keeps it unless you say --force. The next start brings a backup of an older
    Briggs up to date. A record in PostgreSQL is restored with pg_restore.

    \b
    Examples:
      briggs restore briggs-2026-11-29.db
      briggs restore --force --data /var/lib/briggs /backups/briggs.db
    """
    from briggs.cli.terminal.progress import show_steps
    from briggs.storage.copies import restore as restore_file

    if settings.store_address is not None:
        address = shlex.quote(settings.store_address)
        raise click.ClickException(
            "the record is in PostgreSQL, which reads its own copies: run pg_restore --clean "
            f"--if-exists --no-owner --dbname={address} {shlex.quote(str(file))}"
        )
    with show_steps() as show:
        restore_file(file, settings.data, replace=force, show=show)
    click.echo(f"{settings.data} has the record of {file}. Start the server.", err=True)
