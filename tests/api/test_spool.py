"""The database of a real server is killed, and the server too: answered is recorded."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from tests.postgres import Postgres
from tests.processes import Server, Upstream, run_server
from tests.waiting import wait_for

CALL = {"model": "ok/m-1", "messages": [{"role": "user", "content": "Hello?"}]}


def call(server: Server) -> str:
    """One call, which must be answered. Returns its id."""
    reply = server.chat(CALL)
    assert reply.status == 200, reply.body
    return reply.headers["x-briggs-completion-id"]


def read_health(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.send("GET", "/health", key=None).json
    return found


def test_answered_is_recorded_whatever_dies(upstream: Upstream, tmp_path: Path) -> None:
    """Calls are answered without the database. They are on record once it is back, also if the
    server was killed meanwhile. `/health`, `/metrics` and the settings page say what waits."""
    with Postgres.run() as cluster:
        config = f'store = "{cluster.create_database()}"\n{upstream.config()}'
        with run_server(tmp_path / "data", config=config) as server:
            ids = [call(server)]
            cluster.kill()
            ids += [call(server) for _ in range(5)]
            health = read_health(server)
            assert health["status"] == "ok"
            assert health["spool"]["count"] >= 5 and health["spool"]["reason"]
            reply = server.send("GET", f"/v1/chat/completions/{ids[0]}")
            assert reply.status == 503, reply.body
            cluster.start()
            wait_until_home(server)
            ids.append(call(server))
            assert "briggs_store_spooled 0.0" in server.send("GET", "/metrics").body.decode()
            cluster.kill()
            ids += [call(server) for _ in range(5)]
            server.stop(signal.SIGKILL)
        cluster.start()
        with run_server(tmp_path / "data", config=config) as server:
            wait_until_home(server)
            listed = server.send("GET", "/v1/chat/completions?limit=100").json["data"]
            assert sorted(each["id"] for each in listed) == sorted(ids)


def wait_until_home(server: Server) -> None:
    wait_for(lambda: "spool" not in read_health(server))
