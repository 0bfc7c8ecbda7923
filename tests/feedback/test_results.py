"""The results of a task: people beside models, and each reviewer."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from briggs.feedback import results
from briggs.feedback.answers import read_answers
from briggs.feedback.disagreements import find_disagreements
from briggs.feedback.feedback import FeedbackPost, create_feedback
from briggs.feedback.results import KnownResults, list_between, read_results
from briggs.feedback.tasks import TaskChange, create_task, update_task
from briggs.storage import FeedbackQuery, Store
from briggs.types.feedback import Feedback, FeedbackTask, ReviewerKind
from tests.storage.records import finished

SCHEMA: dict[str, Any] = {
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "flags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "safe": {"type": "boolean"},
        "note": {"type": "string"},
    }
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data")
    yield store
    await store.close()


async def grade(
    store: Store,
    task: FeedbackTask,
    id: str,
    reviewer: str,
    kind: ReviewerKind = "person",
    **values: Any,
) -> None:
    post = FeedbackPost(
        task_id=task.id, json_values=values, completion_ids=[id], reviewer_kind=kind
    )
    await create_feedback(store, post, organization_id="default", reviewer=reviewer)


async def test_people_beside_models(store: Store) -> None:
    """Models are counted apart: they change no agreement of people, and are compared with them."""
    one, two = finished(tags=["eu"]), finished()
    for each in (one, two):
        await store.settle(each)
    task = await create_task(
        store, TaskChange(name="n", json_schema=SCHEMA), organization_id="default"
    )
    await grade(store, task, one.id, "ann", stars=2, flags=["a", "b"], safe=True, note="x")
    await grade(store, task, one.id, "ben", stars=4, flags=["a"], safe=True)
    await grade(store, task, one.id, "judge", "model", stars=3, safe=False)
    await grade(store, task, two.id, "ann", stars=5)
    await grade(store, task, two.id, "judge", "model", stars=5)
    await grade(store, task, two.id, "lea", "lead", stars=1)
    found = await read_results(store, task)
    stars, flags, safe = found.fields
    assert found.left_out == ["note"]
    assert [(bar.value, bar.people, bar.models) for bar in stars.bars] == [
        ("1", 0, 0),
        ("2", 1, 0),
        ("3", 0, 1),
        ("4", 1, 0),
        ("5", 1, 1),
    ]
    assert stars.people.reviewers == ["ann", "ben"]
    assert stars.people.percent == 0.0
    assert stars.mean == pytest.approx(11 / 3)
    assert [(bar.value, bar.people) for bar in flags.bars] == [("a", 2), ("b", 1)]
    assert (safe.mean, safe.is_share) == (1.0, True)
    assert stars.models is not None
    assert stars.models.values == ["2", "3", "4", "5"]
    assert (stars.models.pairs, stars.models.same, stars.models.near) == (3, 1 / 3, 1.0)
    assert stars.models.stricter == pytest.approx(0)
    assert safe.models is not None and safe.models.near is None
    by_name = {each.name: each for each in found.reviewers}
    assert (by_name["ann"].answers, by_name["judge"].kind) == (2, "model")
    assert by_name["judge"].agrees == pytest.approx(1 / 5)
    assert len(stars.weeks) == 1 and stars.weeks[0].models == 4.0
    [of_model] = stars.by_model
    assert (of_model.name, of_model.ratings, of_model.models) == (one.response_model, 5, 4.0)
    assert of_model.people == stars.mean and not flags.by_model
    assert [(each.name, each.people, each.models) for each in stars.by_tag] == [("eu", 3.0, 3.0)]
    answers = await read_answers(store, task, version=None)
    between = dict(list_between(answers, "stars", people="2", models="3"))
    assert list(between) == [one.id]
    assert not list(list_between(answers, "nothing", people="2", models="3"))


async def test_a_task_without_answers(store: Store) -> None:
    """Nothing is invented for a task that nobody has answered."""
    task = await create_task(
        store, TaskChange(name="n", json_schema=SCHEMA), organization_id="default"
    )
    found = await read_results(store, task)
    assert (found.reviewers, found.versions) == ([], {1: 0})
    assert all(
        each.mean is None and each.models is None and not each.weeks for each in found.fields
    )


async def test_known_results_are_those_of_all_answers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any change they are what reading all feedback gives. Without one, none is read."""
    rng = random.Random(5)
    calls = [finished(created_at=number * 86_400_000_000) for number in range(1, 9)]
    for each in calls:
        await store.settle(each)
    task = await create_task(
        store, TaskChange(name="n", json_schema=SCHEMA), organization_id="default"
    )
    known = KnownResults(store)

    def edit(before: Feedback) -> Feedback:
        return msgspec.structs.replace(before, json_values={"stars": rng.randint(1, 5)})

    for step in range(40):
        query = FeedbackQuery(organization_id="default", task_id=task.id)
        given, _ = await store.feedback.list(query, limit=100)
        choice = rng.random()
        if not given or choice < 0.6:
            reviewer, kind = rng.choice(_REVIEWERS)
            stars, safe = rng.randint(1, 5), rng.random() < 0.5
            await grade(store, task, rng.choice(calls).id, reviewer, kind, stars=stars, safe=safe)
        elif choice < 0.75:
            await store.feedback.update(
                rng.choice(given).id, organization_id="default", change=edit
            )
        elif choice < 0.9:
            await store.feedback.delete(rng.choice(given).id, organization_id="default")
        elif len(calls) > 4:
            gone = calls.pop()
            await store.completions.delete(gone.id, organization_id="default")
        else:
            task = await update_task(
                store, task.id, TaskChange(instruction=f"{step}"), organization_id="default"
            )
        version = rng.choice([None, 1])
        found = await known.read(task, version=version, least=3)
        answers = await read_answers(store, task, version=version)
        assert found.results == await read_results(store, task, version=version)
        assert found.least_agreed == find_disagreements(answers, limit=3)
        with monkeypatch.context() as patch:
            patch.setattr(results, "read_answers", None)
            assert await known.read(task, version=version, least=3) is found


_REVIEWERS: list[tuple[str, ReviewerKind]] = [
    ("ann", "person"),
    ("ben", "person"),
    ("judge", "model"),
    ("lea", "lead"),
]
