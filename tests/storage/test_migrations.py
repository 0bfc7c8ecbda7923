"""Migrations: from any version to the newest, all or nothing, and never back."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.schema import MetaData

from briggs.storage import Query, StoreTooNew, tables
from briggs.storage.feedback import FeedbackQuery
from briggs.storage.migrations import MIGRATIONS, migrate
from briggs.storage.sqlite import rewriting
from briggs.types.completions import Completion
from briggs.types.errors import StoreUnavailable
from tests.storage.conftest import OpenStore, open_database
from tests.storage.sqlite.conftest import path_of

VERSIONS = sorted(
    (Path(__file__).parent / "versions").glob("*.sql"),
    key=lambda path: int(path.stem.removeprefix("version_")),
)


@pytest.fixture
def database() -> str:
    """Only SQLite has versions from before there were other databases."""
    return "sqlite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "briggs.db"


def describe(connection: Connection) -> dict[str, object]:
    """Every table with its columns, keys and indexes."""
    inspector = inspect(connection)
    keyed = {row.name: row.wr for row in connection.exec_driver_sql("PRAGMA table_list") if row.wr}
    return {
        name: (
            [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(name)
            ],
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted(each["column_names"] for each in inspector.get_unique_constraints(name)),
            sorted(
                (index["name"] or "", index["column_names"], index["unique"], _conditions(index))
                for index in inspector.get_indexes(name)
            ),
            keyed.get(name, 0),
        )
        for name in inspector.get_table_names()
    }


def _conditions(index: Any) -> dict[str, str]:
    options = index.get("dialect_options", {})
    return {name: str(value).replace("<>", "!=") for name, value in options.items()}


def create_all(metadata: MetaData) -> dict[str, object]:
    with create_engine("sqlite://").connect() as connection:
        metadata.create_all(connection)
        return describe(connection)


def create_version(version: Path, *, at: Path) -> None:
    with sqlite3.connect(at) as connection:
        connection.executescript(version.read_text())
    connection.close()


@pytest.mark.parametrize(
    "version", [None, *VERSIONS], ids=lambda path: path.stem if path else "new"
)
def test_tables_are_what_migrations_make(path: Path, version: Path | None) -> None:
    """`tables.py` says what any database is after its migrations, a new one as well as an old."""
    if version is not None:
        create_version(version, at=path)
    database = open_database(path.parent)
    connection = database.writer
    migrate(connection)
    assert describe(connection) == create_all(tables.metadata)
    database.close()


def test_members_are_columns() -> None:
    """Every member of a completion has a column, in the same order, with the bodies last."""
    names = [column.name for column in tables.completions.columns]
    names.remove("encoding")
    names.remove("owner")
    names.remove("preview")
    assert tuple(names) == Completion.__struct_fields__
    assert names[-3:] == ["request", "response", "received"]


def test_once(path: Path) -> None:
    """Each migration is applied once, in order, and remembered by its name."""
    database = open_database(path.parent)
    connection = database.writer
    names = [step.__name__ for step in MIGRATIONS]
    assert migrate(connection) == names
    assert migrate(connection) == []
    rows = connection.execute(tables.migrations.select()).all()
    assert [(row.number, row.name) for row in rows] == list(enumerate(names, start=1))
    database.close()


def test_all_or_nothing(path: Path) -> None:
    """A migration that fails half-way leaves nothing behind, and is tried again."""

    def fails(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        raise OSError("no space")

    database = open_database(path.parent)
    connection = database.writer
    with pytest.raises(OSError, match="no space"):
        migrate(connection, migrations=[*MIGRATIONS, fails])
    assert "half" not in describe(connection)
    assert migrate(connection) == []
    database.close()


async def test_newer_version(open_store: OpenStore, tmp_path: Path) -> None:
    """A database of a newer Briggs is left alone, and the error says what to do."""
    store = await open_store()
    await store.close()
    with sqlite3.connect(path_of(store)) as connection:
        connection.execute("INSERT INTO migrations VALUES (999, 'from_the_future', 0)")
    connection.close()
    with pytest.raises(StoreTooNew, match="this database is at version 999"):
        await open_store()


def test_every_version_is_kept() -> None:
    """There is a test database for every version."""
    assert [path.stem for path in VERSIONS] == [
        f"version_{number}" for number in range(1, len(MIGRATIONS) + 1)
    ]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.stem)
async def test_from_version(open_store: OpenStore, tmp_path: Path, version: Path) -> None:
    """A database of any version opens, with everything that was recorded in it."""
    folder = tmp_path / "data"
    folder.mkdir()
    create_version(version, at=folder / "briggs.db")
    store = await open_store()
    assert store.interrupted == 1
    finished = await store.completions.retrieve("chatcmpl-1", organization_id="default")
    assert finished is not None
    assert finished.id == "0199d5a0-0000-7000-8000-000000000001"
    assert (finished.tags, finished.metadata) == (["a", "b"], {"k": "v"})
    assert finished.request == b'{"model":"openai/gpt-4o","messages":[]}'
    assert finished.response == b'{"id":"chatcmpl-1"}\x00\xff'
    page = await store.completions.list(Query(organization_id="default", status="failed"))
    assert [each.failure_kind for each in page.completions] == ["interrupted"]
    again = Completion(organization_id="default", status="finished")
    await store.settle(again)
    assert await store.completions.retrieve(again.id, organization_id="default") == again


async def test_reported_starts_become_a_column(open_store: OpenStore, tmp_path: Path) -> None:
    """What `call_site` noted of a client's reports moves to a column, and the rest stays."""
    folder = tmp_path / "data"
    folder.mkdir()
    sites = {
        "both": '{"stacktrace":[{"line":"f()"}],"told":["finished","started"]}',
        "end": '{"told":["finished"]}',
        "none": None,
    }
    with sqlite3.connect(folder / "briggs.db") as connection:
        connection.executescript((VERSIONS[0].parent / "version_14.sql").read_text())
        for id, site in sites.items():
            connection.execute(
                "INSERT INTO completions (id, organization_id, created_at, status, kind, source, "
                "stream, model, retry_count, call_site, request) "
                "VALUES (?, 'default', 1, 'finished', 'chat', 'client', 0, 'm', 0, ?, X'7B7D')",
                [id, site],
            )
    connection.close()
    store = await open_store()
    found = await store.completions.retrieve_many(sites, organization_id="default")
    assert {id: each.start_reported for id, each in found.items()} == {
        "both": True,
        "end": False,
        "none": False,
    }
    assert found["both"].call_site == {"stacktrace": [{"line": "f()"}]}
    assert found["end"].call_site == found["none"].call_site == {}


async def test_rows_get_the_organization_of_what_they_are_part_of(
    open_store: OpenStore, tmp_path: Path
) -> None:
    """Leases, skips, versions and grades get their task's organization. Nothing of them is lost,
    and what has no task any more is left out."""
    folder = tmp_path / "data"
    folder.mkdir()
    with sqlite3.connect(folder / "briggs.db") as connection:
        connection.executescript((VERSIONS[0].parent / "version_27.sql").read_text())
        for statement in (
            "INSERT INTO feedback_tasks (id, organization_id, created_at, updated_at, version,"
            " name, instruction, json_schema, completion_tags_selector, reviewers_wanted, blind)"
            " VALUES ('t', 'o', 1, 1, 2, 'n', '', '{}', '[]', 2, 0)",
            "INSERT INTO feedback_task_versions VALUES ('t', 1, 1, 'i', '{}'),"
            " ('t', 2, 1, '', '{}')",
            "INSERT INTO feedback VALUES ('f', 'o', 't', 1, 1, 1, 2, 'ann', 'person', '{}', '',"
            " '{}', 'null', NULL, NULL)",
            "INSERT INTO feedback_versions VALUES ('f', 1, 1, '{}', '', '{}', 'null')",
            "INSERT INTO feedback_completions VALUES ('t', 'c', 'ann', 'f')",
            "INSERT INTO feedback_queue VALUES ('t', 'c', 1, 'm', NULL, NULL, 5, 1, 1),"
            " ('gone', 'c', 1, 'm', NULL, NULL, 5, 1, 1)",
            "INSERT INTO feedback_leases VALUES ('t', 'c', 'bob', 7)",
            "INSERT INTO feedback_skips VALUES ('t', 'c', 'eve', 7, 'why')",
            "INSERT INTO rollup_changes VALUES (7, 'o', 0, 'm', 'p', '{\"calls\":3}', NULL)",
        ):
            connection.execute(statement)
    connection.close()
    store = await open_store()
    task = await store.feedback_tasks.retrieve("t", organization_id="o")
    assert task is not None
    versions = await store.feedback_tasks.list_versions("t", organization_id="o")
    assert [each.instruction for each in versions] == ["i", ""]
    [given], _ = await store.feedback.list(FeedbackQuery(organization_id="o"), limit=9)
    assert (given.id, given.completion_ids) == ("f", ["c"])
    assert [each.version for each in await store.feedback.list_versions(given)] == [1, 2]
    progress = await store.feedback_queue.measure(task)
    assert (progress.matching, progress.skipped) == (1, 1)
    [lease] = await store.feedback_queue.list_leases(task, reviewer="bob")
    assert lease.expires_at == 7
    rolled = await store.rollups.list_all(
        organization_id="o", span="hour", created_from=0, created_to=1
    )
    assert [each.tally.calls for each in rolled] == [3]


def test_a_large_table(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Writing it anew is refused without room for it, and then told of: how long, and how far."""
    create_version(VERSIONS[25], at=path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
            "WHERE n < 3000) INSERT INTO completions (id, organization_id, created_at, status, "
            "kind, stream, model, retry_count, request) "
            "SELECT n, 'default', n, 'finished', 'chat', 0, 'm', 0, zeroblob(100) FROM numbers"
        )
        connection.commit()
    full = shutil.disk_usage(path)._replace(free=1_000_000)
    database = open_database(path.parent)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: full)
        with pytest.raises(StoreUnavailable, match=r"0.0 GB of free disk, and 0.0 GB are free"):
            migrate(database.writer)
    assert not caplog.messages
    for name in ("LARGE_BYTES", "TELL_EVERY_S"):
        monkeypatch.setattr(rewriting, name, 0)
    monkeypatch.setattr(rewriting, "STEPS", 1000)
    migrate(database.writer)
    database.close()
    assert "the table completions" in caplog.messages[0]
    assert "takes about 1 min" in caplog.messages[0]
    assert any("% is done" in each for each in caplog.messages[1:])
