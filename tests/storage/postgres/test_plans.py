"""How PostgreSQL reads large tables: it must not expect few rows where there are many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from briggs.storage import Query, Store
from briggs.storage.database import database_of
from briggs.storage.tables import completions, search_segments
from briggs.types.completion_filters import parse_completion_filter
from tests.storage.conftest import read_rows
from tests.storage.records import finished
from tests.storage.test_feedback import answer, create_task

ROWS = 5_000


def multiply(connection: Connection) -> None:
    """Make many completions of the one that is there, and let PostgreSQL look at them."""
    names = [f'"{each.name}"' for each in completions.columns]
    changed = {'"id"': "'c-' || to_char(n, 'FM00000')", '"created_at"': "created_at + n"}
    values = ", ".join(changed.get(each, each) for each in names)
    numbers = f"generate_series(1, {ROWS}) AS n"
    for sql in (
        f"INSERT INTO completions ({', '.join(names)}) SELECT {values} FROM completions, {numbers}",
        "INSERT INTO completion_tags (organization_id, tag, created_at, completion_id) "
        "SELECT organization_id, tag, created_at + n, 'c-' || to_char(n, 'FM00000') "
        f"FROM completion_tags, {numbers}",
        "ANALYZE completions",
        "ANALYZE completion_tags",
        "ANALYZE feedback_completions",
    ):
        connection.execute(text(sql))


def count_read(plan: dict[str, Any]) -> Iterator[int]:
    """How many rows each part of a plan has read from a table."""
    if "Relation Name" in plan:
        yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for part in plan.get("Plans", ()):
        yield from count_read(part)


async def list_and_count(store: Store, filter: str) -> tuple[list[str], int]:
    """The ids of a page, and how many rows were read from tables for it."""
    asked: list[tuple[str, Any]] = []

    def note(_1: Any, _2: Any, statement: str, parameters: Any, *_3: Any) -> None:
        if "LIMIT" in statement and "completions.request" in statement:
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    query = Query(organization_id="default", filter=parse_completion_filter(filter), limit=5)
    page = await store.completions.list(query)
    event.remove(Engine, "before_cursor_execute", note)
    [(statement, parameters)] = asked

    def explain(connection: Connection) -> Any:
        sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        return connection.exec_driver_sql(sql, parameters).scalar()

    [plan] = await store.read(explain)
    return [each.id for each in page.completions], sum(count_read(plan["Plan"]))


@pytest.mark.parametrize(
    ("filter", "found"), [("tag = t", 5), ("tag = t and tag = u", 5), ("attempts > 3", 0)]
)
async def test_hardly_more_is_read_than_the_page_has(store: Store, filter: str, found: int) -> None:
    """Whether thousands have a tag, or two, or nothing has what is asked for."""
    await store.settle(finished(tags=["t", "u"]))
    await store.act(multiply)
    ids, read = await list_and_count(store, filter)
    assert (ids, read < 50) == ([f"c-0{ROWS - n}" for n in range(found)], True)


async def test_statements_are_not_compiled(store: Store) -> None:
    """With a time limit, or in a snapshot, which is how large tables are read."""

    def ask(connection: Connection) -> tuple[Any, Any]:
        database = database_of(connection)
        with database.time_limit(connection, 10):
            limited = connection.exec_driver_sql("SHOW jit").scalar()
        with database.snapshot(connection):
            return limited, connection.exec_driver_sql("SHOW jit").scalar()

    assert await store.read(ask) == ("off", "off")


async def test_the_few_that_are_graded_are_looked_at_first(store: Store) -> None:
    """And not all that are newer than they."""
    first = finished(tags=["t"])
    await store.settle(first)
    task = await create_task(store)
    given = answer(task, first.id, reviewer_kind="person")
    await store.feedback.create(given, task=task)
    await store.act(multiply)
    ids, read = await list_and_count(store, "graded = people")
    assert (ids, read < 50) == ([first.id], True)


async def test_words_are_stored_as_they_are(store: Store) -> None:
    """Every search looks through them. Expanding them first would take most of its time."""
    stored = text(
        "SELECT attname::text FROM pg_attribute "
        f"WHERE attrelid = '{search_segments.name}'::regclass AND attstorage = 'e'"
    )
    assert read_rows(store, stored) == [("words",)]
