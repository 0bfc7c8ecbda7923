"""What surrounds every page: places by scope, counts, and whether all calls are on record."""

from __future__ import annotations

import re
from pathlib import Path

from tests.api.test_store_failure import fill_disk
from tests.processes import Server, Upstream, run_server
from tests.waiting import wait_for
from tests.web.visitor import Visitor


def list_places(server: Server, *scopes: str) -> list[str]:
    body = {"name": "of the test", "scopes": list(scopes)}
    made = server.send("POST", "/v1/organization/admin_api_keys", body).json
    page = Visitor(server, key=made["value"]).visit("/nowhere").body.decode()
    return re.findall(r'class="nav-place[^"]*" href="([^"]+)" title=', page)


def test_the_places_are_those_of_the_key(server: Server) -> None:
    """A key sees the places that its scopes open, and no others."""
    assert list_places(server, "read") == [
        "/", "/completions", "/sessions", "/feedback", "/judges", "/evals", "/prompts", "/drift",
        "/settings",
    ]  # fmt: skip
    assert list_places(server, "grade") == ["/feedback"]
    assert list_places(server, "answer") == ["/playground"]


def test_the_calls_are_counted(server: Server, visitor: Visitor) -> None:
    """The foot says how many calls of the last day are on record, some seconds late."""
    server.chat({"model": "ok/m-1", "messages": [{"role": "user", "content": "hi"}]})
    pattern = re.compile(r"<b>([1-9][\d,]*) = \1</b>")
    wait_for(lambda: pattern.search(visitor.visit("/nowhere").body.decode()))


def test_a_record_that_cannot_be_written(upstream: Upstream, tmp_path: Path) -> None:
    """Every page says it at once. Reading and signing in work, and changes are refused."""
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        visitor = Visitor(server)
        assert "cannot be written" not in visitor.visit("/settings").body.decode()
        fill_disk(server)
        call = {"model": "ok/m", "messages": [{"role": "user", "content": "x" * 3000}]}
        assert server.chat(call).status == 503
        page = visitor.visit("/settings")
        assert page.status == 200
        assert "The record cannot be written" in page.body.decode()
        assert "not recording" in page.body.decode()
        refused = visitor.submit("/settings/keys", name="ci", scopes=["read"])
        assert refused.status == 503
        assert Visitor(server).visit("/").status == 200
