"""What is kept of past hours: it is what their rows have, after a start and after any change."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from briggs.record.hours import HourLearning
from briggs.storage import Query, Store, kept_hours, zones
from briggs.storage.hours import FILTERED, NAMES, Zone, decode, encode, read_zone
from briggs.storage.tables import hours
from briggs.types.completions import current_time_us
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.records import finished
from tests.storage.test_zones import HOUR, check_lists, list_queries, vary

_FLOATS = st.floats(allow_nan=False)
_BOUNDS = st.none() | st.tuples(_FLOATS, _FLOATS) | st.tuples(st.just(-math.inf), st.integers(0, 9))
_VALUES = st.none() | st.text() | st.integers(-(2**63), 2**64 - 1)
_ZONES = st.builds(
    Zone,
    st.fixed_dictionaries(dict.fromkeys(FILTERED, _BOUNDS)),
    st.dictionaries(st.sampled_from(sorted(NAMES)), st.frozensets(_VALUES)),
    st.frozensets(st.sampled_from(sorted(FILTERED))),
    st.none() | st.integers(0, 2**16_384 - 1),
)


def list_kept(store: Store) -> dict[int, Zone | None]:
    rows = read_rows(store, select(hours.c.hour, hours.c.zone))
    return {hour: None if zone is None else decode(zone) for hour, zone in rows}


async def read_hours(store: Store) -> dict[int, Zone | None]:
    """What the rows of each hour have that has ended long enough ago."""

    def read(connection: Connection) -> dict[int, Zone | None]:
        last = (current_time_us() - 600_000_000) // HOUR
        found = range(last - 80, last)
        zones = {
            each: read_zone(connection, organization_id="default", hour=each) for each in found
        }
        return {hour: zone for hour, zone in zones.items() if zone is not None}

    return await store.act(read)


@given(zone=_ZONES)
def test_a_zone_is_kept_as_it_is(zone: Zone) -> None:
    """Numbers without an end and large sets too."""
    content = encode(zone)
    assert content is not None
    assert decode(content) == zone


def test_what_another_version_kept_is_read_again() -> None:
    """A zone without a field of today says nothing."""
    bounds = dict.fromkeys(FILTERED)
    content = encode(Zone(bounds, {}))
    fewer = encode(Zone({"cost": None}, {}))
    assert content is not None and decode(content) is not None
    assert fewer is not None and decode(fewer) is None
    assert decode(b"") is decode(content[:-1]) is None
    assert encode(Zone(bounds, {"model": frozenset(["\ud800"])})) is None


async def test_a_start_learns_nothing_again(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept is read instead of the rows, and lists are the same, also after changes."""
    monkeypatch.setattr(zones, "LEARNT_WITHIN_S", 60.0)
    rng = random.Random(7)
    store = await open_store()
    some = [vary(rng) for _ in range(120)]
    for each in some:
        await store.settle(each)
    await HourLearning(store, peers=store.nodes).learn()
    assert list_kept(store) == await read_hours(store)
    await store.close()

    read: list[int] = []

    def count(connection: Any, *, hour: int, **more: Any) -> Zone | None:
        read.append(hour)
        return read_zone(connection, hour=hour, **more)

    monkeypatch.setattr(zones, "read_zone", count)
    store = await open_store()
    await store.completions.list_summaries(Query(organization_id="default", sort="cost"))
    recent = (current_time_us() - 600_000_000) // HOUR
    assert all(hour >= recent for hour in read)
    await check_lists(store, (each for each in list_queries() if each.sort == "time"))
    for each in some[:5]:
        await store.completions.delete(each.id, organization_id="default")
    await store.settle(vary(rng))
    assert list_kept(store).items() <= (await read_hours(store)).items()
    await HourLearning(store, peers=store.nodes).learn()
    assert list_kept(store) == await read_hours(store)


async def test_what_changes_while_it_is_read_is_not_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change after the reading deletes the note of it, so what was read is thrown away."""
    old = finished(created_at=current_time_us() - 5 * HOUR, model="before")
    await store.settle(old)
    keep = kept_hours._keep

    def change(connection: Connection, *arguments: Any) -> None:
        late = finished(created_at=old.created_at + 1, model="after")
        kept_hours.forget(connection, [("default", late.created_at // HOUR)])
        keep(connection, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(kept_hours, "_keep", change)
        await store.hours.keep_some(organization_id="default")
    assert list_kept(store) == {}
    await store.hours.keep_some(organization_id="default")
    assert list_kept(store) == await read_hours(store) != {}


async def test_only_hours_with_completions_are_read(store: Store) -> None:
    """A completion of 1970 does not make half a million hours since then be looked at."""
    for at in (5_000_000, current_time_us() - 9 * HOUR, current_time_us() - 8 * HOUR):
        await store.settle(finished(created_at=at))
    await HourLearning(store, peers=store.nodes).learn()
    assert len(list_kept(store)) == store._database.zones._count() == 3
    known = store._database.zones._maps["default"]
    assert (known.low, known.dirty) == (0, set())


async def test_hours_are_kept_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, and however few are listed at once."""
    for module in (kept_hours, zones):
        monkeypatch.setattr(module, "LISTED_AT_ONCE", 5)
    monkeypatch.setattr(kept_hours, "READ_AT_ONCE", 2)
    now = current_time_us()
    for number in range(1, 18):
        await store.settle(finished(created_at=now - number * 30 * HOUR))
    await HourLearning(store, peers=store.nodes).learn()
    assert len(list_kept(store)) == store._database.zones._count() == 17
