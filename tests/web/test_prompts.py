"""The pages of prompts, as a browser without JavaScript gets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from briggs import Client
from briggs.types.errors import InvalidRequest
from briggs.web.prompts import choose_versions
from tests.processes import Server, create_response, run_server
from tests.web.visitor import Visitor

TEXT = "You are a clerk. <b>Answer</b> in one sentence, and never guess a number."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("prompts") / "data") as server:
        yield server


def test_name_compare_and_merge(server: Server) -> None:
    """A found prompt gets a name; two versions are shown with what differs; what others wrote is
    text.
    """
    visitor = Visitor(server)
    assert b"No prompt yet." in visitor.visit("/prompts").body
    with Client(server.url, server.key) as client:
        messages = [{"role": "system", "content": TEXT}, {"role": "user", "content": "q"}]
        client.completions.create({"model": "m", "messages": messages}, create_response())
    page = visitor.visit("/prompts").body.decode()
    assert "&lt;b&gt;Answer" in page and "<b>Answer" not in page and "Name it" in page
    visitor.submit("/prompts", name="clerk", template=TEXT)
    assert visitor.path == "/prompts/clerk"
    visitor.submit("/prompts", name="clerk", template=TEXT.replace("one", "two"))
    page = visitor.visit("/prompts/clerk").body.decode()
    assert "From version 1 to 2" in page and "<del>one</del>" in page and "<ins>two</ins>" in page
    assert "prompt+%3D+clerk%402" in page
    assert "From version 2 to 1" in visitor.visit("/prompts/clerk?before=2&now=1").body.decode()
    assert b"clerk" in visitor.visit("/prompts").body
    visitor.visit("/prompts/clerk")
    assert b"{1}" in visitor.submit("/prompts/clerk/merge", version="2", into="1").body
    visitor.submit("/prompts/clerk/delete")
    assert visitor.path == "/prompts"
    assert visitor.visit("/prompts/clerk").status == 404


def test_readers_change_nothing(server: Server) -> None:
    """A key that only reads sees prompts, and no form; what it posts is refused."""
    made = server.send("POST", "/v1/organization/admin_api_keys", {"name": "r", "scopes": ["read"]})
    reader = Visitor(server, key=made.json["value"])
    assert b"Name it" not in reader.visit("/prompts").body
    assert reader.submit("/prompts", name="x", template="y z").status == 403


def test_the_chosen_versions() -> None:
    """The address names two versions; without it, the last two are beside each other."""
    assert choose_versions([1, 2, 5], {}) == (2, 5)
    assert choose_versions([1, 2, 5], {"before": "1", "now": "9"}) == (1, 5)
    assert choose_versions([3], {}) == (3, 3)
    with pytest.raises(InvalidRequest):
        choose_versions([], {})
