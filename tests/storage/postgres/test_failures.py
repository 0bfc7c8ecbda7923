"""A PostgreSQL that is away, full, read-only or closed to us: what is said, and that it passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from briggs.storage import Store, StoreUnavailable
from tests.postgres import Postgres, run_pooler
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.records import finished
from tests.waiting import until


@pytest.fixture
def own_cluster() -> Iterator[Postgres]:
    """A cluster that the test may stop."""
    with Postgres.run(settings={"max_connections": "12"}) as cluster:
        yield cluster


async def test_a_server_that_is_killed_and_comes_back(
    open_store: OpenStore, own_cluster: Postgres
) -> None:
    """Meanwhile the spool keeps the calls, and has the reason. All are there afterwards."""
    store = await open_store(address=own_cluster.create_database())
    before, meanwhile, after = finished(), finished(), finished()
    await store.settle(before)
    own_cluster.kill()
    await store.settle(meanwhile)
    assert store.failure is None and store.spool is not None
    assert re.search("PostgreSQL|cannot be reached", store.spool.reason or "")
    own_cluster.start()
    await store.settle(after)
    await until(lambda: store.spool is not None and store.spool.count == 0)
    for each in (before, meanwhile, after):
        assert await store.completions.retrieve(each.id, organization_id="default") == each


async def test_a_read_only_server(store: Store, address: str, postgres: Postgres) -> None:
    """A standby or a server that takes no writes is named as the reason, until it takes them."""
    name = address.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )

    def find_reason() -> str:
        return (store.spool.reason if store.spool is not None else None) or ""

    meanwhile = finished()
    await store.settle(meanwhile)
    await until(lambda: "the database is read-only" in find_reason())
    with pytest.raises(StoreUnavailable, match="the database is read-only"):
        await store.completions.relabel("x", organization_id="default", tags=[])
    postgres.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    await until(lambda: find_reason() == "")
    await store.settle(finished())
    await until(lambda: store.spool is not None and store.spool.count == 0)
    found = await store.completions.retrieve(meanwhile.id, organization_id="default")
    assert found == meanwhile


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql://briggs@127.0.0.1:1/briggs", "cannot be reached.*check that PostgreSQL runs"),
        ("postgresql://briggs@{server}/no_such", "does not exist"),
        ("postgresql://nobody_here@{server}/postgres", "nobody_here"),
        ("postgresql://briggs@{server}:x/y", "is not an address"),
    ],
)
async def test_what_cannot_be_opened(
    tmp_path: Path, postgres: Postgres, address: str, reason: str
) -> None:
    """The error says what is wrong and what to check, and shows no password."""
    full = address.format(server=f"127.0.0.1:{postgres.port}")
    with pytest.raises(StoreUnavailable, match=reason) as raised:
        await Store.open(tmp_path / "data", address=full, password="a-secret-word")
    assert "a-secret-word" not in str(raised.value)


async def test_no_connection_is_left(tmp_path: Path, own_cluster: Postgres) -> None:
    """The error says to raise the limit or to pool."""
    own_cluster.execute("ALTER ROLE briggs CONNECTION LIMIT 0")
    own_cluster.execute("CREATE ROLE other LOGIN")
    own_cluster.execute("ALTER ROLE other CONNECTION LIMIT 0")
    address = f"postgresql://other@127.0.0.1:{own_cluster.port}/postgres"
    with pytest.raises(StoreUnavailable, match="no connection left"):
        await Store.open(tmp_path / "data", address=address)


async def test_a_password(tmp_path: Path, own_cluster: Postgres) -> None:
    """The password comes beside the address. A wrong one is named, but not shown."""
    own_cluster.execute("CREATE ROLE guarded LOGIN PASSWORD 'right-word'")
    own_cluster.execute("CREATE DATABASE guarded OWNER guarded")
    hba = own_cluster.folder / "data" / "pg_hba.conf"
    hba.write_text("host guarded all 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    own_cluster.execute("SELECT pg_reload_conf()")
    address = f"postgresql://guarded@127.0.0.1:{own_cluster.port}/guarded"
    with pytest.raises(StoreUnavailable, match="refused the user or the password") as raised:
        await Store.open(tmp_path / "data", address=address, password="wrong-word")
    assert "wrong-word" not in str(raised.value)
    store = await Store.open(tmp_path / "data", address=address, password="right-word")
    await store.settle(finished())
    await store.close()


async def test_a_pooler_in_transaction_mode(
    open_store: OpenStore, address: str, postgres: Postgres
) -> None:
    """pgbouncer may give every transaction another connection of the server."""
    with run_pooler(postgres) as port:
        pooled = address.replace(f":{postgres.port}/", f":{port}/")
        store = await open_store(address=pooled)
        settled = [finished(tags=["pooled"]) for _ in range(20)]
        for each in settled:
            await store.settle(each)
            assert await store.completions.retrieve(each.id, organization_id="default") == each
        assert read_rows(store, text("SELECT name FROM pg_prepared_statements")) == []
        await store.close()
