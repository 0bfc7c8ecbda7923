"""Tables of older versions, and tables that many processes bring up to date at once."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from briggs.storage import Query, Store, tables
from briggs.storage.migrations import MIGRATIONS, migrate
from briggs.storage.postgres.database import PostgresDatabase
from briggs.storage.reading import open_reader
from briggs.storage.verify import verify
from briggs.types.completions import create_id
from tests.postgres import Postgres
from tests.storage.conftest import OpenStore
from tests.storage.records import finished

PROCESSES = 4
VERSIONS = sorted(
    (Path(__file__).parent / "versions").glob("*.sql"),
    key=lambda path: int(path.stem.removeprefix("version_")),
)

OLDER = """
    SET search_path = public;
    ALTER TABLE completions DROP COLUMN redacted, DROP COLUMN bodies_deleted_at,
        DROP COLUMN retry_of, ADD COLUMN forgotten text NOT NULL DEFAULT 'x';
    DROP INDEX completions_by_time;
    CREATE INDEX completions_by_time ON completions (organization_id, created_at);
    ALTER TABLE keys DROP COLUMN limits;
    ALTER TABLE rollup_changes DROP COLUMN spent;
    DROP TABLE spending, search_segments, drift_watches, feedback_counts, judges;
    DELETE FROM migrations WHERE number > 22
"""
"""Makes a shape of it that no version of Briggs had on PostgreSQL."""

SHAPE = """
    SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull,
        pg_get_expr(adbin, adrelid), attcollation::regcollation
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT relname, pg_get_indexdef(indexrelid), '', indisprimary, '', 0
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace AND NOT relispartition
    ORDER BY 1, 2
"""
"""Every column and every index. Columns are added at the end, so their order does not count."""


@pytest.fixture
def address(postgres_database: str) -> str:
    """An empty database, since these tests are about how tables are made."""
    return postgres_database


@pytest.fixture(scope="module")
def new_shape(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a new database has."""
    address = postgres.create_database()
    database = open_database(tmp_path_factory.mktemp("new"), address)
    migrate(database.writer)
    database.close()
    shape = describe(postgres, address)
    postgres.drop_database(address)
    return shape


def open_database(folder: Path, address: str) -> PostgresDatabase:
    return PostgresDatabase(
        folder, address=address, password=None, durability="strict", readers_max=1
    )


def describe(postgres: Postgres, address: str) -> list[str]:
    return postgres.execute(SHAPE, database=address.rpartition("/")[2]).splitlines()


@pytest.mark.parametrize(
    "statements",
    [*(version.read_text() for version in VERSIONS), VERSIONS[0].read_text() + OLDER],
    ids=[*(version.stem for version in VERSIONS), "older"],
)
async def test_from_version(
    open_store: OpenStore,
    address: str,
    postgres: Postgres,
    tmp_path: Path,
    statements: str,
    new_shape: list[str],
) -> None:
    """A database of any version becomes what a new one is, with everything that was recorded in it,
    and what it records next is found beside that."""
    postgres.execute(statements, database=address.rpartition("/")[2])
    store = await open_store()
    assert describe(postgres, address) == new_shape
    assert store.interrupted == 1
    old = await store.completions.retrieve("chatcmpl-1", organization_id="default")
    assert old is not None
    assert old.id == "0199d5a0-0000-7000-8000-000000000001"
    assert old.response == b'{"id":"chatcmpl-1"}\x00\xff'
    assert old.tags[:2] == ["a", "b"] and len(old.tags[2]) == 1500
    again = finished(id=create_id(), tags=old.tags, session_id=old.session_id)
    await store.settle(again)
    for query in ({"tags": [old.tags[2]]}, {"session_id": old.session_id}):
        assert await _find(store, **query) == [again.id, old.id]
    assert len(await _find(store, metadata={"k": "v"})) == 1
    assert sorted(await _find(store, status="failed"))[1] == "mine"
    session = await store.sessions.retrieve(old.tags[2], organization_id="default")
    assert session is not None and session.completions == 2
    with open_reader(tmp_path / "data", address=address) as reader:
        assert not [*verify(reader, show=lambda what, done: None)]


def test_no_version_is_left_out() -> None:
    """There is a dump of each, from the first one that had PostgreSQL."""
    numbers = [int(path.stem.removeprefix("version_")) for path in VERSIONS]
    assert numbers == [*range(35, len(MIGRATIONS) + 1)]


async def _find(store: Store, **members: object) -> list[str]:
    query = Query(organization_id="default", **members)  # type: ignore[arg-type]
    return [each.id for each in (await store.completions.list(query)).completions]


def test_many_start_at_once(address: str, tmp_path: Path) -> None:
    """Each step runs once, in whichever of them, and all of them find the tables complete."""
    together = threading.Barrier(PROCESSES)

    def start(number: int) -> list[str]:
        database = open_database(tmp_path / str(number), address)
        together.wait()
        done = migrate(database.writer)
        rows = database.writer.execute(select(tables.migrations.c.name)).all()
        assert len(rows) == len(MIGRATIONS)
        database.close()
        return done

    with ThreadPoolExecutor(PROCESSES) as threads:
        ran = Counter(name for done in threads.map(start, range(PROCESSES)) for name in done)
    assert ran == Counter(step.__name__ for step in MIGRATIONS)
