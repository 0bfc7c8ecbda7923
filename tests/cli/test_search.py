"""`briggs search`, and the search of the API and the SDK."""

from __future__ import annotations

from briggs.client.sync import Client
from tests.cli.running import RunningServer, create_completions, run


def test_rebuild(server: RunningServer) -> None:
    """It ends when the index is complete, also for those who ask with the SDK."""
    create_completions(server, "a", "b")
    ended = run("search", "rebuild", server=server)
    assert ended.output == "The index is complete.\n"
    with Client(server.url, server.api_key) as client:
        now = client.search.retrieve_progress()
    assert (now.is_complete, now.share, now.segments_left) == (True, 1.0, 0)
    assert now.left >= 2
    for options in ([], ["--wait"]):
        ended = run("search", "progress", *options, server=server)
        assert ended.output == "The index is complete.\n"
    assert run("search", "rebuild", "--no-wait", server=server).output == ""
