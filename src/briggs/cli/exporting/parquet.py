"""Writes the lines of an export as Parquet, a part of the file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from briggs.types.completions import Completion
from briggs.types.record_columns import (
    BODIES,
    FLOATS,
    INTEGERS,
    JSON,
    LISTS,
    TEXTS,
    encode,
    write_columns,
)
from briggs.types.record_lines import COMPLETION, read_members, to_completion

ROWS = 1_000
BYTES = 32 * 1024 * 1024
"""A part of the file has at most so many rows, and about so many bytes of bodies."""


def import_pyarrow() -> Any:
    """The package that writes Parquet. Raises `click.ClickException` if it is not installed."""
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Parquet needs {error.name}. Install it with: pip install 'briggs[parquet]'"
        ) from error
    return pyarrow


def write_parquet(lines: Path, *, feedback: bool) -> Path:
    """Write a file of lines as Parquet beside it. Returns the new file."""
    pyarrow = import_pyarrow()
    schema = _create_schema(pyarrow, feedback=feedback)
    target = lines.with_name(f"{lines.name}.parquet")
    try:
        with pyarrow.parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            for rows in _read_groups(lines, feedback=feedback):
                writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _create_schema(pyarrow: Any, *, feedback: bool) -> Any:
    text, whole, real = pyarrow.string(), pyarrow.int64(), pyarrow.float64()
    return pyarrow.schema(
        [
            ("created_at", pyarrow.timestamp("us", tz="UTC")),
            *((name, text) for name in TEXTS),
            ("stream", pyarrow.bool_()),
            *((name, whole) for name in INTEGERS),
            *((name, real) for name in FLOATS),
            *((name, pyarrow.list_(text)) for name in LISTS),
            *((name, text) for name in (*JSON, *BODIES)),
            *([("feedback", text)] if feedback else []),
        ]
    )


def _read_groups(lines: Path, *, feedback: bool) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    size = 0
    with lines.open("rb") as opened:
        for line in opened:
            said = read_members(line)
            if said.get("object") != COMPLETION:
                continue
            rows.append(
                _write_row(to_completion(said, organization_id=""), said, feedback=feedback)
            )
            size += len(line)
            if len(rows) >= ROWS or size >= BYTES:
                yield rows
                rows, size = [], 0
    if rows:
        yield rows


def _write_row(completion: Completion, said: dict[str, Any], *, feedback: bool) -> dict[str, Any]:
    row = write_columns(completion)
    for name in BODIES:
        body = getattr(completion, name)
        row[name] = None if body is None else body.decode("utf-8", "backslashreplace")
    if feedback:
        row["feedback"] = encode(said.get("feedback") or [])
    return row
