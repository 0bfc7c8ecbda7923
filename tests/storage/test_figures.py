"""Figures are exact: sums, failures, and percentiles as Python would compute them."""

from __future__ import annotations

import math
import random

import pytest

from briggs.storage import Query, Store, figures
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.types.statistics import Figures
from tests.storage.records import finished

QUERY = Query(organization_id="default")
DAY_US = 86_400_000_000


async def record(store: Store, *completions: Completion) -> None:
    for completion in completions:
        await store.settle(completion)


def nearest_rank(values: list[float], share: int) -> float:
    return sorted(values)[math.ceil(len(values) * share / 100) - 1]


async def test_nothing_comes_to_nothing(store: Store) -> None:
    """Without completions there are no figures and no groups."""
    found = await store.figures.retrieve(QUERY, by="model")
    assert (found.total, found.groups, found.has_more) == (Figures(), [], False)


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 100])
async def test_percentiles_are_exact(store: Store, count: int) -> None:
    """Percentiles go by nearest rank, over the known values, in total and in each group."""
    picked = random.Random(count)
    values: dict[str, list[float]] = {"a": [], "b": []}
    for number in range(count):
        model = "ab"[number % 2]
        values[model].append(picked.uniform(0, 1000))
        await record(store, finished(model=model, duration_ms=values[model][-1]))
    await record(store, finished(model="a", duration_ms=None))
    found = await store.figures.retrieve(QUERY, by="model")
    both = values["a"] + values["b"]
    assert found.total.duration_ms.p50 == nearest_rank(both, 50)
    assert found.total.duration_ms.p95 == nearest_rank(both, 95)
    assert found.total.first_token_ms.p50 is None
    for group in found.groups:
        assert group.duration_ms.p95 == nearest_rank(values[group.key], 95)


async def test_sums_failures_and_estimates(store: Store) -> None:
    """Estimates are kept apart, unknown costs are not 0, and failures are counted by kind."""
    used = {"prompt_tokens": 10, "completion_tokens": 2, "usage_source": "provider"}
    guessed = {"prompt_tokens": 100, "completion_tokens": 50, "usage_source": "estimated"}
    await record(
        store,
        finished(cost_usd=0.5, **used),
        finished(cost_usd=None, **used),
        finished(cost_usd=7.0, **guessed),
        finished(status="failed", failure_kind="timeout"),
        finished(status="failed", failure_kind="timeout"),
        finished(status="failed", failure_kind="hang_up"),
        finished(status="failed", failure_kind=None),
    )
    total = (await store.figures.retrieve(QUERY)).total
    assert (total.completions, total.finished, total.failed) == (7, 3, 4)
    assert next(iter(total.failures.items())) == ("timeout", 2)
    assert total.failures == {"timeout": 2, "hang_up": 1, "unknown": 1}
    assert (total.prompt_tokens, total.completion_tokens) == (20, 4)
    assert (total.cost_usd, total.priced) == (0.5, 1)
    assert total.estimated.completions == 1
    assert (total.estimated.prompt_tokens, total.estimated.cost_usd) == (100, 7.0)


async def test_groups_by_tag_and_day(store: Store) -> None:
    """A completion counts for each of its tags. Days are in UTC, in order."""
    await record(
        store,
        finished(tags=["x", "y"], created_at=DAY_US - 1),
        finished(tags=["x", "\ud83d", "é🎉"], created_at=DAY_US),
        finished(created_at=2 * DAY_US - 1),
    )
    tags = (await store.figures.retrieve(QUERY, by="tag")).groups
    assert {group.key: group.completions for group in tags if group.key in ("x", "y", "é🎉")} == {
        "x": 2,
        "y": 1,
        "é🎉": 1,
    }
    days = (await store.figures.retrieve(QUERY, by="day")).groups
    assert [(group.key, group.completions) for group in days] == [
        ("1970-01-01", 1),
        ("1970-01-02", 2),
    ]
    only = Query(organization_id="default", tags=["y"])
    assert [g.key for g in (await store.figures.retrieve(only, by="tag")).groups] == ["x", "y"]


async def test_figures_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many completions are refused. Of too many groups the largest are shown."""
    await record(store, *(finished(model=model) for model in "aabbbc"))
    monkeypatch.setattr(figures, "GROUPS_MAX", 2)
    found = await store.figures.retrieve(QUERY, by="model")
    assert ([group.key for group in found.groups], found.has_more) == (["b", "a"], True)
    monkeypatch.setattr(figures, "COMPLETIONS_MAX", 5)
    with pytest.raises(InvalidRequest, match="shorter time"):
        await store.figures.retrieve(QUERY)
    few = Query(organization_id="default", model="b")
    assert (await store.figures.retrieve(few)).total.completions == 3


async def test_sums_that_no_integer_holds(store: Store) -> None:
    """Absurd counts that a client reported do not break the sum."""
    for count in (2**63 - 1, 2**63 - 1, 2**70, -(2**70)):
        await record(store, finished(prompt_tokens=count))
    assert (await store.figures.retrieve(QUERY, by="model")).total.completions == 4


async def test_calls_without_a_tag(store: Store) -> None:
    """Calls with an unwanted tag count nowhere, whatever they are grouped by."""
    await record(store, finished(tags=["t"]), finished(tags=["t", "u"]), finished(tags=["\ud800"]))
    for by in ("model", "tag", "day", None):
        query = Query(organization_id="default", without_tags=["u", "\ud800"])
        assert (await store.figures.retrieve(query, by=by)).total.completions == 1
    query = Query(organization_id="default", tags=["t"], without_tags=["u"])
    assert (await store.figures.retrieve(query, by="tag")).groups[0].completions == 1
