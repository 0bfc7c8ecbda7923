"""`briggs verify`: reads the whole record and says what in it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.record import record_options
from briggs.cli.groups import Command
from briggs.cli.terminal.text import print_line

if TYPE_CHECKING:
    from briggs.settings import Settings


@click.command(cls=Command)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Stop after N problems.",
)
@record_options
def verify(limit: int, settings: Settings) -> None:
    """Read the whole record, and say what in it is wrong.

    Servers may use the record meanwhile. Every body is expanded, every value is decoded, and the
    indexes, queues and rollups are compared with the completions. Each problem is a line, with
    what to do about it. The exit status is 1 if there is any.

    \b
    Examples:
      briggs verify
      briggs verify --data /var/lib/briggs
    """
    from itertools import islice

    from briggs.cli.terminal.progress import show_steps
    from briggs.storage.reading import open_reader
    from briggs.storage.verify import verify as find_problems
    from briggs.types.texts import one_line

    with (
        open_reader(
            settings.data, address=settings.store_address, password=settings.store_password
        ) as reader,
        show_steps() as show,
    ):
        found = [*islice(find_problems(reader, show=show), limit)]
    for each in found:
        print_line(one_line(str(each)).encode(errors="replace"))
    if found:
        more = " There may be more." if len(found) == limit else ""
        raise click.ClickException(f"problems found: {len(found)}.{more}")
    click.echo("Everything in the record is as it must be.", err=True)
