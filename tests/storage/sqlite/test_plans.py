"""How SQLite reads a large table: it must not go through all of an organization for a few rows."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, event

from briggs.storage import Query, Store
from briggs.types.completion_filters import parse_completion_filter
from tests.storage.records import create_request, finished


@pytest.mark.parametrize("sort", ["time", "cost"])
async def test_what_a_search_has_found_is_read_by_its_key(store: Store, sort: Any) -> None:
    """Also if it is more than two completions, which it may find in the index by time."""
    for _ in range(6):
        await store.settle(finished(request=create_request("quixotry")))
    asked: list[tuple[str, Any]] = []

    def note(_1: Any, _2: Any, statement: str, parameters: Any, *_3: Any) -> None:
        if "completions.id IN" in statement:
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    words = parse_completion_filter('"quixotry"')
    query = Query(organization_id="default", filter=words, sort=sort, limit=5)
    page = await store.completions.list(query)
    event.remove(Engine, "before_cursor_execute", note)
    assert len(page.completions) == 5

    def explain(connection: Any) -> list[str]:
        return [
            row[3]
            for statement, parameters in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if row[3].startswith(("SEARCH", "SCAN"))
        ]

    plans = await store.read(explain)
    assert plans
    assert all(each.endswith("(organization_id=? AND id=?)") for each in plans)
