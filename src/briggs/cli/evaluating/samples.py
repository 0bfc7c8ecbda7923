"""Reads the samples of a file: JSON lines, a list in JSON, CSV, or Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from briggs.cli.exporting.parquet import import_pyarrow
from briggs.cli.importing.documents import read_rows
from briggs.types.datasets import DATASET_BYTES_MAX, NAME_LENGTH_MAX, SAMPLES_MAX

_BATCH_ROWS = 256


def read_file(file: Path) -> list[dict[str, Any]]:
    """The rows of a file, as the API takes them. Raises `click.ClickException`."""
    size = file.stat().st_size
    if size > DATASET_BYTES_MAX:
        raise click.ClickException(
            f"{file} has {size:,} bytes, and a dataset has at most {DATASET_BYTES_MAX:,}: split it"
        )
    rows: list[dict[str, Any]] = []
    for row in _read_parquet(file) if _is_parquet(file) else _read_text(file):
        rows.append(row)
        if len(rows) > SAMPLES_MAX:
            raise click.ClickException(f"{file} has more than {SAMPLES_MAX:,} samples: split it")
    if not rows:
        raise click.ClickException(
            f"{file} has no samples: write JSON lines, a list in JSON, CSV with a line of names, "
            "or Parquet"
        )
    return rows


def name_file(file: Path) -> str:
    """The name of the dataset that a file becomes."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip(".-_")
    return name[:NAME_LENGTH_MAX] or "samples"


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"PAR1"


def _read_text(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as opened:
        for row in read_rows(opened, lambda _: None):
            if row.problem:
                raise click.ClickException(f"{file}, line {row.line}: {row.problem}")
            try:
                yield row.decode()
            except ValueError as error:
                raise click.ClickException(f"{file}, line {row.line}: {error}") from error


def _read_parquet(file: Path) -> Iterator[dict[str, Any]]:
    pyarrow = import_pyarrow()
    try:
        with pyarrow.parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    yield _drop_missing(row)
    except pyarrow.ArrowException as error:
        raise click.ClickException(f"{file} is not Parquet: {error}") from error


def _drop_missing(value: Any) -> Any:
    """A value without null members: in Parquet each object has the members of all others."""
    if isinstance(value, dict):
        return {name: _drop_missing(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_drop_missing(each) for each in value]
    return value
