"""The progress bar of an export, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from briggs.cli.arguments.filters import change
from briggs.client import AsyncClient, CompletionFilters

Advance = Callable[[float, int], None]
"""Told the time of a completion, in Unix seconds, and how many there are so far."""


async def find_ends(client: AsyncClient, filters: CompletionFilters) -> tuple[float, float] | None:
    """The times of the first and the last of these completions, in the requested order.

    None if there is no terminal to show them on.
    """
    if not sys.stderr.isatty():
        return None
    order = filters.get("order", "asc")
    bare = change(filters, include=[])
    reverse = change(bare, order="desc" if order == "asc" else "asc")
    first = (await client.completions.list(limit=1, **bare)).data
    last = (await client.completions.list(limit=1, **reverse)).data
    return (first[0].briggs.created_at, last[0].briggs.created_at) if first and last else None


@contextmanager
def show_progress(*, limit: int | None, ends: tuple[float, float] | None) -> Iterator[Advance]:
    """A progress bar, if `ends` is known.

    The server does not count all matches. So the bar shows how far in time the export is,
    or how close to `limit`, whichever is further.
    """
    if ends is None:
        yield lambda moment, count: None
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

        def advance(moment: float, count: int) -> None:
            share = abs(moment - first) / (abs(last - first) or 1.0)
            if limit is not None:
                share = max(share, count / limit)
            progress.update(task, completed=min(share, 1.0), count=count)

        yield advance
