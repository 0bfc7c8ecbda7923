"""Versions of judges, and what they failed to say, on every database."""

from __future__ import annotations

from briggs.storage import Store
from briggs.types.judges import (
    Failure,
    FailureCount,
    Judge,
    JudgeCosts,
    Judgement,
    JudgeVersion,
    say_failures,
)

ORGANIZATION = "default"


def fail(judge: Judge, completion_id: str, failure: Failure, reason: str | None) -> Judgement:
    return Judgement(
        organization_id=ORGANIZATION,
        judge_id=judge.id,
        version=1,
        completion_id=completion_id,
        status="failed",
        failure=failure,
        failure_reason=reason,
        cost_usd=0.0 if failure == "cut_off" else None,
    )


def create_version(judge: Judge) -> JudgeVersion:
    return JudgeVersion(
        organization_id=ORGANIZATION,
        judge_id=judge.id,
        version=judge.version,
        model=f"{judge.name}/{judge.version}",
        task_version=1,
        json_schema={},
        prompt="",
        mark="",
    )


async def test_lists_read_one_version_of_each_judge(store: Store) -> None:
    """The newest one, in the order of the judges; pages of one judge's versions, oldest first."""
    judges = [Judge(organization_id=ORGANIZATION, name=name, task_id="t") for name in "ab"]
    for judge in judges:
        await store.judges.create(judge, create_version(judge))
    judges[0].version = 2
    await store.judges.update(judges[0], create_version(judges[0]))
    newest = await store.judges.list_newest_versions(judges[::-1])
    assert [each.model for each in newest] == ["b/1", "a/2"]
    assert await store.judges.list_newest_versions([]) == ()
    [second] = await store.judges.list_versions(judges[0], limit=5, offset=1)
    assert second == await store.judges.retrieve_version(judges[0], 2) == newest[1]
    assert await store.judges.retrieve_version(judges[0], 3) is None


async def test_failures_are_counted_by_reason(store: Store) -> None:
    """The most frequent first, each with an example."""
    judge = Judge(organization_id=ORGANIZATION, name="j", task_id="t")
    for judgement in (
        fail(judge, "a", "cut_off", "It was cut off."),
        fail(judge, "b", "unreadable", "not \ud83d JSON"),
        fail(judge, "c", "unreadable", "not \ud83d JSON"),
        fail(judge, "d", "lost", None),
    ):
        await store.judges.put(judgement)
    started = Judgement(
        organization_id=ORGANIZATION, judge_id=judge.id, version=1, completion_id="e"
    )
    await store.judges.put(started)
    found = await store.judges.count_failures(judge, version=1)
    assert found == [
        FailureCount(failure="unreadable", count=2, example="not \ud83d JSON"),
        FailureCount(failure="cut_off", count=1, example="It was cut off."),
        FailureCount(failure="lost", count=1, example=""),
    ]
    assert await store.judges.count_failures(judge, version=2) == []
    said = say_failures({each.failure: each.count for each in found})
    assert said == "2 could not be read, 1 was cut off, 1 had no text to grade"


async def test_what_judgements_cost(store: Store) -> None:
    """The sum, the dearest, and how many that finished have no known cost, from a time on."""
    judge = Judge(organization_id=ORGANIZATION, name="j", task_id="t")
    for number, cost_usd in enumerate((1.0, 0.5, 0.25, None)):
        await store.judges.put(
            Judgement(
                organization_id=ORGANIZATION,
                judge_id=judge.id,
                version=1,
                completion_id=str(number),
                status="finished",
                cost_usd=cost_usd,
                updated_at=number,
            )
        )
    await store.judges.put(fail(judge, "a", "cut_off", "It was cut off."))
    assert await store.judges.measure_spent(judge, since=1) == JudgeCosts(1.75, 1.0, 1)
    assert await store.judges.measure_spent(judge, since=10**17) == JudgeCosts(0.0, 0.0, 0)
