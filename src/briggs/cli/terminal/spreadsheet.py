"""Writes CSV in which no cell is a formula, so that it is safe in spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from briggs.types.texts import printable

# The characters that start a formula in a spreadsheet, including full-width forms:
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Sheet:
    """Writes a header and then rows, as RFC 4180 and UTF-8."""

    def __init__(self, target: IO[bytes], columns: Sequence[str]) -> None:
        self._target = target
        self._columns = columns
        # Control characters would steer a terminal. A file keeps every character.
        self._is_terminal = target.isatty()
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer)
        self.write({name: name for name in columns})

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row. A missing column becomes an empty cell."""
        self._writer.writerow([format_cell(row.get(name)) for name in self._columns])
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
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


def format_cell(value: Any) -> str:
    """A value as a cell. Text that would be a formula gets a `'`. Numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if value.startswith(_FORMULA) else value
