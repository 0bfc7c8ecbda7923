"""The sums of a task are what all of its feedback says, after any history of it."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select

from briggs.feedback.answers import read_answers
from briggs.feedback.disagreements import find_disagreements, list_disagreements
from briggs.feedback.feedback import FeedbackEdit, FeedbackPost, create_feedback, update_feedback
from briggs.feedback.preferences import PreferencePost, create_preference
from briggs.feedback.results import KnownResults, read_first_results, summarise
from briggs.feedback.tasks import TaskChange, create_task, update_task
from briggs.storage import FeedbackQuery, Store, feedback_sums, tables
from briggs.types.completions import Completion
from briggs.types.feedback import Feedback, FeedbackTask, FeedbackVersion, ReviewerKind
from briggs.types.retention import Term
from tests.storage.conftest import read_rows
from tests.storage.records import finished
from tests.waiting import until

DAY_US = 86_400_000_000
REVIEWERS: list[tuple[str, ReviewerKind]] = [
    *(("ann", "person"), ("ben", "person"), ("\0cy\ud83d", "api")),
    *(("judge", "model"), ("lea", "lead")),
]
SCHEMA: dict[str, Any] = {
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "part": {"type": "number"},
        "safe": {"type": "boolean"},
        "tone": {"enum": ["kind", 1, True, "\ud83d"]},
        "flags": {"type": "array", "items": {"enum": ["a", "b", "c"]}},
        "words": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object", "properties": {"any": {}}},
        "note": {"type": "string"},
    }
}


def draw_values(rng: random.Random) -> dict[str, Any]:
    """An answer, in which any field may be left out."""
    values = {
        "stars": rng.randint(1, 5),
        "part": rng.choice([0.1, 0.2, 1, 1.0, 2**70, -1e300]),
        "safe": rng.random() < 0.5,
        "tone": rng.choice(["kind", 1, True, "\ud83d"]),
        "flags": rng.sample(["a", "b", "c"], rng.randint(0, 3)),
        "words": rng.choice([[], ["é"], ["x", "y" * 3_000]]),
        "deep": {"any": rng.choice([None, [1, {}], 1.0, "\0"])},
        "note": rng.choice(["one", "two"]),
    }
    return {name: value for name, value in values.items() if rng.random() < 0.7}


class History:
    """What a team does with a task, at random."""

    def __init__(self, store: Store, task: FeedbackTask, rng: random.Random) -> None:
        self.task = task
        self._store = store
        self._rng = rng
        self._calls: list[Completion] = []
        self._number = 0

    async def begin(self) -> None:
        for _ in range(6):
            await self._call()

    async def step(self) -> None:
        rng = self._rng
        grades = [self._grade] * 12
        changes = [self._edit, self._delete] * 2
        others = [self._call, self._run, self._tag, self._merge, self._forget, self._lose]
        tasks = [self._change, self._prefer, self._import, self._expire]
        await rng.choice([*grades, *changes, *others, *tasks])()

    async def _call(self) -> None:
        self._number += 1
        call = finished(
            created_at=self._number * DAY_US,
            model=self._rng.choice(["m", "n"]),
            tags=self._rng.sample(["eu", "us", "\ud83d"], self._rng.randint(0, 2)),
        )
        await self._store.settle(call)
        self._calls.append(call)

    async def _run(self) -> None:
        """Grade a call before it ends, which tells what model answered."""
        call = Completion(organization_id="default", model="m", status="started", request=b"{}")
        await self._store.start(call)
        begun = select(tables.completions.c.id).where(
            tables.completions.c.organization_id == "default", tables.completions.c.id == call.id
        )
        await until(lambda: read_rows(self._store, begun))
        self._calls.append(call)
        await self._post(call.id)
        end = msgspec.structs.replace(call, status="finished", response_model="z", response=b"{}")
        await self._store.settle(end)

    async def _grade(self) -> None:
        calls = self._rng.sample(self._calls, min(len(self._calls), self._rng.choice([0, 1, 1, 2])))
        await self._post(*(each.id for each in calls))

    async def _post(self, *ids: str) -> None:
        reviewer, kind = self._rng.choice(REVIEWERS)
        post = FeedbackPost(
            task_id=self.task.id,
            json_values=draw_values(self._rng),
            completion_ids=[*ids],
            reviewer_kind=kind,
            allow_unmatched_feedback=True,
        )
        await create_feedback(self._store, post, organization_id="default", reviewer=reviewer)

    async def _pick(self) -> Feedback | None:
        query = FeedbackQuery(organization_id="default", task_id=self.task.id)
        given, _ = await self._store.feedback.list(query, limit=100)
        return self._rng.choice(given) if given else None

    async def _edit(self) -> None:
        if (given := await self._pick()) is not None:
            query = FeedbackQuery(organization_id="default")
            edit = FeedbackEdit(json_values=draw_values(self._rng))
            await update_feedback(self._store, given.id, edit, query=query)

    async def _delete(self) -> None:
        if (given := await self._pick()) is not None:
            await self._store.feedback.delete(given.id, organization_id="default")

    async def _tag(self) -> None:
        call = self._rng.choice(self._calls)
        tags = self._rng.choice([[], ["eu"], ["us", "x" * 3_000]])
        await self._store.completions.relabel(call.id, organization_id="default", tags=tags)

    async def _merge(self) -> None:
        """A client tells more of a call: another model answered it."""
        call = self._rng.choice(self._calls)

        def change(before: Completion | None) -> Completion:
            return msgspec.structs.replace(before or call, response_model="other")

        await self._store.completions.merge(call.id, organization_id="default", change=change)

    async def _forget(self) -> None:
        if len(self._calls) > 4:
            gone = self._calls.pop(self._rng.randrange(len(self._calls)))
            await self._store.completions.delete(gone.id, organization_id="default")

    async def _lose(self) -> None:
        """Feedback about a call that is imported later."""
        late = finished(created_at=DAY_US, tags=["late"])
        given = Feedback(
            organization_id="default",
            task_id=self.task.id,
            task_version=self._rng.randint(1, self.task.version),
            reviewer="ben",
            json_values=draw_values(self._rng),
            completion_ids=[late.id],
        )
        await self._store.feedback.create_missing(given, versions=[])
        await self._store.completions.create_missing([late], organization_id="default")
        self._calls.append(late)

    async def _import(self) -> None:
        """An older answer of another record, which an edit has replaced."""
        given = Feedback(
            organization_id="default",
            task_id=self.task.id,
            task_version=1,
            created_at=1,
            version=2,
            reviewer="ann",
            json_values=draw_values(self._rng),
            completion_ids=[self._calls[0].id],
        )
        first = FeedbackVersion(
            version=1, created_at=1, json_values={}, comment="", rationale={}, corrected_output=None
        )
        await self._store.feedback.create_missing(given, versions=[first])

    async def _change(self) -> None:
        change = TaskChange(
            instruction=f"{self._rng.random()}",
            ask_again=self._rng.random() < 0.5,
            json_schema=self._rng.choice([SCHEMA, {"properties": {"stars": {"type": "integer"}}}]),
        )
        self.task = await update_task(self._store, self.task.id, change, organization_id="default")

    async def _prefer(self) -> None:
        one, two = self._rng.sample(self._calls, 2)
        post = PreferencePost(completion_ids=[one.id, two.id], best=one.id)
        await create_preference(self._store, post, organization_id="default", reviewer="ann")

    async def _expire(self) -> None:
        """Retention deletes the calls with a tag."""
        self._store.retention.use([Term(what="metadata", span="1d", tag="us")])
        await self._store.retention.run(organization_id="default")
        self._store.retention.use([])
        there = await self._store.completions.retrieve_many(
            [each.id for each in self._calls], organization_id="default"
        )
        self._calls = [each for each in self._calls if each.id in there]
        while len(self._calls) < 4:
            await self._call()


async def test_any_history(store: Store) -> None:
    """Results, and where reviewers differ, are those of reading all feedback, for every version.
    What is remembered of them is so too, and to count everything anew changes nothing.
    """
    rng = random.Random(1)
    task = await create_task(
        store, TaskChange(name="n", json_schema=SCHEMA), organization_id="default"
    )
    history, known = History(store, task, rng), KnownResults(store)
    await history.begin()
    for _ in range(70):
        await history.step()
        version = rng.randint(1, history.task.version)
        answers = await read_answers(store, history.task, version=version)
        fresh = await read_first_results(store, history.task, version=version, least=3)
        found = await known.read(history.task, version=version, least=3)
        assert found == fresh
        assert found.results == summarise(answers)
        assert found.least_agreed == find_disagreements(answers, limit=3)
        listed = await list_disagreements(store, history.task, version=version, limit=2, offset=1)
        assert listed == find_disagreements(answers, limit=2, offset=1)
    best = await store.feedback_tasks.list(organization_id="default", limit=9)
    assert {each.kind for each in best} == {"grade", "preference"}
    for each in best:
        summed = await store.feedback_sums.read(
            each.id, organization_id="default", version=1, limit=9
        )
        assert summed is not None
        assert list_wrong(store, each) == []
        await store.act(lambda connection, id=each.id: recount_all(connection, id))  # type: ignore[misc]
        assert summed == await store.feedback_sums.read(
            each.id, organization_id="default", version=1, limit=9
        )


def recount_all(connection: Connection, task_id: str) -> None:
    """Begin without any sums, as with a record of an older Briggs."""
    feedback_sums.forget(connection, task_id, organization_id="default")
    while feedback_sums.count_some(connection):
        pass


def list_wrong(store: Store, task: FeedbackTask) -> list[str]:
    with store._database.read() as connection, store._database.snapshot(connection):
        return [*feedback_sums.find_wrong(connection, task.id, organization_id="default")]


async def test_earlier_feedback(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the sums lack some of it, all feedback is read. The writer counts it when it is idle,
    a step at a time, and what is given meanwhile is counted once.
    """
    monkeypatch.setattr(feedback_sums, "COUNTED_AT_ONCE", 2)
    task = await create_task(
        store, TaskChange(name="n", json_schema=SCHEMA), organization_id="default"
    )
    history = History(store, task, random.Random(3))
    await history.begin()
    for _ in range(20):
        await history.step()
    [chore] = [each for each in store._writer._chores if isinstance(each, feedback_sums.SumsFill)]
    chore._at = float("inf")
    await store.act(
        lambda connection: feedback_sums.forget(connection, task.id, organization_id="default")
    )

    async def check() -> None:
        found = await read_first_results(store, history.task, least=3)
        answers = await read_answers(store, history.task, version=None)
        assert found.results == summarise(answers)
        assert found.least_agreed == find_disagreements(answers, limit=3)

    await check()
    assert await read_sums(store, history.task) is None
    steps = 1
    while await store.act(feedback_sums.count_some):
        steps += 1
        await history.step()
        await check()
    assert steps > 2
    assert await read_sums(store, history.task) is not None
    assert list_wrong(store, history.task) == []


async def read_sums(store: Store, task: FeedbackTask) -> feedback_sums.SummedFeedback | None:
    return await store.feedback_sums.read(
        task.id, organization_id="default", version=task.version, limit=3
    )
