"""Follows completions as they start, finish and fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from briggs.cli.arguments.filters import change
from briggs.cli.terminal.text import print_line
from briggs.client import AsyncClient, CompletionFilters, NotFound, StoredCompletion
from briggs.types.json import encode

_OVERLAP_S = 10.0
"""How far back each look reaches, because a row may be written a moment after its time."""
_OVERLAP_OF_ANSWERS_S = 600.0
"""The same if a filter depends on the answer, which may take minutes to arrive."""


async def follow(
    client: AsyncClient, *, filters: CompletionFilters, last: int, interval_s: float
) -> AsyncIterator[StoredCompletion]:
    """Yield the `last` completions, then every new one. One that had started comes again."""
    status = filters.get("status", "any")
    every = change(filters, status="any", order="asc")
    answers = "text" in filters or "provider" in filters
    seen = _Seen(overlap_s=_OVERLAP_OF_ANSWERS_S if answers else _OVERLAP_S)
    newest = client.completions.iterate(limit=max(last, 1), **change(filters, order="desc"))
    known = [item async for item in newest]
    await _note_what_is_there(client, every=every, seen=seen)
    for item in reversed(known[:last]):
        seen.note(item)
        yield item
    while True:
        await asyncio.sleep(interval_s)
        async for item in _look(client, every=every, seen=seen):
            if status in ("any", item.briggs.status):
                yield item


def open_printer(*, as_json: bool) -> Callable[[StoredCompletion], None]:
    """A function that prints one completion, as a line of JSON or as a row of a table."""
    if as_json:
        return _print_json
    from rich.console import Console

    from briggs.cli.terminal.columns import CompletionTable

    console = Console(highlight=False)
    table = CompletionTable(width=console.width)
    console.print(table.table)
    return lambda item: console.print(table.create_row(item))


def _print_json(item: StoredCompletion) -> None:
    print_line(encode(item))


class _Seen:
    """The completions that were seen and their statuses, as far back as a look reaches."""

    def __init__(self, *, overlap_s: float) -> None:
        self._overlap_s = overlap_s
        self._newest = 0.0
        self._statuses: dict[str, tuple[float, str]] = {}

    @property
    def horizon(self) -> float:
        """The time from which the next look must ask."""
        return max(self._newest - self._overlap_s, 0.0)

    def pending(self) -> list[str]:
        """The ids of those that had not ended when they were last seen."""
        return [id for id, (_, status) in self._statuses.items() if status == "started"]

    def note(self, item: StoredCompletion) -> bool:
        """Remember an item. Returns whether it is new or has a new status."""
        details = item.briggs
        before = self._statuses.get(item.id)
        self._newest = max(self._newest, details.created_at)
        self._statuses[item.id] = (details.created_at, details.status)
        return before is None or before[1] != details.status

    def forget(self, id: str) -> None:
        """Drop one that was deleted."""
        del self._statuses[id]

    def forget_old(self) -> None:
        """Drop those that no later look can return."""
        self._statuses = {
            id: (moment, status)
            for id, (moment, status) in self._statuses.items()
            if status == "started" or moment >= self.horizon
        }


async def _note_what_is_there(
    client: AsyncClient, *, every: CompletionFilters, seen: _Seen
) -> None:
    """Note the completions that already exist as seen, and unfinished ones as pending."""
    newest = await client.completions.list(limit=1, **change(every, order="desc"))
    for item in newest.data:
        seen.note(item)
    async for item in client.completions.iterate(**change(every, status="started")):
        seen.note(item)
    if newest.data:
        start = newest.data[0].briggs.created_at
        async for item in client.completions.iterate(**change(every, created_from=seen.horizon)):
            # The first look finds those that came in the meantime.
            if item.briggs.created_at <= start:
                seen.note(item)


async def _look(
    client: AsyncClient, *, every: CompletionFilters, seen: _Seen
) -> AsyncIterator[StoredCompletion]:
    for id in seen.pending():
        item = await _retrieve(client, id)
        if item is None:
            seen.forget(id)
        elif seen.note(item):
            yield item
    since = max(seen.horizon, every.get("created_from", 0.0))
    async for item in client.completions.iterate(**change(every, created_from=since)):
        if seen.note(item):
            yield item
    seen.forget_old()


async def _retrieve(client: AsyncClient, id: str) -> StoredCompletion | None:
    try:
        return await client.completions.retrieve(id, include=["request"])
    except NotFound:
        return None  # It was deleted while we watched.
