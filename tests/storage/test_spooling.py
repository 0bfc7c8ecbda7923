"""The database is away, slow, full, or replaced by its standby. Real servers, which are killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from briggs.storage import Query, Store, spooling, writer
from briggs.storage.bodies import Bodies
from briggs.storage.postgres import connections, membership
from briggs.storage.records import encode
from briggs.storage.spooling import bring_home
from briggs.storage.sqlite.spool import SpoolFile
from briggs.types.completions import Completion
from briggs.types.errors import StoreUnavailable
from tests.postgres import Postgres
from tests.storage.conftest import OpenStore
from tests.storage.records import finished
from tests.waiting import until

ORGANIZATION = "default"


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    """A cluster of this test's own, which it may kill."""
    with Postgres.run() as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "ASKED_EVERY_S", 0.05)
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_S", 2)


@pytest.fixture
async def away(cluster: Postgres, tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose cluster can be killed."""
    store = await Store.open(tmp_path / "data", address=cluster.create_database())
    yield store
    await store.close()


async def settle(store: Store, count: int, **members: Any) -> list[Completion]:
    """Settle calls that cost a dollar each. Returns once each is durable."""
    made = [finished(cost_usd=1.0, tags=["t"], **members) for _ in range(count)]
    for each in made:
        await store.start(each)
        await store.settle(each)
    return made


async def check(store: Store, made: Sequence[Completion]) -> None:
    """Each of these is on record once, with its bodies, its tag and its part of every sum."""
    spool = store.spool
    assert spool is not None
    await until(lambda: store.spool is not None and store.spool.count == 0)
    found = await store.completions.retrieve_many(
        [each.id for each in made], organization_id=ORGANIZATION
    )
    assert found == {each.id: each for each in made}
    listed = await store.completions.list(
        Query(organization_id=ORGANIZATION, tags=["t"], limit=1000)
    )
    assert {each.id for each in listed.completions} == set(found)
    rolled = await store.rollups.list_all(
        organization_id=ORGANIZATION, span="hour", created_from=0, created_to=2**60
    )
    assert sum(each.tally.calls for each in rolled) == len(made)
    day = made[0].created_at - made[0].created_at % 86_400_000_000
    spent = await store.spending.read(
        "organization", ORGANIZATION, organization_id=ORGANIZATION, days=[day]
    )
    assert spent == {day: len(made) * 10**9}


async def test_calls_are_recorded_while_the_database_is_away(
    away: Store, cluster: Postgres
) -> None:
    """They are durable in the spool, and come home once each when the database is back."""
    made = await settle(away, 3)
    cluster.kill()
    made += await settle(away, 20)
    spool = away.spool
    assert spool is not None and spool.count >= 20 and spool.reason is not None
    assert away.failure is None and away.statistics().spooled == spool.count
    with pytest.raises(StoreUnavailable, match="the database is away"):
        await away.completions.relabel(made[0].id, organization_id=ORGANIZATION, tags=["u"])
    cluster.start()
    await check(away, made)
    assert await away.completions.relabel(made[0].id, organization_id=ORGANIZATION, tags=["t"])
    await check(away, [*made, *(await settle(away, 2))])


async def test_a_process_that_dies_leaves_its_spool_to_the_next(
    cluster: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on where the first was, also if that had written what it did not remove yet."""
    address = cluster.create_database()
    store = await Store.open(tmp_path / "data", address=address)
    cluster.kill()
    made = await settle(store, 30)
    monkeypatch.setattr(spooling, "STEP_ROWS", 8)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("killed")

    monkeypatch.setattr("briggs.storage.sqlite.spool.SpoolFile.remove", fail)
    cluster.start()
    await until(lambda: bool(store.statistics().unrecorded or store.failure))
    await store.close()
    monkeypatch.undo()
    again = await Store.open(tmp_path / "data", address=address)
    await check(again, made)
    await again.close()


async def test_a_frozen_database_is_not_waited_for(
    away: Store, cluster: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers nothing is as good as away, after some seconds."""
    monkeypatch.setattr(writer, "WRITTEN_WITHIN_S", 0.5)
    made = await settle(away, 2)
    cluster.pause()
    made += await settle(away, 5)
    assert away.spool is not None and away.spool.reason is not None
    cluster.resume()
    await check(away, made)


async def test_a_frozen_database_is_no_frozen_node(
    cluster: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of keys holds however long the server answers nothing. Only a node that was
    frozen itself may have missed that a key was revoked.
    """
    monkeypatch.setattr(membership, "WRITERS_WAIT_S", 0)
    now = membership._now
    store = await Store.open(tmp_path / "data", address=cluster.create_database(), node_timeout_s=1)
    cluster.pause()
    monkeypatch.setattr(membership, "_now", lambda: now() + 3600)
    assert store.keys.version != store.keys.version
    await until(lambda: store.keys.version == store.keys.version)
    cluster.resume()
    await store.close()


async def test_a_full_spool_refuses_calls(cluster: Postgres, tmp_path: Path) -> None:
    """Calls that run are still recorded. New ones are refused until there is room again."""
    store = await Store.open(
        tmp_path / "data", address=cluster.create_database(), spool_bytes_max=50_000
    )
    cluster.kill()
    made = await settle(store, 10, request=b"{}" + b" " * 10_000)
    await until(lambda: store.failure is not None)
    assert "the spool is full" in str(store.failure)
    made += await settle(store, 1)
    cluster.start()
    await check(store, made)
    await until(lambda: store.failure is None)
    await store.close()


@pytest.mark.parametrize("names_both", [False, True], ids=["same address", "both addresses"])
async def test_a_failover_loses_and_doubles_nothing(
    cluster: Postgres, tmp_path: Path, names_both: bool
) -> None:
    """What the standby had not received when the primary died is brought to it. The standby takes
    over the address of the primary, or the address names both."""
    address = cluster.create_database()
    with cluster.standby() as standby:
        if names_both:
            both = f":{standby.port},127.0.0.1:{cluster.port}/"
            address = address.replace(f":{cluster.port}/", both)
        store = await Store.open(tmp_path / "data", address=address)
        made = await settle(store, 5)
        where = cluster.execute("SELECT pg_current_wal_flush_lsn()")
        await until(lambda: standby.execute(f"SELECT pg_last_wal_replay_lsn() >= '{where}'") == "t")
        standby.stop()
        made += await settle(store, 7)
        assert store.spool is not None and store.spool.reason is None
        cluster.kill()
        if not names_both:
            standby.port = cluster.port
        standby.start()
        made += await settle(store, 3)
        standby.promote()
        await check(store, made)
        await store.close()
        name = standby.execute("SELECT max(datname) FROM pg_database WHERE datname LIKE 'test%'")
        assert standby.execute("SELECT count(*) FROM completions", database=name) == str(len(made))


async def test_what_comes_home_twice_is_written_once(store: Store) -> None:
    """The same records again change nothing, whatever their order."""
    one, two = finished(tags=["t"], cost_usd=1.0), finished(tags=["t"], cost_usd=1.0)
    begun = Completion(id=two.id, organization_id=ORGANIZATION, created_at=two.created_at)
    for some in ([one], [two, begun], [begun], [one, two]):
        await store.act(
            lambda connection, some=some: bring_home(  # type: ignore[misc]
                connection, some, bodies=store.completions._bodies, are_old=False
            )
        )
    listed = await store.completions.list(Query(organization_id=ORGANIZATION))
    assert {each.id: each.status for each in listed.completions} == {
        one.id: "finished",
        two.id: "finished",
    }


async def test_the_end_of_a_call_replaces_a_guess(store: Store) -> None:
    """A call that was taken for interrupted, because its process seemed to be dead, has ended as
    its own record says. One that has only begun, and whose process is dead, is interrupted."""
    guessed = finished(
        id="a", status="failed", failure_kind="interrupted", response=None, tags=["t"]
    )
    await store.settle(guessed)
    ended = finished(id="a", tags=["t"])
    begun = Completion(id="b", organization_id=ORGANIZATION, tags=["t"])
    await store.act(
        lambda connection: bring_home(
            connection, [ended, begun], bodies=store.completions._bodies, are_old=True
        )
    )
    found = await store.completions.retrieve_many(["a", "b"], organization_id=ORGANIZATION)
    assert found["a"] == ended
    assert (found["b"].status, found["b"].failure_kind) == ("failed", "interrupted")
    rolled = await store.rollups.list_all(
        organization_id=ORGANIZATION, span="hour", created_from=0, created_to=2**60
    )
    assert sum(each.tally.calls for each in rolled) == 2


async def test_what_was_deleted_stays_deleted(store: Store) -> None:
    """A call that was deleted while its record was in the spool does not come back."""
    gone = finished(id="gone")
    await store.settle(gone)
    await store.completions.delete("gone", organization_id=ORGANIZATION)
    await store.act(
        lambda connection: bring_home(
            connection, [gone], bodies=store.completions._bodies, are_old=False
        )
    )
    assert await store.completions.retrieve("gone", organization_id=ORGANIZATION) is None


async def test_a_store_in_the_data_folder_has_no_spool(open_store: OpenStore) -> None:
    """Its file is where the spool would be."""
    store = await open_store(address=None)
    assert store.spool is None


async def test_what_workers_have_left(away: Store, cluster: Postgres, tmp_path: Path) -> None:
    """Whoever opens the folder first brings home the spools of workers that are no more."""
    left = finished(cost_usd=1.0, tags=["t"])
    folder, path = tmp_path / "data", tmp_path / "data" / "spool-7.db"
    spool = SpoolFile(path)
    spool.append([(100, encode(left, started=False, packing=Bodies(), owner=None))])
    spool.close()
    await away.close()
    store = await Store.open(folder, address=cluster.url(away._database.name.rpartition("/")[2]))
    await check(store, [left])
    assert not path.exists()
    await store.close()
