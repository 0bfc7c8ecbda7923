"""Lists of summaries are found in bounded time, and are looked over."""

from __future__ import annotations

from typing import Any
from unittest import mock

import msgspec
import pytest

from briggs.storage import Query, Store, pages
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion, Fix
from briggs.types.errors import InvalidRequest
from briggs.types.feedback import Feedback, FeedbackTask

HOUR = 3_600_000_000
# 2026-11-23T14:00:00Z
BEGIN = 1_795_442_400_000_000
COUNT = 60


def create_query(text: str = "", **members: Any) -> Query:
    filter = parse_completion_filter(text)
    return Query(organization_id="default", filter=filter, **members)


@pytest.fixture
async def filled(store: Store) -> Store:
    """Sixty calls, one every seven hours."""
    for number in range(COUNT):
        request = b'{"messages":[{"role":"user","content":"question %d"}]}' % number
        await store.settle(
            Completion(
                id=f"c-{number}",
                organization_id="default",
                created_at=BEGIN + number * 7 * HOUR,
                status="failed" if number % 10 == 0 else "finished",
                model="gpt" if number % 2 else "llama",
                tags=["a", "b"] if number % 3 == 0 else ["a"],
                violates=["C3", "M1"] if number % 4 == 0 else [],
                fixes=[Fix("C3", "x")] if number % 4 == 0 else [],
                p_least=0.5 if number % 2 else None,
                request=request,
            )
        )
    return store


async def list_all(store: Store, query: Query) -> list[str]:
    found: list[str] = []
    while True:
        page = await store.completions.list_summaries(query)
        assert page.searched_to is None
        found += [each.completion.id for each in page.summaries]
        if not page.has_more:
            return found
        query = msgspec.structs.replace(query, after=found[-1])


@pytest.mark.parametrize("text", ["", "tag = b", '"question 1"', "status = failed", "cost > 1"])
async def test_windows_find_what_one_search_finds(filled: Store, text: str) -> None:
    """A list that is searched part by part is that of one search, on every page."""
    whole = await filled.completions.list(create_query(text, limit=100))
    for limit in (1, 7, 100):
        query = create_query(text, limit=limit)
        assert await list_all(filled, query) == [each.id for each in whole.completions]
    ranged = create_query(text, created_from=BEGIN + 30 * HOUR, created_to=BEGIN + 200 * HOUR)
    one = await filled.completions.list(msgspec.structs.replace(ranged, limit=100))
    assert await list_all(filled, ranged) == [each.id for each in one.completions]


async def test_summaries_have_previews(filled: Store) -> None:
    """A summary says what was asked, with and without a search for words."""
    for text in ("", '"question"'):
        page = await filled.completions.list_summaries(create_query(text, limit=1))
        [summary] = page.summaries
        assert summary.preview is not None
        assert summary.preview.asked == f"question {COUNT - 1}"


async def test_tries_are_counted(store: Store) -> None:
    """Each try of a caller has the number of all, and other calls are one try."""
    first = Completion(organization_id="default", status="failed", created_at=BEGIN)
    await store.settle(first)
    await store.settle(Completion(organization_id="default", status="failed", created_at=BEGIN - 1))
    for number in (1, 2):
        again = Completion(
            organization_id="default",
            status="finished",
            created_at=BEGIN + number,
            retry_of=first.id,
            retry_count=number,
        )
        await store.settle(again)
    page = await store.completions.list_summaries(create_query())
    assert [each.tries for each in page.summaries] == [3, 3, 3, 1]


async def test_no_time_is_left(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that takes too long says how far it came, and a sorted one what to do."""
    monkeypatch.setattr(pages, "SHOWN_WITHIN_S", -1.0)
    page = await filled.completions.list_summaries(create_query('"question 1"'))
    assert page.searched_to is not None
    assert len(page.summaries) <= 1
    monkeypatch.setattr(pages, "SORTED_ROWS", 5)
    assert await sort_all(filled) == [59, 58, 57, 56, 55, 54]


async def test_a_search_ends(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that takes too long is refused with what to do, so that others can read too."""
    monkeypatch.setattr(pages, "database_of", lambda _: Impatient())
    with pytest.raises(InvalidRequest, match="more than 30 seconds: require a tag"):
        await filled.completions.list(create_query('"nowhere"'))


async def sort_all(store: Store) -> list[int]:
    """The numbers of those that are sorted in no time at all."""
    with mock.patch.object(pages, "database_of", lambda _: Impatient()):
        page = await store.completions.list_summaries(create_query(sort="cost"))
    assert page.searched_to == BEGIN + 54 * 7 * HOUR
    return [int(each.completion.id.removeprefix("c-")) for each in page.summaries]


class Impatient:
    """A database that has no time."""

    def time_limit(self, _: Any, seconds: float) -> Any:
        raise TimeoutError


async def test_look_over(filled: Store) -> None:
    """A survey counts by time, status, model, tag, rules and grades."""
    task = FeedbackTask(organization_id="default", name="t", json_schema={})
    await filled.feedback_tasks.create(task)
    for kind, ids in (("person", ["c-1", "c-2"]), ("model", ["c-2"])):
        given = Feedback(
            organization_id="default",
            task_id=task.id,
            task_version=1,
            reviewer="ann",
            reviewer_kind=kind,  # type: ignore[arg-type]
            json_values={},
            completion_ids=ids,
        )
        await filled.feedback.create(given, task=task)
    end = BEGIN + COUNT * 7 * HOUR
    query = create_query(created_from=BEGIN, created_to=end)
    survey = await filled.completions.look_over(query, bins=6)
    assert (survey.count, survey.is_exact, survey.with_logprobs) == (60, True, 30)
    assert survey.facets["status"] == {"finished": 54, "failed": 6}
    assert survey.facets["model"] == {"gpt": 30, "llama": 30}
    assert survey.facets["tag"] == {"a": 60, "b": 20}
    assert survey.facets["rules"] == {"mended": 15, "left": 15, "none": 45}
    assert survey.facets["graded"] == {"people": 2, "model": 1, "api": 0, "none": 58}
    assert [(each.count, each.failed) for each in survey.bins] == [(10, 1)] * 6
    some = await filled.completions.look_over(create_query("'question 1' tag = b"), bins=6)
    assert (some.count, some.bins) == (3, [])


async def test_a_wrong_cursor(filled: Store) -> None:
    """A place by another value than the time ends with its completion."""
    await filled.completions.delete("c-5", organization_id="default")
    page = await filled.completions.list_summaries(create_query(after="c-5", limit=1))
    assert [each.completion.id for each in page.summaries] == ["c-4"]
    with pytest.raises(InvalidRequest, match="Begin the list again"):
        await filled.completions.list_summaries(create_query(after="c-5", sort="cost"))
