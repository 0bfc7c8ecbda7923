"""`briggs completions`: list, get, delete, download and tail recorded completions."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all, delete_matching
from briggs.cli.arguments.filters import change, filter_options
from briggs.cli.arguments.finding import END_LENGTH_MIN
from briggs.cli.arguments.options import (
    csv_options,
    file_argument,
    form_options,
    id_argument,
    leave_out,
    limit_option,
    offset_option,
)
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address
from briggs.types.texts import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from briggs.client import AsyncClient, CompletionFilters, StoredCompletion
    from briggs.client.completions import Include

FEEDBACK_MAX = 100
"""The most feedback that is shown for one completion."""

_ID_LENGTH = 36
_ID_CHARACTERS = "0123456789abcdef-"


@click.group(cls=Group)
def completions() -> None:
    """List and show recorded calls, including those that failed.

    `list` and `tail` print a table on a terminal and JSON lines in a pipe. Each line is
    OpenAI's chat completion object. Its member `briggs` has the details of the call: status,
    provider, tokens, cost, duration, tags, failure, and the request.

    For the newest 1,000 completions, the end of an ID is enough: at least 4 characters, such
    as the 8 that the tables show.
    """


@completions.command(name="list")
@filter_options(status="any", order="desc")
@click.option("--archived", is_flag=True, help="List the lake, which knows fewer filters.")
@limit_option(20)
@offset_option
@csv_options
@form_options
@server_options
def list_completions(
    limit: int,
    offset: int,
    filters: CompletionFilters,
    archived: bool,
    as_csv: bool,
    columns: list[str] | None,
    is_pretty: bool,
    server: Address,
) -> None:
    """List completions, newest first.

    The marks in the table are: `✓` finished, `!` finished but cut off (by its length or a
    content filter), `✗` failed, `…` not finished yet, `↻` retried.

    \b
    Examples:
      briggs completions list --tag billing --from 2h
      briggs completions list --status failed --from 7d --limit 100
      briggs completions list --finish-reason length --cost-usd-min 0.01
      briggs completions list --metadata customer=42 --text refund
      briggs completions list --columns time,id,user,cost,first
      briggs completions list --limit 1000 --csv > completions.csv
    """
    from briggs.cli.terminal.columns import COLUMNS, print_completions, read_columns, read_row
    from briggs.cli.terminal.spreadsheet import open_sheet
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    chosen = read_columns(columns or [])
    filters = change(filters, archived=True) if archived else filters
    found: list[StoredCompletion] = []
    sheet = open_sheet([each.member for each in chosen or COLUMNS]) if as_csv else None

    async def ask() -> str:
        async with AsyncClient(server.url, server.api_key) as client:
            listed = client.completions.iterate(
                limit=offset + limit, **change(filters, include=["request"])
            )
            async for item in leave_out(listed, offset):
                if sheet:
                    sheet.write(read_row(item, chosen or COLUMNS))
                elif is_pretty:
                    found.append(item)
                else:
                    print_line(encode(item))
            counts = bool(found) and not sheet and not archived
            return await _count(client, filters) if counts else ""

    total = asyncio.run(ask())
    if is_pretty and not sheet:
        print_completions(found, total=total, columns=chosen, text=filters.get("text", ""))


@completions.command()
@id_argument
@click.option(
    "--logprobs", is_flag=True, help="Show the tokens with probabilities and alternatives."
)
@click.option("--raw", is_flag=True, help="Print only the bytes that the upstream sent.")
@form_options
@server_options
def get(id: str, logprobs: bool, raw: bool, is_pretty: bool, server: Address) -> None:
    """Show the completion ID: messages, answer, tokens, times, mended fields, feedback.

    ID is Briggs's id, the end of it, or the upstream's id (`chatcmpl-...`). In a pipe, the
    record is one line of JSON, unless `--pretty` is given.

    \b
    Examples:
      briggs completions get 7f3a91c2
      briggs completions get 7f3a91c2 --logprobs
      briggs completions get 7f3a91c2 --raw > answer.sse
      briggs completions get chatcmpl-B9MHDbslfk --json | jq .briggs.request
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            if raw:
                found = await find_completion(client, id, include=[])
                _print_raw(await client.completions.retrieve_received(found.id))
                return
            if not is_pretty:
                print_line(encode(await find_completion(client, id)))
                return
            from briggs.cli.terminal.cards import print_completion

            item = await find_completion(client, id, include=["request", "received"])
            feedback = client.feedback.iterate(limit=FEEDBACK_MAX, completion_id=item.id)
            print_completion(item, feedback=[each async for each in feedback], logprobs=logprobs)

    asyncio.run(ask())


def _print_raw(received: bytes) -> None:
    """Print bytes unchanged. On a terminal, replace control characters."""
    if sys.stdout.isatty():
        click.echo(printable(received.decode("utf-8", "replace")))
    else:
        click.echo(received, nl=False)


@completions.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@filter_options(status="any")
@click.option("--all", "everything", is_flag=True, help="Delete all completions.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Required in a pipe.")
@server_options
def delete(
    ids: tuple[str, ...],
    filters: CompletionFilters,
    everything: bool,
    yes: bool,
    server: Address,
) -> None:
    """Delete completions for good, with their requests, answers and feedback.

    Give IDs, or filters that select them, or --all. If an ID is not found, nothing is deleted.

    \b
    Examples:
      briggs completions delete 7f3a91c2
      briggs completions delete --user bob --yes
      briggs completions delete --filter 'tag = test and cost_usd < 0.01'
    """
    selects = filters != {"status": "any"}
    if bool(ids) + selects + everything != 1:
        raise click.UsageError("give IDs, or filters such as --user, or --all: one of the three")
    if not ids:
        delete_matching(filters, yes=yes, server=server)
        return
    delete_all(
        ids,
        yes=yes,
        server=server,
        find=find_completion,
        delete=lambda client, id: client.completions.delete(id),
    )


@completions.command()
@file_argument
@filter_options(status="finished", order="asc")
@limit_option(None)
@offset_option
@csv_options
@server_options
def download(
    file: Path,
    limit: int | None,
    offset: int,
    filters: CompletionFilters,
    as_csv: bool,
    columns: list[str] | None,
    server: Address,
) -> None:
    """Download completions to FILE as JSON lines, oldest first.

    Without FILE, or with `-`, they go to standard output. With `--csv`, or if FILE ends in
    `.csv`, each completion is a row of CSV. Text that a spreadsheet would run as a formula
    gets a `'` in front.

    FILE is created or replaced only when the download is complete. If it fails, the old file
    stays. A terminal shows a progress bar.

    \b
    Examples:
      briggs completions download all.jsonl
      briggs completions download week.csv --from 7d --tag billing
      briggs completions download - --model openai/gpt-5 | gzip > gpt-5.jsonl.gz
    """
    from briggs.cli.download import download_completions
    from briggs.cli.terminal.columns import COLUMNS, read_columns
    from briggs.cli.terminal.spreadsheet import is_csv
    from briggs.client import AsyncClient

    chosen = read_columns(columns or []) or COLUMNS
    if columns and not is_csv(file, as_csv=as_csv):
        raise click.UsageError("--columns works only for CSV: add --csv, or end FILE in .csv")

    async def ask() -> int:
        async with AsyncClient(server.url, server.api_key) as client:
            return await download_completions(
                client,
                file=file,
                columns=chosen if is_csv(file, as_csv=as_csv) else None,
                limit=limit,
                offset=offset,
                filters=change(filters, include=["request"]),
            )

    count = asyncio.run(ask())
    click.echo(f"{count} completions{'' if str(file) == '-' else f' in {file}'}.", err=True)


@completions.command()
@filter_options(status="any")
@limit_option(None)
@click.option(
    "--last",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="COUNT",
    help="First show this many that already exist.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
@form_options
@server_options
def tail(
    limit: int | None,
    filters: CompletionFilters,
    last: int,
    interval: float,
    is_pretty: bool,
    server: Address,
) -> None:
    """Show new completions until Ctrl-C, or until --limit lines were shown.

    A call that takes longer than the interval is shown twice: when it has started (`…`), and
    when it has finished (`✓`) or failed (`✗`).

    \b
    Examples:
      briggs completions tail
      briggs completions tail --tag billing --status failed
      briggs completions tail --last 0 | jq -r .briggs.failure_reason
    """
    from briggs.cli.tail import follow, open_printer
    from briggs.client import AsyncClient

    async def ask() -> None:
        show = open_printer(as_json=not is_pretty)
        left = limit
        async with AsyncClient(server.url, server.api_key) as client:
            async for item in follow(
                client, filters=change(filters, include=["request"]), last=last, interval_s=interval
            ):
                show(item)
                left = None if left is None else left - 1
                if left == 0:
                    return

    try:
        asyncio.run(ask())
    except KeyboardInterrupt:
        # Ctrl-C is the normal way to stop watching.
        return


async def _count(client: AsyncClient, filters: CompletionFilters) -> str:
    """How many match, in words."""
    found = await client.completions.count(**filters)
    if found.count_is_exact:
        return f"{found.count:,}"
    return f"more than {found.count:,}" if found.count >= 10_000 else f"at least {found.count:,}"


async def find_completion(
    client: AsyncClient, id: str, *, include: Sequence[Include] = ("request",)
) -> StoredCompletion:
    """The completion with this id, or the one of the newest 1,000 whose id ends with it.

    Raises `NotFound`, or `click.ClickException` if several ids end with it, or if it may be
    another part of an id.
    """
    from briggs.client import NotFound

    if not id:
        # The address without an id is the list's.
        raise click.ClickException("There is no completion without an id: give one.")
    try:
        return await client.completions.retrieve(id, include=include)
    except NotFound:
        found = await _find_ids(client, end=id.lower()) if len(id) >= END_LENGTH_MIN else []
        if not found and (len(id) >= _ID_LENGTH or id.strip(_ID_CHARACTERS)):
            raise
    if not found:
        raise click.ClickException(
            f"There is no completion '{id}'. Give the whole ID, or at least {END_LENGTH_MIN} "
            "characters of its end."
        )
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} ids end with {id}: {', '.join(found)}")
    return await client.completions.retrieve(found[0], include=include)


async def _find_ids(client: AsyncClient, *, end: str) -> list[str]:
    """The ids with this end, on the newest page that has one."""
    after = None
    for _ in range(10):
        page = await client.completions.list(limit=100, after=after, order="desc", status="any")
        found = [item.id for item in page.data if item.id.endswith(end)]
        if found or not page.has_more:
            return found
        after = page.last_id
    return []
