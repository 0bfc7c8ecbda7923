"""Sends rows to the server in batches, and counts what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from briggs.cli.importing.documents import ROW_BYTES_MAX, FileRow
from briggs.client import AsyncClient, ImportOutcome, Refused
from briggs.types import json
from briggs.types.record_lines import OBJECTS
from briggs.wires.logs import FORMATS, NotACall, find_format
from briggs.wires.logs.openai import add_request, read_name

LINES = 500
BYTES = 4 * 1024 * 1024
"""A batch has at most so many lines, and about so many bytes."""
_TOO_LARGE = 413
BRIGGS = "briggs"
"""The format of our own exports."""
REVIEWER = "import"
"""Who prefers an answer, in a file that does not say."""


class Line(NamedTuple):
    """A line for the server, and the line of the file that it comes from."""

    number: int
    data: bytes
    preferred_to: int = 0
    """How many lines further the answer is to which this one is preferred. 0 for none."""


class Report(msgspec.Struct):
    """What became of the rows of a file."""

    created: int = 0
    unchanged: int = 0
    left_out: dict[str, int] = {}
    bad: int = 0
    on_bad: Callable[[int, str], None] = lambda number, problem: None

    def refuse(self, number: int, problem: str) -> None:
        """Count a bad row, and tell of it."""
        self.bad += 1
        self.on_bad(number, problem)

    def leave_out(self, reason: str) -> None:
        """Count a row that is no call."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


async def send_rows(
    client: AsyncClient,
    rows: Iterable[FileRow],
    *,
    read: Callable[[FileRow], list[Line]],
    report: Report,
) -> None:
    """Send the rows of a file, in the order of the file. What became of each is in `report`."""
    batch: list[Line] = []
    for row in rows:
        batch += _read(row, read, report)
        if len(batch) >= LINES or sum(len(line.data) for line in batch) >= BYTES:
            await _send(client, batch, report)
            batch = []
    if batch:
        await _send(client, batch, report)


def _read(row: FileRow, read: Callable[[FileRow], list[Line]], report: Report) -> list[Line]:
    try:
        if row.problem:
            raise ValueError(row.problem)
        return read(row)
    except NotACall as reason:
        report.leave_out(str(reason))
    except ValueError as problem:
        report.refuse(row.line, str(problem))
    return []


def open_reader(
    format: str | None, *, asked: Requests | None, tags: Sequence[str]
) -> Callable[[FileRow], list[Line]]:
    """What turns a row into lines for the server. Without a format, the first row decides it."""
    known = None if format in (None, BRIGGS) else FORMATS[str(format)]

    def read(row: FileRow) -> list[Line]:
        nonlocal known
        value = row.decode()
        if format == BRIGGS or (known is None and value.get("object") in OBJECTS):
            return [Line(row.line, row.raw)]
        if known is None:
            known = find_format(value)
        if known is None:
            raise click.ClickException(
                f"line {row.line}: the format is not known: name it with --format"
            )
        if asked is not None:
            add_request(value, asked.find)
        return list(_write_calls(row.line, known.read(value), tags=tags))

    return read


def _write_calls(number: int, calls: Iterable[Any], *, tags: Sequence[str]) -> Iterator[Line]:
    for call in calls:
        preferred_to = call.pop("preferred_to", 0)
        if tags:
            call["tags"] = list(dict.fromkeys([*call.get("tags", ()), *tags]))
        yield Line(number, json.encode(call), preferred_to)


async def _send(client: AsyncClient, batch: Sequence[Line], report: Report) -> None:
    try:
        outcomes = await client.completions.import_lines([line.data for line in batch])
    except Refused as error:
        if error.status != _TOO_LARGE:
            raise
        if len(batch) == 1:
            report.refuse(batch[0].number, "it is larger than the server takes")
            return
        # Only one of them may be too large. The answers of a preference may be parted here: it
        # is left out then.
        middle = len(batch) // 2
        await _send(client, batch[:middle], report)
        await _send(client, batch[middle:], report)
        return
    for line, outcome in zip(batch, outcomes, strict=True):
        if outcome.error is not None:
            report.refuse(line.number, outcome.error)
        elif outcome.is_new:
            report.created += 1
        else:
            report.unchanged += 1
    for place, line in enumerate(batch):
        if line.preferred_to and place + line.preferred_to < len(batch):
            await _prefer(client, outcomes[place], outcomes[place + line.preferred_to])


async def _prefer(client: AsyncClient, best: ImportOutcome, other: ImportOutcome) -> None:
    if best.error is None and other.error is None and (best.is_new or other.is_new):
        await client.preferences.create([best.id, other.id], best.id, reviewer=REVIEWER)


class Requests:
    """The input of a batch: where the line of each request is in the file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._places: dict[str, int] = {}
        place = 0
        while line := self._file.readline(ROW_BYTES_MAX):
            if (name := read_name(line)) is not None:
                self._places[name] = place
            place += len(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def find(self, name: str) -> bytes | None:
        """The line of this request."""
        if name not in self._places:
            return None
        self._file.seek(self._places[name])
        return self._file.readline()
