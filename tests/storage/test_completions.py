"""Lists: every filter, both orders, and pages that visit each completion once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from briggs.storage import Query, Store
from briggs.types.completions import Completion, create_id
from briggs.types.errors import InvalidRequest
from tests.storage.records import create_request, create_response, finished
from tests.waiting import until

ORGANIZATION = "default"


async def list_ids(store: Store, **members: Any) -> list[str]:
    query = Query(**{"organization_id": ORGANIZATION, "limit": 1_000, **members})
    return [each.id for each in (await store.completions.list(query)).completions]


async def walk(store: Store, **members: Any) -> list[str]:
    """The ids of every page, one after the other."""
    ids: list[str] = []
    after = None
    while True:
        query = Query(**{"organization_id": ORGANIZATION, **members, "after": after})
        page = await store.completions.list(query)
        ids += [each.id for each in page.completions]
        if not page.has_more:
            return ids
        after = ids[-1]


async def test_filters(store: Store) -> None:
    """Each filter finds what it asks for and nothing else, and together they are ANDed."""
    one = finished(
        id="one",
        created_at=1,
        tags=["a", "b"],
        metadata={"k": "1", "l": "2"},
        session_id="s",
        provider="groq",
    )
    two = finished(id="two", created_at=2, tags=["a"], metadata={"k": "1"}, model="local/tiny")
    three = finished(id="three", created_at=3, status="failed", response_model=None)
    for each in (one, two, three):
        await store.settle(each)
    await store.completions.record_violates(
        {
            (ORGANIZATION, "one"): ["C3", "M5"],
            (ORGANIZATION, "three"): ["C3"],
            (ORGANIZATION, "four"): ["M5"],
        }
    )
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["three", "two", "one"]),
        ({"order": "asc"}, ["one", "two", "three"]),
        ({"tags": ["a"]}, ["two", "one"]),
        ({"tags": ["a", "b"]}, ["one"]),
        ({"tags": ["c"]}, []),
        ({"violates": ["C3"]}, ["three", "one"]),
        ({"violates": ["C3", "M5"]}, ["one"]),
        ({"violates": ["M5"], "tags": ["a"]}, ["one"]),
        ({"violates": ["J1"]}, []),
        ({"metadata": {"k": "1"}}, ["two", "one"]),
        ({"metadata": {"k": "1", "l": "2"}}, ["one"]),
        ({"metadata": {"k": "2"}}, []),
        ({"metadata": {"k": "1"}, "tags": ["a"], "order": "asc"}, ["one", "two"]),
        ({"metadata": {"k": "1"}, "tags": ["a"], "session_id": "s"}, ["one"]),
        ({"model": "local/tiny"}, ["two"]),
        ({"model": "gpt-4o-2024-08-06"}, ["two", "one"]),
        ({"model": "openai/gpt-4o"}, ["three", "one"]),
        ({"provider": "groq"}, ["one"]),
        ({"status": "failed"}, ["three"]),
        ({"session_id": "s"}, ["one"]),
        ({"created_from": 2}, ["three", "two"]),
        ({"created_to": 2}, ["one"]),
        ({"created_from": 2, "created_to": 3}, ["two"]),
        ({"tags": ["a"], "created_from": 2}, ["two"]),
    ]
    for members, expected in cases:
        assert await list_ids(store, **members) == expected, members


async def test_violates_are_recorded(store: Store) -> None:
    """The rules that an answer breaks stay with it, whatever else changes."""
    for id in ("kept", "gone"):
        await store.settle(finished(id=id, tags=["a"]))
    await store.completions.record_violates(
        {(ORGANIZATION, "kept"): ["C3", "M5"], (ORGANIZATION, "gone"): ["C3"]}
    )
    await store.completions.relabel("kept", organization_id=ORGANIZATION, tags=["b"])
    await store.completions.delete("gone", organization_id=ORGANIZATION)
    [kept] = (
        await store.completions.list(Query(organization_id=ORGANIZATION, violates=["C3"]))
    ).completions
    assert kept.id == "kept"
    assert kept.violates == ["C3", "M5"]
    assert kept.tags == ["b"]


async def test_text(store: Store) -> None:
    """Text is found in messages, ignoring case, in request and response."""
    for number, (request, response) in enumerate(
        [
            ("What is the Größe?", "I do not know."),
            ("Hello", 'Grüße, "friend"\n🙂'),
            ("a cat's role", "user"),
        ]
    ):
        await store.settle(
            finished(
                id=f"{number}",
                created_at=number,
                request=create_request(request),
                response=create_response(response),
            )
        )
    await store.settle(
        finished(id="3", created_at=3, request=b"not JSON at all \xff", response=None)
    )
    for text, expected in [
        ("größe", ["0"]),
        ("GRÜSSE", ["1"]),
        ('"FRIEND"\n🙂', ["1"]),
        ("i do not", ["0"]),
        ("cat's", ["2"]),
        ("user", ["2"]),
        ("assistant", []),
        ("messages", []),
        ("json at ALL", ["3"]),
    ]:
        assert await list_ids(store, text=text) == expected, text
    assert await list_ids(store, text="o", model="openai/gpt-4o", order="asc") == [
        "0",
        "1",
        "2",
        "3",
    ]


async def test_text_stops_early(store: Store) -> None:
    """A page of a text search is full, knows whether there is more, and can be continued."""
    for number in range(250):
        said = "even" if number % 2 == 0 else "odd"
        await store.settle(
            finished(id=f"{number:03}", created_at=number, request=create_request(said))
        )
    expected = [f"{number:03}" for number in range(248, -1, -2)]
    assert await walk(store, text="EVEN", limit=7) == expected
    page = await store.completions.list(
        Query(organization_id=ORGANIZATION, text="even", payloads=False)
    )
    assert len(page.completions) == 20
    assert page.has_more
    assert page.completions[0].request == b""


async def test_a_page_of_large_bodies_ends_early(store: Store) -> None:
    """A page has at least one completion, and those after it only while their bodies fit."""
    for size in (10, 5_000, 10, 10):
        completion = finished(request=create_request("x" * size))
        await store.settle(completion)
    whole = await walk(store, limit=10)
    page = await store.completions.list(
        Query(organization_id=ORGANIZATION, limit=10, bytes_max=5_000)
    )
    assert page.has_more and 0 < len(page.completions) < 4
    assert await walk(store, limit=10, bytes_max=5_000) == whole
    assert await walk(store, limit=10, bytes_max=1) == whole
    assert await walk(store, limit=10, bytes_max=1, text="x") == whole


async def test_without_payloads(store: Store) -> None:
    """Without payloads everything except the bodies is returned."""
    completion = finished(received=b"received", tags=["a"])
    await store.settle(completion)
    page = await store.completions.list(Query(organization_id=ORGANIZATION, payloads=False))
    completion.request, completion.response, completion.received = b"", None, None
    assert page.completions == [completion]


async def test_limits(store: Store) -> None:
    """`has_more` is right at every limit, 0 included."""
    for _ in range(3):
        await store.settle(finished())
    for limit, has_more in ((0, True), (2, True), (3, False), (4, False)):
        page = await store.completions.list(Query(organization_id=ORGANIZATION, limit=limit))
        assert len(page.completions) == min(limit, 3)
        assert page.has_more is has_more


async def test_unknown_cursor(store: Store) -> None:
    """An unknown cursor, or another organization's, is an error and not a first page."""
    theirs = finished(organization_id="theirs")
    await store.settle(theirs)
    for after in (create_id(), theirs.id, "\ud800"):
        with pytest.raises(InvalidRequest) as raised:
            await store.completions.list(Query(organization_id=ORGANIZATION, after=after))
        assert raised.value.param == "after"


@given(
    times=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    limit=st.integers(1, 5),
    order=st.sampled_from(["asc", "desc"]),
    by=st.sampled_from([{}, {"tags": ["t"]}, {"metadata": {"k": "v"}}]),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
async def test_pages_with_equal_times(
    store: Store, times: list[int], limit: int, order: str, by: dict[str, Any]
) -> None:
    """Pages visit each completion once, in order, however many have the same time."""
    organization = create_id()
    settled = [
        finished(
            organization_id=organization,
            created_at=time,
            tags=["t"],
            metadata={"k": "v"},
            id=create_id()[::-1],
        )
        for time in times
    ]
    await asyncio.gather(*(store.settle(each) for each in settled))
    expected = sorted(((each.created_at, each.id) for each in settled), reverse=order == "desc")
    found = await walk(store, organization_id=organization, limit=limit, order=order, **by)
    assert found == [id for _, id in expected]


async def test_pages_while_others_write(store: Store) -> None:
    """Paging while calls are recorded and deleted visits each earlier completion once."""
    before = [finished(created_at=number) for number in range(100)]
    for each in before:
        await store.settle(each)
    doomed = {each.id for each in before[10:90:7]}

    async def record() -> None:
        for id in doomed:
            await store.settle(finished())
            await store.completions.delete(id, organization_id=ORGANIZATION)

    _, ids = await asyncio.gather(record(), walk(store, limit=3))
    assert len(ids) == len(set(ids))
    assert {each.id for each in before} - doomed <= set(ids)


async def test_cursor_of_a_deleted_completion(store: Store) -> None:
    """A page continues after a deleted completion, whichever of its ids is the cursor."""
    settled = [finished(id=id, created_at=7) for id in ("a", "b", "c", "d")]
    for each in settled:
        await store.settle(each)
    await store.completions.delete("b", organization_id=ORGANIZATION)
    assert await list_ids(store, after="b", order="asc") == ["c", "d"]
    assert await list_ids(store, after="b", order="desc") == ["a"]


async def test_started_ones_are_listed(store: Store) -> None:
    """A running call is listed."""
    completion = Completion(organization_id="default", tags=["running"])
    await store.start(completion)
    await until(lambda: store.statistics().rows == 1)
    assert await list_ids(store, status="started") == [completion.id]
    assert await list_ids(store, tags=["running"]) == [completion.id]
