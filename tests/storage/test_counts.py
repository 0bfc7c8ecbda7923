"""Counts stop at a limit of number or time, and say so."""

from __future__ import annotations

import pytest

from briggs.storage import Query, Store, counts
from briggs.storage.counts import Count
from briggs.storage.sqlite import connections
from briggs.types.completion_filters import parse_completion_filter
from tests.storage.records import create_request, finished

ORGANIZATION = "default"


async def test_a_count_is_exact_or_says_that_it_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts what the filters match, up to its limit."""
    for number in range(6):
        await store.settle(finished(user="even" if number % 2 == 0 else "odd"))
    query = Query(organization_id=ORGANIZATION)
    assert await store.completions.count(query) == Count(count=6, is_exact=True)
    even = Query(organization_id=ORGANIZATION, user="even")
    assert await store.completions.count(even) == Count(count=3, is_exact=True)
    monkeypatch.setattr(counts, "COUNT_MAX", 4)
    assert await store.completions.count(query) == Count(count=4, is_exact=False)
    monkeypatch.setattr(counts, "COUNT_MAX", 6)
    assert await store.completions.count(query) == Count(count=6, is_exact=True)


async def test_a_count_ends_in_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that takes too long is cut off, and the connection still works."""
    for _ in range(3):
        await store.settle(finished(request=create_request("find me")))
    monkeypatch.setattr(counts, "COUNTED_WITHIN_S", -1.0)
    monkeypatch.setattr(connections, "STEPS", 1)
    for query in (
        Query(organization_id=ORGANIZATION),
        Query(organization_id=ORGANIZATION, text="find"),
    ):
        cut = await store.completions.count(query)
        assert not cut.is_exact
        assert cut.count < 3
        assert len((await store.completions.list(query)).completions) == 3


async def test_amounts_that_are_not_known_are_within_no_bounds(store: Store) -> None:
    """Bounds are inclusive, and null matches none of them."""
    for cost in (None, 0.0, 0.5, 1.0):
        await store.settle(finished(cost_usd=cost))

    async def count(**bounds: float) -> int:
        return (await store.completions.count(Query(organization_id=ORGANIZATION, **bounds))).count  # type: ignore[arg-type]

    assert await count(cost_usd_min=0) == 3
    assert await count(cost_usd_max=0.5) == 2
    assert await count(cost_usd_min=0.5, cost_usd_max=1) == 2
    assert await count(cost_usd_min=1.5) == 0


async def test_a_finish_reason_of_any_choice(store: Store) -> None:
    """A finish reason is matched as a whole, in any choice, whatever its characters."""
    for reasons in (["stop", "length"], ["length_x"], [], ["\ud83d"], ['a"b']):
        await store.settle(finished(finish_reasons=reasons))

    async def count(reason: str) -> int:
        return (
            await store.completions.count(Query(organization_id=ORGANIZATION, finish_reason=reason))
        ).count

    assert await count("length") == 1
    assert await count('a"b') == 1
    assert await count("len") == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("metadata.a = '\udc00'", 1),
        ("finish_reason = 'a\0'", 0),
        ("finish_reason = '\ud83d'", 0),
        ("tag = '\ud83d' or model = '\udfff' or session = '\ud800'", 0),
        ("prompt = '\ud83d' or user = '\ud83d' or provider = '\0'", 0),
    ],
)
async def test_a_filter_of_any_characters(store: Store, text: str, found: int) -> None:
    """A filter may name half a surrogate pair or NUL."""
    completion = finished(metadata={"a": "\udc00"})
    await store.settle(completion)
    query = Query(organization_id=ORGANIZATION, filter=parse_completion_filter(text))
    assert (await store.completions.count(query)).count == found
    page = await store.completions.list(query)
    assert [each.id for each in page.completions] == [completion.id] * found
