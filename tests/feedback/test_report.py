"""What a task has found out, field by field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from briggs.feedback.feedback import FeedbackPost, create_feedback
from briggs.feedback.report import report
from briggs.feedback.tasks import TaskChange, create_task, update_task
from briggs.storage import Store
from tests.storage.records import finished

SCHEMA: dict[str, Any] = {
    "properties": {
        "stars": {"enum": [1, 2, 3]},
        "score": {"type": "object", "properties": {"total": {"type": ["number", "null"]}}},
        "flags": {"type": "array"},
    }
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data")
    yield store
    await store.close()


async def test_report(store: Store) -> None:
    """Levels come from the schema, lists are compared whole, and the newest answer counts."""
    completion = finished()
    await store.settle(completion)
    said = TaskChange(name="n", json_schema=SCHEMA)
    task = await create_task(store, said, organization_id="default")

    async def grade(reviewer: str, **values: Any) -> None:
        post = FeedbackPost(task_id=task.id, json_values=values, completion_ids=[completion.id])
        await create_feedback(store, post, organization_id="default", reviewer=reviewer)

    await grade("ann", stars=1, score={"total": 1.5}, flags=["a", "b"])
    await grade("ann", stars=2, score={"total": 2.5}, flags=["a", "b"])
    await grade("bob", stars=2, score={"total": None}, flags=["b", "a"])
    fields = await report(store, task)
    assert list(fields) == ["stars", "score.total", "flags"]
    stars, total, flags = fields.values()
    assert [each.agreement.level for each in (stars, total, flags)] == [
        "ordinal",
        "interval",
        "nominal",
    ]
    assert (stars.agreement.percent, flags.agreement.percent) == (1.0, 0.0)
    assert (total.agreement.ratings, total.agreement.units) == (1, 0)
    assert total.mean is not None
    assert (total.mean.mean, total.by_tag, flags.mean) == (2.5, {}, None)


async def test_answers_of_another_type(store: Store) -> None:
    """What an older version of the task was answered counts where it still fits."""
    completion = finished()
    await store.settle(completion)
    old, new = ({"properties": {"x": {"type": kind}}} for kind in ("string", "integer"))
    task = await create_task(
        store, TaskChange(name="n", json_schema=old), organization_id="default"
    )
    post = FeedbackPost(task_id=task.id, json_values={"x": "warm"}, completion_ids=[completion.id])
    await create_feedback(store, post, organization_id="default", reviewer="ann")
    task = await update_task(store, task.id, TaskChange(json_schema=new), organization_id="default")
    assert (await report(store, task))["x"].agreement.ratings == 0
    post.json_values = {"x": 4}
    await create_feedback(store, post, organization_id="default", reviewer="bob")
    assert (await report(store, task))["x"].agreement.ratings == 1
