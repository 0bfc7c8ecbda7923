"""`briggs backup`, `briggs restore` and `briggs verify`, beside real servers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from briggs.storage import Store
from briggs.storage.sqlite.spool import SpoolFile
from briggs.storage.tables import WRITTEN_COLUMNS
from tests.cli.running import Finished, RunningServer, run
from tests.processes import Server, Upstream, create_response, run_server

ANSWER = json.dumps(create_response()).encode()
SAID = {"model": "answers/m-1", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def config() -> Iterator[str]:
    """The settings of a server with an upstream that answers at once."""
    upstream = Upstream({"answers": lambda handler, _: handler.send_whole(200, ANSWER)})
    with contextlib.closing(upstream):
        yield upstream.config()


def ask(server: Server) -> str:
    """Make a call. Returns the id of its completion."""
    return server.chat(SAID).headers["x-briggs-completion-id"]


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_backup_under_load(config: str, tmp_path: Path, workers: int) -> None:
    """A copy that is made while calls are answered has every call that was answered before."""
    answered: list[str] = []
    is_over = threading.Event()

    def load(server: Server) -> None:
        while not is_over.is_set():
            answered.append(ask(server))

    with run_server(
        tmp_path / "data", config=config, options=("--workers", str(workers))
    ) as server:
        callers = [threading.Thread(target=load, args=[server]) for _ in range(3)]
        for caller in callers:
            caller.start()
        try:
            for number in range(3):
                answered.append(ask(server))
                before = [*answered]
                file = tmp_path / f"copy-{number}" / "record.db"
                file.parent.mkdir()
                done = run("backup", str(file), server=as_running(server))
                assert (done.status, done.output) == (0, ""), done.errors
                assert file.stat().st_mode & 0o777 == 0o600
                assert [*file.parent.iterdir()] == [file]
                await check(file, tmp_path / f"opened-{number}", before)
        finally:
            is_over.set()
            for caller in callers:
                caller.join()


async def check(file: Path, folder: Path, ids: list[str]) -> None:
    """Restore a copy into a new folder, and look for these completions."""
    assert run("restore", str(file), "--data", str(folder)).status == 0
    store = await Store.open(folder)
    try:
        found = await store.completions.retrieve_many(ids, organization_id="default")
        assert {each.status for each in found.values()} == {"finished"}
        assert {*found} == {*ids}
    finally:
        await store.close()


def as_running(server: Server) -> RunningServer:
    return RunningServer(server.url, server.key, server.data)


def test_restoring(config: str, tmp_path: Path) -> None:
    """What was recorded after the backup is gone, and nothing of the old log is left."""
    data, file = tmp_path / "data", tmp_path / "record.db"
    with run_server(data, config=config) as server:
        kept = ask(server)
        assert run("backup", str(file), server=as_running(server)).status == 0
        lost = ask(server)
        in_use = run("restore", "--force", str(file), server=as_running(server))
        assert (in_use.status, "in use by another server" in in_use.errors) == (1, True)
        server.process.kill()
        server.process.wait()
    assert (data / "briggs.db-wal").exists()
    refused = run("restore", str(file), "--data", str(data))
    assert (refused.status, "exists" in refused.errors) == (1, True)
    assert run("restore", "--force", str(file), "--data", str(data)).status == 0
    assert not [*data.glob("briggs.db?*"), *data.glob(".*")]
    with run_server(data, config=config) as server:
        assert server.retrieve(kept)["id"] == kept
        assert server.send("GET", f"/v1/chat/completions/{lost}").status == 404


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """The data folder of a server that was stopped."""
    await (await Store.open(tmp_path / "data")).close()
    return tmp_path / "data"


def error_of(finished: Finished) -> str:
    assert (finished.status, finished.output) == (1, "")
    return finished.errors


def test_a_file_is_not_replaced_unasked(data: Path, tmp_path: Path) -> None:
    """Neither is the database itself, whatever is asked."""
    file = tmp_path / "record.db"
    file.write_bytes(b"mine")
    assert "--force" in error_of(run("backup", str(file), "--data", str(data)))
    assert file.read_bytes() == b"mine"
    assert run("backup", "--force", str(file), "--data", str(data)).status == 0
    assert file.read_bytes() != b"mine"
    for own in ("briggs.db", "briggs.db-wal", "briggs.lock"):
        wrong = run("backup", "--force", str(data / own), "--data", str(data))
        assert "choose another name" in error_of(wrong)
    assert "no database" in error_of(run("backup", str(file), "--data", str(tmp_path / "none")))
    nowhere = run("backup", str(tmp_path / "none" / "copy.db"), "--data", str(data))
    assert "No such file" in error_of(nowhere)
    assert not [*tmp_path.glob(".*")]


def test_what_is_no_backup_is_refused(data: Path, tmp_path: Path) -> None:
    """A file that is damaged, of another kind, newer or in use changes nothing."""
    before = (data / "briggs.db").read_bytes()
    good = tmp_path / "good.db"
    assert run("backup", str(good), "--data", str(data)).status == 0

    def refuse(file: Path) -> str:
        return error_of(run("restore", "--force", str(file), "--data", str(data)))

    (tmp_path / "text").write_text("no database at all")
    assert "is not a backup" in refuse(tmp_path / "text")
    sqlite3.connect(tmp_path / "other.db").executescript("CREATE TABLE a (b)").connection.close()
    assert "is not a backup" in refuse(tmp_path / "other.db")
    damaged = tmp_path / "damaged.db"
    with contextlib.closing(sqlite3.connect(good)) as connection:
        [place] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'keys'")
        [page_bytes] = connection.execute("PRAGMA page_size").fetchone()
    content = good.read_bytes()
    at = (place[0] - 1) * page_bytes
    damaged.write_bytes(content[:at] + bytes(page_bytes) + content[at + page_bytes :])
    assert "is damaged" in refuse(damaged)
    damaged.write_bytes(content[: len(content) // 2])
    assert "is damaged" in refuse(damaged)
    newer = tmp_path / "newer.db"
    shutil.copy(good, newer)
    with contextlib.closing(sqlite3.connect(newer)) as connection:
        connection.execute("INSERT INTO migrations VALUES (9999, 'later', 0)")
        connection.commit()
    assert "install the newer Briggs" in refuse(newer)
    (tmp_path / "good.db-wal").write_bytes(b"more")
    assert "has a log beside it" in refuse(good)
    assert (data / "briggs.db").read_bytes() == before
    assert not [*data.glob("briggs.db.*"), *data.glob(".*")]


def test_a_record_in_postgres(tmp_path: Path) -> None:
    """Both commands say which of PostgreSQL's own to run."""
    config = tmp_path / "briggs.toml"
    config.write_text('store = "postgresql://ann@db:5432/briggs"\n')
    file = tmp_path / "copy of it"
    file.touch()
    copied = error_of(run("backup", "--config", str(config), str(file)))
    assert f"pg_dump --format=custom --file='{file}' postgresql://ann@db:5432/briggs" in copied
    restored = error_of(run("restore", "--config", str(config), str(file)))
    assert f"--dbname=postgresql://ann@db:5432/briggs '{file}'" in restored


def test_verifying(config: str, tmp_path: Path) -> None:
    """It says nothing of a sound record that is in use, and names each problem of another."""
    with run_server(tmp_path / "data", config=config) as server:
        id = ask(server)
        ask(server)
        sound = run("verify", server=as_running(server))
        assert (sound.status, sound.output) == (0, ""), sound
        with contextlib.closing(sqlite3.connect(server.data / "briggs.db")) as connection:
            connection.execute("UPDATE completions SET status = 'done' WHERE id = ?", [id])
            connection.execute("UPDATE completions SET owner = 'someone'")
            connection.commit()
        wrong = run("verify", server=as_running(server))
        assert (wrong.status, "problems found: 3." in wrong.errors) == (1, True)
        problems = wrong.output.splitlines()
        assert len(problems) == 3
        assert f"completion {id} has the status 'done', which does not exist" in wrong.output
        few = run("verify", "--limit", "1", server=as_running(server))
        assert (few.output.count("\n"), "There may be more" in few.errors) == (1, True)


_KILLED = """
import os, signal, sys
from pathlib import Path
from briggs.storage.copies import back_up

def show(what, share):
    os.kill(os.getpid(), signal.SIGKILL)

back_up(Path(sys.argv[1]), Path(sys.argv[2]), show=show)
"""


def test_what_a_killed_backup_leaves(data: Path, tmp_path: Path) -> None:
    """The next backup to this file removes it, and nothing that is in use or of another name."""
    file = tmp_path / "record.db"
    command = [sys.executable, "-c", _KILLED, str(data), str(file)]
    assert subprocess.run(command, check=False).returncode == -9
    [left] = tmp_path.glob(".record.db.*.part")
    others = [tmp_path / name for name in (".record.db.mine.part", ".record2.db.abcdefgh.part")]
    used = tmp_path / ".record.db.abcdefgh.part"
    for each in (*others, used):
        each.touch()
    with used.open() as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        assert run("backup", str(file), "--data", str(data)).status == 0
    assert not left.exists()
    assert {*tmp_path.glob(".*")} == {*others, used}


async def test_calls_that_wait_for_postgresql(data: Path, tmp_path: Path) -> None:
    """They are not in PostgreSQL, so a backup names the file where they are."""
    config = tmp_path / "briggs.toml"
    config.write_text('store = "postgresql://127.0.0.1:1/briggs"\n')
    arguments = (
        "backup",
        str(tmp_path / "record.db"),
        "--data",
        str(data),
        "--config",
        str(config),
    )
    spool = SpoolFile(data / "spool.db")
    assert "spool.db" not in error_of(run(*arguments))
    row = [None] * len(WRITTEN_COLUMNS)
    spool.append([(1, row), (1, row)])
    refused = error_of(run(*arguments))
    assert "pg_dump" in refused
    assert f"{data / 'spool.db'}, and are not in PostgreSQL yet: 2." in refused
    spool.close()
