"""Answers SQL over the lake, through DuckDB, which can reach nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from briggs.lake.reading import open_duckdb
from briggs.lake.warehouse import NAME, Warehouse, explain, find_schema
from briggs.types.errors import InvalidRequest

ROWS_AT_ONCE = 100


class Answered(NamedTuple):
    """The answer to a question in SQL."""

    columns: Sequence[str]
    rows: Iterator[Sequence[Any]]
    """Each is as long as `columns`. Times are texts, and bytes are texts where they are UTF-8."""


def answer(warehouse: Warehouse, sql: str) -> Answered:
    """Run one SELECT over the table `completions`. Raises `InvalidRequest`, `LakeUnavailable`."""
    table = warehouse.read() or warehouse.open()
    connection = open_duckdb()
    with explain("be read"):
        files = warehouse.list_files(table)
        if files:
            connection.register(
                NAME, warehouse.open_dataset(table, [each.file_path for each in files])
            )
        else:
            connection.register(NAME, find_schema(table).empty_table())
    with _explained():
        _require_select(connection, sql)
        connection.execute("SET enable_external_access = false")
        # Else a name that is no table is looked for among the variables of Python.
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET lock_configuration = true")
        reader = connection.sql(sql).to_arrow_reader(ROWS_AT_ONCE)
    return Answered(reader.schema.names, _list_rows(reader))


def _require_select(connection: Any, sql: str) -> None:
    import duckdb

    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidRequest(
            "The query must be one SELECT, such as SELECT count(*) FROM completions."
        )


def _list_rows(reader: Any) -> Iterator[Sequence[Any]]:
    with _explained(), explain("be read"):
        for batch in reader:
            for row in batch.to_pylist(maps_as_pydicts="strict"):
                yield [_write(value) for value in row.values()]


def _write(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_write(each) for each in value]
    if isinstance(value, dict):
        return {name: _write(each) for name, each in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


@contextmanager
def _explained() -> Iterator[None]:
    """Raises `InvalidRequest` for what DuckDB says of a query."""
    import duckdb
    from pyarrow import ArrowException

    try:
        yield
    except (duckdb.Error, ArrowException) as error:
        raise InvalidRequest(
            f"The query failed: {next(iter(str(error).splitlines()), '')}"
        ) from error
