"""The queues of new and changed tasks, which are filled from the record while it is used."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, func, select

from briggs.storage import Store, feedback_ahead, feedback_fill
from briggs.storage.tables import IS_OPEN, feedback_counts, feedback_queue
from briggs.types.feedback import FeedbackTask, Wish
from tests.storage.conftest import OpenStore
from tests.storage.test_feedback import answer, claim_all, settle
from tests.waiting import until

ORDERS = ("oldest", "newest", "low_logprob", "random")


@pytest.fixture
def unfilled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues are filled only by what asks for it."""
    monkeypatch.setattr(feedback_fill, "STEPS_AT_ONCE", 0)
    monkeypatch.setattr(feedback_fill.QueueFill, "waits", False)


async def create_task(store: Store, *tags: str, **members: Any) -> FeedbackTask:
    task = FeedbackTask(
        organization_id="default",
        name="quality",
        json_schema={},
        completion_tags_selector=list(tags),
        **members,
    )
    await store.feedback_tasks.create(task)
    return task


async def change(store: Store, task: FeedbackTask, **members: Any) -> FeedbackTask:
    changed = await store.feedback_tasks.update(
        task.id,
        organization_id="default",
        change=lambda task: msgspec.structs.replace(task, **members),
    )
    assert changed is not None
    return changed


async def take(store: Store, task: FeedbackTask, reviewer: str = "ann", **wish: Any) -> str | None:
    """Take the next, as a server does."""
    queue = store.feedback_queue
    search: Any = {"reviewer": reviewer, "wish": Wish(**wish)}
    if ahead := await queue.look_ahead(task, **search):
        await queue.put_ahead(task, ahead)
    among = await queue.find(task, **search)
    lease = await queue.claim(task, **search, among=among, expires_at=2**60)
    return None if lease is None else lease.completion_id


async def take_all(store: Store, task: FeedbackTask, reviewer: str = "ann", **wish: Any) -> Any:
    found = []
    while (id := await take(store, task, reviewer, **wish)) is not None:
        found.append(id)
    return found


async def settle_sure(store: Store, p_means: list[float | None], **members: Any) -> list[str]:
    """Completions of the first days of 2026, with these certainties."""
    ids = []
    for number, p_mean in enumerate(p_means):
        at = 1_767_225_600_000_000 + number * 3_600_000_000
        ids += await settle(store, created_at=at, p_mean=p_mean, **members)
    return ids


def count(connection: Connection, task_id: str) -> tuple[Any, ...]:
    """What is in a queue and what is left of it, as counted one by one."""
    ours = select(func.count()).select_from(feedback_queue)
    ours = ours.where(feedback_queue.c.task_id == task_id)
    return connection.scalar(ours), connection.scalar(ours.where(IS_OPEN))


@pytest.mark.usefixtures("unfilled")
async def test_the_first_item_comes_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a queue is empty, its first item is found in the record, in every order."""
    monkeypatch.setattr(feedback_ahead, "FOUND", 3)
    ids = await settle_sure(store, [0.5, 0.9, None, 0.1, 0.7, 0.3])
    await settle(store, tags=["other"])
    first = {}
    for order in ORDERS:
        task = await create_task(store, "t")
        first[order] = await take(store, task, order=order)
        progress = await store.feedback_queue.measure(task)
        assert not progress.is_filled
        assert progress.matching
    assert first["random"] in ids
    assert (first["oldest"], first["newest"], first["low_logprob"]) == (ids[0], ids[-1], ids[3])


@pytest.mark.usefixtures("unfilled")
@pytest.mark.parametrize("order", ORDERS[:3])
async def test_the_order_holds_while_a_queue_is_filled(
    store: Store, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reviewer gets all of the record once and in order, however far the queue is filled."""
    monkeypatch.setattr(feedback_fill, "STEP_ROWS", 2)
    monkeypatch.setattr(feedback_ahead, "FOUND", 2)
    ids = await settle_sure(store, [0.5, 0.9, None, 0.1, 0.7, 0.3, 0.2, None])
    whole = await create_task(store, "t")
    await store.feedback_tasks.fill(organization_id="default")
    task = await create_task(store, "t")
    found = []
    for number in range(len(ids)):
        found.append(await take(store, task, order=order))
        if number % 3 == 2:
            await store.act(lambda connection: step(store, connection))
    assert found == await claim_all(store, whole, order=order)


def step(store: Store, connection: Connection) -> str:
    return feedback_fill.step(connection, after="", bodies=store.feedback_queue._bodies)


@pytest.mark.usefixtures("unfilled")
async def test_what_a_reviewer_wishes_of_a_queue_that_is_not_filled(store: Store) -> None:
    """A model, a time, and a sample are looked for in the record too."""
    ids = await settle_sure(store, [None] * 6)
    (rare,) = await settle(store, created_at=5, model="rare")
    task = await create_task(store, "t", reviewers_wanted=9)
    assert await take_all(store, task, "1", model="rare") == [rare]
    assert await take_all(store, task, "2", model="unknown") == []
    begin = 1_767_225_600_000_000
    span = {"created_from": begin + 1, "created_to": begin + 7_200_000_001}
    assert await take_all(store, task, "3", **span) == ids[1:3]
    parts = [
        await take_all(store, task, f"{seed} {sample}", sample=sample, seed=seed)
        for seed, sample in (("x", 0.5), ("x", 1.0))
    ]
    # A sample of half of seven may, by chance, be all of them.
    assert set(parts[0]) <= set(parts[1]) == {*ids, rare}


@pytest.mark.usefixtures("unfilled")
async def test_what_needs_no_review_is_not_looked_for(store: Store) -> None:
    """What enough reviewers graded, this one skipped, or has no text, is passed over."""
    ids = await settle_sure(store, [None] * 4)
    await settle(store, kind="embedding")
    task = await create_task(store, "t")
    await take(store, task, "bob", order="newest")
    await store.feedback.create(answer(task, ids[0]), task=task)
    assert await store.feedback_queue.skip(
        task, completion_id=ids[1], reviewer="ann", reason="unclear"
    )
    await change(store, task, completion_tags_selector=["t", "t"])
    assert await take_all(store, task) == [ids[2]]


async def test_a_task_that_selects_nothing(store: Store) -> None:
    """Its queue is filled, and empty."""
    await settle(store, 3)
    task = await create_task(store, "t", "nobody has this")
    await until_filled(store, task)
    assert await take(store, task) is None
    assert (await store.feedback_queue.measure(task)).matching == 0


async def until_filled(store: Store, task: FeedbackTask) -> None:
    while not (await store.feedback_queue.measure(task)).is_filled:
        await until(lambda: True)


async def test_the_writer_fills_queues_after_a_restart(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that was filled in part is filled by itself, with each completion once."""
    monkeypatch.setattr(feedback_fill, "STEP_ROWS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(feedback_fill.QueueFill, "waits", False)
        patch.setattr(feedback_fill, "STEPS_AT_ONCE", 1)
        store = await open_store()
        before = await settle_sure(store, [None] * 7)
        task = await create_task(store, "t")
        later = await settle(store, 2)
        assert (await store.feedback_queue.measure(task)).matching == 4
        await store.close()
    store = await open_store()
    await until_filled(store, task)
    assert (await store.feedback_queue.measure(task)).matching == 9
    assert await claim_all(store, task) == [*before, *later]


@pytest.mark.usefixtures("unfilled")
async def test_a_changed_task_offers_only_what_it_selects_now(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a task no longer selects is offered to nobody, from the change on."""
    monkeypatch.setattr(feedback_fill, "STEP_ROWS", 2)
    both = await settle(store, 2, tags=["a", "b"])
    only = await settle(store, 3, tags=["a"])
    other = await settle(store, 2, tags=["b"])
    task = await create_task(store, "a", reviewers_wanted=9)
    await store.feedback_tasks.fill(organization_id="default")
    assert await claim_all(store, task, "1") == [*both, *only]
    task = await change(store, task, completion_tags_selector=["b"])
    assert sorted(await take_all(store, task, "2")) == sorted([*both, *other])
    await store.feedback_tasks.fill(organization_id="default")
    progress = await store.feedback_queue.measure(task)
    assert (progress.matching, progress.left) == (4, 4)
    assert await claim_all(store, task, "3") == [*both, *other]


@pytest.mark.usefixtures("unfilled")
async def test_an_archived_task_is_emptied(store: Store) -> None:
    """The queue of an archived task counts nothing, also before it is emptied."""
    await settle(store, 3)
    task = await create_task(store, "t")
    await store.feedback_tasks.fill(organization_id="default")
    task = await change(store, task, archived_at=1)
    assert (await store.feedback_queue.measure(task, reviewer="ann")).left_for_reviewer == 0
    assert await store.read(lambda connection: count(connection, task.id)) == (3, 3)
    await store.feedback_tasks.fill(organization_id="default")
    assert await store.read(lambda connection: count(connection, task.id)) == (0, 0)


@pytest.mark.usefixtures("unfilled")
async def test_ungraded_while_queues_are_filled(store: Store) -> None:
    """Those that no queue has yet are listed too, each once, the newest first."""
    ids = await settle_sure(store, [None] * 5)
    await settle(store, tags=["other"])
    filled = await create_task(store, "t", reviewers_wanted=2)
    await store.feedback_tasks.fill(organization_id="default")
    await create_task(store, "t")
    await store.feedback.create(answer(filled, ids[3]), task=filled)

    async def list_ungraded(limit: int, offset: int = 0) -> list[str]:
        return [
            *await store.feedback_queue.list_ungraded(
                organization_id="default", limit=limit, offset=offset
            )
        ]

    left = [ids[4], ids[2], ids[1], ids[0]]
    assert await list_ungraded(9) == left
    assert await list_ungraded(2, 1) == left[1:3]


@pytest.mark.usefixtures("unfilled")
async def test_the_model_is_hidden_before_a_queue_is_filled(store: Store) -> None:
    """A task hides the model of what it selects, whether or not its queue has it yet."""
    (one,) = await settle(store)
    (two,) = await settle(store, tags=["other"])
    await create_task(store, "t", hide_model=True)
    hiding = await store.feedback_tasks.list_hiding([one, two], organization_id="default")
    assert hiding == {one: {"t"}}


async def test_counts_are_those_of_the_rows(store: Store) -> None:
    """Whatever changes a queue changes its counts."""
    rng = random.Random(5)
    ids = await settle(store, 20)
    tasks = [await create_task(store, "t", reviewers_wanted=wanted) for wanted in (1, 2)]

    async def grade(id: str) -> None:
        task = rng.choice(tasks)
        given = answer(task, id, reviewer=rng.choice("abc"))
        await store.feedback.create(given, task=task)
        if rng.random() < 0.3:
            await store.feedback.delete(given.id, organization_id="default")

    async def settle_one(_: str) -> None:
        ids.extend(await settle(store))

    async def delete(id: str) -> None:
        await store.completions.delete(id, organization_id="default")
        ids.remove(id)

    async def relabel(id: str) -> None:
        tags = rng.choice([["t"], []])
        await store.completions.relabel(id, organization_id="default", tags=tags)

    async def change_task(_: str) -> None:
        place = rng.randrange(2)
        tasks[place] = await change(store, tasks[place], reviewers_wanted=rng.randint(1, 3))

    for _ in range(120):
        do = rng.choice([grade, grade, settle_one, delete, relabel, change_task])
        await do(rng.choice(ids))
    for task in tasks:
        counts = select(feedback_counts.c.matching, feedback_counts.c.left).where(
            feedback_counts.c.task_id == task.id
        )
        assert await store.read(
            lambda connection, counts=counts: tuple(connection.execute(counts).one())  # type: ignore[misc]
        ) == await store.read(lambda connection, id=task.id: count(connection, id))  # type: ignore[misc]
