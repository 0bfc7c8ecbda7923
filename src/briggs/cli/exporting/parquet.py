"""Writes the lines of an export as Parquet, a part of the file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.record_lines import COMPLETION, read_members, to_completion

ROWS = 1_000
BYTES = 32 * 1024 * 1024
"""A part of the file has at most so many rows, and about so many bytes of bodies."""

_TEXTS = (
    *("id", "status", "kind", "source", "provider", "model", "response_model", "response_id"),
    *("system_fingerprint", "session_id", "user", "usage_source", "price_source", "key_id"),
    *("retry_of", "failure_kind", "failure_reason"),
)
_INTEGERS = (
    *("seed", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "retry_count", "http_status"),
)
_FLOATS = ("cost_usd", "duration_ms", "first_token_ms", "caller_left_ms", "p_mean", "p_least")
_LISTS = ("tags", "finish_reasons", "violates", "dropped")
_JSON = ("metadata", "attempts", "fixes", "call_site")
_BODIES = ("request", "response", "received")


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
            *((name, text) for name in _TEXTS),
            ("stream", pyarrow.bool_()),
            *((name, whole) for name in _INTEGERS),
            *((name, real) for name in _FLOATS),
            *((name, pyarrow.list_(text)) for name in _LISTS),
            *((name, text) for name in (*_JSON, *_BODIES)),
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
    plain = ("created_at", "stream", *_FLOATS)
    row: dict[str, Any] = {name: getattr(completion, name) for name in plain}
    row |= {name: _fit_integer(getattr(completion, name)) for name in _INTEGERS}
    row |= {name: _fit(getattr(completion, name)) for name in _TEXTS}
    row |= {name: [_fit(each) for each in getattr(completion, name)] for name in _LISTS}
    row |= {name: _encode(getattr(completion, name)) for name in _JSON}
    for name in _BODIES:
        body = getattr(completion, name)
        row[name] = None if body is None else body.decode("utf-8", "backslashreplace")
    if feedback:
        row["feedback"] = _encode(said.get("feedback") or [])
    return row


def _encode(value: Any) -> str:
    return json.encode(value).decode("utf-8", "replace")


def _fit(text: str | None) -> str | None:
    """A text without halves of characters, which UTF-8 cannot express."""
    return None if text is None else text.encode("utf-8", "replace").decode()


def _fit_integer(value: int | None) -> int | None:
    """A whole number of 64 bits. None for a larger one, such as some callers' seeds."""
    return value if value is not None and -(2**63) <= value < 2**63 else None
