"""What is remembered of past hours: lists skip hours, and never miss anything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select

from briggs.record.hours import HourLearning
from briggs.storage import Query, Store, hours, pages, zones
from briggs.storage.hours import read_zone
from briggs.storage.queries import select_page
from briggs.storage.tables import rollup_changes
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Attempt, Completion, Fix, current_time_us
from tests.storage.conftest import read_rows
from tests.storage.records import finished
from tests.waiting import until

HOUR = 3_600_000_000
HOURS = 60
FILTERS = (
    "",
    'model = "rare"',
    'model = "nobody"',
    "cost > 0.5 or p_least < 0.05",
    'provider = b and not model = "rare"',
    "duration >= 900ms and status = finished",
    "error = upstream_timeout",
    "tokens = none and tag = t",
    "kind != chat",
    "user = ann or user = nobody",
    "user = none and source = gateway",
    "finish_reason != stop",
    "finish_reason = length and provider = none",
    "cached_tokens > 5 or http_status = 504",
    "key = mine or key = none",
    "key != none and first_token < 10ms",
    "prompt_tokens = 7.5 or completion_tokens = 7",
    "attempts > 1",
    "attempts = 2 or rules = left",
    "rules = mended or caller = left",
    "rules = left and provider != a",
    "caller = left",
    "perplexity > 3 or perplexity <= 0",
    "perplexity != -1",
    "perplexity = none and tokens != none",
    "retries != 0 or http_status != 200",
    "metadata.k = none and not metadata.k = v",
    "metadata.k != none or metadata.nothing != none",
    "graded = people",
)


@pytest.fixture(autouse=True)
def learns_and_sorts_by_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few completions these tests have, and however slow this machine is."""
    monkeypatch.setattr(zones, "LEARNT_WITHIN_S", 60.0)
    monkeypatch.setattr(pages, "SORTED_AT_ONCE", 0)
    monkeypatch.setattr(pages, "SORTED_AT_ONCE_US", 0)


def vary(rng: random.Random, **members: Any) -> Completion:
    failed = rng.random() < 0.1
    return finished(
        created_at=current_time_us() - rng.randrange(HOURS * HOUR),
        status="failed" if failed else "finished",
        failure_kind="upstream_timeout" if failed else None,
        model=rng.choice(["a", "b", "rare"]) if rng.random() < 0.1 else "a",
        response_model=rng.choice([None, "c"]),
        provider=rng.choice(["a", "b", None]),
        kind="embedding" if rng.random() < 0.02 else "chat",
        user=rng.choice(["ann", None]) if rng.random() < 0.1 else "bob",
        key_id=rng.choice(["mine", "yours", None]),
        finish_reasons=rng.choice([["stop"], ["stop", "length"], []])
        if rng.random() < 0.1
        else ["stop"],
        http_status=504 if failed else 200,
        cached_tokens=rng.choice([None, 3, 9]) if rng.random() < 0.1 else None,
        prompt_tokens=rng.randrange(20),
        completion_tokens=rng.randrange(20),
        first_token_ms=rng.choice([None, rng.random() * 1_000]),
        caller_left_ms=1.0 if rng.random() < 0.02 else None,
        violates=["C3", "C4"] if rng.random() < 0.02 else [],
        fixes=[Fix("C3", "choices[0]")] if rng.random() < 0.02 else [],
        metadata={"k": "v"} if rng.random() < 0.3 else {},
        attempts=[Attempt(target="a/b", duration_ms=1.0)] * (2 if rng.random() < 0.02 else 1),
        tags=["t"] if rng.random() < 0.5 else [],
        cost_usd=rng.choice([None, 0.001, rng.random()]),
        duration_ms=rng.choice([None, 5.0, rng.random() * 1_000]),
        total_tokens=rng.choice([None, 7, rng.randrange(10**19)]),
        p_mean=rng.choice([None, rng.random()]),
        p_least=rng.choice([None, 0.5, rng.random()]),
        **members,
    )


def list_queries() -> Iterator[Query]:
    now = current_time_us()
    for number, text in enumerate(FILTERS):
        for sort in ("time", [*hours.BOUNDED][number % len(hours.BOUNDED)]):
            yield Query(
                organization_id="default",
                filter=parse_completion_filter(text),
                sort=sort,  # type: ignore[arg-type]
                order="asc" if number % 2 else "desc",
                created_from=now - 40 * HOUR if number % 3 else None,
                created_to=now - 3 * HOUR if number % 5 == 4 else None,
                limit=7,
            )


async def check_lists(store: Store, queries: Iterator[Query]) -> None:
    """Compare the first two pages of each list with those of one search of all rows."""
    for query in queries:
        whole = await store.completions.list(msgspec.structs.replace(query, limit=14))
        expected = [each.id for each in whole.completions]
        page = await store.completions.list_summaries(query)
        found = [each.completion.id for each in page.summaries]
        if page.has_more:
            page = await store.completions.list_summaries(
                msgspec.structs.replace(query, after=found[-1])
            )
            found += [each.completion.id for each in page.summaries]
        assert found == expected, query


async def test_lists_are_the_same(store: Store) -> None:
    """Every filter and order finds what one search finds, after every kind of change."""
    rng = random.Random(7)
    some = [vary(rng) for _ in range(300)]
    for each in some:
        await store.settle(each)
    await check_lists(store, list_queries())
    assert store._database.zones._count() > HOURS / 2
    for step in range(24):
        changed = some[rng.randrange(len(some))]
        if step % 3 == 0:
            await store.settle(vary(rng))
        elif step % 3 == 1:
            await store.completions.delete(changed.id, organization_id="default")
            some.remove(changed)
        else:
            await store.completions.merge(
                changed.id, organization_id="default", change=Report(vary(rng, id=changed.id))
            )
        queries = list(list_queries())
        await check_lists(store, iter(rng.sample(queries, 5)))


class Report:
    """Reports a call whose cost, model and certainty are other ones than before."""

    def __init__(self, completion: Completion) -> None:
        self._completion = completion

    def __call__(self, before: Completion | None) -> Completion:
        created_at = self._completion.created_at if before is None else before.created_at
        return msgspec.structs.replace(self._completion, source="client", created_at=created_at)


async def test_hours_are_skipped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its hours are known, a model that nobody used is not searched for in them."""
    rng = random.Random(7)
    for _ in range(200):
        await store.settle(vary(rng))
    query = Query(organization_id="default", filter=parse_completion_filter('model = "nobody"'))
    searched: list[int] = []

    def count(query: Query, **more: Any) -> Any:
        now = current_time_us()
        begin = max(query.created_from or 0, now - HOURS * HOUR)
        searched.append(min(now, query.created_to or now) - begin)
        return select_page(query, **more)

    monkeypatch.setattr(pages, "select_page", count)
    for most in (2 * HOURS, 9):
        searched.clear()
        assert (await store.completions.list_summaries(query)).summaries == []
        assert sum(each for each in searched if each > 0) <= most * HOUR


async def test_hours_are_learnt_in_the_background(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are, the first list reads no hour to learn it."""
    rng = random.Random(7)
    for _ in range(60):
        await store.settle(vary(rng))
    await HourLearning(store, peers=store.nodes).learn()
    learnt: list[int] = []

    def read_zone(_1: Any, *, hour: int, **_2: Any) -> None:
        learnt.append(hour)

    monkeypatch.setattr(zones, "read_zone", read_zone)
    for sort in ("cost", "time"):
        unknown = parse_completion_filter('model = "nobody"')
        query = Query(organization_id="default", filter=unknown, sort=sort)
        assert not (await store.completions.list(query)).completions
    assert learnt == []


async def test_hours_that_cannot_be_better_are_not_sorted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a page is found, only what belongs before its end is read of other hours, also if all
    of them have to be looked at. A frequent tag does not lead the search.
    """
    now = current_time_us()
    costs = [number / 1000 for number in range(200)]
    random.Random(7).shuffle(costs)
    for number, cost in enumerate(costs):
        at = now - number % 20 * HOUR - HOUR - number
        await store.settle(finished(created_at=at, tags=["t"], cost_usd=cost))
    await HourLearning(store, peers=store.nodes).learn()
    monkeypatch.setattr(pages, "SEARCHED_AT_ONCE", 1)
    monkeypatch.setattr(pages, "SEARCHED_MAX", 2)
    read: list[int] = []
    led: list[bool] = []

    def count(query: Query, **more: Any) -> Any:
        led.append(more.get("is_led", True))
        return select_page(query, **more)

    place = pages._place_of

    def place_one(value: float | None, at: int, is_rising: bool) -> Any:
        read.append(at)
        return place(value, at, is_rising)

    monkeypatch.setattr(pages, "select_page", count)
    monkeypatch.setattr(pages, "_place_of", place_one)
    for order in ("asc", "desc"):
        read.clear()
        query = Query(organization_id="default", tags=["t"], sort="cost", order=order, limit=4)
        page = await store.completions.list(query)
        expected = sorted(costs, reverse=order == "desc")[:4]
        assert [each.cost_usd for each in page.completions] == expected
        # 20 places of hours; 5 of each hour until there is a page, and then a few of all others.
        assert len(read) < 20 + 40
    assert not any(led)


async def test_what_is_being_written_is_not_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour that an open transaction changes stays unknown, until it is read afterwards. Until
    then a list reads it once, not again and again.
    """
    old = finished(created_at=current_time_us() - 5 * HOUR, model="a")
    await store.settle(old)
    await until(lambda: not read_rows(store, select(rollup_changes)))
    known = store._database.zones
    key = ("default", old.created_at // HOUR)

    def is_known() -> bool:
        spans = known.list_spans(organization_id="default", begin=0, end=None, filter=None)
        return any(each.begin // HOUR == key[1] for each in spans if each.zone is not None)

    # The store's own transactions end meanwhile.
    settle = known.settle
    monkeypatch.setattr(known, "settle", lambda: None)
    known.touch([key])
    query = Query(organization_id="default", sort="cost")
    reads: list[int] = []

    def count(connection: Connection, **of: Any) -> Any:
        reads.append(of["hour"])
        return read_zone(connection, **of)

    monkeypatch.setattr(zones, "read_zone", count)
    await store.completions.list_summaries(query)
    assert not is_known() and reads.count(key[1]) == 1
    settle()
    await store.completions.list_summaries(query)
    assert is_known()
    known.touch([key])
    assert not is_known()
    known.settle()
    known.forget()
    assert not is_known()


async def test_organizations_are_apart(store: Store) -> None:
    """What an organization's hours have says nothing of another's."""
    mine = finished(created_at=current_time_us() - 20 * HOUR, cost_usd=1.0)
    other = msgspec.structs.replace(mine, id="other", organization_id="other", cost_usd=2.0)
    for each in (mine, other):
        await store.settle(each)
    for owner, cost in (("default", 1.0), ("other", 2.0), ("default", 1.0)):
        page = await store.completions.list_summaries(Query(organization_id=owner, sort="cost"))
        assert [each.completion.cost_usd for each in page.summaries] == [cost]
