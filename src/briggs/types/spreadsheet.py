"""Writes rows of CSV in which no cell is a formula, so that they are safe in spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

# The characters that start a formula in a spreadsheet, including full-width forms:
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write_row(values: Sequence[Any]) -> str:
    """A row, as RFC 4180 has it, with its end of line."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([format_cell(value) for value in values])
    return text.getvalue()


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
