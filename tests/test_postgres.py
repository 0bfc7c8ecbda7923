from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import USER, Postgres, run_pooler
from tests.waiting import PATIENCE_S, wait_for

ROOT = Path(__file__).parents[1]


def test_each_database_is_empty_or_a_copy(postgres: Postgres, postgres_database: str) -> None:
    """A new database has no tables, and a copy has those of its template."""
    name = postgres_database.rpartition("/")[2]
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.execute(tables, database=name) == "0"
    postgres.execute("CREATE TABLE one (id text)", database=name)
    copy = postgres.create_database(template=name)
    assert postgres.execute(tables, database=copy.rpartition("/")[2]) == "1"
    postgres.drop_database(copy)
    assert copy.rpartition("/")[2] not in postgres.execute("SELECT datname FROM pg_database")


def test_texts_sort_as_in_a_dictionary(postgres: Postgres) -> None:
    """The order of bytes, which most servers do not have, has to be asked for."""
    words = (
        "SELECT string_agg(word, ' ' ORDER BY word {}) FROM (VALUES ('b'), ('B'), ('a')) _(word)"
    )
    assert postgres.execute(words.format("")) == "a b B"
    assert postgres.execute(words.format('COLLATE "C"')) == "B a b"


def test_an_error_says_what_the_server_says(postgres: Postgres) -> None:
    """A mistake in SQL raises, with the server's words."""
    with pytest.raises(RuntimeError, match='relation "nowhere" does not exist'):
        postgres.execute("SELECT * FROM nowhere")


def test_a_standby_follows_and_takes_over() -> None:
    """A standby has what the primary committed. Promoted after its death, it takes writes."""
    with Postgres.run() as primary, primary.standby() as standby:
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        primary.execute("CREATE TABLE one (id int)")
        primary.execute("INSERT INTO one VALUES (1)")
        assert standby.execute("SELECT pg_is_in_recovery()") == "t"
        primary.kill()
        standby.promote()
        standby.execute("INSERT INTO one VALUES (2)")
        assert standby.execute("SELECT id FROM one ORDER BY id") == "1\n2"


def test_a_killed_server_starts_again_with_what_it_committed() -> None:
    """Kill and start keep what was committed, the address, and the settings."""
    with Postgres.run(fsync=True, settings={"work_mem": "5MB"}) as cluster:
        cluster.execute("CREATE TABLE one AS SELECT 1 AS id")
        cluster.kill()
        with pytest.raises(RuntimeError, match="Connection refused"):
            cluster.execute("SELECT 1")
        cluster.start()
        assert cluster.execute("SELECT id FROM one") == "1"
        assert cluster.execute("SHOW work_mem") == "5MB"
        assert cluster.execute("SHOW fsync") == "on"


def test_a_frozen_server_accepts_and_does_not_answer(postgres: Postgres) -> None:
    """A paused server takes connections, answers nothing, and goes on after `resume`."""
    with Postgres.run() as cluster:
        cluster.pause()
        with socket.create_connection(("127.0.0.1", cluster.port)) as connection:
            connection.sendall((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"))
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            cluster.resume()
            connection.settimeout(PATIENCE_S)
            assert connection.recv(1) in (b"N", b"S"), "the answer to the request for TLS"


def test_a_pooler_stands_in_front(postgres: Postgres, postgres_database: str) -> None:
    """The pooler passes queries to any database of its cluster."""
    name = postgres_database.rpartition("/")[2]
    with run_pooler(postgres) as port:
        done = subprocess.run(
            ["psql", f"postgresql://{USER}@127.0.0.1:{port}/{name}", "-Atc", "SELECT 40 + 2"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout == "42\n"


def test_a_server_ends_with_the_tests_that_started_it() -> None:
    """After a kill of the tests, their servers end, and the next cluster removes their folder."""
    code = (
        "from tests.postgres import Postgres\n"
        "import sys\n"
        "with Postgres.run() as cluster:\n"
        "    print(cluster.port, cluster.folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    tests = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with tests:
        assert tests.stdout is not None
        port, folder = tests.stdout.readline().decode().split()
        os.kill(tests.pid, signal.SIGKILL)
    wait_for(lambda: not Path(folder, "data", "postmaster.pid").exists())
    with socket.socket() as connection:
        assert connection.connect_ex(("127.0.0.1", int(port))) != 0
    with Postgres.run():
        assert not Path(folder).exists()
