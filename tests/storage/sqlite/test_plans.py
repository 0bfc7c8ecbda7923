"""Which index each question is answered from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from briggs.storage import Query
from briggs.storage.completions import select_many
from briggs.storage.migrations import migrate
from briggs.storage.pages import find_row
from briggs.storage.queries import PLACE, read_chosen, select_page
from briggs.storage.tables import completions
from briggs.types.completion_filters import parse_completion_filter as parse
from briggs.types.completions import create_id
from tests.storage.conftest import open_database
from tests.storage.test_completions import ORGANIZATION


@pytest.mark.parametrize(
    ("members", "index"),
    [
        ({}, "INDEX completions_by_time (organization_id=?)"),
        ({"created_from": 1}, "INDEX completions_by_time (organization_id=? AND created_at>?)"),
        ({"status": "started"}, "INDEX completions_started (organization_id=? AND status=?)"),
        ({"session_id": "s"}, "completions_by_session (organization_id=? AND session_id=?)"),
        ({"tags": ["a"]}, "completion_tags USING PRIMARY KEY (organization_id=? AND tag=?)"),
        ({"violates": ["C3"]}, "completion_rules USING PRIMARY KEY (organization_id=? AND rule=?)"),
        (
            {"metadata": {"k": "v"}, "status": "failed"},
            "USING PRIMARY KEY (organization_id=? AND key=? AND value=?)",
        ),
    ],
)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_plans(tmp_path: Path, members: dict[str, Any], index: str, order: Any) -> None:
    """A list is read from the index that fits it, in its order, and sorts at most equal times."""
    database = open_database(tmp_path)
    connection = database.writer
    migrate(connection)
    query = Query(organization_id=ORGANIZATION, order=order, **members)
    statement = select_page(query, after=None, limit=20).compile(
        connection, compile_kwargs={"literal_binds": True}
    )
    steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    database.close()
    assert index in steps[0]
    assert steps[-1].startswith("SEARCH") or steps[-1].endswith("RIGHT PART OF ORDER BY")


@pytest.mark.parametrize("members", [{}, {"model": "m"}, {"filter": parse("p_least < 0.2")}])
def test_sorted_plan(tmp_path: Path, members: dict[str, Any]) -> None:
    """A sorted list is chosen from the index alone. Only the rows of its page are read."""
    database = open_database(tmp_path)
    connection = database.writer
    migrate(connection)
    query = Query(organization_id=ORGANIZATION, sort="cost", **members)
    page = read_chosen(select_page(query, after=None, limit=20), query=query)
    statement = page.compile(connection, compile_kwargs={"literal_binds": True})
    steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    database.close()
    assert "(organization_id=? AND id=?)" in steps[0]
    assert any("USING COVERING INDEX completions_by_time" in step for step in steps)


def test_a_cursor_is_looked_for(tmp_path: Path) -> None:
    """The place of one id is found by the id, although another index has all that is read."""
    database = open_database(tmp_path)
    connection = database.writer
    migrate(connection)
    asked: list[tuple[str, Any]] = []

    def note(_1: Any, _2: Any, statement: str, values: Any, _3: Any, _4: Any) -> None:
        asked.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    find_row(connection, select(*PLACE), id="x", organization_id=ORGANIZATION)
    event.remove(connection, "before_cursor_execute", note)
    statement, values = asked[0]
    [step] = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    database.close()
    assert "(organization_id=? AND id=?)" in step.detail


@pytest.mark.parametrize("count", [1, 5, 500])
def test_ids_are_looked_for(tmp_path: Path, count: int) -> None:
    """However many ids are asked for, an organization's record is not gone through."""
    database = open_database(tmp_path)
    connection = database.writer
    migrate(connection)
    ids = [create_id() for _ in range(count)]
    statement = select_many(select(completions.c.model), ids=ids, organization_id=ORGANIZATION)
    compiled = statement.compile(connection, compile_kwargs={"literal_binds": True})
    [step] = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
    database.close()
    assert "(organization_id=? AND id=?)" in step.detail
