"""CSV has no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from briggs.cli.terminal.spreadsheet import Sheet, is_csv
from briggs.types.spreadsheet import format_cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])
def test_no_cell_is_a_formula(start: str) -> None:
    """Text that begins like a formula gets an apostrophe, also in a list."""
    text = f'{start}HYPERLINK("http://x")'
    assert format_cell(text) == f"'{text}"
    assert format_cell([text, "b"]) == f"'{text}, b"


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (-0.5, "-0.5"), (3, "3"), (True, "true"), ("a=b", "a=b"), ([], ""),
     (["a", "b"], "a, b"), ({"a": 1}, '{"a": 1}'), ([1], "[1]")],
)  # fmt: skip
def test_values_as_cells(value: Any, cell: str) -> None:
    """Numbers stay numbers, lists of texts are joined, and other values are JSON."""
    assert format_cell(value) == cell


def test_what_is_written_is_read_again() -> None:
    """Quotes, commas, line breaks and other scripts are kept. A lone surrogate does no harm."""
    target = io.BytesIO()
    sheet = Sheet(target, ["a", "b"])
    sheet.write({"a": 'say "hi", twice\nor more', "b": "日本 🎉"})
    sheet.write({"b": "\ud83d"})
    rows = list(csv.reader(io.StringIO(target.getvalue().decode(), newline="")))
    assert rows == [["a", "b"], ['say "hi", twice\nor more', "日本 🎉"], ["", "?"]]


def test_the_name_of_a_file_says_csv() -> None:
    """`.csv` in any case, or the option."""
    assert is_csv(Path("x.CSV"), as_csv=False)
    assert is_csv(Path("-"), as_csv=True)
    assert not is_csv(Path("x.jsonl"), as_csv=False)
