"""Downloads completions into a file, which is complete or does not exist."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from briggs.cli.exporting.progress import find_ends, show_progress
from briggs.cli.exporting.rows import read_items, read_sheet, write_rows
from briggs.cli.terminal.columns import Column
from briggs.client import AsyncClient, CompletionFilters

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


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

    The format is JSON lines as the API lists completions, or CSV if `columns` are given.
    """
    ends = await find_ends(client, filters)
    with open_target(file) as target, show_progress(limit=limit, ends=ends) as advance:
        read = read_items if columns is None else partial(read_sheet, columns=columns)
        rows = read(
            client, filters=filters, limit=limit, offset=offset, is_terminal=target.isatty()
        )
        return (await write_rows(rows, target=target, limit=limit, advance=advance)).rows


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
