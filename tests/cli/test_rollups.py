"""`briggs rollups`, and the rollups of the API and the SDK."""

from __future__ import annotations

from briggs.client.sync import Client
from tests.cli.running import RunningServer, create_completions, run


def test_rebuild(server: RunningServer) -> None:
    """It ends when all completions are counted, also for those who ask with the SDK."""
    create_completions(server, "a", "b")
    ended = run("rollups", "rebuild", server=server)
    assert ended.output == "All completions are counted.\n"
    with Client(server.url, server.api_key) as client:
        now = client.rollups.retrieve_progress()
    assert (now.is_complete, now.share, now.complete_from) == (True, 1.0, None)
    assert run("rollups", "rebuild", "--no-wait", server=server).output == ""
