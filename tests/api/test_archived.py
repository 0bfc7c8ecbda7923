"""What a server without a lake says of one."""

from __future__ import annotations

from tests.processes import Server


def test_without_a_lake(server: Server) -> None:
    """It says what to do, and finds nothing there."""
    reply = server.send("GET", "/api/v1/lake")
    assert reply.status == 404 and "[lake]" in reply.json["error"]
    assert server.send("GET", "/v1/chat/completions?archived=true").status == 404
    assert server.send("GET", "/v1/chat/completions/nothing").status == 404
