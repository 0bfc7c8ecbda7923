"""What a task has found out, field by field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from briggs.feedback.feedback import FeedbackPost, create_feedback, list_feedback
from briggs.feedback.report import report
from briggs.feedback.tasks import TaskChange, create_task, update_task
from briggs.storage import Store
from briggs.types.errors import NotFound
from tests.storage.records import finished

SCHEMA: dict[str, Any] = {
    "properties": {
        "stars": {"enum": [1, 2, 3]},
        "score": {"type": "object", "properties": {"total": {"type": ["number", "null"]}}},
        "flags": {"type": "array", "items": {"enum": ["a", "b", "c"]}},
        "words": {"type": "array"},
        "note": {"type": "string"},
    }
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data")
    yield store
    await store.close()


async def test_report(store: Store) -> None:
    """Levels come from the schema, free text is left out, and the newest answer counts."""
    completion = finished()
    await store.settle(completion)
    said = TaskChange(name="n", json_schema=SCHEMA)
    task = await create_task(store, said, organization_id="default")

    async def grade(reviewer: str, **values: Any) -> None:
        post = FeedbackPost(task_id=task.id, json_values=values, completion_ids=[completion.id])
        await create_feedback(store, post, organization_id="default", reviewer=reviewer)

    await grade("ann", stars=1, score={"total": 1.5}, flags=["a", "b"])
    await grade("ann", stars=2, score={"total": 2.5}, flags=["a", "b"], words=["x"], note="n")
    await grade("bob", stars=2, score={"total": None}, flags=["b"], words=["y", "x"])
    found = await report(store, task)
    assert list(found.fields) == ["stars", "score.total", "flags", "words"]
    assert found.left_out == ["note"]
    stars, total, flags, words = found.fields.values()
    assert [each.agreement.level for each in (stars, total, flags)] == [
        "ordinal",
        "interval",
        "nominal",
    ]
    assert (stars.agreement.percent, flags.agreement.percent) == (1.0, 0.0)
    assert (total.agreement.ratings, total.agreement.units) == (1, 0)
    assert total.mean is not None
    assert (total.mean.mean, total.by_tag, flags.mean) == (2.5, {}, None)
    by_option = {name: each.agreement.percent for name, each in flags.by_option.items()}
    assert by_option == {"a": 0.0, "b": 1.0, "c": 1.0}
    share = flags.by_option["a"].share
    assert share is not None
    assert (share.mean, share.ratings) == (0.5, 2)
    by_value = {name: each.agreement.percent for name, each in words.by_option.items()}
    assert by_value == {"x": 1.0, "y": 0.0}


async def test_the_order_of_several_choices(store: Store) -> None:
    """Reviewers who choose the same options agree, in whatever order they name them."""
    completion = finished()
    await store.settle(completion)
    task = await create_task(
        store, TaskChange(name="n", json_schema=SCHEMA), organization_id="default"
    )
    for reviewer, flags in (("ann", ["a", "b"]), ("bob", ["b", "a", "b"])):
        post = FeedbackPost(
            task_id=task.id, json_values={"flags": flags}, completion_ids=[completion.id]
        )
        await create_feedback(store, post, organization_id="default", reviewer=reviewer)
    assert (await report(store, task)).fields["flags"].agreement.percent == 1.0


async def test_a_pydantic_model(store: Store) -> None:
    """References, null and models within a model are fields for filters, reasons and scales."""

    class Detail(BaseModel):
        stars: Annotated[int, Field(ge=1, le=5)] | None = None
        tone: Literal["kind", "cold"]

    class Review(BaseModel):
        share: float | None = None
        detail: Detail
        more: Detail | None = None

    said = TaskChange(name="n", json_schema=Review.model_json_schema())
    task = await create_task(store, said, organization_id="default")
    values = {"detail": {"stars": 4, "tone": "kind"}}
    post = FeedbackPost(
        task_id=task.id,
        json_values=values,
        allow_unmatched_feedback=True,
        rationale={"detail.stars": "Why."},
    )
    await create_feedback(store, post, organization_id="default", reviewer="ann")
    for filter, count in (("detail.stars >= 4", 1), ("detail.tone = cold", 0), ("share = 1", 0)):
        _, total = await list_feedback(
            store, organization_id="default", task_id=task.id, filter=filter
        )
        assert (filter, total) == (filter, count)
    fields = (await report(store, task)).fields
    assert {name: each.agreement.level for name, each in fields.items()} == {
        "share": "interval",
        "detail.stars": "ordinal",
        "detail.tone": "nominal",
        "more.stars": "ordinal",
        "more.tone": "nominal",
    }


async def test_versions_are_apart(store: Store) -> None:
    """What was answered to an older version of the task does not count for the newest."""
    completion = finished()
    await store.settle(completion)
    old, new = ({"properties": {"x": {"type": kind}}} for kind in ("boolean", "integer"))
    task = await create_task(
        store, TaskChange(name="n", json_schema=old), organization_id="default"
    )
    post = FeedbackPost(task_id=task.id, json_values={"x": True}, completion_ids=[completion.id])
    for reviewer in ("ann", "bob"):
        await create_feedback(store, post, organization_id="default", reviewer=reviewer)
    task = await update_task(store, task.id, TaskChange(json_schema=new), organization_id="default")
    found = await report(store, task)
    assert (found.version, found.fields["x"].agreement.ratings) == (2, 0)
    assert [(each.version, each.feedback) for each in found.versions] == [(1, 2), (2, 0)]
    post.json_values = {"x": 4}
    await create_feedback(store, post, organization_id="default", reviewer="bob")
    assert (await report(store, task)).fields["x"].agreement.ratings == 1
    before = (await report(store, task, version=1)).fields["x"].agreement
    assert (before.ratings, before.percent, before.level) == (2, 1.0, "nominal")
    for version in (0, 3):
        with pytest.raises(NotFound, match="it has 1 to 2"):
            await report(store, task, version=version)
