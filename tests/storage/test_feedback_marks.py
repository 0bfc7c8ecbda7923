"""The mark of a task is another one after each change of its feedback, and after no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from briggs.storage import FeedbackQuery, Store
from briggs.types.feedback import Feedback, FeedbackTask
from tests.storage.records import finished


def answer(task: FeedbackTask, id: str, **members: Any) -> Feedback:
    return Feedback(
        organization_id=task.organization_id,
        task_id=task.id,
        task_version=1,
        reviewer="ann",
        completion_ids=[id],
        **{"json_values": {"stars": 1}, **members},
    )


async def read_mark(store: Store, task: FeedbackTask) -> str:
    return await store.feedback_sums.read_mark(task.id, organization_id=task.organization_id)


async def test_each_change_replaces_the_mark(store: Store) -> None:
    """New feedback, an edit, a deletion, and completions that go or come; of this task only."""
    task, other = (
        FeedbackTask(organization_id=owner, name="t", json_schema={}, id="same")
        for owner in ("default", "other")
    )
    for each in (task, other):
        await store.feedback_tasks.create(each)
    calls = [finished() for _ in range(3)]
    for call in calls:
        await store.settle(call)
    given = [answer(task, call.id) for call in calls]
    late = finished()
    about_none = answer(task, late.id)

    def edit(before: Feedback) -> Feedback:
        return msgspec.structs.replace(before, json_values={"stars": 2})

    changes: list[Callable[[], Awaitable[Any]]] = [
        *(lambda each=each: store.feedback.create(each, task=task) for each in given),
        lambda: store.feedback.update(given[0].id, organization_id="default", change=edit),
        lambda: store.feedback.delete(given[0].id, organization_id="default"),
        lambda: store.completions.delete(calls[1].id, organization_id="default"),
        lambda: store.feedback.create_missing(about_none, versions=[]),
        lambda: store.completions.create_missing([late], organization_id="default"),
        lambda: store.completions.relabel(calls[2].id, organization_id="default", tags=["a"]),
    ]
    marks = [await read_mark(store, task)]
    for change in changes:
        await change()
        marks.append(await read_mark(store, task))
    assert len({*marks}) == len(changes) + 1
    assert await read_mark(store, other) == ""

    await store.settle(finished())
    labels: dict[str, Any] = {"tags": ["a"], "metadata": {"b": "c"}}
    await store.completions.relabel(calls[2].id, organization_id="default", **labels)
    await store.feedback.create(answer(other, calls[2].id), task=other)
    assert await read_mark(store, task) == marks[-1]
    assert await read_mark(store, other) != ""
    query = FeedbackQuery(organization_id="default", task_id=task.id)
    assert (await store.feedback.list(query, limit=9))[1] == 2
