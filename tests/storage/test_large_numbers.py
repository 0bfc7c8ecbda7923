"""What lists and filters make of numbers that have no place in 64 bits."""

from __future__ import annotations

import pytest

from briggs.storage import Query, Store
from briggs.types.completion_filters import parse_completion_filter
from tests.storage.records import finished

TOKENS = (-5, 3, 2**63 - 1, 2**63, 10**19, 2**64, 9 * 10**20, 10**25)


@pytest.fixture
async def filled(store: Store) -> Store:
    for tokens in TOKENS:
        await store.settle(finished(total_tokens=tokens))
    return store


async def list_tokens(store: Store, **options: object) -> list[int | None]:
    query = Query(organization_id="default", **options)  # type: ignore[arg-type]
    page = await store.completions.list(query)
    return [each.total_tokens for each in page.completions]


async def test_they_are_larger_than_others(filled: Store) -> None:
    """Whatever the database, they come after all numbers of 64 bits, and conditions hold so."""
    ascending = await list_tokens(filled, sort="tokens", order="asc")
    assert ascending[:3] == [*TOKENS[:3]]
    assert {*ascending} == {*TOKENS}
    assert {*await list_filtered(filled, "tokens > 5")} == {*TOKENS[2:]}
    assert {*await list_filtered(filled, "tokens < 5")} == {*TOKENS[:2]}


async def test_among_themselves(filled: Store, database: str) -> None:
    """Only PostgreSQL compares them with each other: see `docs/store.md`."""
    is_exact = database == "postgres"
    ascending = await list_tokens(filled, sort="tokens", order="asc")
    assert (ascending == [*TOKENS]) is is_exact
    found = await list_filtered(filled, f"tokens > {2**64}")
    assert (found == [10**25, 9 * 10**20]) is is_exact


async def list_filtered(store: Store, text: str) -> list[int | None]:
    return await list_tokens(store, filter=parse_completion_filter(text))
