"""`briggs store copy`, between real databases and beside real servers."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    LargeBinary,
    Table,
)

from briggs.storage import Store, StoreError
from briggs.storage.forgetting import make_partitions
from briggs.storage.migrations import MIGRATIONS, migrate
from briggs.storage.store import open_database
from briggs.storage.tables import metadata
from briggs.storage.types import AnyInteger, Json, Names
from briggs.types.completions import create_first_id, current_time_us
from briggs.types.limits import DAY_US
from briggs.types.retention import Term
from tests.cli.running import environment, run
from tests.postgres import Postgres
from tests.processes import Upstream, create_response, run_server
from tests.storage.records import finished
from tests.storage.test_long_texts import LONG, TWIN
from tests.storage.test_long_texts import create as create_long

ROWS = 40
"""Of each table."""

OWN = {
    *("migrations", "copied_from", "probes"),
    *("nodes", "leases", "node_messages", "changes", "allowances"),
}
"""What each database has for itself. All other tables are copied, also those to come."""

TEXTS = ("", "plain", "你好", "\0", "a\0b", "\ud83d", "\udfff half", "\x1a001a", "'; --", "NULL")
INTEGERS = (0, -1, 2**31, 2**63 - 1, 2**63, -(2**70))
FLOATS = (0.0, -0.0, 0.1, 1e300, 5e-324)
JSONS: tuple[Any, ...] = (
    {},
    [],
    None,
    "\0",
    ["\ud83d"],
    {"a\0": "\x1a0000"},
    2**70,
    1.5,
    "é",
    '\\u0000"',
)


def create_value(column: Column[Any], number: int) -> Any:
    """A value that a column may have. Those of keys are different for each number."""
    kind = column.type
    if column.nullable and number % 3 == 0:
        return None
    is_unique = column.primary_key or column.unique or column.name in ("version", "name")
    if isinstance(kind, Json):
        value = JSONS[number % len(JSONS)]
        return json.dumps([value] if get_origin(kind.of) is list else {"of": value})
    if isinstance(kind, Names):
        return "answer,read"
    if isinstance(kind, AnyInteger):
        return INTEGERS[number % len(INTEGERS)]
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Float):
        return FLOATS[number % len(FLOATS)]
    if isinstance(kind, LargeBinary):
        return bytes([number]) * 20 + b"\0\xff"
    if kind.python_type is int:
        return number if is_unique or not isinstance(kind, BigInteger) else 2**62 + number
    text = TEXTS[number % len(TEXTS)]
    return f"{text}{number}" if is_unique or column.name == "idempotency_key" else text


def create_rows(table: Table) -> list[list[Any]]:
    return [[create_value(each, number) for each in table.columns] for number in range(ROWS)]


_OF_ITS_OWN = (
    *("migrations", "copied_from", "changes", "nodes", "leases", "node_messages", "allowances"),
    *("hours", "feedback_marks", "feedback_together", "feedback_sums", "sign_ins"),
)


def fill(folder: Path) -> None:
    """Make a database whose tables all have rows, with whatever is hard to store."""
    database = open_database(
        folder, address=None, password=None, durability="strict", log_bytes_max=2**26
    )
    migrate(database.writer)
    with database.transaction(database.writer):
        for table in metadata.sorted_tables:
            if table.name not in _OF_ITS_OWN:
                database.copy_in(database.writer, table, create_rows(table))
    database.close()


def read_tables(folder: Path) -> dict[str, list[Any]]:
    """All that is in the file, as SQLite has it, without what each database has for itself."""
    with contextlib.closing(sqlite3.connect(folder / "briggs.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr)
            for [name] in names.fetchall()
            if name not in (*_OF_ITS_OWN, "probes")
        }


def copy(source: Path | str, target: Path | str) -> dict[str, list[str]]:
    """Run the command. Returns what it prints of each table: rows, written, removed, checksum."""
    done = run("store", "copy", str(source), str(target))
    assert done.status == 0, done.errors
    return {line.split()[0]: line.split()[1:] for line in done.output.splitlines()}


def refuse(source: Path | str, target: Path | str) -> str:
    done = run("store", "copy", str(source), str(target))
    assert (done.status, done.output) == (1, "")
    return done.errors


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose tables all have rows. Nobody writes to it."""
    folder = tmp_path_factory.mktemp("source") / "data"
    fill(folder)
    return folder


def test_every_table_is_copied(
    source: Path, tmp_path: Path, postgres: Postgres, postgres_database: str
) -> None:
    """Through two databases of PostgreSQL and back, everything is as it was, to the last byte and
    to 2**70."""
    there = copy(source, postgres_database)
    other = postgres.create_database()
    beside = copy(postgres_database, other)
    back = copy(other, tmp_path / "data")
    before, after = read_tables(source), read_tables(tmp_path / "data")
    assert after == before
    assert {name for name, rows in before.items() if len(rows) < ROWS} == set()
    assert {*there} == {*before}
    assert there == beside == back
    postgres.drop_database(other)


async def test_partitions_are_copied(
    tmp_path: Path, postgres: Postgres, postgres_database: str
) -> None:
    """What is in partitions comes along, into a database without any or with others."""
    other = postgres.create_database()
    term, now = Term(what="metadata", span="4d"), current_time_us()
    days = range(5)
    store = await Store.open(tmp_path / "data", address=postgres_database)
    begun = now - (len(days) + 1) * DAY_US
    await store.act(lambda connection: make_partitions(connection, term, now_us=begun))
    for day in days:
        created_at = now - day * DAY_US
        id = f"{create_first_id(created_at)}-7000-8000-{day:012x}"
        await store.settle(finished(id=id, created_at=created_at, tags=["t"]))
    await store.close()
    count = "SELECT count(DISTINCT tableoid) FROM completions"

    def read(address: str, sql: str) -> str:
        return postgres.execute(sql, database=address.rpartition("/")[2])

    assert int(read(postgres_database, count)) > 2
    first = copy(postgres_database, other)
    assert first["completions"][:2] == [str(len(days)), str(len(days))]
    assert read(other, count) == "1"
    database = open_database(
        tmp_path / "other", address=other, password=None, durability="strict", log_bytes_max=2**26
    )
    with database.migration(database.writer):
        make_partitions(database.writer, term, now_us=begun + DAY_US)
    database.close()
    assert int(read(other, count)) > 2, "they have moved"
    again = copy(postgres_database, other)
    assert {(written, removed) for _, written, removed, _ in again.values()} == {("0", "0")}
    assert [each[3] for each in again.values()] == [each[3] for each in first.values()]
    back = copy(other, tmp_path / "back")
    assert back["completions"][3] == first["completions"][3]
    postgres.drop_database(other)


def test_the_same_databases_have_the_same_checksums(source: Path, tmp_path: Path) -> None:
    """Another run writes nothing. Changed and missing rows are brought, and others are removed."""
    first = copy(source, tmp_path / "data")
    again = copy(source, tmp_path / "data")
    assert {(written, removed) for _, written, removed, _ in again.values()} == {("0", "0")}
    assert [each[3] for each in again.values()] == [each[3] for each in first.values()]
    target = tmp_path / "changed"
    shutil.copytree(tmp_path / "data", target)
    with sqlite3.connect(target / "briggs.db") as connection:
        connection.execute("UPDATE keys SET name = 'other' WHERE id = 'plain1'")
        connection.execute("DELETE FROM completions WHERE id LIKE 'plain%'")
        connection.execute("INSERT INTO sessions VALUES ('default', 'more', 1)")
    connection.close()
    mended = copy(source, target)
    assert mended["keys"] == [str(ROWS), "1", "1", first["keys"][3]]
    assert mended["completions"][1:3] == ["4", "0"]
    assert mended["sessions"][1:3] == ["0", "1"]
    assert read_tables(target) == read_tables(source)


_KILLED = """
import os, signal, sys
from briggs.storage import transfers

transfers.ROWS_AT_ONCE = 7
left = 4

def show(what, share):
    global left
    if what.startswith("completions:"):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

transfers.copy(sys.argv[1], sys.argv[2], show=show)
"""


def run_until_killed(source: Path, target: str) -> int:
    """Copy three batches of completions and no more. Returns the status of the process."""
    command = [sys.executable, "-c", _KILLED, str(source), target]
    return subprocess.run(command, env=environment(), check=False).returncode


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_copy_that_was_killed(
    kind: str, source: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The next run goes on with what is there. Until then no server uses the target."""
    address = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    target = address or str(tmp_path / "data")
    assert run_until_killed(source, target) == -9
    with pytest.raises(StoreError, match="copy that is not complete"):
        await Store.open(tmp_path / "data", address=address)
    copied = copy(source, target)
    assert copied["completions"][:3] == [str(ROWS), str(ROWS - 21), "0"]
    assert copied["completion_tags"][1] == "0"


ANSWER = json.dumps(create_response()).encode()


@pytest.fixture(scope="module")
def config() -> Iterator[str]:
    """The settings of a server with an upstream that answers at once."""
    upstream = Upstream({"answers": lambda handler, _: handler.send_whole(200, ANSWER)})
    with contextlib.closing(upstream):
        yield upstream.config()


def test_a_server_moves_to_postgresql(config: str, tmp_path: Path, postgres_database: str) -> None:
    """What was recorded during a copy comes with the next, and the new server answers the same."""
    request = {"model": "answers/m-1", "messages": [{"role": "user", "content": "hi"}]}
    with run_server(tmp_path / "old", config=config) as old:
        ids = [old.chat(request).headers["x-briggs-completion-id"] for _ in range(3)]
        copy(tmp_path / "old", postgres_database)
        old.chat(request)
        old.send("DELETE", f"/v1/chat/completions/{ids[0]}")
        assert old.send("GET", f"/v1/chat/completions/{ids[1]}").status == 200
        during = copy(tmp_path / "old", postgres_database)
        assert during["completions"][:3] == ["3", "1", "1"]
        before = [old.send("GET", path).body for path in PATHS]
    copy(tmp_path / "old", postgres_database)
    (tmp_path / "new").mkdir()
    shutil.copy(tmp_path / "old/admin.key", tmp_path / "new/admin.key")
    store = f'store = "{postgres_database}"\n'
    with run_server(tmp_path / "new", config=f"{store}{config}") as new:
        assert [new.send("GET", path).body for path in PATHS] == before
        assert new.chat(request).status == 200
    used = refuse(tmp_path / "old", postgres_database)
    assert "a server has used it since" in used


PATHS = ("/v1/chat/completions?limit=10", "/api/v1/keys", "/api/v1/organizations")


def change(folder: Path, *sql: str) -> Path:
    with sqlite3.connect(folder / "briggs.db") as connection:
        for each in sql:
            connection.execute(each)
    connection.close()
    return folder


def test_what_cannot_be_copied_is_refused(source: Path, tmp_path: Path) -> None:
    """Each refusal says what to do, and changes nothing."""
    newest = f"number = {len(MIGRATIONS)}"
    old, new, other = (
        change(Path(shutil.copytree(source, tmp_path / name)), sql)
        for name, sql in (
            ("old", f"DELETE FROM migrations WHERE {newest}"),
            ("new", f"UPDATE migrations SET number = number + 1 WHERE {newest}"),
            ("other", "UPDATE migrations SET applied_at = applied_at - 5 WHERE number = 1"),
        )
    )
    target = tmp_path / "data"
    assert "start `briggs serve` of this version" in refuse(old, target)
    assert "use the newer Briggs" in refuse(new, target)
    assert "no database" in refuse(tmp_path / "nowhere", target)
    assert "copied to itself" in refuse(source, source)
    assert not target.exists()
    copy(source, target)
    assert "copy of another record" in refuse(other, target)
    before = read_tables(new)
    assert "has other data" in refuse(source, new)
    assert read_tables(new) == before
    for address in ("postgresql://me:secret@localhost/briggs", "postgres://:secret@h/d"):
        refused = refuse(source, address)
        assert "must have no password" in refused
        assert "secret" not in refused
    assert "cannot be reached" in refuse(source, "postgresql://nobody@127.0.0.1:1/briggs")


def test_a_row_that_the_target_refuses(
    source: Path, tmp_path: Path, postgres_database: str
) -> None:
    """The message names the row. What was written before stays, and the next run goes on."""
    folder = change(
        Path(shutil.copytree(source, tmp_path / "data")),
        "UPDATE completions SET attempts = '5' WHERE id = 'plain21'",
    )
    refused = refuse(folder, postgres_database)
    assert "refuses the row ('plain21', 'plain21') of completions" in refused
    change(folder, "UPDATE completions SET attempts = NULL WHERE id = 'plain21'")
    copied = copy(folder, postgres_database)
    assert copied["completion_tags"][:2] == [str(ROWS), "0"]
    assert copied["completions"][0] == str(ROWS)
    assert 0 < int(copied["completions"][1]) < ROWS


async def test_long_texts(tmp_path: Path, postgres_database: str) -> None:
    """Texts that PostgreSQL has only the beginnings of in its indexes come back whole."""
    store = await Store.open(tmp_path / "data")
    for text in (LONG, TWIN):
        await store.settle(create_long(text))
    await store.close()
    copy(tmp_path / "data", postgres_database)
    back = copy(postgres_database, tmp_path / "back")
    assert back["completion_metadata"][:3] == ["4", "4", "0"]
    assert read_tables(tmp_path / "back") == read_tables(tmp_path / "data")
    copy(postgres_database, tmp_path / "back")
    assert read_tables(tmp_path / "back") == read_tables(tmp_path / "data")
