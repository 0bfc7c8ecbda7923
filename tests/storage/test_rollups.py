"""Rollups: always exactly the sums of the rows."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from briggs.storage import Query, Store
from briggs.storage import rollups as module
from briggs.storage.rollups import Upkeep
from briggs.storage.tables import rollup_changes, rollups
from briggs.types.completions import Completion, current_time_us
from briggs.types.rollups import SPAN_US, Rollup, Span, Tally, find_key
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.records import finished
from tests.waiting import PATIENCE_S, until

HOUR_US = SPAN_US["hour"]
EVER = {"created_from": 0, "created_to": 2**62}


async def list_rollups(store: Store, span: Span = "hour", **range: int) -> Sequence[Rollup]:
    return await store.rollups.list_all(organization_id="default", span=span, **EVER | range)


def sum_up(completions: Sequence[Completion], span: Span = "hour") -> dict[tuple[Any, ...], Tally]:
    """What the rollups must be, from the rows."""
    sums: dict[tuple[Any, ...], Tally] = {}
    for each in completions:
        if each.status != "started":
            begin_at = each.created_at - each.created_at % SPAN_US[span]
            sums.setdefault((begin_at, *find_key(each)), Tally()).count(each)
    return sums


async def check_sums(store: Store) -> None:
    """Compare the sums, by hour and by minute, with the rows."""
    page = await store.completions.list(Query(organization_id="default", limit=100_000))
    for span in ("hour", "minute"):
        found = {
            (each.begin_at, each.model, each.provider): each.tally
            for each in await list_rollups(store, span)
        }
        assert found == sum_up(page.completions, span), span


async def check_counts(store: Store) -> None:
    """Compare the counts of some ranges with the rows. A start may be written meanwhile."""

    async def count_rows() -> list[int]:
        page = await store.completions.list(Query(organization_id="default", limit=100_000))
        times = [each.created_at for each in page.completions]
        return [sum((begin or 0) <= at < (end or 2 * now) for at in times) for begin, end in ranges]

    now = current_time_us()
    ranges = [(None, None), (now - HOUR_US, now), (now - 100 * HOUR_US, now + 1)]
    before = await count_rows()
    counts = [
        await store.rollups.count_calls(
            organization_id="default", created_from=begin, created_to=end
        )
        for begin, end in ranges
    ]
    after = await count_rows()
    for count, least, most in zip(counts, before, after, strict=True):
        assert count is not None and least <= count <= most


def find_upkeep(store: Store) -> Upkeep:
    return next(each for each in store._writer._chores if isinstance(each, Upkeep))


async def filled(store: Store) -> None:
    """Wait until all older completions are counted."""
    async with asyncio.timeout(PATIENCE_S):
        while await store.rollups.retrieve_progress(organization_id="default"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def vary(rng: random.Random, **members: Any) -> Completion:
    """A completion of any outcome, from the last three hours."""
    failed = rng.random() < 0.3
    return finished(
        created_at=current_time_us() - rng.randrange(2 * HOUR_US),
        status="failed" if failed else "finished",
        failure_kind=rng.choice(["upstream_timeout", "hang_up", "\ud83d"]) if failed else None,
        model=rng.choice(["a", "b", "\ud83d"]),
        provider=rng.choice(["openai", "groq", None]),
        cost_usd=rng.choice([None, 0.001, 0.1, -1.0, 1e300]),
        prompt_tokens=rng.choice([None, 3, 10**30]),
        duration_ms=rng.choice([None, 0.0, 12.5, rng.random() * 1e5, float("inf")]),
        first_token_ms=rng.choice([None, 3.5]),
        p_mean=rng.choice([None, 0.0, 0.731, 1.0]),
        p_least=rng.choice([0.0, 1e-20, 0.2]),
        **members,
    )


async def live(folder: Path, operations: Sequence[str], rng: random.Random) -> None:
    """Do some operations of a server's life, and check the sums after each."""
    store = await Store.open(folder)
    ids: list[str] = []
    running: list[Completion] = []
    for operation in operations:
        completion = vary(rng)
        if operation == "settle":
            await store.settle(completion)
            ids.append(completion.id)
        elif operation == "start":
            await store.start(msgspec.structs.replace(completion, status="started"))
            running.append(completion)
            await asyncio.sleep(rng.choice([0, 0.06]))
        elif operation == "end" and running:
            completion = running.pop()
            await store.settle(completion)
            ids.append(completion.id)
        elif operation == "report":
            id = rng.choice(ids) if ids and rng.random() < 0.7 else completion.id
            started = rng.random() < 0.3
            await store.completions.merge(
                id, organization_id="default", change=Report(completion, started)
            )
            if id not in ids:
                ids.append(id)
        elif operation == "delete" and ids:
            await store.completions.delete(
                ids.pop(rng.randrange(len(ids))), organization_id="default"
            )
        elif operation == "rebuild":
            await store.rollups.rebuild(organization_id="default")
            await filled(store)
        elif operation == "fold":
            await store.act(lambda connection: connection.info.clear())
            find_upkeep(store)._fold_at = 0
        elif operation == "restart":
            running.clear()
            await store.close()
            store = await Store.open(folder)
        await check_sums(store)
        await check_counts(store)
    await store.close()


class Report:
    """Reports a call, and changes what was reported before in place, as clients' posts do."""

    def __init__(self, completion: Completion, started: bool) -> None:
        self._completion = completion
        self._started = started

    def __call__(self, before: Completion | None) -> Completion:
        if before is None:
            status = "started" if self._started else self._completion.status
            return msgspec.structs.replace(self._completion, source="client", status=status)
        for name in ("status", "failure_kind", "model", "cost_usd", "duration_ms"):
            setattr(before, name, getattr(self._completion, name))
        return before


OPERATIONS = ("settle", "start", "end", "report", "delete", "rebuild", "fold", "restart")


@given(
    operations=st.lists(st.sampled_from(OPERATIONS), min_size=3, max_size=12),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=25)
def test_any_history(operations: list[str], seed: int) -> None:
    """After any operations, the sums are those of the rows."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(Path(folder), operations, random.Random(seed)))


async def test_changes_are_folded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes become rollups within about a second. Minutes are dropped later. Rows have them."""
    old = finished(created_at=current_time_us() - 30 * HOUR_US)
    for each in (finished(), finished(), old):
        await store.settle(each)
    await until(lambda: not read_rows(store, select(rollup_changes.c.organization_id)))
    assert len(read_rows(store, select(rollups.c.span))) == 3, "two hours and a minute"
    assert sum(each.tally.calls for each in await list_rollups(store)) == 3
    assert sum(each.tally.calls for each in await list_rollups(store, "minute")) == 3
    monkeypatch.setattr(module, "MINUTES_KEPT_US", -HOUR_US)
    await store.settle(finished())
    find_upkeep(store)._fold_at = 0
    await store.settle(finished())
    await asyncio.sleep(1.2)
    assert {span for (span,) in read_rows(store, select(rollups.c.span))} == {"hour"}
    for span in ("minute", "hour"):
        assert sum(each.tally.calls for each in await list_rollups(store, span)) == 5


JUMPS_H = (0, 2, -2, 5, 0, 72, 1, -72, -71, 400, 0, 3)
"""What a clock says, in hours before or after what it should say."""


async def test_a_clock_that_jumps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock says when something is recorded, deleted or folded, the sums are right.

    The same holds if nodes whose clocks differ keep order one after the other.
    """
    true, jump = current_time_us(), 0
    monkeypatch.setattr(module, "current_time_us", lambda: true + jump * HOUR_US)
    rng, ids = random.Random(7), []
    for jump in JUMPS_H:
        for late_h in (0, 1, 4):
            at = true + (jump - late_h) * HOUR_US + rng.randrange(2 * SPAN_US["minute"])
            ids.append(finished(created_at=at, model=rng.choice(["a", "b"])))
            await store.settle(ids[-1])
        gone = ids.pop(rng.randrange(len(ids)))
        await store.completions.delete(gone.id, organization_id="default")
        find_upkeep(store)._fold_at = 0
        await store.settle(finished(created_at=true + jump * HOUR_US))
        await until(lambda: not read_rows(store, select(rollup_changes.c.organization_id)))
        await check_sums(store)
    stored = {at for (at,) in read_rows(store, select(rollups.c.begin_at).where(MINUTES))}
    assert stored, "the newest minutes are stored"


MINUTES = rollups.c.span == "minute"


async def test_a_range(store: Store) -> None:
    """Only what begins in the range is listed, also of what is not folded yet."""
    begin_at = current_time_us() // HOUR_US * HOUR_US
    for hour in (0, 1, 2):
        await store.settle(finished(created_at=begin_at - hour * HOUR_US))
    listed = await list_rollups(store, created_from=begin_at - HOUR_US, created_to=begin_at)
    assert [each.begin_at for each in listed] == [begin_at - HOUR_US]
    other = await store.rollups.list_all(organization_id="other", span="hour", **EVER)
    assert list(other) == []


async def test_old_completions_are_counted_in_steps(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While older completions are counted, new ones, changed ones and deleted ones stay right."""
    monkeypatch.setattr(module, "FILL_ROWS", 7)
    store = await open_store()
    old = [finished(created_at=current_time_us() - 1_000 * n) for n in range(200)]
    await asyncio.gather(*(store.settle(each) for each in old))
    await store.rollups.rebuild(organization_id="default")
    progress = await store.rollups.retrieve_progress(organization_id="default")
    assert progress is not None and 0 <= progress.share < 1
    for place in (0, 100, 199):
        assert await store.completions.delete(old[place].id, organization_id="default")
        await store.settle(finished())
    await filled(store)
    await check_sums(store)


async def test_refused_models_share_a_rollup(store: Store) -> None:
    """A caller who sends many unknown models makes one rollup, not one for each name."""
    for n in range(20):
        await store.settle(
            finished(model=f"no/such-{n}", provider=None, status="failed", failure_kind="not_found")
        )
    [rollup] = await list_rollups(store)
    assert (rollup.model, rollup.provider) == ("", "")
    assert rollup.tally.failures == {"not_found": 20}
