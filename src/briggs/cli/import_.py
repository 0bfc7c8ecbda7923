"""`briggs import`: takes a file into the record: an export, or the calls of another tool."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.groups import Command
from briggs.types.address import Address
from briggs.types.texts import one_line

if TYPE_CHECKING:
    from briggs.cli.importing.sending import Report

SHOWN_MAX = 20
"""How many bad rows are shown. All are counted."""

_FORMATS = ("briggs", "openai-batch", "openai-fine-tuning", "langfuse", "litellm", "openrouter")


@click.command(name="import", cls=Command)
@click.argument(
    "file", metavar="FILE", type=click.Path(dir_okay=False, exists=True, path_type=Path)
)
@click.option(
    "--format",
    type=click.Choice(_FORMATS),
    metavar="FORMAT",
    help=f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}.  [default: found in the file]",
)
@click.option(
    "--requests",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="The input of an OpenAI batch, for the output that is imported.",
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help="Also give the calls of another tool this tag. May be repeated.",
)
@server_options
def import_file(
    file: Path, format: str | None, requests: Path | None, tags: tuple[str, ...], server: Address
) -> None:
    """Take the completions in FILE into the record. It needs a key with the scope `admin`.

    FILE is an export of `briggs export`, which comes back without loss, with its feedback; or the
    calls of another tool, as JSON lines, a list in JSON, or CSV: the output of an OpenAI batch,
    an OpenAI fine-tuning file, an export of Langfuse, LiteLLM's spend logs, or OpenRouter's
    activity.

    What is on record already stays as it is. So a second import changes nothing. A row that is
    wrong is named with its line, and the others are taken; the exit status is 1 then.

    \b
    Examples:
      briggs import all.jsonl
      briggs import output.jsonl --requests input.jsonl --tag nightly-batch
      briggs import langfuse-observations.csv
    """
    from briggs.cli.importing.documents import read_rows
    from briggs.cli.importing.sending import Report, Requests, open_reader, send_rows
    from briggs.client import AsyncClient

    report = Report(on_bad=_show_bad())

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            with ExitStack() as stack:
                opened = stack.enter_context(file.open("rb"))
                asked = stack.enter_context(closing(Requests(requests))) if requests else None
                advance = stack.enter_context(_show_progress(file))
                read = open_reader(format, asked=asked, tags=tags)
                await send_rows(client, read_rows(opened, advance), read=read, report=report)

    try:
        asyncio.run(ask())
    finally:
        _print_report(report)
    if report.bad:
        raise click.exceptions.Exit(1)


def _show_bad() -> Callable[[int, str], None]:
    shown = 0

    def show(number: int, problem: str) -> None:
        nonlocal shown
        shown += 1
        if shown <= SHOWN_MAX:
            click.echo(f"Line {number}: {one_line(problem)}", err=True)

    return show


def _print_report(report: Report) -> None:
    if report.bad > SHOWN_MAX:
        click.echo(f"... and {report.bad - SHOWN_MAX} more bad rows.", err=True)
    click.echo(
        f"{report.created} new, {report.unchanged} already on record, {report.bad} bad.", err=True
    )
    for reason, count in report.left_out.items():
        click.echo(f"Left out: {count} {one_line(reason)}.", err=True)


@contextmanager
def _show_progress(file: Path) -> Iterator[Callable[[int], None]]:
    """A progress bar of the file's bytes, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        yield lambda count: progress.advance(task, count)
