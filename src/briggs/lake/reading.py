"""Reads the lake through DuckDB, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from briggs.lake.files import READ_ROWS, read_batch
from briggs.lake.warehouse import Warehouse, explain, to_time
from briggs.types.completions import Completion
from briggs.types.lake import LakeQuery

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

MEMORY = "256MB"
"""How much DuckDB takes for one question."""


def list_ids(warehouse: Warehouse, table: Table, query: LakeQuery) -> set[str]:
    """The ids of the completions in the lake that a query selects."""
    found = _select(warehouse, table, query)
    if found is None:
        return set()
    return {id for (id,) in found.select("id").fetchall()}


def list_completions(
    warehouse: Warehouse,
    table: Table,
    query: LakeQuery,
    *,
    limit: int,
    after: Completion | None = None,
    descending: bool = True,
) -> Iterator[Completion]:
    """The completions in the lake that a query selects, by time and id, a few at a time.

    They come after one of them in this order.
    """
    import duckdb

    if after is not None:
        query = _go_on(query, after=after, descending=descending)
    found = _select(warehouse, table, query)
    if found is None:
        return
    if after is not None:
        found = found.filter(_comes_after(after, descending=descending))
    order = [duckdb.ColumnExpression(name) for name in ("created_at", "id")]
    found = found.sort(*(each.desc() if descending else each.asc() for each in order))
    # To sort whole rows, all their bodies would have to be read.
    keys = found.select("id, epoch_us(created_at)").limit(limit).fetchall()
    for begin in range(0, len(keys), READ_ROWS):
        some = dict(keys[begin : begin + READ_ROWS])
        read = _read_some(warehouse, table, some, organization_id=query.organization_id)
        yield from (read[id] for id in some if id in read)


def _read_some(
    warehouse: Warehouse, table: Table, keys: Mapping[str, int], *, organization_id: str
) -> dict[str, Completion]:
    """The completions with these ids and times, by id."""
    times = keys.values()
    these = LakeQuery(
        organization_id=organization_id,
        ids=[*keys],
        created_from=min(times),
        created_to=max(times) + 1,
    )
    found = _select(warehouse, table, these)
    if found is None:
        return {}
    read: dict[str, Completion] = {}
    for batch in found.to_arrow_reader(READ_ROWS):
        read |= {each.id: each for each in read_batch(batch)}
    return read


def _go_on(query: LakeQuery, *, after: Completion, descending: bool) -> LakeQuery:
    """A query without the times before a completion, so that their files are not read."""
    at = after.created_at
    if descending:
        return structs.replace(query, created_to=min(query.created_to or at + 1, at + 1))
    return structs.replace(query, created_from=max(query.created_from or at, at))


def _comes_after(after: Completion, *, descending: bool) -> Any:
    from duckdb import ColumnExpression, ConstantExpression

    time, id = ColumnExpression("created_at"), ColumnExpression("id")
    at, last = ConstantExpression(to_time(after.created_at)), ConstantExpression(after.id)
    if descending:
        return (time < at) | ((time == at) & (id < last))
    return (time > at) | ((time == at) & (id > last))


def has_any(warehouse: Warehouse, table: Table, file: DataFile, query: LakeQuery) -> bool:
    """Whether a file has anything that a query selects. Only few columns of it are read."""
    found = _filter(warehouse, table, [file], query)
    return bool(found.select("id").limit(1).fetchall())


def _select(warehouse: Warehouse, table: Table, query: LakeQuery) -> Any:
    """What a query selects, as a relation of DuckDB's. None if no file can have any of it."""
    files = warehouse.list_files(table, query)
    return _filter(warehouse, table, files, query) if files else None


def _filter(warehouse: Warehouse, table: Table, files: Sequence[DataFile], query: LakeQuery) -> Any:
    with explain("be read"):
        connection = open_duckdb()
        paths = [each.file_path for each in files]
        found = connection.from_arrow(warehouse.open_dataset(table, paths))
        for condition in _list_conditions(query):
            found = found.filter(condition)
    return found


def open_duckdb() -> Any:
    """A connection of DuckDB's with bounded memory."""
    import duckdb

    return duckdb.connect(config={"memory_limit": MEMORY, "threads": 2})


def _list_conditions(query: LakeQuery) -> Iterator[Any]:
    from duckdb import ColumnExpression, ConstantExpression, FunctionExpression

    def equals(name: str, value: str) -> Any:
        return ColumnExpression(name) == ConstantExpression(value)

    for name in ("organization_id", "provider", "status", "session_id", "user"):
        if (value := getattr(query, name)) is not None:
            yield equals(name, value)
    if query.model is not None:
        yield equals("model", query.model) | equals("response_model", query.model)
    if query.ids is not None:
        yield ColumnExpression("id").isin(*(ConstantExpression(id) for id in query.ids))
    for tag in query.tags:
        yield FunctionExpression("list_contains", ColumnExpression("tags"), ConstantExpression(tag))
    time = ColumnExpression("created_at")
    if query.created_from is not None:
        yield time >= ConstantExpression(to_time(query.created_from))
    if query.created_to is not None:
        yield time < ConstantExpression(to_time(query.created_to))
    if query.has_bodies:
        yield ColumnExpression("bodies_deleted_at").isnull()
