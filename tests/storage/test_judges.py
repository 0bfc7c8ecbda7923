"""What judges failed to say, counted on every database."""

from __future__ import annotations

from briggs.storage import Store
from briggs.types.judges import Failure, FailureCount, Judge, Judgement, say_failures

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


async def test_failures_are_counted_by_reason(store: Store) -> None:
    """The most frequent first, each with an example; and how many have no known cost."""
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
    assert await store.judges.count_unpriced(judge) == 3
    said = say_failures({each.failure: each.count for each in found})
    assert said == "2 could not be read, 1 was cut off, 1 had no text to grade"
