"""Downloads completions into a file, which is complete or does not exist."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from briggs.cli.arguments.filters import change
from briggs.cli.arguments.options import leave_out
from briggs.cli.terminal.columns import Column, read_row
from briggs.cli.terminal.spreadsheet import Sheet
from briggs.cli.terminal.text import printable_json
from briggs.client import AsyncClient, CompletionFilters, StoredCompletion
from briggs.types.json import decode

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class _Details(msgspec.Struct):
    created_at: float


class _Item(msgspec.Struct):
    """A completion, reduced to its time."""

    briggs: _Details


async def download_completions(
    client: AsyncClient,
    *,
    file: Path,
    columns: Sequence[Column] | None = None,
    limit: int | None,
    offset: int = 0,
    filters: CompletionFilters,
) -> int:
    """Write completions to `file` and return their number. `-` is standard output.

    The format is JSON lines, or CSV if `columns` are given.
    """
    count = 0
    ends = await _find_ends(client, filters) if sys.stderr.isatty() else None
    with open_target(file) as target, _show_progress(limit=limit, ends=ends) as advance:
        wanted = None if limit is None else offset + limit
        items = client.completions.download(limit=wanted, **filters)
        write = _open_writer(target, columns)
        async for item in leave_out(items, offset):
            write(item)
            count += 1
            advance(item, count)
    return count


def _open_writer(target: IO[bytes], columns: Sequence[Column] | None) -> Callable[[bytes], object]:
    """A function that writes one completion, given the server's JSON."""
    if columns is None:
        is_terminal = target.isatty()
        return lambda item: target.write((printable_json(item) if is_terminal else item) + b"\n")
    sheet = Sheet(target, [column.member for column in columns])
    return lambda item: sheet.write(read_row(decode(item, StoredCompletion), columns))


@contextmanager
def open_target(file: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears only when it is complete. `-` is standard output."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    # In the same folder, because a rename is atomic only within one file system.
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
        _allow_as_usual(Path(name))
        Path(name).replace(file)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            error.filename = str(file)
        raise


def _allow_as_usual(path: Path) -> None:
    """Give a temporary file the usual permissions under the user's umask."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


async def _find_ends(client: AsyncClient, filters: CompletionFilters) -> tuple[float, float] | None:
    """The times of the first and the last of these completions, in the requested order."""
    order = filters.get("order", "asc")
    bare = change(filters, include=[])
    reverse = change(bare, order="desc" if order == "asc" else "asc")
    first = (await client.completions.list(limit=1, **bare)).data
    last = (await client.completions.list(limit=1, **reverse)).data
    return (first[0].briggs.created_at, last[0].briggs.created_at) if first and last else None


@contextmanager
def _show_progress(
    *, limit: int | None, ends: tuple[float, float] | None
) -> Iterator[Callable[[bytes, int], None]]:
    """A progress bar, if `ends` is known.

    The server does not count all matches. So the bar shows how far in time the download is,
    or how close to `limit`, whichever is further.
    """
    if ends is None:
        yield lambda item, count: None
        return
    columns = (
        TextColumn("{task.fields[count]} completions"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    first, last = ends
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0, count=0)

        def advance(item: bytes, count: int) -> None:
            moment = msgspec.json.decode(item, type=_Item).briggs.created_at
            share = abs(moment - first) / (abs(last - first) or 1.0)
            if limit is not None:
                share = max(share, count / limit)
            progress.update(task, completed=min(share, 1.0), count=count)

        yield advance
