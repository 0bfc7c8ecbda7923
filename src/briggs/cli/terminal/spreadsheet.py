"""Writes CSV to a file or to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from briggs.types.spreadsheet import write_row
from briggs.types.texts import printable


class Sheet:
    """Writes a header and then rows, as RFC 4180 and UTF-8."""

    def __init__(self, target: IO[bytes], columns: Sequence[str]) -> None:
        self._target = target
        self._columns = columns
        # Control characters would steer a terminal. A file keeps every character.
        self._is_terminal = target.isatty()
        self.write({name: name for name in columns})

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row. A missing column becomes an empty cell."""
        text = write_row([row.get(name) for name in self._columns])
        if self._is_terminal:
            text = printable(text)
        self._target.write(text.encode("utf-8", "replace"))


def is_csv(file: Path, *, as_csv: bool) -> bool:
    """Whether to write a file as CSV, by the option or by the end of its name."""
    return as_csv or file.suffix.lower() == ".csv"


def open_sheet(columns: Sequence[str]) -> Sheet:
    """A sheet on standard output."""
    return Sheet(sys.stdout.buffer, columns)


def write_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to standard output."""
    sheet = open_sheet(columns)
    for row in rows:
        sheet.write(row)
