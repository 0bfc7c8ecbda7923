"""`briggs lake`: brings old completions to tables that any engine reads, and queries them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.record import record_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.lake.queries import Answered
    from briggs.settings import Settings

POLL_S = 0.5
TABLE_ROWS = 1_000
"""The rows of a table, whose columns are as wide as the widest of them."""


@click.group(cls=Group)
def lake() -> None:
    """Old completions, in Apache Iceberg tables that DuckDB, Spark, Trino and others read.

    The server brings them there by itself, as [lake] in briggs.toml says.
    """


@lake.command()
@server_options
def archive(server: Address) -> None:
    """Bring what is old enough to the lake now, and delete there what was deleted or is too old.

    Ctrl-C ends only the waiting.

    \b
    Examples:
      briggs lake archive
    """
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            now = await client.lake.archive()
            while now.is_running:
                await asyncio.sleep(POLL_S)
                now = (await client.lake.retrieve()).round
        print_line(f"archived {now.archived:>12,}".encode())
        print_line(f"deleted  {now.deleted:>12,}  from the record".encode())
        print_line(f"deleted  {now.forgotten:>12,}  from the lake".encode())
        print_line(f"emptied  {now.emptied:>12,}  in the lake, as [retention] says".encode())

    asyncio.run(ask())


@lake.command()
@server_options
def compact(server: Address) -> None:
    """Write the small files of each day together, so that engines have fewer files to open.

    The server does it by itself for a day with 8 small files or more. The old files are deleted an
    hour later. Ctrl-C ends only the waiting.

    \b
    Examples:
      briggs lake compact
    """
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            now = await client.lake.compact()
            while now.is_running:
                await asyncio.sleep(POLL_S)
                now = (await client.lake.retrieve()).compaction
        print_line(f"files {now.files:>15,} -> {now.written:,}".encode())
        print_line(f"bytes {now.bytes_before:>15,} -> {now.bytes_after:,}".encode())

    asyncio.run(ask())


@lake.command()
@server_options
def status(server: Address) -> None:
    """Show what is in the lake, up to when, and what is not there yet.

    \b
    Examples:
      briggs lake status
    """
    from briggs.client import AsyncClient
    from briggs.types.times import iso

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            now = await client.lake.retrieve()
        until = "-" if now.archived_until is None else iso(round(now.archived_until * 1e6))
        lines = {
            "completions": f"{now.completions:,}",
            "files": f"{now.files:,}",
            "small_files": f"{now.small_files:,}",
            "bytes": f"{now.bytes:,}",
            "until": until,
            "waiting": f"{now.waiting:,}",
            "deletions": f"{now.deletions:,}",
            "metadata": now.metadata or "-",
        }
        for name, value in lines.items():
            print_line(f"{name:<12} {value}".encode())

    asyncio.run(ask())


@lake.command()
@click.argument("sql")
@click.option(
    "--format",
    "format",
    type=click.Choice(("table", "csv", "jsonl")),
    help="How to print it.  [default: table on a terminal, else jsonl]",
)
@record_options
def query(sql: str, format: str | None, settings: Settings) -> None:
    """Ask the lake in DuckDB's SQL. The table is completions.

    It reads the files that [lake] in briggs.toml names, of all organizations, without the server.
    The query can change nothing and reach no other file.

    \b
    Examples:
      briggs lake query "SELECT model, count(*) FROM completions GROUP BY 1"
      briggs lake query "SELECT id, decode(request) FROM completions LIMIT 3" --format jsonl
    """
    from briggs.lake.lake import open_warehouse
    from briggs.lake.queries import answer

    warehouse = open_warehouse(settings)
    try:
        answered = answer(warehouse, sql)
        chosen = format or ("table" if sys.stdout.isatty() else "jsonl")
        if chosen == "table":
            _print_table(answered)
        else:
            _print_rows(answered, is_csv=chosen == "csv")
    finally:
        warehouse.close()


def _print_rows(answered: Answered, *, is_csv: bool) -> None:
    from briggs.types import json
    from briggs.types.spreadsheet import write_row

    def write(row: Any) -> None:
        if is_csv:
            sys.stdout.buffer.write(write_row(row).encode(errors="replace"))
        else:
            print_line(json.encode(dict(zip(answered.columns, row, strict=True))))

    if is_csv:
        write(answered.columns)
    for row in answered.rows:
        write(row)


def _print_table(answered: Answered) -> None:
    from itertools import islice

    from rich.console import Console

    from briggs.cli.terminal.tables import create_table
    from briggs.types.spreadsheet import format_cell
    from briggs.types.texts import one_line

    table = create_table()
    for name in answered.columns:
        table.add_column(one_line(name))
    for row in islice(answered.rows, TABLE_ROWS):
        table.add_row(*(one_line(format_cell(value)) for value in row))
    Console().print(table, markup=False)
    if next(answered.rows, None) is not None:
        click.echo(f"Only the first {TABLE_ROWS:,} rows: use --format jsonl for all.", err=True)
