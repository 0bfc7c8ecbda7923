"""Spending: sums by day of what was recorded, whatever is deleted afterwards."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from sqlalchemy import delete, select, update

from briggs.storage import Store
from briggs.storage.spending import DAYS_KEPT
from briggs.storage.tables import migrations, rollup_changes, spending
from briggs.types.completions import Completion, current_time_us
from briggs.types.limits import DAY_US, NANO, Holder, find_month, list_days, mark_user
from tests.storage.conftest import OpenStore, change_rows, read_rows
from tests.storage.records import finished
from tests.waiting import until

TODAY = current_time_us() // DAY_US * DAY_US


def create_calls(count: int) -> list[Completion]:
    """Calls of some keys and users, on this day and the one before. Some have no cost."""
    chance = random.Random(7)
    return [
        finished(
            organization_id=chance.choice(["default", "other"]),
            created_at=TODAY - chance.choice([0, 1]) * DAY_US + n,
            key_id=chance.choice([None, "key_1", "key_2"]),
            user=chance.choice([None, "", "ann", "\ud83d"]),
            cost_usd=chance.choice([None, 0.0, 0.1, 0.000000003, 1e9]),
            source=chance.choice(["gateway", "client"]),
        )
        for n in range(count)
    ]


def sum_up(completions: list[Completion], holder: Holder, *, of: str) -> dict[str, dict[int, int]]:
    """What the sums must be, from the calls."""
    sums: dict[str, Counter[int]] = {}
    for each in completions:
        user = mark_user(each.user) if each.user else None
        id = {"organization": of, "key": each.key_id, "user": user}[holder]
        cost = each.cost_usd
        if each.organization_id == of and id and cost and cost < 1e9 and each.source == "gateway":
            day = each.created_at // DAY_US * DAY_US
            sums.setdefault(id, Counter())[day] += round(cost * NANO)
    return {id: dict(days) for id, days in sums.items()}


async def check(store: Store, calls: list[Completion]) -> None:
    days = [TODAY - DAY_US, TODAY]
    for of in ("default", "other"):
        for holder in ("organization", "key", "user"):
            found = await store.spending.read_all(holder, organization_id=of, days=days)
            assert found == sum_up(calls, holder, of=of)
            assert found
            for id, by_day in found.items():
                one = await store.spending.read(holder, id, organization_id=of, days=days)
                assert one == by_day


async def test_sums_are_those_of_the_record(open_store: OpenStore) -> None:
    """They are right at once, after folding, after deleting, and after a restart."""
    store = await open_store()
    calls = create_calls(200)
    for each in calls[:100]:
        await store.start(each)
    for each in calls:
        await store.settle(each)
    await check(store, calls)
    await store.rollups.rebuild(organization_id="default")
    await check(store, calls)
    for each in calls[::3]:
        await store.completions.delete(each.id, organization_id=each.organization_id)
    await check(store, calls)
    await until(lambda: count_changes(store) == 0)
    await check(store, calls)
    await store.close()
    await check(await open_store(), calls)


def count_changes(store: Store) -> int:
    return len(read_rows(store, select(rollup_changes)))


async def test_changing_a_completion_spends_nothing(store: Store) -> None:
    """Tags and metadata can be changed without counting a cost again."""
    call = finished(cost_usd=0.5, key_id="key_1", created_at=TODAY)
    await store.settle(call)
    await store.completions.relabel(call.id, organization_id="default", tags=["a"])
    await store.completions.merge(
        call.id,
        organization_id="default",
        change=lambda before: msgspec.structs.replace(before or call, session_id="s"),
    )
    found = await store.spending.read("key", "key_1", organization_id="default", days=[TODAY])
    assert found == {TODAY: NANO // 2}


async def test_users_are_not_named(store: Store) -> None:
    """The sums of an end user are kept without the user's name."""
    await store.settle(finished(cost_usd=0.5, user="ann.fielding", created_at=TODAY))
    await until(lambda: count_changes(store) == 0)
    rows = read_rows(store, select(spending))
    assert (("default", TODAY, "user", mark_user("ann.fielding"), NANO // 2)) in rows
    assert "ann.fielding" not in str(rows)


async def test_old_days_are_dropped(store: Store) -> None:
    """Days from more than two months ago go when something is spent."""
    old = TODAY - (DAYS_KEPT + 2) * DAY_US
    await store.settle(finished(cost_usd=0.5, created_at=old))
    await store.settle(finished(cost_usd=0.5, created_at=TODAY))
    await until(lambda: count_changes(store) == 0)
    found = await store.spending.read(
        "organization", "default", organization_id="default", days=[old, TODAY]
    )
    assert found == {TODAY: NANO // 2}


async def test_a_record_from_before_there_were_sums(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migration counts what was spent in this month."""
    # The month of the calls, also if a new one begins meanwhile.
    monkeypatch.setattr("briggs.storage.spending.current_time_us", lambda: TODAY)
    store = await open_store()
    calls = [
        msgspec.structs.replace(each, created_at=max(each.created_at, find_month(TODAY)))
        for each in create_calls(100)
    ]
    for each in calls:
        await store.settle(each)
    await store.act(spending.drop)
    this = migrations.c.name == "sum_what_was_spent"
    unspent = update(rollup_changes).values(spent=None)
    await change_rows(store, unspent, delete(migrations).where(this))
    await store.close()
    await check(await open_store(), calls)


def test_months() -> None:
    """A month begins at midnight on its first day, UTC, and `list_days` ends with today."""
    leap = 1_709_164_800_000_000  # 2024-02-29
    assert find_month(leap) == 1_706_745_600_000_000
    days = list_days(leap + 1)
    assert (len(days), days[-1]) == (29, leap)
