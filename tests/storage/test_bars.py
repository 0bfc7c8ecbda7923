"""Bars by the sums of hours: they are what counting every row gives."""

from __future__ import annotations

import random

import msgspec
import pytest
from sqlalchemy import Connection, select

from briggs.storage import Bin, Query, Store, bars, rollups, surveys
from briggs.storage.tables import rollup_changes
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion, current_time_us
from briggs.types.feedback import Feedback, FeedbackTask
from tests.storage.conftest import read_rows
from tests.storage.records import finished
from tests.waiting import until

HOUR = 3_600_000_000
FILTERS = (
    "",
    "status = failed",
    "status = finished",
    "status = started",
    "provider = a",
    "provider = nobody",
)


async def fill(store: Store, rng: random.Random, *, now: int, count: int) -> list[Completion]:
    some = []
    for _ in range(count):
        failed = rng.random() < 0.3
        each = finished(
            created_at=now - rng.randrange(50 * HOUR),
            status="failed" if failed else "finished",
            failure_kind="upstream_timeout" if failed else None,
            provider=rng.choice(["a", "b", None]),
            model=rng.choice(["x", "y"]),
        )
        if rng.random() < 0.1:
            each.status = "started"
            await store.start(each)
        else:
            await store.settle(each)
            some.append(each)
    return some


def create_query(text: str, *, begin: int, end: int) -> Query:
    filter = parse_completion_filter(text)
    return Query(
        organization_id="default",
        filter=filter,
        created_from=begin,
        created_to=end,
        payloads=False,
    )


async def check(store: Store, rng: random.Random, *, now: int) -> None:
    """Compare both ways to count, in ranges that begin and end within hours."""
    for text in FILTERS:
        begin = now - 45 * HOUR - rng.randrange(HOUR)
        query = create_query(text, begin=begin, end=now - rng.randrange(2 * HOUR))
        width = rng.randint(1, 5) * HOUR
        chosen = bars.find_chosen(query)
        assert chosen is not None

        def count(
            connection: Connection,
            query: Query = query,
            width: int = width,
            chosen: bars.Chosen = chosen,
        ) -> tuple[list[Bin] | None, list[Bin]]:
            begin = (query.created_from or 0) // HOUR * HOUR
            plain = bars.count_rows(connection, query, begin=begin, width=width)
            return bars.count_hours(connection, query, chosen, width=width), plain

        found, plain = await store.act(count)
        assert found is not None
        # Counting every row gives no part after the last row.
        assert found[: len(plain)] == plain, text
        assert not any(each.count for each in found[len(plain) :])


async def test_sums_give_what_rows_give(store: Store) -> None:
    """For all calls and for single values, before and after changes and deletions."""
    rng, now = random.Random(3), current_time_us()
    some = await fill(store, rng, now=now, count=150)
    await check(store, rng, now=now)
    for each in some[:20]:
        await store.completions.delete(each.id, organization_id="default")
    await until(lambda: not read_rows(store, select(rollup_changes)))
    await fill(store, rng, now=now, count=20)
    await check(store, rng, now=now)


async def test_what_is_not_counted_yet_is_counted_by_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the sums are made again, bars have every completion, and more of them than are seen."""
    monkeypatch.setattr(surveys, "ROWS_MAX", 5)
    now = current_time_us() // HOUR * HOUR
    for number in range(1, 41):
        await store.settle(finished(created_at=now - number * HOUR))
    query = create_query("", begin=now - 40 * HOUR, end=now)
    survey = await store.completions.look_over(query, bins=10)
    assert (survey.is_exact, survey.count) == (False, 5)
    assert survey.bins == [Bin(4)] * 10

    def fail(*_: object, **_more: object) -> None:
        return None

    monkeypatch.setattr(rollups, "read_hours", fail)
    assert (await store.completions.look_over(query, bins=10)).bins == survey.bins


@pytest.mark.parametrize(
    "text", ["tag = a", "status = failed and provider = a", "provider = none", "model = x"]
)
def test_what_no_sum_is_about_is_counted_by_rows(text: str) -> None:
    """A sum is of a provider. It knows no tags, and of models only those that were asked for."""
    query = create_query(text, begin=0, end=1)
    assert bars.find_chosen(query) is None
    assert bars.find_chosen(msgspec.structs.replace(query, filter=None)) == bars.Chosen()
    assert bars.find_chosen(msgspec.structs.replace(query, filter=None, tags=["a"])) is None


async def test_a_decision_of_a_lead_counts_as_a_grade(store: Store) -> None:
    """A completion that only a lead graded is neither graded by people nor ungraded, as filters
    have it.
    """
    one, other = finished(), finished()
    for each in (one, other):
        await store.settle(each)
    task = FeedbackTask(organization_id="default", name="t", json_schema={})
    await store.feedback_tasks.create(task)
    given = Feedback(
        organization_id="default",
        task_id=task.id,
        task_version=1,
        reviewer="ann",
        reviewer_kind="lead",
        json_values={},
        completion_ids=[one.id],
    )
    await store.feedback.create(given, task=task)
    survey = await store.completions.look_over(Query(organization_id="default"), bins=6)
    assert survey.facets["graded"] == {"people": 0, "model": 0, "api": 0, "none": 1}
