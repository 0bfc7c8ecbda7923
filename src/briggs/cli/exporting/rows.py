"""What an export writes for each completion, read from the server page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import IO, Any, NamedTuple, TypeVar, cast

import msgspec

from briggs.cli.arguments.options import leave_out
from briggs.cli.exporting.progress import Advance
from briggs.cli.terminal.columns import Column
from briggs.cli.terminal.text import printable_json
from briggs.client import AsyncClient, CompletionFilters, StoredCompletion
from briggs.client.completions import ExportedLine
from briggs.types.json import decode
from briggs.types.spreadsheet import write_row
from briggs.types.texts import printable

Place = TypeVar("Place", bound=msgspec.Struct)


class ExportRow(NamedTuple):
    """What is written for one completion, and the completion's place."""

    data: bytes
    """With its end of line. Empty if nothing is written for this completion."""
    id: str
    """The completion's id. Empty for a line that is about something else."""
    created_at: float
    left_out: str = ""
    """Why nothing is written."""
    size: int = 1
    """How many rows it is."""


class Written(NamedTuple):
    """What an export wrote."""

    rows: int
    left_out: dict[str, int]
    """How many completions were left out, by the reason."""


async def write_rows(
    rows: AsyncIterator[ExportRow],
    *,
    target: IO[bytes],
    limit: int | None,
    advance: Advance,
    save: Callable[[ExportRow, int], None] = lambda row, count: None,
    count: int = 0,
) -> Written:
    """Write rows until there are `limit`. `count` is how many there are already.

    `save` is called after each completion.
    """
    left_out: dict[str, int] = {}
    async with aclosing(cast("AsyncGenerator[ExportRow]", rows)):
        while limit is None or count < limit:
            row = await anext(rows, None)
            if row is None:
                break
            target.write(row.data)
            if row.left_out:
                left_out[row.left_out] = left_out.get(row.left_out, 0) + 1
            elif row.id:
                count += row.size
            if row.id:
                save(row, count)
                advance(row.created_at, count)
    return Written(count, left_out)


async def read_records(
    client: AsyncClient,
    *,
    filters: CompletionFilters,
    after: str,
    feedback: bool,
    is_terminal: bool,
) -> AsyncIterator[ExportRow]:
    """Lines that `briggs import` reads back as the same record."""
    async for line in client.completions.export(after=after, feedback=feedback, **filters):
        of = _read_place(line, ExportedLine)
        shown = printable_json(line) if is_terminal else line
        yield ExportRow(shown + b"\n", of.id if of.is_completion else "", of.created_at)


async def read_items(
    client: AsyncClient,
    *,
    filters: CompletionFilters,
    limit: int | None,
    offset: int,
    is_terminal: bool,
) -> AsyncIterator[ExportRow]:
    """Lines as the API lists completions, without the first `offset`."""
    wanted = None if limit is None else limit + offset
    async for line in leave_out(client.completions.download(limit=wanted, **filters), offset):
        of = _read_place(line, _Item)
        shown = printable_json(line) if is_terminal else line
        yield ExportRow(shown + b"\n", of.id, of.briggs.created_at)


async def read_sheet(
    client: AsyncClient,
    *,
    filters: CompletionFilters,
    columns: Sequence[Column],
    limit: int | None,
    after: str = "",
    offset: int = 0,
    is_terminal: bool,
) -> AsyncIterator[ExportRow]:
    """Rows of CSV, after a header unless the sheet goes on after a completion."""

    def encode(values: Sequence[Any]) -> bytes:
        # Control characters would steer a terminal. A file keeps every character.
        text = write_row(values)
        return (printable(text) if is_terminal else text).encode("utf-8", "replace")

    if not after:
        yield ExportRow(encode([column.member for column in columns]), "", 0.0)
    wanted = None if limit is None else limit + offset
    listed = client.completions.download(limit=wanted, after=after, **filters)
    async for line in leave_out(listed, offset):
        item = decode(line, StoredCompletion)
        values = [column.read(item) for column in columns]
        yield ExportRow(encode(values), item.id, item.briggs.created_at)


def _read_place(line: bytes, type: type[Place]) -> Place:
    """What says which completion a line is about. The line may have lone surrogates."""
    try:
        return msgspec.json.decode(line, type=type)
    except (msgspec.DecodeError, RecursionError):
        return decode(line, type)


class _Details(msgspec.Struct):
    created_at: float


class _Item(msgspec.Struct):
    """A completion, reduced to its place."""

    id: str
    briggs: _Details
