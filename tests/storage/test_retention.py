"""What has been kept for long enough is deleted, a little at a time, and nothing else is."""

from __future__ import annotations

import asyncio
import random

from briggs.storage import Query, Store
from briggs.storage.retention import Sweeper
from briggs.types.completions import Completion, current_time_us
from briggs.types.retention import Term
from tests.storage.conftest import OpenStore
from tests.storage.test_deletion import name, record
from tests.waiting import PATIENCE_S, until

HOUR_US = 3_600_000_000


def recorded(number: int, *, age_h: float, tag: str = "plain", **members: object) -> Completion:
    completion = record(number, random.Random(number))
    completion.created_at = current_time_us() - round(age_h * HOUR_US)
    completion.tags.append(tag)
    for member, value in members.items():
        setattr(completion, member, value)
    return completion


async def fill(store: Store, *completions: Completion) -> None:
    for each in completions:
        await store.settle(each)


def use(store: Store, *terms: Term) -> None:
    """Set terms that only `run` applies."""
    (sweeper,) = [each for each in store._writer._chores if isinstance(each, Sweeper)]
    sweeper._at, sweeper._applied = float("inf"), terms
    store.retention.use(terms)


async def states(store: Store) -> dict[int, str]:
    """What is left of each completion, by its number."""
    page = await store.completions.list(Query(organization_id="default", limit=1000))
    return {
        int(name(each)[:5]): "empty" if each.bodies_deleted_at is not None else "whole"
        for each in page.completions
        if (each.request == b"") == (each.bodies_deleted_at is not None)
    }


async def test_the_shortest_term_wins(store: Store) -> None:
    """Bodies and metadata have times of their own, and a tag may have shorter ones."""
    await fill(
        store,
        recorded(1, age_h=0.5, tag="pii"),
        recorded(2, age_h=2, tag="pii"),
        recorded(3, age_h=2),
        recorded(4, age_h=30),
        recorded(5, age_h=100),
        recorded(6, age_h=50, tag="pii"),
    )
    store.retention.use(
        [
            Term(what="bodies", span="24h"),
            Term(what="metadata", span="3d"),
            Term(what="bodies", span="1h", tag="pii"),
            Term(what="metadata", span="2d", tag="pii"),
            Term(what="metadata", span="1min", organization="another"),
        ]
    )
    wanted = {1: "whole", 2: "empty", 3: "whole", 4: "empty"}
    async with asyncio.timeout(PATIENCE_S):
        while await states(store) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_dry_run_only_counts(store: Store) -> None:
    """A count says what each term is about, and deletes nothing."""
    await fill(store, recorded(1, age_h=30), recorded(2, age_h=30, tag="pii"), recorded(3, age_h=1))
    use(store, Term(what="bodies", span="1d"), Term(what="metadata", span="1d", tag="pii"))
    counted = await store.retention.count(organization_id="default")
    assert [each.completions for each in counted] == [2, 1]
    assert await states(store) == {1: "whole", 2: "whole", 3: "whole"}
    done = await store.retention.run(organization_id="default")
    assert [each.completions for each in done] == [2, 1]
    assert await states(store) == {1: "empty", 3: "whole"}
    done = await store.retention.run(organization_id="default")
    assert [each.completions for each in done] == [0, 0]


async def test_a_call_that_runs_keeps_its_request(store: Store) -> None:
    """A call is not emptied before it has ended, unless only its client knows when that is."""
    running = recorded(1, age_h=30, status="started")
    logged = recorded(2, age_h=30, status="started", source="client")
    await store.start(running)
    await store.completions.merge(running.id, organization_id="default", change=lambda _: running)
    await store.completions.merge(logged.id, organization_id="default", change=lambda _: logged)
    use(store, Term(what="bodies", span="1d"))
    await store.retention.run(organization_id="default")
    assert await states(store) == {1: "whole", 2: "empty"}


async def test_what_comes_later_is_emptied_too(store: Store) -> None:
    """A client that tells the end of an emptied call adds no body to it."""
    logged = recorded(1, age_h=30, source="client")
    await fill(store, logged)
    use(store, Term(what="bodies", span="1d"))
    await store.retention.run(organization_id="default")

    def answer(before: Completion | None) -> Completion:
        assert before is not None
        before.response, before.duration_ms = b'{"late": true}', 5.0
        return before

    after = await store.completions.merge(logged.id, organization_id="default", change=answer)
    assert (after.response, after.duration_ms) == (None, 5.0)


async def test_calls_are_recorded_between_the_steps(open_store: OpenStore) -> None:
    """A call does not wait until all of much that is old is deleted."""
    store = await open_store()
    await fill(store, *(recorded(number, age_h=30) for number in range(400)))
    store.retention.use([Term(what="bodies", span="1d")])
    (sweeper,) = [each for each in store._writer._chores if isinstance(each, Sweeper)]
    await until(lambda: sweeper.waits)
    await fill(store, *(recorded(1000 + number, age_h=0) for number in range(10)))
    assert sweeper.waits
    await until(lambda: not sweeper.waits)
    assert sorted((await states(store)).values()) == ["empty"] * 400 + ["whole"] * 10
