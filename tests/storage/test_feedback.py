"""Feedback, its tasks and their queues in the store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Select

from briggs.storage import FeedbackQuery, Store, feedback_fill, feedback_ungraded, rows
from briggs.storage.tables import feedback, feedback_tasks
from briggs.types.completions import CHECK_TAG, Completion, current_time_us
from briggs.types.errors import Conflict
from briggs.types.feedback import Feedback, FeedbackTask, Lease, Progress, Wish
from tests.storage.records import create_request, finished, texts

FAR = 2**60
"""Later than the end of any test."""
DEFAULT = FeedbackQuery(organization_id="default")


async def create_task(store: Store, **members: Any) -> FeedbackTask:
    defaults: dict[str, Any] = {
        "organization_id": "default",
        "name": "quality",
        "json_schema": {"properties": {"grade": {"type": "integer"}}},
        "completion_tags_selector": ["t"],
    }
    task = FeedbackTask(**defaults | members)
    await store.feedback_tasks.create(task)
    await store.feedback_tasks.fill(organization_id=task.organization_id)
    return task


async def settle(store: Store, count: int = 1, **members: Any) -> list[str]:
    completions = [finished(**{"tags": ["t"], **members}) for _ in range(count)]
    await asyncio.gather(*map(store.settle, completions))
    return [each.id for each in completions]


def answer(task: FeedbackTask, *ids: str, reviewer: str = "ann", **members: Any) -> Feedback:
    defaults: dict[str, Any] = {"json_values": {"grade": 1}}
    return Feedback(
        organization_id=task.organization_id,
        task_id=task.id,
        task_name=task.name,
        task_version=task.version,
        reviewer=reviewer,
        completion_ids=list(ids),
        **defaults | members,
    )


async def claim(
    store: Store, task: FeedbackTask, reviewer: str = "ann", expires_at: int = FAR, **wish: Any
) -> str | None:
    queue = store.feedback_queue
    search: Any = {"reviewer": reviewer, "wish": Wish(**wish)}
    while among := await queue.find(task, **search):
        lease = await queue.claim(task, **search, among=among, expires_at=expires_at)
        if lease is not None:
            return lease.completion_id
    return None


async def claim_all(store: Store, task: FeedbackTask, reviewer: str = "ann", **wish: Any) -> Any:
    found = []
    while (id := await claim(store, task, reviewer, **wish)) is not None:
        found.append(id)
    return found


@settings(max_examples=30)
@given(
    st.builds(
        Feedback,
        organization_id=texts,
        task_id=texts,
        task_version=st.integers(1, 9),
        reviewer=texts,
        json_values=st.dictionaries(texts, st.none() | texts | st.integers() | st.booleans()),
        comment=texts,
        rationale=st.dictionaries(texts, texts),
        corrected_output=st.none() | texts | st.dictionaries(texts, texts),
    )
)
def test_any_feedback_comes_back(given: Feedback) -> None:
    """Feedback with any content survives being stored."""

    class Row:
        _mapping = rows.encode(given, table=feedback)

    assert rows.decode(Row(), Feedback) == given  # type: ignore[arg-type]


async def test_what_was_recorded_before_a_task(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new task's queue contains everything recorded before it, however much that is."""
    monkeypatch.setattr(feedback_fill, "STEP_ROWS", 3)
    matching = await settle(store, 7, tags=["t", "u"])
    await settle(store, 2, tags=["u"])
    await settle(store, tags=["t"], organization_id="other")
    await store.settle(finished(status="failed", tags=["t", "u"]))
    task = await create_task(store, completion_tags_selector=["u", "t", "u"])
    later = await settle(store, tags=["t", "x", "u"])
    assert await claim_all(store, task) == [*matching, *later]


async def test_a_task_without_tags_selects_everything(store: Store) -> None:
    """A selector without tags selects every completion."""
    before = await settle(store, tags=[])
    task = await create_task(store, completion_tags_selector=[])
    after = await settle(store, tags=["x"])
    assert await claim_all(store, task) == [*before, *after]


async def test_a_started_one_does_not_await(store: Store) -> None:
    """A completion awaits a task once it is finished."""
    task = await create_task(store)
    completion = Completion(organization_id="default", tags=["t"], request=create_request("?"))
    await store.start(completion)
    assert await claim(store, task) is None
    await store.settle(finished(id=completion.id, tags=["t"]))
    assert await claim(store, task) == completion.id


async def test_tags_that_change(store: Store) -> None:
    """A completion enters and leaves queues with its tags, and when it is deleted."""
    task = await create_task(store)
    (id,) = await settle(store, tags=[])
    assert await claim(store, task) is None
    await store.completions.relabel(id, organization_id="default", tags=["t"])
    assert await claim(store, task) == id
    await store.completions.relabel(id, organization_id="default", tags=["u"])
    assert await claim(store, task, "bob") is None
    await store.completions.relabel(id, organization_id="default", tags=["t"])
    await store.completions.delete(id, organization_id="default")
    assert await claim(store, task, "bob") is None


async def test_a_changed_task(store: Store) -> None:
    """A new selector means a new queue, a new schema a new version, archiving an empty queue."""
    (one,) = await settle(store, tags=["a"])
    (two,) = await settle(store, tags=["b"])
    task = await create_task(store, completion_tags_selector=["a"])

    async def change(**members: Any) -> FeedbackTask:
        changed = await store.feedback_tasks.update(
            task.id,
            organization_id="default",
            change=lambda task: msgspec.structs.replace(task, **members),
        )
        assert changed is not None
        await store.feedback_tasks.fill(organization_id="default")
        return changed

    assert await claim(store, task, "1") == one
    assert (await change(completion_tags_selector=["b"])).version == 1
    assert await claim(store, task, "2") == two
    assert (await change(instruction="Read it twice.")).version == 2
    versions = await store.feedback_tasks.list_versions(task.id, organization_id="default")
    assert [(each.version, each.instruction) for each in versions] == [
        (1, ""),
        (2, "Read it twice."),
    ]
    await store.feedback.create(answer(task, two), task=task)
    assert await claim(store, task, "3") is None
    task = await change(reviewers_wanted=3)
    assert await claim(store, task, "3") == two
    await change(archived_at=1)
    assert await claim(store, task, "4") is None
    assert await store.feedback_tasks.list(organization_id="default", limit=9) == []
    found = await store.feedback_tasks.retrieve(task.id, organization_id="default")
    assert found is not None
    assert found.archived_at == 1
    assert await store.feedback_tasks.retrieve(task.id, organization_id="other") is None


async def test_reviewers_wanted(store: Store) -> None:
    """As many distinct reviewers as wanted get a completion, and nobody gets it twice."""
    task = await create_task(store, reviewers_wanted=2)
    (id,) = await settle(store)
    assert [await claim(store, task, name) for name in ("a", "a", "b", "c")] == [id, None, id, None]
    await store.feedback.create(answer(task, id, reviewer="a"), task=task)
    assert [await claim(store, task, name) for name in ("a", "c")] == [None, None]
    assert await store.feedback_queue.release(task, completion_id=id, reviewer="b")
    assert await claim(store, task, "c") == id
    await store.feedback.create(answer(task, id, reviewer="c"), task=task)
    assert await claim(store, task, "b") is None


async def test_a_lease_expires(store: Store) -> None:
    """A completion whose lease expired goes to others, and its late reviewer gets an error."""
    task = await create_task(store)
    (id,) = await settle(store)
    queue = store.feedback_queue
    assert await claim(store, task, "slow", expires_at=current_time_us() - 1) == id
    renewed = await queue.renew(task, completion_id=id, reviewer="slow", expires_at=1)
    assert renewed == Lease(completion_id=id, reviewer="slow", expires_at=1)
    assert await queue.renew(task, completion_id=id, reviewer="nobody", expires_at=FAR) is None
    assert await claim(store, task, "quick") == id
    with pytest.raises(Conflict, match="expired"):
        await queue.renew(task, completion_id=id, reviewer="slow", expires_at=FAR)
    with pytest.raises(Conflict, match="expired"):
        await store.feedback.create(answer(task, id, reviewer="slow"), task=task)
    await store.feedback.create(answer(task, id, reviewer="quick"), task=task)
    with pytest.raises(Conflict, match="expired"):
        await store.feedback.create(answer(task, id, reviewer="slow"), task=task)
    # Only the queue limits the number of reviewers.
    await store.feedback.create(answer(task, id, reviewer="log10"), task=task)
    assert (await store.feedback.list(DEFAULT, limit=9))[1] == 2


async def test_late_but_nobody_else_came(store: Store) -> None:
    """An expired lease still counts if nobody took it over."""
    task = await create_task(store)
    (id,) = await settle(store)
    assert await claim(store, task, "slow", expires_at=1) == id
    await store.feedback.create(answer(task, id, reviewer="slow"), task=task)
    assert await claim(store, task, "quick") is None


async def test_skipped(store: Store) -> None:
    """A skipped completion is offered to other reviewers only."""
    task = await create_task(store)
    one, two = await settle(store, 2)
    assert await claim(store, task, "a") == one
    queue = store.feedback_queue
    assert await queue.skip(task, completion_id=one, reviewer="a", reason="not mine")
    assert not await queue.skip(task, completion_id="none", reviewer="a", reason="?")
    assert await claim_all(store, task, "a") == [two]
    assert await queue.measure(task) == Progress(
        matching=2, graded=0, left=2, in_progress=1, skipped=1
    )
    assert await claim(store, task, "b") == one


async def test_orders(store: Store) -> None:
    """Oldest, newest, least sure, and at random, the same for the same seed."""

    def respond(*logprobs: float) -> bytes:
        content = [{"token": "x", "logprob": number} for number in logprobs]
        return json.dumps({"choices": [{"logprobs": {"content": content}}]}).encode()

    for number, logprobs in enumerate([(-1.0,), (), (-2.0, -4.0), (-0.5, -2.0)], start=1):
        await settle(store, id=str(number), created_at=number, response=respond(*logprobs))
    task = await create_task(store, reviewers_wanted=9)
    assert await claim_all(store, task, "b", order="oldest") == ["1", "2", "3", "4"]
    assert await claim_all(store, task, "c", order="newest") == ["4", "3", "2", "1"]
    assert await claim_all(store, task, "d", order="low_logprob") == ["3", "4", "1", "2"]
    await store.feedback_queue.set_turns(task, [("2", 2.5, 0.1), ("4", 0.5, 0.9)])
    assert await claim_all(store, task, "g", order="informative") == ["2", "4", "1", "3"]
    chances = await store.feedback_queue.list_leases(task, reviewer="g")
    assert {each.completion_id: each.chance for each in chances} == {
        "2": 2.5,
        "4": 0.5,
        "1": None,
        "3": None,
    }
    first = await claim_all(store, task, "e", order="random", seed="1")
    assert first == await claim_all(store, task, "f", order="random", seed="1")
    assert sorted(first) == ["1", "2", "3", "4"]


async def test_samples_and_filters(store: Store) -> None:
    """The same seed gives everybody the same sample, and the parts make up the whole."""
    ids = await settle(store, 60)
    await settle(store, model="m-2", response_model=None, created_at=5)
    task = await create_task(store, reviewers_wanted=99)
    half = await claim_all(store, task, "a", sample=0.5, seed="s")
    assert 15 < len(half) < 45
    assert half == await claim_all(store, task, "b", sample=0.5, seed="s")
    around = await claim_all(store, task, "c", sample=0.5, seed="s", order="random")
    assert sorted(around) == sorted(half)
    seeds = {tuple(await claim_all(store, task, seed, sample=0.2, seed=seed)) for seed in "123456"}
    assert len(seeds) > 1
    assert len(await claim_all(store, task, "d", model="m-2")) == 1
    assert len(await claim_all(store, task, "e", model="gpt-4o-2024-08-06")) == len(ids)
    assert len(await claim_all(store, task, "f", created_from=6)) == len(ids)
    assert len(await claim_all(store, task, "g", created_from=5, created_to=6)) == 1


async def test_one_who_goes_on_misses_nothing(store: Store) -> None:
    """A completion that arrives behind a reviewer's place is offered at the end."""
    task = await create_task(store)
    await settle(store, id="5", created_at=5)
    await settle(store, id="7", created_at=7)
    assert await claim(store, task) == "5"
    await settle(store, id="3", created_at=3)
    assert await claim_all(store, task) == ["7", "3"]


async def test_many_at_once(store: Store) -> None:
    """Many reviewers at once get everything, each as often as wanted, nobody twice."""
    ids = await settle(store, 40)
    task = await create_task(store, reviewers_wanted=2)
    got = await asyncio.gather(*(claim_all(store, task, f"r{n}") for n in range(8)))
    everything = [id for found in got for id in found]
    assert sorted(everything) == sorted(ids * 2)
    assert all(len(set(found)) == len(found) for found in got)


async def test_versions(store: Store) -> None:
    """An edit creates a new version, and the old ones stay unchanged."""
    task = await create_task(store)
    first = answer(task, comment="one")
    await store.feedback.create(first, task=task)
    edited = await store.feedback.update(
        first.id,
        organization_id="default",
        change=lambda each: msgspec.structs.replace(each, comment="two", json_values={}),
    )
    assert edited is not None
    assert (edited.version, edited.comment) == (2, "two")
    assert edited == await store.feedback.retrieve(DEFAULT, id=first.id)
    versions = await store.feedback.list_versions(edited)
    assert [(each.version, each.comment) for each in versions] == [(1, "one"), (2, "two")]
    assert versions[0].json_values == {"grade": 1}
    assert not await store.feedback.delete(first.id, organization_id="other")
    assert await store.feedback.delete(first.id, organization_id="default")
    assert await store.feedback.retrieve(DEFAULT, id=first.id) is None


async def test_the_same_key_again(store: Store) -> None:
    """A key gives its first answer for ever, and another request with it is refused."""
    task = await create_task(store)

    async def create(**members: Any) -> Feedback:
        given = answer(task, comment="one")
        return await store.feedback.create(
            given, task=task, **{"idempotency_key": "k", "idempotency_hash": b"1", **members}
        )

    first, again = await asyncio.gather(create(), create())
    assert first == again
    await store.feedback.update(
        first.id,
        organization_id="default",
        change=lambda each: msgspec.structs.replace(each, comment="two"),
    )
    assert await create() == first
    with pytest.raises(Conflict, match="another request"):
        await create(idempotency_hash=b"2")
    assert (await create(idempotency_key="other")).id != first.id


async def test_deleted(store: Store) -> None:
    """Feedback goes with any of its completions, and so reopens the others."""
    task = await create_task(store)
    one, two = await settle(store, 2)
    given = answer(task, one, two)
    await store.feedback.create(given, task=task)
    assert await claim(store, task, "b") is None
    await store.completions.delete(one, organization_id="default")
    assert await store.feedback.retrieve(DEFAULT, id=given.id) is None
    assert await claim_all(store, task, "b") == [two]


async def test_blind(store: Store) -> None:
    """A grader sees the answers of others to a blind task only after answering."""
    task = await create_task(store, reviewers_wanted=3)
    open = await create_task(store, blind=False)
    (id,) = await settle(store)
    for each in (task, open):
        await store.feedback.create(answer(each, id, reviewer="ann"), task=each)

    async def see(reviewer: str) -> int:
        query = msgspec.structs.replace(DEFAULT, hidden_from=reviewer)
        found, total = await store.feedback.list(query, limit=9)
        assert len(found) == total
        return total

    assert (await see("ann"), await see("bob")) == (2, 1)
    await store.feedback.create(answer(task, id, reviewer="bob"), task=task)
    assert (await see("ann"), await see("bob"), await see("eve")) == (3, 3, 1)


async def test_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists come in pages, and iterating in either order misses nothing."""
    monkeypatch.setattr("briggs.storage.feedback.PAGE_ROWS", 3)
    task = await create_task(store)
    given = [answer(task, created_at=5, id=str(number)) for number in range(7)]
    for each in given:
        await store.feedback.create(each, task=task)
    page, total = await store.feedback.list(DEFAULT, limit=2, offset=1)
    assert ([each.id for each in page], total) == (["5", "4"], 7)
    for newest_first in (True, False):
        walked = [
            each.id
            async for page in store.feedback.iterate(DEFAULT, newest_first=newest_first)
            for each in page
        ]
        assert walked == sorted(walked, reverse=newest_first)
        assert len(walked) == 7


async def test_ungraded(store: Store) -> None:
    """Completions that await any task and have no feedback, newest first."""
    old, new, other = [(await settle(store, tags=[tag]))[0] for tag in ("t", "t", "x")]
    task = await create_task(store)
    await create_task(store)
    wide = await create_task(store, completion_tags_selector=["x"])

    async def ungraded(offset: int = 0, organization_id: str = "default") -> Any:
        return await store.feedback_queue.list_ungraded(
            organization_id=organization_id, limit=2, offset=offset
        )

    assert (await ungraded(), await ungraded(2)) == ([other, new], [old])
    await store.feedback.create(answer(wide, new), task=wide)
    await store.feedback.create(answer(task, other), task=task)
    assert await ungraded() == [old]
    assert await ungraded(organization_id="other") == []


async def test_ungraded_reads_its_page_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each queue, filled or not, as many are read as the page and those before it have."""
    ids = await settle(store, 6)
    task = await create_task(store)
    read: list[int] = []

    def read_all(connection: Connection, statement: Select[Any]) -> Any:
        rows = connection.execute(statement).all()
        read.append(len(rows))
        yield from map(tuple, rows)

    monkeypatch.setattr(feedback_ungraded, "_read", read_all)
    for is_filled in (False, True):
        at = None if is_filled else feedback_fill.NEWEST
        await store.act(
            lambda connection, at=at: connection.execute(  # type: ignore[misc]
                feedback_tasks.update()
                .where(
                    feedback_tasks.c.organization_id == "default", feedback_tasks.c.id == task.id
                )
                .values(fill_created_at=at, fill_id=at and "")
            )
        )
        found = await store.feedback_queue.list_ungraded(
            organization_id="default", limit=2, offset=1
        )
        assert (found, read.pop()) == (ids[::-1][1:3], 3)


async def test_calls_of_a_check_await_no_task(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `briggs check` has asked is in the queue of a task only if that selects its tag."""
    monkeypatch.setattr(feedback_fill, "STEP_ROWS", 2)
    probes = await settle(store, 5, tags=["t", CHECK_TAG])
    (call,) = await settle(store)
    tasks = [
        await create_task(store, completion_tags_selector=tags)
        for tags in ([], ["t"], [CHECK_TAG], ["t", CHECK_TAG])
    ]
    probes += await settle(store, tags=["t", CHECK_TAG])
    assert [await claim_all(store, task) for task in tasks] == [[call], [call], probes, probes]


async def test_the_tag_of_a_check_comes_and_goes(store: Store) -> None:
    """A completion leaves the queues when it gets the tag, and returns when it loses it."""
    task = await create_task(store)
    (id,) = await settle(store)
    await store.completions.relabel(id, organization_id="default", tags=["t", CHECK_TAG])
    assert await claim(store, task) is None
    await store.completions.relabel(id, organization_id="default", tags=["t"])
    assert await claim(store, task) == id
