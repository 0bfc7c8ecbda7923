"""A server whose record is in PostgreSQL."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.postgres import Postgres
from tests.processes import Upstream, run_server
from tests.waiting import wait_for

QUESTION = {"model": "ok/m", "messages": [{"role": "user", "content": "Who are you?"}]}

TASK = {"name": "quality", "json_schema": {"type": "object"}, "completion_tags_selector": []}


def test_answers_are_recorded_and_shown(
    upstream: Upstream, postgres_database: str, tmp_path: Path
) -> None:
    """A call is answered, listed and shown on the pages. After a restart it is still there."""
    data = tmp_path / "data"
    config = f'store = "{postgres_database}"\n{upstream.config()}'
    with run_server(data, config=config) as server:
        assert server.send("POST", "/v1/chat/completions", QUESTION).status == 200
        for path in ("/", "/completions", "/settings", "/sessions", "/statistics", "/feedback"):
            reply = server.send("GET", path)
            assert reply.status in (200, 303, 404), (path, reply.body[:500])
            assert b"Traceback" not in reply.body
        assert server.send("GET", "/health").status == 200
    assert not (data / "briggs.db").exists()
    with run_server(data, config=config) as server:
        listed = server.send("GET", "/v1/chat/completions").json
        assert len(listed["data"]) == 1
    log = (tmp_path / "data.log").read_text()
    assert "Traceback" not in log, log


def test_changes_while_the_database_is_away(upstream: Upstream, tmp_path: Path) -> None:
    """A call is answered. What else would change the record, or read it, gets one 503 that says
    what to do, and works again when the database is back."""
    with Postgres.run() as cluster:
        config = f'store = "{cluster.create_database()}"\n{upstream.config()}'
        with run_server(tmp_path / "data", config=config) as server:
            task = server.send("POST", "/api/v1/feedback_task", TASK).json["id"]
            asked = server.send("POST", "/v1/chat/completions", QUESTION)
            id = asked.headers["x-briggs-completion-id"]
            grade = {"task_id": task, "json_values": {}, "completion_ids": [id]}
            key = {"name": "another"}
            changes = (
                ("POST", "/v1/organization/admin_api_keys", key),
                ("POST", "/api/v1/feedback_task", TASK),
                ("POST", "/api/v1/feedback", grade),
                ("DELETE", f"/v1/chat/completions/{id}", None),
                ("GET", "/v1/chat/completions", None),
            )
            cluster.kill()
            for method, path, body in changes:
                reply = server.send(method, path, body)
                assert reply.status == 503, (path, reply.body)
                said = reply.body.decode()
                assert '"store_unavailable"' in said, (path, said)
                assert re.search(r"\(check that|\(wait", said), (path, said)
            assert server.send("POST", "/v1/chat/completions", QUESTION).status == 200
            cluster.start()
            wait_for(lambda: server.send(*changes[0]).status == 200)
            assert server.send("POST", "/api/v1/feedback", grade).status in (200, 201)
    log = (tmp_path / "data.log").read_text()
    assert "Traceback" not in log, log


def test_a_database_that_is_away(tmp_path: Path) -> None:
    """`briggs serve` says what is wrong, without a traceback and without the password."""
    config = tmp_path / "briggs.toml"
    config.write_text('store = "postgresql://briggs@127.0.0.1:1/briggs"\n')
    done = subprocess.run(
        [sys.executable, "-m", "briggs", "serve", "--port", "0",
         "--data", str(tmp_path / "data"), "--config", str(config)],
        env={"BRIGGS_STORE_PASSWORD": "a-secret-word"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr and "check that PostgreSQL runs" in done.stderr
    assert "Traceback" not in done.stderr and "a-secret-word" not in done.stderr
